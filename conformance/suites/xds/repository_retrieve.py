"""ITI-43 at a document repository: what is asked for, and only that, byte by byte.

Source: ITI TF-2 3.43.
"""

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import document, new_uid
from conformance.suites.elsewhere import elsewhere_cases
from conformance.suites.envelope import envelope_cases
from conformance.suites.retrieved import in_schema_order
from conformance.suites.xds.documents import Fetched, errors_in, fetched, submitted
from conformance.target import Target
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest

REPOSITORY = Actor.DOCUMENT_REPOSITORY


async def one_document(target: Target) -> RetrieveDocumentSetRequest:
    """A request that can be answered well."""
    (one,) = await submitted(target)
    asked = DocumentRequest(
        repository_unique_id=target.known("repository_unique_id"), document_unique_id=one.entry.unique_id
    )
    return RetrieveDocumentSetRequest(documents=(asked,))


ENVELOPE = envelope_cases(__name__, ITI_43, REPOSITORY, one_document)
ELSEWHERE = elsewhere_cases(__name__, ITI_43, REPOSITORY, one_document)


@case("ITI43/document", transaction="ITI-43", actor=REPOSITORY, title="A document comes as it was submitted")
async def comes(target: Target) -> None:
    """Its bytes, its media type, its id."""
    (one,) = await submitted(target, document(target.patient(), "Grüße\r\n--MIMEBoundary\r\n\x00\x01" * 1000))
    answer = await fetched(target, one.entry.unique_id)
    expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
    expect(answer.response.head.errors, "RegistryErrorList").is_absent()
    expect([each.sha1 for each in answer.received], "the SHA-1 of what came").equals([one.entry.hash])
    expect([each.mime_type for each in answer.response.head.documents], "mimeType").equals(["text/plain"])


@case("ITI43/document", transaction="ITI-43", actor=REPOSITORY, title="Several documents come in one answer")
async def several(target: Target) -> None:
    """Each once, in whatever order."""
    three = await submitted(target, *(document(target.patient()) for _ in range(3)))
    answer = await fetched(target, *(each.entry.unique_id for each in three))
    expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
    expect([each.key for each in answer.received], "what came").has_same([each.entry.unique_id for each in three])


@case(
    "ITI43/status",
    "ITI43/unknown",
    transaction="ITI-43",
    actor=REPOSITORY,
    title="A document that is not held makes a partial success",
)
async def partly(target: Target) -> None:
    """What is held comes all the same."""
    (one,) = await submitted(target)
    gone = new_uid()
    answer = await fetched(target, one.entry.unique_id, gone)
    head = answer.response.head
    expect(head.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
    expect([each.key for each in answer.received], "what came").equals([one.entry.unique_id])
    expect([error.location for error in head.errors], "the locations of the errors").equals([gone])
    expect(errors_in(head.errors), "the error codes").equals(["XDSDocumentUniqueIdError"])


@case(
    "ITI43/status",
    "ITI43/unknown",
    transaction="ITI-43",
    actor=REPOSITORY,
    title="Nothing but unknown documents is a failure",
)
async def nothing(target: Target) -> None:
    """An id of nobody."""
    _fails(await fetched(target, new_uid()), "XDSDocumentUniqueIdError")


@case("ITI43/repository", transaction="ITI-43", actor=REPOSITORY, title="Another repository's document is refused")
async def another_repository(target: Target) -> None:
    """The document is held; who is asked for it is not."""
    (one,) = await submitted(target)
    _fails(await fetched(target, one.entry.unique_id, repository=new_uid()), "XDSUnknownRepositoryId")


@case("ITI43/home", transaction="ITI-43", actor=REPOSITORY, title="A home community comes back as it was asked")
async def home_echoed(target: Target) -> None:
    """The repository's own."""
    (one,) = await submitted(target)
    home = target.known("home_community_id")
    answer = await fetched(target, one.entry.unique_id, home=True)
    expect([str(each.home_community_id) for each in answer.response.head.documents], "HomeCommunityId").equals([home])


@case("ITI43/home", transaction="ITI-43", actor=REPOSITORY, title="No home community is invented")
async def home_absent(target: Target) -> None:
    """Asked without one."""
    (one,) = await submitted(target)
    answer = await fetched(target, one.entry.unique_id)
    expect([each.home_community_id for each in answer.response.head.documents], "HomeCommunityId").equals([None])


@case("ITI43/schema", transaction="ITI-43", actor=REPOSITORY, title="The elements of the answer stand in their order")
async def element_order(target: Target) -> None:
    """RegistryResponse first, then each DocumentResponse with its children in the schema's order."""
    in_schema_order(await fetched(target, (await submitted(target))[0].entry.unique_id))


def _fails(answer: Fetched, code: str) -> None:
    head = answer.response.head
    expect(head.status, "the status").equals(ResponseStatus.FAILURE)
    expect(errors_in(head.errors), "the error codes").contains(code)
    expect(answer.received, "what came").is_absent()
