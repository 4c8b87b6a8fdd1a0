"""What becomes of what we ask a registry or repository, when it answers with an error code: each code, on the wire.

The peer is a script. It answers the transaction once with the code, and then does what it is asked. Where a person waits
(to deprecate, update, remove, look for what several have), the cause and the cure are the answer, and nobody else tries it
again. Where an exchange does it (to share, register, offer), what may be better later is done by itself.

Source: ITI TF-3 table 4.2.4.1-2 and the supplements' additions.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web

from gateway.services import transfer
from profiles.findings import Severity
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.response import (
    COME_BACK,
    CURES,
    ERROR_CODES,
    IGNORED,
    OTHERWISE,
    RegistryError,
    RegistryResponse,
    ResponseStatus,
)
from profiles.xds.iti18 import ITI_18, StoredQueryResponse
from profiles.xds.iti41 import ITI_41
from profiles.xds.iti42 import ITI_42
from profiles.xds.iti51 import ITI_51
from profiles.xds.iti57 import ITI_57
from profiles.xds.iti61 import ITI_61
from profiles.xds.iti62 import ITI_62
from profiles.xds.iti86 import ITI_86
from profiles.xds.iti92 import ITI_92
from tests.support.communities import REPOSITORIES
from tests.support.registry import registrable
from tests.support.scenario import DOMAIN_ID, ZEBEDIAH, World, offer_of, read_soap, world, write_study
from tests.support.stranger import answered, listening

WARNINGS = IGNORED | {"DocumentQueued", "XDSExtraMetadataNotSaved"}
SECRET = "Quillfeather, Zebediah, DO55218"  # what a peer may write into codeContext
COLUMN = {ITI_51.id: "ITI-18", ITI_61.id: "ITI-42"}  # a transaction that is in another one's column
THERE = registrable(DOMAIN_ID, repository_unique_id=REPOSITORIES["Region"], logical_id="", title="as it is")
SPOKEN: Mapping[str, SoapTransaction[Any, Any]] = {
    each.request_action: each for each in (ITI_18, ITI_41, ITI_42, ITI_51, ITI_57, ITI_61, ITI_62, ITI_86, ITI_92)
}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "FIRST_DELAY", timedelta(milliseconds=10))


def rows(*transactions: str, warnings: bool = False) -> list[tuple[str, str]]:
    """Transaction and code: each that it may be answered with, and one that is nobody's."""
    return [
        (transaction, code)
        for transaction in transactions
        for code in [
            *sorted(code for code, those in ERROR_CODES.items() if COLUMN.get(transaction, transaction) in those),
            *([] if warnings else ["XDSIUnknownIdsUid"]),
        ]
        if (code in WARNINGS) is warnings
    ]


class Refusing:
    """A registry with one document, and its repository: refuses a transaction once, and nothing else."""

    def __init__(self, transaction: str, code: str, severity: Severity) -> None:
        self.refuses = transaction
        self.errors: tuple[RegistryError, ...] = (RegistryError(code=code, context=SECRET, severity=severity),)
        self.status = ResponseStatus.SUCCESS if severity is Severity.WARNING else ResponseStatus.FAILURE
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        message = await read_soap(request.headers["Content-Type"], await request.read())
        transaction = SPOKEN[message.addressing.action]
        self.asked.append(transaction.id)
        kind: Any = StoredQueryResponse if transaction in (ITI_18, ITI_51) else RegistryResponse
        response = kind(entries=(THERE,)) if kind is StoredQueryResponse else kind()
        if transaction.id == self.refuses and self.errors:
            response = kind(status=self.status, errors=self.errors)
            self.errors = ()
        return await answered(transaction, response, message.addressing.message_id)


@asynccontextmanager
async def refusing(transaction: str, code: str, severity: Severity = Severity.ERROR) -> AsyncIterator[Refusing]:
    peer = Refusing(transaction, code, severity)
    async with listening(peer.answer) as url:
        peer.url = f"{url}/soap"
        yield peer


@asynccontextmanager
async def knowing(folder: Path, peer: Refusing, *ways: str, **more: Any) -> AsyncIterator[World]:
    region = {"repository_unique_ids": [REPOSITORIES["Region"]], "endpoint": dict.fromkeys(ways, peer.url)}
    async with world(folder, peers={"Region": region}, **more) as here:
        await here.valley.tell(ZEBEDIAH)
        yield here


