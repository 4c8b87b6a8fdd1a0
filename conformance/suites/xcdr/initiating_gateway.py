"""ITI-80 as an initiating gateway asks it: what its own people submit for another community (ITI-41) goes on to it whole.

Source: ITI TF-2 3.80.4.1.
"""

import hashlib
from dataclasses import replace
from typing import Any

from conformance.case import case
from conformance.expect import expect
from conformance.submissions import document, new_uid, provided
from conformance.suites.asking import well_addressed
from conformance.suites.communities import Listening, communities
from conformance.suites.xds.documents import entries_of, errors_in
from conformance.target import Target
from profiles.findings import Severity
from profiles.model.document import DocumentEntry
from profiles.model.identifiers import Oid
from profiles.transaction import Actor
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus
from profiles.xcdr.iti80 import ITI_80, ProvideAndRegisterRequest
from profiles.xds.iti41 import ITI_41

GATEWAY = Actor.INITIATING_GATEWAY


@case(
    "IHE-WSA101", "IHE-WSA102", "V/packaging", transaction="ITI-80", actor=GATEWAY,
    title="A submission between communities is addressed as it must be",
)  # fmt: skip
async def addressed(target: Target) -> None:
    """Action, ReplyTo, MessageID; MTOM."""
    north, _ = communities(target)
    listening = Listening(target)
    await _submitted(target, _for(target, north.home))
    well_addressed(listening.once(north, ITI_80), ITI_80)


@case(
    "ITI80/asks-whole", "ITI80/asks-named", transaction="ITI-80", actor=GATEWAY,
    title="A submission goes on whole, to the community that it names",
)  # fmt: skip
async def whole(target: Target) -> None:
    """Entries, set and bytes as they came; nobody else gets them."""
    north, south = communities(target)
    request = _for(target, north.home)
    listening = Listening(target)
    answer = await _submitted(target, request)
    came: ProvideAndRegisterRequest = listening.once(north, ITI_80).request
    listening.nothing(ITI_80, by=[south])
    expect(answer.status, "the status").equals(ResponseStatus.SUCCESS)
    expect(answer.errors, "RegistryErrorList").is_absent()
    expect([_plain(each) for each in came.submission.entries], "the entries").has_same(
        [_plain(each) for each in request.submission.entries]
    )
    sent, got = request.submission.submission_set, came.submission.submission_set
    expect((got.unique_id, got.source_id, got.patient_id), "the submission set's ids").equals(
        (sent.unique_id, sent.source_id, sent.patient_id)
    )
    expect(await _hashes(came), "the SHA-1 of each document").equals(
        {each.unique_id: each.hash for each in request.submission.entries}
    )


@case("ITI80/asks-home", transaction="ITI-80", actor=GATEWAY, title="A submission names the community that it is for")
async def home_named(target: Target) -> None:
    """Who takes it may speak for several."""
    north, _ = communities(target)
    listening = Listening(target)
    await _submitted(target, _for(target, north.home))
    request: ProvideAndRegisterRequest = listening.once(north, ITI_80).request
    expect(request.home_community_id, "homeCommunityId").equals(north.home)


@case(
    "ITI80/asks-named", transaction="ITI-80", actor=GATEWAY, title="What is for the gateway's own community stays here"
)
async def own_home(target: Target) -> None:
    """It is registered, and nobody else gets it."""
    both = communities(target)
    request = _for(target, Oid(target.known("home_community_id")))
    listening = Listening(target)
    answer = await _submitted(target, request)
    expect(answer.status, "the status").equals(ResponseStatus.SUCCESS)
    listening.nothing(ITI_80, by=both)
    uids = [each.unique_id for each in request.submission.entries]
    expect((await entries_of(target, *uids)).keys(), "what is registered").contains(*uids)


