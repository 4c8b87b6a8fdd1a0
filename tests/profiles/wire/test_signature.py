"""Signatures over whole documents: what is answered is what was signed. The attacks stand with the assertions."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from lxml import etree
from signxml.signer import XMLSigner

from profiles.errors import MalformedMessage, Unauthenticated
from profiles.wire.signature import EXCLUSIVE, key_fault, signed, verified
from tests.support.certificates import make_certificate

NOW = datetime.now(UTC)
DOCUMENT = b'<a:A xmlns:a="urn:a" ID="_1"><a:Issuer>i</a:Issuer><a:B><!-- c -->text</a:B></a:A>'


@pytest.mark.parametrize("bits", [0, 2048])
def test_what_is_verified_is_the_document_without_comments_and_signature(tmp_path: Path, bits: int) -> None:
    made = make_certificate(tmp_path, "signer", rsa_bits=bits)
    document = signed(DOCUMENT, made.private, made.made)
    assert verified(document, [made.made], NOW) == DOCUMENT.replace(b"<!-- c -->", b"")


def test_the_signature_stands_behind_the_first_child(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "signer")
    document = signed(DOCUMENT, made.private, made.made)
    assert document.index(b"<a:Issuer>") < document.index(b"<ds:Signature") < document.index(b"<a:B>")


def test_what_has_no_id_cannot_be_signed(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "signer")
    with pytest.raises(MalformedMessage):
        signed(b"<a/>", made.private, made.made)


@pytest.mark.parametrize("bits", [256, 384, 512])
def test_rsa_with_random_padding_is_believed_too(tmp_path: Path, bits: int) -> None:
    """RSASSA-PSS, RFC 9231 2.3.10: as new issuers sign."""
    made = make_certificate(tmp_path, "signer", rsa_bits=2048)
    signer = XMLSigner(
        signature_algorithm=f"http://www.w3.org/2007/05/xmldsig-more#sha{bits}-rsa-MGF1",
        digest_algorithm=f"sha{bits}",
        c14n_algorithm=EXCLUSIVE,
    )
    document = etree.tostring(
        signer.sign(
            etree.fromstring(DOCUMENT), key=made.private, cert=[made.made], reference_uri="#_1", id_attribute="ID"
        )
    )
    assert verified(document, [made.made], NOW) == DOCUMENT.replace(b"<!-- c -->", b"")


def test_without_anybody_to_believe_nothing_is_verified(tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "signer")
    with pytest.raises(Unauthenticated):
        verified(signed(DOCUMENT, made.private, made.made), [], NOW)


def test_a_key_is_long_enough_or_named_as_the_fault() -> None:
    assert key_fault(rsa.generate_private_key(65537, 2048)) == ""
    assert key_fault(ec.generate_private_key(ec.SECP256R1()).public_key()) == ""
    assert "1024 bits" in key_fault(rsa.generate_private_key(65537, 1024))
    assert "192 bits" in key_fault(ec.generate_private_key(ec.SECP192R1()))
    assert "neither" in key_fault(ed25519.Ed25519PrivateKey.generate())


def test_verifying_is_safe_from_several_threads_at_once(tmp_path: Path) -> None:
    """It is CPU work and done beside the loop."""
    from concurrent.futures import ThreadPoolExecutor

    made = make_certificate(tmp_path, "signer", rsa_bits=2048)
    document = signed(DOCUMENT, made.private, made.made)
    with ThreadPoolExecutor(8) as pool:
        results = set(pool.map(lambda _: verified(document, [made.made], NOW), range(400)))
    assert len(results) == 1
