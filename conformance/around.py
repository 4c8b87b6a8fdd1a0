"""What stands around the system under test, for cases in which it is the one that speaks."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from conformance.simulators.asked_later import AskedLater
from conformance.simulators.audit_repository import AuditRepository
from conformance.simulators.document_community import DocumentCommunity
from conformance.simulators.foreign_community import ForeignCommunity
from conformance.simulators.hl7_listener import Hl7Receiver
from conformance.simulators.mailbox import Mailbox
from conformance.simulators.patient_services import PatientServices

Provoke = Callable[[str, Mapping[str, str]], Awaitable[bool]]
"""Makes the system do something: a word for it (`fetch`, `share`), and the facts that it needs.

Returns:
    Whether it says that it did; False: nobody says, for a person was told to do so.

Raises:
    NotDone: It says that it did not.
    Unreachable: It cannot be made to.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """Each None where there is none. `peer` is what the system calls `community`; `foreign` are other communities, 0 or 2.

    `west` is asked asynchronously, by the name of West. `mailbox` is where answers may be brought.
    `wait_s` is how long a case waits for what the system does by itself: 15 s are many for a program, few for a person.
    """

    audit: AuditRepository | None = None
    hl7: Hl7Receiver | None = None
    community: DocumentCommunity | None = None
    people: PatientServices | None = None
    foreign: tuple[ForeignCommunity, ...] = ()
    west: AskedLater | None = None
    mailbox: Mailbox | None = None
    provoke: Provoke | None = None
    peer: str = "Simulator"
    wait_s: float = 15.0


NOTHING = Around()
