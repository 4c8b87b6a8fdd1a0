"""Answers that come on another connection: where the tester takes them, and what a description says of it."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from conformance.around import Around
from conformance.claims import read_claims
from conformance.runner import run
from conformance.simulators.mailbox import REPLY, Mailbox
from conformance.suites import cases
from conformance.suites.elsewhere import ASYNCHRONOUS
from conformance.system import BadDescription, System, read_system
from conformance.verdict import Verdict
from profiles.transaction import Actor

CLAIMS = frozenset({(Actor.DOCUMENT_REGISTRY, "ITI-18")})
CASES = [each for each in cases() if each.id in ("xds.registry_query/brought", "xds.registry_query/not_brought")]


@pytest_asyncio.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox("127.0.0.1", 0, ssl=None)
    await box.start()
    yield box
    await box.stop()


async def test_a_mailbox_keeps_what_comes_at_whatever_path_and_takes_it_with_202(mailbox: Mailbox) -> None:
    assert mailbox.address == f"http://127.0.0.1:{mailbox.port}{REPLY}"
    async with aiohttp.ClientSession() as http:
        for path, body in ((REPLY, b"one"), ("/odd/path", b"two")):
            async with http.post(f"http://127.0.0.1:{mailbox.port}{path}", data=body) as answer:
                assert (answer.status, await answer.read()) == (202, b"")
    assert [(each.path, each.body) for each in mailbox.brought] == [(REPLY, b"one"), ("/odd/path", b"two")]
    found = await mailbox.awaited(lambda each: each.body == b"two", 0, 1.0)
    assert found is mailbox.brought[1]
    assert await mailbox.awaited(lambda each: True, 2, 0.05) is None


async def test_what_is_not_claimed_or_has_nowhere_to_go_is_omitted_with_the_reason(tmp_path: Path) -> None:
    system = System(name="theirs", endpoints={"ITI-18": "http://127.0.0.1:1/"}, claims=CLAIMS)
    done = await run(CASES, system, tmp_path)
    assert {(each.verdict, each.detail) for each in done.results} == {
        (
            Verdict.OMIT,
            "the option Asynchronous Web Services Exchange of Document Registry is not claimed: name it in [options]",
        )
    }
    optional = frozenset({(Actor.DOCUMENT_REGISTRY, ASYNCHRONOUS)})
    system = System(name="theirs", endpoints={"ITI-18": "http://127.0.0.1:1/"}, claims=CLAIMS, options=optional)
    done = await run(CASES, system, tmp_path, around=Around())
    assert {(each.verdict, each.detail) for each in done.results} == {
        (Verdict.OMIT, "it may bring answers nowhere: give reply_port of [counterpart], and allow that address")
    }


def test_a_description_says_which_options_are_claimed_and_where_answers_may_go(tmp_path: Path) -> None:
    path = tmp_path / "system.toml"
    path.write_text(f"[options]\n'Document Registry' = ['{ASYNCHRONOUS}']\n[counterpart]\nreply_port = 18446\n")
    system = read_system(path)
    assert system.options == {(Actor.DOCUMENT_REGISTRY, ASYNCHRONOUS)}
    assert system.counterpart is not None
    assert system.counterpart.reply_port == 18446


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[options]\n'Document Registrar' = []", "no actor is called 'Document Registrar'"),
        ("[options]\n'Document Registry' = 'x'", "'Document Registry' is a list of names"),
        ("[counterpart]\nreply_port = 0", "reply_port is a port"),
    ],
)
def test_options_that_cannot_be_used_are_refused(text: str, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "system.toml"
    path.write_text(text)
    with pytest.raises(BadDescription, match=complaint):
        read_system(path)


def test_every_case_of_an_option_counts_for_it_in_the_claims() -> None:
    named = {id for option in read_claims().options if option.name == ASYNCHRONOUS for id in option.cases}
    assert named >= {
        each.id for each in cases() if each.id.endswith(("/brought", "/not_brought")) or each.suite == "asked_elsewhere"
    }
