"""What is audited of an assertion: of one that was believed, the person in each record; of one that was not, an alert.

Source: ITI TF-2 3.40.4.2 (user name), 3.20.
"""

from profiles.atna import node_authentication_failed
from profiles.model.audit import AuditCode, AuditRecord
from profiles.model.codes import Code
from profiles.transaction import Facts, Side, User
from profiles.xua.iti40.codec import PURPOSE, ROLE
from profiles.xua.iti40.messages import Assertion


def user_of(assertion: Assertion) -> User:
    """The person of a verified assertion, as audit names one: `alias<user@issuer>`, with roles and purposes of use."""
    subject = assertion.subject
    return User(
        user_id=subject.name_id,
        user_name=f"{subject.alias}<{subject.name_id}@{assertion.issuer}>",
        roles=tuple(_code(each, ROLE) for each in assertion.roles),
        purposes=tuple(_code(each, PURPOSE) for each in assertion.purposes),
        home_community_id=assertion.home_community_id,
        organization=next(iter(assertion.organizations), ""),
    )


def _code(code: Code, attribute: str) -> AuditCode:
    """What is plain text is a code of the attribute's own: audit has no code without a system."""
    return AuditCode(code=code.value, system=code.system or attribute, text=code.display or code.value)


def audit(side: Side, request: Assertion | None, response: None, facts: Facts) -> tuple[AuditRecord, ...]:
    """Nothing of a success, which is in the records of what was asked; a failure is one alert."""
    if facts.error is None:
        return ()
    return node_authentication_failed(
        at=facts.at,
        source_id=facts.source_id,
        enterprise_site_id=facts.enterprise_site_id,
        local=facts.local,
        remote=facts.remote,
        reason=facts.error.detail,
    )
