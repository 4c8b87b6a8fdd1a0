"""RAD-108: what is taken, the response module, audit of each outcome."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from profiles.errors import (
    AccessDenied,
    Duplicate,
    ExchangeError,
    IdentityConflict,
    MalformedMessage,
    OutOfResources,
    RuleViolation,
    Unsupported,
)
from profiles.model.content import Part, Pour
from profiles.transaction import Side
from profiles.wia.rad108 import RAD_108, InstanceOutcome, StoreInstancesResponse
from profiles.wire.dicom.web import json_body
from profiles.wire.http import HttpIn, HttpOut
from tests.profiles.wia.facts import facts

BASE = "https://valley.example/dicomweb"
RELATED = 'multipart/related; type="application/dicom"; boundary=b'


async def pour() -> Pour:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"DICOM"

    for key in ("same", "same"):
        yield Part(key=key, chunks=chunks())


def http(content_type: str = RELATED, accept: str | None = None, **variables: str) -> HttpIn:
    headers = {"content-type": content_type} if content_type else {}
    if accept is not None:
        headers["accept"] = accept
    return HttpIn(method="POST", path="/studies", base=BASE, headers=headers, variables=variables, parts=pour())


def outcome(number: int, error: ExchangeError | None = None, **more: Any) -> InstanceOutcome:
    return InstanceOutcome(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid=f"1.2.3.{number}",
        study_instance_uid="1.2.1",
        series_instance_uid="1.2.2",
        error=error,
        **more,
    )


async def module(*outcomes: InstanceOutcome) -> tuple[int, dict[str, Any]]:
    out = RAD_108.encode_response(StoreInstancesResponse(outcomes=outcomes), http())
    assert out.media_type == "application/dicom+json"
    return out.status, json.loads(b"".join([piece async for piece in written(out)]))


def written(out: HttpOut) -> AsyncIterator[bytes]:
    assert out.stream is not None
    return out.stream


async def test_parts_are_numbered_and_the_study_is_read() -> None:
    value = RAD_108.decode_request(http(study="1.2.1")).value
    assert value.study_instance_uid == "1.2.1"
    assert [part.key async for part in value.pour] == ["0", "1"]
    assert RAD_108.decode_request(http("application/dicom")).value.study_instance_uid is None
    assert RAD_108.decode_request(http("multipart/related; boundary=b")).value.study_instance_uid is None


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/related; type="application/dicom+json"; boundary=b',
        'multipart/related; type="application/dicom+xml"; boundary=b',
        "multipart/form-data; boundary=b",
        "application/pdf",
    ],
)
def test_other_media_types_are_not_supported(content_type: str) -> None:
    with pytest.raises(Unsupported) as raised:
        RAD_108.decode_request(http(content_type))
    assert raised.value.code == "unsupported-media-type"


def test_without_a_content_type_it_is_a_bad_request() -> None:
    with pytest.raises(MalformedMessage):
        RAD_108.decode_request(http(""))


async def test_all_kept_is_200() -> None:
    status, found = await module(outcome(1), outcome(2))
    assert status == 200
    assert found["00081190"]["Value"] == [f"{BASE}/studies/1.2.1"]
    assert [item["00081155"]["Value"] for item in found["00081199"]["Value"]] == [["1.2.3.1"], ["1.2.3.2"]]
    assert found["00081199"]["Value"][0]["00081190"]["Value"] == [
        f"{BASE}/studies/1.2.1/series/1.2.2/instances/1.2.3.1"
    ]
    assert "00081198" not in found


async def test_coercion_is_a_warning_and_202() -> None:
    status, found = await module(outcome(1, coerced=True))
    assert status == 202
    assert found["00081199"]["Value"][0]["00081196"]["Value"] == [45056]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MalformedMessage("cut"), 0xC000),
        (RuleViolation("another study"), 0xA900),
        (Unsupported("syntax"), 0xC122),
        (Duplicate("other content"), 0x0111),
        (IdentityConflict("another patient"), 0xA900),
        (AccessDenied("no"), 0x0124),
        (OutOfResources("full"), 0xA700),
    ],
)
async def test_some_kept_is_202_and_says_why_not_the_rest(error: ExchangeError, reason: int) -> None:
    status, found = await module(outcome(1), outcome(2, error))
    assert status == 202
    (failed,) = found["00081198"]["Value"]
    assert failed["00081155"]["Value"] == ["1.2.3.2"]
    assert failed["00081197"] == {"vr": "US", "Value": [reason]}
    assert failed["00000902"]["Value"] == [error.detail]


async def test_none_kept_is_409() -> None:
    status, found = await module(
        outcome(1, MalformedMessage("cut")), InstanceOutcome(error=MalformedMessage("what is it"))
    )
    assert status == 409
    assert "00081199" not in found
    assert found["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}]


async def test_a_large_answer_is_written_in_pieces_and_keys_ascend() -> None:
    outcomes = tuple(outcome(number, MalformedMessage("cut") if number % 3 == 0 else None) for number in range(2000))
    out = RAD_108.encode_response(StoreInstancesResponse(outcomes=outcomes), http())
    pieces = [piece async for piece in written(out)]
    assert max(map(len, pieces)) < 128 * 1024
    found = json.loads(b"".join(pieces))
    assert b"".join(pieces) == json_body(found)
    assert [item["00081155"]["Value"][0] for item in found["00081199"]["Value"]] == [
        each.sop_instance_uid for each in outcomes if each.error is None
    ]
    assert len(found["00081198"]["Value"]) == 667


def test_a_full_disk_for_all_is_our_own_failure_and_says_when_to_come_back() -> None:
    out = RAD_108.encode_response(
        StoreInstancesResponse(outcomes=(outcome(1, OutOfResources("full")), outcome(2, OutOfResources("full")))),
        http(),
    )
    assert out.status == 507
    assert dict(out.headers)["Retry-After"] == "30"


def test_no_part_at_all_is_a_bad_request() -> None:
    with pytest.raises(MalformedMessage):
        RAD_108.encode_response(StoreInstancesResponse(outcomes=()), http())


def test_the_module_comes_as_xml_when_asked_for() -> None:
    accept = 'multipart/related; type="application/dicom+xml"'
    out = RAD_108.encode_response(StoreInstancesResponse(outcomes=(outcome(1),)), http(accept=accept))
    assert out.media_type == "application/dicom+xml"
    assert b"NativeDicomModel" in (out.body or b"")


# --- audit ------------------------------------------------------------------------------------------------------------

REQUEST = RAD_108.decode_request(http(study="1.2.3.100")).value


@pytest.mark.parametrize(("created", "action"), [(True, "C"), (None, "C"), (False, "R")])
def test_what_was_kept_is_new_or_was_held(created: bool | None, action: str) -> None:
    response = StoreInstancesResponse(outcomes=(outcome(1),))
    (record,) = RAD_108.audit(Side.RESPONDER, REQUEST, response, facts(created=created))
    assert (record.event.code, record.action, record.outcome) == ("110104", action, 0)
    source, destination = record.participants
    assert (source.user_id, source.is_requestor) == ("Lakeside", True)
    assert (destination.user_id, destination.is_requestor) == ("https://valley.example/dicomweb", False)
    assert [each.id for each in record.objects] == ["V-1^^^&1.2.3.4&ISO", "1.2.3.100"]


def test_partial_success_is_two_records() -> None:
    response = StoreInstancesResponse(outcomes=(outcome(1), outcome(2, MalformedMessage("cut"))))
    success, failure = RAD_108.audit(Side.RESPONDER, REQUEST, response, facts(created=True))
    assert (success.outcome, failure.outcome, failure.outcome_description) == (0, 4, "cut")


def test_failure_is_one_record_with_the_study_that_was_named() -> None:
    error = OutOfResources("the disk is full")
    (record,) = RAD_108.audit(Side.RESPONDER, REQUEST, None, facts(studies=(), patients=(), error=error))
    assert (record.outcome, [each.id for each in record.objects]) == (8, ["1.2.3.100"])
    (record,) = RAD_108.audit(Side.RESPONDER, None, None, facts(studies=(), patients=(), error=error))
    assert record.objects == ()


def test_a_push_that_broke_off_names_whom_it_had_brought_something_of() -> None:
    error = MalformedMessage("the request broke off")
    (record,) = RAD_108.audit(Side.RESPONDER, REQUEST, None, facts(error=error))
    assert (record.outcome, record.outcome_description) == (4, "the request broke off")
    assert [each.id for each in record.objects] == ["V-1^^^&1.2.3.4&ISO", "1.2.3.100"]
