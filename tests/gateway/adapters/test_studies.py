"""The suite of the Studies port, on every store."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from gateway.adapters.store_sql import SqlStore
from gateway.model.study import StudyRecord, StudyStatus
from gateway.ports.store import Store
from gateway.ports.studies import Origin
from profiles.errors import IdentityConflict, MalformedMessage, UnknownDocument
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName
from profiles.model.query import PageKey, StudyCriteria
from tests.support.registered import (
    ANN,
    BEN,
    CAT,
    HEAD,
    LATER,
    NOW,
    OTHER_DOMAIN,
    arrived,
    instance,
    patient,
    series,
    study,
)

MUCH_LATER = LATER + timedelta(hours=1)
FIRST = series("1.2.3.50.1.1", instance("1.2.3.50.1.1.1", 1), instance("1.2.3.50.1.1.2", 2))
SECOND = series("1.2.3.50.1.2", instance("1.2.3.50.1.2.1", 1), number=2, modality="SR")
WHOLE = study("1.2.3.50.1", FIRST, SECOND)
UID = WHOLE.study_instance_uid


async def add(
    store: Store, whole: Study, at: object = NOW, of: Patient | None = None, source: str = "Lakeside"
) -> None:
    async with store.unit() as work:
        await work.studies.add(arrived(whole), of or whole.patient, source, at)  # type: ignore[arg-type]


async def record_of(store: Store, uid: str = UID) -> StudyRecord:
    async with store.view() as work:
        record = await work.studies.get(uid)
    assert record is not None
    return record


async def found(store: Store, **criteria: object) -> list[str]:
    """Study UIDs that fit, in the order of the answer; the total must agree."""
    async with store.view() as work:
        page = await work.studies.search(StudyCriteria(**criteria, limit=1000))  # type: ignore[arg-type]
    assert page.total == len(page.records)
    assert not page.more
    return [str(record.study.study_instance_uid) for record in page.records]


# --- adding -------------------------------------------------------------------------------------------------------------


async def test_instances_that_arrived_make_the_study_that_they_are_of(store: Store) -> None:
    rich = replace(
        WHOLE,
        study_id="S7",
        referring_physician=PersonName(family="Welby", given="Marcus", prefix="Dr"),
        institution="Lakeside",
        procedure_codes=(HEAD,),
        placer_orders=(AccessionNumber(value="P1"),),
        series=(
            replace(
                FIRST,
                description="axial",
                body_part="HEAD",
                laterality="L",
                started=Moment(NOW),
                retrieve_location_uid=Oid("1.2.3.3"),
                retrieve_url="https://lakeside.example/dicomweb",
                retrieve_ae_title="LAKE",
                instances=(replace(FIRST.instances[0], frames=3, sha256="ab" * 32), FIRST.instances[1]),
            ),
            SECOND,
        ),
    )
    await add(store, rich)
    record = await record_of(store)
    assert record.study == rich
    assert (record.status, record.version, record.updated_at) == (StudyStatus.AVAILABLE, 1, NOW)
    assert record.source == "Lakeside"
    assert dict(record.instance_counts) == {"1.2.3.50.1.1": 2, "1.2.3.50.1.2": 1}


async def test_the_same_instances_again_change_nothing(store: Store) -> None:
    await add(store, WHOLE)
    before = await record_of(store)
    await add(store, WHOLE, LATER)
    assert await record_of(store) == before


async def test_an_instance_twice_in_one_arrival_is_there_once(store: Store) -> None:
    async with store.unit() as work:
        await work.studies.add([*arrived(WHOLE), *arrived(WHOLE)], WHOLE.patient, "", NOW)
    record = await record_of(store)
    assert record.study == WHOLE
    assert dict(record.instance_counts) == {"1.2.3.50.1.1": 2, "1.2.3.50.1.2": 1}


async def test_an_instance_more_is_a_new_version(store: Store) -> None:
    await add(store, replace(WHOLE, series=(FIRST,)))
    await add(store, replace(WHOLE, series=(SECOND,)), LATER)
    record = await record_of(store)
    assert (record.study, record.version, record.updated_at) == (WHOLE, 2, LATER)


async def test_rewritten_metadata_replaces_what_was_there(store: Store) -> None:
    await add(store, WHOLE)
    (first, *_) = arrived(WHOLE)
    async with store.unit() as work:
        await work.studies.add([replace(first, metadata=b'{"00100020":{"vr":"LO"}}')], WHOLE.patient, "", LATER)
    async with store.view() as work:
        told = [each async for each in work.studies.metadata(UID)]
    assert told[0] == b'{"00100020":{"vr":"LO"}}'
    assert (await record_of(store)).version == 2


async def test_what_was_empty_is_filled_and_what_was_said_stays_said(store: Store) -> None:
    sparse = replace(WHOLE, description="", study_id="", accession_numbers=(), started=Moment.from_dtm("2026"))
    sparse = replace(sparse, series=(replace(FIRST, modality="", description="", number=None),))
    await add(store, sparse)
    fuller = replace(
        WHOLE,
        study_id="S7",
        series=(replace(FIRST, description="axial", instances=(instance("1.2.3.50.1.1.9", 9),)),),
    )
    await add(store, fuller)
    await add(store, replace(fuller, study_id="S8", accession_numbers=(AccessionNumber(value="A2"),)))
    there = (await record_of(store)).study
    assert (there.description, there.study_id, there.started) == (WHOLE.description, "S7", WHOLE.started)
    assert [number.value for number in there.accession_numbers] == ["A1", "A2"]
    (one,) = there.series
    assert (one.modality, one.description, one.number, len(one.instances)) == ("CT", "axial", 1, 3)


async def test_a_study_that_is_there_for_another_patient_is_a_conflict(store: Store) -> None:
    await add(store, WHOLE)
    with pytest.raises(IdentityConflict) as caught:
        await add(store, WHOLE, of=patient(BEN))
    assert caught.value.cure
    async with store.unit() as work:
        with pytest.raises(IdentityConflict):
            await work.studies.expect(replace(WHOLE, patient=patient(BEN)), "Lakeside", NOW)
    assert (await record_of(store)).study.patient == WHOLE.patient


async def test_another_id_of_the_same_patient_is_no_conflict(store: Store) -> None:
    foreign = PatientIdentifier(value="77", authority=OTHER_DOMAIN)
    await add(store, WHOLE, of=patient(ANN, foreign))
    await add(store, replace(WHOLE, series=(SECOND,)), of=patient(foreign, CAT))


async def test_studies_of_one_arrival_are_kept_apart(store: Store) -> None:
    other = study("1.2.3.50.2", series("1.2.3.50.2.1", instance("1.2.3.50.2.1.1")))
    async with store.unit() as work:
        await work.studies.add([*arrived(WHOLE), *arrived(other)], WHOLE.patient, "", NOW)
    assert (await record_of(store)).study == WHOLE
    assert (await record_of(store, "1.2.3.50.2")).study == other


# --- expecting ----------------------------------------------------------------------------------------------------------


async def test_a_manifest_registers_the_study_and_what_it_names_is_awaited(store: Store) -> None:
    async with store.unit() as work:
        await work.studies.expect(WHOLE, "Lakeside", NOW)
    record = await record_of(store)
    assert (record.status, record.version, record.source) == (StudyStatus.REGISTERED, 1, "Lakeside")
    assert [(one.series_instance_uid, one.instances) for one in record.study.series] == [
        (one.series_instance_uid, ()) for one in WHOLE.series
    ]
    async with store.view() as work:
        awaited = await work.studies.expected(UID)
        assert awaited == {instance.sop_instance_uid for _, instance in WHOLE.instances()}
        assert await work.studies.locate("1.2.3.50.1.1.1") is None


async def test_what_arrives_is_awaited_no_longer_and_the_status_waits_for_the_service(store: Store) -> None:
    async with store.unit() as work:
        await work.studies.expect(WHOLE, "Lakeside", NOW)
    await add(store, replace(WHOLE, series=(FIRST,)), LATER)
    async with store.view() as work:
        assert await work.studies.expected(UID) == {"1.2.3.50.1.2.1"}
    assert (await record_of(store)).status is StudyStatus.REGISTERED
    await add(store, WHOLE, LATER)
    async with store.view() as work:
        assert await work.studies.expected(UID) == frozenset()


async def test_what_is_here_is_not_awaited_again_and_a_second_manifest_adds_to_the_first(store: Store) -> None:
    await add(store, replace(WHOLE, series=(FIRST,)))
    async with store.unit() as work:
        await work.studies.expect(replace(WHOLE, series=(FIRST,)), "Lakeside", LATER)
        assert await work.studies.expected(UID) == frozenset()
        await work.studies.expect(replace(WHOLE, series=(SECOND,)), "Lakeside", LATER)
        assert await work.studies.expected(UID) == {"1.2.3.50.1.2.1"}
        more = replace(SECOND, instances=(instance("1.2.3.50.1.2.2", 2),))
        await work.studies.expect(replace(WHOLE, series=(more,)), "Lakeside", LATER)
        assert await work.studies.expected(UID) == {"1.2.3.50.1.2.1", "1.2.3.50.1.2.2"}
    assert (await record_of(store)).status is StudyStatus.AVAILABLE


def guessed(*modalities: str) -> Study:
    """A study as a manifest names it: what its series are is guessed."""
    return replace(
        WHOLE,
        series=tuple(
            replace(each, modality="", expected_modality=modality)
            for each, modality in zip((FIRST, SECOND), modalities, strict=True)
        ),
    )


async def test_an_expected_modality_is_kept_and_searched_until_the_real_one_is_told(store: Store) -> None:
    async with store.unit() as work:
        await work.studies.expect(guessed("MR", "PR"), "Lakeside", NOW)
    record = await record_of(store)
    assert [(one.modality, one.expected_modality) for one in record.study.series] == [("", "MR"), ("", "PR")]
    assert record.study.modalities == ("MR", "PR")
    assert await found(store, modalities=("MR",)) == [UID]
    await add(store, replace(WHOLE, series=(FIRST,)), LATER)
    record = await record_of(store)
    assert [(one.modality, one.expected_modality) for one in record.study.series] == [("CT", ""), ("", "PR")]
    assert await found(store, modalities=("MR",)) == []
    assert await found(store, modalities=("CT",)) == [UID]
    assert await found(store, modalities=("PR",)) == [UID]


async def test_a_guess_that_comes_after_the_real_modality_changes_nothing(store: Store) -> None:
    await add(store, WHOLE)
    before = await record_of(store)
    async with store.unit() as work:
        await work.studies.expect(guessed("MR", "MR"), "Lakeside", LATER)
    assert await record_of(store) == before
    assert await found(store, modalities=("MR",)) == []


async def test_the_last_guess_stands_and_an_arrival_that_tells_none_leaves_it(store: Store) -> None:
    async with store.unit() as work:
        await work.studies.expect(guessed("MR", "PR"), "Lakeside", NOW)
        await work.studies.expect(guessed("CT", ""), "Lakeside", LATER)
    await add(store, replace(WHOLE, series=(replace(FIRST, modality=""),)), LATER)
    assert (await record_of(store)).study.modalities == ("CT", "PR")
    assert await found(store, modalities=("MR",)) == []


async def test_a_study_that_was_never_settled_is_forgotten_with_everything_that_named_it(store: Store) -> None:
    async with store.unit() as work:
        await work.studies.expect(WHOLE, "Lakeside", NOW)
        await work.studies.forget_patient(UID)
    async with store.view() as work:
        assert await work.studies.get(UID) is None
        assert await work.studies.expected(UID) == frozenset()
    assert await found(store, patient_ids=((ANN.value, None),)) == []
    async with store.unit() as work:
        await work.studies.expect(replace(WHOLE, patient=patient(BEN)), "Lakeside", NOW)


async def test_a_study_of_which_something_has_come_is_not_forgotten(store: Store) -> None:
    async with store.unit() as work:
        await work.studies.expect(WHOLE, "Lakeside", NOW)
    await add(store, replace(WHOLE, series=(FIRST,)))
    async with store.unit() as work:
        await work.studies.forget_patient(UID)
    assert (await record_of(store)).study.instance_count == 2
    async with store.view() as work:
        assert await work.studies.expected(UID) == frozenset()


# --- withdrawing --------------------------------------------------------------------------------------------------------

CHAIN, OTHER_CHAIN = "1.2.3.77.1", "1.2.3.77.2"
ONE, TWO, REPORT = "1.2.3.50.1.1.1", "1.2.3.50.1.1.2", "1.2.3.50.1.2.1"
FEWER = replace(WHOLE, series=(replace(FIRST, instances=FIRST.instances[:1]),))
"""What the second manifest names: the first of the two images, and no report."""


async def fetch(store: Store, whole: Study = WHOLE, chain: str = CHAIN, at: datetime = NOW) -> None:
    """A manifest named it, and it came."""
    async with store.unit() as work:
        await work.studies.expect(whole, "Lakeside", at, (chain,))
    async with store.unit() as work:
        await work.studies.add(arrived(whole), whole.patient, "Lakeside", at, Origin.FETCHED)


async def replaced(store: Store, *named: Study, chain: str = CHAIN, at: datetime = LATER) -> dict[str, int]:
    """Another manifest took the place of the chain's last, and names these; how many instances were hidden, by study."""
    async with store.unit() as work:
        for each in named:
            await work.studies.expect(each, "Lakeside", at, (chain,))
        return dict(await work.studies.withdraw((chain,), named, "1.2.3.78", at))


