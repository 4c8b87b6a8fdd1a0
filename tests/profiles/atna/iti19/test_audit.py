"""A node that is not believed is one alert on our side; a success is none."""

from dataclasses import replace

from profiles.atna import ITI_19, node_authentication_failed
from profiles.errors import Unauthenticated
from profiles.model.audit import Action, Outcome
from profiles.transaction import Side
from profiles.wire.audit.sentences import sentence
from tests.profiles.wire.audit.records import AT, FACTS


def test_a_refused_node_is_an_alert_that_names_it_and_the_reason() -> None:
    (made,) = node_authentication_failed(
        at=AT, source_id="valley", local=FACTS.local, remote=FACTS.remote, reason="client certificate not trusted"
    )
    assert (made.event.code, made.action, made.outcome) == ("110113", Action.EXECUTE, Outcome.MINOR_FAILURE)
    assert [code.code for code in made.types] == ["110126"]
    assert [who.is_requestor for who in made.participants] == [True, False]
    assert (made.objects[0].id, dict(made.objects[0].details)) == (
        "203.0.113.17",
        {"Alert Description": b"client certificate not trusted"},
    )
    assert "client certificate not trusted" in sentence(made)


def test_the_transaction_audits_failures_only() -> None:
    assert ITI_19.audit(Side.RESPONDER, None, None, FACTS) == ()
    failed = replace(FACTS, error=Unauthenticated("no certificate"))
    assert [made.outcome_description for made in ITI_19.audit(Side.RESPONDER, None, None, failed)] == ["no certificate"]
