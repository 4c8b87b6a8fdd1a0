"""The rules that an assertion must keep to be believed, beside its signature: by whom made, when, for whom, shown by whom.

Each rule answers a finding where it is broken; its `code` is the fault that says so.

Source: ITI TF-2 3.40.4.1.2 and 3.40.4.1.3; SAML 2.0 core 2.5 and profiles 3; SAML Token Profile 1.1, 3.7.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from profiles.findings import Finding, Severity
from profiles.model.identifiers import Oid
from profiles.wire.soap.fault import WSSE_FAILED_AUTHENTICATION, WSSE_INVALID, WSSE_UNSUPPORTED
from profiles.xua.iti40.messages import BEARER, HOLDER_OF_KEY, Assertion, Confirmation


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustedIssuer:
    """Somebody whose assertions we believe.

    `entity_id` is what its assertions name as Issuer, `certificates` 1..n whose keys may sign (two while it changes them),
    `home_communities` for which it may speak; empty: for any.
    """

    entity_id: str
    certificates: tuple[x509.Certificate, ...]
    home_communities: frozenset[Oid] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What an assertion is held against.

    `audiences` are the URIs that mean us, `recipient` the address that was asked, `holder_key` the SubjectPublicKeyInfo
    (DER) of the certificate that the other side showed in TLS; b"": none.
    """

    now: datetime
    audiences: frozenset[str]
    recipient: str = ""
    holder_key: bytes = b""
    skew: timedelta = timedelta(seconds=60)
    lifetime: timedelta = timedelta(hours=1)


def check_assertion(assertion: Assertion, issuer: TrustedIssuer, where: Circumstances) -> Iterator[Finding]:
    """Every rule that it breaks."""
    yield from _is_from_the_issuer_whose_key_signed_it(assertion, issuer)
    yield from _is_valid_now(assertion, where)
    yield from _is_meant_for_us(assertion, where)
    yield from _is_shown_by_one_who_may(assertion, where)
    yield from _says_how_the_person_was_authenticated(assertion, where)
    yield from _speaks_for_a_community_that_its_issuer_may_speak_for(assertion, issuer)


def _broken(rule: str, text: str, code: str = WSSE_INVALID) -> Finding:
    return Finding(rule=rule, text=text, severity=Severity.ERROR, code=code)


def _is_from_the_issuer_whose_key_signed_it(assertion: Assertion, issuer: TrustedIssuer) -> Iterator[Finding]:
    if assertion.issuer != issuer.entity_id:
        yield _broken("xua-issuer", "the assertion is signed by another than its issuer")


def _is_valid_now(assertion: Assertion, where: Circumstances) -> Iterator[Finding]:
    """Both ends of the time are asked for: what never ends can never be taken back."""
    since, until = assertion.conditions.not_before, assertion.conditions.not_on_or_after
    if since is None or until is None:
        yield _broken("xua-times", "the assertion does not say from when and until when it is valid")
        return
    if where.now + where.skew < max(since, assertion.issued_at):
        yield _broken("xua-times", "the assertion is not valid yet")
    if where.now - where.skew >= until:
        yield _broken("xua-times", "the assertion is not valid any more")
    if until - since > where.lifetime:
        yield _broken(
            "xua-lifetime", f"the assertion is valid for longer than {where.lifetime.total_seconds():g} seconds"
        )


def _is_meant_for_us(assertion: Assertion, where: Circumstances) -> Iterator[Finding]:
    """One of each restriction's audiences, and there must be a restriction."""
    restrictions = assertion.conditions.audiences
    if not restrictions or not all(where.audiences.intersection(each) for each in restrictions):
        yield _broken("xua-audience", "the assertion is meant for another audience")


def _is_shown_by_one_who_may(assertion: Assertion, where: Circumstances) -> Iterator[Finding]:
    """One confirmation that holds is enough (SAML core 2.4.1.1)."""
    faults = [_confirmation_fault(each, where) for each in assertion.confirmations]
    if all(faults):
        told = next((fault for fault in faults if fault is not None), None)
        yield told or _broken("xua-confirmation", "the assertion does not say who may show it")


def _confirmation_fault(confirmation: Confirmation, where: Circumstances) -> Finding | None:
    if confirmation.method not in (BEARER, HOLDER_OF_KEY):
        return _broken(
            "xua-confirmation",
            "the assertion is confirmed in a way that is not accepted",
            WSSE_UNSUPPORTED,
        )
    since, until = confirmation.not_before, confirmation.not_on_or_after
    if (since is not None and where.now + where.skew < since) or (
        until is not None and where.now - where.skew >= until
    ):
        return _broken("xua-confirmation", "the assertion cannot be shown at this time")
    if confirmation.recipient and confirmation.recipient not in (where.recipient, *where.audiences):
        return _broken("xua-confirmation", "the assertion is to be shown at another address")
    if confirmation.method == HOLDER_OF_KEY and (not where.holder_key or where.holder_key not in confirmation.keys):
        return _broken(
            "xua-holder-of-key", "the assertion is another's: the certificate of the connection is not its holder's",
            WSSE_FAILED_AUTHENTICATION,
        )  # fmt: skip
    return None


def _says_how_the_person_was_authenticated(assertion: Assertion, where: Circumstances) -> Iterator[Finding]:
    if not assertion.authentications:
        yield _broken("xua-authentication", "the assertion does not say how the person was authenticated")
    for each in assertion.authentications:
        if not each.context_class:
            yield _broken("xua-authentication", "the assertion does not say how the person was authenticated")
        if each.at > where.now + where.skew:
            yield _broken("xua-authentication", "the person was authenticated later than now")
        if each.session_not_on_or_after is not None and where.now - where.skew >= each.session_not_on_or_after:
            yield _broken("xua-authentication", "the person's session has ended")


def _speaks_for_a_community_that_its_issuer_may_speak_for(
    assertion: Assertion, issuer: TrustedIssuer
) -> Iterator[Finding]:
    home = assertion.home_community_id
    if issuer.home_communities and home is not None and home not in issuer.home_communities:
        yield _broken(
            "xua-home-community", "the issuer may not speak for this home community", WSSE_FAILED_AUTHENTICATION
        )
