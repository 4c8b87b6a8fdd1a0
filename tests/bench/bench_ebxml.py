"""A stored query's answer of 1,000 entries beside lxml, in one run: `python -m tests.bench.bench_ebxml [--json]`.

Both start from the same values and end with the same body in bytes. The library's way is SubElement by SubElement, then
`tostring`. What is asked for: 5 times.
"""

import argparse
import gc
import json
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import replace

from lxml import etree

from profiles.model.codes import Code
from profiles.model.document import DocumentEntry
from profiles.wire.ebxml import rim
from profiles.wire.ebxml.datatypes import cx, cxi, source_patient_info
from profiles.wire.ebxml.entry import REFERENCE_IDS
from profiles.wire.ebxml.rim import QUERY, RIM, RS
from profiles.wire.soap.message import SoapIn
from profiles.xds.iti18 import ITI_18, StoredQueryResponse
from tests.bench.compare import sooner
from tests.support.ebxml import ENTRY

ENTRIES = 1000
ASKED_RATIO = 5.0
_TYPE = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:"


# --- the library's way ------------------------------------------------------------------------------------------------


def _slot(parent: etree._Element, name: str, values: Iterable[str]) -> None:
    slot = etree.SubElement(parent, f"{{{RIM}}}Slot", name=name)
    held = etree.SubElement(slot, f"{{{RIM}}}ValueList")
    for value in values:
        etree.SubElement(held, f"{{{RIM}}}Value").text = value


def _localized(parent: etree._Element, element: str, text: str) -> None:
    if text:
        name = etree.SubElement(parent, f"{{{RIM}}}{element}")
        etree.SubElement(name, f"{{{RIM}}}LocalizedString", value=text)


def _code(ids: rim.ChildIds, parent: etree._Element, scheme: str, code: Code) -> None:
    element = etree.SubElement(
        parent,
        f"{{{RIM}}}Classification",
        id=ids(),
        objectType=f"{_TYPE}Classification",
        classificationScheme=scheme,
        classifiedObject=parent.get("id", ""),
        nodeRepresentation=code.value,
    )
    _slot(element, "codingScheme", (code.system,))
    _localized(element, "Name", code.display)


def _identifier(ids: rim.ChildIds, parent: etree._Element, scheme: str, value: str) -> None:
    element = etree.SubElement(
        parent,
        f"{{{RIM}}}ExternalIdentifier",
        id=ids(),
        objectType=f"{_TYPE}ExternalIdentifier",
        registryObject=parent.get("id", ""),
        identificationScheme=scheme,
        value=value,
    )
    _localized(element, "Name", rim.IDENTIFIER_NAMES[scheme])


