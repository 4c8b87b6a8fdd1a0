"""ITI-38 as an initiating gateway asks it: who is asked what, and what of the answers comes back as one.

Its own people ask it by ITI-18.

Source: ITI TF-2 3.38.4.1.2, 3.38.4.1.3, 3.18.4.1.3.
"""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from conformance.case import Case, case
from conformance.expect import expect
from conformance.simulators.foreign_community import ForeignCommunity
from conformance.submissions import folder, new_uid, submission
from conformance.suites.asking import well_addressed
from conformance.suites.communities import Listening, communities, complains, meeting, offered
from conformance.suites.xca.responding_query import HOMED
from conformance.suites.xds.documents import APPROVED, submitted
from conformance.target import Answer, Target
from profiles.model.codes import MANIFEST_FORMAT
from profiles.model.identifiers import Oid
from profiles.model.query import DocumentCriteria, SubmissionSetCriteria
from profiles.transaction import Actor
from profiles.wire.ebxml.response import RegistryError, ResponseStatus
from profiles.wire.ebxml.rim import RIM
from profiles.xca.iti38 import ITI_38, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti18 import ITI_18, ReturnType, StoredQuery

GATEWAY = Actor.INITIATING_GATEWAY
Found = Answer[StoredQueryResponse]


@case(
    "IHE-WSA101", "IHE-WSA102", "V/packaging", transaction="ITI-38", actor=GATEWAY,
    title="A query between communities is addressed as it must be",
)  # fmt: skip
async def addressed(target: Target) -> None:
    """Action, ReplyTo, MessageID; plain SOAP."""
    north, _ = communities(target)
    listening = Listening(target)
    await _asked(target, _find(target))
    well_addressed(listening.once(north, ITI_38), ITI_38)


@case(
    "ITI38/asks-all", "ITI38/merge", transaction="ITI-38", actor=GATEWAY,
    title="A query of a patient goes to every community, and comes back as one",
)  # fmt: skip
async def everybody(target: Target) -> None:
    """What the system has itself stands beside it."""
    both = communities(target)
    theirs = [(await offered(target, each)).manifest.entry.unique_id for each in both]
    (own,) = await submitted(target)
    listening = Listening(target)
    answer = await _asked(target, _find(target))
    for each in both:
        listening.once(each, ITI_38)
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)
    expect(answer.response.errors, "RegistryErrorList").is_absent()
    expect([each.unique_id for each in answer.response.entries], "what is found").contains(*theirs, own.entry.unique_id)


@case(
    "ITI38/asks-patient", transaction="ITI-38", actor=GATEWAY,
    title="Each community is asked by the id that it knows the patient by",
)  # fmt: skip
async def patient(target: Target) -> None:
    """North's is ours; South has told its own (ITI-55)."""
    north, south = communities(target)
    listening = Listening(target)
    await _asked(target, _find(target))
    for each in (north, south):
        request: StoredQueryRequest = listening.once(each, ITI_38).request
        expect(request.criteria.patient_ids, f"the patient that {each.name} is asked for").equals((each.patient,))


@case("ITI38/asks-parameters", transaction="ITI-38", actor=GATEWAY, title="All parameters of a query are passed on")
async def parameters(target: Target) -> None:
    """But for the patient's id: query, status, format, return type."""
    both = communities(target)
    listening = Listening(target)
    asked = _find(target, format_codes=(replace(MANIFEST_FORMAT, display=""),))
    await _asked(target, replace(asked, return_type=ReturnType.OBJECT_REF))
    for each in both:
        came: StoredQueryRequest = listening.once(each, ITI_38).request
        expect((came.query, came.return_type), "the query and what it returns").equals(
            (asked.query, ReturnType.OBJECT_REF)
        )
        expect(replace(came.criteria, patient_ids=()), "the parameters").equals(
            replace(asked.criteria, patient_ids=())
        )  # fmt: skip


@case(
    "ITI38/asks-named", transaction="ITI-38", actor=GATEWAY,
    title="Where a home is named only that community is asked",
)  # fmt: skip
async def named(target: Target) -> None:
    """Not the other one, and not what is here."""
    north, south = communities(target)
    theirs = [(await offered(target, each)).manifest.entry.unique_id for each in (north, south)]
    await submitted(target)
    listening = Listening(target)
    answer = await _asked(target, replace(_find(target), home_community_id=north.home))
    listening.once(north, ITI_38)
    listening.nothing(ITI_38, by=[south])
    expect([each.unique_id for each in answer.response.entries], "what is found").equals(theirs[:1])


