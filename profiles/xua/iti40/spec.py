"""ITI-40 as a value: an assertion inside other transactions, so there is no message of its own."""

from profiles.transaction import Actor, Transaction
from profiles.xua.iti40.audit import audit
from profiles.xua.iti40.messages import Assertion

ITI_40: Transaction[Assertion, None] = Transaction(
    id="ITI-40",
    name="Provide X-User Assertion",
    section="ITI TF-2 3.40",
    initiator=Actor.SERVICE_USER,
    responder=Actor.SERVICE_PROVIDER,
    audit=audit,
)