def calls(job: dict[str, Any], transaction: str) -> list[dict[str, Any]]:
    return [step for step in job["steps"] if step["transaction"] == transaction]


def explained(job: dict[str, Any], transaction: str, code: str) -> None:
    """The first call says at whom it failed, why, and what can be done, and repeats nothing else of the peer's."""
    first = calls(job, transaction)[0]
    told = (first["peer"], first["outcome"], first["why"], first["cure"])
    assert told == ("Region", "failure", f"the peer answered {code}", CURES.get(code, OTHERWISE))
    assert "Quillfeather" not in str(job)


# --- a person waits -----------------------------------------------------------------------------------------------------

DOCUMENT = f"/documents/{THERE.unique_id}"
BY_HAND: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    ITI_57.id: ("POST", f"{DOCUMENT}/deprecate", {}),
    ITI_92.id: ("POST", f"{DOCUMENT}/update", {"title": "as it will be"}),
    ITI_62.id: ("DELETE", DOCUMENT, {}),
    ITI_86.id: ("DELETE", DOCUMENT, {}),
    ITI_41.id: ("POST", "/documents", {"to": "Region", "patient": str(DOMAIN_ID), "class": "LETTERS^1.2.3.8^Letters"}),
    ITI_51.id: ("GET", "/documents", {"patient": [str(DOMAIN_ID), "DO2^^^&1.2.3.9&ISO"]}),
}
ADMINISTERED = ("ITI-18", *BY_HAND)


async def ask(here: World, transaction: str) -> Any:
    method, path, said = BY_HAND[transaction]
    query = urlencode({**said, "at": "Region", "person": "ann"}, doseq=True)
    return await here.valley.ask(method, f"{path}?{query}")


@pytest.mark.parametrize(("transaction", "code"), rows(*BY_HAND))
async def test_a_person_is_told_why_the_peer_refuses_and_what_can_be_done_and_does_it_again(
    tmp_path: Path, transaction: str, code: str
) -> None:
    async with refusing(transaction, code) as peer, knowing(tmp_path, peer, *ADMINISTERED) as here:
        refused = (await ask(here, transaction))["error"]
        assert (refused["detail"], refused["cure"]) == (f"the peer answered {code}", CURES.get(code, OTHERWISE))
        assert "Quillfeather" not in str(refused)
        failed = await here.valley.exchange(kind="ask")
        assert (failed["state"], failed["reason"]) == ("failed", f"the peer answered {code}")
        explained(failed, transaction, code)
        assert peer.asked.count(transaction) == 1  # nobody tries it again but the person
        assert "error" not in await ask(here, transaction)
        done = await here.valley.exchange(kind="ask")
        assert done["state"] == "done"
        assert [step["outcome"] for step in calls(done, transaction)] == ["success"]
        assert peer.asked.count(transaction) == 2


@pytest.mark.parametrize(("transaction", "code"), rows(*BY_HAND, warnings=True))
async def test_what_is_done_with_a_warning_is_done_and_tells_of_it(tmp_path: Path, transaction: str, code: str) -> None:
    async with (
        refusing(transaction, code, Severity.WARNING) as peer,
        knowing(tmp_path, peer, *ADMINISTERED) as here,
    ):
        assert "error" not in await ask(here, transaction)
        done = await here.valley.exchange(kind="ask")
        (step,) = calls(done, transaction)
        outcome = "partial" if code in IGNORED else "success"
        assert (step["outcome"], step["why"], step["cure"]) == (outcome, f"the peer warns: {code}", CURES[code])
        assert "Quillfeather" not in str(done)


@pytest.mark.parametrize("transaction", sorted(BY_HAND))
async def test_a_person_is_told_which_peer_does_not_answer(tmp_path: Path, transaction: str) -> None:
    async with refusing("", "") as there:
        nobody = "http://127.0.0.1:9/soap"
        ways = {**dict.fromkeys(ADMINISTERED, there.url), transaction: nobody}
        region = {"repository_unique_ids": [REPOSITORIES["Region"]], "endpoint": ways}
        async with world(tmp_path, peers={"Region": region}) as here:
            await here.valley.tell(ZEBEDIAH)
            refused = (await ask(here, transaction))["error"]
            assert refused["detail"].startswith("nothing answers at http://127.0.0.1:9")
            assert "Check that the peer is up" in refused["cure"]
            failed = await here.valley.exchange(kind="ask")
            assert (failed["state"], calls(failed, transaction)[0]["peer"]) == ("failed", "Region")


