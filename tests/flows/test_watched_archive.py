"""The on-ramp in front of an archive that others fill: Orthanc. No pixel moves, and the registry says what is true."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.samples import SampleStudy
from profiles.model.document import STUDY_INSTANCE_UID, AvailabilityStatus, DocumentEntry
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import PersonName
from profiles.model.query import DocumentCriteria
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from tests.support.orthanc import Orthanc, orthanc
from tests.support.scenario import (
    DOMAIN_ID,
    VALLEY_ID,
    ZEBEDIAH,
    World,
    message_of,
    read_soap,
    world,
    write_study,
)

pytestmark = pytest.mark.judge_program

APPROVED, DEPRECATED = AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED
AS_VALLEY_KNOWS_HIM = replace(ZEBEDIAH, identifiers=(VALLEY_ID,))


def filled(archive: Orthanc, study: SampleStudy, *numbers: int) -> None:
    """Somebody else puts instances into the archive; all without numbers."""
    for one in [study.instances[number] for number in numbers] if numbers else study.instances:
        archive.ask("/instances", method="POST", body=one.path.read_bytes())


def emptied(archive: Orthanc, study: SampleStudy) -> None:
    """Somebody else deletes the study."""
    (found,) = archive.ask("/tools/lookup", method="POST", body=study.study_instance_uid.encode())
    archive.ask(found["Path"], method="DELETE")


def rewritten(archive: Orthanc, study: SampleStudy, **said: str) -> None:
    """Somebody else corrects the study in the archive, which keeps its UIDs: each instance is taken out and put back."""
    asked = {"Replace": said, "Keep": ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"], "Force": True}
    for one in study.instances:
        (found,) = archive.ask("/tools/lookup", method="POST", body=str(one.sop_instance_uid).encode())
        corrected = archive.read(f"{found['Path']}/modify", json.dumps(asked).encode())
        archive.ask(found["Path"], method="DELETE")
        archive.ask("/instances", method="POST", body=corrected)


async def entries(
    here: World, status: AvailabilityStatus, of: PatientIdentifier = DOMAIN_ID
) -> dict[str, list[DocumentEntry]]:
    """What the registry has of the patient, by study."""
    criteria = DocumentCriteria(patient_ids=(of,), statuses=(status,))
    request = StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria)
    reply = await here.valley.post("/soap/registry", await message_of(ITI_18, request))
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    found: dict[str, list[DocumentEntry]] = {}
    for each in ITI_18.decode_response(message.to_codec()).value.entries:
        (uid,) = (one.value for one in each.reference_ids if one.type == STUDY_INSTANCE_UID)
        found.setdefault(uid, []).append(each)
    return found


async def walked(here: World) -> bool:
    """Whether the first walk has come to its end."""
    return any(each["state"] == "done" for each in await here.valley.ask("GET", "/exchanges?kind=index"))


async def until(holds: Callable[[], Awaitable[Any]], within_s: float = 30.0) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.1)


async def test_what_the_archive_has_gets_and_loses_is_registered_replaced_and_deprecated(tmp_path: Path) -> None:
    first = write_study(tmp_path / "first", seed=11, patient=AS_VALLEY_KNOWS_HIM, series=1, instances=2)
    second = write_study(tmp_path / "second", seed=12, patient=AS_VALLEY_KNOWS_HIM, series=1, instances=3)
    with orthanc(tmp_path / "orthanc") as archive:
        filled(archive, first)
        behind = {
            "kind": "dicomweb", "url": archive.dicomweb, "native_url": archive.native, "look_again_s": 0.3, "late_s": 0.01,
        }  # fmt: skip
        rules = [{"when": "study.available", "do": ["register"]}]
        async with world(tmp_path, archive=behind, rules=rules, publish={"per_minute": 600}) as here:

            async def registered(study: SampleStudy, status: AvailabilityStatus, count: int) -> bool:
                return len((await entries(here, status)).get(study.study_instance_uid, [])) == count

            assert (await here.valley.tell(ZEBEDIAH)).accepted
            # What was there before, by the back-fill that follows the first walk; it may have been quicker than the ADT
            # that names the patient's id in the domain.
            await until(lambda: here.valley.ask("GET", "/exchanges?kind=backfill"))
            ended = await here.valley.rests("done", "failed", kind="backfill")
            assert ended["payload"]["total"] == 1
            if ended["payload"]["counts"]["failed"]:
                shared = await here.valley.exchange(kind="share")
                await here.valley.ask("POST", f"/exchanges/{shared['id']}/release", {"person": "ann"})
            await until(lambda: registered(first, APPROVED, 1))

            filled(archive, second, 0, 1)
            await until(lambda: registered(second, APPROVED, 1))
            filled(archive, second, 2)
            await until(lambda: registered(second, DEPRECATED, 1))
            assert await registered(second, APPROVED, 1)
            (entry,) = (await entries(here, APPROVED))[second.study_instance_uid]
            assert [code.value for code in entry.event_codes][:1] == ["CT"]

            emptied(archive, first)
            await until(lambda: registered(first, APPROVED, 0))
            assert await registered(first, DEPRECATED, 1)
            shown = await here.valley.ask("GET", f"/studies/{first.study_instance_uid}")
            assert shown["status"] == "cancelled"
            assert not [name for name in here.valley.kept().files if name.endswith(".dcm")]


@pytest.mark.parametrize("native", [True, False], ids=["native", "DICOMweb only"])
async def test_what_the_archive_corrects_is_registered_corrected_and_another_patients_study_moves(
    tmp_path: Path, native: bool
) -> None:
    study = write_study(tmp_path / "first", seed=11, patient=AS_VALLEY_KNOWS_HIM, series=1, instances=2)
    other = replace(
        ZEBEDIAH, identifiers=tuple(replace(each, value=f"{each.value}9") for each in ZEBEDIAH.identifiers),
        name=PersonName(family="Roe", given="Ann"),
    )  # fmt: skip
    (other_domain,) = (each for each in other.identifiers if each.authority == DOMAIN_ID.authority)
    with orthanc(tmp_path / "orthanc") as archive:
        behind = {
            "kind": "dicomweb", "url": archive.dicomweb, "look_again_s": 0.3, "late_s": 0.01,
            **({"native_url": archive.native} if native else {}),
        }  # fmt: skip
        rules = [{"when": "study.available", "do": ["register"]}]
        async with world(tmp_path, archive=behind, rules=rules, publish={"per_minute": 600}) as here:

            async def of(patient: PatientIdentifier, status: AvailabilityStatus) -> list[DocumentEntry]:
                return (await entries(here, status, patient)).get(study.study_instance_uid, [])

            async def described(text: str) -> bool:
                shown = await here.valley.ask("GET", f"/studies/{study.study_instance_uid}")
                return shown["description"] == text

            async def numbered(text: str) -> bool:
                found = await of(DOMAIN_ID, APPROVED)
                return [one.value for each in found for one in each.reference_ids if one.value == text] == [text]

            assert (await here.valley.tell(ZEBEDIAH)).accepted
            assert (await here.valley.tell(other)).accepted
            await until(lambda: walked(here))
            filled(archive, study)
            await until(lambda: of(DOMAIN_ID, APPROVED))

            rewritten(archive, study, StudyDescription="Chest, corrected", AccessionNumber="CORRECTED1")
            await until(lambda: described("Chest, corrected"))
            await until(lambda: numbered("CORRECTED1"))
            assert len(await of(DOMAIN_ID, APPROVED)) == 1

            (own,) = (each for each in other.identifiers if each.authority == VALLEY_ID.authority)
            rewritten(archive, study, PatientID=own.value, PatientName="Roe^Ann")
            await until(lambda: of(other_domain, APPROVED))
            assert await of(DOMAIN_ID, APPROVED) == []
            assert await of(DOMAIN_ID, DEPRECATED)
            (entry,) = await of(other_domain, APPROVED)
            assert entry.source_patient is not None
            assert entry.source_patient.name.family == "Roe"


async def test_a_study_is_looked_at_and_registered_at_once_when_somebody_says_so(tmp_path: Path) -> None:
    study = write_study(tmp_path / "one", seed=11, patient=AS_VALLEY_KNOWS_HIM, series=1, instances=2)
    other = write_study(tmp_path / "other", seed=12, patient=AS_VALLEY_KNOWS_HIM, series=1, instances=1)
    with orthanc(tmp_path / "orthanc") as archive:
        behind = {
            "kind": "dicomweb", "url": archive.dicomweb, "native_url": archive.native, "look_again_s": 3600.0,
        }  # fmt: skip
        rules = [{"when": "study.available", "do": ["register"]}]
        async with world(tmp_path, archive=behind, rules=rules) as here:
            assert (await here.valley.tell(ZEBEDIAH)).accepted
            await until(lambda: walked(here))
            filled(archive, study)
            filled(archive, other)
            found = await here.valley.ask("POST", "/look", {"study": str(study.study_instance_uid), "person": "ann"})
            assert found["found"] == "1 studies seen, 2 instances read, 1 studies changed, 0 gone"
            await until(lambda: entries(here, APPROVED))
            assert set(await entries(here, APPROVED)) == {study.study_instance_uid}
            timeline = (await here.valley.ask("GET", f"/exchanges/{found['exchange']}"))["steps"]
            assert [each["text"] for each in timeline] == ["The archive looked at by ann", found["found"]]
            await here.valley.ask("POST", "/look", {"patient": VALLEY_ID.value, "person": "ann"})
            await until(lambda: both(here))


async def both(here: World) -> bool:
    return len(await entries(here, APPROVED)) == 2
