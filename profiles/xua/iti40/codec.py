"""An assertion's XML, read and written. What is read here must be bytes that were verified; see `verify`.

What peers get wrong, and is read all the same with a finding: a purpose or a role as plain text; its element escaped into
text; the NPI under the name of another edition; times without a zone.

Source: SAML 2.0 core 2.3 to 2.7; ITI TF-2 3.40.4.1.2; HL7 v3 data types (CE, II).
"""

import base64
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from lxml import etree

from profiles.errors import MalformedMessage
from profiles.findings import Decoded, Finding, Severity
from profiles.model.codes import Code
from profiles.model.identifiers import Oid
from profiles.wire import xml
from profiles.wire.signature import DS
from profiles.wire.soap.fault import WSSE_INVALID, WSSE_UNSUPPORTED
from profiles.wire.soap.security import ASSERTION, MAX_ASSERTION_BYTES, SAML
from profiles.xua.iti40.messages import (
    Assertion,
    Authentication,
    Conditions,
    Confirmation,
    ProviderId,
    Subject,
)

V3: Final = "urn:hl7-org:v3"
XSI: Final = "http://www.w3.org/2001/XMLSchema-instance"
DSIG_11: Final = "http://www.w3.org/2009/xmldsig11#"

SUBJECT_ID: Final = "urn:oasis:names:tc:xspa:1.0:subject:subject-id"
ORGANIZATION: Final = "urn:oasis:names:tc:xspa:1.0:subject:organization"
ORGANIZATION_ID: Final = "urn:oasis:names:tc:xspa:1.0:subject:organization-id"
HOME_COMMUNITY: Final = "urn:ihe:iti:xca:2010:homeCommunityId"
NPI: Final = "urn:oasis:names:tc:xspa:1.0:subject:npi"
NPI_OF_XSPA_2: Final = "urn:oasis:names:tc:xspa:2.0:subject:npi"
PROVIDER_ID: Final = "urn:ihe:iti:xua:2017:subject:provider-identifier"
ROLE: Final = "urn:oasis:names:tc:xacml:2.0:subject:role"
PURPOSE: Final = "urn:oasis:names:tc:xspa:1.0:subject:purposeofuse"
CONSENT: Final = "urn:ihe:iti:bppc:2007:docid"
POLICY: Final = "urn:ihe:iti:xua:2012:acp"
PATIENT: Final = "urn:oasis:names:tc:xacml:2.0:resource:resource-id"

MAX_CHARACTERS = 4_096  # of one text; names, URIs and ids are far shorter
MAX_OF_A_KIND = 64  # audiences, confirmations, roles, purposes and such, of one assertion

_CURVES: dict[str, ec.EllipticCurve] = {
    "urn:oid:1.2.840.10045.3.1.7": ec.SECP256R1(),
    "urn:oid:1.3.132.0.34": ec.SECP384R1(),
    "urn:oid:1.3.132.0.35": ec.SECP521R1(),
}


def _saml(name: str) -> str:
    return f"{{{SAML}}}{name}"


def _ds(name: str) -> str:
    return f"{{{DS}}}{name}"


# --- read -------------------------------------------------------------------------------------------------------------


def issuer_of(document: bytes) -> str:
    """Who a document claims to be from, before anything of it is verified: only to know whose key to try."""
    root = _root(document)
    issuer = root.find(_saml("Issuer"))
    return _text(issuer) if issuer is not None else ""


def claimed(document: bytes) -> str:
    """Whom a document that was refused claims to be about, `<name@issuer>`; "": it says nothing that can be read.

    For security alerts, which record a claim as a claim.
    """
    try:
        root = _root(document)
        name = root.find(f"{_saml('Subject')}/{_saml('NameID')}")
        issuer = root.find(_saml("Issuer"))
        if name is None or issuer is None:
            return ""
        return f"<{_text(name)}@{_text(issuer)}>"
    except MalformedMessage:
        return ""


