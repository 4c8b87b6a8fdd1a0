"""ImagingStudy search on SQLite as the index grows: `python -m tests.bench.bench_fhir_search [1000 10000 100000] [--json]`.

From the parameters of a URL to the bytes of a Bundle: codec, actor, index and rendering, without sockets and without audit.
What is asked for: by patient, flat within 1.5 times from the smallest index to the largest, 95 of 100 under 10 ms.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.actors.fhir_server import FhirServer
from gateway.adapters.executor import Executor
from gateway.adapters.store_sql import SqlStore
from gateway.model.peer import Caller
from gateway.ports.audit import AuditSink
from gateway.services.exchange import Exchange
from gateway.services.search import Search
from profiles.ehr.search_imaging_studies import SEARCH_IMAGING_STUDIES
from profiles.model.identifiers import AccessionNumber, Oid, PatientIdentifier, Uid
from profiles.model.imaging import Study
from profiles.model.moment import Moment
from profiles.model.patient import Patient, PersonName
from profiles.wire.http import HttpIn
from tests.bench.compare import at_most
from tests.support.fhir_house import SOFTWARE
from tests.support.hl7 import HOUSE
from tests.support.registered import arrived, instance, series

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
BATCH = 200
STUDIES_OF_A_PATIENT = 5
ROUNDS = 200
ASKED_P95_MS = 10.0
ASKED_GROWTH = 1.5
SEARCHES = {
    "patient": lambda number: (("patient.identifier", f"urn:oid:1.2.3.4|P{number // STUDIES_OF_A_PATIENT}"),),
    "patient, list": lambda number: (
        ("patient.identifier", f"urn:oid:1.2.3.4|P{number // STUDIES_OF_A_PATIENT}"),
        ("_summary", "true"),
    ),
    "accession": lambda number: (("identifier", f"A{number}"),),
    "study UID": lambda number: (("identifier", f"urn:oid:1.2.3.{number}"),),
    "newest 20, not counted": lambda number: (("_summary", "true"), ("_total", "none")),
}


def study(number: int) -> Study:
    """Study `number`: two series of two instances; five studies a patient."""
    patient = Patient(
        identifiers=(PatientIdentifier(value=f"P{number // STUDIES_OF_A_PATIENT}", authority=Oid("1.2.3.4")),),
        name=PersonName(family=f"Family{number % 977}", given="X"),
    )
    root = f"1.2.3.{number}"
    return Study(
        study_instance_uid=Uid(root),
        patient=patient,
        accession_numbers=(AccessionNumber(value=f"A{number}"),),
        started=Moment(NOW - timedelta(minutes=number)),
        series=tuple(
            series(f"{root}.{each}", instance(f"{root}.{each}.1", 1), instance(f"{root}.{each}.2", 2), number=each)
            for each in (1, 2)
        ),
    )


def no_audit(executor: Executor) -> AuditSink:
    """Nothing is recorded here."""
    raise AssertionError("no audit sink was asked for")


async def measure(sizes: list[int]) -> dict[str, Any]:
    """Grow one index from size to size and search it at each."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        store = SqlStore(f"sqlite:///{folder}/radgate.db", audit=no_audit)
        await store.open()
        server = FhirServer(house=HOUSE, search=Search(store=store), software=SOFTWARE)

        async def never() -> Any:
            raise AssertionError("a search writes nothing")

        exchange = Exchange(id="x", caller=Caller(peer=None, network_address=""), now=NOW, begin=never)
        held = 0
        for size in sizes:
            while held < size:
                async with store.unit() as work:
                    for number in range(held, min(held + BATCH, size)):
                        whole = study(number)
                        await work.studies.add(arrived(whole), whole.patient, "", NOW)
                held = min(held + BATCH, size)
            for name, asked in SEARCHES.items():
                taken = []
                for turn in range(ROUNDS):
                    request = HttpIn(
                        path="/ImagingStudy", base=HOUSE.fhir_url, query=asked((turn * 7919) % (size - 10))
                    )
                    started = time.perf_counter()
                    decoded = SEARCH_IMAGING_STUDIES.decode_request(request).value
                    found = await server.search_imaging_studies(decoded, replace(exchange))
                    out = SEARCH_IMAGING_STUDIES.encode_response(found, request)
                    assert out.body is not None
                    assert found.studies
                    taken.append((time.perf_counter() - started) * 1000)
                taken.sort()
                figures[f"{name} @ {size}"] = {
                    "p50_ms": round(taken[ROUNDS // 2], 2),
                    "p95_ms": round(taken[ROUNDS * 95 // 100], 2),
                }
        await store.close()
    return figures


def main() -> int:
    """Measure, print, and fail when a search grows with the index."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", type=int, default=[1000, 10_000])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    sizes = sorted(arguments.sizes)
    figures = asyncio.run(measure(sizes))
    growth = {
        name: round(figures[f"{name} @ {sizes[-1]}"]["p50_ms"] / figures[f"{name} @ {sizes[0]}"]["p50_ms"], 2)
        for name in SEARCHES
    }
    ok = all(value <= ASKED_GROWTH for name, value in growth.items() if name.startswith("patient")) and all(
        each["p95_ms"] < ASKED_P95_MS for name, each in figures.items() if name.startswith("patient")
    )
    if arguments.json:
        print(json.dumps({"figures": figures, "growth": growth, "ok": ok}))
    else:
        for name, each in figures.items():
            print(f"{name:36} p50 {each['p50_ms']:7.2f} ms   p95 {each['p95_ms']:7.2f} ms")
        for name, value in growth.items():
            print(f"{name:36} grew {value:.2f} times from {sizes[0]} to {sizes[-1]} studies")
        for name in SEARCHES:
            if name.startswith("patient"):
                what = f"ImagingStudy by {name}"
                at_most(f"{what}, {sizes[0]} to {sizes[-1]} studies: growth", growth[name], ASKED_GROWTH, "x")
                at_most(
                    f"{what}, {sizes[-1]} studies: p95", figures[f"{name} @ {sizes[-1]}"]["p95_ms"], ASKED_P95_MS, "ms"
                )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
