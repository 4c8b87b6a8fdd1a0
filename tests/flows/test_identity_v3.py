"""Identity by HL7 V3: what is fed by ITI-44 is what ADT would have fed, and it reaches as far.

Source: ITI TF-2 3.44.4.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName
from profiles.pix.iti8 import FeedEvent
from profiles.pixv3.iti44 import BY_EVENT, ITI_44, PatientRecordRequest, RecordEvent
from profiles.wire.hl7v3.ack import AckCode
from tests.support.identity_v3 import REGISTRY, fed, posted, sent
from tests.support.scenario import (
    DOMAIN,
    DOMAIN_ID,
    OTHER_ID,
    REPOSITORY,
    SOMEBODY_ELSE,
    VALLEY_ID,
    ZEBEDIAH,
    Valley,
    message_of,
    offer_of,
    world,
)

SURVIVOR_ID = PatientIdentifier(value="VA99402B", authority=VALLEY_ID.authority)
SURVIVOR_DOMAIN_ID = PatientIdentifier(value="DO55218B", authority=DOMAIN)
FOREIGN_ID = PatientIdentifier(value="1", authority=Oid("1.9"))
SURVIVOR = replace(
    ZEBEDIAH, identifiers=(SURVIVOR_ID, SURVIVOR_DOMAIN_ID), name=PersonName(family="Quillfeather", given="Zeb")
)


async def found_for(valley: Valley, patient: PatientIdentifier) -> int:
    """How many ImagingStudy a search for this patient finds."""
    path = f"/fhir/r4/ImagingStudy?patient.identifier=urn:oid:{patient.authority}|{patient.value}"
    async with valley.http.get(valley.url + path) as answer:
        return int((await answer.json(content_type=None))["total"])


async def shown(valley: Valley, patient: PatientIdentifier) -> dict[str, object]:
    """The patient as FHIR shows them."""
    path = f"/fhir/r4/Patient?identifier=urn:oid:{patient.authority}|{patient.value}"
    async with valley.http.get(valley.url + path) as answer:
        (entry,) = (await answer.json(content_type=None))["entry"]
        return dict(entry["resource"])


async def test_a_merge_reaches_study_entry_imaging_study_and_audit(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        assert (await fed(here.valley, ZEBEDIAH)).code is AckCode.COMMIT_ACCEPT
        assert (await fed(here.valley, SURVIVOR)).accepted
        study = here.study()
        assert await (await here.valley.provide(offer_of(study))).codes() == ()
        await here.valley.rests("done")
        assert await (await here.valley.provide(offer_of(study, patient_id=DOMAIN_ID), door=REPOSITORY)).codes() == ()
        assert await here.valley.statuses(study, DOMAIN_ID) == ["Approved"]
        before = here.valley.kept()

        answer = await fed(
            here.valley, replace(SURVIVOR, identifiers=(SURVIVOR_ID,)), RecordEvent.MERGE, subsumed=VALLEY_ID
        )
        assert answer.accepted
        after = here.valley.kept()
        gone, changed = (body for body in after.audit[len(before.audit) :] if b"ITI-44" in body)
        assert VALLEY_ID.value.encode() in gone
        assert b'EventActionCode="D"' in gone
        assert SURVIVOR_ID.value.encode() in changed
        assert b'EventActionCode="U"' in changed

        await here.valley.rests("done", kind="feed")
        told = await here.valley.ask("GET", f"/studies/{study.study_instance_uid}")
        assert told["patient_id"] == str(SURVIVOR_ID)
        assert await found_for(here.valley, SURVIVOR_ID) == 1
        assert await found_for(here.valley, VALLEY_ID) == 0

        domain = replace(SURVIVOR, identifiers=(SURVIVOR_DOMAIN_ID,))
        assert (await fed(here.valley, domain, RecordEvent.MERGE, subsumed=DOMAIN_ID)).accepted
        assert await here.valley.statuses(study, SURVIVOR_DOMAIN_ID) == ["Approved"]
        assert await here.valley.statuses(study, DOMAIN_ID) == []


async def test_what_came_by_v3_is_changed_by_v2_and_the_other_way_round(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        await here.valley.tell(replace(ZEBEDIAH, birth_date=Moment.from_dtm("19610418")), FeedEvent.UPDATE)
        assert (await shown(here.valley, VALLEY_ID))["birthDate"] == "1961-04-18"
        await fed(here.valley, ZEBEDIAH, RecordEvent.REVISE)
        assert (await shown(here.valley, VALLEY_ID))["birthDate"] == "1961-04-17"


async def test_a_revision_changes_what_it_speaks_of_and_no_more(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        bare = Patient(identifiers=(VALLEY_ID,), name=PersonName(family="Quillfeather", given="Zeb"))
        assert (await fed(here.valley, bare, RecordEvent.REVISE)).accepted
        patient = await shown(here.valley, VALLEY_ID)
        assert patient["birthDate"] == "1961-04-17"
        assert patient["name"] == [{"family": "Quillfeather", "given": ["Zeb"]}]


async def test_a_feed_is_noted_on_the_timeline_and_audited_once(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        before = here.valley.kept()
        await fed(here.valley, ZEBEDIAH)
        after = here.valley.kept()
        (step,) = after.steps[len(before.steps) :]
        assert (step["transaction"], step["outcome"], step["text"]) == ("ITI-44", "success", "Patient registered")
        (record,) = after.audit[len(before.audit) :]
        assert b'EventActionCode="C"' in record
        assert str(VALLEY_ID).replace("&", "&amp;").encode() in record


@pytest.mark.parametrize(
    ("subsumed", "surviving", "code"),
    [
        (PatientIdentifier(value="VANOBODY", authority=VALLEY_ID.authority), ZEBEDIAH, "204"),
        (VALLEY_ID, replace(ZEBEDIAH, identifiers=(VALLEY_ID,)), "205"),
        (VALLEY_ID, replace(ZEBEDIAH, identifiers=(replace(VALLEY_ID, value="VANOBODY"),)), "204"),
        (VALLEY_ID, replace(ZEBEDIAH, identifiers=(DOMAIN_ID,)), "204"),
        (replace(FOREIGN_ID, value="2"), replace(ZEBEDIAH, identifiers=(FOREIGN_ID,)), "204"),
    ],
    ids=["subsumed unknown", "into itself", "survivor unknown", "two authorities", "foreign authority"],
)  # fmt: skip
async def test_a_merge_that_cannot_be_is_refused_and_changes_nothing(
    tmp_path: Path, subsumed: PatientIdentifier, surviving: Patient, code: str
) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        async with here.valley.refusing(explained=False, audits=2) as refused:
            answer = await fed(here.valley, surviving, RecordEvent.MERGE, subsumed=subsumed)
            assert answer.code is AckCode.COMMIT_ERROR
            assert [each.code for each in answer.details] == [code]
        assert refused.step["transaction"] == "ITI-44"


async def test_a_patient_of_no_domain_of_ours_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here, here.valley.refusing():
        stranger = replace(ZEBEDIAH, identifiers=(PatientIdentifier(value="LK1", authority=Oid("1.9.9")),))
        answer = await fed(here.valley, stranger)
        assert (answer.code, [each.code for each in answer.details]) == (AckCode.COMMIT_ERROR, ["204"])


async def test_ids_of_two_patients_are_refused_together(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        await fed(here.valley, SOMEBODY_ELSE)
        async with here.valley.refusing():
            both = replace(ZEBEDIAH, identifiers=(DOMAIN_ID, OTHER_ID))
            assert (await fed(here.valley, both, RecordEvent.REVISE)).code is AckCode.COMMIT_ERROR


async def test_what_cannot_be_read_is_a_fault_and_an_action_for_another_body_too(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        request = PatientRecordRequest(event=RecordEvent.ADD, patient=ZEBEDIAH, transmission=sent())
        whole = await message_of(ITI_44, request)
        broken = whole.spoiled(b"registrationEvent", b"registrationEvening")
        async with here.valley.refusing(explained=False):
            reply = await here.valley.post(REGISTRY, broken)
            assert (reply.status, await reply.fault) == (400, ("Sender",))
        async with here.valley.refusing(explained=False):
            reply = await posted(here.valley, REGISTRY, BY_EVENT[RecordEvent.REVISE], request)
            assert await reply.fault == ("Sender", "ActionNotSupported")
        async with here.valley.refusing(explained=False):
            reply = await here.valley.post(REGISTRY, replace(whole, body=whole.body[:-40]))
            assert reply.status == 400


async def test_the_address_describes_each_event_as_an_operation(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        status, body = await here.valley.get(f"{REGISTRY}?wsdl")
        assert status == 200
        for event in RecordEvent:
            assert f'wsam:Action="urn:hl7-org:v3:{event}"'.encode() in body
        assert body.count(b"<wsdl:operation name=") == 6  # three of the port type, three of the binding
        named = {each.split(b">")[0] for each in body.split(b"<wsdl:operation name=")[1:]}
        assert len(named) == 3
