"""Messages of PIXV3, one of each kind."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from profiles.errors import UnknownPatient
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import PersonName, Sex
from profiles.pixv3.iti44 import BY_EVENT, ITI_44, PatientRecordRequest, RecordEvent
from profiles.pixv3.iti45 import ITI_45, IdentifiersQuery, IdentifiersResponse, QueryResponseCode
from profiles.pixv3.iti46 import ITI_46, notification
from profiles.transaction import SoapTransaction
from profiles.wire.hl7v3.ack import Acknowledgement, of_error
from profiles.wire.hl7v3.datatypes import InstanceIdentifier
from profiles.wire.hl7v3.query import Question
from tests.support.hl7v3 import OURS, SENT, THEIRS, ZOE

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
QUERY_ID = InstanceIdentifier(root="1.2.4.1.7", extension="q-1")
IDENTIFIERS = IdentifiersQuery(
    identifier=ZOE.identifiers[0],
    domains=(THEIRS, OURS),
    question=Question(id=QUERY_ID),
    transmission=SENT,
)
ANSWERED = Acknowledgement(target=SENT.id, transmission=SENT)
KNOWN_AS = IdentifiersResponse(
    identifiers=ZOE.identifiers[1:],
    name=ZOE.name,
    acknowledgement=ANSWERED,
    question=Question(id=QUERY_ID),
)
NOT_KNOWN = replace(KNOWN_AS, code=QueryResponseCode.NOT_FOUND, identifiers=(), name=PersonName())
REFUSED = replace(of_error(UnknownPatient("nobody")), transmission=SENT, target=SENT.id)

REQUESTS: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    f"iti44 {each.event.name}": (BY_EVENT[each.event], each) for each in (ADD, REVISE, MERGE)
} | {"iti45": (ITI_45, IDENTIFIERS), "iti46": (ITI_46, notification(ZOE.identifiers, ZOE.name, SENT))}
RESPONSES: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti44 refused": (ITI_44, REFUSED),
    "iti45": (ITI_45, KNOWN_AS),
    "iti45 not found": (ITI_45, NOT_KNOWN),
}
