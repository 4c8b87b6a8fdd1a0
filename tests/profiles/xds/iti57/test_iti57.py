"""ITI-57 and ITI-92: written as the schemas want it, read as others write it, checked, refused and audited."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from profiles.errors import MalformedMessage, RuleViolation
from profiles.findings import Severity, errors_of
from profiles.model.audit import Action, Outcome
from profiles.transaction import Side, SoapTransaction
from profiles.wire.audit.participants import EXPORT, IMPORT
from profiles.wire.ebxml.operations import UPDATE as CODES
from profiles.wire.ebxml.operations import NewVersion, read_operations
from profiles.xds.iti57 import ITI_57, RegistryResponse, ResponseStatus
from profiles.xds.iti92 import ITI_92
from tests.profiles.xds.audited import ME, THEM, facts, ids, judge, parties
from tests.profiles.xds.messages import FAILURE
from tests.profiles.xds.updates import OLD, RESTRICTED, UPDATE
from tests.support.ebxml import SET, parse, sample, soap_in, written
from tests.support.ebxml import judge as judge_body

BOTH = pytest.mark.parametrize(
    ("transaction", "request_"), [(ITI_57, UPDATE), (ITI_92, RESTRICTED)], ids=["ITI-57", "ITI-92"]
)


def findings(transaction: SoapTransaction[Any, Any], request: Any) -> Iterator[tuple[str, str]]:
    for check in transaction.checks:
        yield from ((each.rule, each.code) for each in check(request) if each.severity is Severity.ERROR)


@BOTH
def test_what_is_written_is_read_again_and_breaks_no_rule(
    transaction: SoapTransaction[Any, Any], request_: Any
) -> None:
    decoded = transaction.decode_request(soap_in(written(transaction.encode_request(request_))))
    assert decoded.value == request_
    assert errors_of(decoded.findings) == ()
    assert list(findings(transaction, request_)) == []


@BOTH
@pytest.mark.parametrize("attribute", ["hash", "repository_unique_id", "language_code"])
def test_a_new_version_is_as_complete_as_what_is_registered(
    transaction: SoapTransaction[Any, Any], request_: Any, attribute: str
) -> None:
    told = request_.submission
    (entry,) = told.entries
    bare = replace(entry, **{attribute: "" if attribute != "repository_unique_id" else None})
    ((rule, code),) = findings(transaction, replace(request_, submission=replace(told, entries=(bare,))))
    assert (rule.startswith("xds-metadata/required/"), code) == (True, "")  # "": XDSRegistryMetadataError


@BOTH
def test_a_new_version_is_of_the_submission_set_s_patient(
    transaction: SoapTransaction[Any, Any], request_: Any
) -> None:
    told = request_.submission
    (entry,) = told.entries
    foreign = replace(entry, patient_id=replace(entry.patient_id, value="another"))
    found = list(findings(transaction, replace(request_, submission=replace(told, entries=(foreign,)))))
    assert found == [("xds-metadata/one-patient", "XDSPatientIDReconciliationError")]


@pytest.mark.judge_standard
@BOTH
def test_both_bodies_are_valid_by_the_published_schemas(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    judge_body(written(transaction.encode_request(request_)))
    judge_body(written(transaction.encode_response(FAILURE)))


@pytest.mark.judge_standard
def test_an_update_that_others_wrote_is_read() -> None:
    decoded = ITI_57.decode_request(soap_in(sample("iti-57", "ipf-update.xml")))
    assert errors_of(decoded.findings) == ()
    (entry,) = decoded.value.submission.entries
    assert entry.logical_id == "urn:uuid:20744602-ba65-44e9-87ee-a52303a5183e"
    assert dict(entry.extra)["documentAvailability"] == ("urn:ihe:iti:2010:DocumentAvailability:Offline",)
    body = written(ITI_57.encode_request(decoded.value))
    judge_body(body)
    assert ITI_57.decode_request(soap_in(body)).value == decoded.value
    operations, _ = read_operations(decoded.value.submission, CODES)
    assert NewVersion(object=entry, previous=_previous(decoded.value), propagate=True) in [
        each if not isinstance(each, NewVersion) else NewVersion(object=each.object, previous=each.previous)
        for each in operations
    ]


def _previous(request: Any) -> int:
    member = next(each for each in request.submission.associations if "PreviousVersion" in dict(each.extra))
    return int(dict(member.extra)["PreviousVersion"][0])


@BOTH
def test_another_element_is_no_update(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    with pytest.raises(MalformedMessage):
        transaction.decode_request(soap_in(parse(b"<other/>")))


@BOTH
def test_a_refusal_is_a_failure_with_its_reason(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    refused = transaction.refuse(RuleViolation("no", code="XDSMetadataVersionError", location=OLD))
    assert refused.status is ResponseStatus.FAILURE
    assert [(each.code, each.location) for each in refused.errors] == [("XDSMetadataVersionError", OLD)]


@BOTH
def test_an_update_is_exported_by_who_sends_it_and_changes_what_is_imported(
    transaction: SoapTransaction[Any, Any], request_: Any
) -> None:
    (sent,) = transaction.audit(Side.INITIATOR, request_, RegistryResponse(), facts(local=ME, remote=THEM))
    (taken,) = transaction.audit(Side.RESPONDER, request_, RegistryResponse(), facts())
    assert (sent.event, sent.action, taken.event, taken.action) == (EXPORT, Action.READ, IMPORT, Action.UPDATE)
    assert [code.code for code in taken.types] == [transaction.id]
    assert parties(taken) == [(THEM.user_id, "source", True), (ME.user_id, "destination", False)]
    assert ids(taken) == ids(sent) == [str(SET.patient_id), SET.unique_id]


@pytest.mark.judge_standard
@BOTH
def test_a_failure_is_audited_as_one_and_valid(transaction: SoapTransaction[Any, Any], request_: Any) -> None:
    for side in Side:
        (record,) = transaction.audit(side, request_, FAILURE, facts())
        assert record.outcome is Outcome.MINOR_FAILURE
        judge(record)
