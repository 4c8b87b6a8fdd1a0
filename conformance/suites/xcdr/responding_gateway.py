"""ITI-80 at a responding gateway: what another community brings is registered here, or refused whole.

Source: ITI TF-2 3.80.4.1; ITI TF-3 4.2.4.
"""

from dataclasses import replace

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import Document, document, new_uid, provided
from conformance.suites.elsewhere import elsewhere_cases
from conformance.suites.envelope import envelope_cases
from conformance.suites.xds.documents import entries_of, failed, fetched
from conformance.target import Target
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.transaction import Actor
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xcdr.iti80 import ITI_80, ProvideAndRegisterRequest

GATEWAY = Actor.RESPONDING_GATEWAY


def _brought(target: Target, *documents: Document, unique_id: str = "") -> ProvideAndRegisterRequest:
    """Documents of the known patient, for the system's community."""
    request = provided(
        target.patient(), *(documents or (document(target.patient()),)), unique_id=unique_id or new_uid()
    )  # fmt: skip
    return replace(request, home_community_id=Oid(target.known("home_community_id")))


async def one_document(target: Target) -> ProvideAndRegisterRequest:
    """A submission that is right."""
    return _brought(target)


ENVELOPE = envelope_cases(__name__, ITI_80, GATEWAY, one_document)
ELSEWHERE = elsewhere_cases(__name__, ITI_80, GATEWAY, one_document)


@case(
    "ITI80/store", transaction="ITI-80", actor=GATEWAY, title="What another community brings is found and fetched here"
)
async def taken(target: Target) -> None:
    """By the registry and the repository behind the gateway."""
    two = [document(target.patient()) for _ in range(2)]
    answer = await target.call(ITI_80, _brought(target, *two))
    expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)
    uids = [each.entry.unique_id for each in two]
    expect((await entries_of(target, *uids)).keys(), "what is registered").contains(*uids)
    came = (await fetched(target, *uids)).received
    expect([each.sha1 for each in came], "the SHA-1 of what came").has_same([each.entry.hash for each in two])


@case("ITI80/home", transaction="ITI-80", actor=GATEWAY, title="A submission that names no community is refused")
async def missing_home(target: Target) -> None:
    """XDSMissingHomeCommunityId."""
    await _refused(target, replace(_brought(target), home_community_id=None), "XDSMissingHomeCommunityId")


@case("ITI80/unknown-home", transaction="ITI-80", actor=GATEWAY, title="A submission for a home of nobody is refused")
async def unknown_home(target: Target) -> None:
    """XDSUnknownCommunity."""
    await _refused(target, replace(_brought(target), home_community_id=Oid(new_uid())), "XDSUnknownCommunity")


@case("ITI80/patient", transaction="ITI-80", actor=GATEWAY, title="A patient whom nobody knows is refused")
async def unknown_patient(target: Target) -> None:
    """Of the community's own authority."""
    nobody = PatientIdentifier(value=f"nobody-{new_uid()[-12:]}", authority=target.patient().authority)
    request = replace(
        provided(nobody, document(nobody)), home_community_id=Oid(target.known("home_community_id"))
    )  # fmt: skip
    await _refused(target, request, "XDSUnknownPatientId")


@case("ITI80/whole", transaction="ITI-80", actor=GATEWAY, title="A document that is not what its entry says is refused")
async def wrong_hash(target: Target) -> None:
    """Of two, the second has another's hash; the first is not taken either."""
    right, other = document(target.patient()), document(target.patient())
    lying = replace(other, entry=replace(other.entry, hash=right.entry.hash))
    await _refused(
        target, _brought(target, right, lying), "XDSRepositoryMetadataError", "XDSNonIdenticalHash"
    )  # fmt: skip


@case("ITI80/whole", transaction="ITI-80", actor=GATEWAY, title="An entry without its document is refused")
async def missing_document(target: Target) -> None:
    """The metadata of two, the bytes of one."""
    request = _brought(target, document(target.patient()), document(target.patient()))
    first = next(iter(request.documents))
    await _refused(target, replace(request, documents={first: request.documents[first]}), "XDSMissingDocument")


@case("ITI80/set", transaction="ITI-80", actor=GATEWAY, title="A submission set's uniqueId is good once")
async def set_twice(target: Target) -> None:
    """With another document."""
    uid = new_uid()
    first = await target.call(ITI_80, _brought(target, unique_id=uid))
    expect(first.response.status, "the status of the first").equals(ResponseStatus.SUCCESS)
    await _refused(target, _brought(target, unique_id=uid), "XDSDuplicateUniqueIdInRegistry")


async def _refused(target: Target, request: ProvideAndRegisterRequest, *codes: str) -> None:
    """A failure with one of these codes, that leaves nothing behind."""
    failed((await target.call(ITI_80, request)).response, *codes)
    uids = [entry.unique_id for entry in request.submission.entries]
    expect(await entries_of(target, *uids), "what the registry has of it").is_absent()
