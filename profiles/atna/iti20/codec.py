"""ITI-20 over syslog: an AuditRecord as one RFC 5425 frame, and an RFC 5424 message back as an AuditRecord.

Source: ITI TF-2 3.20.4.1.1 (Audit Message Transports).
"""

from datetime import datetime

from profiles.findings import Decoded, Finding, Severity
from profiles.model.audit import AuditRecord
from profiles.wire.audit import message, read, syslog
from profiles.wire.audit.participants import SECURITY_ALERT

_MESSAGE_IDS = {syslog.MESSAGE_ID, syslog.MESSAGE_ID_OF_DICOM}


def encode_request(record: AuditRecord, origin: syslog.Origin, at: datetime) -> bytes:
    """One frame; `at` is when it was kept, for the header. Security alerts go out with a higher severity."""
    return frame_of(message.encode(record), origin, at, alert=record.event == SECURITY_ALERT)


def frame_of(xml: bytes, origin: syslog.Origin, at: datetime, *, alert: bool = False) -> bytes:
    """One frame of a message that was written before, byte for byte."""
    priority = syslog.PRIORITY_OF_ALERTS if alert else syslog.PRIORITY
    return syslog.framed(xml, origin, at, priority=priority)


def decode_request(received: bytes) -> Decoded[AuditRecord]:
    """Read the content of one frame.

    Raises:
        MalformedMessage: Not RFC 5424, or its content is not an audit message.
    """
    carried = syslog.decode(received)
    decoded = read.decode(carried.content)
    if carried.message_id in _MESSAGE_IDS:
        return decoded
    odd = Finding(
        rule="audit-msgid",
        text="MSGID is neither IHE+RFC-3881 nor DICOM+RFC3881",
        severity=Severity.WARNING,
        location="MSGID",
    )
    return Decoded(decoded.value, (*decoded.findings, odd))