async def seen(store: Store, uid: str = UID) -> set[str]:
    """Instances that may be seen; everything that tells of instances must tell of the same."""
    record = await record_of(store, uid)
    found_here = {str(each.sop_instance_uid) for _, each in record.study.instances()}
    async with store.view() as work:
        located = {sop for sop in (ONE, TWO, REPORT) if await work.studies.locate(sop) is not None}
        told = [each async for each in work.studies.metadata(uid)]
        page = await work.studies.search(StudyCriteria(study_instance_uids=(uid,)))
        for sop in (ONE, TWO, REPORT):
            alone = [each async for each in work.studies.metadata(uid, sop.rpartition(".")[0], sop)]
            assert bool(alone) == (sop in found_here)
            found_by_it = await work.studies.search(StudyCriteria(sop_instance_uids=(sop,)))
            assert bool(found_by_it.records) == (sop in found_here)
    assert located == found_here
    assert len(told) == len(found_here)
    assert sum(page.records[0].instance_counts.values()) == len(found_here)
    assert sum(record.instance_counts.values()) == len(found_here)
    return found_here


async def hidden(store: Store) -> dict[str, tuple[str, datetime]]:
    async with store.view() as work:
        return {each.sop_instance_uid: (each.manifest, each.at) for each in await work.studies.withdrawn(UID)}


