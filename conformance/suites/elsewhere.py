"""Answers that go elsewhere: what a SOAP transaction owes who asks asynchronously, made into cases for one of them.

Source: ITI TF-2 Appendix V.5; WS-Addressing 1.0 core 3.4.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from conformance.case import Case, case
from conformance.expect import expect
from conformance.suites.envelope import is_fault
from conformance.target import Answer, Target, Wrong
from conformance.verdict import Unclaimed
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.soap.names import ANONYMOUS

ASYNCHRONOUS = "Asynchronous Web Services Exchange"
DEFERRED_RESPONSE = "Deferred Response"
NOWHERE = "/of-nobody"
QUIET_S = 1.0  # in which nothing comes where nothing may be brought: a system that brings does so at once

Good = Callable[[Target], Awaitable[Any]]


def claimed(target: Target, actor: Actor, option: str = ASYNCHRONOUS) -> None:
    """Whether it says that it does so as this actor.

    Raises:
        Unclaimed: It does not.
    """
    if (actor, option) not in target.system.options:
        raise Unclaimed(f"the option {option} of {actor} is not claimed: name it in [options]")


def to(address: str) -> Wrong:
    """A request whose answer is to be brought there."""
    return Wrong(body=lambda body: body.replace(f">{ANONYMOUS}<".encode(), f">{address}<".encode(), 1))


def elsewhere_cases(
    suite: str, transaction: SoapTransaction[Any, Any], actor: Actor, good: Good, *own: str
) -> tuple[Case, ...]:
    """The cases of one transaction; `good` makes a request that can be answered well, `own` are rows of its own."""
    told: dict[str, Any] = {"transaction": transaction.id, "actor": actor, "suite": suite}

    @case("V/elsewhere", "V/taken", *own, title="An answer is brought to the address that the request names", **told)
    async def brought(target: Target) -> None:
        claimed(target, actor)
        address, request = target.mailbox.address, await good(target)
        at_once = await target.call(transaction, request)
        taken = await target.call(transaction, request, wrong=to(address))
        expect((taken.http_status, taken.size_bytes), "status and size of what says that it is taken").equals((202, 0))
        answer = await target.brought(taken.asked, transaction.decode_response)
        _is_the_answer(answer, transaction, address)
        expect(_kept(answer), "the documents").equals(_kept(at_once))

    @case("V/nowhere", title="An answer is brought to no address that was not agreed", **told)
    async def not_brought(target: Target) -> None:
        claimed(target, actor)
        address, request = target.mailbox.address + NOWHERE, await good(target)
        is_fault(await target.call(transaction, request, wrong=to(address)))
        await target.nothing_brought(QUIET_S)

    return brought, not_brought


def _is_the_answer(answer: Answer[Any], transaction: SoapTransaction[Any, Any], address: str) -> None:
    expect(answer.relates_to, "wsa:RelatesTo").equals(answer.asked)
    expect(answer.action, "wsa:Action").equals(transaction.response_action)
    expect(answer.packaging, "the packaging").equals(transaction.packaging)
    expect(answer.response, "an answer").is_there()
    assert answer.message is not None
    addressing = answer.message.addressing
    expect(addressing.to, "wsa:To").equals(address)
    expect(addressing.message_id, "wsa:MessageID").is_there()
    expect(addressing.message_id, "wsa:MessageID").differs_from(answer.asked)


def _kept(answer: Answer[Any]) -> list[tuple[str, str]]:
    return sorted((each.key, each.sop_instance_uid or each.sha1) for each in answer.received)
