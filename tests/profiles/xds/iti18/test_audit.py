"""What is audited of ITI-18: the question on both sides, and a partial success twice."""

from dataclasses import replace

import pytest

from profiles.model.audit import Action, Outcome
from profiles.transaction import Side
from profiles.wire.audit.participants import QUERY
from profiles.xds.iti18 import ITI_18, RegistryError, ResponseStatus, StoredQueryResponse
from tests.profiles.xds.audited import DOWN, ME, PATIENT, REFUSED, THEM, details, facts, ids, judge, parties
from tests.profiles.xds.messages import FIND, FOUND, GET_ASSOCIATIONS, NOT_FOUND

PATIENT_ID = "XAD77^^^&1.3.6.1.4.1.21367.2005.13.20.1000&ISO"
SOME = replace(
    FOUND,
    status=ResponseStatus.PARTIAL_SUCCESS,
    errors=(RegistryError(code="XDSUnavailableCommunity", context="", location="urn:oid:1.2"),),
)


def test_the_registry_was_asked() -> None:
    (record,) = ITI_18.audit(Side.RESPONDER, FIND, FOUND, facts(query=b"<as it came/>"))
    assert (record.event, record.action, record.outcome) == (QUERY, Action.EXECUTE, Outcome.SUCCESS)
    assert parties(record) == [(THEM.user_id, "source", True), (ME.user_id, "destination", False)]
    assert ids(record) == [PATIENT_ID, FIND.query]
    question = record.objects[1]
    assert question.query == b"<as it came/>"
    assert question.id_type.code == "ITI-18"
    assert details(question) == [
        ("QueryEncoding", "UTF-8"),
        ("urn:ihe:iti:xca:2010:homeCommunityId", "urn:oid:1.2.3.1"),
    ]


def test_the_consumer_asked_and_its_question_is_the_one_that_it_wrote() -> None:
    (record,) = ITI_18.audit(Side.INITIATOR, FIND, FOUND, facts())
    assert parties(record) == [(ME.user_id, "source", True), (THEM.user_id, "destination", False)]
    assert record.objects[1].query == b"".join(ITI_18.encode_request(FIND).body)


def test_a_question_without_a_patient_is_about_those_that_were_found_or_nobody() -> None:
    assert [
        ids(record) for record in ITI_18.audit(Side.RESPONDER, GET_ASSOCIATIONS, StoredQueryResponse(), facts())
    ] == [[GET_ASSOCIATIONS.query]]
    (record,) = ITI_18.audit(Side.RESPONDER, GET_ASSOCIATIONS, StoredQueryResponse(), facts(patients=(PATIENT,)))
    assert ids(record) == [str(PATIENT), GET_ASSOCIATIONS.query]


@pytest.mark.parametrize("side", Side)
def test_a_partial_success_is_two_records(side: Side) -> None:
    good, bad = ITI_18.audit(side, FIND, SOME, facts())
    assert good.outcome is Outcome.SUCCESS
    assert (bad.outcome, bad.outcome_description) == (Outcome.SERIOUS_FAILURE, "XDSUnavailableCommunity")


def test_failures_of_either_kind() -> None:
    (answered,) = ITI_18.audit(Side.INITIATOR, FIND, NOT_FOUND, facts())
    assert (answered.outcome, answered.outcome_description) == (Outcome.MINOR_FAILURE, "XDSStoredQueryMissingParam")
    (refused,) = ITI_18.audit(Side.RESPONDER, None, None, facts(error=REFUSED, query=b"<?"))
    assert refused.outcome is Outcome.MINOR_FAILURE
    assert refused.objects[0].query == b"<?"
    (down,) = ITI_18.audit(Side.INITIATOR, FIND, None, facts(error=DOWN))
    assert down.outcome is Outcome.SERIOUS_FAILURE


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        (b"<q:AdhocQueryRequest><r:AdhocQuery home='urn:oid:1.2' id='%b'/></q:AdhocQueryRequest>", True),
        (b'<AdhocQueryRequest id="urn:uuid:x"><AdhocQuery id="%b"><Slot', True),  # its end did not come
        (b'<q:AdhocQueryRequest id="%b"/>', False),
        (b'<r:AdhocQuery objectid="%b"/>', False),
    ],
)
def test_a_question_that_could_not_be_read_has_the_id_that_stands_in_it(asked: bytes, named: bool) -> None:
    query = asked % FIND.query.encode()
    (refused,) = ITI_18.audit(Side.RESPONDER, None, None, facts(error=REFUSED, query=query))
    assert [each.id for each in refused.objects] == [FIND.query if named else ""]


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", Side)
def test_the_records_are_valid_messages(side: Side) -> None:
    for request, response, known in (
        (FIND, FOUND, facts()),
        (FIND, SOME, facts()),
        (GET_ASSOCIATIONS, NOT_FOUND, facts()),
        (None, None, facts(error=REFUSED, query=b"<?")),
        (None, None, facts(error=REFUSED)),
    ):
        judge(*ITI_18.audit(side, request, response, known))
