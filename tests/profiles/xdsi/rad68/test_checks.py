"""RAD-68: what the entry of a manifest must say beyond ITI-41."""

from dataclasses import replace
from typing import Any

import pytest

from profiles.findings import Severity
from profiles.model.content import Content
from profiles.xdsi.rad68 import RAD_68, ProvideAndRegisterRequest
from tests.profiles.xds.messages import PROVIDE
from tests.support.ebxml import ENTRY, SUBMISSION


def request(**changes: Any) -> ProvideAndRegisterRequest:
    return replace(PROVIDE, submission=replace(SUBMISSION, entries=(replace(ENTRY, **changes),)))


def broken(request: ProvideAndRegisterRequest) -> list[tuple[str, Severity]]:
    return [(finding.rule, finding.severity) for check in RAD_68.checks for finding in check(request)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"mime_type": "application/octet-stream"}, [("RAD68-005", Severity.ERROR)]),
        ({"format_code": replace(ENTRY.format_code, system="DCMUID")}, []),
        ({"format_code": replace(ENTRY.format_code, system="1.2.3")}, [("RAD68-022", Severity.WARNING)]),
        ({"event_codes": ()}, [("RAD68-019", Severity.WARNING)]),
        ({"reference_ids": ENTRY.reference_ids[1:]}, [("RAD68-accession", Severity.WARNING)]),
        ({"language_code": ""}, [("xds-metadata/required/languageCode", Severity.ERROR)]),
    ],
)
def test_a_manifest_s_entry(changes: dict[str, Any], expected: list[tuple[str, Severity]]) -> None:
    assert broken(request(**changes)) == expected


def test_a_report_beside_the_manifest_need_not_be_dicom() -> None:
    report = replace(
        ENTRY.format_code, value="urn:ihe:rad:PDF", system="1.3.6.1.4.1.19376.1.2.3", display="Imaging report PDF"
    )
    assert broken(request(format_code=report, mime_type="application/pdf", event_codes=())) == []


def test_documents_and_entries_are_pairs_here_too() -> None:
    assert broken(replace(PROVIDE, documents={})) == [("ebrim/entry-document", Severity.ERROR)]
    stray = {**PROVIDE.documents, "Document09": Content.of(b"")}
    assert broken(replace(PROVIDE, documents=stray)) == [("ebrim/document-entry", Severity.ERROR)]
