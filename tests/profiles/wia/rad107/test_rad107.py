"""RAD-107: requests read, responses written byte-exact, audit of both outcomes."""

from collections.abc import AsyncIterator

import pytest

from profiles.errors import MalformedMessage, PeerUnavailable, UnknownDocument, Unsupported
from profiles.model.content import Part, Pour, Poured
from profiles.transaction import Side
from profiles.wia.rad107 import RAD_107, RetrievableInstance, RetrieveInstancesHead
from profiles.wire.dicom.syntaxes import EXPLICIT_LE
from profiles.wire.dicom.web import WEB_SYNTAXES
from profiles.wire.http import HttpIn
from profiles.wire.multipart import poured
from tests.profiles.wia.facts import PATIENT, facts

BASE = "https://valley.example/dicomweb"
ANY = {"accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
INSTANCE = {"study": "1.2.1", "series": "1.2.2", "instance": "1.2.3"}


def request(variables: dict[str, str], headers: dict[str, str] | None = None) -> HttpIn:
    return HttpIn(variables=variables, headers=ANY if headers is None else headers, base=BASE, path="/studies/1.2.1")


def instance(number: int, size: int | None) -> RetrievableInstance:
    return RetrievableInstance(
        study_instance_uid="1.2.1",
        series_instance_uid="1.2.2",
        sop_instance_uid=f"1.2.3.{number}",
        transfer_syntax_uid=EXPLICIT_LE,
        size_bytes=size,
    )


async def pour(*bodies: bytes) -> Pour:
    async def chunks(body: bytes) -> AsyncIterator[bytes]:
        yield body[:2]
        yield body[2:]

    for number, body in enumerate(bodies, 1):
        yield Part(key=f"1.2.3.{number}", chunks=chunks(body), size_bytes=len(body))


def test_a_study_a_series_and_an_instance_are_told_apart() -> None:
    study = RAD_107.decode_request(request({"study": "1.2.1"})).value
    assert (study.study_instance_uid, study.series_instance_uid, study.sop_instance_uid) == ("1.2.1", None, None)
    assert study.transfer_syntax_uids == WEB_SYNTAXES
    one = RAD_107.decode_request(request(INSTANCE, {"accept": "application/dicom"})).value
    assert (one.sop_instance_uid, one.single, one.transfer_syntax_uids) == ("1.2.3", True, {EXPLICIT_LE})


@pytest.mark.parametrize("bad", ["x", "1..2", "1." * 40 + "1", ""])
def test_a_path_that_names_no_uid_is_a_bad_request(bad: str) -> None:
    with pytest.raises(MalformedMessage):
        RAD_107.decode_request(request({"study": bad}))


async def test_an_answer_is_written_to_the_byte_and_its_length_is_known() -> None:
    head = RetrieveInstancesHead(instances=(instance(1, 6), instance(2, 5)))
    out = RAD_107.encode_response(Poured(head=head, pour=pour(b"DICOM1", b"DICOM")), request({"study": "1.2.1"}))
    assert out.parts is not None
    boundary = "0123456789abcdef0123456789abcdef"
    body = b"".join([chunk async for chunk in poured(out.parts, boundary)])
    assert body == (
        b"--0123456789abcdef0123456789abcdef\r\n"
        b"Content-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n"
        b"Content-Location: https://valley.example/dicomweb/studies/1.2.1/series/1.2.2/instances/1.2.3.1\r\n\r\n"
        b"DICOM1\r\n--0123456789abcdef0123456789abcdef\r\n"
        b"Content-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.1\r\n"
        b"Content-Location: https://valley.example/dicomweb/studies/1.2.1/series/1.2.2/instances/1.2.3.2\r\n\r\n"
        b"DICOM\r\n--0123456789abcdef0123456789abcdef--\r\n"
    )
    assert (out.status, out.part_type, out.size_bytes) == (200, "application/dicom", len(body))


def test_one_unknown_size_makes_the_length_unknown() -> None:
    head = RetrieveInstancesHead(instances=(instance(1, 6), instance(2, None)))
    assert RAD_107.encode_response(Poured(head=head, pour=pour()), request({"study": "1.2.1"})).size_bytes is None


def test_a_missing_instance_makes_a_partial_answer() -> None:
    head = RetrieveInstancesHead(instances=(instance(1, 6),), missing=(("1.2.3.9", UnknownDocument("gone")),))
    assert RAD_107.encode_response(Poured(head=head, pour=pour()), request({"study": "1.2.1"})).status == 206


def test_nothing_at_all_is_the_error_of_what_is_missing() -> None:
    head = RetrieveInstancesHead(instances=(), missing=(("1.2.3.9", Unsupported("compressed")),))
    with pytest.raises(Unsupported):
        RAD_107.encode_response(Poured(head=head, pour=pour()), request({"study": "1.2.1"}))


async def test_a_single_instance_is_a_bare_body() -> None:
    head = RetrieveInstancesHead(instances=(instance(1, 6),))
    asked = request(INSTANCE, {"accept": "application/dicom"})
    out = RAD_107.encode_response(Poured(head=head, pour=pour(b"DICOM1")), asked)
    assert out.stream is not None
    assert b"".join([chunk async for chunk in out.stream]) == b"DICOM1"
    assert out.size_bytes == 6
    assert dict(out.headers)["Content-Location"].endswith("/instances/1.2.3.1")


# --- audit ------------------------------------------------------------------------------------------------------------

HEAD = Poured(head=RetrieveInstancesHead(instances=(instance(1, 6), instance(2, 5))), pour=pour())
REQUEST = RAD_107.decode_request(request({"study": "1.2.3.100"})).value


def test_what_went_out_is_transferred_instances() -> None:
    (record,) = RAD_107.audit(Side.RESPONDER, REQUEST, HEAD, facts(delivered=("1.2.3.1", "1.2.3.2")))
    assert (record.event.code, record.action, record.outcome) == ("110104", "R", 0)
    assert record.types[0].code == "RAD-107"
    source, destination = record.participants
    assert (source.user_id, source.is_requestor, source.roles[0].code) == (
        "https://valley.example/dicomweb", False, "110153",
    )  # fmt: skip
    assert (destination.user_id, destination.is_requestor, destination.roles[0].code) == ("Lakeside", True, "110152")
    patient, study = record.objects
    assert patient.id == str(PATIENT)
    assert (study.id, study.sop_classes[0][1], study.accessions) == ("1.2.3.100", 3, ("A1",))


def test_a_pour_that_broke_is_two_records() -> None:
    broken = facts(delivered=("1.2.3.1",), undelivered=("1.2.3.2",), error=PeerUnavailable("the archive went away"))
    success, failure = RAD_107.audit(Side.RESPONDER, REQUEST, HEAD, broken)
    assert (success.outcome, failure.outcome) == (0, 8)
    assert failure.objects[-1].sop_classes == ()


def test_the_consumer_accesses_what_the_source_transfers() -> None:
    (record,) = RAD_107.audit(Side.INITIATOR, REQUEST, HEAD, facts(delivered=("1.2.3.1",)))
    assert (record.event.code, record.action) == ("110103", "C")
    assert record.participants[0].user_id == "Lakeside"


def test_a_request_that_could_not_be_read_is_audited_without_objects() -> None:
    error = MalformedMessage("no UID")
    (record,) = RAD_107.audit(Side.RESPONDER, None, None, facts(studies=(), patients=(), error=error))
    assert (record.outcome, record.objects) == (4, ())
    (record,) = RAD_107.audit(
        Side.RESPONDER, REQUEST, None, facts(studies=(), patients=(), error=UnknownDocument("no"))
    )
    assert [each.id for each in record.objects] == ["1.2.3.100"]