def decode_assertion(document: bytes) -> Decoded[Assertion]:
    """Read an assertion of SAML 2.0.

    Args:
        document: Its root is the Assertion. For anything that is believed: the bytes that the signature covers.

    Returns:
        The assertion, unknown attributes left out; findings for what was written oddly.

    Raises:
        MalformedMessage: Something that the schema or the profile requires is missing or cannot be read, or a limit is
            passed; `code` is the fault's.

    Source: ITI TF-2 3.40.4.1.2.
    """
    root = _root(document)
    reader = _Reader()
    if root.get("Version") != "2.0":
        raise MalformedMessage("the assertion is not SAML 2.0", code=WSSE_UNSUPPORTED)
    subject = _one(root, "Subject")
    if subject.find(_saml("EncryptedID")) is not None:
        raise MalformedMessage("the assertion's subject is encrypted", code=WSSE_UNSUPPORTED)
    name = _one(subject, "NameID")
    return Decoded(
        Assertion(
            id=_attribute(root, "ID"),
            issuer=_text(_one(root, "Issuer")),
            issued_at=reader.time(_attribute(root, "IssueInstant")),
            subject=Subject(
                name_id=_some(_text(name), "NameID"),
                format=_short(name.get("Format")),
                alias=_short(name.get("SPProvidedID")),
            ),
            confirmations=tuple(
                reader.confirmation(each) for each in _bounded(subject, _saml("SubjectConfirmation"), least=1)
            ),
            conditions=reader.conditions(_one(root, "Conditions")),
            authentications=tuple(reader.authentication(each) for each in _bounded(root, _saml("AuthnStatement"))),
            **reader.attributes(root),
        ),
        tuple(reader.findings),
    )


def _root(document: bytes) -> etree._Element:
    root = xml.parse(document, max_bytes=MAX_ASSERTION_BYTES)
    if root.tag != ASSERTION:
        raise MalformedMessage("it is not an assertion", code=WSSE_INVALID)
    return root


def _text(element: etree._Element) -> str:
    """All of it: whoever reads up to the first child reads less than what was signed."""
    return _short("".join(element.itertext()).strip())


def _short(value: str | None) -> str:
    if value is not None and len(value) > MAX_CHARACTERS:
        raise MalformedMessage(f"a value of the assertion has more than {MAX_CHARACTERS} characters", code=WSSE_INVALID)
    return value or ""


def _some(value: str, name: str) -> str:
    if not value:
        raise MalformedMessage(f"the assertion's {name} is empty", code=WSSE_INVALID)
    return value


def _attribute(element: etree._Element, name: str) -> str:
    return _some(_short(element.get(name)).strip(), name)


def _one(parent: etree._Element, name: str) -> etree._Element:
    found = parent.findall(_saml(name))
    if len(found) != 1:
        raise MalformedMessage(f"the assertion has not exactly one {name}", code=WSSE_INVALID)
    return found[0]


def _bounded(parent: etree._Element, path: str, *, least: int = 0) -> list[etree._Element]:
    found = parent.findall(path)
    if not least <= len(found) <= MAX_OF_A_KIND:
        raise MalformedMessage(
            f"the assertion has {len(found)} of {etree.QName(path.split('/')[-1]).localname}", code=WSSE_INVALID
        )
    return found


