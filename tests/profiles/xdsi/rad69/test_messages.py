"""From a manifest to requests: one per source, in batches, for what is still wanted."""

from dataclasses import replace

from profiles.model.codes import MANIFEST_TITLE
from profiles.model.identifiers import Oid, PatientIdentifier, Uid
from profiles.model.imaging import Instance, Manifest, Series, Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.xdsi.rad69 import RetrieveImagingDocumentSetRequest, to_retrieve_requests, unlocated

CT = Uid("1.2.840.10008.5.1.4.1.1.2")
PATIENT = Patient(identifiers=(PatientIdentifier(value="P", authority=Oid("1.2.3")),))
SYNTAXES = ("1.2.840.10008.1.2.1",)
HERE, THERE = Oid("1.2.3.3"), Oid("1.2.4.3")


def series(study: str, number: int, location: Oid | None, count: int) -> Series:
    return Series(
        series_instance_uid=Uid(f"{study}.{number}"),
        retrieve_location_uid=location,
        instances=tuple(
            Instance(sop_instance_uid=Uid(f"{study}.{number}.{n}"), sop_class_uid=CT) for n in range(1, count + 1)
        ),
    )


MANIFEST = Manifest(
    sop_instance_uid=Uid("1.2.9"),
    series_instance_uid=Uid("1.2.9.1"),
    created=Moment.from_dtm("20260301"),
    patient=PATIENT,
    title=MANIFEST_TITLE,
    studies=(
        Study(
            study_instance_uid=Uid("1.1"),
            patient=PATIENT,
            series=(series("1.1", 1, HERE, 3), series("1.1", 2, THERE, 2), series("1.1", 3, HERE, 2)),
        ),
        Study(study_instance_uid=Uid("1.2"), patient=PATIENT, series=(series("1.2", 1, HERE, 1),)),
    ),
)


def shape(request: RetrieveImagingDocumentSetRequest) -> dict[str, dict[str, int]]:
    return {
        study.study_instance_uid: {each.series_instance_uid: len(each.documents) for each in study.series}
        for study in request.studies
    }


def test_each_source_is_asked_for_what_it_has() -> None:
    here, there = to_retrieve_requests(MANIFEST, transfer_syntax_uids=SYNTAXES)
    assert (here.retrieve_location_uid, there.retrieve_location_uid) == (HERE, THERE)
    assert shape(here.request) == {"1.1": {"1.1.1": 3, "1.1.3": 2}, "1.2": {"1.2.1": 1}}
    assert shape(there.request) == {"1.1": {"1.1.2": 2}}
    assert here.request.transfer_syntax_uids == SYNTAXES
    first = next(here.request.instances()).document
    assert (first.repository_unique_id, first.document_unique_id, first.home_community_id) == (HERE, "1.1.1.1", None)


def test_only_what_is_wanted_is_asked_for() -> None:
    (located,) = to_retrieve_requests(MANIFEST, transfer_syntax_uids=SYNTAXES, only=frozenset({"1.1.2.2"}))
    assert shape(located.request) == {"1.1": {"1.1.2": 1}}
    assert to_retrieve_requests(MANIFEST, transfer_syntax_uids=SYNTAXES, only=frozenset()) == ()


def test_batches_lose_and_double_nothing() -> None:
    for size in range(1, 9):
        located = to_retrieve_requests(MANIFEST, transfer_syntax_uids=SYNTAXES, batch_instances=size)
        asked = [each.document.document_unique_id for one in located for each in one.request.instances()]
        assert sorted(asked) == sorted(
            instance.sop_instance_uid for study in MANIFEST.studies for _, instance in study.instances()
        )
        assert max(sum(1 for _ in one.request.instances()) for one in located) <= size


def test_the_home_of_the_manifest_is_named_in_each() -> None:
    located = to_retrieve_requests(MANIFEST, transfer_syntax_uids=SYNTAXES, home_community_id=Oid("1.2.4.1"))
    assert {each.document.home_community_id for one in located for each in one.request.instances()} == {"1.2.4.1"}


def test_a_series_without_a_location_is_left_out_and_named() -> None:
    study = Study(study_instance_uid=Uid("1.1"), patient=PATIENT, series=(series("1.1", 1, None, 2),))
    manifest = replace(MANIFEST, studies=(study,))
    assert to_retrieve_requests(manifest, transfer_syntax_uids=SYNTAXES) == ()
    assert unlocated(manifest) == ("1.1.1.1", "1.1.1.2")
    (located,) = to_retrieve_requests(manifest, transfer_syntax_uids=SYNTAXES, default_location=THERE)
    assert located.retrieve_location_uid == THERE
    assert unlocated(MANIFEST) == ()


def test_an_instance_that_is_asked_for_twice_is_one() -> None:
    (located, _) = to_retrieve_requests(MANIFEST, transfer_syntax_uids=SYNTAXES)
    twice = replace(located.request, studies=located.request.studies * 2)
    assert list(twice.instances()) == list(located.request.instances())
