"""A registry that does as it is told: refuses, warns, takes and breaks off, takes nothing and breaks off.

Between that it is one: it knows the sets that it took, and says what is in them.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from profiles.model.document import Submission
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, status_of
from profiles.xds.iti18 import ITI_18, StoredQueryResponse
from profiles.xds.iti42 import ITI_42
from tests.support.scenario import read_soap
from tests.support.stranger import answered

DUPLICATE = RegistryError(code="XDSDuplicateUniqueIdInRegistry", context="the set is registered")


@dataclass(slots=True)
class ScriptedRegistry:
    """`breaks_off`: so many registrations are taken and not answered; `silent`: so many neither.

    `instead`: what happens then, before the connection is cut.
    """

    sets: dict[str, Submission] = field(default_factory=dict)  # by uniqueId
    registered: list[Submission] = field(default_factory=list)  # all that was asked
    breaks_off: int = 0
    silent: int = 0
    instead: Callable[[], None] = lambda: None
    url: str = ""
    _errors: tuple[RegistryError, ...] = ()
    _runner: web.AppRunner | None = None
    _port: int = 0

    def refuse(self, *errors: RegistryError) -> None:
        """Answer the next registration so; with warnings alone it is taken."""
        self._errors = errors

    async def start(self) -> None:
        """Listen."""
        app = web.Application(client_max_size=1 << 24)
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}/soap"

    start_again = start

    async def stop(self) -> None:
        """Listen no more."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        message = await read_soap(request.headers["Content-Type"], await request.read())
        if message.addressing.action == ITI_18.request_action:
            asked = ITI_18.decode_request(message.to_codec()).value
            there = [self.sets[each] for each in asked.submission_sets.unique_ids if each in self.sets]
            found = StoredQueryResponse(
                submission_sets=tuple(each.submission_set for each in there),
                entries=tuple(entry for each in there for entry in each.entries),
            )
            return await answered(ITI_18, found, message.addressing.message_id)
        submission = ITI_42.decode_request(message.to_codec()).value.submission
        self.registered.append(submission)
        if self.silent:
            self.silent -= 1
            self.instead()
            return _cut(request)
        response = self._register(submission)
        if self.breaks_off:
            self.breaks_off -= 1
            self.instead()
            return _cut(request)
        return await answered(ITI_42, response, message.addressing.message_id)

    def _register(self, submission: Submission) -> RegistryResponse:
        errors, self._errors = self._errors, ()
        unique_id = submission.submission_set.unique_id
        if not errors and unique_id in self.sets:
            errors = (DUPLICATE,)
        response = RegistryResponse(status=status_of(errors), errors=errors)
        if status_of(errors) == status_of(()):
            self.sets[unique_id] = submission
        return response


def _cut(request: web.Request) -> web.Response:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@asynccontextmanager
async def scripted_registry() -> AsyncIterator[ScriptedRegistry]:
    """One that listens."""
    registry = ScriptedRegistry()
    await registry.start()
    try:
        yield registry
    finally:
        await registry.stop()
