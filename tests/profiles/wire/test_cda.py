"""Reports as bytes: PDF, structured CDA, CDA that wraps text; and what is none."""

import pytest

from profiles.errors import ExchangeError, MalformedMessage, Unsupported
from profiles.wire.cda import ReportKind, read_report

HEAD = (
    '<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3" extension="R7"/><title>CT of the\n chest</title>'
    '<effectiveTime value="20260301093000+0100"/><component>'
)
WRAPPED = (
    HEAD + '<nonXMLBody><text mediaType="text/plain">No finding.</text></nonXMLBody></component></ClinicalDocument>'
)
STRUCTURED = HEAD + "<structuredBody/></component></ClinicalDocument>"


@pytest.mark.parametrize(
    ("text", "kind"),
    [(WRAPPED, ReportKind.WRAPPED_TEXT), (STRUCTURED, ReportKind.STRUCTURED)],
)
def test_a_cda_says_what_it_is_called_and_when_it_was_written(text: str, kind: ReportKind) -> None:
    report = read_report(text.encode())
    assert (report.kind, report.unique_id, report.title) == (kind, "1.2.3^R7", "CT of the chest")
    assert report.written is not None
    assert report.written.dtm == "20260301083000"


def test_an_id_without_an_extension_is_its_root() -> None:
    assert read_report(STRUCTURED.replace(' extension="R7"', "").encode()).unique_id == "1.2.3"


def test_a_pdf_is_known_by_its_first_bytes() -> None:
    report = read_report(b"%PDF-1.7\n...")
    assert (report.kind.mime_type, report.kind.format_code.value) == ("application/pdf", "urn:ihe:rad:PDF")
    assert (report.unique_id, report.written) == ("", None)


def test_a_time_that_cannot_be_read_is_no_time() -> None:
    assert read_report(STRUCTURED.replace("20260301093000+0100", "yesterday").encode()).written is None


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"Dear colleague", Unsupported),
        (b"\x00" * 128 + b"DICM", Unsupported),
        (b"<html/>", Unsupported),
        (b"<ClinicalDocument", MalformedMessage),
        (b'<!DOCTYPE a><ClinicalDocument xmlns="urn:hl7-org:v3"/>', MalformedMessage),
        (b'<ClinicalDocument xmlns="urn:hl7-org:v3"/>', MalformedMessage),
        (WRAPPED.replace("text/plain", "application/pdf").encode(), Unsupported),
    ],
)
def test_what_is_no_report_is_refused_with_a_reason(body: bytes, error: type[ExchangeError]) -> None:
    with pytest.raises(error) as refused:
        read_report(body)
    assert refused.value.detail
