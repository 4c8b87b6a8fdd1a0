"""What an HL7 v2 message needs beside its content.

Source: HL7 v2 2.14.9 (MSH).
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Address:
    """MSH-3 to MSH-6: sending and receiving application and facility."""

    sending_application: str
    sending_facility: str
    receiving_application: str
    receiving_facility: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Out:
    """What a message needs beside its content: addresses, control id (MSH-10, at most 20 characters) and time."""

    address: Hl7Address
    control_id: str
    at: datetime
    processing_id: str = "P"