_CONDITIONS = frozenset(map(_saml, ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")))


class _Reader:
    """Reads, and keeps what was odd."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def odd(self, rule: str, text: str, location: str = "") -> None:
        self.findings.append(Finding(rule=rule, text=text, severity=Severity.WARNING, location=location))

    def time(self, text: str) -> datetime:
        try:
            return xml.instant(text)
        except ValueError:
            raise MalformedMessage("a time of the assertion cannot be read", code=WSSE_INVALID) from None

    def time_of(self, element: etree._Element, name: str) -> datetime | None:
        value = element.get(name)
        return None if value is None else self.time(value.strip())

    def confirmation(self, element: etree._Element) -> Confirmation:
        data = element.find(_saml("SubjectConfirmationData"))
        method = _attribute(element, "Method")
        if data is None:
            return Confirmation(method=method)
        return Confirmation(
            method=method,
            not_before=self.time_of(data, "NotBefore"),
            not_on_or_after=self.time_of(data, "NotOnOrAfter"),
            recipient=_short(data.get("Recipient")).strip(),
            keys=tuple(key for info in _bounded(data, _ds("KeyInfo")) for key in _keys(info)),
        )

    def conditions(self, element: etree._Element) -> Conditions:
        for condition in element:
            if condition.tag not in _CONDITIONS:
                raise MalformedMessage("the assertion has a condition that is not understood", code=WSSE_UNSUPPORTED)
        return Conditions(
            not_before=self.time_of(element, "NotBefore"),
            not_on_or_after=self.time_of(element, "NotOnOrAfter"),
            audiences=tuple(
                tuple(_text(audience) for audience in _bounded(restriction, _saml("Audience"), least=1))
                for restriction in _bounded(element, _saml("AudienceRestriction"))
            ),
            one_time_use=element.find(_saml("OneTimeUse")) is not None,
        )

    def authentication(self, element: etree._Element) -> Authentication:
        reference = element.find(f"{_saml('AuthnContext')}/{_saml('AuthnContextClassRef')}")
        return Authentication(
            at=self.time(_attribute(element, "AuthnInstant")),
            context_class=_text(reference) if reference is not None else "",
            session_not_on_or_after=self.time_of(element, "SessionNotOnOrAfter"),
        )

    def attributes(self, root: etree._Element) -> dict[str, Any]:
        """Statements, attributes and values may each be several; all count."""
        values: dict[str, list[etree._Element]] = {}
        for attribute in root.findall(f"{_saml('AttributeStatement')}/{_saml('Attribute')}"):
            name = attribute.get("Name", "")
            if name == NPI_OF_XSPA_2:
                self.odd("xua-attribute-name", "the NPI has its name in XSPA 2.0", name)
                name = NPI
            values.setdefault(name, []).extend(attribute.findall(_saml("AttributeValue")))
        for name, found in values.items():
            if name in _KNOWN and len(found) > MAX_OF_A_KIND:
                raise MalformedMessage(
                    f"the assertion has more than {MAX_OF_A_KIND} values of one attribute", code=WSSE_INVALID
                )

        def texts(name: str) -> tuple[str, ...]:
            return tuple(filter(None, map(_text, values.get(name, ()))))

        def only(name: str) -> str:
            found = tuple(dict.fromkeys(texts(name)))
            if len(found) > 1:
                raise MalformedMessage(f"the assertion has more than one {name.rpartition(':')[2]}", code=WSSE_INVALID)
            return found[0] if found else ""

        home = only(HOME_COMMUNITY)
        try:
            home_community_id = Oid.from_urn(home) if home else None
        except ValueError:
            raise MalformedMessage("the assertion's home community is not an OID", code=WSSE_INVALID) from None
        return {
            "display_name": next(iter(texts(SUBJECT_ID)), ""),
            "organizations": texts(ORGANIZATION),
            "organization_ids": texts(ORGANIZATION_ID),
            "home_community_id": home_community_id,
            "npi": next((self._npi(each) for each in values.get(NPI, ())), ""),
            "provider_ids": tuple(self._provider(each) for each in values.get(PROVIDER_ID, ())),
            "roles": tuple(self._coded(each, "role") for each in values.get(ROLE, ())),
            "purposes": tuple(self._coded(each, "purpose of use") for each in values.get(PURPOSE, ())),
            "patient": only(PATIENT),
            "consents": texts(CONSENT),
            "policies": texts(POLICY),
        }

    def _inner(self, value: etree._Element, what: str) -> etree._Element | None:
        """The one child of a value, also where it was escaped into text; None: there is only text."""
        if len(value) == 1:
            return value[0]
        if len(value):
            raise MalformedMessage(f"a {what} of the assertion has more than one child", code=WSSE_INVALID)
        text = _text(value)
        if not text.startswith("<"):
            return None
        self.odd("xua-escaped-value", f"a {what} is XML that was escaped into text")
        return xml.parse(text.encode())

    def _coded(self, value: etree._Element, what: str) -> Code:
        element = self._inner(value, what)
        if element is None:
            self.odd("xua-plain-code", f"a {what} is plain text and not a code")
            return Code(value=_some(_text(value), what), system="")
        system = _short(element.get("codeSystem")).strip() or _short(element.get("codeSystemName")).strip()
        if not element.get("codeSystem"):
            self.odd("xua-code-system", f"a {what} names no code system by its OID")
        return Code(value=_attribute(element, "code"), system=system, display=_short(element.get("displayName")))

    def _npi(self, value: etree._Element) -> str:
        element = self._inner(value, "npi")
        if element is None:
            return _text(value)
        return _short(element.get("code") or element.get("extension"))  # CE and II are both seen

    def _provider(self, value: etree._Element) -> ProviderId:
        element = self._inner(value, "provider identifier")
        if element is None:
            raise MalformedMessage("the assertion's provider identifier is plain text", code=WSSE_INVALID)
        return ProviderId(root=_attribute(element, "root"), extension=_short(element.get("extension")))


_KNOWN = frozenset(
    {
        SUBJECT_ID,
        ORGANIZATION,
        ORGANIZATION_ID,
        HOME_COMMUNITY,
        NPI,
        PROVIDER_ID,
        ROLE,
        PURPOSE,
        CONSENT,
        POLICY,
        PATIENT,
    }
)


def _keys(info: etree._Element) -> Iterator[bytes]:
    """The public keys that a KeyInfo names by value, as SubjectPublicKeyInfo; names and serial numbers prove nothing."""
    readers: dict[str, Callable[[etree._Element], bytes]] = {
        f"{_ds('X509Data')}/{_ds('X509Certificate')}": _of_certificate,
        f"{_ds('KeyValue')}/{_ds('RSAKeyValue')}": _of_rsa,
        f"{_ds('KeyValue')}/{{{DSIG_11}}}ECKeyValue": _of_curve,
        f"{{{DSIG_11}}}DEREncodedKeyValue": lambda element: _spki(load_der_public_key(_base64(element))),
    }
    for path, read in readers.items():
        for element in _bounded(info, path):
            try:
                yield read(element)
            except (ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
                raise MalformedMessage("a key of the assertion cannot be read", code=WSSE_INVALID) from None


def _spki(key: object) -> bytes:
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise TypeError("neither RSA nor of an elliptic curve")
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _base64(element: etree._Element | None) -> bytes:
    if element is None:
        raise ValueError("a part of the key is missing")
    return base64.b64decode("".join("".join(element.itertext()).split()), validate=True)


def _of_certificate(element: etree._Element) -> bytes:
    return _spki(x509.load_der_x509_certificate(_base64(element)).public_key())


def _of_rsa(element: etree._Element) -> bytes:
    modulus, exponent = (int.from_bytes(_base64(element.find(_ds(name)))) for name in ("Modulus", "Exponent"))
    return _spki(rsa.RSAPublicNumbers(exponent, modulus).public_key())


def _of_curve(element: etree._Element) -> bytes:
    named = element.find(f"{{{DSIG_11}}}NamedCurve")
    curve = _CURVES.get(named.get("URI", "")) if named is not None else None
    if curve is None:
        raise ValueError("not a curve that is accepted")
    point = _base64(element.find(f"{{{DSIG_11}}}PublicKey"))
    return _spki(ec.EllipticCurvePublicKey.from_encoded_point(curve, point))


# --- write ------------------------------------------------------------------------------------------------------------


def encode_assertion(assertion: Assertion) -> bytes:
    """An assertion without its signature, whose place is behind the Issuer."""
    subject, conditions = assertion.subject, assertion.conditions
    named = _attributes(("Format", subject.format), ("SPProvidedID", subject.alias))
    pieces = [
        f'<saml2:Assertion xmlns:saml2="{SAML}" ID="{xml.attribute(assertion.id)}"'
        f' IssueInstant="{_instant(assertion.issued_at)}" Version="2.0">'
        f"<saml2:Issuer>{xml.text(assertion.issuer)}</saml2:Issuer>"
        f"<saml2:Subject><saml2:NameID{named}>{xml.text(subject.name_id)}</saml2:NameID>",
        *map(_confirmation, assertion.confirmations),
        "</saml2:Subject>",
        "<saml2:Conditions"
        + _attributes(
            ("NotBefore", _instant(conditions.not_before)), ("NotOnOrAfter", _instant(conditions.not_on_or_after))
        )
        + ">",
    ]
    for restriction in conditions.audiences:
        audiences = "".join(f"<saml2:Audience>{xml.text(each)}</saml2:Audience>" for each in restriction)
        pieces.append(f"<saml2:AudienceRestriction>{audiences}</saml2:AudienceRestriction>")
    pieces.append(("<saml2:OneTimeUse/>" if conditions.one_time_use else "") + "</saml2:Conditions>")
    for each in assertion.authentications:
        session = _attributes(("SessionNotOnOrAfter", _instant(each.session_not_on_or_after)))
        pieces.append(
            f'<saml2:AuthnStatement AuthnInstant="{_instant(each.at)}"{session}><saml2:AuthnContext>'
            f"<saml2:AuthnContextClassRef>{xml.text(each.context_class)}</saml2:AuthnContextClassRef>"
            "</saml2:AuthnContext></saml2:AuthnStatement>"
        )
    said = "".join(_attribute_statement(assertion))
    if said:
        pieces.append(f"<saml2:AttributeStatement>{said}</saml2:AttributeStatement>")
    pieces.append("</saml2:Assertion>")
    return "".join(pieces).encode()


def _instant(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _attributes(*pairs: tuple[str, str]) -> str:
    return "".join(f' {name}="{xml.attribute(value)}"' for name, value in pairs if value)


def _confirmation(confirmation: Confirmation) -> str:
    said = _attributes(
        ("NotBefore", _instant(confirmation.not_before)),
        ("NotOnOrAfter", _instant(confirmation.not_on_or_after)),
        ("Recipient", confirmation.recipient),
    )
    keys = "".join(
        f'<ds:KeyInfo xmlns:ds="{DS}"><dsig11:DEREncodedKeyValue xmlns:dsig11="{DSIG_11}">'
        f"{base64.b64encode(key).decode()}</dsig11:DEREncodedKeyValue></ds:KeyInfo>"
        for key in confirmation.keys
    )
    kind = f' xmlns:xsi="{XSI}" xsi:type="saml2:KeyInfoConfirmationDataType"' if keys else ""
    data = f"<saml2:SubjectConfirmationData{kind}{said}>{keys}</saml2:SubjectConfirmationData>" if said or keys else ""
    method = xml.attribute(confirmation.method)
    return f'<saml2:SubjectConfirmation Method="{method}">{data}</saml2:SubjectConfirmation>'


def _attribute_statement(assertion: Assertion) -> Iterator[str]:
    home = assertion.home_community_id
    for name, values in (
        (SUBJECT_ID, (assertion.display_name,)),
        (ORGANIZATION, assertion.organizations),
        (ORGANIZATION_ID, assertion.organization_ids),
        (HOME_COMMUNITY, (home.urn if home is not None else "",)),
        (NPI, (assertion.npi,)),
    ):
        yield from _attribute_of(name, [xml.text(value) for value in values if value])
    yield from _attribute_of(
        PROVIDER_ID,
        [
            f'<id xmlns="{V3}" xmlns:xsi="{XSI}" xsi:type="II"'
            + _attributes(("root", each.root), ("extension", each.extension))
            + "/>"
            for each in assertion.provider_ids
        ],
    )
    yield from _attribute_of(ROLE, [_code("Role", each) for each in assertion.roles])
    yield from _attribute_of(PURPOSE, [_code("PurposeOfUse", each) for each in assertion.purposes])
    for name, values in (
        (PATIENT, (assertion.patient,)),
        (CONSENT, assertion.consents),
        (POLICY, assertion.policies),
    ):
        yield from _attribute_of(name, [xml.text(value) for value in values if value])


def _attribute_of(name: str, values: list[str]) -> Iterator[str]:
    if values:
        inner = "".join(f"<saml2:AttributeValue>{value}</saml2:AttributeValue>" for value in values)
        yield f'<saml2:Attribute Name="{name}">{inner}</saml2:Attribute>'


def _code(name: str, code: Code) -> str:
    if not code.system:
        return xml.text(code.value)
    said = _attributes(("code", code.value), ("codeSystem", code.system), ("displayName", code.display))
    return f'<{name} xmlns="{V3}" xmlns:xsi="{XSI}" xsi:type="CE"{said}/>'
