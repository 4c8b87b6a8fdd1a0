"""ITI-39 at a responding gateway: documents of a community byte by byte, each with the home that it comes from.

What is fetched is submitted first, by ITI-41, to the repository behind the gateway.

Source: ITI TF-2 3.39.
"""

from collections.abc import Sequence

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import document, new_uid
from conformance.suites.elsewhere import elsewhere_cases
from conformance.suites.envelope import envelope_cases
from conformance.suites.retrieved import home_written, in_schema_order, partial_or_only_successes
from conformance.suites.xds.documents import Fetched, errors_in, submitted
from conformance.target import Target
from profiles.model.identifiers import Oid
from profiles.transaction import Actor
from profiles.wire.ebxml.response import RegistryError, ResponseStatus
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xca.iti39 import ITI_39, RetrieveDocumentSetRequest

GATEWAY = Actor.RESPONDING_GATEWAY


async def one_document(target: Target) -> RetrieveDocumentSetRequest:
    """A request that can be answered well."""
    (one,) = await submitted(target)
    return RetrieveDocumentSetRequest(documents=(_asked(target, one.entry.unique_id),))


ENVELOPE = envelope_cases(__name__, ITI_39, GATEWAY, one_document)
ELSEWHERE = elsewhere_cases(__name__, ITI_39, GATEWAY, one_document)


@case("ITI39/document", transaction="ITI-39", actor=GATEWAY, title="A document comes as it was submitted")
async def comes(target: Target) -> None:
    """Its bytes, its media type, its id."""
    (one,) = await submitted(target, document(target.patient(), "Grüße\r\n--MIMEBoundary\r\n\x00\x01" * 1000))
    answer = await _fetched(target, _asked(target, one.entry.unique_id))
    expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
    expect(answer.response.head.errors, "RegistryErrorList").is_absent()
    expect([each.sha1 for each in answer.received], "the SHA-1 of what came").equals([one.entry.hash])
    expect([each.mime_type for each in answer.response.head.documents], "mimeType").equals(["text/plain"])


@case("ITI39/home", transaction="ITI-39", actor=GATEWAY, title="Every document says the home that it was asked of")
async def home_on_documents(target: Target) -> None:
    """HomeCommunityId of each DocumentResponse."""
    three = await submitted(target, *(document(target.patient()) for _ in range(3)))
    answer = await _fetched(target, *(_asked(target, each.entry.unique_id) for each in three))
    expect([each.key for each in answer.received], "what came").has_same([each.entry.unique_id for each in three])
    expect(home_written(answer), "HomeCommunityId").equals([_home(target).urn] * 3)


@case(
    "ITI39/status", "ITI39/location", transaction="ITI-39", actor=GATEWAY,
    title="A document that is not held keeps no other back",
)  # fmt: skip
async def partly(target: Target) -> None:
    """A partial success whose error names document and home, or a success that tells only of what is held."""
    (one,) = await submitted(target)
    gone = new_uid()
    answer = await _fetched(target, _asked(target, one.entry.unique_id), _asked(target, gone))
    expect([each.key for each in answer.received], "what came").equals([one.entry.unique_id])
    partial_or_only_successes(answer.response.head, "XDSDocumentUniqueIdError")
    _located(target, answer.response.head.errors, gone)


@case(
    "ITI39/status", "ITI39/location", transaction="ITI-39", actor=GATEWAY,
    title="Nothing but unknown documents is a failure",
)  # fmt: skip
async def nothing(target: Target) -> None:
    """An id of nobody."""
    gone = new_uid()
    answer = await _fetched(target, _asked(target, gone))
    _fails(answer, "XDSDocumentUniqueIdError")
    _located(target, answer.response.head.errors, gone)


@case("ITI39/repository", transaction="ITI-39", actor=GATEWAY, title="A repository of nobody is refused")
async def another_repository(target: Target) -> None:
    """The document is held; who is asked for it does not stand behind the gateway."""
    (one,) = await submitted(target)
    answer = await _fetched(target, _asked(target, one.entry.unique_id, repository=new_uid()))
    _fails(answer, "XDSUnknownRepositoryId")
    _located(target, answer.response.head.errors, one.entry.unique_id)


@case("ITI39/missing-home", transaction="ITI-39", actor=GATEWAY, title="A document that is asked of no home is refused")
async def missing_home(target: Target) -> None:
    """Between communities nothing goes without saying."""
    (one,) = await submitted(target)
    asked = DocumentRequest(
        repository_unique_id=target.known("repository_unique_id"), document_unique_id=one.entry.unique_id
    )
    answer = await _fetched(target, asked)
    _fails(answer, "XDSMissingHomeCommunityId")
    _located(target, answer.response.head.errors)


@case("ITI39/unknown-home", transaction="ITI-39", actor=GATEWAY, title="A home that is not the gateway's is refused")
async def unknown_home(target: Target) -> None:
    """Document and repository are right."""
    (one,) = await submitted(target)
    answer = await _fetched(target, _asked(target, one.entry.unique_id, home=Oid(new_uid())))
    _fails(answer, "XDSUnknownCommunity")
    _located(target, answer.response.head.errors)


@case(
    "ITI39/unknown-home", "ITI39/status", transaction="ITI-39", actor=GATEWAY,
    title="One document of a stranger's keeps no other back",
)  # fmt: skip
async def partly_of_strangers(target: Target) -> None:
    """Of two documents that are held, one is asked of another home."""
    ours, theirs = await submitted(target, document(target.patient()), document(target.patient()))
    answer = await _fetched(
        target, _asked(target, ours.entry.unique_id), _asked(target, theirs.entry.unique_id, home=Oid(new_uid()))
    )
    expect([each.key for each in answer.received], "what came").equals([ours.entry.unique_id])
    partial_or_only_successes(answer.response.head, "XDSUnknownCommunity")


@case("ITI39/schema", transaction="ITI-39", actor=GATEWAY, title="The elements of the answer stand in their order")
async def element_order(target: Target) -> None:
    """RegistryResponse first, then each DocumentResponse with its children in the schema's order."""
    in_schema_order(await target.call(ITI_39, await one_document(target)))


def _home(target: Target) -> Oid:
    return Oid(target.known("home_community_id"))


def _asked(target: Target, unique_id: str, *, repository: str = "", home: Oid | None = None) -> DocumentRequest:
    """A document of the target's repository and home, or of those that are given."""
    return DocumentRequest(
        repository_unique_id=repository or target.known("repository_unique_id"), document_unique_id=unique_id,
        home_community_id=home or _home(target),
    )  # fmt: skip


async def _fetched(target: Target, *documents: DocumentRequest) -> Fetched:
    return await target.call(ITI_39, RetrieveDocumentSetRequest(documents=documents))


def _fails(answer: Fetched, code: str) -> None:
    head = answer.response.head
    expect(head.status, "the status").equals(ResponseStatus.FAILURE)
    expect(errors_in(head.errors), "the error codes").contains(code)
    expect(answer.received, "what came").is_absent()


def _located(target: Target, errors: Sequence[RegistryError], unique_id: str = "") -> None:
    """Each error names the gateway's home, and this document; how the two stand together is not said."""
    for each in errors:
        expect(each.location, "the location of the error").contains(_home(target).urn, unique_id)