@case(
    "ITI38/asks-named", transaction="ITI-38", actor=GATEWAY,
    title="Where the gateway's own home is named nobody else is asked",
)  # fmt: skip
async def own_home(target: Target) -> None:
    """What is here comes, with that home."""
    both = communities(target)
    for each in both:
        await offered(target, each)
    (own,) = await submitted(target)
    ours = Oid(target.known("home_community_id"))
    listening = Listening(target)
    answer = await _asked(target, replace(_find(target), home_community_id=ours))
    listening.nothing(ITI_38, by=both)
    expect([each.unique_id for each in answer.response.entries], "what is found").contains(own.entry.unique_id)
    expect({each.home_community_id for each in answer.response.entries}, "the homes").equals({ours})


@case(
    "ITI38/asks-home", transaction="ITI-38", actor=GATEWAY,
    title="A query without a patient names the home of the community that is asked",
)  # fmt: skip
async def home_passed_on(target: Target) -> None:
    """GetDocuments by entryUUID, which means nothing elsewhere."""
    north, south = communities(target)
    entry = (await offered(target, north)).manifest.entry
    listening = Listening(target)
    answer = await _asked(target, _get(entry.entry_uuid, north.home))
    request: StoredQueryRequest = listening.once(north, ITI_38).request
    expect(request.home_community_id, "AdhocQuery/@home").equals(north.home)
    expect(request.criteria.entry_uuids, "what is asked for").equals((entry.entry_uuid,))
    listening.nothing(ITI_38, by=[south])
    expect([each.unique_id for each in answer.response.entries], "what is found").equals([entry.unique_id])


@case(
    "ITI38/asks-missing-home", transaction="ITI-38", actor=GATEWAY,
    title="A query without patient and home is refused, and asked of nobody",
)  # fmt: skip
async def missing_home(target: Target) -> None:
    """XDSMissingHomeCommunityId."""
    north, south = communities(target)
    entry = (await offered(target, north)).manifest.entry
    listening = Listening(target)
    answer = await _asked(target, _get(entry.entry_uuid, None))
    _fails(answer, "XDSMissingHomeCommunityId")
    listening.nothing(ITI_38, by=[north, south])


@case(
    "ITI38/asks-unknown-home", transaction="ITI-38", actor=GATEWAY,
    title="A home that nobody answers for is refused, and asked of nobody else",
)  # fmt: skip
async def unknown_home(target: Target) -> None:
    """XDSUnknownCommunity."""
    north, south = communities(target)
    entry = (await offered(target, north)).manifest.entry
    listening = Listening(target)
    answer = await _asked(target, _get(entry.entry_uuid, Oid(new_uid())))
    _fails(answer, "XDSUnknownCommunity")
    listening.nothing(ITI_38, by=[north, south])


@case("ITI38/merge-home", transaction="ITI-38", actor=GATEWAY, title="Every object that comes back says its home")
async def home_on_objects(target: Target) -> None:
    """As a URN: that of its community, and ours on what is here."""
    north, south = communities(target)
    theirs = {(await offered(target, each)).manifest.entry.unique_id: each.home for each in (north, south)}
    (own,) = await submitted(target)
    answer = await _asked(target, _find(target))
    ours = Oid(target.known("home_community_id"))
    _say_homes(answer)
    homes = {each.unique_id: each.home_community_id for each in answer.response.entries}
    expect({uid: home for uid, home in homes.items() if uid in theirs}, "the homes of what is elsewhere").equals(
        {**theirs}
    )
    expect(homes.get(own.entry.unique_id), "the home of what is here").equals(ours)


@case("ITI38/merge-home", transaction="ITI-38", actor=GATEWAY, title="Every reference that comes back says its home")
async def home_on_references(target: Target) -> None:
    """ObjectRef instead of entries."""
    north, south = communities(target)
    theirs = {(await offered(target, each)).manifest.entry.entry_uuid: each.home for each in (north, south)}
    await submitted(target)
    answer = await _asked(target, replace(_find(target), return_type=ReturnType.OBJECT_REF))
    _say_homes(answer)
    homes = {each.entry_uuid: each.home_community_id for each in answer.response.object_refs}
    expect({uuid: home for uuid, home in homes.items() if uuid in theirs}, "the homes of what is elsewhere").equals(
        {**theirs}
    )
    expect(set(homes.values()), "the homes").contains(Oid(target.known("home_community_id")))


