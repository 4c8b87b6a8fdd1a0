"""The suite of the Answers port, on every store."""

from dataclasses import replace
from datetime import timedelta

from gateway.ports.answers import Given, MessageName
from gateway.ports.store import Store
from tests.support.registered import NOW

NAME = MessageName(sender="Lakeside", application="ADT", facility="LAKE", control_id="M1")
GIVEN = Given(name=NAME, digest=b"\x01" * 32, at=NOW, answer=b"MSH|^~\\&|\rMSA|AA|M1\r")


async def test_an_answer_comes_back_as_it_was_given(store: Store) -> None:
    async with store.unit() as work:
        assert await work.answers.keep(GIVEN)
    async with store.view() as work:
        assert await work.answers.get(NAME) == GIVEN
        for other in ("sender", "application", "facility", "control_id"):
            assert await work.answers.get(replace(NAME, **{other: "other"})) is None


async def test_the_first_answer_stays_unless_it_is_to_be_replaced(store: Store) -> None:
    other = replace(GIVEN, digest=b"\x02" * 32, answer=b"other")
    async with store.unit() as work:
        assert await work.answers.keep(GIVEN)
        assert not await work.answers.keep(other)
        assert await work.answers.get(NAME) == GIVEN
        assert await work.answers.keep(other, replace=True)
        assert await work.answers.get(NAME) == other


async def test_old_answers_go_the_oldest_first_and_never_more_than_asked(store: Store) -> None:
    async with store.unit() as work:
        for number in range(5):
            name, at = replace(NAME, control_id=str(number)), NOW - timedelta(days=number)
            await work.answers.keep(replace(GIVEN, name=name, at=at))
        assert await work.answers.prune(NOW, 2) == 2
        there = [number for number in range(5) if await work.answers.get(replace(NAME, control_id=str(number)))]
        assert there == [0, 1, 2]
        assert await work.answers.prune(NOW, 9) == 2
        assert await work.answers.prune(NOW, 9) == 0
