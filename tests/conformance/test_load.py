"""Load: every kind of it on our own house, wrong answers that are counted as such, and reports that say so."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from lxml import etree

from conformance.around import NOTHING
from conformance.load import Asked, Load, Look, load
from conformance.load_report import as_html, as_json, ticks_of, told
from conformance.load_works import ALSO_CALLED, WORKS, under_new_uids
from conformance.local import listening_at, taken_by
from conformance.own import Own, own_house
from conformance.samples import SampleStudy, read_study, sample_patient, sample_uid, write_ct_study
from conformance.system import KnownStudy, System
from conformance.verdict import Unreachable
from profiles.model.identifiers import Oid, PatientIdentifier
from tests.bench.houses import stow_body

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own() -> AsyncIterator[Own]:
    async with own_house() as house:
        yield house


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("transaction", WORKS)
async def test_our_house_answers_every_kind_of_load_rightly(transaction: str, own: Own) -> None:
    done = await load(own.system, own.around, transaction, clients=2, seconds=1)  # finds the house by its port
    assert done.problems == {}
    assert done.good
    assert done.answered
    assert done.per_second > 0
    assert all(each.sent_bytes + each.received_bytes > 0 for each in done.asked)
    assert (done.percentile_ms(99) or 0) >= (done.percentile_ms(50) or 0) > 0
    assert done.looks[-1].peak_bytes >= done.looks[-1].resident_bytes > 2**20
    assert (done.processor_ms or 0) > 0
    assert 0 < done.client_busy < 1.5


@pytest.mark.asyncio(loop_scope="module")
async def test_pixels_that_are_not_those_that_are_known_are_wrong_answers(own: Own) -> None:
    known = own.system.studies[0]
    series = tuple(
        replace(each, instances=tuple(replace(one, pixels_sha256="other") for one in each.instances))
        for each in known.study.series
    )
    system = replace(
        own.system, studies=(KnownStudy(study=replace(known.study, series=series), patient=known.patient),)
    )
    for transaction in ("RAD-69", "RAD-107"):
        done = await load(system, own.around, transaction, clients=1, seconds=0.5)
        assert not done.good
        assert done.answered == []
        assert sum(done.problems.values()) == len(done.asked) > 0
        assert done.percentile_ms(50) is None


@pytest.mark.asyncio(loop_scope="module")
async def test_a_study_that_is_not_there_is_one_problem_many_times(own: Own) -> None:
    known = own.system.studies[0]
    study = replace(known.study, study_instance_uid=sample_uid("nobody's"))
    system = replace(own.system, studies=(KnownStudy(study=study, patient=known.patient),))
    done = await load(system, own.around, "FHIR ImagingStudy search", clients=2, seconds=0.5)
    assert not done.good
    assert len(done.problems) == 1


async def test_who_cannot_be_asked_is_not_loaded() -> None:
    nowhere = System(name="nobody", endpoints={}, claims=frozenset())
    with pytest.raises(Unreachable, match="no study"):
        await load(nowhere, NOTHING, "RAD-69", clients=1, seconds=1)


async def test_a_server_that_answers_anything_is_wrong_each_time(stranger: int) -> None:
    anybody = System(
        name="anybody", endpoints={"MLLP": f"mllp://127.0.0.1:{stranger}"}, claims=frozenset(),
        known_patients=(PatientIdentifier(value="x", authority=Oid("1.2.3")),),
    )  # fmt: skip
    done = await load(anybody, NOTHING, "ITI-8", clients=2, seconds=0.3)
    assert done.asked
    assert done.answered == []


@pytest_asyncio.fixture
async def stranger() -> AsyncIterator[int]:
    """Somebody who says nothing that is HL7, in a frame."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.write(b"\x0bNO\x1c\r")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def some(*problems: str) -> Load:
    """Requests of 1, 2, 3 ... ms, in seconds one after another."""
    asked = [
        Asked(at_s=place, ms=place + 1.0, sent_bytes=10, received_bytes=90, problem=problem)
        for place, problem in enumerate(problems)
    ]
    looks = [Look(at_s=at, resident_bytes=2**20, peak_bytes=3 * 2**20, processor_s=at / 10) for at in (0.0, 10.0)]
    return Load(
        system="<theirs>", transaction="ITI-18", clients=2, at=AT, seconds=10.0, asked=asked, looks=looks, client_s=4.0
    )  # fmt: skip


def test_percentiles_and_throughput_are_of_right_answers() -> None:
    done = some(*[""] * 100, "wrong", "of 1.2.840.10008.1.2.1", "of 1.2.840.10008.1.2.4.50")
    assert [done.percentile_ms(percent) for percent in (50, 95, 99)] == [50.0, 95.0, 99.0]
    assert (done.per_second, done.bytes_per_second) == (10.0, 1000.0)
    assert done.problems == {"wrong": 1, "of …": 2}
    assert not done.good
    assert not some().good


