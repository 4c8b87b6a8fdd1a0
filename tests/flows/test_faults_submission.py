"""Submissions that are wrong: what the sender reads, and what the house notes. Nothing of them is kept.

Source: ITI TF-2 3.41.4.1.3 and 3.42.4.1.3, ITI TF-3 table 4.2.4.1-2; RAD TF-2 4.68; SOAP 1.2 part 1, 5.4.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from conformance.samples import SampleStudy
from profiles.model.document import STUDY_INSTANCE_UID, ReferenceId
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import PersonName
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xdsi.rad68 import ResponseStatus
from tests.support.scenario import (
    DOMAIN,
    DOMAIN_ID,
    LAKESIDE_ID,
    OTHER_ID,
    REPOSITORY,
    SOMEBODY_ELSE,
    VALLEY_ID,
    VALLEY_REPOSITORY,
    ZEBEDIAH,
    Message,
    Offer,
    World,
    manifest_of,
    message_of,
    new_oid,
    offer_of,
    rad68,
    world,
)

ACTION = b"urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b</wsa:Action>"


async def good(here: World) -> Message:
    """A submission without fault, of a patient who is known."""
    await here.valley.tell(ZEBEDIAH)
    return await rad68(offer_of(here.study()))


async def test_what_the_others_spoil_is_accepted_when_it_is_not_spoiled(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        message = await good(here)
        before = here.valley.kept()
        reply = await here.valley.post("/soap/document-recipient", message)
        assert reply.status == 200
        assert await reply.codes() == ()
        assert (await here.valley.rests("done", "failed"))["state"] == "done"
        after = here.valley.kept()
        assert len(after.rows["instances"]) == 6
        assert len(after.rows["entries"]) == len(before.rows["entries"]) + 1


# --- framing and envelope: a fault ------------------------------------------------------------------------------------


def cut_short(message: Message) -> Message:
    return replace(message, body=message.body[:-40])


def without_its_last_part(message: Message) -> Message:
    boundary = re.search(rb"--(MIMEBoundary_\w+)", message.body)
    assert boundary is not None
    first, *_ = message.body.split(b"--" + boundary.group(1))[1:]
    return replace(message, body=b"--" + boundary.group(1) + first + b"--" + boundary.group(1) + b"--\r\n")


def with_another_boundary(message: Message) -> Message:
    return replace(message, content_type=message.content_type.replace("MIMEBoundary_", "Another_"))


def with_one_content_id_twice(message: Message) -> Message:
    ids = re.findall(rb"Content-ID: <([^>]+)>", message.body)
    return message.spoiled(b"Content-ID: <" + ids[1] + b">", b"Content-ID: <" + ids[0] + b">")


def with_doctype(message: Message) -> Message:
    return message.spoiled(b"<s:Envelope", b'<!DOCTYPE s:Envelope SYSTEM "http://127.0.0.1:9/x.dtd"><s:Envelope')


def with_entity_bomb(message: Message) -> Message:
    lol = b"".join(b'<!ENTITY l%d "%s">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 12))
    bomb = b'<!DOCTYPE b [<!ENTITY l0 "Quillfeather">' + lol + b"]><s:Envelope"
    return message.spoiled(b"<s:Envelope", bomb).spoiled(b"<s:Body>", b"<s:Body>&l11;")


def with_external_entity(message: Message) -> Message:
    stolen = b'<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/passwd">]><s:Envelope'
    return message.spoiled(b"<s:Envelope", stolen).spoiled(b"<s:Body>", b"<s:Body>&x;")


def with_unclosed_tags(message: Message) -> Message:
    return message.spoiled(b"</s:Body>", b"")


def deeply_nested(message: Message) -> Message:
    return message.spoiled(b"<s:Body>", b"<s:Body>" + b"<x>" * 5000)


def with_unknown_action(message: Message) -> Message:
    return message.spoiled(ACTION, b"urn:ihe:iti:2007:Nothing</wsa:Action>")


def with_the_action_of_another_transaction(message: Message) -> Message:
    return message.spoiled(ACTION, b"urn:ihe:iti:2007:RetrieveDocumentSet</wsa:Action>")


def with_an_unknown_header(message: Message) -> Message:
    header = b'<o:Odd xmlns:o="urn:odd" s:mustUnderstand="true">Quillfeather</o:Odd></s:Header>'
    return message.spoiled(b"</s:Header>", header)


def as_soap_1_1(message: Message) -> Message:
    return message.spoiled(b"http://www.w3.org/2003/05/soap-envelope", b"http://schemas.xmlsoap.org/soap/envelope/")


def as_something_else(message: Message) -> Message:
    return replace(message, content_type="text/plain")


@pytest.mark.parametrize(
    ("spoil", "codes"),
    [
        (cut_short, ("Sender",)),
        (without_its_last_part, ("Sender",)),
        (with_another_boundary, ("Sender",)),
        (with_one_content_id_twice, ("Sender",)),
        (with_doctype, ("Sender",)),
        (with_entity_bomb, ("Sender",)),
        (with_external_entity, ("Sender",)),
        (with_unclosed_tags, ("Sender",)),
        (deeply_nested, ("Sender",)),
        (with_unknown_action, ("Sender", "ActionNotSupported")),
        (with_the_action_of_another_transaction, ("Sender", "ActionNotSupported")),
        (with_an_unknown_header, ("MustUnderstand",)),
        (as_soap_1_1, ("VersionMismatch",)),
        (as_something_else, ("Sender",)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
async def test_what_cannot_be_read_is_a_fault_and_leaves_one_note(
    tmp_path: Path, spoil: object, codes: tuple[str, ...]
) -> None:
    assert callable(spoil)
    async with world(tmp_path) as here:
        message = spoil(await good(here))
        async with here.valley.refusing() as refused:
            reply = await here.valley.post(REPOSITORY, message)
            assert await reply.fault == codes
            assert reply.status == (400 if codes[0] == "Sender" else 500)
        assert b"Quillfeather" not in reply.body
        assert b"root:" not in reply.body
        assert refused.step["direction"] == "in"


async def test_a_root_part_beyond_the_limit_is_a_fault(tmp_path: Path) -> None:
    async with world(tmp_path, limits={"soap_root_bytes": 100_000}) as here:
        message = (await good(here)).spoiled(b"<s:Body>", b"<s:Body><!--" + b" " * 200_000 + b"-->")
        async with here.valley.refusing() as refused:
            reply = await here.valley.post(REPOSITORY, message)
            assert await reply.fault == ("Sender",)
        assert "100000" in refused.step["why"]


async def test_a_flood_of_rubbish_is_answered_each_time_and_noted_sixty_times_a_minute(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        message = cut_short(await good(here))
        before = here.valley.kept()
        for _ in range(80):
            assert (await here.valley.post(REPOSITORY, message)).status == 400
        after = here.valley.kept()
        assert after.clinical == before.clinical
        assert len(after.steps) - len(before.steps) == 60
        assert len(after.audit) - len(before.audit) == 60


# --- documents and metadata: the transaction's own words --------------------------------------------------------------


def wrong_hash(offer: Offer) -> Offer:
    return offer.entry(hash="0" * 40)


def wrong_size(offer: Offer) -> Offer:
    return offer.entry(size_bytes=len(offer.body) + 1)


def another_document(offer: Offer) -> Offer:
    return offer.entry(unique_id=new_oid())


def another_study(offer: Offer) -> Offer:
    return offer.entry(reference_ids=(ReferenceId(value="1.2.3.4.5.6", type=STUDY_INSTANCE_UID),))


def another_patient(offer: Offer) -> Offer:
    known = offer.submission.entries[0].source_patient_id
    assert known is not None
    return offer.entry(source_patient_id=PatientIdentifier(value="X1", authority=known.authority))


def no_manifest_at_all(offer: Offer) -> Offer:
    body = b"this is no DICOM file" * 20
    return replace(offer, body=body).entry(hash="", size_bytes=None)


@pytest.mark.parametrize(
    ("spoil", "codes"),
    [
        (wrong_hash, ("XDSRepositoryMetadataError",)),
        (wrong_size, ("XDSRepositoryMetadataError",)),
        (another_document, ("InvalidDocumentContent",)),
        (another_study, ("InvalidDocumentContent",)),
        (another_patient, ("InvalidDocumentContent",)),
        (no_manifest_at_all, ("InvalidDocumentContent",)),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
@pytest.mark.parametrize("door", ["/soap/document-recipient", REPOSITORY])
async def test_a_document_that_is_not_what_its_metadata_says_is_refused(
    tmp_path: Path, spoil: object, codes: tuple[str, ...], door: str
) -> None:
    assert callable(spoil)
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = spoil(offer_of(here.study(), patient_id=DOMAIN_ID))
        async with here.valley.refusing():
            reply = await here.valley.provide(offer, door=door)
            answer = await reply.registered()
            assert answer.status is ResponseStatus.FAILURE
            assert tuple(error.code for error in answer.errors) == codes
        assert here.source.asked == []


async def test_the_same_document_id_with_other_bytes_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study()
        first = offer_of(study)
        assert await (await here.valley.provide(first)).codes() == ()
        await here.valley.rests("done")
        fewer = replace(study, series=study.series[:1])
        other = offer_of(study, manifest=replace(manifest_of(fewer), sop_instance_uid=first.manifest.sop_instance_uid))
        async with here.valley.refusing():
            reply = await here.valley.provide(other)
            assert await reply.codes() == ("XDSNonIdenticalHash",)


async def test_the_same_submission_set_again_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = offer_of(here.study())
        assert await (await here.valley.provide(offer)).codes() == ()
        await here.valley.rests("done")
        async with here.valley.refusing():
            reply = await here.valley.provide(offer)
            assert await reply.codes() == ("XDSDuplicateUniqueIdInRegistry",)


async def test_the_same_manifest_in_a_new_submission_set_is_a_second_entry_and_no_second_transfer(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = offer_of(here.study())
        assert await (await here.valley.provide(offer)).codes() == ()
        first = await here.valley.rests("done")
        asked = len(here.source.asked)
        assert await (await here.valley.provide(offer.again())).codes() == ()
        second = await here.valley.rests("done")
        assert second["id"] != first["id"]
        kept = here.valley.kept()
        assert len(kept.rows["entries"]) == 2
        assert len(kept.rows["instances"]) == 6
        assert len(here.source.asked) == asked


# --- whose it is ------------------------------------------------------------------------------------------------------


async def test_an_unknown_patient_is_refused_where_the_peer_is_to_be_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = here.study()
        async with here.valley.refusing():
            reply = await here.valley.provide(offer_of(study), peer="Strict")
            assert await reply.codes() == ("XDSUnknownPatientId",)


async def test_an_unknown_patient_is_held_and_unseen_until_released(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = here.study()
        offer = offer_of(study)
        reply = await here.valley.provide(offer)
        answer = await reply.registered()
        assert answer.status is ResponseStatus.SUCCESS
        assert tuple(error.code for error in answer.errors) == ("DocumentQueued",)
        held = await here.valley.exchange()
        assert held["state"] == "held"
        assert held["reason"]
        assert held["cure"]
        assert (await here.valley.ask("GET", "/studies")) == []
        assert here.source.asked == []
        assert await manifest_at(here, offer) == ("XDSDocumentUniqueIdError",)
        async with here.valley.http.get(
            here.valley.url + f"/fhir/r4/ImagingStudy?identifier=urn:dicom:uid|urn:oid:{study.study_instance_uid}"
        ) as found:
            assert (await found.json(content_type=None))["total"] == 0
        await here.valley.tell(ZEBEDIAH)
        await here.valley.ask("POST", f"/exchanges/{held['id']}/release", {"person": "clerk"})
        done = await here.valley.rests("done")
        assert len(here.valley.kept().rows["instances"]) == 6
        assert done["patient_id"] == str(VALLEY_ID)
        assert await manifest_at(here, offer) == ()


async def manifest_at(here: World, offer: Offer) -> tuple[str, ...]:
    """What our repository complains of when somebody asks it for what was offered (ITI-43)."""
    unique_id = offer.submission.entries[0].unique_id
    asked = DocumentRequest(repository_unique_id=VALLEY_REPOSITORY, document_unique_id=unique_id)
    reply = await here.valley.post(REPOSITORY, await message_of(ITI_43, RetrieveDocumentSetRequest(documents=(asked,))))
    head, _ = await reply.retrieved()
    return tuple(error.code for error in head.errors)


NEVER_FED = PatientIdentifier(value="NEVERFED", authority=Oid("1.2.4.9"))


def only_the_manifest_tells(study: SampleStudy, mine: PatientIdentifier = NEVER_FED, **told: object) -> Offer:
    """Metadata with an id that nobody knows and no sourcePatientInfo; the manifest names LAKESIDE_ID beside it."""
    manifest = manifest_of(study)
    patient = replace(manifest.patient, identifiers=(mine, LAKESIDE_ID), **told)  # type: ignore[arg-type]
    offer = offer_of(study, patient_id=mine, manifest=replace(manifest, patient=patient))
    return offer.entry(source_patient=None)


NO_DEMOGRAPHICS = {"name": PersonName(), "birth_date": None}


async def test_an_id_that_only_the_manifest_has_finds_the_patient(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(replace(ZEBEDIAH, identifiers=(*ZEBEDIAH.identifiers, LAKESIDE_ID)))
        offer = only_the_manifest_tells(here.study(), **NO_DEMOGRAPHICS)
        assert await (await here.valley.provide(offer)).codes() == ()
        assert (await here.valley.rests("done"))["patient_id"] == str(VALLEY_ID)


async def test_without_any_id_that_is_known_and_without_demographics_the_manifest_is_held(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = only_the_manifest_tells(here.study(), **NO_DEMOGRAPHICS)
        assert await (await here.valley.provide(offer)).codes() == ("DocumentQueued",)


async def test_the_manifest_tells_who_it_is_where_the_metadata_does_not(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = only_the_manifest_tells(here.study())
        assert await (await here.valley.provide(offer)).codes() == ()
        assert (await here.valley.rests("done"))["patient_id"] == str(VALLEY_ID)


async def test_a_held_manifest_is_released_to_the_one_whom_it_names_and_its_id_is_known_from_then_on(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        offer = only_the_manifest_tells(here.study())
        assert await (await here.valley.provide(offer)).codes() == ("DocumentQueued",)
        held = await here.valley.exchange()
        await here.valley.tell(SOMEBODY_ELSE)
        await here.valley.ask("POST", f"/exchanges/{held['id']}/release", {"person": "clerk", "patient": str(OTHER_ID)})
        await here.valley.rests("done")
        other = PatientIdentifier(value="NEVERFEDTOO", authority=NEVER_FED.authority)
        second = only_the_manifest_tells(here.study(seed=2), other, **NO_DEMOGRAPHICS)
        assert await (await here.valley.provide(second)).codes() == ()
        assert (await here.valley.rests("done"))["patient_id"] == str(OTHER_ID)


async def test_a_held_manifest_is_released_by_its_own_demographics_when_its_patient_comes(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        offer = only_the_manifest_tells(here.study())
        assert await (await here.valley.provide(offer)).codes() == ("DocumentQueued",)
        held = await here.valley.exchange()
        await here.valley.tell(ZEBEDIAH)
        await here.valley.ask("POST", f"/exchanges/{held['id']}/release", {"person": "clerk"})
        assert (await here.valley.rests("done"))["patient_id"] == str(VALLEY_ID)


@pytest.mark.parametrize("value", ["NOBODY", "VA99402"])
async def test_the_repository_takes_only_patients_of_the_affinity_domain(tmp_path: Path, value: str) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        stranger = PatientIdentifier(value=value, authority=DOMAIN)
        async with here.valley.refusing():
            reply = await here.valley.provide(offer_of(here.study(), patient_id=stranger), door=REPOSITORY)
            assert await reply.codes() == ("XDSUnknownPatientId",)
        async with here.valley.refusing():  # known here, but not in the affinity domain
            reply = await here.valley.provide(offer_of(here.study(), patient_id=VALLEY_ID), door=REPOSITORY)
            assert await reply.codes() == ("XDSUnknownPatientId",)


async def test_two_patients_in_one_submission_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = offer_of(here.study(), patient_id=DOMAIN_ID)
        other = offer.entry(patient_id=PatientIdentifier(value="SOMEBODY", authority=DOMAIN))
        async with here.valley.refusing():
            reply = await here.valley.provide(other, door=REPOSITORY)
            assert await reply.codes() == ("XDSPatientIdDoesNotMatch",)


# --- replacing --------------------------------------------------------------------------------------------------------


async def test_a_new_manifest_replaces_the_old_one_and_only_what_is_new_is_fetched(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study(series=2, instances=3)
        begun = replace(study, series=study.series[:1])
        assert await (await here.valley.provide(offer_of(study, manifest=manifest_of(begun)))).codes() == ()
        first = await here.valley.rests("done")
        (uuid,) = first["payload"]["entries"]
        before = {uid for asked in here.source.asked for uid in asked.uids}
        assert await (await here.valley.provide(offer_of(study, replaces=uuid))).codes() == ()
        await here.valley.rests("done")
        fetched = [uid for asked in here.source.asked for uid in asked.uids]
        assert len(fetched) == len(set(fetched)) == 6
        assert set(here.source.asked[-1].uids).isdisjoint(before)
        statuses = await here.valley.statuses(study)
        assert statuses == ["Approved", "Deprecated"]


async def test_what_nobody_registered_cannot_be_replaced(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        nothing = "urn:uuid:00000000-0000-4000-8000-000000000000"
        async with here.valley.refusing():
            reply = await here.valley.provide(offer_of(here.study(), replaces=nothing))
            assert await reply.codes() == ("UnresolvedReferenceException",)


async def test_a_submission_under_the_source_id_of_somebody_else_is_refused(tmp_path: Path) -> None:
    theirs = {"Lakeside": {"source_ids": ["1.2.4.5"]}, "Strict": {"source_ids": ["1.2.99.5"]}}
    async with world(tmp_path, peers=theirs) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = offer_of(here.study())
        assert offer.submission.submission_set.source_id == "1.2.4.5"
        async with here.valley.refusing() as refused:
            reply = await here.valley.provide(offer, peer="Strict")
        assert await reply.codes() == ("XDSRepositoryError",)
        assert "source_ids" in refused.step["cure"]
        assert "XDSRepositoryError" not in await (await here.valley.provide(offer)).codes()
