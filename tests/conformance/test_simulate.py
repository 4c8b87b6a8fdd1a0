"""The simulators by themselves: what is asked of them is answered, and what is odd about it is said."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from conformance.case import Case, case
from conformance.house import free_ports
from conformance.provide import tell_patient
from conformance.runner import run
from conformance.samples import sample_patient, write_us_study
from conformance.simulate import simulate, told_of_audit, told_of_hl7
from conformance.simulators.audit_repository import AuditMessage
from conformance.simulators.hl7_sender import send_message
from conformance.suites.xds.documents import APPROVED, found
from conformance.system import HL7, BadDescription, System, tls_of
from conformance.target import Target
from conformance.verdict import Verdict
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.query import DocumentCriteria
from profiles.transaction import Actor
from profiles.xca.iti38 import ITI_38, StoredQueryRequest
from profiles.xds.iti18 import StoredQuery


@asynccontextmanager
async def simulating(**options: Any) -> AsyncIterator[list[str]]:
    """The lines that are said, while it runs."""
    said: list[str] = []
    task = asyncio.create_task(simulate(said.append, **options))
    try:
        async with asyncio.timeout(30):
            while "Listening; Ctrl-C stops." not in said:
                if task.done():
                    task.result()
                await asyncio.sleep(0.02)
        yield said
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(said: list[str], text: str) -> str:
    async with asyncio.timeout(10):
        while True:
            for line in said:
                if text in line:
                    return line
            await asyncio.sleep(0.02)


def address(said: list[str], name: str) -> str:
    (line,) = [line for line in said if line.startswith(f"{name} ")]
    return line.split()[1]


def querying(patient: PatientIdentifier) -> Case:
    @case("ITI18/find", transaction="ITI-18", actor=Actor.DOCUMENT_REGISTRY, title="The study is found")
    async def body(target: Target) -> None:
        answer = await found(
            target, StoredQuery.FIND_DOCUMENTS, criteria=DocumentCriteria(patient_ids=(patient,), statuses=APPROVED)
        )
        assert len(answer.entries) == 1

    return body


async def test_an_archive_has_the_study_too_and_what_is_asked_of_it_is_told_without_who_it_is_about() -> None:
    async with simulating() as said, aiohttp.ClientSession() as session:
        study = address(said, "study").rstrip(",")
        accept = {"Accept": "application/dicom+json"}
        async with session.get(f"{address(said, 'DICOMweb')}/studies?PatientName=Secret*", headers=accept) as answer:
            assert answer.status == 204
        assert (await until(said, "RAD-129")).endswith("RAD-129: GET /studies")
        async with session.get(f"{address(said, 'DICOMweb')}/studies/{study}/metadata", headers=accept) as answer:
            assert len(await answer.json(content_type=None)) == 6
        await until(said, f"RAD-107 metadata: GET /studies/{study}/metadata")
        async with session.get(f"{address(said, 'DICOMweb')}/patients") as answer:
            assert answer.status == 404
        await until(said, "cannot be read: nothing answers that here")
    assert not any("Secret" in line for line in said)


async def test_a_study_of_a_folder_is_found_over_tls_and_the_query_is_told(tmp_path: Path) -> None:
    patient = sample_patient(5, Oid("1.2.3.4"))
    write_us_study(tmp_path / "studies", seed=7, patient=patient)
    base = free_ports(1)[0]
    async with simulating(port_base=base, studies=tmp_path / "studies", tls=tmp_path / "tls") as said:
        assert address(said, "ITI-18") == f"https://127.0.0.1:{base}/ITI-18"
        assert address(said, "audit") == f"tls://127.0.0.1:{base + 1}"
        assert address(said, "MLLP") == f"mllps://127.0.0.1:{base + 2}"
        certificates = [tmp_path / "tls" / name for name in ("root.pem", "client.pem", "client.key")]
        system = System(
            name="simulator", endpoints={"ITI-18": address(said, "ITI-18")},
            claims=frozenset({(Actor.DOCUMENT_REGISTRY, "ITI-18")}),
            tls=tls_of(trust=certificates[0], certificate=certificates[1], key=certificates[2]),
        )  # fmt: skip
        done = await run([querying(patient.identifiers[0])], system, tmp_path / "evidence")
        assert [result.verdict for result in done.results] == [Verdict.PASS], done.results[0].detail
        assert (await until(said, "  ITI-18, ")).endswith(" bytes, SIMPLE SOAP")
        anybody = System(
            name="nobody", endpoints=system.endpoints, claims=system.claims, tls=tls_of(trust=certificates[0])
        )
        done = await run([querying(patient.identifiers[0])], anybody, tmp_path / "nobody")
        assert [result.verdict for result in done.results] != [Verdict.PASS]


async def test_another_community_says_its_home_and_whom_it_knows(tmp_path: Path) -> None:
    async with simulating() as said:
        (line,) = [each for each in said if each.startswith("South ")]
        system = System(
            name="simulator", endpoints={"ITI-38": address(said, "South")},
            claims=frozenset({(Actor.RESPONDING_GATEWAY, "ITI-38")}),
        )  # fmt: skip
        home, patient = re.findall(r"home urn:oid:(\S+),", line)[0], re.findall(r"patient (\S+)\^\^\^&(\S+)&", line)[0]

        @case(
            "ITI38/find", transaction="ITI-38", actor=Actor.RESPONDING_GATEWAY, title="The study is found at its home"
        )
        async def body(target: Target) -> None:
            known = PatientIdentifier(value=patient[0], authority=Oid(patient[1]))
            criteria = DocumentCriteria(patient_ids=(known,), statuses=APPROVED)
            answer = await target.call(ITI_38, StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria))
            assert [each.home_community_id for each in answer.response.entries] == [Oid(home)]

        done = await run([body], system, tmp_path / "evidence")
        assert [result.verdict for result in done.results] == [Verdict.PASS], done.results[0].detail
        await until(said, "  ITI-38 to South, ")


async def test_what_is_odd_is_said_and_no_name_is() -> None:
    async with simulating() as said:
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.post(address(said, "RAD-69"), data=b"<nothing/>") as answer,
        ):
            assert answer.status == 400
        await until(said, "  RAD-69, 10 bytes")
        await until(said, "cannot be read: ")
        host, _, port = address(said, "MLLP").removeprefix("mllp://").partition(":")
        patient = sample_patient(3, Oid("1.2.3.4"))
        await tell_patient(host, int(port), patient, address=HL7)
        await until(said, "  ADT^A04 2.3.1, ITI-8, ")
        await send_message(host, int(port), b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|7|P|2.3.1\rEVN|A01|20260101\r")
        await until(said, "ITI-8 cannot be read: ")
        await send_message(host, int(port), b"MSH|^~\\&|A|B|C|D|20260101||XYZ^Z01|7|P|2.3.1\r")
        await until(said, "XYZ^Z01 2.3.1, no transaction that is known here")
        _, writer = await asyncio.open_connection(*address(said, "audit").removeprefix("tcp://").split(":"))
        writer.write(b"5 <85>x")
        writer.write(b"no frame")
        await writer.drain()
        writer.close()
        await until(said, "audit, 5 bytes")
        await until(said, "audit: ")
        assert patient.name is not None
        assert not [line for line in said if patient.name.family in line]


def test_a_message_that_is_none_is_said_to_be_none() -> None:
    assert next(iter(told_of_hl7(b"nothing"))) == "HL7 v2, 7 bytes"
    assert list(told_of_audit(AuditMessage(raw=b"abc", at=0.0, problem="no syslog"))) == [
        "audit, 3 bytes", "cannot be read: no syslog",
    ]  # fmt: skip


async def test_what_cannot_be_simulated_says_why(tmp_path: Path) -> None:
    with pytest.raises(BadDescription, match="no DICOM file is there"):
        await simulate(print, studies=tmp_path)
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls" / "root.pem").write_text("somebody's")
    with pytest.raises(BadDescription, match="has something in it"):
        await simulate(print, tls=tmp_path / "tls")
    assert (tmp_path / "tls" / "root.pem").read_text() == "somebody's"
    async with simulating() as said:
        taken = int(re.findall(r":(\d+)", address(said, "MLLP"))[0])
        with pytest.raises(BadDescription, match="cannot listen"):
            await simulate(print, port_base=taken)


async def test_the_command_prints_addresses_and_ends_well_when_it_is_interrupted() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-u", "-m", "conformance", "conformance", "simulate",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout is not None
    lines: list[bytes] = []
    async with asyncio.timeout(60):
        while not lines or b"Ctrl-C" not in lines[-1]:
            lines.append(await process.stdout.readline())
            assert lines[-1], lines
        process.send_signal(signal.SIGINT)
        rest = await process.stdout.read()
        assert await process.wait() == 0
    assert lines[0].startswith(b"ITI-18    http://127.0.0.1:")
    assert b"Traceback" not in rest