def _entry(parent: etree._Element, entry: DocumentEntry) -> None:
    ids = rim.ChildIds(entry.entry_uuid)
    element = etree.SubElement(
        parent,
        f"{{{RIM}}}ExtrinsicObject",
        id=entry.entry_uuid,
        lid=entry.entry_uuid,
        status=entry.availability_status,
        objectType=entry.entry_type,
        mimeType=entry.mime_type,
    )
    assert entry.creation_time and entry.service_start_time and entry.service_stop_time
    assert entry.repository_unique_id and entry.source_patient_id and entry.source_patient
    _slot(element, "creationTime", (entry.creation_time.dtm,))
    _slot(element, "hash", (entry.hash,))
    _slot(element, "languageCode", (entry.language_code,))
    _slot(element, "legalAuthenticator", (entry.legal_authenticator,))
    _slot(element, "repositoryUniqueId", (entry.repository_unique_id,))
    _slot(element, "serviceStartTime", (entry.service_start_time.dtm,))
    _slot(element, "serviceStopTime", (entry.service_stop_time.dtm,))
    _slot(element, "size", (str(entry.size_bytes),))
    _slot(element, "sourcePatientId", (cx(entry.source_patient_id),))
    _slot(element, "sourcePatientInfo", source_patient_info(entry.source_patient))
    _slot(element, "URI", (entry.uri,))
    _slot(element, REFERENCE_IDS, [cxi(reference) for reference in entry.reference_ids])
    for name, values in entry.extra:
        _slot(element, name, values)
    _localized(element, "Name", entry.title)
    _localized(element, "Description", entry.comments)
    etree.SubElement(element, f"{{{RIM}}}VersionInfo", versionName=str(entry.version))
    for author in entry.authors:
        classified = etree.SubElement(
            element,
            f"{{{RIM}}}Classification",
            id=ids(),
            objectType=f"{_TYPE}Classification",
            classificationScheme=rim.ENTRY_AUTHOR,
            classifiedObject=entry.entry_uuid,
            nodeRepresentation="",
        )
        _slot(classified, "authorPerson", (author.person,))
        _slot(classified, "authorInstitution", author.institutions)
        _slot(classified, "authorRole", author.roles)
        _slot(classified, "authorSpecialty", author.specialties)
        _slot(classified, "authorTelecommunication", author.telecommunications)
    _code(ids, element, rim.ENTRY_CLASS, entry.class_code)
    for code in entry.confidentiality_codes:
        _code(ids, element, rim.ENTRY_CONFIDENTIALITY, code)
    for code in entry.event_codes:
        _code(ids, element, rim.ENTRY_EVENT, code)
    _code(ids, element, rim.ENTRY_FORMAT, entry.format_code)
    _code(ids, element, rim.ENTRY_FACILITY, entry.healthcare_facility_type_code)
    _code(ids, element, rim.ENTRY_PRACTICE, entry.practice_setting_code)
    _code(ids, element, rim.ENTRY_TYPE, entry.type_code)
    _identifier(ids, element, rim.ENTRY_PATIENT_ID, cx(entry.patient_id))
    _identifier(ids, element, rim.ENTRY_UNIQUE_ID, entry.unique_id)


def by_library(entries: Iterable[DocumentEntry]) -> bytes:
    """The answer as lxml builds it."""
    root = etree.Element(
        f"{{{QUERY}}}AdhocQueryResponse",
        {"status": "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success"},
        nsmap={"query": QUERY, "rim": RIM, "rs": RS},
    )
    objects = etree.SubElement(root, f"{{{RIM}}}RegistryObjectList")
    for entry in entries:
        _entry(objects, entry)
    return etree.tostring(root, encoding="UTF-8")


# --- measured ---------------------------------------------------------------------------------------------------------


def median_ms(work: Callable[[], object], rounds: int) -> float:
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

    entries = tuple(
        replace(ENTRY, entry_uuid=f"urn:uuid:00000000-0000-4000-8000-{n:012d}", unique_id=f"1.2.826.0.1.99.{n}")
        for n in range(ENTRIES)
    )
    response = StoredQueryResponse(entries=entries)

    def ours() -> bytes:
        return b"".join(ITI_18.encode_response(response).body)

    tree = etree.fromstring(ours())
    same = etree.tostring(tree, method="c14n2") == etree.tostring(etree.fromstring(by_library(entries)), method="c14n2")
    assert same, "the two do not say the same"

    library_ms = median_ms(lambda: by_library(entries), 5)
    written_ms = median_ms(ours, 15)
    read_ms = median_ms(lambda: ITI_18.decode_response(SoapIn(action="", body=tree)), 5)

    tracemalloc.start()
    tracemalloc.reset_peak()
    for _ in ITI_18.encode_response(response).body:
        pass
    peak_kb = tracemalloc.get_traced_memory()[1] / 1024
    tracemalloc.stop()

    figures = {
        "entries": ENTRIES,
        "bytes": len(ours()),
        "lxml_ms": round(library_ms, 1),
        "written_ms": round(written_ms, 2),
        "written_ratio": round(library_ms / written_ms, 1),
        "answers_per_s": round(1000 / written_ms, 1),
        "read_ms": round(read_ms, 1),
        "peak_of_pieces_kb": round(peak_kb),
    }
    ok = figures["written_ratio"] >= ASKED_RATIO
    if arguments.json:
        print(json.dumps(figures | {"ok": ok}))
    else:
        for name, value in figures.items():
            print(f"{name:24} {value}")
        sooner(
            f"ITI-18 answer of {ENTRIES} entries",
            ours=written_ms,
            peer=library_ms,
            unit="ms",
            beside="lxml SubElement",
            asked=ASKED_RATIO,
        )
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
