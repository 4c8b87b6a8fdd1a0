"""Messages of PIXV3, one of each kind."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from profiles.errors import UnknownPatient
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import Sex
from profiles.pixv3.iti44 import BY_EVENT, ITI_44, PatientRecordRequest, RecordEvent
from profiles.transaction import SoapTransaction
from profiles.wire.hl7v3.ack import of_error
from tests.support.hl7v3 import OURS, SENT, ZOE

GONE = PatientIdentifier(value="V0", authority=OURS)
ADD = PatientRecordRequest(event=RecordEvent.ADD, patient=ZOE, provider=OURS, custodian=OURS, transmission=SENT)
REVISE = replace(ADD, event=RecordEvent.REVISE)
MERGE = PatientRecordRequest(
    event=RecordEvent.MERGE,
    patient=replace(ZOE, birth_date=None, sex=Sex.UNKNOWN, address=""),
    said=frozenset({"name"}),
    subsumed_identifiers=(GONE,),
    custodian=OURS,
    transmission=SENT,
)

REQUESTS: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    f"iti44 {each.event.name}": (BY_EVENT[each.event], each) for each in (ADD, REVISE, MERGE)
}
RESPONSES: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti44 refused": (ITI_44, replace(of_error(UnknownPatient("nobody")), transmission=SENT, target=SENT.id)),
}