async def awaited(store: Store) -> set[str]:
    async with store.view() as work:
        return set(await work.studies.expected(UID))


async def test_what_the_new_manifest_does_not_name_is_hidden_and_kept(store: Store) -> None:
    await fetch(store)
    before = await record_of(store)
    assert await replaced(store, FEWER) == {UID: 2}
    assert await seen(store) == {ONE}
    assert await hidden(store) == {TWO: ("1.2.3.78", LATER), REPORT: ("1.2.3.78", LATER)}
    record = await record_of(store)
    assert (record.status, record.updated_at) == (before.status, LATER)
    assert record.version == before.version + 1
    async with store.view() as work:
        whole = await work.studies.get(UID, everything=True)
        told = [each async for each in work.studies.metadata(UID, everything=True)]
        alone = [each async for each in work.studies.metadata(UID, "1.2.3.50.1.2", REPORT, everything=True)]
    assert whole is not None
    assert whole.study == before.study
    assert [one.sop_instance_uid.encode() in body for body, (_, one) in zip(told, WHOLE.instances(), strict=True)] == [
        True, True, True,
    ]  # fmt: skip
    assert alone == told[2:]


async def test_a_series_of_which_nothing_is_left_is_not_shown_and_not_found(store: Store) -> None:
    await fetch(store)
    assert await found(store, modalities=("SR",)) == [UID]
    await replaced(store, FEWER)
    record = await record_of(store)
    assert [each.series_instance_uid for each in record.study.series] == ["1.2.3.50.1.1"]
    assert await found(store, modalities=("SR",)) == []
    assert await found(store, series_instance_uids=("1.2.3.50.1.2",)) == []
    async with store.view() as work:
        (shown,) = (await work.studies.search(StudyCriteria(study_instance_uids=(UID,)))).records
    assert [each.series_instance_uid for each in shown.study.series] == ["1.2.3.50.1.1"]
    await replaced(store, WHOLE, at=MUCH_LATER)
    assert (await record_of(store)).study == WHOLE
    assert await found(store, modalities=("SR",)) == [UID]


async def test_what_was_pushed_too_is_nobodys_to_withdraw(store: Store) -> None:
    await fetch(store)
    before = await record_of(store)
    await add(store, replace(WHOLE, series=(SECOND,)), LATER)
    assert await record_of(store) == before
    assert await replaced(store, FEWER) == {UID: 1}
    assert await seen(store) == {ONE, REPORT}


