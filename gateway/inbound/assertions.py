"""Assertions: who the person is on whose behalf a peer asks, verified before anything is asked (XUA, ITI-40).

A peer's settings say whether one is looked at, and whether one must come. What a newcomer gets wrong: an assertion that
comes although none must is verified all the same, and refused if it is not good; it is never passed over.

Ids of assertions that are good for one message are kept in the database, in a commit of their own before the message is
looked at: a crash does not forget them, and processes of one house share them.

Source: ITI TF-2 3.40.4.1.3; SAML 2.0 core 2.5.1.5 (OneTimeUse).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.model.peer import AssertionPolicy, Caller, Peer
from gateway.ports.answers import Given, MessageName
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from gateway.ports.store import Store
from profiles.errors import Unauthenticated
from profiles.findings import Decoded
from profiles.wire.soap.fault import WSSE_INVALID, WSSE_INVALID_SECURITY
from profiles.wire.soap.mtom import SoapMessage
from profiles.wire.soap.security import SAML, SECURITY, secured
from profiles.xua.iti40 import Assertion, Circumstances, TrustedIssuer, claimed, verify

NOTHING: frozenset[str] = frozenset()


class NotBelieved(Unauthenticated):
    """An assertion was refused. `claimed` is whom it said to be about: for a security alert, and never told to the peer."""

    def __init__(self, error: Unauthenticated, claimed: str) -> None:
        """The same refusal, with what was claimed."""
        super().__init__(
            error.detail, location=error.location, code=error.code, cure=error.cure, findings=error.findings
        )
        self.claimed = claimed


class Assertions:
    """Verifies what comes with SOAP requests."""

    def __init__(
        self,
        *,
        issuers: Mapping[str, TrustedIssuer],
        audiences: frozenset[str],
        store: Store,
        compute: Compute,
        clock: Clock,
        skew: timedelta = timedelta(seconds=60),
        lifetime: timedelta = timedelta(hours=1),
        once: bool = False,
    ) -> None:
        """Believe these.

        Args:
            issuers: Whom we believe, by entity id; a peer may be held to some of them.
            audiences: The URIs that mean us.
            store: Where ids of those that are good for one message are kept.
            compute: Where signatures are verified: not on the event loop.
            clock: What time it is.
            skew: How far the clocks of two houses may be apart.
            lifetime: The longest that one may be valid.
            once: Whether every assertion is good for one message, and not only those that say so themselves.
        """
        self._issuers = issuers
        self._audiences = audiences
        self._store = store
        self._compute = compute
        self._clock = clock
        self._skew = skew
        self._lifetime = lifetime
        self._once = once

    def understood(self, caller: Caller) -> frozenset[str]:
        """The headers that are really processed for this caller."""
        return frozenset({SECURITY}) if _policy(caller) is not AssertionPolicy.OFF else NOTHING

    async def identify(self, caller: Caller, message: SoapMessage, address: str) -> Caller:
        """The caller with the person on whose behalf they ask, if the message says so.

        Args:
            caller: The peer, by its connection.
            message: With its header; findings are added to it.
            address: What was asked, as our settings call it.

        Raises:
            Unauthenticated: There is none and one must be; it is not believed; it was used before. `code` is the fault's.
        """
        policy, peer = _policy(caller), caller.peer
        if policy is AssertionPolicy.OFF or peer is None:
            return caller
        found = secured(message.header)
        if found is None:
            if policy is AssertionPolicy.OPTIONAL:
                return caller
            raise Unauthenticated(
                "an assertion of the person who asks is required",
                code=WSSE_INVALID_SECURITY,
                location=SECURITY,
                cure=f'Ask {peer.name} to send one (XUA), or set its assertion = "optional"',
            )
        now = self._clock.now()

        def judge() -> Decoded[Assertion]:
            where = Circumstances(
                now=now, audiences=self._audiences, recipient=address, holder_key=_key_of(caller.certificate),
                skew=self._skew, lifetime=self._lifetime,
            )  # fmt: skip
            return verify(found.assertion, self._issuers_of(peer), where, expires=found.expires)

        try:
            believed = await self._compute.run(judge)
            await self._use(believed.value, found.assertion)
        except Unauthenticated as error:
            raise NotBelieved(error, claimed(found.assertion)) from error
        message.findings += (*found.findings, *believed.findings)
        return replace(caller, assertion=believed.value)

    def _issuers_of(self, peer: Peer) -> Mapping[str, TrustedIssuer]:
        if not peer.issuers:
            return self._issuers
        return {name: issuer for name, issuer in self._issuers.items() if name in peer.issuers}

    async def _use(self, assertion: Assertion, document: bytes) -> None:
        """Hold one that is good for one message to it."""
        if not (self._once or assertion.conditions.one_time_use):
            return
        used = Given(
            name=MessageName(sender=assertion.issuer, application=SAML, facility="", control_id=assertion.id),
            digest=hashlib.sha256(document).digest(),
            at=self._clock.now(),
            answer=b"",
        )
        async with self._store.unit() as work:
            fresh = await work.answers.keep(used)
        if not fresh:
            raise Unauthenticated(
                "the assertion is good for one message, and was used before",
                code=WSSE_INVALID,
                cure="Somebody sends it again: find out who; the sender takes a new assertion for each message",
            )


def _policy(caller: Caller) -> AssertionPolicy:
    return caller.peer.assertion if caller.peer is not None else AssertionPolicy.OFF


def _key_of(certificate: bytes) -> bytes:
    """SubjectPublicKeyInfo of the certificate that was shown in TLS; b"": none was."""
    if not certificate:
        return b""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
