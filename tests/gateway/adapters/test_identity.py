"""The suite of the Identity port, on every store."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.ports.store import Store
from profiles.errors import (
    Duplicate,
    ExchangeError,
    IdentityConflict,
    RuleViolation,
    TooManyResults,
    UnknownPatient,
)
from profiles.model.identifiers import PatientIdentifier
from profiles.model.moment import Moment
from profiles.model.patient import Evidence, IdentityLink, Patient, PersonName, Sex
from profiles.model.query import BirthCriteria, NameCriteria, PatientCriteria
from tests.support.registered import ANN, BEN, CAT, DOMAIN, LATER, NOW, OTHER_DOMAIN, patient

FOREIGN = PatientIdentifier(value="77", authority=OTHER_DOMAIN)
NOBODY = PatientIdentifier(value="nobody", authority=DOMAIN)


async def put(store: Store, *patients: Patient) -> list[Patient]:
    answered = []
    for each in patients:
        async with store.unit() as work:
            answered.append(await work.identity.put(each, NOW))
    return answered


async def get(store: Store, identifier: PatientIdentifier) -> Patient | None:
    async with store.view() as work:
        return await work.identity.get(identifier)


async def merge(store: Store, subsumed: PatientIdentifier, surviving: PatientIdentifier) -> Patient:
    async with store.unit() as work:
        return await work.identity.merge(subsumed, surviving, LATER)


def link(local: PatientIdentifier, foreign: PatientIdentifier, minutes: int = 0) -> IdentityLink:
    return IdentityLink(
        local=local,
        foreign=foreign,
        evidence=Evidence.PERSON,
        decided_by="ada",
        decided_at=NOW + timedelta(minutes=minutes),
    )


# --- put and get --------------------------------------------------------------------------------------------------------


async def test_a_patient_is_known_by_every_id(store: Store) -> None:
    told = patient(
        ANN,
        FOREIGN,
        name=PersonName(family="Doe", given="Jane", middle="Q", prefix="Dr", suffix="Jr", ideographic="山田"),
        birth_date=Moment.from_dtm("197002"),
        sex=Sex.OTHER,
        address="1 Main^^Town",
    )
    assert await put(store, told) == [told]
    assert await get(store, ANN) == await get(store, FOREIGN) == told
    assert await get(store, NOBODY) is None


async def test_an_update_replaces_demographics_adds_ids_and_keeps_the_first_id_first(store: Store) -> None:
    await put(store, patient(ANN, family="Doe"))
    (now,) = await put(store, patient(FOREIGN, ANN, family="Roe", birth_date=None))
    assert now == patient(ANN, FOREIGN, family="Roe", birth_date=None)
    assert await get(store, FOREIGN) == await get(store, ANN) == now


async def test_ids_of_different_patients_are_a_conflict_and_change_nothing(store: Store) -> None:
    ann, ben = await put(store, patient(ANN), patient(BEN, family="Smith"))
    with pytest.raises(IdentityConflict):
        await put(store, patient(ANN, BEN, family="Roe"))
    assert [await get(store, each) for each in (ANN, BEN)] == [ann, ben]


async def test_the_same_value_of_another_authority_is_somebody_else(store: Store) -> None:
    stranger = PatientIdentifier(value=ANN.value, authority=OTHER_DOMAIN)
    await put(store, patient(ANN))
    assert await get(store, stranger) is None
    await put(store, patient(stranger, family="Smith"))
    ann = await get(store, ANN)
    assert ann is not None
    assert ann.name.family == "Doe"


# --- links --------------------------------------------------------------------------------------------------------------


async def test_a_foreign_id_is_known_through_its_link(store: Store) -> None:
    (ann,) = await put(store, patient(ANN))
    async with store.unit() as work:
        await work.identity.link(link(ANN, FOREIGN))
        assert await work.identity.get(FOREIGN) == ann
        assert list(await work.identity.links(FOREIGN)) == list(await work.identity.links(ANN)) == [link(ANN, FOREIGN)]
        assert list(await work.identity.links(BEN)) == []


async def test_a_link_decided_again_is_the_newer_decision(store: Store) -> None:
    await put(store, patient(ANN), patient(BEN, family="Smith"))
    async with store.unit() as work:
        await work.identity.link(link(ANN, FOREIGN))
        await work.identity.link(link(BEN, FOREIGN, 1))
        await work.identity.link(link(BEN, FOREIGN, 2))
        assert list(await work.identity.links(FOREIGN)) == [link(BEN, FOREIGN, 2), link(ANN, FOREIGN)]
        known = await work.identity.get(FOREIGN)
    assert known is not None
    assert known.identifiers == (BEN,)


async def test_a_link_to_nobody_leads_nowhere(store: Store) -> None:
    async with store.unit() as work:
        await work.identity.link(link(NOBODY, FOREIGN))
        assert await work.identity.get(FOREIGN) is None


# --- merges: ITI TF-2 3.8.4.2 -------------------------------------------------------------------------------------------


async def test_a_subsumed_id_is_not_valid_any_more_and_the_survivor_is_as_before(store: Store) -> None:
    _, ben = await put(store, patient(ANN), patient(BEN, family="Smith"))
    assert await merge(store, ANN, BEN) == ben
    assert await get(store, ANN) is None
    assert await get(store, BEN) == ben
    async with store.view() as work:
        assert await work.identity.subsumed(ANN) == BEN
        assert await work.identity.subsumed(BEN) is None
        assert await work.identity.subsumed(NOBODY) is None


async def test_other_ids_of_the_subsumed_patient_are_the_survivors(store: Store) -> None:
    await put(store, patient(ANN, FOREIGN), patient(BEN, family="Smith"))
    survivor = await merge(store, ANN, BEN)
    assert survivor.identifiers == (BEN, FOREIGN)
    assert await get(store, FOREIGN) == survivor


async def test_a_chain_of_merges_ends_at_the_last_survivor(store: Store) -> None:
    await put(store, *(patient(each, family=each.value) for each in (ANN, BEN, CAT)))
    await merge(store, ANN, BEN)
    await merge(store, BEN, CAT)
    async with store.view() as work:
        assert await work.identity.subsumed(ANN) == await work.identity.subsumed(BEN) == CAT
        assert await work.identity.get(BEN) is None


async def test_links_follow_the_survivor(store: Store) -> None:
    await put(store, patient(ANN), patient(BEN, family="Smith"))
    async with store.unit() as work:
        await work.identity.link(link(ANN, FOREIGN))
        await work.identity.link(link(BEN, ANN))
    ben = await merge(store, ANN, BEN)
    assert await get(store, FOREIGN) == ben
    async with store.view() as work:
        assert list(await work.identity.links(ANN)) == []
        assert list(await work.identity.links(BEN)) == [link(BEN, FOREIGN)]


async def test_two_ids_of_one_patient_may_be_merged(store: Store) -> None:
    await put(store, patient(ANN, BEN))
    survivor = await merge(store, ANN, BEN)
    assert survivor.identifiers == (BEN,)
    assert await get(store, ANN) is None
    assert await get(store, BEN) == survivor


REFUSED: list[tuple[str, PatientIdentifier, PatientIdentifier, type[ExchangeError], str]] = [
    ("both are the same", BEN, BEN, Duplicate, "205"),
    ("another authority", FOREIGN, BEN, IdentityConflict, "204"),
    ("the subsumed is not known", NOBODY, BEN, UnknownPatient, "204"),
    ("the survivor is not known", BEN, NOBODY, UnknownPatient, "204"),
    ("the subsumed was merged already", ANN, CAT, UnknownPatient, "204"),
    ("the survivor was merged already", CAT, ANN, UnknownPatient, "204"),
]


async def test_merges_that_make_no_sense_are_refused_and_change_nothing(store: Store) -> None:
    await put(store, patient(ANN), patient(BEN, FOREIGN, family="Smith"), patient(CAT, family="Jones"))
    await merge(store, ANN, BEN)
    before = [await get(store, each) for each in (ANN, BEN, CAT, FOREIGN)]
    for case, subsumed, surviving, error, code in REFUSED:
        with pytest.raises(error) as caught:
            await merge(store, subsumed, surviving)
        assert caught.value.code == code, case
    assert [await get(store, each) for each in (ANN, BEN, CAT, FOREIGN)] == before


async def test_a_subsumed_id_is_not_taken_up_again(store: Store) -> None:
    await put(store, patient(ANN), patient(BEN, family="Smith"))
    await merge(store, ANN, BEN)
    with pytest.raises(IdentityConflict):
        await put(store, patient(ANN))
    assert await get(store, ANN) is None


# --- looking for somebody -----------------------------------------------------------------------------------------------


async def test_candidates_agree_in_name_birth_date_and_sex(store: Store) -> None:
    (one, two, *_) = await put(
        store,
        patient(ANN, family="Müller", given="Ann"),
        patient(BEN, family="MULLER", given="ann"),
        patient(CAT, family="Müller", given="Ann", sex=Sex.MALE),
    )
    stranger = patient(FOREIGN, family="Muller", given="Änn", name=PersonName(family="Muller", given="Änn", middle="Q"))
    async with store.view() as work:
        assert sorted(await work.identity.match(stranger), key=str) == sorted([one, two], key=str)
        assert list(await work.identity.match(patient(FOREIGN, family="Muller", given="Ann", birth_date=None))) == []
        year_only = patient(FOREIGN, family="Muller", given="Ann", birth_date=Moment.from_dtm("1970"))
        assert list(await work.identity.match(year_only)) == []
        assert list(await work.identity.match(patient(FOREIGN, family="", given="Ann"))) == []
        other_day = patient(FOREIGN, family="Muller", given="Ann", birth_date=Moment.from_dtm("19700204"))
        assert list(await work.identity.match(other_day)) == []


async def test_the_subsumed_are_no_candidates_and_not_searched(store: Store) -> None:
    _, ben = await put(store, patient(ANN), patient(BEN))
    await merge(store, ANN, BEN)
    async with store.view() as work:
        assert list(await work.identity.match(patient(FOREIGN))) == [ben]
        assert list(await work.identity.search("doe")) == [ben]
        assert list(await work.identity.search(ANN.value)) == []


async def test_people_are_searched_by_id_or_by_the_beginning_of_a_name(store: Store) -> None:
    ann, ben, cat = await put(
        store,
        patient(ANN, FOREIGN, family="Döring", given="Anna"),
        patient(BEN, family="Dorn", given="Ben"),
        patient(CAT, family="Percent%", given="Cat", name=PersonName(family="Percent%", ideographic="山田^花子")),
    )
    searches: list[tuple[str, list[Patient]]] = [
        ("ann", [ann]),
        ("77", [ann]),
        ("dor", [ann, ben]),
        ("DÖR", [ann, ben]),
        ("doring, an", [ann]),
        ("Anna Doring", [ann]),
        ("doring ben", []),
        ("percent%", [cat]),
        ("d%", []),
        ("d*", []),
        ("山田", [cat]),
        ("", [ann, ben, cat]),
        ("  ", [ann, ben, cat]),
        ("zzz", []),
    ]
    async with store.view() as work:
        for text, expected in searches:
            assert list(await work.identity.search(text)) == expected, text
        assert list(await work.identity.search("dor", limit=1)) == [ann]


# --- find ---------------------------------------------------------------------------------------------------------------


async def found(store: Store, limit: int = 10, **conditions: Any) -> list[PatientIdentifier]:
    async with store.view() as work:
        return [each.identifiers[0] for each in await work.identity.find(PatientCriteria(**conditions), limit)]


def called(family: str = "", given: str = "", *, beginning: bool = False, **parts: str) -> tuple[NameCriteria, ...]:
    return (NameCriteria(name=PersonName(family=family, given=given, **parts), beginning=beginning),)


def born(low: str | None, high: str | None) -> BirthCriteria:
    return BirthCriteria(
        low=None if low is None else Moment.from_dtm(low), high=None if high is None else Moment.from_dtm(high)
    )


async def crowd(store: Store) -> None:
    await put(
        store,
        patient(
            ANN, FOREIGN, name=PersonName(family="Dœ", given="Jané", middle="Q", suffix="Jr"),
            birth_date=Moment.from_dtm("19700131"), sex=Sex.FEMALE, address="1 Main^^Town^ST^01234^US",
        ),
        patient(BEN, name=PersonName(family="Doerr", given="Ben", ideographic="山田^太郎"), birth_date=None),
        patient(CAT, name=PersonName(family="Doe", given="Cat"), birth_date=Moment.from_dtm("1970"), sex=Sex.MALE),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({"names": called("doe")}, [CAT]),
        ({"names": called("DŒ", "jane")}, [ANN]),
        ({"names": called("Do", beginning=True)}, [BEN, CAT]),
        ({"names": called("Do", "B", beginning=True)}, [BEN]),
        ({"names": called("doe", "c")}, []),
        ({"names": called("Dœ", middle="q", suffix="jr")}, [ANN]),
        ({"names": called("Dœ", suffix="Sr")}, []),
        ({"names": called("山田", "太郎")}, [BEN]),
        ({"names": (*called("doe"), *called("doerr", "ben"))}, [BEN, CAT]),
        ({"names": called("Dœ"), "birth": born("19700131", "19700131")}, [ANN]),
        ({"names": called("Dœ"), "birth": born("1970", "1970")}, [ANN]),
        ({"names": called("Dœ"), "birth": born("19700201", None)}, []),
        ({"names": called("Dœ"), "birth": born(None, "19700131")}, [ANN]),
        ({"names": called("doe"), "birth": born("19700131", "19700131")}, []),
        ({"names": called("doerr"), "birth": born(None, "2000")}, []),
        ({"names": called("doe"), "sex": Sex.MALE}, [CAT]),
        ({"names": called("doe"), "sex": Sex.FEMALE}, []),
        ({"names": called("Dœ"), "address": (("city", "TOWN"), ("postalCode", "01234"))}, [ANN]),
        ({"names": called("Dœ"), "address": (("city", "Village"),)}, []),
        ({"identifiers": (FOREIGN,)}, [ANN]),
        ({"identifiers": (ANN, FOREIGN), "sex": Sex.FEMALE}, [ANN]),
        ({"identifiers": (ANN, BEN)}, []),
        ({"identifiers": (ANN, NOBODY)}, []),
        ({"identifiers": (ANN,), "names": called("", "cat")}, []),
    ],
)
async def test_patients_are_found_who_fit_all_conditions(
    store: Store, conditions: dict[str, Any], expected: list[PatientIdentifier]
) -> None:
    await crowd(store)
    assert await found(store, **conditions) == expected


async def test_a_linked_id_finds_the_patient_and_a_subsumed_one_nobody(store: Store) -> None:
    await crowd(store)
    async with store.unit() as work:
        await work.identity.link(link(BEN, PatientIdentifier(value="78", authority=OTHER_DOMAIN)))
    assert await found(store, identifiers=(PatientIdentifier(value="78", authority=OTHER_DOMAIN), BEN)) == [BEN]
    await merge(store, CAT, BEN)
    assert await found(store, identifiers=(CAT,)) == []
    assert await found(store, names=called("doe", "cat")) == []


@pytest.mark.parametrize("conditions", [{}, {"names": called("", "Ann")}, {"birth": born("1970", "1970")}])
async def test_whom_all_would_have_to_be_looked_at_for_is_not_searched(
    store: Store, conditions: dict[str, Any]
) -> None:
    with pytest.raises(RuleViolation):
        await found(store, **conditions)


async def test_more_than_the_limit_is_said_and_not_cut_off(store: Store) -> None:
    await crowd(store)
    assert len(await found(store, 2, names=called("do", beginning=True))) == 2
    with pytest.raises(TooManyResults):
        await found(store, 1, names=called("do", beginning=True))
