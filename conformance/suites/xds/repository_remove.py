"""ITI-86 at a document repository: documents go, all that are named or none.

What a newcomer gets wrong: this is about bytes. What the registry says of them is another request's business (ITI-62),
which usually comes first.

Source: ITI TF-2 3.86 (Remove Metadata and Documents).
"""

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import Document, new_uid
from conformance.suites.envelope import envelope_cases
from conformance.suites.xds.documents import errors_in, failed, fetched, submitted
from conformance.target import Target
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti86 import ITI_86, DocumentRequest, RemoveDocumentsRequest

REPOSITORY = Actor.DOCUMENT_REPOSITORY
GONE = ("XDSDocumentUniqueIdError", "XDSRemoveDocumentsError")


async def one_removal(target: Target) -> RemoveDocumentsRequest:
    """A removal that is right."""
    (one,) = await submitted(target)
    return _named(target, one.entry.unique_id)


ENVELOPE = envelope_cases(__name__, ITI_86, REPOSITORY, one_removal)


@case("ITI86/removed", transaction="ITI-86", actor=REPOSITORY, title="A document that is removed is not handed out")
async def removed(target: Target) -> None:
    """Whoever asks is told that it is not there."""
    (one,) = await submitted(target)
    await _done(target, one.entry.unique_id)
    answer = await fetched(target, one.entry.unique_id)
    expect(answer.received, "what came").is_absent()
    expect(answer.response.head.status, "the status").equals(ResponseStatus.FAILURE)
    expect(errors_in(answer.response.head.errors), "the error codes").equals(["XDSDocumentUniqueIdError"])


@case("ITI86/removed", transaction="ITI-86", actor=REPOSITORY, title="Several documents are removed at once")
async def several(target: Target) -> None:
    """And another one is not."""
    first, second, stays = await _three(target)
    await _done(target, first.entry.unique_id, second.entry.unique_id)
    await _are_left(target, (first, second, stays), stays)


@case("ITI86/unknown", transaction="ITI-86", actor=REPOSITORY, title="A document that is not there is not removed")
async def unknown(target: Target) -> None:
    """A uniqueId of nobody."""
    response = (await target.call(ITI_86, _named(target, new_uid()))).response
    failed(response, *GONE)


@case("ITI86/unknown", transaction="ITI-86", actor=REPOSITORY, title="A document that is removed is not removed again")
async def twice(target: Target) -> None:
    """It is not there any more."""
    (one,) = await submitted(target)
    await _done(target, one.entry.unique_id)
    failed((await target.call(ITI_86, _named(target, one.entry.unique_id))).response, *GONE)


@case(
    "ITI86/repository", transaction="ITI-86", actor=REPOSITORY, title="A document of another repository is not removed"
)
async def another_repository(target: Target) -> None:
    """Of the same uniqueId as one that is here."""
    (one,) = await submitted(target)
    request = _named(target, one.entry.unique_id, repository=new_uid())
    failed((await target.call(ITI_86, request)).response, "XDSUnknownRepositoryId", "XDSRemoveDocumentsError")
    await _are_left(target, (one,), one)


@case("ITI86/atomic", transaction="ITI-86", actor=REPOSITORY, title="One document that is not there keeps all others")
async def atomic(target: Target) -> None:
    """One that is there, and one of nobody."""
    (one,) = await submitted(target)
    failed((await target.call(ITI_86, _named(target, one.entry.unique_id, new_uid()))).response, *GONE)
    await _are_left(target, (one,), one)


async def _three(target: Target) -> tuple[Document, Document, Document]:
    (first,), (second,), (third,) = [await submitted(target) for _ in range(3)]
    return first, second, third


def _named(target: Target, *unique_ids: str, repository: str = "") -> RemoveDocumentsRequest:
    at = repository or target.known("repository_unique_id")
    return RemoveDocumentsRequest(
        documents=tuple(DocumentRequest(repository_unique_id=at, document_unique_id=each) for each in unique_ids)
    )


async def _done(target: Target, *unique_ids: str) -> None:
    response = (await target.call(ITI_86, _named(target, *unique_ids))).response
    expect(errors_in(response.errors), "the errors").is_absent()
    expect(response.status, "the status").equals(ResponseStatus.SUCCESS)


async def _are_left(target: Target, asked: tuple[Document, ...], *left: Document) -> None:
    """Of these documents, those are still handed out, as they were."""
    answer = await fetched(target, *(each.entry.unique_id for each in asked))
    expect([(each.key, each.sha1) for each in answer.received], "what is left").has_same(
        [(each.entry.unique_id, each.entry.hash) for each in left]
    )
