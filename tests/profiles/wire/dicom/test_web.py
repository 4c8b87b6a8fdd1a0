"""What a client of DICOMweb accepts, and how it is told no."""

import pytest

from profiles.errors import Busy, Condition, ExchangeError, MalformedMessage, OutOfResources, PeerTimeout, Unsupported
from profiles.model.moment import Moment
from profiles.wire.dicom.keywords import keyword_path
from profiles.wire.dicom.status import FAILURE_REASONS, HTTP_STATUS, failure_reason_of, headers_of, http_status_of
from profiles.wire.dicom.syntaxes import EXPLICIT_LE, IMPLICIT_LE, media_type_of
from profiles.wire.dicom.web import (
    WEB_SYNTAXES,
    FrameForm,
    accept_frames,
    accept_instances,
    accept_metadata,
    accept_picture,
    date_of,
    media_ranges,
    offset_of,
    refused,
    time_of,
)
from profiles.wire.http import HttpIn

J2K, RLE = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"


def asking(accept: str | None, *query: tuple[str, str]) -> HttpIn:
    return HttpIn(
        headers={} if accept is None else {"accept": accept}, query=query, path="/x", base="https://h/dicomweb"
    )


def test_media_ranges_are_ordered_by_weight_and_unquoted() -> None:
    text = (
        'text/html;q=0, multipart/related; type="application/dicom"; transfer-syntax="*";q=0.5, image/jpeg , */*;q=0.1'
    )
    first, second, third = media_ranges(asking(text))
    assert (first.name, first.weight) == ("image/jpeg", 1.0)
    assert (second.name, second.of_parts, second.parameters["transfer-syntax"]) == (
        "multipart/related", "application/dicom", "*",
    )  # fmt: skip
    assert third.name == "*/*"


def test_the_query_parameter_goes_before_the_header() -> None:
    assert media_ranges(asking("text/html", ("accept", "image/png")))[0].name == "image/png"


@pytest.mark.parametrize(
    ("accept", "one", "syntaxes", "single"),
    [
        (None, False, {EXPLICIT_LE}, False),
        ("*/*", True, {EXPLICIT_LE}, False),
        ('multipart/related; type="application/dicom"', False, {EXPLICIT_LE}, False),
        ("multipart/related; type=application/dicom; transfer-syntax=*", False, WEB_SYNTAXES, False),
        (f'multipart/related; type="application/dicom"; transfer-syntax={J2K}', False, {J2K}, False),
        (
            f'multipart/related; type="application/dicom"; transfer-syntax={J2K}, '
            'multipart/related; type="application/dicom"',
            False,
            {J2K, EXPLICIT_LE},
            False,
        ),
        ("multipart/related", False, {EXPLICIT_LE}, False),
        ("application/dicom", True, {EXPLICIT_LE}, True),
        ("application/dicom; transfer-syntax=*", True, WEB_SYNTAXES, True),
    ],
)
def test_instances_are_sent_in_the_syntaxes_that_are_accepted(
    accept: str | None, one: bool, syntaxes: set[str], single: bool
) -> None:
    found = accept_instances(asking(accept), one=one)
    assert found.transfer_syntaxes == syntaxes
    assert found.single is single


@pytest.mark.parametrize(
    ("accept", "one"),
    [
        ("application/dicom", False),  # several instances do not fit one part
        ("application/json", True),
        (f'multipart/related; type="application/dicom"; transfer-syntax={IMPLICIT_LE}', False),
        ('multipart/related; type="application/octet-stream"', False),
        ("*/*;q=0", False),
    ],
)
def test_what_cannot_be_sent_is_not_acceptable(accept: str, one: bool) -> None:
    with pytest.raises(Unsupported) as raised:
        accept_instances(asking(accept), one=one)
    assert http_status_of(raised.value) == 406


