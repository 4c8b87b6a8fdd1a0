"""ImagingStudy beside fhir.resources, in one run: `python -m tests.bench.bench_fhir [--json]`.

Both start from the same values and end with JSON bytes. The library's way is the one its documentation shows:
make the model from a plain object (which validates it), then write it. What is asked for: 50 times for 4,000 instances.
"""

import argparse
import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace

from fhir.resources.R4B.imagingstudy import ImagingStudy

from profiles.ehr.search_imaging_studies import SEARCH_IMAGING_STUDIES, SearchImagingStudiesResponse
from profiles.wire.fhir.imaging_study import imaging_study, pieces, series_fragment, without_instances
from profiles.wire.fhir.media import Syntax
from profiles.wire.http import HttpIn
from tests.bench.compare import sooner
from tests.profiles.wire.fhir.samples import BASE, ENDPOINTS, large

INSTANCES = 4000
ASKED_RATIO = 50.0


def best_ms(work: Callable[[], object], rounds: int) -> float:
    """The median of `rounds`, in milliseconds, without the garbage of others."""
    taken = []
    for _ in range(rounds):
        gc.collect()
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    return statistics.median(taken)


def main() -> int:
    """Measure, print, and fail when the ratio falls short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    study = large(INSTANCES)
    kept = replace(study, fragments=tuple(map(series_fragment, study.study.series)))
    ours = b"".join(pieces(study, ENDPOINTS))

    def by_library() -> str:
        return ImagingStudy.model_validate(imaging_study(study, ENDPOINTS)).model_dump_json()

    assert json.loads(by_library()) == json.loads(ours.replace(b".123Z", b".123000Z")), "the two do not say the same"

    library_ms = best_ms(by_library, 5)
    rendered_ms = best_ms(lambda: b"".join(pieces(study, ENDPOINTS)), 30)
    joined_ms = best_ms(lambda: b"".join(pieces(kept, ENDPOINTS)), 30)
    xml_ms = best_ms(lambda: b"".join(pieces(study, ENDPOINTS, syntax=Syntax.XML)), 10)
    request = HttpIn(
        path="/ImagingStudy", base=BASE, query=(("patient.identifier", "urn:oid:1.2.3|P1"), ("_summary", "true"))
    )
    page = SearchImagingStudiesResponse(studies=(without_instances(large(400)),) * 20, total=20, endpoints=ENDPOINTS)
    decode_ms = best_ms(lambda: SEARCH_IMAGING_STUDIES.decode_request(request), 200)
    page_ms = best_ms(lambda: SEARCH_IMAGING_STUDIES.encode_response(page, request), 50)

    tracemalloc.start()
    tracemalloc.reset_peak()
    for _ in pieces(study, ENDPOINTS):
        pass
    peak_kb = tracemalloc.get_traced_memory()[1] / 1024
    tracemalloc.stop()

    figures = {
        "instances": INSTANCES,
        "bytes": len(ours),
        "fhir.resources_ms": round(library_ms, 1),
        "rendered_ms": round(rendered_ms, 2),
        "rendered_ratio": round(library_ms / rendered_ms, 1),
        "joined_ms": round(joined_ms, 3),
        "joined_ratio": round(library_ms / joined_ms, 1),
        "xml_ms": round(xml_ms, 2),
        "peak_of_pieces_kb": round(peak_kb),
        "decode_search_ms": round(decode_ms, 3),
        "encode_page_of_20_ms": round(page_ms, 2),
    }
    ok = figures["rendered_ratio"] >= ASKED_RATIO
    if arguments.json:
        print(json.dumps(figures | {"ok": ok}))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value}")
        sooner(
            f"ImagingStudy of {INSTANCES} instances",
            ours=rendered_ms,
            peer=library_ms,
            unit="ms",
            beside="fhir.resources",
            asked=ASKED_RATIO,
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
