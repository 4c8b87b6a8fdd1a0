"""Messages that others made: what an independent extractor read of them, we read too."""

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

import pytest

from profiles.wire.hl7v2.ack import read_acknowledgement
from profiles.wire.hl7v2.message import Message, Segment, Value, read_message
from profiles.wire.hl7v2.segments import read_header
from tests.support.judges import standards

pytestmark = pytest.mark.judge_standard

CODECS = {"ascii": {"utf-8"}, "utf-8": {"utf-8"}, "iso8859-1": {"iso8859-1"}}


def _samples() -> Iterator[tuple[str, Message, dict[str, Any]]]:
    folder = standards("samples", "hl7v2")
    expected = json.loads(folder.joinpath("expected.json").read_text())
    for name, entry in expected.items():
        yield name, read_message(folder.joinpath(name).read_bytes().replace(b"\n", b"\r")), entry


def test_every_sample_is_read_and_routed() -> None:
    seen = 0
    for name, message, entry in _samples():
        fields, header = entry["fields"], read_header(message.msh)
        address = header.address
        assert (header.message_code, header.trigger_event, header.structure) == (
            fields["type"], fields["trigger"], fields["structure"],
        ), name  # fmt: skip
        assert (header.control_id, header.version, header.processing_id) == (
            fields["controlId"], fields["version"], fields["processing"],
        ), name  # fmt: skip
        assert [address.sending_application, address.sending_facility] == [_hd(each) for each in fields["sender"]], name
        assert [address.receiving_application, address.receiving_facility] == [_hd(each) for each in fields["receiver"]]
        assert message.msh.text(18) == fields["msh18"], name
        assert message.codec in CODECS[fields["decodedWith"]], name
        seen += 1
    assert seen > 60


def _hd(text: str) -> str:
    return text.rstrip("^")


def test_segments_are_those_that_an_independent_reader_found() -> None:
    for name, message, entry in _samples():
        # The extractor takes a broken base64 line for a segment; we give it back to the value before it.
        names = [each for each in entry["fields"]["segments"] if len(each) == 3]
        assert [segment.name for segment in message.segments] == names, name


def test_patients_are_those_that_an_independent_reader_found() -> None:
    seen = 0
    for name, message, entry in _samples():
        for pid, expected in zip(message.all("PID"), entry["fields"].get("patients", ()), strict=True):
            assert [_cx(cx) for cx in pid.values(3) if cx.has_content] == [_ids(each) for each in expected["ids"]], name
            assert pid.part(5, 1) == expected["family"].strip(), name
            assert pid.part(5, 2) == expected["given"].strip(), name
            assert pid.part(7) == expected["birth"], name
            assert pid.part(8) == expected["sex"], name
            assert pid.part(18) == expected["account"], name
            seen += 1
        for mrg, expected in zip(message.all("MRG"), entry["fields"].get("patients", ()), strict=False):
            assert [_cx(cx) for cx in mrg.values(1)] == [_ids(each) for each in expected["merged"]], name
    assert seen > 50


def _cx(cx: Value) -> tuple[str, ...]:
    return (cx.part(1), cx.part(4, 1), cx.part(4, 2), cx.part(4, 3), cx.part(5))


def _ids(expected: dict[str, str]) -> tuple[str, ...]:
    return (expected["id"], expected["ns"], expected["oid"], expected["oidType"], expected["typeCode"])


def test_visits_and_orders_are_those_that_an_independent_reader_found() -> None:
    for name, message, entry in _samples():
        fields = entry["fields"]
        if "visit" in fields:
            *_, pv1 = message.all("PV1")  # the extractor took the last of several
            assert pv1.part(19) == fields["visit"], name
            assert pv1.part(2) == fields["patientClass"], name
        controls, orders = list(message.all("ORC")), list(message.all("OBR"))
        expected = fields.get("orders", ())
        if len(expected) != len(orders):
            continue  # order groups without OBR are the extractor's own way of counting
        for number, (obr, order) in enumerate(zip(orders, expected, strict=True)):
            assert obr.part(18) == order["accession_OBR18"], name
            assert (obr.part(2), obr.part(3)) == (order["obrPlacer"], order["obrFiller"]), name
            assert obr.part(4) == order["code"], name
            assert obr.text(24) == order["obr24"], name
            if "control" in order and len(controls) == len(orders):
                orc = controls[number]
                assert (orc.text(1), orc.part(2), orc.part(3)) == (order["control"], order["placer"], order["filler"])


def test_observations_are_those_that_an_independent_reader_found() -> None:
    seen = 0
    for name, message, entry in _samples():
        found, listed = list(message.all("OBX")), entry["fields"].get("obx", [])
        if isinstance(listed, dict):  # too many to list: only counted
            assert len(found) == listed["count"], name
            continue
        for obx, expected in zip(found, listed, strict=True):
            assert (obx.text(2), obx.value(3).component(1).text) == (expected["vt"], expected["code"]), name
            if "value" in expected:
                assert obx.text(5) == expected["value"], name
            if "mime" in expected:
                assert f"{obx.part(5, 2)}/{obx.part(5, 3)}" == expected["mime"], name
                if "hl7.broken-line" in {finding.rule for finding in message.findings}:
                    # We put the lines of the value together again, the extractor did not.
                    assert _decoded(obx).startswith(b"%PDF"), name
                elif expected["bytes"] == "invalid-base64":
                    with pytest.raises(binascii.Error):
                        _decoded(obx)
                else:
                    assert len(_decoded(obx)) == expected["bytes"], name
            seen += 1
    assert seen > 50


def _decoded(obx: Segment) -> bytes:
    return base64.b64decode("".join(obx.part(5, 5).split()), validate=True)


def test_acknowledgements_of_others_are_read() -> None:
    seen = 0
    for name, message, entry in _samples():
        if "msa" not in entry["fields"]:
            continue
        data = "\r".join(segment.raw for segment in message.segments).encode(message.codec)
        acknowledgement = read_acknowledgement(data).value
        assert [acknowledgement.code, acknowledgement.message_control_id] == entry["fields"]["msa"][:2], name
        seen += 1
    assert seen > 5