async def test_what_was_pushed_first_and_named_later_is_nobodys_to_withdraw(store: Store) -> None:
    await add(store, WHOLE)
    async with store.unit() as work:
        await work.studies.expect(WHOLE, "Lakeside", NOW, (CHAIN,))
    before = await record_of(store)
    assert await replaced(store, FEWER) == {}
    assert await record_of(store) == before


@pytest.mark.parametrize("when", ["on their way", "here"])
async def test_what_two_chains_name_is_withdrawn_by_neither(store: Store, when: str) -> None:
    async with store.unit() as work:
        await work.studies.expect(WHOLE, "Lakeside", NOW, (CHAIN,))
    if when == "here":
        await fetch(store)
    async with store.unit() as work:
        await work.studies.expect(replace(WHOLE, series=(SECOND,)), "Lakeside", NOW, (OTHER_CHAIN,))
        await work.studies.add(arrived(WHOLE), WHOLE.patient, "Lakeside", NOW, Origin.FETCHED)
    assert await replaced(store, FEWER) == {UID: 1}
    assert await replaced(store, chain=OTHER_CHAIN) == {}
    assert await seen(store) == {ONE, REPORT}


async def test_a_manifest_that_replaces_two_withdraws_what_either_brought(store: Store) -> None:
    await fetch(store, replace(WHOLE, series=(FIRST,)))
    await fetch(store, replace(WHOLE, series=(SECOND,)), OTHER_CHAIN)
    async with store.unit() as work:
        both = (CHAIN, OTHER_CHAIN)
        await work.studies.expect(FEWER, "Lakeside", LATER, both)
        assert dict(await work.studies.withdraw(both, (FEWER,), "1.2.3.78", LATER)) == {UID: 2}
    assert await seen(store) == {ONE}
    assert await replaced(store, chain=OTHER_CHAIN, at=MUCH_LATER) == {}
    assert await replaced(store, at=MUCH_LATER) == {UID: 1}


async def test_what_is_named_again_is_seen_again_and_may_be_withdrawn_again(store: Store) -> None:
    await fetch(store)
    await replaced(store, FEWER)
    async with store.unit() as work:
        assert await work.studies.expect(WHOLE, "Lakeside", MUCH_LATER, (CHAIN,)) == 2
    assert await awaited(store) == set()
    assert await seen(store) == {ONE, TWO, REPORT}
    assert await hidden(store) == {}
    assert (await record_of(store)).updated_at == MUCH_LATER
    assert await replaced(store, FEWER, at=MUCH_LATER) == {UID: 2}
    assert await replaced(store, FEWER, at=MUCH_LATER) == {}
    assert await seen(store) == {ONE}


async def test_what_another_chain_names_after_it_was_withdrawn_is_that_chains(store: Store) -> None:
    await fetch(store)
    await replaced(store, FEWER)
    async with store.unit() as work:
        assert await work.studies.expect(replace(WHOLE, series=(SECOND,)), "Lakeside", LATER, (OTHER_CHAIN,)) == 1
    assert await replaced(store) == {UID: 1}
    assert await seen(store) == {REPORT}
    assert await replaced(store, chain=OTHER_CHAIN) == {UID: 1}


async def test_what_is_pushed_after_it_was_withdrawn_is_seen_again_for_good(store: Store) -> None:
    await fetch(store)
    await replaced(store, FEWER)
    await add(store, replace(WHOLE, series=(SECOND,)), MUCH_LATER)
    assert await seen(store) == {ONE, REPORT}
    assert set(await hidden(store)) == {TWO}
    assert (await record_of(store)).updated_at == MUCH_LATER
    await replaced(store, FEWER)
    assert await seen(store) == {ONE, REPORT}


async def test_what_only_the_replaced_manifest_announced_is_awaited_no_longer(store: Store) -> None:
    async with store.unit() as work:
        await work.studies.expect(WHOLE, "Lakeside", NOW, (CHAIN,))
    assert await replaced(store, FEWER) == {UID: 0}
    assert await awaited(store) == {ONE}
    record = await record_of(store)
    assert [each.series_instance_uid for each in record.study.series] == ["1.2.3.50.1.1"]
    assert (record.status, record.updated_at) == (StudyStatus.REGISTERED, LATER)


async def test_what_comes_after_it_was_withdrawn_is_kept_and_hidden_until_it_is_named(store: Store) -> None:
    async with store.unit() as work:
        await work.studies.expect(WHOLE, "Lakeside", NOW, (CHAIN,))
    await replaced(store, FEWER)
    before = await record_of(store)
    async with store.unit() as work:
        late = [each for each in arrived(WHOLE) if each.study.series[0].instances[0].sop_instance_uid != ONE]
        await work.studies.add([*late, *late], WHOLE.patient, "Lakeside", MUCH_LATER, Origin.FETCHED)
    assert await record_of(store) == before
    assert await seen(store) == set()
    assert await hidden(store) == {TWO: ("", MUCH_LATER), REPORT: ("", MUCH_LATER)}
    await replaced(store, WHOLE, at=MUCH_LATER)
    assert await seen(store) == {TWO, REPORT}
    assert await awaited(store) == {ONE}
    assert await replaced(store, FEWER, at=MUCH_LATER) == {UID: 2}


async def test_a_study_of_which_nothing_is_left_is_cancelled_and_comes_back(store: Store) -> None:
    await fetch(store)
    assert await replaced(store) == {UID: 3}
    record = await record_of(store)
    assert (record.status, record.study.series, record.updated_at) == (StudyStatus.CANCELLED, (), LATER)
    assert await found(store, statuses=("cancelled",)) == [UID]
    assert await seen(store) == set()
    await replaced(store, WHOLE, at=MUCH_LATER)
    assert (await record_of(store)).status is StudyStatus.REGISTERED
    assert await seen(store) == {ONE, TWO, REPORT}
    await replaced(store, at=MUCH_LATER)
    await add(store, FEWER, MUCH_LATER)
    assert (await record_of(store)).status is StudyStatus.AVAILABLE
    assert await seen(store) == {ONE}


