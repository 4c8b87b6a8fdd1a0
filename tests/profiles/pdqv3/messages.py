"""Messages of PDQV3, one of each kind; the question and the answer are XCPD's too."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from profiles.errors import TooManyResults
from profiles.model.moment import Moment
from profiles.model.patient import PersonName, Sex
from profiles.model.query import BirthCriteria, NameCriteria, PatientCriteria
from profiles.pdqv3.iti47 import (
    CANCEL,
    CONTINUE,
    ITI_47,
    Acknowledgement,
    Candidate,
    CandidatesQuery,
    CandidatesResponse,
    Continuation,
    Quantities,
    QueryResponseCode,
)
from profiles.transaction import SoapTransaction
from profiles.wire.hl7v3.datatypes import InstanceIdentifier
from profiles.wire.hl7v3.query import Question
from tests.support.hl7v3 import NATIONAL, OURS, SENT, THEIRS, ZOE

QUERY_ID = InstanceIdentifier(root="1.2.4.1.7", extension="q-2")
DAY = Moment.from_dtm("19700131")
EVERYTHING = CandidatesQuery(
    criteria=PatientCriteria(
        identifiers=ZOE.identifiers[:2],
        names=(
            NameCriteria(name=PersonName(family="Quillfeather", given="Zoë", middle="A.", prefix="Dr.", suffix="III")),
            NameCriteria(name=PersonName(family="Quill"), beginning=True),
        ),
        birth=BirthCriteria(low=DAY, high=DAY),
        sex=Sex.FEMALE,
        address=(("streetAddressLine", "1 <Main> St"), ("city", "Town"), ("postalCode", "01234")),
    ),
    domains=(OURS, NATIONAL),
    initial_quantity=10,
    minimum_degree=80,
    question=Question(id=QUERY_ID),
    transmission=SENT,
)
BORN_BETWEEN = replace(
    EVERYTHING,
    criteria=PatientCriteria(
        names=EVERYTHING.criteria.names[1:], birth=BirthCriteria(low=Moment.from_dtm("196912"), high=DAY)
    ),
    domains=(),
    initial_quantity=None,
    minimum_degree=None,
)
ACKNOWLEDGED = Acknowledgement(target=SENT.id, transmission=SENT)
FOUND = CandidatesResponse(
    candidates=(
        Candidate(patient=ZOE, degree=90, home=OURS),
        Candidate(patient=replace(ZOE, identifiers=ZOE.identifiers[1:], birth_date=None, address=""), home=THEIRS),
    ),
    quantities=Quantities(total=3, current=2, remaining=1),
    acknowledgement=ACKNOWLEDGED,
    question=Question(id=QUERY_ID),
)
NOBODY = CandidatesResponse(
    code=QueryResponseCode.NOT_FOUND, acknowledgement=ACKNOWLEDGED, question=Question(id=QUERY_ID)
)
MORE = Continuation(query_id=QUERY_ID, start=3, quantity=1, transmission=SENT)
ENOUGH = Continuation(query_id=QUERY_ID, cancels=True, transmission=SENT)

REQUESTS: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti47 everything": (ITI_47, EVERYTHING),
    "iti47 born between": (ITI_47, BORN_BETWEEN),
    "iti47 more": (CONTINUE, MORE),
    "iti47 enough": (CANCEL, ENOUGH),
}
RESPONSES: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti47 found": (ITI_47, FOUND),
    "iti47 nobody": (CONTINUE, NOBODY),
    "iti47 refused": (ITI_47, ITI_47.refuse(TooManyResults("too many"))),
}
