"""Assertions for tests: a good one, its signature by us or by xmlsec1, and the envelope around it."""

import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from profiles.model.codes import Code
from profiles.model.identifiers import Oid
from profiles.wire.signature import DS, ENVELOPED, EXCLUSIVE, signed
from profiles.wire.soap.names import ANONYMOUS, WSA, WSSE, S
from profiles.wire.soap.security import SAML
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
from tests.support.certificates import MadeCertificate
from tests.support.judges import require_program

ISSUER = "https://idp.example.org"
AUDIENCE = "https://valley.example.org"
SHA_256 = "http://www.w3.org/2001/04/xmlenc#sha256"
RSA_SHA_256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
MTE = "http://www.w3.org/2001/04/xmldsig-more#"


def good_assertion(now: datetime | None = None, **changes: Any) -> Assertion:
    """One that is to be believed, at `now` and for five minutes."""
    at = (now or datetime.now(UTC)).replace(microsecond=0)
    made = Assertion(
        id="_4f1a",
        issuer=ISSUER,
        issued_at=at,
        subject=Subject(name_id="drbob", alias="bob"),
        confirmations=(Confirmation(method=BEARER),),
        conditions=Conditions(not_before=at, not_on_or_after=at + timedelta(minutes=5), audiences=((AUDIENCE,),)),
        authentications=(Authentication(at=at, context_class=X509_AUTHENTICATION),),
        display_name="Bob Müller",
        organizations=("Lakeside Hospital",),
        home_community_id=Oid("1.2.4.1"),
        npi="1234567890",
        roles=(Code(value="112247003", system="2.16.840.1.113883.6.96", display="Medical doctor"),),
        purposes=(Code(value="TREAT", system="2.16.840.1.113883.5.8", display="treatment"),),
    )
    return replace(made, **changes)


def signed_assertion(by: MadeCertificate, now: datetime | None = None, **changes: Any) -> bytes:
    """The same, signed by us."""
    return signed(encode_assertion(good_assertion(now, **changes)), by.private, by.made)


def template(
    uri: str = "#_4f1a",
    *,
    method: str = RSA_SHA_256,
    digest: str = SHA_256,
    canonicalization: str = EXCLUSIVE,
    transforms: str = f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{EXCLUSIVE}"/>',
    more: str = "",
    key_info: str = "",
) -> str:
    """A signature that xmlsec1 is to fill in."""
    return (
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{canonicalization}"/>'
        f'<ds:SignatureMethod Algorithm="{method}"/><ds:Reference URI="{uri}"><ds:Transforms>{transforms}'
        f'</ds:Transforms><ds:DigestMethod Algorithm="{digest}"/><ds:DigestValue/></ds:Reference>{more}</ds:SignedInfo>'
        f"<ds:SignatureValue/>{key_info}</ds:Signature>"
    )


def unsigned_with(signature: str, now: datetime | None = None, **changes: Any) -> bytes:
    """An assertion with a signature template in its place."""
    document = encode_assertion(good_assertion(now, **changes)).decode()
    return document.replace("</saml2:Issuer>", f"</saml2:Issuer>{signature}", 1).encode()


def signed_by_xmlsec1(document: bytes, folder: Path, *key: str) -> bytes:
    """A template filled in by a program that nobody here wrote; `key` is how it is told the key."""
    source, target = folder / "template.xml", folder / "signed.xml"
    source.write_bytes(document)
    subprocess.run(
        [require_program("xmlsec1"), "--sign", *key, "--id-attr:ID", f"{SAML}:Assertion", "--output", target, source],
        check=True, capture_output=True,
    )  # fmt: skip
    return target.read_bytes().partition(b"?>\n")[2]


def xmlsec1_believes(document: bytes, by: MadeCertificate, folder: Path) -> bool:
    """Whether xmlsec1 verifies the first signature of a document with this certificate's key."""
    source = folder / "judged.xml"
    source.write_bytes(document)
    judged = subprocess.run(
        [
            require_program("xmlsec1"), "--verify", "--enabled-key-data", "rsa,ecdsa", "--pubkey-cert-pem",
            str(by.certificate), "--id-attr:ID", f"{SAML}:Assertion", str(source),
        ],
        check=False, capture_output=True,
    )  # fmt: skip
    return judged.returncode == 0


def security(assertion: bytes, more: str = "") -> str:
    """The security header around it."""
    return f'<wsse:Security xmlns:wsse="{WSSE}" s:mustUnderstand="1">{assertion.decode()}{more}</wsse:Security>'


def asked(header: str, body: str = '<Ask xmlns="urn:toy">hello</Ask>', action: str = "urn:toy:Query") -> bytes:
    """A request with this security header."""
    return (
        f'<s:Envelope xmlns:s="{S}" xmlns:a="{WSA}"><s:Header><a:Action s:mustUnderstand="1">{action}</a:Action>'
        f"<a:MessageID>urn:uuid:1</a:MessageID><a:ReplyTo><a:Address>{ANONYMOUS}</a:Address></a:ReplyTo>{header}"
        f"</s:Header><s:Body>{body}</s:Body></s:Envelope>"
    ).encode()
