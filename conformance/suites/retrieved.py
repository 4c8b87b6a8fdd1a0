"""What every answer with documents must have; ITI-43 and RAD-69 share their response.

Source: ITI TF-2 3.43.5; XDS.b_DocumentRepository.xsd.
"""

from lxml import etree

from conformance.expect import expect
from conformance.target import Answer
from profiles.model.content import Poured
from profiles.wire.ebxml.response import ResponseStatus
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse
from profiles.wire.ebxml.rim import XDS

ORDER = (
    "HomeCommunityId", "RepositoryUniqueId", "DocumentUniqueId", "NewRepositoryUniqueId", "NewDocumentUniqueId",
    "mimeType", "Document",
)  # fmt: skip


def in_schema_order(answer: Answer[Poured[RetrieveDocumentSetResponse]]) -> None:
    """RegistryResponse first, then at least one DocumentResponse, with its children in the schema's order."""
    expect(answer.response.head.documents, "DocumentResponse").is_there()
    assert answer.message is not None
    first, *documents = answer.message.body
    expect(etree.QName(first).localname, "the first element").equals("RegistryResponse")
    for document in documents:
        expect(str(document.tag), "what follows").equals(f"{{{XDS}}}DocumentResponse")
        names = [etree.QName(child).localname for child in document]
        expect(names, "the children of DocumentResponse").contains("RepositoryUniqueId", "DocumentUniqueId", "mimeType")
        expect(names, "the children of DocumentResponse").equals([name for name in ORDER if name in names])


def partial_or_only_successes(head: RetrieveDocumentSetResponse, code: str) -> None:
    """A gateway tells of what failed beside what it hands out, or of nothing but that.

    Source: ITI TF-2 3.39.4.1.3; RAD75-003.
    """
    if head.status is ResponseStatus.SUCCESS:
        expect(head.errors, "the errors of a success").is_absent()
        return
    expect(head.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
    expect([each.code for each in head.errors], "the error codes").equals([code])


def home_written(answer: Answer[Poured[RetrieveDocumentSetResponse]]) -> list[str | None]:
    """HomeCommunityId of each document as it stands there: what a decoder makes of it is no proof of how it is written."""
    assert answer.message is not None
    documents = answer.message.body.findall(f"{{{XDS}}}DocumentResponse")
    return [each.findtext(f"{{{XDS}}}HomeCommunityId") for each in documents]