async def test_a_study_whose_new_instances_are_on_their_way_is_registered_and_a_held_one_stays_held(
    store: Store,
) -> None:
    await fetch(store)
    async with store.unit() as work:
        await work.studies.set_status(UID, StudyStatus.AVAILABLE, NOW)
    anew = replace(WHOLE, series=(series("1.2.3.50.1.1", instance("1.2.3.50.1.1.9", 9)),))
    assert await replaced(store, anew) == {UID: 3}
    assert (await record_of(store)).status is StudyStatus.REGISTERED
    assert await seen(store) == set()
    async with store.unit() as work:
        await work.studies.set_status(UID, StudyStatus.UNKNOWN, LATER)
    assert await replaced(store, at=MUCH_LATER) == {UID: 0}
    assert (await record_of(store)).status is StudyStatus.UNKNOWN


async def test_what_is_told_of_it_once_more_leaves_it_hidden(store: Store) -> None:
    await fetch(store)
    await replaced(store, FEWER)
    before = await record_of(store)
    told = [replace(each, metadata=b'{"00100020":{"vr":"LO"}}') for each in arrived(WHOLE)]
    fresh = replace(WHOLE, series=(replace(FIRST, instances=(instance("1.2.3.50.1.1.9", 9),)),))
    async with store.unit() as work:
        await work.studies.add([*told, *arrived(fresh)], WHOLE.patient, "", MUCH_LATER, Origin.KNOWN)
    assert (await record_of(store)).study.instance_count == before.study.instance_count + 1
    assert await hidden(store) == {TWO: ("1.2.3.78", LATER), REPORT: ("1.2.3.78", LATER)}
    async with store.view() as work:
        rewritten = [each async for each in work.studies.metadata(UID, everything=True)]
    assert rewritten.count(b'{"00100020":{"vr":"LO"}}') == 3
    await replaced(store, WHOLE, at=MUCH_LATER)
    assert (await record_of(store)).study.instance_count == 4


async def test_a_study_is_its_chains_after_a_merge_and_other_studies_stay_as_they_are(store: Store) -> None:
    await fetch(store)
    await fetch(store, study("1.2.3.50.2", series("1.2.3.50.2.1", instance("1.2.3.50.2.1.1"))), OTHER_CHAIN)
    other = await record_of(store, "1.2.3.50.2")
    async with store.unit() as work:
        await work.studies.merge(ANN, patient(BEN), NOW)
    merged = await record_of(store, "1.2.3.50.2")
    assert merged.study.patient != other.study.patient
    assert await replaced(store) == {UID: 3}
    assert await record_of(store, "1.2.3.50.2") == merged


async def test_a_study_of_which_something_is_withdrawn_is_not_forgotten(store: Store) -> None:
    await fetch(store)
    await replaced(store)
    async with store.unit() as work:
        await work.studies.forget_patient(UID)
    assert set(await hidden(store)) == {ONE, TWO, REPORT}
    assert (await record_of(store)).status is StudyStatus.CANCELLED


async def test_what_is_withdrawn_is_named_for_the_archive_to_compare(sqlite: SqlStore) -> None:
    await fetch(sqlite)
    await replaced(sqlite, FEWER)
    assert sorted([uid async for uid in sqlite.instances()]) == [ONE, TWO, REPORT]


# --- telling ------------------------------------------------------------------------------------------------------------


# --- what the archive has no more -------------------------------------------------------------------------------------


async def lost(store: Store, *sop_instance_uids: str, at: datetime = LATER) -> int:
    async with store.unit() as work:
        return await work.studies.lose(UID, sop_instance_uids, at)


async def test_what_the_archive_lost_is_seen_no_more_and_neither_is_an_empty_series(store: Store) -> None:
    await add(store, WHOLE)
    before = await record_of(store)
    assert await lost(store, "1.2.3.50.1.1.2", "1.2.3.50.1.2.1", "1.2.3.99") == 2
    after = await record_of(store)
    assert [str(one.sop_instance_uid) for _, one in after.study.instances()] == ["1.2.3.50.1.1.1"]
    assert [str(each.series_instance_uid) for each in after.study.series] == ["1.2.3.50.1.1"]
    assert (after.status, after.version, after.updated_at) == (StudyStatus.AVAILABLE, before.version + 1, LATER)
    async with store.view() as work:
        assert await work.studies.locate("1.2.3.50.1.1.2") is None
        assert await work.studies.locate("1.2.3.50.1.1.1") is not None
        assert len([each async for each in work.studies.metadata(UID)]) == 1
    assert await found(store, modalities=("SR",)) == []


async def test_a_study_that_the_archive_lost_is_cancelled_and_comes_back_with_it(store: Store) -> None:
    await add(store, WHOLE)
    every = [str(one.sop_instance_uid) for _, one in WHOLE.instances()]
    assert await lost(store, *every) == 3
    assert (await record_of(store)).status is StudyStatus.CANCELLED
    assert await lost(store, *every) == 0
    async with store.unit() as work:
        await work.studies.add(arrived(WHOLE), WHOLE.patient, "", MUCH_LATER, Origin.KNOWN)
    back = await record_of(store)
    assert (back.status, back.study.instance_count) == (StudyStatus.AVAILABLE, 3)


async def test_a_held_study_that_the_archive_lost_stays_held(store: Store) -> None:
    await add(store, WHOLE)
    async with store.unit() as work:
        await work.studies.set_status(UID, StudyStatus.UNKNOWN, NOW)
    await lost(store, *(str(one.sop_instance_uid) for _, one in WHOLE.instances()))
    assert (await record_of(store)).status is StudyStatus.UNKNOWN


