"""What is asked of everybody who asks by SOAP, and how a system is made to ask.

Source: ITI TF-2 Appendix V.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

from lxml import etree

from conformance.case import Case, case
from conformance.expect import expect
from conformance.in_flight import Incoming
from conformance.simulators.imaging_community import Offered
from conformance.simulators.soap_server import Asked
from conformance.suites.wia.dicomweb import new_study
from conformance.target import Target
from conformance.verdict import Failed
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.response import RegistryError, ResponseStatus
from profiles.wire.soap.names import ENVELOPE, HEADER, MUST_UNDERSTAND, WSA

TRUE = frozenset({"1", "true"})
FAULT = (
    rb"\1<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code>"
    rb'<s:Reason><s:Text xml:lang="en">The simulator was told to fail</s:Text></s:Reason>'
    rb"<s:Detail>\2</s:Detail></s:Fault>\3"
)
LOST_END = b"</s:Envelope>"
ANOTHER, END_OF_RELATION = b"-another", b"</wsa:RelatesTo>"

Given = TypeVar("Given")
Facts = Mapping[str, str]


class Errand(Generic[Given]):
    """Something that a system can be made to do, which ends in a request by one transaction, or begins with it."""

    def __init__(
        self,
        what: str,
        transaction: SoapTransaction[Any, Any],
        given: Callable[[Target], Awaitable[tuple[Given, Facts]]],
        wanted: Callable[[Given, Asked], bool] = lambda given, asked: True,
    ) -> None:
        """`what` is the word for it; `given` prepares it, and answers what is compared and the facts that it needs.

        `wanted` tells the request from others that it makes meanwhile.
        """
        self.what = what
        self.transaction = transaction
        self._given = given
        self._wanted = wanted

    async def asked(self, target: Target) -> tuple[Given, Asked]:
        """Have it done, once for all cases; answers what was given, and what was asked."""

        async def make() -> tuple[Given, int]:
            given, facts = await self._given(target)
            return given, await target.provoke(self.what, **facts)

        given, before = await target.once(self.what, make)
        return given, await target.asked(self.transaction, before, lambda each: self._wanted(given, each))

    async def otherwise(
        self, target: Target, *, response: Any = None, spoil: Callable[[Incoming], Incoming] | None = None
    ) -> str:
        """Have it done with an answer that is no success; answers what it says of it, "" where it says that it did so.

        Raises:
            Failed: It did not ask.
        """
        given, facts = await self._given(target)
        counterpart = target.community.counterpart
        before = len(counterpart.asked)
        with counterpart.otherwise(self.transaction.id, response=response, spoil=spoil):
            said = await target.attempt(self.what, **facts)
        mine = [
            each
            for each in counterpart.asked[before:]
            if each.transaction == self.transaction.id and (each.request is None or self._wanted(given, each))
        ]
        if not mine:
            raise Failed(f"expected to be asked by {self.transaction.id}; it says: {said or 'that it did so'}")
        for each in mine:
            target.heard("of the system", each)
        return said


def asking_cases(
    suite: str,
    actor: Actor,
    errand: Errand[Any],
    *,
    rules: str,
    told: str,
    refusals: Mapping[str, Any],
) -> tuple[Case, ...]:
    """What every request by a transaction must be, and what becomes of an answer that is no success.

    Args:
        suite: The suite that they belong to.
        actor: Who asks.
        errand: What makes it ask.
        rules: The row of what stands in a request.
        told, refusals: See `answer_cases`.
    """
    transaction = errand.transaction
    common: dict[str, Any] = {"transaction": transaction.id, "actor": actor, "suite": suite}

    @case("IHE-WSA101", "IHE-WSA102", "V/packaging", title="The request is addressed as it must be", **common)
    async def addressed(target: Target) -> None:
        well_addressed((await errand.asked(target))[1], transaction)

    @case(rules, title="Nothing about the request is odd", **common)
    async def nothing_odd(target: Target) -> None:
        expect((await errand.asked(target))[1].findings, "what is odd").is_absent()

    return addressed, nothing_odd, *answer_cases(suite, actor, errand, told=told, refusals=refusals)


def answer_cases(
    suite: str, actor: Actor, errand: Errand[Any], *, told: str, refusals: Mapping[str, Any]
) -> tuple[Case, ...]:
    """What becomes of an answer that is no success.

    Args:
        suite: The suite that they belong to.
        actor: Who asks.
        errand: What makes it ask.
        told: The row of whom a refusal is told.
        refusals: Responses that say no, or what makes one of the right answer; what they say is the key.
    """
    common: dict[str, Any] = {"transaction": errand.transaction.id, "actor": actor, "suite": suite}

    @case(told, title="An answer that says no is told as that", **common)
    async def refusal_told(target: Target) -> None:
        for text, response in refusals.items():
            wrong = {"spoil": response} if callable(response) else {"response": response}
            said = await errand.otherwise(target, **wrong)
            expect(said, f"a complaint about {text}").is_there()

    @case("V/fault", title="A SOAP fault, or an answer without an end, is not taken for success", **common)
    async def broken_told(target: Target) -> None:
        for text, spoil in (("a SOAP fault", faulty), ("an envelope without an end", unended)):
            said = await errand.otherwise(target, spoil=spoil)
            expect(said, f"a complaint about {text}").is_there()

    @case("V/others", title="An answer to another request is not taken for the answer", **common)
    async def others_told(target: Target) -> None:
        said = await errand.otherwise(target, spoil=to_another)
        expect(said, "a complaint about an answer to another request").is_there()

    return refusal_told, broken_told, others_told


def faulty(answer: Incoming) -> Incoming:
    """A SOAP fault in the place of what would be answered, which is its detail."""
    body = re.sub(rb"(<s:Body[^>]*>)(.*)(</s:Body>)", FAULT, answer.body, flags=re.DOTALL)
    return replace(answer, status=500, body=body)


def to_another(answer: Incoming) -> Incoming:
    """It says that it answers another request."""
    return replace(answer, body=answer.body.replace(END_OF_RELATION, ANOTHER + END_OF_RELATION, 1))


def unended(answer: Incoming) -> Incoming:
    """The end of the envelope is not there."""
    return replace(answer, body=answer.body.replace(LOST_END, b"", 1))


def cx(patient: PatientIdentifier) -> str:
    """As a program or a person is told of it."""
    return f"{patient.value}^^^&{patient.authority}&ISO"


def text_file(target: Target, text: str, name: str = "text.txt") -> Path:
    """A document of nobody, to be submitted."""
    path = target.scratch() / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(code: str) -> tuple[RegistryError, ...]:
    """The errors of an answer that says no."""
    return (RegistryError(code=code, context="The simulator was told to say no"),)


NOT_WHOLE = ResponseStatus.PARTIAL_SUCCESS  # where it is all or nothing: no answer that the Framework has


async def offered(target: Target, *, series: int = 2, instances: int = 3) -> Offered:
    """A study of the known patient that the community has, and the system has never seen."""
    study = await new_study(target, series=series, instances=instances)
    return target.community.offer(study, target.patient())


async def fetched(target: Target) -> tuple[Offered, int]:
    """Make the system fetch a study, once for all cases; answers it, and how many requests had come before."""

    async def make() -> tuple[Offered, int]:
        offer = await offered(target)
        patient = offer.manifest.entry.patient_id
        before = await target.provoke("fetch", study=offer.study.study_instance_uid, patient=cx(patient))
        return offer, before

    return await target.once("fetch", make)


async def asked_for(
    target: Target, transaction: SoapTransaction[Any, Any], wanted: Callable[[Asked], bool] = lambda _: True
) -> tuple[Offered, Asked]:
    """A request of this transaction that the system makes while it fetches a study."""
    offer, before = await fetched(target)
    return offer, await target.asked(transaction, before, wanted)


def well_addressed(asked: Asked, transaction: SoapTransaction[Any, Any]) -> None:
    """Action that must be understood (IHE-WSA101), ReplyTo (IHE-WSA102), MessageID, and the transaction's packaging."""
    assert asked.message is not None
    root = asked.message.body.getroottree().getroot()
    expect(str(root.tag), "the root").equals(ENVELOPE)
    header = root.find(HEADER)
    expect(header is not None, "whether there is a header").equals(True)
    assert header is not None
    action = header.find(f"{{{WSA}}}Action")
    expect(None if action is None else (action.text or "").strip(), "wsa:Action").equals(transaction.request_action)
    assert action is not None
    expect(action.get(MUST_UNDERSTAND, "") in TRUE, "whether wsa:Action must be understood").equals(True)
    expect(header.findtext(f"{{{WSA}}}ReplyTo/{{{WSA}}}Address"), "wsa:ReplyTo").is_there()
    expect(header.findtext(f"{{{WSA}}}MessageID"), "wsa:MessageID").is_there()
    expect(asked.packaging, "the packaging").equals(transaction.packaging)


def local_names(element: etree._Element) -> list[str]:
    """The names of the children, without their namespace."""
    return [etree.QName(child).localname for child in element]
