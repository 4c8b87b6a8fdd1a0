"""Asserting: the assertions that we make of whoever asks through us, signed with a key of our own (XUA, ITI-40).

What a newcomer gets wrong: when we ask on behalf of somebody whose assertion we were shown, the person stays the same; only
the issuer is us. Nobody's assertion for us is passed on: it is meant for us and for no other audience.

Source: ITI TF-2 3.40.4.1.2.
"""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from cryptography import x509

from gateway.model.house import House
from gateway.model.peer import Peer, SentAssertion
from gateway.ports.clock import Clock
from gateway.ports.compute import Compute
from profiles.model.audit import AuditCode
from profiles.model.codes import Code
from profiles.transaction import User
from profiles.wire.signature import SigningKey, signed
from profiles.wire.soap.security import encode_security
from profiles.xua.iti40 import (
    BEARER,
    HOLDER_OF_KEY,
    UNSPECIFIED_AUTHENTICATION,
    X509_AUTHENTICATION,
    Assertion,
    Authentication,
    Conditions,
    Confirmation,
    Subject,
    encode_assertion,
)

TREATMENT = Code(value="TREAT", system="2.16.840.1.113883.5.8", display="treatment")
"""HL7 ActReason: what a house does of its own accord is for treatment, unless its settings say otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Signer:
    """Who we are as an issuer. `holder_key` is the SubjectPublicKeyInfo (DER) of the certificate that we show in TLS."""

    entity_id: str
    key: SigningKey
    certificate: x509.Certificate
    organization: str
    purpose: Code = TREATMENT
    lifetime: timedelta = timedelta(minutes=5)
    holder_key: bytes = b""


class Asserting:
    """Makes the security header of a request."""

    def __init__(self, signer: Signer, *, house: House, compute: Compute, clock: Clock) -> None:
        """Sign as this."""
        self._signer = signer
        self._house = house
        self._compute = compute
        self._clock = clock

    async def header(self, peer: Peer, address: str, user: User | None) -> bytes:
        """A security header for a request to this address, of this person (None: the house); b"": the peer wants none."""
        if peer.send_assertion is SentAssertion.OFF:
            return b""
        document = encode_assertion(self._assertion(peer, address, user))
        signer = self._signer
        return encode_security(await self._compute.run(lambda: signed(document, signer.key, signer.certificate)))

    def _assertion(self, peer: Peer, address: str, user: User | None) -> Assertion:
        signer, house = self._signer, self._house
        at = self._clock.now()
        held = peer.send_assertion is SentAssertion.HOLDER_OF_KEY
        person = user or User(user_id=house.name, user_name=house.name)
        alias, named, _ = person.user_name.partition("<")
        home = person.home_community_id or house.home_community_id
        return Assertion(
            id=f"_{self._clock.new_uuid()}",
            issuer=signer.entity_id,
            issued_at=at,
            subject=Subject(name_id=person.user_id, alias=alias if named else ""),
            confirmations=(
                Confirmation(method=HOLDER_OF_KEY, keys=(signer.holder_key,)) if held else Confirmation(method=BEARER),
            ),
            conditions=Conditions(
                not_before=at, not_on_or_after=at + signer.lifetime, audiences=(_audiences(peer, address),)
            ),
            authentications=(
                Authentication(
                    at=at, context_class=X509_AUTHENTICATION if user is None else UNSPECIFIED_AUTHENTICATION
                ),
            ),
            display_name=alias or person.user_id,
            organizations=(person.organization or signer.organization,),
            home_community_id=home,
            roles=tuple(map(_code, person.roles)),
            purposes=tuple(map(_code, person.purposes)) or (signer.purpose,),
        )


def _audiences(peer: Peer, address: str) -> tuple[str, ...]:
    """As the peer calls itself; where nobody told us: its address, the host of it, its home community."""
    if peer.audience:
        return (peer.audience,)
    parts = urlsplit(address)
    home = peer.home_community_id
    return (address, f"{parts.scheme}://{parts.netloc}", *((home.urn,) if home is not None else ()))


def _code(code: AuditCode) -> Code:
    return Code(value=code.code, system=code.system, display=code.text)