@case(
    "ITI38/merge-home", transaction="ITI-38", actor=GATEWAY, title="Sets and folders that come back say their home too"
)
async def home_on_sets(target: Target) -> None:
    """Of a community that knows such."""
    north, _ = communities(target)
    theirs = submission(north.patient, [], folders=[folder(north.patient)])

    async def packed(request: StoredQueryRequest) -> StoredQueryResponse:
        return StoredQueryResponse(
            submission_sets=(replace(theirs.submission_set, home_community_id=north.home),),
            folders=tuple(replace(each, home_community_id=north.home) for each in theirs.folders),
        )

    asked = StoredQueryRequest(
        query=StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS, home_community_id=north.home,
        submission_sets=SubmissionSetCriteria(unique_ids=(theirs.submission_set.unique_id,)),
    )  # fmt: skip
    with north.instead(ITI_38, packed):
        answer = await _asked(target, asked)
    sets, folders = answer.response.submission_sets, answer.response.folders
    came = [(each.unique_id, each.home_community_id) for each in sets]
    came += [(each.unique_id, each.home_community_id) for each in folders]
    expect(came, "sets and folders, and their homes").has_same(
        [(theirs.submission_set.unique_id, north.home), *((each.unique_id, north.home) for each in theirs.folders)]
    )
    _say_homes(answer)


