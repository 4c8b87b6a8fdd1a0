"""Acknowledgements: golden bytes of both styles, the table, and what peers answer."""

from dataclasses import replace
from datetime import UTC, datetime

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import (
    Busy,
    Condition,
    Duplicate,
    ExchangeError,
    InternalFault,
    MalformedMessage,
    OutOfResources,
    RuleViolation,
    UnknownPatient,
    Unsupported,
)
from profiles.findings import Finding, Severity
from profiles.wire.hl7v2.ack import (
    ACCEPTED,
    ACKNOWLEDGEMENTS,
    CODES_0357,
    AckCode,
    AckError,
    Acknowledgement,
    is_since_2_5,
    of_error,
    read_acknowledgement,
    write_acknowledgement,
)
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out

NOBODY = Hl7Address(sending_application="", sending_facility="", receiving_application="", receiving_facility="")
OUT = Hl7Out(address=NOBODY, control_id="K1", at=datetime(2026, 3, 4, 8, 0, 1, tzinfo=UTC))

OLD = b"MSH|^~\\&|ADT1|HOSP|IMGGW|GW|20260304080000||ADT^A08|HO1|P|2.3.1\rPID|||\r"
NEW = b"MSH|^~\\&|ADT1|HOSP|IMGGW|GW|20260304080000||ADT^A31^ADT_A05|HO2|P|2.5\rPID|||\r"
MISSING = Acknowledgement(
    code=AckCode.ERROR,
    text="Patient identifier missing",
    errors=(AckError(code="101", location="PID^1^3^1^1", text="Patient identifier missing"),),
)