def test_reports_say_what_was_right_and_what_was_not() -> None:
    done = some("", "", "broke <off>")
    spoken = "\n".join(told(done))
    assert "2 right answers in 10.0 s: 0.2/s" in spoken
    assert "1 times: broke <off>" in spoken
    read = json.loads(as_json(done))
    assert (read["answered"], read["wrong"], read["ms"]["p50"]) == (2, 1, 1.0)
    assert read["memory"]["peak_bytes"] == 3 * 2**20
    assert (read["processor_ms"], read["client_busy"]) == (500.0, 0.4)
    assert "processor time: 500.00 ms for each right answer" in spoken
    assert "the client took 40% of a processor" in spoken
    page = as_html(done)
    assert "<script" not in page
    assert "broke &lt;off&gt;" in page
    parsed = etree.fromstring(page.encode(), etree.HTMLParser())
    assert len(parsed.findall(".//svg")) == 3
    assert [len(parsed.findall(f".//circle[@class='{kind}']")) for kind in ("dot", "bad")] == [2, 1]
    assert as_html(some()).count("<svg") == 3


@pytest.mark.parametrize("most", [0.0, 0.3, 1, 2.05, 9.99, 41, 131, 227.3, 10_000])
def test_a_scale_has_a_few_round_numbers(most: float) -> None:
    ticks = ticks_of(most)
    assert ticks[0] == 0
    assert max(ticks) <= most
    assert most == 0 or 3 <= len(ticks) <= 8