# --- an exchange does it ------------------------------------------------------------------------------------------------

BY_ITSELF: Mapping[str, tuple[str, dict[str, Any]]] = {
    ITI_41.id: ("share:Region", {}),
    ITI_42.id: ("register", {"affinity_domain": {"registry": "Region"}}),
    ITI_61.id: ("offer:Region", {}),
}


@asynccontextmanager
async def publishing(folder: Path, transaction: str, peer: Refusing) -> AsyncIterator[World]:
    action, more = BY_ITSELF[transaction]
    rules = [{"when": "study.available", "do": [action]}]
    async with knowing(folder, peer, transaction, rules=rules, **more) as here:
        study = write_study(folder / "study", series=1, instances=1)
        status, _ = await here.valley.push([one.path.read_bytes() for one in study.instances], peer="")
        assert status == 200
        yield here


@pytest.mark.parametrize(("transaction", "code"), rows(*BY_ITSELF))
async def test_what_is_published_and_refused_is_tried_again_or_waits_for_a_person(
    tmp_path: Path, transaction: str, code: str
) -> None:
    async with refusing(transaction, code) as peer, publishing(tmp_path, transaction, peer) as here:
        if code not in COME_BACK:
            failed = await here.valley.rests("failed", "done", kind="store")
            assert (failed["state"], failed["reason"]) == ("failed", f"the peer answered {code}")
            assert failed["cure"] == CURES.get(code, OTHERWISE)
            assert peer.asked == [transaction]
            assert here.valley.kept().rows["registrations"] == ()
            await here.valley.ask("POST", f"/exchanges/{failed['id']}/release", {"person": "ann"})
        done = await here.valley.rests("done", kind="store")
        explained(done, transaction, code)
        assert [step["outcome"] for step in calls(done, transaction)] == ["failure", "success"]
        assert peer.asked == [transaction, transaction]


@pytest.mark.parametrize(("transaction", "code"), rows(*BY_ITSELF, warnings=True))
async def test_what_is_published_with_a_warning_is_done_and_tells_of_it(
    tmp_path: Path, transaction: str, code: str
) -> None:
    async with (
        refusing(transaction, code, Severity.WARNING) as peer,
        publishing(tmp_path, transaction, peer) as here,
    ):
        done = await here.valley.rests("done", "failed", kind="store")
        assert done["state"] == "done"
        (step,) = calls(done, transaction)
        assert (step["why"], step["cure"]) == (f"the peer warns: {code}", CURES[code])
        assert step["outcome"] == ("partial" if code in IGNORED else "success")
        assert peer.asked == [transaction]


@pytest.mark.parametrize(("transaction", "code"), rows(ITI_57.id))
async def test_an_entry_of_a_study_that_is_gone_is_deprecated_once_more_or_waits_for_a_person(
    tmp_path: Path, transaction: str, code: str
) -> None:
    rules = [{"when": "study.available", "do": ["share:Region"]}]
    async with (
        refusing(transaction, code) as peer,
        knowing(tmp_path, peer, ITI_41.id, ITI_57.id, rules=rules) as here,
    ):
        study, other = here.study(seed=1, series=1, instances=1), here.study(seed=2, series=1, instances=1)
        assert await (await here.valley.provide(offer_of(study))).codes() == ()
        older = await here.valley.rests("done")
        newer = offer_of(other, replaces=str(older["payload"]["entries"][0]))  # it names nothing of the study any more
        assert await (await here.valley.provide(newer)).codes() == ()
        of = study.study_instance_uid
        if code not in COME_BACK:
            failed = await here.valley.rests("failed", "done", kind="keep", study=of)
            told = (failed["state"], failed["reason"], failed["cure"])
            assert told == ("failed", f"the peer answered {code}", CURES.get(code, OTHERWISE))
            assert peer.asked.count(transaction) == 1
            await here.valley.ask("POST", f"/exchanges/{failed['id']}/release", {"person": "ann"})
        done = await here.valley.rests("done", kind="keep", study=of)
        explained(done, transaction, code)
        assert [step["outcome"] for step in calls(done, transaction)] == ["failure", "success"]
        assert peer.asked.count(transaction) == 2
