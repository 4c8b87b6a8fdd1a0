"""Alive, ready and why not, metrics: for machines, and nothing of a patient in any of them."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry, Counter

from gateway.inbound.ops import Ops
from gateway.model.peer import Caller, Peer

Client = TestClient[web.Request, web.Application]


class _House:
    """Ops with a database that may be away, asked by whom the test says."""

    def __init__(self) -> None:
        self.reason = ""
        self.caller = Caller(peer=None, network_address="127.0.0.1")
        registry = CollectorRegistry()
        Counter("radgate_things", "Things.", registry=registry).inc(3)
        self.ops = Ops(probes={"database": self._probe}, registry=registry, identify=lambda request: self.caller)

    async def _probe(self) -> str:
        return self.reason


@pytest.fixture
def house() -> _House:
    return _House()


@pytest.fixture
async def client(house: _House) -> AsyncIterator[Client]:
    app = web.Application()
    house.ops.routes(app)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_a_house_that_answers_is_alive_even_where_it_is_not_ready(house: _House, client: Client) -> None:
    house.reason = "it does not answer"
    answer = await client.get("/healthz")
    assert (answer.status, await answer.json()) == (200, {"alive": True})


async def test_ready_is_200_and_has_no_reasons(client: Client) -> None:
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (200, {"ready": True, "reasons": {}})


async def test_what_is_away_is_named_with_its_reason(house: _House, client: Client) -> None:
    house.reason = "it does not answer"
    answer = await client.get("/readyz")
    assert (answer.status, await answer.json()) == (
        503,
        {"ready": False, "reasons": {"database": "it does not answer"}},
    )


async def test_a_house_that_stops_takes_no_new_work(house: _House, client: Client) -> None:
    house.ops.draining = True
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert (await answer.json())["reasons"] == {"house": "it is stopping"}


@pytest.mark.parametrize(
    ("caller", "status"),
    [
        (Caller(peer=None, network_address="127.0.0.1"), 200),
        (Caller(peer=Peer(name="Monitor"), network_address="192.0.2.7"), 200),
        (Caller(peer=None, network_address="192.0.2.7"), 403),
    ],
)
async def test_metrics_are_for_known_peers_and_this_machine(
    house: _House, client: Client, caller: Caller, status: int
) -> None:
    house.caller = caller
    answer = await client.get("/metrics")
    assert answer.status == status
    assert ("radgate_things_total 3.0" in await answer.text()) is (status == 200)
