"""Assertions as an issuer makes them, right and wrong on purpose, and the signature of one that came, verified.

Signed and verified by hand, for two reasons: what is wrong on purpose no library makes, and a tester that shared its
signatures with the house that it judges would agree with it on an error of both.

Source: SAML 2.0 core 2 and 5.4; XML Signature 1.1; Exclusive XML Canonicalization 1.0; ITI TF-2 3.40.4.1.2.
"""

import base64
import hashlib
import hmac
import ssl
import uuid
from collections.abc import Collection
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from profiles.model.codes import Code
from profiles.model.identifiers import Oid
from profiles.wire.signature import DS, ENVELOPED, EXCLUSIVE
from profiles.wire.soap.names import WSSE
from profiles.wire.soap.security import SAML
from profiles.wire.xml import parse
from profiles.xua.iti40 import (
    BEARER,
    X509_AUTHENTICATION,
    Assertion,
    Authentication,
    Conditions,
    Confirmation,
    Subject,
    encode_assertion,
)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
SHA1, SHA256 = f"{DS}sha1", "http://www.w3.org/2001/04/xmlenc#sha256"
HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    SHA1: hashes.SHA1, SHA256: hashes.SHA256, f"{_MORE}sha384": hashes.SHA384,
    "http://www.w3.org/2001/04/xmlenc#sha512": hashes.SHA512,
}  # fmt: skip
METHODS: dict[str, tuple[str, type[hashes.HashAlgorithm]]] = {
    f"{DS}rsa-sha1": ("rsa", hashes.SHA1), f"{_MORE}rsa-sha256": ("rsa", hashes.SHA256),
    f"{_MORE}rsa-sha384": ("rsa", hashes.SHA384), f"{_MORE}rsa-sha512": ("rsa", hashes.SHA512),
    f"{_MORE}ecdsa-sha1": ("ecdsa", hashes.SHA1), f"{_MORE}ecdsa-sha256": ("ecdsa", hashes.SHA256),
    f"{_MORE}ecdsa-sha384": ("ecdsa", hashes.SHA384), f"{_MORE}ecdsa-sha512": ("ecdsa", hashes.SHA512),
}  # fmt: skip
HMAC_SHA256 = f"{_MORE}hmac-sha256"
TRANSFORMS = f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXCLUSIVE}"/>'
MINUTES = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    """Whose assertions a system believes, and the key that signs them."""

    entity_id: str
    certificate: x509.Certificate
    key: PrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssertionTerms:
    """On which terms a system takes assertions: of whom, meant for whom, and whether one must come.

    `one_time_use` is whether one that asks to be used once is refused the second time; `tls` who we are when we bring them,
    None: as elsewhere.
    """

    issuer: Issuer
    audience: str
    required: bool = False
    one_time_use: bool = False
    tls: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentAssertionTerms:
    """The assertions that a system sends: who they say made them, by which certificate, and what means us in them.

    `audience` is "" where the system was told nothing: then our address means us, or the host of it.
    """

    issuer: str
    certificate: x509.Certificate
    audience: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a signature is made: as it stands here, in the one way that everybody accepts.

    `weak` is by SHA-1; `secret` makes an HMAC of it; `uri` None names the ID of what is covered; `part` is the local name
    of an element that is covered instead of the whole, and has an ID.
    """

    weak: bool = False
    secret: bytes = b""
    uri: str | None = None
    transforms: str = TRANSFORMS
    references: int = 1
    part: str = ""


PLAIN = Manner()


def new_assertion(issuer: str, audience: str) -> Assertion:
    """One that is to be believed by this audience, from now on and for five minutes; of a person of its own."""
    at = datetime.now(UTC).replace(microsecond=0)
    return Assertion(
        id=f"_{uuid.uuid4().hex}",
        issuer=issuer,
        issued_at=at,
        subject=Subject(name_id=f"u{uuid.uuid4().hex[:12]}", alias="conform"),
        confirmations=(Confirmation(method=BEARER),),
        conditions=Conditions(not_before=at, not_on_or_after=at + MINUTES, audiences=((audience,),)),
        authentications=(Authentication(at=at, context_class=X509_AUTHENTICATION),),
        display_name="Robin Conform",
        organizations=("Conformance Clinic",),
        home_community_id=Oid("2.25.71190522.77"),
        roles=(Code(value="112247003", system="2.16.840.1.113883.6.96", display="Medical doctor"),),
        purposes=(Code(value="TREAT", system="2.16.840.1.113883.5.8", display="treatment"),),
    )


def security(*tokens: bytes) -> bytes:
    """A security header around what is to stand in it."""
    return b'<wsse:Security xmlns:wsse="%b" s:mustUnderstand="1">%b</wsse:Security>' % (WSSE.encode(), b"".join(tokens))


# --- signed -----------------------------------------------------------------------------------------------------------


def signed(assertion: Assertion | bytes, by: Issuer, manner: Manner = PLAIN) -> bytes:
    """An assertion with its signature behind the Issuer."""
    root = parse(assertion if isinstance(assertion, bytes) else encode_assertion(assertion))
    covered = root.find(f".//{{{SAML}}}{manner.part}") if manner.part else root
    assert covered is not None
    digest = SHA1 if manner.weak else SHA256
    uri = f"#{covered.get('ID')}" if manner.uri is None else manner.uri
    told = base64.b64encode(_hashed(_canonical(covered), HASHES[digest])).decode()
    reference = (
        f'<ds:Reference URI="{uri}"><ds:Transforms>{manner.transforms}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue>{told}</ds:DigestValue></ds:Reference>'
    )
    info = (
        f'<ds:SignedInfo xmlns:ds="{DS}"><ds:CanonicalizationMethod Algorithm="{EXCLUSIVE}"/>'
        f'<ds:SignatureMethod Algorithm="{_method_of(by, manner)}"/>{reference * manner.references}</ds:SignedInfo>'
    )
    value = base64.b64encode(_value_of(_canonical(parse(info.encode())), by, manner)).decode()
    shown = base64.b64encode(by.certificate.public_bytes(Encoding.DER)).decode()
    signature = (
        f'<ds:Signature xmlns:ds="{DS}">{info}<ds:SignatureValue>{value}</ds:SignatureValue><ds:KeyInfo><ds:X509Data>'
        f"<ds:X509Certificate>{shown}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></ds:Signature>"
    )
    root.insert(1, parse(signature.encode()))
    return etree.tostring(root)


def _method_of(by: Issuer, manner: Manner) -> str:
    if manner.secret:
        return HMAC_SHA256
    kind = "rsa" if isinstance(by.key, rsa.RSAPrivateKey) else "ecdsa"
    wanted = kind, hashes.SHA1 if manner.weak else hashes.SHA256
    return next(method for method, made in METHODS.items() if made == wanted)


def _value_of(info: bytes, by: Issuer, manner: Manner) -> bytes:
    if manner.secret:
        return hmac.new(manner.secret, info, hashlib.sha256).digest()
    algorithm = (hashes.SHA1 if manner.weak else hashes.SHA256)()
    if isinstance(by.key, rsa.RSAPrivateKey):
        return by.key.sign(info, padding.PKCS1v15(), algorithm)
    r, s = decode_dss_signature(by.key.sign(info, ec.ECDSA(algorithm)))
    size = (by.key.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


# --- verified ---------------------------------------------------------------------------------------------------------


def signature_fault(assertion: etree._Element, certificate: x509.Certificate) -> str:
    """Why its signature does not prove that all of it was said by the holder of this certificate; "": it does."""
    signatures = assertion.findall(f"{{{DS}}}Signature")
    if len(signatures) != 1:
        return f"it has {len(signatures)} signatures"
    info = signatures[0].find(f"{{{DS}}}SignedInfo")
    references = [] if info is None else info.findall(f"{{{DS}}}Reference")
    if info is None or len(references) != 1 or references[0].get("URI") != f"#{assertion.get('ID')}":
        return "its signature is not over all of it, by its ID"
    transforms = references[0].findall(f"{{{DS}}}Transforms/{{{DS}}}Transform")
    if [each.get("Algorithm") for each in transforms] != [ENVELOPED, EXCLUSIVE]:
        return "its signature is not enveloped and exclusively canonical"
    digest = HASHES.get(_algorithm(references[0], "DigestMethod"))
    method = METHODS.get(_algorithm(info, "SignatureMethod"))
    if digest in (None, hashes.SHA1) or method is None or method[1] is hashes.SHA1:
        return "its algorithms are none of those that are good enough"
    assert digest is not None
    bare = deepcopy(assertion)
    bare.remove(bare.findall(f"{{{DS}}}Signature")[0])
    if _hashed(_canonical(bare, transforms[1]), digest) != _base64(references[0], "DigestValue"):
        return "its digest is not that of what it says"
    canonicalization = info.find(f"{{{DS}}}CanonicalizationMethod")
    value = _base64(signatures[0], "SignatureValue")
    return "" if _holds(value, _canonical(info, canonicalization), certificate, method) else "its signature is not good"


def _holds(
    value: bytes, info: bytes, certificate: x509.Certificate, method: tuple[str, type[hashes.HashAlgorithm]]
) -> bool:
    key, (kind, algorithm) = certificate.public_key(), method
    try:
        if kind == "rsa" and isinstance(key, rsa.RSAPublicKey):
            key.verify(value, info, padding.PKCS1v15(), algorithm())
        elif kind == "ecdsa" and isinstance(key, ec.EllipticCurvePublicKey):
            half = len(value) // 2
            pair = int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big")
            key.verify(encode_dss_signature(*pair), info, ec.ECDSA(algorithm()))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _canonical(element: etree._Element, method: etree._Element | None = None) -> bytes:
    named = None if method is None else method.find(f"{{{EXCLUSIVE}}}InclusiveNamespaces")
    prefixes: Collection[str | bytes | bytearray] | None = (
        None if named is None else list(named.get("PrefixList", "").split())
    )
    return etree.tostring(
        element, method="c14n", exclusive=True, with_comments=False, inclusive_ns_prefixes=prefixes
    )  # fmt: skip


def _hashed(data: bytes, algorithm: type[hashes.HashAlgorithm]) -> bytes:
    made = hashes.Hash(algorithm())
    made.update(data)
    return made.finalize()


def _algorithm(parent: etree._Element, name: str) -> str:
    found = parent.find(f"{{{DS}}}{name}")
    return "" if found is None else found.get("Algorithm", "")


def _base64(parent: etree._Element, name: str) -> bytes:
    try:
        return base64.b64decode(parent.findtext(f"{{{DS}}}{name}") or "")
    except ValueError:
        return b""
