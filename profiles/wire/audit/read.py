"""Audit XML as others write it -> AuditRecord. Tolerant: three dialects of one message are about.

DICOM PS3.15 since 2011 (`csd-code`, `originalText`), RFC 3881 (`code`, `displayName`, UserIsRequestor optional, several
audit sources) and a widespread archive's extensions (`UserTypeCode`, object descriptions unwrapped). What is odd becomes a
warning, and only what has no event or cannot be parsed is refused.

Source: DICOM PS3.15 A.5.1; RFC 3881 5.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator
from datetime import UTC, datetime

from lxml import etree

from profiles.errors import MalformedMessage
from profiles.findings import Decoded, Finding, Severity
from profiles.model.audit import (
    Action,
    ActiveParticipant,
    AuditCode,
    AuditRecord,
    NetworkAccessPoint,
    Outcome,
    ParticipantObject,
)
from profiles.wire.xml import parse

MAX_BYTES = 8 * 1024 * 1024  # the largest frame that a collector takes; our own messages stay under 32 KiB

_DESCRIPTION_CHILDREN = ("MPPS", "Accession", "SOPClass", "ParticipantObjectContainsStudy", "Encrypted", "Anonymized")


def decode(document: bytes) -> Decoded[AuditRecord]:
    """Read one audit message.

    Args:
        document: The XML, with or without declaration and byte order mark.

    Raises:
        MalformedMessage: Not XML, not an AuditMessage, or without an event or its time.
    """
    root = parse(document.removeprefix(b"\xef\xbb\xbf").strip(), max_bytes=MAX_BYTES)
    if _name(root) != "AuditMessage":
        raise MalformedMessage("not an AuditMessage", location="/")
    return _Reading().record(root)


def _name(element: etree._Element) -> str:
    return etree.QName(element).localname


class _Reading:
    """One message being read; it gathers the findings."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []

    def record(self, root: etree._Element) -> Decoded[AuditRecord]:
        event = _child(root, "EventIdentification")
        if event is None:
            raise MalformedMessage("an audit message without EventIdentification", location="/AuditMessage")
        event_id = _child(event, "EventID")
        if event_id is None:
            raise MalformedMessage("an audit message without EventID", location="/AuditMessage/EventIdentification")
        sources = list(_children(root, "AuditSourceIdentification"))
        if len(sources) != 1:
            self._odd("audit-one-source", f"{len(sources)} AuditSourceIdentification elements", "/AuditMessage")
        source = sources[0] if sources else None
        source_type = None if source is None else _child(source, "AuditSourceTypeCode")
        record = AuditRecord(
            event=self._code(event_id),
            action=self._action(event),
            at=self._time(event),
            outcome=self._outcome(event),
            source_id="" if source is None else source.get("AuditSourceID", ""),
            participants=tuple(self._participant(element) for element in _children(root, "ActiveParticipant")),
            objects=tuple(self._object(element) for element in _children(root, "ParticipantObjectIdentification")),
            types=tuple(self._code(element) for element in _children(event, "EventTypeCode")),
            outcome_description=_text(_child(event, "EventOutcomeDescription")),
            purposes=tuple(self._code(element) for element in _children(event, "PurposeOfUse")),
            enterprise_site_id="" if source is None else source.get("AuditEnterpriseSiteID", ""),
            source_type=9
            if source_type is None
            else _number(source_type.get("csd-code") or source_type.get("code"), 9),
        )
        if not record.participants:
            self._odd("audit-has-participants", "no ActiveParticipant", "/AuditMessage")
        return Decoded(record, tuple(self._findings))

    def _odd(self, rule: str, text: str, location: str) -> None:
        if not any(finding.rule == rule for finding in self._findings):  # once a message is enough
            self._findings.append(Finding(rule=rule, text=text, severity=Severity.WARNING, location=location))

    def _code(self, element: etree._Element) -> AuditCode:
        code = element.get("csd-code")
        if code is None:
            code = element.get("code", "")
            self._odd("audit-csd-code", "codes as RFC 3881 writes them", _name(element))
        system = element.get("codeSystemName") or element.get("codeSystem") or ""
        written = element.get("originalText") or element.get("displayName") or ""
        return AuditCode(code=code, system=system, text=written)

    def _action(self, event: etree._Element) -> Action:
        written = event.get("EventActionCode", "").strip()
        try:
            return Action(written)
        except ValueError:
            self._odd("audit-action", "EventActionCode is missing or not one of C R U D E", "EventIdentification")
            return Action.EXECUTE

    def _outcome(self, event: etree._Element) -> Outcome:
        written = event.get("EventOutcomeIndicator", "").strip()
        try:
            return Outcome(int(written))
        except ValueError:
            # "0: use if status otherwise unknown or ambiguous" (PS3.15 A.5.1)
            self._odd("audit-outcome", "EventOutcomeIndicator is missing or not one of 0 4 8 12", "EventIdentification")
            return Outcome.SUCCESS

    def _time(self, event: etree._Element) -> datetime:
        written = event.get("EventDateTime", "").strip()
        try:
            at = datetime.fromisoformat(written)
        except ValueError as error:
            raise MalformedMessage("EventDateTime is not a time", location="EventIdentification") from error
        if at.tzinfo is None:
            self._odd("audit-time-has-zone", "EventDateTime without zone, read as UTC", "EventIdentification")
            return at.replace(tzinfo=UTC)
        return at

    def _participant(self, element: etree._Element) -> ActiveParticipant:
        kind = element.get("NetworkAccessPointTypeCode", "").strip()
        media = _child(element, "MediaIdentifier")
        media_type = _child(element, "MediaType") if media is None else _child(media, "MediaType")
        return ActiveParticipant(
            user_id=element.get("UserID", ""),
            alternative_user_id=element.get("AlternativeUserID", ""),
            user_name=element.get("UserName", ""),
            is_requestor=element.get("UserIsRequestor", "true").strip() in {"true", "1"},  # RFC 3881: default true
            roles=tuple(self._code(role) for role in _children(element, "RoleIDCode")),
            network_access_point=element.get("NetworkAccessPointID", ""),
            network_access_point_type=NetworkAccessPoint(kind) if kind in set(NetworkAccessPoint) else None,
            media=None if media_type is None else self._code(media_type),
        )

    def _object(self, element: etree._Element) -> ParticipantObject:
        id_type = _child(element, "ParticipantObjectIDTypeCode")
        query = _child(element, "ParticipantObjectQuery")
        cycle = element.get("ParticipantObjectDataLifeCycle")
        accessions: list[str] = []
        sop_classes: list[tuple[str, int]] = []
        instances: list[str] = []
        for described in _described(element):
            if _name(described) == "Accession":
                accessions.append(described.get("Number", ""))
            elif _name(described) == "SOPClass":
                instances += [instance.get("UID", "") for instance in _children(described, "Instance")]
                if uid := described.get("UID", ""):
                    sop_classes.append((uid, _number(described.get("NumberOfInstances"), 0)))
        return ParticipantObject(
            type_code=_number(element.get("ParticipantObjectTypeCode"), 0),
            role=_number(element.get("ParticipantObjectTypeCodeRole"), 0),
            id_type=AuditCode(code="", system="", text="") if id_type is None else self._code(id_type),
            id=element.get("ParticipantObjectID", ""),
            life_cycle=None if cycle is None else _number(cycle, 0),
            name=_text(_child(element, "ParticipantObjectName")),
            query=None if query is None else self._bytes(_text(query)),
            details=tuple(
                (detail.get("type", ""), self._bytes(detail.get("value", "")))
                for detail in _children(element, "ParticipantObjectDetail")
            ),
            accessions=tuple(accessions),
            sop_classes=tuple(sop_classes),
            instances=tuple(instances),
        )

    def _bytes(self, written: str) -> bytes:
        """Base64, or the text itself where a sender forgot to encode it."""
        try:
            return b64decode("".join(written.split()), validate=True)
        except (Base64Error, ValueError):
            self._odd("audit-base64", "a query or detail that is not base64", "ParticipantObjectIdentification")
            return written.encode()


def _children(element: etree._Element, name: str) -> Iterator[etree._Element]:
    return (child for child in element if isinstance(child.tag, str) and _name(child) == name)


def _child(element: etree._Element, name: str) -> etree._Element | None:
    return next(_children(element, name), None)


def _described(element: etree._Element) -> Iterator[etree._Element]:
    """The description of an object, wrapped (since 2017c) or lying about in it (before)."""
    for child in element:
        if not isinstance(child.tag, str):
            continue
        if _name(child) == "ParticipantObjectDescription":
            yield from (inner for inner in child if isinstance(inner.tag, str))
        elif _name(child) in _DESCRIPTION_CHILDREN:
            yield child


def _text(element: etree._Element | None) -> str:
    return "" if element is None else "".join(element.itertext())


def _number(written: str | None, otherwise: int) -> int:
    try:
        return int((written or "").strip())
    except ValueError:
        return otherwise
