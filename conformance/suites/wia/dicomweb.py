"""What the DICOMweb suites do: search, retrieve, and read DICOM JSON."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

from conformance.expect import expect
from conformance.samples import SampleStudy, write_ct_study
from conformance.target import HttpAnswer, Target
from profiles.model.identifiers import Uid
from profiles.model.patient import Patient, PersonName

BOUNDARY = "conformance"
STORED_S = 20.0
JSON = "application/dicom+json"
DICOM = 'multipart/related; type="application/dicom"'
ANY_SYNTAX = f"{DICOM}; transfer-syntax=*"

Attributes = dict[str, Any]


async def searched(target: Target, path: str, *query: tuple[str, str], accept: str = JSON) -> HttpAnswer:
    """A search below `/dicomweb`, whatever comes."""
    return await target.ask("RAD-129", path, service="DICOMWEB", query=query, headers={"Accept": accept})


async def results(target: Target, path: str, *query: tuple[str, str]) -> list[Attributes]:
    """What is found: an empty list where nothing is."""
    answer = await searched(target, path, *query)
    if answer.status == 204:
        return []
    expect(answer.status, "the HTTP status").equals(200)
    expect(answer.media_type, "the media type").equals(JSON)
    found = answer.json()
    expect(isinstance(found, list), "whether the answer is an array").equals(True)
    return list(found)


async def retrieved(target: Target, path: str, accept: str = DICOM, *, what: str = "RAD-107") -> HttpAnswer:
    """A retrieval below `/dicomweb`, whatever comes."""
    return await target.ask(what, path, service="DICOMWEB", headers={"Accept": accept})


def first(attributes: Attributes, tag: str) -> Any:
    """The first value of an attribute; None where it has none."""
    values = attributes.get(tag, {}).get("Value") or [None]
    return values[0]


def firsts(found: Sequence[Attributes], tag: str) -> list[Any]:
    """The first value of an attribute of each result."""
    return [first(each, tag) for each in found]


async def new_study(target: Target, *, series: int = 1, instances: int = 2) -> SampleStudy:
    """A study of the known patient that nobody has seen."""
    patient = Patient(identifiers=(target.patient(),), name=PersonName(family="Conformance", given="Case"))
    seed = uuid.uuid4().int % 1_000_000
    folder = target.scratch() / str(seed)  # two studies of a case do not share files
    uid = Uid(f"2.25.{uuid.uuid4().int}")
    return await asyncio.to_thread(
        lambda: write_ct_study(
            folder, seed=seed, patient=patient, study_instance_uid=uid, series=series, instances=instances, rows=32
        )
    )


def bodies_of(study: SampleStudy) -> list[bytes]:
    """Its files."""
    return [each.path.read_bytes() for each in study.instances]


async def store(target: Target, bodies: Sequence[bytes], path: str = "/studies") -> HttpAnswer:
    """Store these bodies, whatever they are."""
    body = b"".join(
        b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (BOUNDARY.encode(), each) for each in bodies
    )
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}', "Accept": JSON}
    return await target.ask(
        "RAD-108", path, service="DICOMWEB", method="POST", headers=headers, body=body + f"--{BOUNDARY}--\r\n".encode()
    )


async def awaited(target: Target, study: SampleStudy) -> HttpAnswer:
    """The study, once it can be had whole."""
    try:
        async with asyncio.timeout(STORED_S):
            while True:
                came = await retrieved(target, f"/studies/{study.study_instance_uid}", ANY_SYNTAX)
                if came.status == 200 and len(came.parts) >= len(study.instances):
                    return came
                await asyncio.sleep(0.1)
    except TimeoutError:
        return came
