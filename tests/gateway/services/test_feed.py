"""ADT as it reaches the house: what a message does not say stays, and a merge reaches everything that names the patient."""

from dataclasses import replace

import pytest

from gateway.actors.patient_identity_consumer import PatientIdentityConsumer
from gateway.adapters.memory import MemoryStore
from gateway.model.job import Kind, State
from gateway.model.peer import Caller, Peer
from gateway.ports.store import Work
from gateway.services.exchange import Exchange
from gateway.services.feed import Feed
from profiles.errors import Duplicate, RuleViolation, UnknownPatient
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Evidence, PersonName, Sex
from profiles.model.query import DocumentCriteria, StudyCriteria
from profiles.pix.iti8 import ACCEPTED, ITI_8, FeedEvent, PatientFeedRequest
from profiles.transaction import Facts, Party, Side
from tests.support.clock import FixedClock
from tests.support.hl7 import HOUSE
from tests.support.registered import (
    ANN,
    BEN,
    DOMAIN,
    NOW,
    OTHER_DOMAIN,
    arrived,
    entry,
    instance,
    patient,
    series,
    study,
    submission,
)

OUR_HOUSE = replace(HOUSE, patient_authority=DOMAIN)
THEIRS = PatientIdentifier(value="77", authority=OTHER_DOMAIN)


