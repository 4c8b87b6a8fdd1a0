"""What the suites of XDS.b do to get somewhere: submit a document, find it, fetch it."""

from collections.abc import Sequence
from typing import Any, Protocol

from conformance.expect import expect
from conformance.submissions import Document, document, provided
from conformance.target import Answer, Target
from conformance.verdict import Unreachable
from profiles.findings import Severity
from profiles.model.content import Poured
from profiles.model.document import AvailabilityStatus, DocumentEntry, Submission
from profiles.model.query import DocumentCriteria
from profiles.transaction import SoapTransaction
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti41 import ITI_41
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest, RetrieveDocumentSetResponse

APPROVED = (AvailabilityStatus.APPROVED,)
Fetched = Answer[Poured[RetrieveDocumentSetResponse]]


async def submitted(target: Target, *documents: Document) -> tuple[Document, ...]:
    """Submit documents, one of ours where none is given, in one set.

    Raises:
        Unreachable: They are not taken: what the case is about cannot be tried.
    """
    chosen = documents or (document(target.patient()),)
    answer = await target.call(ITI_41, provided(target.patient(), *chosen))
    if answer.decoded is None or answer.decoded.status is not ResponseStatus.SUCCESS:
        raise Unreachable("a document that is right is not taken by ITI-41: see repository_provide")
    return chosen


async def found(target: Target, query: StoredQuery = StoredQuery.GET_DOCUMENTS, **asked: Any) -> StoredQueryResponse:
    """The answer to a query, which must be a success."""
    request = StoredQueryRequest(query=query, **asked)
    response = (await target.call(ITI_18, request)).response
    expect(response.status, "the status of the query").equals(ResponseStatus.SUCCESS)
    return response


async def entries_of(target: Target, *unique_ids: str) -> dict[str, DocumentEntry]:
    """The entries of these documents by unique id, whatever their status."""
    response = await found(target, criteria=DocumentCriteria(unique_ids=unique_ids))
    return {each.unique_id: each for each in response.entries}


async def entry_of(target: Target, unique_id: str) -> DocumentEntry:
    """The entry of a document that must be there."""
    found = (await entries_of(target, unique_id)).get(unique_id)
    expect(found, "the entry of a document that was taken").is_there()
    assert found is not None
    return found


async def fetched(target: Target, *unique_ids: str, repository: str = "", home: bool = False) -> Fetched:
    """Documents by ITI-43 from the target's repository, or from one that is named."""
    at = repository or target.known("repository_unique_id")
    own = target.system.home_community_id if home else None
    return await target.call(
        ITI_43,
        RetrieveDocumentSetRequest(
            documents=tuple(
                DocumentRequest(repository_unique_id=at, document_unique_id=uid, home_community_id=own)
                for uid in unique_ids
            )
        ),
    )


class Submitting(Protocol):
    """A request that brings registry objects."""

    @property
    def submission(self) -> Submission:
        """What it brings."""
        ...


async def refused(
    target: Target, request: Submitting, *codes: str, by: SoapTransaction[Any, RegistryResponse] = ITI_41
) -> None:
    """A submission that fails with one of these codes, and leaves nothing behind."""
    response = (await target.call(by, request)).response
    failed(response, *codes)
    uids = tuple(entry.unique_id for entry in request.submission.entries)
    if uids and all(uids):
        expect(await entries_of(target, *uids), "what the registry has of it").is_absent()


def failed(response: RegistryResponse, *codes: str) -> None:
    """Failure, with an error of one of these codes (with any, where none is given)."""
    expect(response.status, "the status").equals(ResponseStatus.FAILURE)
    came = errors_in(response.errors)
    expect(came, "the error codes").is_there()
    if codes and not set(codes) & set(came):
        expect(came[0], "the error code").is_one_of(*codes)


def errors_in(errors: Sequence[RegistryError]) -> list[str]:
    """The codes of those that are errors and no warnings."""
    return [error.code for error in errors if error.severity is Severity.ERROR]
