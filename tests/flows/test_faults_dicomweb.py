"""Pushes that are wrong: broken files, files of another study or of another patient. What is refused is nowhere.

Source: DICOM PS3.18 10.5 and Annex I.2 (failure reasons).
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from conformance.samples import SampleStudy
from profiles.model.patient import Patient
from tests.support.scenario import (
    AS_LAKESIDE_KNOWS_HIM,
    SOMEBODY_ELSE,
    VALLEY_ID,
    ZEBEDIAH,
    World,
    rad69_request,
    world,
    write_study,
)

CANNOT_UNDERSTAND, DOES_NOT_MATCH, PROCESSING_FAILURE, DUPLICATE = 0xC000, 0xA900, 0x0110, 0x0111


def bodies(study: SampleStudy) -> list[bytes]:
    return [one.path.read_bytes() for one in study.instances]


def failed(answer: dict[str, Any]) -> dict[str, int]:
    """Failure reason by SOP Instance UID; what could not be read so far has none."""
    found = {}
    for tag in ("00081198", "0008119A"):
        for index, item in enumerate(answer.get(tag, {}).get("Value", [])):
            uid = item.get("00081155", {}).get("Value", [f"?{index}"])[0]
            found[uid] = item["00081197"]["Value"][0]
    return found


def taken(answer: dict[str, Any]) -> set[str]:
    return {item["00081155"]["Value"][0] for item in answer.get("00081199", {}).get("Value", [])}


async def known(here: World) -> SampleStudy:
    await here.valley.tell(ZEBEDIAH)
    return write_study(here.folder / "pushed", series=1, instances=3)


BROKEN = [
    ("not DICOM", lambda body: b"<html>Quillfeather</html>" * 50, CANNOT_UNDERSTAND),
    ("empty", lambda body: b"", CANNOT_UNDERSTAND),
    ("cut off in the head", lambda body: body[:300], CANNOT_UNDERSTAND),
    ("cut off in the pixels", lambda body: body[:-100], CANNOT_UNDERSTAND),
    ("a length beyond the end", lambda body: body[:-2052] + b"\xff\xff\xff\x7f" + body[-2048:], CANNOT_UNDERSTAND),
    ("a program", lambda body: b"MZ" + body[2:], DOES_NOT_MATCH),
]


@pytest.mark.parametrize(("spoil", "reason"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
async def test_one_broken_file_is_refused_and_the_others_are_kept(tmp_path: Path, spoil: Any, reason: int) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        first, *rest = bodies(study)
        status, answer = await here.valley.push([spoil(first), *rest])
        assert status == 202
        assert taken(answer) == {str(one.sop_instance_uid) for one in study.instances[1:]}
        (code,) = failed(answer).values()
        assert code & 0xF000 == reason & 0xF000
        kept = here.valley.kept()
        assert len(kept.rows["instances"]) == 2
        assert sum(name.endswith(".dcm") for name in kept.files) == 2
        done = await here.valley.rests("done", kind="store")
        (pushed,) = (step for step in done["steps"] if step["direction"] == "in")
        assert pushed["outcome"] == "partial"


@pytest.mark.parametrize("spoil", [case[1] for case in BROKEN], ids=[case[0] for case in BROKEN])
async def test_nothing_but_broken_files_is_a_conflict_and_leaves_one_note(tmp_path: Path, spoil: Any) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        async with here.valley.refusing():
            status, answer = await here.valley.push([spoil(bodies(study)[0])])
            assert status == 409
            assert len(failed(answer)) == 1
            assert not taken(answer)


async def test_files_of_another_study_than_the_address_names_are_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        async with here.valley.refusing() as refused:
            status, answer = await here.valley.push(bodies(study), study="1.2.3.4.5")
            assert status == 409
            assert set(failed(answer).values()) == {DOES_NOT_MATCH}
        assert "study" in refused.step["why"]
        other = write_study(tmp_path / "other", seed=7, series=1, instances=1)
        status, answer = await here.valley.push([*bodies(study), *bodies(other)], study=str(study.study_instance_uid))
        assert status == 202
        assert failed(answer) == {str(other.instances[0].sop_instance_uid): DOES_NOT_MATCH}
        assert len(here.valley.kept().rows["instances"]) == 3


@pytest.mark.parametrize("patient", [SOMEBODY_ELSE, replace(SOMEBODY_ELSE, identifiers=())], ids=["known", "no id"])
async def test_more_of_a_study_under_another_patient_is_refused(tmp_path: Path, patient: Patient) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        await here.valley.tell(SOMEBODY_ELSE)
        assert (await here.valley.push(bodies(study)[:2]))[0] == 200
        await here.valley.rests("done", kind="store")
        dataset = dcmread(study.instances[2].path)
        dataset.PatientName = "Quillfeather^Ottoline"
        if patient.identifiers:
            dataset.PatientID = patient.identifiers[0].value
            del dataset.IssuerOfPatientIDQualifiersSequence
        else:
            dataset.PatientID = ""
        wrong = tmp_path / "wrong.dcm"
        dataset.save_as(wrong)
        async with here.valley.refusing() as refused:
            status, answer = await here.valley.push([wrong.read_bytes()])
            assert status == 409
            assert failed(answer) == {str(study.instances[2].sop_instance_uid): DOES_NOT_MATCH}
        assert "patient" in refused.step["why"]


async def test_two_patients_in_one_study_of_one_push_are_told_apart(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        await here.valley.tell(SOMEBODY_ELSE)
        dataset = dcmread(study.instances[2].path)
        dataset.PatientID = SOMEBODY_ELSE.identifiers[0].value
        del dataset.IssuerOfPatientIDQualifiersSequence
        wrong = tmp_path / "wrong.dcm"
        dataset.save_as(wrong)
        status, answer = await here.valley.push([*bodies(study)[:2], wrong.read_bytes()])
        assert status == 202
        assert failed(answer) == {str(study.instances[2].sop_instance_uid): DOES_NOT_MATCH}
        kept = here.valley.kept()
        assert len(kept.rows["instances"]) == 2
        assert sum(name.endswith(".dcm") for name in kept.files) == 2


async def test_the_same_instance_with_other_content_is_refused_and_the_first_stays(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        assert (await here.valley.push(bodies(study)))[0] == 200
        await here.valley.rests("done", kind="store")
        body = bodies(study)[0]
        async with here.valley.refusing():
            status, answer = await here.valley.push([body[:-2] + bytes((body[-2] ^ 1, body[-1]))])
            assert status == 409
            assert failed(answer) == {str(study.instances[0].sop_instance_uid): DUPLICATE}


async def test_the_same_push_again_changes_nothing_and_is_not_told_again(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = await known(here)
        assert (await here.valley.push(bodies(study)))[0] == 200
        await here.valley.rests("done", kind="store")
        before = here.valley.kept()
        told = await here.valley.get(f"/dicomweb/studies/{study.study_instance_uid}/metadata")
        assert VALLEY_ID.value.encode() in told[1]  # the sender's own id was coerced
        status, answer = await here.valley.push(bodies(study))
        assert status == 200
        assert len(taken(answer)) == 3
        after = here.valley.kept()
        assert {name: len(rows) for name, rows in after.rows.items()} == {
            name: len(rows) for name, rows in before.rows.items()
        }
        assert after.files == before.files
        assert [each["kind"] for each in after.exchanges].count("store") == 1


async def found(here: World, study: SampleStudy) -> tuple[int, int]:
    """How many studies QIDO-RS and FHIR find by the study's UID."""
    uid = study.study_instance_uid
    _, by_qido = await here.valley.get(f"/dicomweb/studies?StudyInstanceUID={uid}")
    _, by_fhir = await here.valley.get(f"/fhir/r4/ImagingStudy?identifier=urn:dicom:uid|urn:oid:{uid}")
    return len(json.loads(by_qido or b"[]")), json.loads(by_fhir)["total"]