@case(
    "ITI38/merge-missing-home", transaction="ITI-38", actor=GATEWAY,
    title="What a community tells without its home does not come back as anybody's",
)  # fmt: skip
async def homeless(target: Target) -> None:
    """The gateway says so, naming the community; what others told comes all the same."""
    north, south = communities(target)
    theirs = [(await offered(target, each)).manifest.entry.unique_id for each in (north, south)]

    async def forgets(request: StoredQueryRequest) -> StoredQueryResponse:
        found = await north.query(request)
        return replace(found, entries=tuple(replace(each, home_community_id=None) for each in found.entries))

    with north.instead(ITI_38, forgets):
        answer = await _asked(target, _find(target))
    expect(answer.response.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
    complains(answer.response.errors, ("XDSMissingHomeCommunityId", north.home.urn))
    came = [each.unique_id for each in answer.response.entries if each.unique_id in theirs]
    expect(came, "what is found elsewhere").equals(theirs[1:])
    _say_homes(answer)


@case(
    "ITI38/merge-partial", transaction="ITI-38", actor=GATEWAY,
    title="An error of one community stands beside what another one tells",
)  # fmt: skip
async def partly(target: Target) -> None:
    """As it was told, with its location."""
    north, south = communities(target)
    theirs = (await offered(target, south)).manifest.entry.unique_id

    async def fails(request: StoredQueryRequest) -> StoredQueryResponse:
        error = RegistryError(code="XDSRegistryOutOfResources", context="No", location=north.home.urn)
        return StoredQueryResponse(status=ResponseStatus.FAILURE, errors=(error,))

    with north.instead(ITI_38, fails):
        answer = await _asked(target, _find(target))
    _partly(answer, theirs, "XDSRegistryOutOfResources", north)


def _unavailable(name: str, title: str, conduct: str, reason: str) -> Case:
    async def body(target: Target) -> None:
        north, south = communities(target)
        theirs = (await offered(target, south)).manifest.entry.unique_id
        with north.instead(ITI_38, getattr(north, conduct)):
            answer = await _asked(target, _find(target))
        _partly(answer, theirs, "XDSUnavailableCommunity", north)

    body.__name__, body.__doc__ = name, reason
    return case(
        "ITI38/merge-unavailable", transaction="ITI-38", actor=GATEWAY, title=title, suite=__name__
    )(body)  # fmt: skip


UNAVAILABLE = (
    _unavailable("silent", "A community that says nothing is given up, and named", "silent", "Others came in time."),
    _unavailable("gone", "A community that hangs up is named", "gone", "XDSUnavailableCommunity."),
)


@case(
    "ITI38/merge-partial", transaction="ITI-38", actor=GATEWAY,
    title="A community that answers with a SOAP fault is named",
)  # fmt: skip
async def faulty(target: Target) -> None:
    """Whatever the code is."""
    north, south = communities(target)
    theirs = (await offered(target, south)).manifest.entry.unique_id
    with north.instead(ITI_38, north.faulty):
        answer = await _asked(target, _find(target))
    expect(answer.response.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
    expect([each.location for each in answer.response.errors], "the locations of the errors").equals([north.home.urn])
    expect([each.unique_id for each in answer.response.entries], "what is found").contains(theirs)


@case(
    "ITI38/merge-partial", transaction="ITI-38", actor=GATEWAY,
    title="A community that fails and gives no reason is named all the same",
)  # fmt: skip
async def unexplained(target: Target) -> None:
    """Whatever the code is: that nothing was found is not true."""
    north, south = communities(target)
    theirs = (await offered(target, south)).manifest.entry.unique_id

    async def curt(request: StoredQueryRequest) -> StoredQueryResponse:
        return StoredQueryResponse(status=ResponseStatus.FAILURE)

    with north.instead(ITI_38, curt):
        answer = await _asked(target, _find(target))
    expect(answer.response.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
    expect([each.location for each in answer.response.errors], "the locations of the errors").equals([north.home.urn])
    expect([each.unique_id for each in answer.response.entries], "what is found").contains(theirs)


@case(
    "ITI38/merge-unknown-patient", transaction="ITI-38", actor=GATEWAY,
    title="Whom one community does not know is no error of the whole",
)  # fmt: skip
async def unknown_patient(target: Target) -> None:
    """XDSUnknownPatientId is left out."""
    north, south = communities(target)
    theirs = (await offered(target, south)).manifest.entry.unique_id

    async def nobody(request: StoredQueryRequest) -> StoredQueryResponse:
        error = RegistryError(code="XDSUnknownPatientId", context="Who is that?", location=north.home.urn)
        return StoredQueryResponse(status=ResponseStatus.FAILURE, errors=(error,))

    with north.instead(ITI_38, nobody):
        answer = await _asked(target, _find(target))
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)
    expect(answer.response.errors, "RegistryErrorList").is_absent()
    expect([each.unique_id for each in answer.response.entries], "what is found").contains(theirs)


@case("ITI38/together", transaction="ITI-38", actor=GATEWAY, title="Communities are asked side by side")
async def together(target: Target) -> None:
    """Each answers when the other has been asked too."""
    north, south = communities(target)
    theirs = [(await offered(target, each)).manifest.entry.unique_id for each in (north, south)]
    first, second = meeting(north.query, south.query)
    with ExitStack() as stack:
        stack.enter_context(north.instead(ITI_38, first))
        stack.enter_context(south.instead(ITI_38, second))
        answer = await _asked(target, _find(target))
    expect(answer.response.errors, "RegistryErrorList").is_absent()
    expect([each.unique_id for each in answer.response.entries], "what is found").contains(*theirs)


def _find(target: Target, **criteria: Any) -> StoredQueryRequest:
    """What there is of the known patient."""
    told = DocumentCriteria(patient_ids=(target.patient(),), statuses=APPROVED, **criteria)
    return StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=told)


def _get(entry_uuid: str, home: Oid | None) -> StoredQueryRequest:
    return StoredQueryRequest(
        query=StoredQuery.GET_DOCUMENTS, criteria=DocumentCriteria(entry_uuids=(entry_uuid,)), home_community_id=home
    )


async def _asked(target: Target, request: StoredQueryRequest) -> Found:
    return await target.call(ITI_18, request, at=GATEWAY)


def _partly(answer: Found, theirs: str, code: str, failed: ForeignCommunity) -> None:
    expect(answer.response.status, "the status").equals(ResponseStatus.PARTIAL_SUCCESS)
    complains(answer.response.errors, (code, failed.home.urn))
    expect([each.unique_id for each in answer.response.entries], "what is found").contains(theirs)


def _fails(answer: Found, code: str) -> None:
    expect(answer.response.status, "the status").equals(ResponseStatus.FAILURE)
    expect([each.code for each in answer.response.errors], "the error codes").equals([code])
    expect(answer.response.count, "how many objects came").equals(0)


def _say_homes(answer: Found) -> None:
    """Every object has a home, as a URN: what a decoder makes of it is no proof of how it is written."""
    assert answer.message is not None
    objects = answer.message.body.find(f"{{{RIM}}}RegistryObjectList")
    written = [each.get("home", "") for each in (objects if objects is not None else ()) if each.tag in HOMED]
    expect(written, "objects").is_there()
    expect([each for each in written if not each.startswith("urn:oid:")], "homes that are no URN").is_absent()
