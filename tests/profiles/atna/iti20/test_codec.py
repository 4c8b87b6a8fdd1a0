"""ITI-20 on the wire: one frame out, and any sender's message in."""

import pytest

from profiles.atna import ITI_20
from profiles.atna.iti20 import decode_request, encode_request
from profiles.errors import MalformedMessage
from profiles.transaction import Side
from profiles.wire.audit.syslog import FrameReader, Origin
from tests.profiles.wire.audit.records import AT, FACTS, KINDS

ORIGIN = Origin(host="valley.example", application="radgate", process_id="1")


@pytest.mark.parametrize("kind", KINDS)
def test_a_record_comes_back_from_its_frame(kind: str) -> None:
    (message,) = FrameReader().feed(encode_request(KINDS[kind], ORIGIN, AT))
    decoded = decode_request(message)
    assert decoded.value == KINDS[kind]
    assert decoded.findings == ()


def test_alerts_go_out_with_a_higher_severity() -> None:
    assert encode_request(KINDS["an alert"], ORIGIN, AT).split(b" ")[1].startswith(b"<84>")
    assert encode_request(KINDS["a merge"], ORIGIN, AT).split(b" ")[1].startswith(b"<85>")


def test_an_unknown_message_id_is_read_and_said() -> None:
    (message,) = FrameReader().feed(encode_request(KINDS["a merge"], ORIGIN, AT))
    odd = decode_request(message.replace(b"IHE+RFC-3881", b"AUDIT"))
    assert [finding.rule for finding in odd.findings] == ["audit-msgid"]
    dicom = decode_request(message.replace(b"IHE+RFC-3881", b"DICOM+RFC3881"))
    assert dicom.findings == ()


def test_what_is_no_audit_message_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        decode_request(b"<85>1 - - - - IHE+RFC-3881 - hello")


def test_the_audit_of_audit_is_nothing() -> None:
    assert ITI_20.audit(Side.INITIATOR, KINDS["a merge"], None, FACTS) == ()
