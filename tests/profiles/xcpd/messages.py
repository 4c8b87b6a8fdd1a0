"""Messages of XCPD, one of each kind."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from profiles.errors import Busy
from profiles.model.query import PatientCriteria
from profiles.transaction import SoapTransaction
from profiles.xcpd.iti55 import (
    DEFERRED,
    ITI_55,
    Candidate,
    CandidatesResponse,
    DiscoveryRequest,
    DiscoveryResponse,
    deferred_is_not_supported,
)
from tests.profiles.pdqv3.messages import ACKNOWLEDGED, EVERYTHING, FOUND, NOBODY
from tests.support.hl7v3 import THEM, ZOE

HOME = THEM.organization
ASKED = DiscoveryRequest(
    query=replace(
        EVERYTHING,
        criteria=replace(EVERYTHING.criteria, names=EVERYTHING.criteria.names[:1]),
        domains=(),
        initial_quantity=None,
        reverse=ZOE.identifiers[0].authority,
    ),
    keep_for=timedelta(days=7),
)
BY_ID = DiscoveryRequest(
    query=replace(ASKED.query, criteria=PatientCriteria(identifiers=ZOE.identifiers[2:]), reverse=None)
)
ONE = DiscoveryResponse(
    answer=replace(FOUND, candidates=(Candidate(patient=ZOE, degree=100, home=HOME),), quantities=None),
    keep_for=timedelta(hours=36),
)
TELL_MORE = DiscoveryResponse(
    answer=CandidatesResponse(
        wanted=("LivingSubjectAdministrativeGender", "PatientAddress"),
        acknowledgement=ACKNOWLEDGED,
        question=FOUND.question,
    )
)
NONE = DiscoveryResponse(answer=NOBODY)

REQUESTS: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti55 demographics": (ITI_55, ASKED),
    "iti55 id": (ITI_55, BY_ID),
    "iti55 deferred": (DEFERRED, ASKED),
}
RESPONSES: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti55 one": (ITI_55, ONE),
    "iti55 tell more": (ITI_55, TELL_MORE),
    "iti55 busy": (ITI_55, ITI_55.refuse(Busy("later"))),
    "iti55 deferred": (DEFERRED, deferred_is_not_supported()),
}