async def test_a_push_of_a_patient_nobody_knows_is_refused_or_held_as_the_peer_is_to_be_treated(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        study = write_study(tmp_path / "pushed", patient=AS_LAKESIDE_KNOWS_HIM, series=1, instances=2)
        async with here.valley.refusing():
            status, answer = await here.valley.push(bodies(study), peer="Strict")
            assert status == 409
            assert set(failed(answer).values()) == {PROCESSING_FAILURE}
        assert (await here.valley.push(bodies(study)))[0] == 200
        held = await here.valley.exchange(kind="store")
        assert held["state"] == "held"
        assert (await here.valley.get(f"/dicomweb/studies/{study.study_instance_uid}"))[0] == 404
        head, images = await (await here.valley.retrieve(rad69_request(study))).retrieved()
        assert ({error.code for error in head.errors}, images) == ({"XDSDocumentUniqueIdError"}, {})
        assert await found(here, study) == (0, 0)
        await here.valley.tell(ZEBEDIAH)
        await here.valley.ask("POST", f"/exchanges/{held['id']}/release", {"person": "clerk"})
        await here.valley.rests("done", kind="store")
        assert (await here.valley.get(f"/dicomweb/studies/{study.study_instance_uid}"))[0] == 200
        head, images = await (await here.valley.retrieve(rad69_request(study))).retrieved()
        assert (head.errors, len(images)) == ((), 2)
        assert await found(here, study) == (1, 1)


async def test_a_body_that_is_no_multipart_or_cut_off_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await known(here)
        for body, kind, expected in (
            (b"rubbish", 'multipart/related; type="application/dicom"; boundary=bbb', 400),
            (b"rubbish", "text/plain", 415),
        ):
            async with (
                here.valley.refusing(),
                here.valley.http.post(
                    here.valley.url + "/dicomweb/studies", data=body, headers={"Content-Type": kind}
                ) as answer,
            ):
                assert answer.status == expected, kind
