"""An assertion: who a person is, for what purpose they ask, who says so, and until when. Values only, nothing verified.

What a newcomer gets wrong: an `Assertion` by itself proves nothing. `verify` is where one comes from that was signed by
somebody we trust, is for us, and is valid now.

Source: SAML 2.0 core 2; ITI TF-2 3.40.4.1.2.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from profiles.model.codes import Code
from profiles.model.identifiers import Oid

BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
HOLDER_OF_KEY: Final = "urn:oasis:names:tc:SAML:2.0:cm:holder-of-key"
SENDER_VOUCHES: Final = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches"

X509_AUTHENTICATION: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:X509"
UNSPECIFIED_AUTHENTICATION: Final = "urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The person. `alias` is SPProvidedID, by which the service provider knows them."""

    name_id: str
    format: str = ""
    alias: str = ""

    def __repr__(self) -> str:
        """Nothing: who a person is must not slip into a log."""
        return "Subject(…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmation:
    """How the bearer of an assertion shows to be entitled to it.

    `keys` are SubjectPublicKeyInfo in DER, of holder-of-key: whoever shows one of them in TLS. `recipient` "" and times
    None: not said.
    """

    method: str
    not_before: datetime | None = None
    not_on_or_after: datetime | None = None
    recipient: str = ""
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """When and for whom it is valid: `audiences` are 0..n restrictions, all of which must hold, each by one of its URIs."""

    not_before: datetime | None
    not_on_or_after: datetime | None
    audiences: tuple[tuple[str, ...], ...] = ()
    one_time_use: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """How and when the person proved who they are, to whoever asserts it."""

    at: datetime
    context_class: str
    session_not_on_or_after: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderId:
    """An id that an authority gave to a person who provides care."""

    root: str
    extension: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assertion:
    """What somebody asserts of a person. 1..n confirmations, 0..n of everything that is a tuple.

    `purposes` and `roles` are codes; `system` is "" where a sender wrote plain text. `patient` is the one whom the request
    must be about, as CX, if the assertion is bound to one.
    """

    id: str
    issuer: str
    issued_at: datetime
    subject: Subject
    confirmations: tuple[Confirmation, ...]
    conditions: Conditions
    authentications: tuple[Authentication, ...] = ()
    display_name: str = ""
    organizations: tuple[str, ...] = ()
    organization_ids: tuple[str, ...] = ()
    home_community_id: Oid | None = None
    npi: str = ""
    provider_ids: tuple[ProviderId, ...] = ()
    roles: tuple[Code, ...] = ()
    purposes: tuple[Code, ...] = ()
    patient: str = ""
    consents: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Its id and nothing else."""
        return f"Assertion(id={self.id!r})"
