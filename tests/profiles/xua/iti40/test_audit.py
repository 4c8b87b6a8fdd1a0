"""A person who was believed stands in each record of what they asked; one who was not, in an alert."""

from dataclasses import replace

import pytest
from lxml import etree

from profiles.errors import Unauthenticated
from profiles.model.audit import Action, AuditCode, Outcome
from profiles.model.codes import Code
from profiles.transaction import Side
from profiles.wire.audit.message import encode
from profiles.wire.audit.participants import QUERY, destination, is_system, record, source
from profiles.wire.audit.read import decode
from profiles.wire.audit.sentences import sentence
from profiles.xua.iti40 import ITI_40, Subject, user_of
from tests.profiles.wire.audit.records import FACTS
from tests.support.assertions import good_assertion
from tests.support.judges import standards

ASSERTION = good_assertion(FACTS.at)


def test_a_user_is_alias_user_and_issuer() -> None:
    """ITI TF-2 3.40: `alias<user@issuer>`; the alias is SPProvidedID, and may be missing."""
    assert user_of(ASSERTION).user_name == "bob<drbob@https://idp.example.org>"
    without = replace(ASSERTION, subject=Subject(name_id="drbob"))
    assert (user_of(without).user_id, user_of(without).user_name) == ("drbob", "<drbob@https://idp.example.org>")


def test_roles_and_purposes_are_codes_of_their_system() -> None:
    user = user_of(replace(ASSERTION, purposes=(*ASSERTION.purposes, Code(value="TREATMENT", system=""))))
    assert user.roles == (AuditCode(code="112247003", system="2.16.840.1.113883.6.96", text="Medical doctor"),)
    assert user.purposes == (
        AuditCode(code="TREAT", system="2.16.840.1.113883.5.8", text="treatment"),
        AuditCode(code="TREATMENT", system="urn:oasis:names:tc:xspa:1.0:subject:purposeofuse", text="TREATMENT"),
    )


@pytest.mark.judge_standard
def test_the_record_of_what_they_asked_has_person_role_purpose_and_community() -> None:
    made = record(
        QUERY, Action.EXECUTE, replace(FACTS, user=user_of(ASSERTION)),
        participants=(source(FACTS.remote, requestor=True), destination(FACTS.local, requestor=False)),
    )  # fmt: skip
    person = made.participants[-1]
    assert (person.user_id, person.is_requestor, is_system(person)) == ("drbob", True, False)
    assert [code.code for code in person.roles] == ["112247003"]
    assert [code.code for code in made.purposes] == ["TREAT"]
    community = made.objects[-1]
    assert (community.id, community.name, community.type_code) == ("urn:oid:1.2.4.1", "Lakeside Hospital", 3)
    written = encode(made)
    etree.XMLSchema(etree.parse(standards("atna-schema", "dicom2017c.xsd"))).assertValid(etree.fromstring(written))
    assert decode(written).value == made
    assert " for bob, purpose treatment" in sentence(made)


def test_a_refused_assertion_is_an_alert_and_a_good_one_is_none() -> None:
    assert ITI_40.audit(Side.RESPONDER, ASSERTION, None, FACTS) == ()
    failed = replace(FACTS, error=Unauthenticated("the assertion is not valid any more"))
    (made,) = ITI_40.audit(Side.RESPONDER, None, None, failed)
    assert (made.event.code, made.outcome) == ("110113", Outcome.MINOR_FAILURE)
    assert made.outcome_description == "the assertion is not valid any more"