GOLDEN = [
    (
        "2.3.1 accepted",
        ACCEPTED,
        OLD,
        b"MSH|^~\\&|IMGGW|GW|ADT1|HOSP|20260304080001+0000||ACK^A08|K1|P|2.3.1\rMSA|AA|HO1\r",
    ),
    (
        "2.3.1 error: text in MSA-3, place and code in ERR-1",
        MISSING,
        OLD,
        b"MSH|^~\\&|IMGGW|GW|ADT1|HOSP|20260304080001+0000||ACK^A08|K1|P|2.3.1\r"
        b"MSA|AE|HO1|Patient identifier missing\rERR|PID^1^3^101&Required field missing&HL70357\r",
    ),
    (
        "2.5 accepted: the structure is named",
        ACCEPTED,
        NEW,
        b"MSH|^~\\&|IMGGW|GW|ADT1|HOSP|20260304080001+0000||ACK^A31^ACK|K1|P|2.5\rMSA|AA|HO2\r",
    ),
    (
        "2.5 error: MSA-3 and ERR-1 are not used",
        MISSING,
        NEW,
        b"MSH|^~\\&|IMGGW|GW|ADT1|HOSP|20260304080001+0000||ACK^A31^ACK|K1|P|2.5\r"
        b"MSA|AE|HO2\rERR||PID^1^3^1^1|101^Required field missing^HL70357|E||||Patient identifier missing\r",
    ),
    (
        "processing id and version are those of the message, national suffix and mode left out",
        ACCEPTED,
        NEW.replace(b"|P|2.5", b"|D^T|2.5^FRA^2.11"),
        b"MSH|^~\\&|IMGGW|GW|ADT1|HOSP|20260304080001+0000||ACK^A31^ACK|K1|D|2.5\rMSA|AA|HO2\r",
    ),
    (
        "other delimiters come back as the standard's, and the control id is the same text",
        ACCEPTED,
        b"MSH#*!?%#ADT1#HOSP#IMGGW#GW#20260304##ADT*A08#A|1?F?#P#2.3.1\r",
        b"MSH|^~\\&|IMGGW|GW|ADT1|HOSP|20260304080001+0000||ACK^A08|K1|P|2.3.1\rMSA|AA|A\\F\\1#\r",
    ),
    (
        "names with components are mirrored whole",
        ACCEPTED,
        OLD.replace(b"|ADT1|", b"|ADT^1.2.3^ISO|"),
        b"MSH|^~\\&|IMGGW|GW|ADT^1.2.3^ISO|HOSP|20260304080001+0000||ACK^A08|K1|P|2.3.1\rMSA|AA|HO1\r",
    ),
    (
        "what is not ASCII is told in the character set of the message",
        ACCEPTED,
        "MSH|^~\\&|ÄDT|HOSP|IMGGW|GW|20260304||ADT^A08|HO1|P|2.3.1||||||8859/1\r".encode("latin-1"),
        "MSH|^~\\&|IMGGW|GW|ÄDT|HOSP|20260304080001+0000||ACK^A08|K1|P|2.3.1||||||8859/1\rMSA|AA|HO1\r".encode("latin-1"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("_", "acknowledgement", "message", "golden"), GOLDEN, ids=[name for name, *_ in GOLDEN])
def test_an_acknowledgement_is_written_as_the_version_wants_it(
    _: str, acknowledgement: Acknowledgement, message: bytes, golden: bytes
) -> None:
    assert write_acknowledgement(acknowledgement, message, OUT) == golden
    judged = hl7.parse(golden.decode("latin-1"))
    assert str(judged.segment("MSA")[1]) == acknowledgement.code


@pytest.mark.parametrize("message", [OLD, NEW])
def test_what_is_written_reads_back(message: bytes) -> None:
    decoded = read_acknowledgement(write_acknowledgement(MISSING, message, OUT))
    control_id = message.split(b"|")[9].decode()
    assert decoded.findings == ()
    if message is NEW:
        assert decoded.value == replace(MISSING, message_control_id=control_id)
    else:  # ERR-1 has no repetition and no component
        error = AckError(code="101", location="PID^1^3", text="Required field missing")
        assert decoded.value == replace(MISSING, message_control_id=control_id, errors=(error,))


FINDING = Finding(rule="x", text="unknown", code="204", location="PID^1^3^1^4")


@pytest.mark.parametrize(
    ("error", "code", "errors"),
    [
        (MalformedMessage("m"), "AR", [("100", "")]),
        (MalformedMessage("m", code="102", location="MSH^1^2"), "AR", [("102", "MSH^1^2")]),
        (Unsupported("u"), "AR", [("200", "")]),
        (Unsupported("u", code="203", location="MSH^1^12"), "AR", [("203", "MSH^1^12")]),
        (UnknownPatient("u", location="PID^1^3^1^4"), "AE", [("204", "PID^1^3^1^4")]),
        (Duplicate("d", location="MRG^1^1^1^1"), "AE", [("205", "MRG^1^1^1^1")]),
        (RuleViolation("r", code="101", location="PID^1^5"), "AE", [("101", "PID^1^5")]),
        (RuleViolation("r", code="204", location="PID^1^3^1^4", findings=(FINDING,)), "AE", [("204", "PID^1^3^1^4")]),
        (
            RuleViolation("r", findings=(FINDING, replace(FINDING, code="101"))),
            "AE",
            [("204", FINDING.location), ("101", FINDING.location)],
        ),
        (RuleViolation("r", findings=(replace(FINDING, severity=Severity.WARNING),)), "AE", [("102", "")]),
        (RuleViolation("r", findings=(replace(FINDING, code="202"),)), "AR", [("202", FINDING.location)]),
        (RuleViolation("r", code="XDSRegistryMetadataError", location="/a/b[1]"), "AE", [("102", "")]),
        (Busy("b"), "AR", [("206", "")]),
        (OutOfResources("o"), "AR", [("207", "")]),
        (InternalFault("i"), "AE", [("207", "")]),
    ],
)
def test_an_error_is_told_by_its_findings_else_by_its_condition(
    error: ExchangeError, code: str, errors: list[tuple[str, str]]
) -> None:
    acknowledgement = of_error(error)
    assert acknowledgement.code == code
    assert [(each.code, each.location) for each in acknowledgement.errors] == errors
    assert write_acknowledgement(acknowledgement, NEW, OUT)


def test_the_table_is_total_and_of_table_0357() -> None:
    assert set(ACKNOWLEDGEMENTS) == set(Condition)
    assert {code for _, code in ACKNOWLEDGEMENTS.values()} <= set(CODES_0357)


@pytest.mark.parametrize(
    ("version", "answer"),
    [
        ("2.1", False),
        ("2.3.1", False),
        ("2.4", False),
        ("2.5", True),
        ("2.5.1", True),
        ("2.8", True),
        ("2.10", True),
        ("3", False),
        ("", False),
        ("x.y", False),
        ("2.٥", False),
    ],
)
def test_the_style_goes_by_the_version(version: str, answer: bool) -> None:
    assert is_since_2_5(version) is answer


@pytest.mark.parametrize(
    "message",
    [b"", b"garbage", b"MSH", b"MSH|^~\\&", b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01||P|2.5\r", b"MSHx^~\\&xAx"],
)
def test_without_a_control_id_there_is_no_answer(message: bytes) -> None:
    with pytest.raises(MalformedMessage):
        write_acknowledgement(ACCEPTED, message, OUT)


def test_a_header_with_wrong_delimiters_is_answered_if_its_control_id_can_be_read() -> None:
    answer = write_acknowledgement(of_error(MalformedMessage("m", code="102")), NEW.replace(b"^~\\&", b"^^^^"), OUT)
    assert read_acknowledgement(answer).value.message_control_id == "HO2"


@given(st.binary(max_size=120).map(lambda tail: b"MSH|" + tail))
def test_no_message_makes_an_answer_that_cannot_be_read(message: bytes) -> None:
    try:
        answer = write_acknowledgement(MISSING, message, OUT)
    except MalformedMessage:
        return
    assert b"\x0b" not in answer
    assert b"\x1c" not in answer
    assert read_acknowledgement(answer).value.code is AckCode.ERROR


@given(st.text(max_size=80), st.text(max_size=40))
def test_what_a_message_says_cannot_break_out_of_its_field_in_our_answer(text: str, control_id: str) -> None:
    from profiles.wire.hl7v2.message import read_message, write_message, written

    message = write_message([written("MSH", {3: text, 9: ("ADT", "A01"), 10: "X" + control_id, 11: "P", 12: "2.5"})])
    answer = read_message(write_acknowledgement(ACCEPTED, message, OUT))
    assert [segment.name for segment in answer.segments] == ["MSH", "MSA"]
    assert len(answer.segments[1].fields) == 3


@pytest.mark.parametrize(
    ("data", "code", "errors", "text"),
    [
        (b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.3.1\rMSA|AR|M1|no such event\r", "AR", [], "no such event"),
        (
            b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.3\rMSA|AE|M1\rERR|PID^1^3^101&Missing&HL70357~PV1^1^2^103\r",
            "AE",
            [("101", "PID^1^3"), ("103", "PV1^1^2")],
            "Missing",
        ),
        (
            b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\rMSA|AE|M1\rERR||PID^1^3^2^4|204^Unknown^HL70357|E|||x|y\rERR|||103|W\r",
            "AE",
            [("204", "PID^1^3^2^4"), ("103", "")],
            "y",
        ),
        (b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\nMSA|aa|M1\n", "AA", [], ""),
        (
            b"MSH|^~\\&|A|B|C|D|2026||RSP^K23|1|P|2.5\rMSA|AE|M1\rERR||QPD^1^3^1^1|204|E\rQAK|T|AE\r",
            "AE",
            [("204", "QPD^1^3^1^1")],
            "",
        ),
    ],
)
def test_the_acknowledgements_of_peers_are_read(
    data: bytes, code: str, errors: list[tuple[str, str]], text: str
) -> None:
    acknowledgement = read_acknowledgement(data).value
    assert (acknowledgement.code, acknowledgement.message_control_id, acknowledgement.text) == (code, "M1", text)
    assert [(error.code, error.location) for error in acknowledgement.errors] == errors


def test_an_acceptance_with_an_error_beside_it_is_told() -> None:
    data = b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\rMSA|AA|M1\rERR|||207|E\r"
    assert [finding.rule for finding in read_acknowledgement(data).findings] == ["hl7.accepted-with-error"]


@pytest.mark.parametrize(
    "data",
    [b"", b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\r", b"MSH|^~\\&|A|B|C|D|2026||ACK|1|P|2.5\rMSA|ZZ|1\r"],
)
def test_what_is_no_acknowledgement_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_acknowledgement(data)
