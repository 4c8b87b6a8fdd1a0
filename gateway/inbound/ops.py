"""Operations by machine: alive, ready and why not, metrics. No patient data in any of them."""

from collections.abc import Awaitable, Callable, Mapping

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from gateway.inbound.identify import is_loopback
from gateway.model.peer import Caller

Probe = Callable[[], Awaitable[str]]
"""Why something is not ready; "" when it is."""


class Ops:
    """`/healthz`, `/readyz`, `/metrics`."""

    def __init__(
        self, *, probes: Mapping[str, Probe], registry: CollectorRegistry, identify: Callable[[web.Request], Caller]
    ) -> None:
        """`probes` by what they look at."""
        self._probes = probes
        self._registry = registry
        self._identify = identify
        self.draining = False

    def routes(self, app: web.Application) -> None:
        """Add the three addresses."""
        app.router.add_get("/healthz", self._health)
        app.router.add_get("/readyz", self._ready)
        app.router.add_get("/metrics", self._metrics)

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _ready(self, request: web.Request) -> web.Response:
        reasons = {name: reason for name, probe in self._probes.items() if (reason := await probe())}
        if self.draining:
            reasons["house"] = "it is stopping"
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        caller = self._identify(request)
        if caller.peer is None and not is_loopback(caller.network_address):
            raise web.HTTPForbidden(text="metrics are for known peers and this machine")
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
