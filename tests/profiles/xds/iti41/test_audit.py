"""What is audited of submissions: ITI-41 here, and ITI-42, ITI-61 and RAD-68, which differ in their code alone."""

from dataclasses import replace
from typing import Any

import pytest

from profiles.model.audit import Action, Outcome
from profiles.transaction import Side, SoapTransaction
from profiles.wire.audit.participants import EXPORT, IMPORT
from profiles.xds.iti41 import ITI_41, RegistryError, RegistryResponse, ResponseStatus
from profiles.xds.iti42 import ITI_42
from profiles.xds.iti61 import ITI_61, RegisterOnDemandRequest
from profiles.xdsi.rad68 import RAD_68
from tests.profiles.xds.audited import DOCTOR, DOWN, ME, OTHER, PATIENT, REFUSED, THEM, facts, ids, judge, parties
from tests.profiles.xds.messages import FAILURE, PROVIDE, REGISTER

ON_DEMAND = RegisterOnDemandRequest(submission=REGISTER.submission)
CASES: list[tuple[SoapTransaction[Any, Any], Any]] = [
    (ITI_41, PROVIDE), (ITI_42, REGISTER), (RAD_68, PROVIDE), (ITI_61, ON_DEMAND)
]  # fmt: skip
EACH = pytest.mark.parametrize(("transaction", "request_"), CASES, ids=lambda value: str(getattr(value, "id", "")))
SET_ID = "1.2.826.0.1.99.3"
PATIENT_ID = "XAD77^^^&1.3.6.1.4.1.21367.2005.13.20.1000&ISO"


@EACH
def test_the_repository_imports(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    (record,) = transaction.audit(Side.RESPONDER, request_, RegistryResponse(), facts(user=DOCTOR))
    assert (record.event, record.action, record.outcome) == (IMPORT, Action.CREATE, Outcome.SUCCESS)
    assert [(code.code, code.text) for code in record.types] == [(transaction.id, transaction.name)]
    assert parties(record) == [(THEM.user_id, "source", True), (ME.user_id, "destination", False)]
    assert record.participants[2].user_id == "dr.a"
    assert ids(record) == [PATIENT_ID, SET_ID]


@EACH
def test_the_source_exports(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    (record,) = transaction.audit(Side.INITIATOR, request_, RegistryResponse(), facts(local=ME, remote=THEM))
    assert (record.event, record.action) == (EXPORT, Action.READ)
    assert parties(record) == [(ME.user_id, "source", True), (THEM.user_id, "destination", False)]
    assert ids(record) == [PATIENT_ID, SET_ID]


@EACH
@pytest.mark.parametrize("side", Side)
def test_a_refusal_is_a_minor_failure_and_ours_a_serious_one(
    transaction: SoapTransaction[Any, Any], request_: Any, side: Side
) -> None:
    (refused,) = transaction.audit(side, request_, None, facts(error=REFUSED))
    (broken,) = transaction.audit(side, request_, None, facts(error=DOWN))
    assert refused.outcome is Outcome.MINOR_FAILURE
    assert refused.outcome_description == "XDSRepositoryMetadataError: the hash is another one"
    assert broken.outcome is Outcome.SERIOUS_FAILURE
    assert ids(refused) == [PATIENT_ID, SET_ID]


@EACH
def test_a_failure_that_was_answered_is_one(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    (record,) = transaction.audit(Side.INITIATOR, request_, FAILURE, facts())
    assert record.outcome is Outcome.MINOR_FAILURE
    assert record.outcome_description == "XDSPatientIdDoesNotMatch"  # not the peer's words: they may name a patient
    busy = RegistryResponse(
        status=ResponseStatus.FAILURE, errors=(RegistryError(code="XDSRegistryBusy", context="later"),)
    )
    (record,) = transaction.audit(Side.INITIATOR, request_, busy, facts())
    assert record.outcome is Outcome.SERIOUS_FAILURE


@EACH
def test_what_could_not_be_read_is_audited_by_what_is_known(
    transaction: SoapTransaction[Any, Any], request_: Any
) -> None:
    (nobody,) = transaction.audit(Side.RESPONDER, None, None, facts(error=REFUSED))
    assert ids(nobody) == []
    first, second = transaction.audit(Side.RESPONDER, None, None, facts(error=REFUSED, patients=(PATIENT, OTHER)))
    assert (ids(first), ids(second)) == ([str(PATIENT)], [str(OTHER)])


def test_a_patient_s_id_that_was_resolved_does_not_hide_the_submission_s_own() -> None:
    (record,) = ITI_41.audit(Side.RESPONDER, PROVIDE, RegistryResponse(), facts(patients=(PATIENT,)))
    assert ids(record)[0] == PATIENT_ID


@pytest.mark.judge_standard
@EACH
@pytest.mark.parametrize("side", Side)
def test_the_records_are_valid_messages(transaction: SoapTransaction[Any, Any], request_: Any, side: Side) -> None:
    judge(
        *transaction.audit(side, request_, RegistryResponse(), facts(user=DOCTOR)),
        *transaction.audit(side, request_, FAILURE, facts()),
        *transaction.audit(side, request_, None, facts(error=DOWN)),
        *transaction.audit(side, None, None, facts(error=type(REFUSED)('<"&>'))),
    )


def test_codes_differ() -> None:
    records = [
        transaction.audit(Side.RESPONDER, request, RegistryResponse(), facts())[0] for transaction, request in CASES
    ]
    assert len({record.types for record in records}) == 4
    assert len({replace(record, types=()) for record in records}) == 1
