"""Load: every kind of it on our own house, wrong answers that are counted as such, and reports that say so."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from lxml import etree

from conformance.around import NOTHING
from conformance.load import WORKS, Asked, Load, Memory, load, memory_of
from conformance.load_report import as_html, as_json, ticks_of, told
from conformance.own import Own, own_house
from conformance.samples import sample_uid
from conformance.system import KnownStudy, System
from conformance.verdict import Unreachable
from profiles.model.identifiers import Oid, PatientIdentifier

AT = datetime(2026, 3, 1, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def own() -> AsyncIterator[Own]:
    async with own_house() as house:
        yield house


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("transaction", WORKS)
async def test_our_house_answers_every_kind_of_load_rightly(transaction: str, own: Own) -> None:
    done = await load(own.system, own.around, transaction, clients=2, seconds=1, process=own.process)
    assert done.problems == {}
    assert done.good
    assert len(done.answered) > 2
    assert done.per_second > 0
    assert all(each.sent_bytes + each.received_bytes > 0 for each in done.asked)
    assert (done.percentile_ms(99) or 0) >= (done.percentile_ms(50) or 0) > 0
    assert done.memory[-1].peak_bytes >= done.memory[-1].resident_bytes > 2**20


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
    assert done.memory == []


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
    memory = [Memory(at_s=0.0, resident_bytes=2**20, peak_bytes=3 * 2**20)]
    return Load(
        system="<theirs>", transaction="ITI-18", clients=2, at=AT, seconds=10.0, asked=asked, memory=memory
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


def test_memory_is_of_a_process_and_those_below_it() -> None:
    alone = memory_of(os.getpid())
    assert alone is not None
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        both = memory_of(os.getpid())
    finally:
        child.communicate(b"\n")
    assert both is not None
    assert both[1] > alone[1]
    assert memory_of(2**22 + 1) is None


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
