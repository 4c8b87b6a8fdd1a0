"""What is audited of ITI-18: a Query on both sides; the patient and the question as it was asked.

A partial success is two records, one of the success and one of the failure.

Source: ITI TF-2 3.18.5.1.
"""

import re

from profiles.model.audit import Action, AuditRecord, Outcome
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import (
    QUERY,
    destination,
    for_each_patient,
    initiator,
    query_object,
    record,
    responder,
    source,
    transaction_code,
)
from profiles.wire.ebxml.audited import outcome_of_response
from profiles.xds.iti18.codec import encode_request
from profiles.xds.iti18.messages import ResponseStatus, StoredQueryRequest, StoredQueryResponse

CODE = transaction_code("ITI-18", "Registry Stored Query")
_QUERY_ID = re.compile(rb"<(?:[^\s<>/:]{1,40}:)?AdhocQuery\s[^<>]{0,500}?\bid=[\"'](urn:uuid:[0-9A-Fa-f-]{36})[\"']")


def audit(
    side: Side, request: StoredQueryRequest | None, response: StoredQueryResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient and outcome. The patients are those that the question names, or else that were found."""
    patients = (
        (request.criteria.patient_ids or request.submission_sets.patient_ids or request.folders.patient_ids)
        if request is not None
        else ()
    )
    objects = (
        query_object(
            _query_id(request, facts),
            _question(request, facts),
            CODE,
            encoding="UTF-8",
            home=None if request is None else request.home_community_id,
        ),
    )
    return tuple(
        record(
            QUERY,
            Action.EXECUTE,
            facts,
            participants=(
                source(initiator(side, facts), requestor=True),
                destination(responder(side, facts), requestor=False),
            ),
            objects=(*patient, *objects),
            transaction=CODE,
            outcome=outcome,
            description=description,
        )
        for outcome, description in _outcomes(response, facts)
        for patient in for_each_patient(patients or facts.patients)
    )


def _query_id(request: StoredQueryRequest | None, facts: Facts) -> str:
    """The id of the query; of a question that we could not answer the one that stands in it, "" where none does."""
    if request is not None:
        return request.query
    named = _QUERY_ID.search(facts.query or b"")
    return named[1].decode("ascii") if named is not None else ""


def _question(request: StoredQueryRequest | None, facts: Facts) -> bytes:
    """The AdhocQueryRequest as it came, or as we wrote it."""
    if facts.query is not None:
        return facts.query
    return b"" if request is None else b"".join(encode_request(request).body)


def _outcomes(response: StoredQueryResponse | None, facts: Facts) -> tuple[tuple[Outcome | None, str | None], ...]:
    """(None, None): that of the facts' error."""
    if response is None or facts.error is not None:
        return ((None, None),)
    outcome = outcome_of_response(response.status, response.errors)
    if response.status is ResponseStatus.PARTIAL_SUCCESS:
        return ((Outcome.SUCCESS, ""), outcome)
    return (outcome,)