@case(
    "ITI80/asks-unknown-home", transaction="ITI-80", actor=GATEWAY,
    title="A submission for a home that nobody answers for is refused",
)  # fmt: skip
async def unknown_home(target: Target) -> None:
    """And kept by nobody."""
    both = communities(target)
    listening = Listening(target)
    request = _for(target, Oid(new_uid()))
    _fails(await _submitted(target, request), "XDSUnknownCommunity")
    listening.nothing(ITI_80, by=both)
    uids = [each.unique_id for each in request.submission.entries]
    expect(await entries_of(target, *uids), "what the registry has of it").is_absent()


@case("ITI80/tells-refusal", transaction="ITI-80", actor=GATEWAY, title="What the community refuses is told as refused")
async def refused(target: Target) -> None:
    """With its code."""
    north, _ = communities(target)

    async def refuses(request: ProvideAndRegisterRequest) -> RegistryResponse:
        error = RegistryError(code="XDSPatientIdDoesNotMatch", context="Not ours")
        return RegistryResponse(status=ResponseStatus.FAILURE, errors=(error,))

    with north.instead(ITI_80, refuses):
        answer = await _submitted(target, _for(target, north.home))
    _fails(answer, "XDSPatientIdDoesNotMatch")


@case("ITI80/tells-warning", transaction="ITI-80", actor=GATEWAY, title="What the community warns of is told")
async def queued(target: Target) -> None:
    """It took the submission, and a person will look at it."""
    north, _ = communities(target)

    async def queues(request: ProvideAndRegisterRequest) -> RegistryResponse:
        warning = RegistryError(code="DocumentQueued", context="Later", severity=Severity.WARNING)
        return RegistryResponse(status=ResponseStatus.SUCCESS, errors=(warning,))

    with north.instead(ITI_80, queues):
        answer = await _submitted(target, _for(target, north.home))
    expect(answer.status, "the status").equals(ResponseStatus.SUCCESS)
    expect([(each.code, each.severity) for each in answer.errors], "what it warns of").equals(
        [("DocumentQueued", Severity.WARNING)]
    )


@case(
    "ITI80/tells-unavailable", transaction="ITI-80", actor=GATEWAY,
    title="A community that hangs up has taken nothing, and is named",
)  # fmt: skip
async def gone(target: Target) -> None:
    """XDSUnavailableCommunity, or UnavailableRecipient where one is named."""
    north, _ = communities(target)
    with north.instead(ITI_80, north.gone):
        answer = await _submitted(target, _for(target, north.home))
    _fails(answer, "XDSUnavailableCommunity", "UnavailableRecipient")
    expect([each.location for each in answer.errors], "the location of the error").equals([north.home.urn])


def _for(target: Target, home: Oid) -> ProvideAndRegisterRequest:
    """Two documents of the known patient, for this community."""
    patient = target.patient()
    return replace(provided(patient, document(patient), document(patient)), home_community_id=home)


async def _submitted(target: Target, request: ProvideAndRegisterRequest) -> RegistryResponse:
    return (await target.call(ITI_41, request, at=GATEWAY)).response


def _plain(entry: DocumentEntry) -> dict[str, Any]:
    """What a source says of a document; ids of this message alone may change."""
    names = (
        "unique_id", "patient_id", "source_patient_id", "class_code", "type_code", "format_code", "mime_type", "title",
        "hash", "size_bytes", "creation_time", "confidentiality_codes", "language_code", "healthcare_facility_type_code",
        "practice_setting_code",
    )  # fmt: skip
    return {name: getattr(entry, name) for name in names}


async def _hashes(request: ProvideAndRegisterRequest) -> dict[str, str]:
    uids = {each.entry_uuid: each.unique_id for each in request.submission.entries}
    bodies = {
        uids.get(uuid, uuid): b"".join([chunk async for chunk in content.open()])
        for uuid, content in request.documents.items()
    }
    return {uid: hashlib.sha1(body, usedforsecurity=False).hexdigest() for uid, body in bodies.items()}


def _fails(answer: RegistryResponse, *codes: str) -> None:
    """Failure, with one error of one of these codes."""
    expect(answer.status, "the status").equals(ResponseStatus.FAILURE)
    came = errors_in(answer.errors)
    expect(len(came), "how many errors").equals(1)
    expect(came[0], "the error code").is_one_of(*codes)
