"""What becomes of our own work when a peer answers with an error code: tried again, or failed, with the cause and the cure.

The peer is a script. Every code of the table that a registry, a repository or a source may answer us with is answered once,
and then the peer does what it is asked: what may be better later is done by itself, what is not waits for a person.

Source: ITI TF-3 table 4.2.4.1-2; notes 1.6.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway.services import transfer
from profiles.findings import Severity
from profiles.wire.ebxml.response import (
    COME_BACK,
    CURES,
    ERROR_CODES,
    IGNORED,
    RegistryError,
    RegistryResponse,
    ResponseStatus,
)
from profiles.xcdr.iti80 import ITI_80
from profiles.xds.iti18 import ITI_18, StoredQueryResponse
from profiles.xdsi.rad68 import RAD_68
from tests.support.scenario import (
    DOMAIN_ID,
    ERROR,
    FAILURE,
    RETRIEVE,
    ZEBEDIAH,
    Asked,
    ScriptedSource,
    World,
    offer_of,
    read_soap,
    whole,
    world,
    write_study,
)
from tests.support.stranger import answered, listening

WARNINGS = IGNORED | {"DocumentQueued", "XDSExtraMetadataNotSaved"}
SECRET = "Quillfeather, Zebediah, DO55218"  # what a peer may write into codeContext


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "FIRST_DELAY", timedelta(milliseconds=10))


def column(transaction: str) -> list[str]:
    """The codes that a transaction may be answered with, and one that is nobody's."""
    return [*sorted(code for code, those in ERROR_CODES.items() if transaction in those), "XDSIUnknownIdsUid"]


def cure_of(code: str) -> str:
    return CURES.get(code, "The peer says no, in a word of its own: ask it for its log.")


class ScriptedPeer:
    """A registry and repository that refuses with the code at first, and then finds nothing and takes everything."""

    def __init__(self, code: str, severity: Severity = Severity.ERROR) -> None:
        self.errors: tuple[RegistryError, ...] = (RegistryError(code=code, context=SECRET, severity=severity),)
        self.status = ResponseStatus.SUCCESS if severity is Severity.WARNING else ResponseStatus.FAILURE
        self.asked = 0
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        message = await read_soap(request.headers["Content-Type"], await request.read())
        self.asked += 1
        known: tuple[Any, ...] = (ITI_18, RAD_68, ITI_80)
        transaction = next(each for each in known if each.request_action == message.addressing.action)
        kind: Any = StoredQueryResponse if transaction is ITI_18 else RegistryResponse
        response = kind(status=self.status, errors=self.errors)
        self.status, self.errors = ResponseStatus.SUCCESS, ()
        return await answered(transaction, response, message.addressing.message_id)


@asynccontextmanager
async def scripted(code: str, severity: Severity = Severity.ERROR) -> AsyncIterator[ScriptedPeer]:
    peer = ScriptedPeer(code, severity)
    async with listening(peer.answer) as url:
        peer.url = f"{url}/soap"
        yield peer


def calls(job: dict[str, Any], transaction: str) -> list[dict[str, Any]]:
    """The steps of a transaction, in order."""
    return [step for step in job["steps"] if step["transaction"] == transaction]


def explained(job: dict[str, Any], transaction: str, code: str, outcome: str = "failure") -> None:
    """The call says why it failed and what can be done, and repeats nothing else of the peer's."""
    first = calls(job, transaction)[0]
    assert (first["outcome"], first["why"], first["cure"]) == (outcome, f"the peer answered {code}", cure_of(code))
    assert "Quillfeather" not in str(job)


# --- what we submit ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def sharing(folder: Path, peer: ScriptedPeer, way: str = "RAD-68") -> AsyncIterator[World]:
    region = {"Region": {"home_community_id": "1.2.5.1", "endpoint": {way: peer.url}}}
    async with world(folder, peers=region, rules=[{"when": "study.available", "do": ["share:Region"]}]) as here:
        await here.valley.tell(ZEBEDIAH)
        study = write_study(folder / "study", series=1, instances=1)
        status, _ = await here.valley.push([one.path.read_bytes() for one in study.instances], peer="")
        assert status == 200
        yield here


@pytest.mark.parametrize(
    ("way", "code"),
    [
        *(("RAD-68", code) for code in column("ITI-41") if code not in WARNINGS),
        *(("ITI-80", code) for code in column("ITI-80")),
    ],
)
async def test_a_submission_that_is_refused_is_tried_again_or_waits_for_a_person(
    tmp_path: Path, way: str, code: str
) -> None:
    async with scripted(code) as peer, sharing(tmp_path, peer, way) as here:
        if code not in COME_BACK:
            failed = await here.valley.rests("failed", "done", kind="store")
            assert (failed["state"], failed["reason"]) == ("failed", f"the peer answered {code}")
            assert failed["cure"] == cure_of(code)
            assert peer.asked == 1
            await here.valley.ask("POST", f"/exchanges/{failed['id']}/release", {"person": "ann"})
        done = await here.valley.rests("done", kind="store")
        explained(done, way, code)
        assert [step["outcome"] for step in calls(done, way)] == ["failure", "success"]
        assert peer.asked == 2


