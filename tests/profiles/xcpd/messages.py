"""Messages of XCPD, one of each kind."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from profiles.errors import Busy
from profiles.model.query import PatientCriteria
from profiles.transaction import SoapTransaction
from profiles.wire.hl7v3.candidates import Priority
from profiles.xcpd.iti55 import (
    DEFERRED,
    DEFERRED_ANSWER,
    ITI_55,
    Candidate,
    CandidatesResponse,
    DeferredAnswer,
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
LATER = replace(  # wanted later, and where
    ASKED,
    query=replace(
        ASKED.query, priority=Priority.DEFERRED, respond_to="https://us.example/soap/initiating-gateway?a=1&b=2"
    ),
    message_id="urn:uuid:0b7c8f2e-0000-4000-8000-000000000009",
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
BROUGHT = DeferredAnswer(response=ONE, relates_to=LATER.message_id)

REQUESTS: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti55 demographics": (ITI_55, ASKED),
    "iti55 id": (ITI_55, BY_ID),
    "iti55 deferred": (DEFERRED, LATER),
    "iti55 deferred answer": (DEFERRED_ANSWER, BROUGHT),
}
RESPONSES: Mapping[str, tuple[SoapTransaction[Any, Any], Any]] = {
    "iti55 one": (ITI_55, ONE),
    "iti55 tell more": (ITI_55, TELL_MORE),
    "iti55 busy": (ITI_55, ITI_55.refuse(Busy("later"))),
    "iti55 deferred": (DEFERRED, deferred_is_not_supported()),
    "iti55 deferred answer": (DEFERRED_ANSWER, ACKNOWLEDGED),
}
