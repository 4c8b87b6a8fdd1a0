"""The audit records that submissions, updates, removals and retrievals of documents share.

Source: ITI TF-2 3.41.5.1, 3.42.5.1, 3.43.6, 3.57.5.1, 3.62.5.1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from profiles.errors import ExchangeError
from profiles.findings import Severity
from profiles.model.audit import Action, AuditCode, AuditRecord, Outcome, ParticipantObject
from profiles.model.document import Submission
from profiles.wire.audit.facts import Facts, Side
from profiles.wire.audit.participants import (
    EXPORT,
    IMPORT,
    PATIENT_RECORD,
    OutcomeGroup,
    destination,
    for_each_outcome,
    for_each_patient,
    initiator,
    record,
    responder,
    source,
    submission_set_object,
)
from profiles.wire.ebxml.response import COME_BACK, RegistryError, ResponseStatus


def outcome_of_response(status: ResponseStatus, errors: Iterable[RegistryError]) -> tuple[Outcome, str]:
    """The outcome that a response tells, and its codes; the words of a peer may name a patient and stay away."""
    failed = [error.code for error in errors if error.severity is Severity.ERROR]
    if status is not ResponseStatus.FAILURE and not failed:
        return Outcome.SUCCESS, ""
    serious = any(code in COME_BACK or code in ("XDSRegistryError", "XDSRepositoryError") for code in failed)
    described = ", ".join(dict.fromkeys(failed)) or "failure without a reason"
    return (Outcome.SERIOUS_FAILURE if serious else Outcome.MINOR_FAILURE), described


def _outcome(
    error: ExchangeError | None, answer: tuple[ResponseStatus, Sequence[RegistryError]] | None
) -> tuple[Outcome | None, str | None]:
    """What the record says instead of the facts' error; (None, None): the facts' error it is."""
    if error is not None or answer is None:
        return None, None
    return outcome_of_response(*answer)


def audit_submission(
    code: AuditCode,
    side: Side,
    submission: Submission | None,
    answer: tuple[ResponseStatus, Sequence[RegistryError]] | None,
    facts: Facts,
    *,
    taken: Action = Action.CREATE,
) -> tuple[AuditRecord, ...]:
    """A submission: exported by who sends it, imported by who takes it; one record per patient.

    `taken` is what it does to who takes it: an update changes what was there.

    Where the request could not be read there is no submission set to name, and the facts' patients are all we know.
    """
    outcome, description = _outcome(facts.error, answer)
    named = () if submission is None else (submission.submission_set.patient_id,)
    patients = named or facts.patients
    objects = () if submission is None else (submission_set_object(submission.submission_set.unique_id),)
    return tuple(
        record(
            EXPORT if side is Side.INITIATOR else IMPORT,
            Action.READ if side is Side.INITIATOR else taken,
            facts,
            participants=(
                source(initiator(side, facts), requestor=True),
                destination(responder(side, facts), requestor=False),
            ),
            objects=(*patient, *objects),
            transaction=code,
            outcome=outcome,
            description=description,
        )
        for patient in for_each_patient(patients)
    )


def audit_removal(
    code: AuditCode,
    side: Side,
    objects: Sequence[ParticipantObject],
    answer: tuple[ResponseStatus, Sequence[RegistryError]] | None,
    facts: Facts,
) -> tuple[AuditRecord, ...]:
    """A removal: a Patient Record deleted on both sides, with what it names; one record per patient, if any is known.

    Source: ITI TF-2 3.62.5.1, 3.86.5.1.
    """
    outcome, description = _outcome(facts.error, answer)
    return tuple(
        record(
            PATIENT_RECORD,
            Action.DELETE,
            facts,
            participants=(
                source(initiator(side, facts), requestor=True),
                destination(responder(side, facts), requestor=False),
            ),
            objects=(*patient, *objects),
            transaction=code,
            outcome=outcome,
            description=description,
        )
        for patient in for_each_patient(facts.patients)
    )


def groups_of_retrieval(
    facts: Facts,
    asked: Sequence[str],
    answered: Sequence[str] | None,
    answer: tuple[ResponseStatus, Sequence[RegistryError]] | None,
) -> tuple[OutcomeGroup, ...]:
    """Which documents came across and which did not: one record each (ITI TF-2 3.43.6).

    Where the house counted what was delivered, its count is the truth; where it did not, what the response named was
    handed over. What was asked for and is not among it did not come, whether anybody said so or not.
    """
    asked = tuple(dict.fromkeys(asked))
    if answer is None or facts.error is not None:
        return tuple(for_each_outcome(facts, asked))
    delivered = facts.delivered or tuple(uid for uid in asked if uid in frozenset(answered or ()))
    if facts.undelivered and not facts.delivered:
        delivered = ()
    here = frozenset(delivered)
    undelivered = tuple(dict.fromkeys((*(uid for uid in asked if uid not in here), *facts.undelivered)))
    outcome, description = outcome_of_response(ResponseStatus.FAILURE, answer[1])
    return tuple(
        group if group.outcome is Outcome.SUCCESS else replace(group, outcome=outcome, description=description)
        for group in for_each_outcome(replace(facts, delivered=delivered, undelivered=undelivered), asked)
    )
