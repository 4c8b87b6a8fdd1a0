"""ITI-20 of who keeps documents: what is registered, changed, removed and asked of several patients comes to be audited.

Each transaction is done once well and once so that it is refused; both are audited. A system that does not claim one of
them is not asked by it.

Source: the audit sections of ITI TF-2 3.42, 3.51, 3.57, 3.61, 3.62, 3.86, 3.92 and RAD TF-2 4.68.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from conformance.case import Case, case
from conformance.expect import expect
from conformance.submissions import new_uid
from conformance.suites.xds import (
    registry_multi_patient,
    registry_on_demand,
    registry_register,
    registry_remove,
    registry_update,
    repository_remove,
    responder_update,
)
from conformance.suites.xdsi import repository_provide
from conformance.target import Target
from conformance.verdict import Unclaimed
from profiles.model.audit import Action, AuditRecord, Outcome
from profiles.model.document import Submission
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Actor, SoapTransaction
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti42 import ITI_42
from profiles.xds.iti51 import ITI_51
from profiles.xds.iti57 import ITI_57
from profiles.xds.iti61 import ITI_61
from profiles.xds.iti62 import ITI_62
from profiles.xds.iti86 import ITI_86
from profiles.xds.iti92 import ITI_92
from profiles.xdsi.rad68 import RAD_68

NODE = Actor.SECURE_NODE
IMPORT, PATIENT_RECORD, QUERY = "110107", "110110", "110112"
SET, DOCUMENT, QUESTION = 20, 3, 24  # ParticipantObjectTypeCodeRole

Request = Any
"""Of whichever transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that is done and audited.

    `named` are the ids that its message has as objects of `role`; `wrong` makes a request one that is refused.
    """

    transaction: SoapTransaction[Any, Any]
    event: str
    actions: tuple[Action, ...]
    row: str
    role: int
    good: Callable[[Target], Awaitable[Request]]
    named: Callable[[Request], tuple[str, ...]]
    wrong: Callable[[Request], Request]
    of_patient: bool = True  # whether the patient must be an object of it


def _set_of(request: Request) -> tuple[str, ...]:
    submission: Submission = request.submission
    return (submission.submission_set.unique_id,)


def _of_nobody(request: Request) -> Request:
    """A submission for a patient whom nobody knows."""
    submission: Submission = request.submission
    authority = submission.submission_set.patient_id.authority
    nobody = PatientIdentifier(value=f"nobody-{new_uid()[-12:]}", authority=authority)
    return replace(
        request,
        submission=replace(
            submission,
            submission_set=replace(submission.submission_set, patient_id=nobody),
            entries=tuple(replace(each, patient_id=nobody) for each in submission.entries),
        ),
    )


def _import(
    transaction: SoapTransaction[Any, Any], good: Callable[[Target], Awaitable[Request]], *actions: Action
) -> Deed:
    return Deed(
        transaction=transaction, event=IMPORT, actions=actions, row="ITI20/registration", role=SET, good=good,
        named=_set_of, wrong=_of_nobody,
    )  # fmt: skip


DEEDS = (
    _import(RAD_68, repository_provide.one_manifest, Action.CREATE),
    _import(ITI_42, registry_register.one_entry, Action.CREATE),
    _import(ITI_61, registry_on_demand.one_entry, Action.CREATE),
    _import(ITI_57, registry_update.one_update, Action.UPDATE, Action.CREATE),  # the table has no row of it
    _import(ITI_92, responder_update.one_update, Action.UPDATE, Action.CREATE),
    Deed(
        transaction=ITI_62, event=PATIENT_RECORD, actions=(Action.DELETE,), row="ITI20/removal", role=DOCUMENT,
        good=registry_remove.one_removal, named=lambda request: request.entry_uuids,
        wrong=lambda request: replace(request, entry_uuids=(registry_remove.NOBODYS_UUID,)), of_patient=False,
    ),
    Deed(
        transaction=ITI_86, event=PATIENT_RECORD, actions=(Action.DELETE,), row="ITI20/removal", role=DOCUMENT,
        good=repository_remove.one_removal, named=lambda request: tuple(
            each.document_unique_id for each in request.documents
        ),
        wrong=lambda request: replace(
            request, documents=tuple(replace(each, document_unique_id=new_uid()) for each in request.documents)
        ),
        of_patient=False,
    ),
    Deed(
        transaction=ITI_51, event=QUERY, actions=(Action.EXECUTE,), row="ITI20/several", role=QUESTION,
        good=registry_multi_patient.a_question, named=lambda request: (str(request.query),),
        wrong=lambda request: replace(request, criteria=replace(request.criteria, statuses=())),
    ),
)  # fmt: skip


def _cases(deed: Deed) -> tuple[Case, Case]:
    transaction = deed.transaction
    told: dict[str, Any] = {"transaction": "ITI-20", "actor": NODE, "suite": __name__}
    name = transaction.id.lower().replace("-", "_")

    async def done(target: Target) -> None:
        _claimed(target, transaction)
        request = await deed.good(target)
        answer = await target.call(transaction, request)
        expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)
        record = await _audited(target, deed, request, well=True)
        expect(record.action, "the action").is_one_of(*deed.actions)
        if deed.of_patient:
            patients = [each.id for each in record.objects if (each.type_code, each.role) == (1, 1)]
            expect(patients, "the patient object").is_there()

    async def refused(target: Target) -> None:
        _claimed(target, transaction)
        request = deed.wrong(await deed.good(target))
        answer = await target.call(transaction, request)
        expect(answer.response.status, "the status").equals(ResponseStatus.FAILURE)
        record = await _audited(target, deed, request, well=False)
        expect(record.outcome_description, "EventOutcomeDescription").is_there()

    done.__name__, refused.__name__ = name, f"{name}_refused"
    return (
        case(deed.row, title=f"{transaction.id} is audited with what it is about", **told)(done),
        case(deed.row, "ITI20/failure", title=f"{transaction.id} that is refused is audited", **told)(refused),
    )


CASES = tuple(each for deed in DEEDS for each in _cases(deed))


def _claimed(target: Target, transaction: SoapTransaction[Any, Any]) -> None:
    if not target.system.claims_to(transaction.responder, transaction.id):
        raise Unclaimed(f"{transaction.id} as {transaction.responder} is not claimed")


async def _audited(target: Target, deed: Deed, request: Request, *, well: bool) -> AuditRecord:
    """The message of this very request, with this outcome."""
    named = set(deed.named(request))

    def wanted(record: AuditRecord) -> bool:
        return (
            record.event.code == deed.event
            and deed.transaction.id in [each.code for each in record.types]
            and (record.outcome is Outcome.SUCCESS) is well
            and named <= {each.id for each in record.objects if each.role == deed.role}
        )

    message = await target.audited(f"{deed.transaction.id} that was {'done' if well else 'refused'}", wanted)
    assert message.record is not None
    return message.record
