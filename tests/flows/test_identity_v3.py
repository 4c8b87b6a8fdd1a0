"""Identity by HL7 V3: what is fed by ITI-44 is what ADT would have fed, and it is what ITI-45 and ITI-47 answer from.

Source: ITI TF-2 3.44.4, 3.45.4.2.3, 3.47.4.2.3.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName, Sex
from profiles.model.query import BirthCriteria, NameCriteria, PatientCriteria
from profiles.pdqv3.iti47 import CANCEL, CONTINUE, Candidate, Continuation, Quantities, QueryResponseCode
from profiles.pdqv3.iti47 import asked_domain as asked_scope
from profiles.pix.iti8 import FeedEvent
from profiles.pixv3.iti44 import BY_EVENT, ITI_44, PatientRecordRequest, RecordEvent
from profiles.pixv3.iti45 import ASKED_ID, ITI_45, IdentifiersQuery, asked_domain
from profiles.wire.hl7v3.ack import AckCode
from tests.support.identity_v3 import (
    MANAGER,
    REGISTRY,
    answered,
    fed,
    identified,
    matched,
    posted,
    question,
    sent,
)
from tests.support.scenario import (
    DOMAIN,
    DOMAIN_ID,
    LAKESIDE,
    LAKESIDE_ID,
    OTHER_ID,
    REPOSITORY,
    SOMEBODY_ELSE,
    VALLEY,
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


# --- ids (ITI-45) -----------------------------------------------------------------------------------------------------


async def test_the_other_ids_of_a_patient_are_told_all_or_of_the_domains_that_are_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, replace(ZEBEDIAH, identifiers=(VALLEY_ID, DOMAIN_ID, LAKESIDE_ID)))
        everything = await identified(here.valley, VALLEY_ID)
        assert (everything.acknowledgement.code, everything.code) == (AckCode.ACCEPT, QueryResponseCode.OK)
        assert set(everything.identifiers) == {DOMAIN_ID, LAKESIDE_ID}
        assert everything.name == ZEBEDIAH.name
        assert (await identified(here.valley, LAKESIDE_ID, DOMAIN)).identifiers == (DOMAIN_ID,)
        assert set((await identified(here.valley, DOMAIN_ID, LAKESIDE, VALLEY)).identifiers) == {LAKESIDE_ID, VALLEY_ID}


async def test_an_id_that_reconciliation_linked_is_known_too(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        assert (
            await (await here.valley.provide(offer_of(here.study()))).codes() == ()
        )  # Lakeside's id, his demographics
        await here.valley.rests("done")
        assert (await identified(here.valley, VALLEY_ID, LAKESIDE)).identifiers == (LAKESIDE_ID,)
        assert (await identified(here.valley, LAKESIDE_ID, VALLEY)).identifiers == (VALLEY_ID,)


async def test_a_known_patient_without_an_id_there_is_not_found(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        answer = await identified(here.valley, VALLEY_ID, LAKESIDE)
        assert (answer.acknowledgement.code, answer.code) == (AckCode.ACCEPT, QueryResponseCode.NOT_FOUND)
        assert (answer.identifiers, answer.acknowledgement.details) == ((), ())


async def test_an_unknown_id_and_a_subsumed_one_are_errors_with_their_place(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        await fed(here.valley, SURVIVOR)
        await fed(here.valley, replace(SURVIVOR, identifiers=(SURVIVOR_ID,)), RecordEvent.MERGE, subsumed=VALLEY_ID)
        for unknown in (VALLEY_ID, replace(VALLEY_ID, value="VANOBODY")):
            async with here.valley.refusing(explained=False):
                answer = await identified(here.valley, unknown)
                assert (answer.acknowledgement.code, answer.code) == (AckCode.ERROR, QueryResponseCode.ERROR)
                assert [(each.code, each.locations) for each in answer.acknowledgement.details] == [
                    ("204", (ASKED_ID,))
                ]


async def test_each_unknown_domain_is_an_error_of_its_own(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        async with here.valley.refusing(explained=False):
            answer = await identified(here.valley, VALLEY_ID, Oid("1.9.8"), DOMAIN, Oid("1.9.9"))
            assert answer.code is QueryResponseCode.ERROR
            places = [each.locations for each in answer.acknowledgement.details]
            assert places == [(asked_domain(1),), (asked_domain(3),)]


async def test_a_question_is_audited_with_its_parameters(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        before = here.valley.kept()
        await identified(here.valley, VALLEY_ID)
        (record,) = here.valley.kept().audit[len(before.audit) :]
        assert b'csd-code="ITI-45"' in record
        assert b"<ParticipantObjectQuery>" in record


# --- demographics (ITI-47) --------------------------------------------------------------------------------------------


def called(family: str, given: str = "", *, beginning: bool = False) -> tuple[NameCriteria, ...]:
    return (NameCriteria(name=PersonName(family=family, given=given), beginning=beginning),)


BORN = BirthCriteria(low=ZEBEDIAH.birth_date, high=ZEBEDIAH.birth_date)


@pytest.mark.parametrize(
    "criteria",
    [
        PatientCriteria(names=called("QUILLFEATHER", "zebediah"), birth=BORN, sex=Sex.MALE),
        PatientCriteria(names=called("Quillfeather", "Zeb", beginning=True)),
        PatientCriteria(identifiers=(VALLEY_ID, DOMAIN_ID)),
        PatientCriteria(identifiers=(DOMAIN_ID,), birth=BORN),
    ],
    ids=["demographics", "beginning", "ids", "id and birth"],
)
async def test_a_patient_is_found_by_what_is_known_of_them(tmp_path: Path, criteria: PatientCriteria) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        await fed(here.valley, SOMEBODY_ELSE)
        answer = await matched(here.valley, criteria)
        assert (answer.acknowledgement.code, answer.code) == (AckCode.ACCEPT, QueryResponseCode.OK)
        assert answer.candidates == (Candidate(patient=ZEBEDIAH, home=VALLEY),)
        assert answer.quantities == Quantities(total=1, current=1, remaining=0)


async def test_nobody_is_found_whose_demographics_differ(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        for criteria in (
            PatientCriteria(names=called("Quillfeather"), sex=Sex.FEMALE),
            PatientCriteria(names=called("Quill")),
            PatientCriteria(identifiers=(VALLEY_ID, OTHER_ID)),
        ):
            answer = await matched(here.valley, criteria)
            assert (answer.acknowledgement.code, answer.code) == (AckCode.ACCEPT, QueryResponseCode.NOT_FOUND)
            assert answer.candidates == ()


async def test_only_ids_of_the_domains_that_are_asked_for_are_shown(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await fed(here.valley, ZEBEDIAH)
        await fed(here.valley, SOMEBODY_ELSE)
        answer = await matched(here.valley, PatientCriteria(names=called("Quillfeather")), domains=(DOMAIN,))
        assert [each.patient.identifiers for each in answer.candidates] == [(DOMAIN_ID,)]  # the other has none there
        async with here.valley.refusing(explained=False):
            answer = await matched(here.valley, PatientCriteria(names=called("Q")), domains=(VALLEY, Oid("1.9.9")))
            assert answer.code is QueryResponseCode.ERROR
            assert [each.locations for each in answer.acknowledgement.details] == [(asked_scope(2),)]


@pytest.mark.parametrize("criteria", [PatientCriteria(), PatientCriteria(sex=Sex.MALE), PatientCriteria(birth=BORN)])
async def test_a_question_that_everybody_would_have_to_be_looked_at_for_is_refused(
    tmp_path: Path, criteria: PatientCriteria
) -> None:
    async with world(tmp_path) as here, here.valley.refusing():
        answer = await matched(here.valley, criteria)
        assert (answer.acknowledgement.code, answer.code) == (AckCode.ERROR, QueryResponseCode.PARAMETER_ERROR)


async def crowd(valley: Valley, count: int) -> None:
    for number in range(count):
        await valley.tell(
            Patient(
                identifiers=(replace(VALLEY_ID, value=f"VA31337{number}"),),
                name=PersonName(family="Quillfeather", given=f"Ottoline {number}"),
            )
        )


async def test_an_answer_is_continued_from_where_it_was_until_nothing_is_left(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await crowd(here.valley, 5)
        first = await matched(here.valley, PatientCriteria(names=called("Quillfeather")), initial_quantity=2)
        assert first.quantities == Quantities(total=5, current=2, remaining=3)
        more = Continuation(query_id=first.question.id, transmission=sent())
        second = await answered(here.valley, MANAGER, CONTINUE, more)
        assert second.quantities == Quantities(total=5, current=2, remaining=1)
        assert second.question == first.question
        last = await answered(here.valley, MANAGER, CONTINUE, replace(more, start=5, quantity=9, transmission=sent()))
        assert last.quantities == Quantities(total=5, current=1, remaining=0)
        together = [each.patient.identifiers[0].value for page in (first, second, last) for each in page.candidates]
        assert together == [f"VA31337{number}" for number in range(5)]
        over = await answered(here.valley, MANAGER, CONTINUE, replace(more, transmission=sent()))
        assert (over.acknowledgement.code, over.code) == (AckCode.ERROR, QueryResponseCode.ERROR)


async def test_a_cancelled_query_is_not_continued_and_nobody_else_s_either(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await crowd(here.valley, 3)
        page = await matched(here.valley, PatientCriteria(names=called("Quillfeather")), initial_quantity=1)
        more = Continuation(query_id=page.question.id, transmission=sent())
        stranger = await answered(here.valley, MANAGER, CONTINUE, more, peer="Strict")
        assert stranger.code is QueryResponseCode.ERROR
        enough = replace(more, cancels=True, transmission=sent())
        assert (await answered(here.valley, MANAGER, CANCEL, enough)).accepted
        gone = await answered(here.valley, MANAGER, CONTINUE, replace(more, transmission=sent()))
        assert [each.code for each in gone.acknowledgement.details] == ["204"]


async def test_a_question_of_a_peer_who_may_not_ask_it_is_refused_in_its_own_words(tmp_path: Path) -> None:
    async with world(tmp_path, peers={"Lakeside": {"scopes": ["ITI-44"]}}) as here:
        assert (await fed(here.valley, ZEBEDIAH)).accepted
        async with here.valley.refusing(explained=False):
            answer = await identified(here.valley, VALLEY_ID)
            assert answer.acknowledgement.code is AckCode.ERROR
            assert answer.identifiers == ()


async def test_a_question_about_no_patient_is_a_fault(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        query = IdentifiersQuery(identifier=VALLEY_ID, question=question(), transmission=sent())
        whole = await message_of(ITI_45, query)
        async with here.valley.refusing(explained=False):
            reply = await here.valley.post(MANAGER, whole.spoiled(b"patientIdentifier", b"patientNickname"))
            assert (reply.status, await reply.fault) == (400, ("Sender",))
