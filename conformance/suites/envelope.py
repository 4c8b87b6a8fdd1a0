"""What every SOAP transaction owes whoever asks it, made into cases for one of them.

Source: ITI TF-2 Appendix V; SOAP 1.2 part 1; WS-Addressing 1.0.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from conformance.case import Case, case
from conformance.expect import expect
from conformance.target import Answer, Target, Wrong
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.soap.names import S11, S

NOBODYS_ACTION = "urn:ihe:rad:2009:NoSuchTransaction"
QUERY_ACTION, RETRIEVAL_ACTION = "urn:ihe:iti:2007:RegistryStoredQuery", "urn:ihe:iti:2007:RetrieveDocumentSet"
ODD_HEADER = b'<x:Odd xmlns:x="urn:example:odd" s:mustUnderstand="true"/>'
DOCTYPE = b'<!DOCTYPE s:Envelope [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
LOST_END = b"</s:Envelope>"

Good = Callable[[Target], Awaitable[Any]]
"""Makes a request that is right; what it needs of the target may be made first."""


def replaced(old: str, new: str) -> Wrong:
    """The first `old` in the body is `new`."""
    return Wrong(body=lambda body: body.replace(old.encode(), new.encode(), 1))


def another_action_than(transaction: SoapTransaction[Any, Any]) -> str:
    """An action that the body of this transaction's request contradicts."""
    return RETRIEVAL_ACTION if transaction.request_element.endswith("}AdhocQueryRequest") else QUERY_ACTION


def envelope_cases(suite: str, transaction: SoapTransaction[Any, Any], actor: Actor, good: Good) -> tuple[Case, ...]:
    """The cases of one transaction; `good` makes a request that can be answered well."""
    told: dict[str, Any] = {"transaction": transaction.id, "actor": actor, "suite": suite}
    action = transaction.request_action

    @case("V/action", title="The answer has the action of its transaction", **told)
    async def response_action(target: Target) -> None:
        answer = await target.call(transaction, await good(target))
        expect(answer.action, "wsa:Action").equals(transaction.response_action)

    @case("V/relates-to", title="The answer says which request it answers", **told)
    async def relates_to(target: Target) -> None:
        answer = await target.call(transaction, await good(target))
        expect(answer.relates_to, "wsa:RelatesTo").equals(answer.asked)

    @case("V/packaging", "V/status", title="The answer is packed as its transaction says", **told)
    async def packaging(target: Target) -> None:
        answer = await target.call(transaction, await good(target))
        expect(answer.http_status, "the HTTP status").equals(200)
        expect(answer.packaging, "the packaging").equals(transaction.packaging)

    @case("IHE-WSP211", title="The action parameter of the Content-Type is ignored", **told)
    async def soap_action(target: Target) -> None:
        other = Wrong(
            headers=lambda headers: {
                **headers, "Content-Type": headers["Content-Type"].replace(f'"{action}"', '"urn:ihe:iti:2007:Other"')
            }
        )  # fmt: skip
        answer = await target.call(transaction, await good(target), wrong=other)
        expect(answer.response, "an answer").is_there()

    @case("V/reply-to", title="A request without ReplyTo is answered all the same", **told)
    async def no_reply_to(target: Target) -> None:
        without = Wrong(
            body=lambda body: re.sub(rb"<wsa:ReplyTo>.*?</wsa:ReplyTo>", b"", body, count=1, flags=re.DOTALL)
        )
        answer = await target.call(transaction, await good(target), wrong=without)
        expect(answer.response, "an answer").is_there()

    @case("V/dispatch", title="An action that nobody serves is refused with a fault", **told)
    async def unknown_action(target: Target) -> None:
        is_fault(
            await target.call(transaction, await good(target), wrong=replaced(f">{action}<", f">{NOBODYS_ACTION}<"))
        )

    @case("V/mismatch", title="An action that contradicts the body is refused with a fault", **told)
    async def another_action(target: Target) -> None:
        another = another_action_than(transaction)
        is_fault(await target.call(transaction, await good(target), wrong=replaced(f">{action}<", f">{another}<")))

    @case("V/malformed", title="An envelope without an end is refused with a fault", **told)
    async def broken_xml(target: Target) -> None:
        is_fault(await target.call(transaction, await good(target), wrong=replaced(LOST_END.decode(), "")))

    @case("V/doctype", title="A document type declaration is refused", **told)
    async def document_type(target: Target) -> None:
        hostile = Wrong(body=lambda body: body.replace(b"<s:Envelope", DOCTYPE + b"<s:Envelope", 1))
        answer = await target.call(transaction, await good(target), wrong=hostile)
        expect(answer.decoded, "an answer").is_absent()
        expect(answer.http_status, "the HTTP status").is_one_of(400, 500)

    @case("V/understand", title="A header that must be understood and is not is a fault", **told)
    async def must_understand(target: Target) -> None:
        odd = Wrong(body=lambda body: body.replace(b"</s:Header>", ODD_HEADER + b"</s:Header>", 1))
        answer = await target.call(transaction, await good(target), wrong=odd)
        is_fault(answer, "MustUnderstand")

    @case("V/soap11", title="An envelope of SOAP 1.1 is a version mismatch", **told)
    async def soap11(target: Target) -> None:
        is_fault(await target.call(transaction, await good(target), wrong=replaced(S, S11)), "VersionMismatch")

    return (
        response_action, relates_to, packaging, soap_action, no_reply_to, unknown_action, another_action, broken_xml,
        document_type, must_understand, soap11,
    )  # fmt: skip


def is_fault(answer: Answer[Any], code: str = "") -> None:
    """A SOAP fault came (with this code), and nothing was answered."""
    expect(answer.decoded, "an answer").is_absent()
    expect(answer.fault, "a SOAP fault").is_there()
    expect(answer.http_status, "the HTTP status").is_one_of(400, 500)
    if code:
        assert answer.fault is not None
        expect(answer.fault.codes[:1], "the fault's code").equals((f"{{{S}}}{code}",))