async def test_nothing_is_lost_of_a_study_that_nobody_knows(store: Store) -> None:
    assert await lost(store, "1.2.3.50.1.1.1") == 0


async def test_a_status_is_a_new_version_only_when_it_is_another(store: Store) -> None:
    await add(store, WHOLE)
    for at, version in ((LATER, 2), (MUCH_LATER, 2)):
        async with store.unit() as work:
            await work.studies.set_status(UID, StudyStatus.CANCELLED, at)
        record = await record_of(store)
        assert (record.status, record.version, record.updated_at) == (StudyStatus.CANCELLED, version, LATER)
    with pytest.raises(UnknownDocument):
        async with store.unit() as work:
            await work.studies.set_status("1.2.9", StudyStatus.AVAILABLE, NOW)


async def test_series_and_instances_come_by_number_and_those_without_come_last(store: Store) -> None:
    none = series("1.2.3.50.3.1", instance("1.2.3.50.3.1.1", None), number=None)
    ten = series(
        "1.2.3.50.3.2",
        instance("1.2.3.50.3.2.1", 10),
        instance("1.2.3.50.3.2.2", 2),
        instance("1.2.3.50.3.2.3", None),
        instance("1.2.3.50.3.2.0", 10),
        number=10,
    )
    two = series("1.2.3.50.3.3", instance("1.2.3.50.3.3.1", 1), number=2)
    await add(store, study("1.2.3.50.3", none, ten, two))
    there = (await record_of(store, "1.2.3.50.3")).study
    assert [one.number for one in there.series] == [2, 10, None]
    uids = [each.sop_instance_uid for _, each in there.instances()]
    assert uids == [
        "1.2.3.50.3.3.1", "1.2.3.50.3.2.2", "1.2.3.50.3.2.0", "1.2.3.50.3.2.1", "1.2.3.50.3.2.3", "1.2.3.50.3.1.1",
    ]  # fmt: skip
    async with store.view() as work:
        told = [each async for each in work.studies.metadata("1.2.3.50.3")]
    assert [uid.encode() in body for uid, body in zip(uids, told, strict=True)] == [True] * 6


async def test_metadata_is_told_by_study_series_and_instance(store: Store) -> None:
    await add(store, WHOLE)
    bodies = {one.study.series[0].instances[0].sop_instance_uid: one.metadata for one in arrived(WHOLE)}
    async with store.view() as work:
        told = [each async for each in work.studies.metadata(UID)]
        assert told == list(bodies.values())
        told = [each async for each in work.studies.metadata(UID, "1.2.3.50.1.2")]
        assert told == [bodies[Uid("1.2.3.50.1.2.1")]]
        told = [each async for each in work.studies.metadata(UID, "1.2.3.50.1.1", "1.2.3.50.1.1.2")]
        assert told == [bodies[Uid("1.2.3.50.1.1.2")]]
        for asked in (("1.2.9", None, None), (UID, "1.2.9", None), (UID, "1.2.3.50.1.1", "1.2.3.50.1.2.1")):
            assert [each async for each in work.studies.metadata(*asked)] == []


async def test_an_instance_is_located_by_its_uid(store: Store) -> None:
    await add(store, WHOLE)
    async with store.view() as work:
        assert await work.studies.locate("1.2.3.50.1.2.1") == (UID, "1.2.3.50.1.2")
        assert await work.studies.locate("1.2.9") is None
        assert await work.studies.get("1.2.9") is None


# --- whose it is --------------------------------------------------------------------------------------------------------


async def test_after_a_merge_the_studies_are_the_survivors(store: Store) -> None:
    await add(store, WHOLE)
    await add(store, study("1.2.3.50.2", series("1.2.3.50.2.1", instance("1.2.3.50.2.1.1"))), of=patient(CAT))
    survivor = patient(BEN, family="Smith")
    async with store.unit() as work:
        assert list(await work.studies.merge(ANN, survivor, LATER)) == [UID]
        assert list(await work.studies.merge(ANN, survivor, LATER)) == []
    record = await record_of(store)
    assert (record.study.patient, record.version, record.updated_at) == (survivor, 2, LATER)
    assert await found(store, patient_ids=((ANN.value, ANN.authority),)) == []
    assert await found(store, patient_ids=((BEN.value, BEN.authority),)) == [UID]
    assert await found(store, patient_name="smith*") == [UID]
    async with store.unit() as work:
        assert list(await work.studies.merge(BEN, patient(CAT), MUCH_LATER)) == [UID]
    assert len(await found(store, patient_ids=((CAT.value, None),))) == 2


async def test_new_demographics_show_on_every_study_that_showed_others(store: Store) -> None:
    await add(store, WHOLE)
    await add(store, study("1.2.3.50.2", series("1.2.3.50.2.1", instance("1.2.3.50.2.1.1"))))
    married = patient(ANN, family="Roe")
    async with store.unit() as work:
        assert set(await work.studies.refresh(married, LATER)) == {UID, "1.2.3.50.2"}
        assert list(await work.studies.refresh(married, MUCH_LATER)) == []
    assert (await record_of(store)).study.patient.name.family == "Roe"
    assert await found(store, patient_name="Doe*") == []


# --- searching ----------------------------------------------------------------------------------------------------------