def test_what_is_taken_is_of_a_process_and_those_below_it() -> None:
    alone = taken_by(os.getpid())
    assert alone is not None
    busy = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    child = subprocess.Popen([sys.executable, "-c", busy], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None
        child.stdout.readline()
        both = taken_by(os.getpid())
    finally:
        child.communicate(b"\n")
    assert both is not None
    assert both.peak_bytes > alone.peak_bytes
    assert both.processor_s >= alone.processor_s + 0.25
    assert taken_by(2**22 + 1) is None


async def test_who_listens_at_a_port_is_found(stranger: int) -> None:
    assert listening_at(stranger) == os.getpid()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert listening_at(port) == os.getpid()
    assert listening_at(port) is None


def test_a_study_under_new_uids_has_the_same_images_and_none_of_the_old_uids(tmp_path: Path) -> None:
    patient = sample_patient(1, Oid("1.2.3"))
    study = write_ct_study(tmp_path / "old", seed=1, patient=patient, series=2, instances=2, rows=32)
    new, bodies = under_new_uids(study, [each.path.read_bytes() for each in study.instances])
    (tmp_path / "new").mkdir()
    for number, body in enumerate(bodies):
        (tmp_path / "new" / f"{number}.dcm").write_bytes(body)
    (read,) = read_study(tmp_path / "new")
    assert uids_of(read) == uids_of(new)
    assert not uids_of(new) & uids_of(study)
    assert len(uids_of(new)) == 1 + 2 + 4
    assert sorted(each.pixels_sha256 for each in read.instances) == sorted(
        each.pixels_sha256 for each in study.instances
    )


def uids_of(study: SampleStudy) -> set[str]:
    """Of the study, its series and its instances."""
    return {
        study.study_instance_uid,
        *(each.series_instance_uid for each in study.series),
        *(each.sop_instance_uid for each in study.instances),
    }


# --- a server that answers wrongly every other time -------------------------------------------------------------------


class Archive:
    """WADO-RS, STOW-RS, ImagingStudy and patients of one study: right, and every other time spoilt in a way."""

    def __init__(self, study: SampleStudy, way: str) -> None:
        self.study = study
        self.way = way
        self.answered = self.spoilt = 0

    async def retrieve(self, request: web.Request) -> web.StreamResponse:
        bodies = [each.path.read_bytes() for each in self.study.instances]
        if self._spoils():
            match self.way:
                case "another byte":
                    bodies[0] = bodies[0][:-1] + bytes([bodies[0][-1] ^ 1])
                case "an instance less":
                    bodies.pop()
                case "an instance twice":
                    bodies.append(bodies[0])
                case "another instance":
                    uid = self.study.instances[0].sop_instance_uid
                    bodies[0] = bodies[0].replace(uid.encode(), f"2.25.{'9' * (len(uid) - 5)}".encode())
                case "HTTP 503":
                    raise web.HTTPServiceUnavailable
                case "an answer that breaks off":
                    whole = web.StreamResponse(headers=self._multipart())
                    await whole.prepare(request)
                    await whole.write(stow_body(bodies)[:2000])
                    assert request.transport is not None
                    request.transport.abort()
                    return whole
        return web.Response(body=stow_body(bodies), headers=self._multipart())

    async def search(self, request: web.Request) -> web.Response:
        wrong = self._spoils()
        many = len(self.study.instances) - wrong
        resource = {"resourceType": "ImagingStudy", "numberOfInstances": many}
        text = json.dumps({"resourceType": "Bundle", "entry": [{"resource": resource}]})
        return web.Response(text=text[:-9] if wrong and self.way == "no JSON" else text)

    def _spoils(self) -> bool:
        self.answered += 1
        spoils = self.answered % 2 == 0 and self.way != "nothing"
        self.spoilt += spoils
        return spoils

    @staticmethod
    def _multipart() -> dict[str, str]:
        return {"Content-Type": 'multipart/related; type="application/dicom"; boundary=x'}

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its base address."""
        app = web.Application()
        app.router.add_get("/studies/{study}", self.retrieve)
        app.router.add_get("/ImagingStudy", self.search)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


PATIENT = sample_patient(1, Oid("1.2.3"))


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> SampleStudy:
    folder = tmp_path_factory.mktemp("ct")
    return write_ct_study(folder, seed=1, patient=PATIENT, series=1, instances=3, rows=64)


def described_at(address: str, study: SampleStudy) -> System:
    return System(
        name="spoilt", endpoints={"DICOMWEB": address, "FHIR": address}, claims=frozenset(),
        studies=(KnownStudy(study=study, patient=PATIENT.identifiers[0]),),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("way", "told_as"),
    [
        ("another byte", "expected what came to be the 3"),
        ("an instance less", "expected what came to be the 3"),
        ("an instance twice", "expected what came to be the 3"),
        ("another instance", "expected what came to be the 3"),
        ("HTTP 503", "503"),
        ("an answer that breaks off", "broke off"),
    ],
)
async def test_each_wrong_answer_of_wado_rs_is_counted_and_no_right_one(
    way: str, told_as: str, known: SampleStudy
) -> None:
    archive = Archive(known, way)
    async with archive.serving() as address:
        done = await load(described_at(address, known), NOTHING, "RAD-107", clients=2, seconds=0.8)
    assert not done.good
    assert sum(done.problems.values()) == archive.spoilt > 0
    assert len(done.answered) == archive.answered - archive.spoilt - 1  # the first, which was right, counts for nothing
    assert all(told_as in problem for problem in done.problems), done.problems


@pytest.mark.parametrize("way", ["an instance less", "no JSON"])
async def test_each_wrong_answer_of_a_fhir_search_is_counted(way: str, known: SampleStudy) -> None:
    archive = Archive(known, way)
    async with archive.serving() as address:
        done = await load(described_at(address, known), NOTHING, "FHIR ImagingStudy search", clients=2, seconds=0.5)
    assert sum(done.problems.values()) == archive.spoilt > 0
    assert done.answered


async def test_an_acknowledgement_of_another_message_is_wrong(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while await reader.readuntil(b"\x1c\r"):
                writer.write(b"\x0bMSH|^~\\&|A|B|C|D|1||ACK|1|P|2.3.1\rMSA|AA|another\r\x1c\r")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        anybody = System(
            name="anybody", endpoints={"MLLP": f"mllp://127.0.0.1:{server.sockets[0].getsockname()[1]}"},
            claims=frozenset(), known_patients=PATIENT.identifiers,
        )  # fmt: skip
        done = await load(anybody, NOTHING, "ITI-8", clients=2, seconds=0.3)
    assert done.answered == []
    assert all("MSA-2" in problem for problem in done.problems)


async def test_the_command_ends_with_1_where_an_answer_was_wrong_and_with_0_where_none_was(
    known: SampleStudy, tmp_path: Path
) -> None:
    for way, code in (("nothing", 0), ("another byte", 1)):
        archive = Archive(known, way)
        async with archive.serving() as address:
            (tmp_path / "theirs.toml").write_text(
                f'[endpoint]\nDICOMWEB = "{address}"\n[[study]]\nfolder = "{known.instances[0].path.parent}"\n'
                f'patient = "{PATIENT.identifiers[0].value}^^^&1.2.3&ISO"\n'
            )
            words = ["load", "--target", str(tmp_path / "theirs.toml"), "--transaction", "wado-rs", "--seconds", "1"]
            running = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "conformance", "conformance", *words, "--json", str(tmp_path / "load.json"),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            said, _ = await running.communicate()
        assert running.returncode == code, said
        found = json.loads((tmp_path / "load.json").read_text())
        assert found["wrong"] == (archive.spoilt if code else 0)
        assert found["good"] is (code == 0)
        assert found["memory"]["resident_most_bytes"] > 2**20  # of this very process, which serves


def test_every_kind_of_load_has_its_name_whatever_the_case() -> None:
    assert set(ALSO_CALLED.values()) == set(WORKS)
    assert ALSO_CALLED["rad-69"] == "RAD-69"


def test_the_command_writes_what_it_found(tmp_path: Path) -> None:
    words = ["load", "--self", "--transaction", "ITI-8", "--clients", "2", "--seconds", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "conformance", *words, "--json", str(tmp_path / "load.json"),
         "--html", str(tmp_path / "load.html")],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    assert json.loads((tmp_path / "load.json").read_text())["good"] is True
    assert "<svg" in (tmp_path / "load.html").read_text()
    refused = subprocess.run(
        [sys.executable, "-m", "gateway", "conformance", "load", "--self", "--transaction", "RAD-1"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "there is load of RAD-69, RAD-107" in refused.stderr
