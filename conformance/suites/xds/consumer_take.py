"""ITI-43 as a document consumer hears the answer: a document is taken where it is the one that was asked for, and whole.

Source: ITI TF-2 3.43.4.2; ITI TF-3 4.2.3.2 (hash), 4.2.4.
"""

import re
from dataclasses import replace

from conformance.case import case
from conformance.expect import expect
from conformance.in_flight import Incoming
from conformance.suites.asking import Errand, Facts, answer_cases
from conformance.target import Target
from profiles.model.document import DocumentEntry
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti43 import ITI_43

CONSUMER = Actor.DOCUMENT_CONSUMER
SUCCESS = f'status="{ResponseStatus.SUCCESS}">'.encode()
FAILURE = (
    f'status="{ResponseStatus.FAILURE}"><rs:RegistryErrorList><rs:RegistryError errorCode="XDSRepositoryError" '
    'codeContext="The simulator was told to say no" severity="urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error"/>'
    "</rs:RegistryErrorList>"
).encode()
ANOTHER = b".999"


async def _held(target: Target) -> tuple[DocumentEntry, Facts]:
    entry = target.community.hold(target.patient()).entry
    return entry, {"document": entry.unique_id, "file": str(target.scratch() / f"{entry.unique_id}.txt")}


GET = Errand("get", ITI_43, _held)


def refusing(answer: Incoming) -> Incoming:
    """The status is a failure, with its reason."""
    return replace(answer, body=answer.body.replace(SUCCESS, FAILURE))


def another_document(answer: Incoming) -> Incoming:
    """The document that comes has another uniqueId."""
    return replace(answer, body=re.sub(rb"(<xds:DocumentUniqueId>[^<]*)", rb"\1" + ANOTHER, answer.body))


def other_bytes(answer: Incoming) -> Incoming:
    """The last letter of the document is another one."""
    return replace(answer, body=re.sub(rb"\.\n(?=\r\n--)", b"!\n", answer.body))


CASES = answer_cases(__name__, CONSUMER, GET, told="ITI43/asks-told", refusals={"a failure": refusing})


@case(
    "ITI43/asks-own",
    transaction="ITI-43",
    actor=CONSUMER,
    title="A document that was not asked for is not taken for the one that was",
)
async def another(target: Target) -> None:
    """Its uniqueId is another one."""
    said = await GET.otherwise(target, spoil=another_document)
    expect(said, "a complaint about another document").is_there()


@case(
    "ITI43/asks-hash",
    transaction="ITI-43",
    actor=CONSUMER,
    title="A document whose hash is not that of its entry is not taken for it",
)
async def changed(target: Target) -> None:
    """One letter of it is another one."""
    said = await GET.otherwise(target, spoil=other_bytes)
    expect(said, "a complaint about other bytes").is_there()