SMALL = study(
    "1.2.3.50.5",
    series("1.2.3.50.5.1", instance("1.2.3.50.5.1.1"), modality="MR"),
    of=patient(
        BEN,
        PatientIdentifier(value="77", authority=OTHER_DOMAIN),
        name=PersonName(family="Müller", given="Jürgen", middle="K", ideographic="山田^太郎", phonetic="やまだ^たろう"),
    ),
    accession_numbers=(AccessionNumber(value="A1"), AccessionNumber(value="B1", authority=Oid("1.2.3.6"))),
    started=Moment.from_dtm("2024"),
    description="Knee [left] 50*",
    study_id="K?7",
    referring_physician=PersonName(family="Welby", given="Marcus"),
)
BIG, KNEE = UID, SMALL.study_instance_uid
SEARCHES: list[tuple[dict[str, object], list[str]]] = [
    ({}, [BIG, KNEE]),
    ({"study_instance_uids": (KNEE, "1.2.9")}, [KNEE]),
    ({"series_instance_uids": ("1.2.3.50.1.2", "1.2.3.50.5.1")}, [BIG, KNEE]),
    ({"series_instance_uids": ("1.2.9",)}, []),
    ({"sop_instance_uids": ("1.2.3.50.5.1.1",)}, [KNEE]),
    ({"patient_ids": (("77", OTHER_DOMAIN),)}, [KNEE]),
    ({"patient_ids": (("77", None),)}, [KNEE]),
    ({"patient_ids": (("77", "1.2.3.9"),)}, []),
    ({"patient_ids": (("77", None), (ANN.value, ANN.authority))}, [BIG, KNEE]),
    ({"accession_numbers": (("A1", None),)}, [BIG, KNEE]),
    ({"accession_numbers": (("A1", "1.2.3.5"),)}, [BIG]),
    ({"accession_numbers": (("A1", "1.2.3.6"), ("B1", "1.2.3.6"))}, [KNEE]),
    ({"patient_name": "MULLER*"}, [KNEE]),
    ({"patient_name": "müller^jürgen^k"}, [KNEE]),
    ({"patient_name": "muller^*^k^^"}, [KNEE]),
    ({"patient_name": "muller"}, []),  # the whole name is meant
    ({"patient_name": "m?ller^*"}, [KNEE]),
    ({"patient_name": "山田*"}, [KNEE]),
    ({"patient_name": "やまだ^たろう"}, [KNEE]),
    ({"patient_name": "*"}, [BIG, KNEE]),
    ({"study_id": "K?7"}, [KNEE]),
    ({"study_id": "k?7"}, []),
    ({"modalities": ("SR", "US")}, [BIG]),
    ({"modalities": ("CT", "MR")}, [BIG, KNEE]),
    ({"referring_physician": "WELBY*"}, [KNEE]),
    ({"description": "*schadel"}, [BIG]),
    ({"description": "knee [left]*"}, [KNEE]),
    ({"description": "knee [l]*"}, []),
    ({"statuses": ("available", "registered")}, [BIG, KNEE]),
    ({"statuses": ("cancelled",)}, []),
    ({"modalities": ("CT",), "patient_ids": ((BEN.value, None),)}, []),
    ({"order": "updated"}, [KNEE, BIG]),
]


async def test_every_criterion_narrows_the_search(store: Store) -> None:
    await add(store, WHOLE)
    await add(store, SMALL, LATER)
    for criteria, expected in SEARCHES:
        assert await found(store, **criteria) == expected, criteria


COMPARISONS = [
    # what is there, comparison, what is asked, fits (FHIR R4 3.1.1.4.6: both are intervals of their precision)
    ("20260301", "eq", "20260301", True),
    ("20260301", "eq", "202603", True),
    ("202603", "eq", "20260301", False),
    ("20260301", "ne", "20260301", False),
    ("202603", "ne", "20260301", True),
    ("20260301", "gt", "20260228", True),
    ("20260301", "gt", "20260301", False),
    ("202603", "gt", "20260301", True),
    ("20260301", "gt", "2026", False),
    ("20260301", "ge", "20260301", True),
    ("20260301", "ge", "20260302", False),
    ("202603", "ge", "20260315", True),
    ("20260301", "lt", "20260302", True),
    ("20260301", "lt", "20260301", False),
    ("202603", "lt", "20260315", True),
    ("20260301", "lt", "2026", False),
    ("20260301", "le", "20260301", True),
    ("20260301", "le", "20260228", False),
    ("202612", "eq", "2026", True),
    ("20261231", "lt", "2027", True),
    ("20260301120000", "eq", "20260301130000+0100", True),
    (None, "ne", "2026", False),  # what has no start fits no question about it
    (None, "le", "2026", False),
]


async def test_starts_are_compared_by_their_precision(store: Store) -> None:
    for number, (there, comparison, asked, fits) in enumerate(COMPARISONS):
        uid = f"1.2.3.51.{number}"
        started = None if there is None else Moment.from_dtm(there)
        await add(store, study(uid, series(f"{uid}.1", instance(f"{uid}.1.1")), started=started))
        criteria = {"study_instance_uids": (uid,), "started": ((comparison, Moment.from_dtm(asked)),)}
        assert bool(await found(store, **criteria)) is fits, (there, comparison, asked)


async def test_several_comparisons_all_hold(store: Store) -> None:
    await add(store, WHOLE)
    spring = (("ge", Moment.from_dtm("20260301")), ("lt", Moment.from_dtm("20260401")))
    assert await found(store, started=spring) == [UID]
    assert await found(store, started=(*spring, ("gt", Moment.from_dtm("20260301")))) == []


async def test_the_time_of_the_last_change_is_searched_to_the_millisecond(store: Store) -> None:
    at = NOW.replace(microsecond=123_456)
    await add(store, WHOLE, at)
    shown = Moment(at.replace(microsecond=123_000))  # as meta.lastUpdated shows it
    assert await found(store, updated=(("gt", shown),)) == []
    assert await found(store, updated=(("eq", shown),)) == [UID]
    assert await found(store, updated=(("ge", shown),)) == [UID]
    assert await found(store, updated=(("gt", Moment(at.replace(microsecond=122_000))),)) == [UID]
    assert await found(store, updated=(("le", Moment(NOW)),)) == [UID]  # within that second
    assert await found(store, updated=(("lt", Moment(NOW)),)) == []


