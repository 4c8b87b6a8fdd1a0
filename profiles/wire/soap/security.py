"""The WS-Security header: the one assertion in it, taken out as bytes, and put in.

What a newcomer gets wrong: looking for *an* assertion finds the one that an attacker wants found. Here there is exactly one
in the whole envelope, in exactly one place, or the message is refused; and it leaves as bytes, so that nothing around it
can be taken for part of it.

Source: WS-Security 1.1, 5 and 12; SAML Token Profile 1.1, 3; ITI TF-2 3.40.4.1.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lxml import etree

from profiles.errors import Unauthenticated
from profiles.findings import Finding, Severity
from profiles.wire.signature import DS
from profiles.wire.soap.fault import WSSE_INVALID_SECURITY, WSSE_UNAVAILABLE, WSSE_UNSUPPORTED
from profiles.wire.soap.names import OUR_ROLES, ROLE, WSSE, WSU
from profiles.wire.xml import instant

SAML: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
SAML_1: Final = "urn:oasis:names:tc:SAML:1.0:assertion"

SECURITY: Final = f"{{{WSSE}}}Security"
ASSERTION: Final = f"{{{SAML}}}Assertion"
ENCRYPTED: Final = f"{{{SAML}}}EncryptedAssertion"
OLD_ASSERTION: Final = f"{{{SAML_1}}}Assertion"
REFERENCE: Final = f"{{{WSSE}}}SecurityTokenReference"
TIMESTAMP: Final = f"{{{WSU}}}Timestamp"
SIGNATURE: Final = f"{{{DS}}}Signature"

MAX_ASSERTION_BYTES = 256 * 1024  # a real one with its certificates has 5 to 20 KiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Secured:
    """What a security header brings: an assertion as bytes, not verified, and until when the message is good."""

    assertion: bytes
    expires: datetime | None = None
    findings: tuple[Finding, ...] = ()


def secured(header: etree._Element | None) -> Secured | None:
    """The assertion that came with a message; None: there is no security header for us.

    Raises:
        Unauthenticated: There is no assertion in it, or it is not clear which one; `code` is the fault's.
    """
    if header is None:
        return None
    ours = [each for each in header.iterchildren(SECURITY) if (each.get(ROLE) or "").strip() in OUR_ROLES]
    if not ours:
        return None
    if len(ours) > 1:
        raise Unauthenticated("there is more than one security header", code=WSSE_INVALID_SECURITY, location=SECURITY)
    (security,) = ours
    assertion = _the_assertion(security)
    identifier = assertion.get("ID") or ""
    envelope = security.getroottree().getroot()
    if sum(1 for _ in envelope.iter(ASSERTION)) > 1:
        raise Unauthenticated("there is more than one assertion", code=WSSE_INVALID_SECURITY, location=SECURITY)
    if identifier and _names(envelope, identifier) > 1:
        raise Unauthenticated("the assertion's ID is not its own", code=WSSE_INVALID_SECURITY, location=SECURITY)
    document = etree.tostring(assertion, with_tail=False)
    if len(document) > MAX_ASSERTION_BYTES:
        raise Unauthenticated(
            f"the assertion has more than {MAX_ASSERTION_BYTES} bytes", code=WSSE_INVALID_SECURITY, location=SECURITY
        )
    return Secured(assertion=document, expires=_expires(security), findings=tuple(_unread(security)))


def _the_assertion(security: etree._Element) -> etree._Element:
    found = [child for child in security if child.tag == ASSERTION]
    if len(found) == 1:
        return found[0]
    if found:
        raise Unauthenticated("there is more than one assertion", code=WSSE_INVALID_SECURITY, location=SECURITY)
    names = {child.tag for child in security}
    if ENCRYPTED in names:
        raise Unauthenticated("encrypted assertions are not read", code=WSSE_UNSUPPORTED, location=ENCRYPTED)
    if OLD_ASSERTION in names:
        raise Unauthenticated("the assertion is not SAML 2.0", code=WSSE_UNSUPPORTED, location=OLD_ASSERTION)
    if REFERENCE in names:
        raise Unauthenticated("an assertion comes with its message", code=WSSE_UNAVAILABLE, location=REFERENCE)
    if names - {TIMESTAMP, SIGNATURE}:
        raise Unauthenticated("a SAML 2.0 assertion is asked for", code=WSSE_UNSUPPORTED, location=SECURITY)
    raise Unauthenticated("the security header has no assertion", code=WSSE_INVALID_SECURITY, location=SECURITY)


def _names(envelope: etree._Element, identifier: str) -> int:
    """How many attributes that anybody may take for an ID have this value."""
    return sum(
        etree.QName(attribute.attrname).localname.lower() == "id" for attribute in _VALUED(envelope, value=identifier)
    )


_VALUED = etree.XPath("//@*[. = $value]")


def _expires(security: etree._Element) -> datetime | None:
    stamps = security.findall(f"{TIMESTAMP}/{{{WSU}}}Expires")
    if not stamps:
        return None
    try:
        (stamp,) = stamps
        return instant(stamp.text or "")
    except ValueError:
        raise Unauthenticated(
            "the message's time cannot be read", code=WSSE_INVALID_SECURITY, location=TIMESTAMP
        ) from None


def _unread(security: etree._Element) -> Iterator[Finding]:
    """What stands beside the assertion and is not looked at. The connection is what protects the message."""
    for child in security:
        if child.tag not in (ASSERTION, TIMESTAMP):
            yield Finding(
                rule="wsse-unread",
                text="something beside the assertion in the security header is not looked at",
                severity=Severity.WARNING,
                location=str(child.tag)[:200],
            )


def encode_security(assertion: bytes) -> bytes:
    """A security header around a signed assertion, which must not be changed any more. Declares what it uses but `s`."""
    return b'<wsse:Security xmlns:wsse="%b" s:mustUnderstand="1">%b</wsse:Security>' % (WSSE.encode(), assertion)