class House:
    """The actor over a store in memory; each message is a turn of its own."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.actor = PatientIdentityConsumer(feed=Feed(house=OUR_HOUSE, clock=FixedClock(NOW)))
        self._turns = 0

    async def tell(self, request: PatientFeedRequest, transaction: str = "ITI-8") -> Exchange:
        self._turns += 1
        async with self.store.unit() as work:

            async def begin() -> Work:
                return work

            caller = Caller(peer=Peer(name="ADT"), network_address="127.0.0.1")
            exchange = Exchange(id=f"exchange-{self._turns}", caller=caller, now=NOW, begin=begin)
            answer = {
                "ITI-8": self.actor.patient_identity_feed,
                "ITI-30": self.actor.patient_identity_management,
            }[transaction]
            assert await answer(request, exchange) == ACCEPTED
            return exchange

    async def known(self, identifier: PatientIdentifier) -> object:
        async with self.store.view() as work:
            return await work.identity.get(identifier)


def registered(*identifiers: PatientIdentifier, **fields: object) -> PatientFeedRequest:
    return PatientFeedRequest(event=FeedEvent.REGISTER, patient=patient(*identifiers, **fields))


def merge(surviving: PatientIdentifier, *subsumed: PatientIdentifier) -> PatientFeedRequest:
    return PatientFeedRequest(event=FeedEvent.MERGE, patient=patient(surviving), subsumed_identifiers=subsumed)


async def test_a_patient_is_registered_and_updated() -> None:
    house = House()
    first = await house.tell(registered(ANN))
    second = await house.tell(registered(ANN, family="Roe"))
    assert (first.learned.created, second.learned.created) == (True, False)
    assert first.learned.patients == second.learned.patients == (ANN,)
    assert await house.known(ANN) == patient(ANN, family="Roe")


async def test_an_update_changes_what_it_speaks_of_and_deletes_what_it_empties() -> None:
    house = House()
    await house.tell(registered(ANN, address="Main St 1^^Town"))
    new = patient(ANN, family="New", birth_date=None, sex=Sex.UNKNOWN)
    said = frozenset({"name", "birth_date"})
    await house.tell(PatientFeedRequest(event=FeedEvent.UPDATE, patient=new, said=said))
    async with house.store.view() as work:
        after = await work.identity.get(ANN)
    assert after is not None
    assert after.name == PersonName(family="New", given="Jane")
    assert after.birth_date is None
    assert (after.sex, after.address) == (Sex.FEMALE, "Main St 1^^Town")


async def test_another_id_in_the_message_is_another_id_of_the_patient_and_says_by_whom() -> None:
    house = House()
    await house.tell(registered(THEIRS, ANN))
    async with house.store.view() as work:
        (link,) = await work.identity.links(THEIRS)
        found = await work.identity.get(THEIRS)
    assert (link.local, link.foreign, link.evidence, link.decided_by) == (ANN, THEIRS, Evidence.FEED, "ADT")
    assert found is not None and found.identifiers[0] == ANN


async def test_a_patient_of_no_domain_of_ours_is_refused() -> None:
    house = House()
    with pytest.raises(UnknownPatient) as refused:
        await house.tell(registered(THEIRS))
    assert (refused.value.code, refused.value.location) == ("204", "PID^1^3")
    assert await house.known(THEIRS) is None


async def test_a_merge_reaches_study_document_imaging_study_and_audit() -> None:
    house = House()
    await house.tell(registered(ANN))
    await house.tell(registered(BEN, family="Roe", birth_date=Moment.from_dtm("19800101")))
    whole = study("1.2.3.50.9", series("1.2.3.50.9.1", instance("1.2.3.50.9.1.1")), of=patient(ANN))
    document = entry(ANN)
    async with house.store.unit() as work:
        await work.studies.add(arrived(whole), whole.patient, "", NOW)
        await work.registry.put(submission(document), NOW)
    request = merge(BEN, ANN)
    exchange = await house.tell(request)
    async with house.store.view() as work:
        (entry_now,) = [each async for each in work.registry.find(DocumentCriteria(patient_ids=(BEN,)))]
        assert [each async for each in work.registry.find(DocumentCriteria(patient_ids=(ANN,)))] == []
        page = await work.studies.search(StudyCriteria(patient_ids=((BEN.value, str(DOMAIN)),)))
        gone = await work.studies.search(StudyCriteria(patient_ids=((ANN.value, str(DOMAIN)),)))
        assert await work.identity.get(ANN) is None
        assert await work.identity.subsumed(ANN) == BEN
        (job,) = await work.ledger.list(kinds=frozenset({Kind.FEED}))
    assert entry_now.unique_id == document.unique_id
    (moved,) = page.records
    assert moved.study.patient.identifiers[0] == BEN
    assert moved.study.patient.name.family == "Roe"  # what ImagingStudy.subject shows is the survivor's
    assert tuple(gone.records) == ()
    assert job.state is State.READY  # the heads in the archive follow
    facts = Facts(at=NOW, source_id="valley", local=Party(user_id="v"), remote=Party(user_id="a"),
                  patients=exchange.learned.patients, studies=exchange.learned.studies)  # fmt: skip
    told = ITI_8.audit(Side.RESPONDER, request, ACCEPTED, facts)
    assert [(record.action.value, record.objects[0].id) for record in told] == [("D", str(ANN)), ("U", str(BEN))]


async def test_a_merge_of_somebody_elses_ids_changes_nothing() -> None:
    house = House()
    await house.tell(registered(ANN))
    with pytest.raises(RuleViolation):
        await house.tell(merge(THEIRS, PatientIdentifier(value="78", authority=OTHER_DOMAIN)))
    assert await house.known(ANN) == patient(ANN)


async def test_a_merge_of_whom_nobody_knows_is_refused_and_nothing_moves() -> None:
    house = House()
    await house.tell(registered(ANN))
    with pytest.raises(UnknownPatient) as no_survivor:
        await house.tell(merge(BEN, ANN))
    assert (no_survivor.value.code, no_survivor.value.location) == ("204", "PID^1^3^1^1")
    with pytest.raises(UnknownPatient) as nobody_goes:
        await house.tell(merge(ANN, BEN))
    assert (nobody_goes.value.code, nobody_goes.value.location) == ("204", "MRG^1^1^1^1")
    assert await house.known(ANN) == patient(ANN)


# --- ITI-30: a consumer need not know both ----------------------------------------------------------------------------


def change_ids(new: PatientIdentifier, old: PatientIdentifier) -> PatientFeedRequest:
    return PatientFeedRequest(event=FeedEvent.CHANGE_IDS, patient=patient(new), subsumed_identifiers=(old,))


async def entries_of(house: House, identifier: PatientIdentifier) -> int:
    async with house.store.view() as work:
        return len([each async for each in work.registry.find(DocumentCriteria(patient_ids=(identifier,)))])


@pytest.mark.parametrize("request_", [merge(BEN, ANN), change_ids(BEN, ANN)], ids=["A40", "A47"])
async def test_an_id_that_nobody_had_becomes_that_of_the_patient_who_had_the_other(
    request_: PatientFeedRequest,
) -> None:
    house = House()
    await house.tell(registered(ANN, THEIRS, family="Roe"))
    async with house.store.unit() as work:
        await work.registry.put(submission(entry(ANN)), NOW)
    await house.tell(request_, "ITI-30")
    async with house.store.view() as work:
        after = await work.identity.get(BEN)
        assert await work.identity.get(ANN) is None
        assert await work.identity.get(THEIRS) == after
    assert after is not None
    assert (after.name.family, set(after.identifiers)) == ("Roe", {BEN, THEIRS})
    assert (await entries_of(house, BEN), await entries_of(house, ANN)) == (1, 0)


@pytest.mark.parametrize("request_", [merge(BEN, ANN), change_ids(BEN, ANN)], ids=["A40", "A47"])
async def test_that_nobody_has_the_id_that_goes_is_no_error_and_nothing_changes(request_: PatientFeedRequest) -> None:
    house = House()
    await house.tell(registered(BEN))
    exchange = await house.tell(request_, "ITI-30")
    assert exchange.learned.text == "Nobody here has the id that goes"
    assert exchange.job is None
    assert await house.known(BEN) == patient(BEN)
    assert await house.known(ANN) is None


async def test_a_consumer_merges_two_who_are_known_as_a_registry_does() -> None:
    house = House()
    await house.tell(registered(ANN))
    await house.tell(registered(BEN, family="Roe"))
    await house.tell(merge(BEN, ANN), "ITI-30")
    assert await house.known(ANN) is None
    assert await house.known(BEN) == patient(BEN, family="Roe")


async def test_an_id_is_not_changed_for_one_that_another_patient_has() -> None:
    house = House()
    await house.tell(registered(ANN))
    await house.tell(registered(BEN, family="Roe"))
    with pytest.raises(Duplicate) as refused:
        await house.tell(change_ids(BEN, ANN), "ITI-30")
    assert (refused.value.code, refused.value.location) == ("205", "PID^1^3^1^1")
    assert await house.known(ANN) == patient(ANN)
    assert await house.known(BEN) == patient(BEN, family="Roe")


async def test_an_id_is_not_changed_for_one_that_was_merged_away() -> None:
    house = House()
    for each in (ANN, BEN):
        await house.tell(registered(each))
    await house.tell(merge(BEN, ANN))
    third = replace(BEN, value="third")
    await house.tell(registered(third))
    with pytest.raises(UnknownPatient):
        await house.tell(change_ids(ANN, third), "ITI-30")
    assert await house.known(third) == patient(third)
