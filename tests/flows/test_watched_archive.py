"""The on-ramp in front of an archive that others fill: Orthanc. No pixel moves, and the registry says what is true."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.samples import SampleStudy
from profiles.model.document import STUDY_INSTANCE_UID, AvailabilityStatus, DocumentEntry
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
    (found,) = archive.ask("/tools/lookup", method="POST", body=study.study_instance_uid.encode())  # type: ignore[attr-defined]  # a list it is
    archive.ask(found["Path"], method="DELETE")


async def entries(here: World, status: AvailabilityStatus) -> dict[str, list[DocumentEntry]]:
    """What the registry has of the patient, by study."""
    criteria = DocumentCriteria(patient_ids=(DOMAIN_ID,), statuses=(status,))
    request = StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria)
    reply = await here.valley.post("/soap/registry", await message_of(ITI_18, request))
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    found: dict[str, list[DocumentEntry]] = {}
    for each in ITI_18.decode_response(message.to_codec()).value.entries:
        (uid,) = (one.value for one in each.reference_ids if one.type == STUDY_INSTANCE_UID)
        found.setdefault(uid, []).append(each)
    return found


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
