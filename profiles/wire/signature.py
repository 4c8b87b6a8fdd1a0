"""Enveloped XML signatures over a whole document: made, and verified to the bytes that were signed.

What a newcomer gets wrong: a signature that verifies says nothing about the tree that it stands in, only about the bytes
that were digested. `verified` answers those bytes; whoever reads anything else reads what an attacker wrote. And everything
that a signature can ask for (transforms, other references, other keys) is a way around it: what is accepted here is one
shape, all else is refused before a key is touched. KeyInfo is not looked at; keys come from configuration.

Source: XML Signature 1.1; Exclusive XML Canonicalization 1.0; SAML 2.0 core 5.4 (the one shape).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from lxml import etree

from profiles.errors import MalformedMessage, Unauthenticated
from profiles.wire import xml
from profiles.wire.soap.fault import WSSE_ALGORITHM, WSSE_FAILED_CHECK, WSSE_INVALID

DS: Final = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE: Final = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED: Final = f"{DS}enveloped-signature"

MIN_RSA_BITS = 2048
MIN_EC_BITS = 256

_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_MGF1 = "http://www.w3.org/2007/05/xmldsig-more#"
RSA_SHA256: Final = f"{_MORE}rsa-sha256"
ECDSA_SHA256: Final = f"{_MORE}ecdsa-sha256"
SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"

SIGNATURE_METHODS: Final = frozenset(
    {
        RSA_SHA256,
        f"{_MORE}rsa-sha384",
        f"{_MORE}rsa-sha512",
        f"{_MGF1}sha256-rsa-MGF1",
        f"{_MGF1}sha384-rsa-MGF1",
        f"{_MGF1}sha512-rsa-MGF1",
        ECDSA_SHA256,
        f"{_MORE}ecdsa-sha384",
        f"{_MORE}ecdsa-sha512",
    }
)
"""No HMAC (its key would be the public one), no DSA, nothing with SHA-1."""

DIGESTS: Final = frozenset({SHA256, f"{_MORE}sha384", "http://www.w3.org/2001/04/xmlenc#sha512"})

SigningKey = RSAPrivateKey | EllipticCurvePrivateKey


def _ds(name: str) -> str:
    return f"{{{DS}}}{name}"


def key_fault(key: object) -> str:
    """Why a public or private key is not to be used; "": it may be."""
    if isinstance(key, RSAPublicKey | RSAPrivateKey):
        return "" if key.key_size >= MIN_RSA_BITS else f"its RSA key has {key.key_size} bits, less than {MIN_RSA_BITS}"
    if isinstance(key, EllipticCurvePublicKey | EllipticCurvePrivateKey):
        return "" if key.key_size >= MIN_EC_BITS else f"its curve has {key.key_size} bits, less than {MIN_EC_BITS}"
    return "its key is neither RSA nor of an elliptic curve"


# --- verify -----------------------------------------------------------------------------------------------------------


def verified(document: bytes, certificates: Sequence[x509.Certificate], now: datetime) -> bytes:
    """The bytes that one of these keys has signed: the document without its signature, canonical.

    Args:
        document: The XML whose root is signed and has the signature as a child.
        certificates: Whom we believe, whatever the document says of its key; each must be valid now.
        now: When.

    Raises:
        MalformedMessage: It is not XML.
        Unauthenticated: It is not signed, not in the one shape, with an algorithm that is not accepted, or by none of the
            keys; `code` is the fault's.
    """
    root = xml.parse(document)
    signature = _the_signature(root)
    _hold_to_the_one_shape(root, signature)
    for key_info in signature.findall(_ds("KeyInfo")):  # not signed, and nothing that we would believe
        signature.remove(key_info)
    bare = etree.tostring(root)
    from signxml.algorithms import DigestAlgorithm, SignatureMethod  # takes 50 ms to load, and few houses verify
    from signxml.exceptions import SignXMLException
    from signxml.verifier import SignatureConfiguration, VerifyResult, XMLVerifier

    configuration = SignatureConfiguration(
        location="./",
        expect_references=1,
        signature_methods=frozenset(map(SignatureMethod, SIGNATURE_METHODS)),
        digest_algorithms=frozenset(map(DigestAlgorithm, DIGESTS)),
        verification_time=now,
    )
    for certificate in certificates:
        if key_fault(certificate.public_key()):
            continue
        try:
            result = XMLVerifier().verify(bare, x509_cert=certificate, id_attribute="ID", expect_config=configuration)
        except (SignXMLException, InvalidSignature, etree.LxmlError, ValueError, TypeError, ArithmeticError):
            continue
        if isinstance(result, VerifyResult):
            return result.signed_data
    raise Unauthenticated("the signature is not one that we can believe", code=WSSE_FAILED_CHECK)


def _the_signature(root: etree._Element) -> etree._Element:
    signatures = list(root.iter(_ds("Signature")))
    if not signatures:
        raise Unauthenticated("it is not signed", code=WSSE_INVALID)
    if len(signatures) > 1 or signatures[0].getparent() is not root:
        raise Unauthenticated("it has more than one signature, or one in the wrong place", code=WSSE_FAILED_CHECK)
    return signatures[0]


def _hold_to_the_one_shape(root: etree._Element, signature: etree._Element) -> None:
    """One reference, to the root by its only ID; enveloped, then exclusively canonical; algorithms that are accepted."""
    names = [child.tag for child in signature]
    if names not in (
        [_ds("SignedInfo"), _ds("SignatureValue")],
        [*map(_ds, ("SignedInfo", "SignatureValue", "KeyInfo"))],
    ):
        raise Unauthenticated("its signature has parts that are not accepted", code=WSSE_FAILED_CHECK)
    info = signature[0]
    if [child.tag for child in info] != [*map(_ds, ("CanonicalizationMethod", "SignatureMethod", "Reference"))]:
        raise Unauthenticated("its signature has not exactly one reference", code=WSSE_FAILED_CHECK)
    canonicalization, method, reference = info
    identifier = root.get("ID") or ""
    if not identifier or reference.get("URI") != f"#{identifier}" or _named(root, identifier) != 1:
        raise Unauthenticated("its signature is not over the whole of it", code=WSSE_FAILED_CHECK)
    parts = [*map(_ds, ("Transforms", "DigestMethod", "DigestValue"))]
    if [child.tag for child in reference] != parts or not set(reference.attrib) <= {"URI", "Id", "Type"}:
        raise Unauthenticated("its signature has a reference that is not accepted", code=WSSE_FAILED_CHECK)
    transforms, digest, _ = reference
    asked = [transform.get("Algorithm") for transform in transforms]
    if asked != [ENVELOPED, EXCLUSIVE] or len(transforms[0]) or not _only_prefixes(transforms[1]):
        raise Unauthenticated("its signature asks for a transform that is not accepted", code=WSSE_ALGORITHM)
    if canonicalization.get("Algorithm") != EXCLUSIVE or not _only_prefixes(canonicalization):
        raise Unauthenticated("its signature is canonical in a way that is not accepted", code=WSSE_ALGORITHM)
    if method.get("Algorithm") not in SIGNATURE_METHODS or len(method):
        raise Unauthenticated("its signature is made in a way that is not accepted", code=WSSE_ALGORITHM)
    if digest.get("Algorithm") not in DIGESTS or len(digest):
        raise Unauthenticated("its digest is made in a way that is not accepted", code=WSSE_ALGORITHM)


def _named(root: etree._Element, identifier: str) -> int:
    """How many attributes that anybody may take for an ID have this value: one reader's ID is another one's Id."""
    return sum(
        value == identifier and etree.QName(name).localname.lower() == "id"
        for element in root.iter(etree.Element)
        for name, value in element.items()
    )


def _only_prefixes(method: etree._Element) -> bool:
    """Whether exclusive canonicalization asks for nothing but prefixes to be kept."""
    return (
        all(
            child.tag == f"{{{EXCLUSIVE}}}InclusiveNamespaces"
            and set(child.attrib) <= {"PrefixList"}
            and not len(child)
            for child in method
        )
        and len(method) <= 1
    )


# --- sign -------------------------------------------------------------------------------------------------------------


def signed(document: bytes, key: SigningKey, certificate: x509.Certificate, *, behind: int = 1) -> bytes:
    """The document with a signature over all of it.

    Args:
        document: Its root has an ID.
        key: Ours; RSA or of an elliptic curve.
        certificate: Goes along, so that whoever knows several can choose.
        behind: How many children stand before the signature (one in SAML: the Issuer).
    """
    from signxml.algorithms import CanonicalizationMethod, SignatureConstructionMethod
    from signxml.signer import XMLSigner

    root = xml.parse(document)
    identifier = root.get("ID")
    if not identifier:
        raise MalformedMessage("what is signed has an ID")
    root.insert(behind, etree.Element(_ds("Signature"), {"Id": "placeholder"}, nsmap={"ds": DS}))
    elliptic = isinstance(key, EllipticCurvePrivateKey)
    signer = XMLSigner(
        method=SignatureConstructionMethod.enveloped,
        signature_algorithm=ECDSA_SHA256 if elliptic else RSA_SHA256,
        digest_algorithm=SHA256,
        c14n_algorithm=CanonicalizationMethod(EXCLUSIVE),
    )
    made = signer.sign(root, key=key, cert=[certificate], reference_uri=f"#{identifier}", id_attribute="ID")
    return etree.tostring(made)
