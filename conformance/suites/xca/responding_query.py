"""ITI-38 at a responding gateway: what a community has, and that it is this community that has it.

What is looked for is submitted first, by ITI-41, to the repository behind the gateway.

Source: ITI TF-2 3.38.
"""

from lxml import etree

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import document, new_uid
from conformance.suites.elsewhere import elsewhere_cases
from conformance.suites.envelope import envelope_cases
from conformance.suites.xds.documents import APPROVED, errors_in, submitted
from conformance.target import Answer, Target, Wrong
from profiles.model.identifiers import Oid
from profiles.model.query import DocumentCriteria, FolderCriteria, SubmissionSetCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.query import ReturnType
from profiles.wire.ebxml.response import ResponseStatus
from profiles.wire.ebxml.rim import RIM
from profiles.xca.iti38 import ITI_38, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti18 import StoredQuery

GATEWAY = Actor.RESPONDING_GATEWAY
Found = Answer[StoredQueryResponse]
HOMED = tuple(f"{{{RIM}}}{name}" for name in ("ExtrinsicObject", "RegistryPackage", "ObjectRef"))


async def a_question(target: Target) -> StoredQueryRequest:
    """FindDocuments of the known patient, whose home need not be said."""
    return StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=_of(target))


ENVELOPE = envelope_cases(__name__, ITI_38, GATEWAY, a_question)
ELSEWHERE = elsewhere_cases(__name__, ITI_38, GATEWAY, a_question)


@case("ITI38/find", transaction="ITI-38", actor=GATEWAY, title="A document of the community is found by its patient")
async def finds(target: Target) -> None:
    """Without a home: the patient's id says whose objects are meant."""
    (one,) = await submitted(target)
    answer = await target.call(ITI_38, await a_question(target))
    expect(_unique_ids(answer), "what is found").contains(one.entry.unique_id)


@case("ITI38/find", transaction="ITI-38", actor=GATEWAY, title="A document is found by its uniqueId at its home")
async def by_unique_id(target: Target) -> None:
    """A question that names no patient names the home."""
    (one, _) = await submitted(target, document(target.patient()), document(target.patient()))
    answer = await _named(target, one.entry.unique_id, home=target.known("home_community_id"))
    expect(_unique_ids(answer), "what is found").equals([one.entry.unique_id])


@case("ITI38/home", transaction="ITI-38", actor=GATEWAY, title="Every object says its home")
async def home_on_objects(target: Target) -> None:
    """Entries of GetAll, and the sets and folders that some communities know, as a URN."""
    await submitted(target)
    patients = (target.patient(),)
    answer = await target.call(
        ITI_38,
        StoredQueryRequest(
            query=StoredQuery.GET_ALL, criteria=_of(target),
            submission_sets=SubmissionSetCriteria(patient_ids=patients, statuses=APPROVED),
            folders=FolderCriteria(patient_ids=patients, statuses=APPROVED),
        ),
    )  # fmt: skip
    expect(answer.response.entries, "entries").is_there()
    _at_home(target, answer)


@case("ITI38/home", transaction="ITI-38", actor=GATEWAY, title="Every reference says its home")
async def home_on_references(target: Target) -> None:
    """ObjectRef instead of entries."""
    await submitted(target)
    answer = await target.call(
        ITI_38,
        StoredQueryRequest(
            query=StoredQuery.FIND_DOCUMENTS, criteria=_of(target), return_type=ReturnType.OBJECT_REF
        ),
    )  # fmt: skip
    expect(answer.response.object_refs, "references").is_there()
    expect(answer.response.entries, "entries").is_absent()
    _at_home(target, answer)


@case("ITI38/missing-home", transaction="ITI-38", actor=GATEWAY, title="A question without patient and home is refused")
async def missing_home(target: Target) -> None:
    """The document is there; nobody said where."""
    (one,) = await submitted(target)
    _fails(target, await _named(target, one.entry.unique_id), "XDSMissingHomeCommunityId")


@case("ITI38/unknown-home", transaction="ITI-38", actor=GATEWAY, title="A home that is not the gateway's is refused")
async def unknown_home(target: Target) -> None:
    """The document is there; another community is asked for it."""
    (one,) = await submitted(target)
    _fails(target, await _named(target, one.entry.unique_id, home=new_uid()), "XDSUnknownCommunity")


@case("ITI38/location", transaction="ITI-38", actor=GATEWAY, title="An error of the registry behind it names the home")
async def error_located(target: Target) -> None:
    """FindDocuments without the status that it needs."""
    without = Wrong(body=lambda body: body.replace(b"$XDSDocumentEntryStatus", b"$NoSuchParameter"))
    answer = await target.call(ITI_38, await a_question(target), wrong=without)
    _fails(target, answer, "XDSStoredQueryMissingParam")


@case("ITI38/unknown-query", transaction="ITI-38", actor=GATEWAY, title="A query that nobody knows is an error")
async def unknown_query(target: Target) -> None:
    """A UUID that is no stored query's."""
    id = StoredQuery.FIND_DOCUMENTS.value.encode()
    other = Wrong(body=lambda body: body.replace(id, b"urn:uuid:00000000-0000-4000-8000-000000000000"))
    _fails(target, await target.call(ITI_38, await a_question(target), wrong=other), "XDSUnknownStoredQuery")


def _of(target: Target) -> DocumentCriteria:
    return DocumentCriteria(patient_ids=(target.patient(),), statuses=APPROVED)


def _unique_ids(answer: Found) -> list[str]:
    expect(answer.response.status, "the status of the query").equals(ResponseStatus.SUCCESS)
    return [each.unique_id for each in answer.response.entries]


async def _named(target: Target, unique_id: str, *, home: str = "") -> Found:
    """GetDocuments by uniqueId, at a home where one is given."""
    request = StoredQueryRequest(
        query=StoredQuery.GET_DOCUMENTS, criteria=DocumentCriteria(unique_ids=(unique_id,)),
        home_community_id=Oid(home) if home else None,
    )  # fmt: skip
    return await target.call(ITI_38, request)


def _at_home(target: Target, answer: Found) -> None:
    """Each object of the list has `@home`, written as a URN: what a decoder makes of it is no proof."""
    home = Oid(target.known("home_community_id")).urn
    assert answer.message is not None
    objects = [each for each in answer.message.body.iter(*HOMED) if _listed(each)]
    expect(objects, "objects").is_there()
    expect({each.get("home") for each in objects}, "@home of the objects").equals({home})


def _listed(element: etree._Element) -> bool:
    parent = element.getparent()
    return parent is not None and etree.QName(parent).localname == "RegistryObjectList"


def _fails(target: Target, answer: Found, code: str) -> None:
    """Failure with this error, every error at the gateway's home, and nothing found."""
    response = answer.response
    expect(response.status, "the status").equals(ResponseStatus.FAILURE)
    expect(errors_in(response.errors), "the error codes").contains(code)
    home = Oid(target.known("home_community_id")).urn
    expect({each.location for each in response.errors}, "the locations of the errors").equals({home})
    expect(response.count, "how many objects came").equals(0)