@pytest.mark.parametrize(
    ("accept", "stored", "form"),
    [
        (None, EXPLICIT_LE, ("application/octet-stream", EXPLICIT_LE, False)),
        (None, IMPLICIT_LE, ("application/octet-stream", EXPLICIT_LE, False)),
        (None, J2K, ("application/octet-stream", EXPLICIT_LE, False)),  # to be decoded
        ("multipart/related; type=application/octet-stream; transfer-syntax=*", J2K,
         ("application/octet-stream", J2K, False)),
        ('multipart/related; type="image/jp2"', J2K, ("image/jp2", J2K, False)),
        ('multipart/related; type="image/jp2"', RLE, None),
        ('multipart/related; type="image/jp2", */*;q=0.1', RLE, ("application/octet-stream", EXPLICIT_LE, False)),
        ("image/x-dicom-rle", RLE, ("image/dicom-rle", RLE, True)),
        ("application/octet-stream", EXPLICIT_LE, ("application/octet-stream", EXPLICIT_LE, True)),
        ("image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.50",
         ("image/jpeg", "1.2.840.10008.1.2.4.50", True)),
    ],
)  # fmt: skip
def test_frames_are_sent_as_stored_or_decoded(
    accept: str | None, stored: str, form: tuple[str, str, bool] | None
) -> None:
    chosen = accept_frames(asking(accept), one=True).choose(stored)
    assert chosen == (
        None if form is None else FrameForm(media_type=form[0], transfer_syntax_uid=form[1], single=form[2])
    )


def test_frames_in_a_strange_media_type_are_not_acceptable() -> None:
    with pytest.raises(Unsupported):
        accept_frames(asking("text/html"), one=True)


@pytest.mark.parametrize(
    ("accept", "found"),
    [
        (None, "application/dicom+json"),
        ("application/json", "application/dicom+json"),
        ('multipart/related; type="application/dicom+xml", application/dicom+json;q=0.5', "application/dicom+xml"),
        ("text/html, */*;q=0.1", "application/dicom+json"),
    ],
)
def test_metadata_are_json_unless_xml_is_preferred(accept: str | None, found: str) -> None:
    assert accept_metadata(asking(accept)) == found


def test_pictures_are_jpeg_unless_said_otherwise() -> None:
    assert accept_picture(asking(None)) == "image/jpeg"
    assert accept_picture(asking("image/webp, image/png;q=0.8, image/*;q=0.1")) == "image/png"
    with pytest.raises(Unsupported):
        accept_picture(asking("video/mp4"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("PatientID", "PatientID"),
        ("00100020", "PatientID"),
        ("RequestAttributesSequence.00401001", "RequestAttributesSequence.RequestedProcedureID"),
        ("00400275.00400009", "RequestAttributesSequence.ScheduledProcedureStepID"),
        ("00091001", "00091001"),
        ("NoSuchKeyword", None),
        ("PatientID.NoSuch", None),
    ],
)
def test_attributes_are_named_by_keyword_or_tag(name: str, expected: str | None) -> None:
    assert keyword_path(name) == expected


def test_the_fragmentable_video_syntaxes_are_videos() -> None:
    assert media_type_of("1.2.840.10008.1.2.4.102.1") == "video/mp4"
    assert media_type_of("1.2.840.10008.1.2.4.90") == "image/jp2"
    assert media_type_of(EXPLICIT_LE) == "application/octet-stream"


def test_both_tables_are_total() -> None:
    assert set(HTTP_STATUS) == set(Condition) == set(FAILURE_REASONS)


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (Busy("later"), 503, ("Retry-After", "5")),
        (OutOfResources("full"), 507, ("Retry-After", "30")),
        (PeerTimeout("slow"), 504, None),
        (MalformedMessage("long", code="too-long"), 413, None),
        (Unsupported("media", code="unsupported-media-type"), 415, None),
    ],
)
def test_errors_have_their_status_and_headers(
    error: ExchangeError, status: int, header: tuple[str, str] | None
) -> None:
    assert http_status_of(error) == status
    assert headers_of(error) == (() if header is None else (header,))
    out = refused(error, asking(None))
    assert out.status == status
    assert error.detail.encode() in (out.body or b"")
    assert failure_reason_of(error) in FAILURE_REASONS.values()


def test_moments_are_written_as_precisely_as_they_were_said() -> None:
    moment = Moment.from_dtm("20240102030405.25+0130")
    assert (date_of(moment, None), time_of(moment, None), offset_of(moment, None)) == (
        "20240102",
        "030405.250000",
        "+0130",
    )
    hour, day = Moment.from_dtm("2024010203"), Moment.from_dtm("20240102")
    assert (time_of(hour, None), time_of(day, None), offset_of(day, None)) == ("03", "", "")
    assert date_of(Moment.from_dtm("2024"), None) == ""