@pytest.mark.parametrize("order", ["started", "updated"])
async def test_pages_lose_nothing_and_double_nothing_while_studies_come(store: Store, order: str) -> None:
    starts = ["2026", "20260101", "202601", None, "20260101", None, "20250101"]
    for number, start in enumerate(starts):
        uid = f"1.2.3.52.{number}"
        started = None if start is None else Moment.from_dtm(start)
        at = NOW + timedelta(minutes=number // 2)
        await add(store, study(uid, series(f"{uid}.1", instance(f"{uid}.1.1")), started=started), at)
    expected = await found(store, order=order)
    seen: list[str] = []
    after: PageKey | None = None
    while True:
        async with store.view() as work:
            page = await work.studies.search(StudyCriteria(order=order, after=after, limit=2))
        assert page.total is not None
        seen += [record.study.study_instance_uid for record in page.records]
        if not page.more:
            break
        after = page.records[-1].page_key(order)
        uid = f"1.2.3.53.{len(seen)}"  # a newer one comes in between: before all pages that are still to come
        await add(store, study(uid, series(f"{uid}.1", instance(f"{uid}.1.1")), started=Moment(LATER)), MUCH_LATER)
    assert seen == expected


async def test_a_page_has_series_and_counts_and_no_instances(store: Store) -> None:
    await add(store, WHOLE)
    async with store.view() as work:
        page = await work.studies.search(StudyCriteria(), count=False)
    (record,) = page.records
    assert page.total is None
    assert [(one.modality, one.instances) for one in record.study.series] == [("CT", ()), ("SR", ())]
    assert dict(record.instance_counts) == {"1.2.3.50.1.1": 2, "1.2.3.50.1.2": 1}


async def test_limit_and_offset(store: Store) -> None:
    for number in range(5):
        uid = f"1.2.3.54.{number}"
        await add(store, study(uid, series(f"{uid}.1", instance(f"{uid}.1.1"))))
    async with store.view() as work:
        page = await work.studies.search(StudyCriteria(limit=2, offset=1))
        assert [each.study.study_instance_uid for each in page.records] == ["1.2.3.54.1", "1.2.3.54.2"]
        assert (page.total, page.more) == (5, True)
        last = await work.studies.search(StudyCriteria(limit=2, offset=3))
        assert (len(last.records), last.more) == (2, False)
        beyond = await work.studies.search(StudyCriteria(limit=2, offset=9))
        assert (beyond.records, beyond.more) == ((), False)
        only_count = await work.studies.search(StudyCriteria(limit=0))
        assert (only_count.records, only_count.total) == ((), 5)


async def test_a_page_that_nobody_gave_is_refused(store: Store) -> None:
    with pytest.raises(MalformedMessage):
        async with store.view() as work:
            await work.studies.search(StudyCriteria(after=PageKey(value="yesterday", study_instance_uid=UID)))


async def test_every_instance_of_the_index_is_named_once_for_the_archive_to_compare(
    sqlite: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.adapters.studies_told_sql.PAGE", 2)
    await add(sqlite, WHOLE)
    await add(sqlite, SMALL)
    assert [uid async for uid in sqlite.instances()] == [
        "1.2.3.50.1.1.1", "1.2.3.50.1.1.2", "1.2.3.50.1.2.1", "1.2.3.50.5.1.1",
    ]  # fmt: skip


# --- corrections ------------------------------------------------------------------------------------------------------


async def test_what_is_said_anew_stands_in_the_place_of_what_was_said(store: Store) -> None:
    one = AccessionNumber(value="A1", authority=None)
    await add(store, replace(WHOLE, description="Hnad", accession_numbers=(one,), institution="Valley"))
    two = replace(one, value="A2")
    said = replace(WHOLE, description="Hand", accession_numbers=(two,), series=(replace(FIRST, description="PA"),))
    async with store.unit() as work:
        await work.studies.add(arrived(said), WHOLE.patient, "", LATER, Origin.KNOWN, anew=True)
    record = await record_of(store)
    assert (record.study.description, record.study.accession_numbers) == ("Hand", (two,))
    assert record.study.institution == said.institution
    assert [each.description for each in record.study.series] == ["PA", SECOND.description]
    assert record.study.instance_count == 3
    assert record.version == 2
    assert await found(store, accession_numbers=(("A2", None),)) == [UID]
    assert await found(store, accession_numbers=(("A1", None),)) == []


async def test_what_is_said_anew_and_was_said_already_is_no_new_version(store: Store) -> None:
    await add(store, WHOLE)
    before = await record_of(store)
    async with store.unit() as work:
        await work.studies.add(arrived(WHOLE), before.study.patient, "", LATER, Origin.KNOWN, anew=True)
    assert await record_of(store) == before


async def test_a_study_that_is_told_anew_of_another_patient_is_theirs(store: Store) -> None:
    await add(store, WHOLE, of=patient(ANN))
    async with store.unit() as work:
        await work.studies.add(arrived(WHOLE), patient(BEN), "", LATER, Origin.KNOWN, anew=True)
    assert (await record_of(store)).study.patient == patient(BEN)
    for one, there in ((ANN, []), (BEN, [UID])):
        assert await found(store, patient_ids=((one.value, one.authority),)) == there


async def test_what_an_archive_told_is_remembered_until_it_tells_something_else(store: Store) -> None:
    async with store.unit() as work:
        await work.studies.remember({"1.2.3": "a", "1.2.4": "b"})
    async with store.unit() as work:
        await work.studies.remember({"1.2.3": "c"})
        await work.studies.remember({})
    async with store.view() as work:
        assert [await work.studies.told(uid) for uid in ("1.2.3", "1.2.4", "1.2.5")] == ["c", "b", ""]