@pytest.mark.parametrize(
    ("way", "code"), [*(("RAD-68", code) for code in sorted(WARNINGS)), ("ITI-80", "UnknownRecipient")]
)
async def test_a_submission_that_is_taken_with_a_warning_is_done_and_tells_of_it(
    tmp_path: Path, way: str, code: str
) -> None:
    async with scripted(code, Severity.WARNING) as peer, sharing(tmp_path, peer, way) as here:
        done = await here.valley.rests("done", "failed", kind="store")
        assert done["state"] == "done"
        (step,) = calls(done, way)
        assert (step["why"], step["cure"]) == (f"the peer warns: {code}", cure_of(code))
        assert step["outcome"] == ("partial" if code in IGNORED else "success")
        assert "Quillfeather" not in str(done)
        assert peer.asked == 1


# --- what we ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", column("ITI-18"))
async def test_a_question_that_is_refused_is_asked_again_or_waits_for_a_person(tmp_path: Path, code: str) -> None:
    async with (
        scripted(code) as peer,
        world(tmp_path, peers={"Region": {"endpoint": {"ITI-18": peer.url}}}) as here,
    ):
        await here.valley.tell(ZEBEDIAH)
        asked = {"patient": str(DOMAIN_ID), "registry": "Region", "study": "1.2.3", "person": "ann"}
        assert "error" not in await here.valley.ask("POST", "/collect", asked)
        failed = await here.valley.rests("failed", kind="collect")
        explained(failed, "ITI-18", code)
        if code in COME_BACK:  # the second time the peer has nothing, and says so
            assert peer.asked == 2
            assert "knows no manifest" in failed["reason"]
        else:
            assert peer.asked == 1
            assert (failed["reason"], failed["cure"]) == (f"the peer answered {code}", cure_of(code))


# --- what we fetch ----------------------------------------------------------------------------------------------------


def refusing(code: str, *, located: bool) -> Any:
    """A source that has nothing, for this reason: said once, or of each instance."""

    async def behave(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
        of = asked.uids if located else ("",)
        errors = "".join(ERROR.format(uid=uid).replace("XDSDocumentUniqueIdError", code) for uid in of)
        errors = f"<r:RegistryErrorList>{errors}</r:RegistryErrorList>"
        root = RETRIEVE.format(relates=asked.message_id, status=FAILURE, errors=errors, documents="")
        head = '--bbb\r\nContent-Type: application/xop+xml; charset=UTF-8; type="application/soap+xml"\r\n'
        return whole(f"{head}Content-ID: <root@x>\r\n\r\n{root}\r\n--bbb--\r\n".encode())

    return behave


async def released(here: World, code: str) -> dict[str, Any]:
    """The exchange when it is done: by itself, or when a person has released what is refused for good."""
    async with asyncio.timeout(30):
        while (found := await here.valley.rests("done", "incomplete", "failed"))["state"] == "incomplete":
            if found["due_at"].startswith("9999"):
                assert len(here.source.asked) == 1
                (told,) = (step for step in found["steps"] if "not asked for again" in step["text"])
                assert f"{code} (1)" in told["why"]
                assert code not in COME_BACK
                await here.valley.ask("POST", f"/exchanges/{found['id']}/release", {"person": "ann"})
            await asyncio.sleep(0.02)
    assert found["state"] == "done", found
    return found


@pytest.mark.parametrize("code", column("ITI-43"))
async def test_images_that_are_refused_are_asked_for_again_or_wait_for_a_person(tmp_path: Path, code: str) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        here.source.script = [refusing(code, located=False)]
        offer = offer_of(here.study(series=1, instances=1))
        assert await (await here.valley.provide(offer)).codes() == ()
        done = await released(here, code)
        explained(done, "RAD-69", code, outcome="partial")
        assert len(here.source.asked) == 2


@pytest.mark.parametrize("code", ["XDSDocumentUniqueIdError", "XDSRepositoryBusy", "XDSUnknownRepositoryId"])
async def test_an_instance_that_is_refused_by_its_name_is_asked_for_again_and_its_cause_is_told(
    tmp_path: Path, code: str
) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        here.source.script = [refusing(code, located=True)]
        assert await (await here.valley.provide(offer_of(here.study(series=1, instances=1)))).codes() == ()
        done = await released(here, code)
        explained(done, "RAD-69", code, outcome="partial")
        assert len(here.source.asked) == 2
