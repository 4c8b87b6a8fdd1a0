"""An AuditRecord as PS3.15 XML: the bytes that the chain keeps and that go to the audit record repository.

Escaped templates, because a record is written before every reply. What a newcomer gets wrong: the element order is
fixed, Name and Query exclude each other, details and queries are base64 of bytes, and a message that does not fit into a
collector's line is cut there in the middle: so we leave details out ourselves, and say how many.

Source: DICOM PS3.15 A.5.1 (schema), A.5.2; ITI TF-2 3.20.7 (PurposeOfUse).
"""

from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache

from profiles.model.audit import ActiveParticipant, AuditCode, AuditRecord, ParticipantObject
from profiles.wire.audit.participants import DOCUMENT_UNIQUE_ID, PERSON, SERIES_UNIQUE_ID
from profiles.wire.xml import attribute, text

MAX_MESSAGE_BYTES = 32 * 1024 - 512  # 32 KiB is what collectors take whole; the rest is for the syslog header


def encode(record: AuditRecord, *, limit: int = MAX_MESSAGE_BYTES) -> bytes:
    """The XML message in UTF-8, without declaration and line breaks, at most `limit` bytes long.

    What does not fit is left out in the order of `_REDUCTIONS`, each time with a detail that says how much it was; numbers
    of instances are always kept. `limit` is at least 16 KiB.
    """
    message = _render(record) if _is_plain(record) or _weight(record) <= limit else None
    for reduce in _REDUCTIONS:
        if message is not None and len(message) <= limit:
            return message
        record = reduce(record)
        message = _render(record) if _weight(record) <= limit else None
    return message or _render(record)


def date_time(at: datetime) -> str:
    """xs:dateTime with zone, in milliseconds, finer only where the value is; also RFC 5424's TIMESTAMP."""
    if at.tzinfo is None:
        raise ValueError("an audited time has a zone")
    written = at.isoformat(timespec="microseconds" if at.microsecond % 1000 else "milliseconds")
    return written.removesuffix("+00:00") + "Z" if written.endswith("+00:00") else written


# --- the templates ----------------------------------------------------------------------------------------------------


def _code(element: str, code: AuditCode) -> str:
    if len(code.code) + len(code.system) + len(code.text) > _CACHED_CHARACTERS:
        return _written_code(element, code)
    return _cached_code(element, code)


def _written_code(element: str, code: AuditCode) -> str:
    return (
        f'<{element} csd-code="{attribute(code.code)}" codeSystemName="{attribute(code.system)}"'
        f' originalText="{attribute(code.text)}"/>'
    )


_CACHED_CHARACTERS = 256  # our own codes are shorter; what a peer invents does not fill our memory
_cached_code = lru_cache(maxsize=1024)(_written_code)


def _render(record: AuditRecord) -> bytes:
    parts = [
        f'<AuditMessage><EventIdentification EventActionCode="{record.action.value}"'
        f' EventDateTime="{date_time(record.at)}" EventOutcomeIndicator="{int(record.outcome)}">',
        _code("EventID", record.event),
    ]
    parts += [_code("EventTypeCode", code) for code in record.types]
    if record.outcome_description:
        parts.append(f"<EventOutcomeDescription>{text(record.outcome_description)}</EventOutcomeDescription>")
    parts += [_code("PurposeOfUse", code) for code in record.purposes]
    parts.append("</EventIdentification>")
    parts += [
        _cached_participant(who) if len(who.user_id) + len(who.user_name) < _CACHED_CHARACTERS else _participant(who)
        for who in record.participants
    ]
    site = f' AuditEnterpriseSiteID="{attribute(record.enterprise_site_id)}"' if record.enterprise_site_id else ""
    parts.append(
        f'<AuditSourceIdentification{site} AuditSourceID="{attribute(record.source_id)}">'
        f'<AuditSourceTypeCode csd-code="{record.source_type}"/></AuditSourceIdentification>'
    )
    for subject in record.objects:
        _render_object(subject, parts)
    parts.append("</AuditMessage>")
    return "".join(parts).encode()


def _participant(participant: ActiveParticipant) -> str:
    written = f'<ActiveParticipant UserID="{attribute(participant.user_id)}"'
    if participant.alternative_user_id:
        written += f' AlternativeUserID="{attribute(participant.alternative_user_id)}"'
    if participant.user_name:
        written += f' UserName="{attribute(participant.user_name)}"'
    written += ' UserIsRequestor="true"' if participant.is_requestor else ' UserIsRequestor="false"'
    if participant.network_access_point:
        written += f' NetworkAccessPointID="{attribute(participant.network_access_point)}"'
    if participant.network_access_point_type is not None:
        written += f' NetworkAccessPointTypeCode="{participant.network_access_point_type.value}"'
    if not participant.roles and participant.media is None:
        return written + "/>"
    roles = "".join([_code("RoleIDCode", code) for code in participant.roles])
    media = participant.media
    medium = "" if media is None else f"<MediaIdentifier>{_code('MediaType', media)}</MediaIdentifier>"
    return f"{written}>{roles}{medium}</ActiveParticipant>"


_cached_participant = lru_cache(maxsize=1024)(_participant)  # the same parties come again and again


def _render_object(subject: ParticipantObject, parts: list[str]) -> None:
    written = "<ParticipantObjectIdentification"
    if subject.id:
        written += f' ParticipantObjectID="{attribute(subject.id)}"'
    if subject.type_code:
        written += f' ParticipantObjectTypeCode="{subject.type_code}"'
    if subject.role:
        written += f' ParticipantObjectTypeCodeRole="{subject.role}"'
    if subject.life_cycle is not None:
        written += f' ParticipantObjectDataLifeCycle="{subject.life_cycle}"'
    parts.append(written + ">")
    parts.append(_code("ParticipantObjectIDTypeCode", subject.id_type))
    if subject.query is not None:  # never both: the schema has a choice here
        parts.append(f"<ParticipantObjectQuery>{b64encode(subject.query).decode()}</ParticipantObjectQuery>")
    elif subject.name:
        parts.append(f"<ParticipantObjectName>{text(subject.name)}</ParticipantObjectName>")
    parts += [
        f'<ParticipantObjectDetail type="{attribute(kind)}" value="{b64encode(value).decode()}"/>'
        for kind, value in subject.details
    ]
    if subject.accessions or subject.sop_classes or subject.instances:
        parts.append("<ParticipantObjectDescription>")
        parts += [f'<Accession Number="{attribute(number)}"/>' for number in subject.accessions]
        _render_sop_classes(subject, parts)
        parts.append("</ParticipantObjectDescription>")
    parts.append("</ParticipantObjectIdentification>")


def _render_sop_classes(subject: ParticipantObject, parts: list[str]) -> None:
    """Instances stand below their class; where it is not known which is whose, below an element without UID."""
    instances = "".join(f'<Instance UID="{attribute(uid)}"/>' for uid in subject.instances)
    if len(subject.sop_classes) == 1 and instances:
        ((uid, count),) = subject.sop_classes
        parts.append(f'<SOPClass UID="{attribute(uid)}" NumberOfInstances="{count}">{instances}</SOPClass>')
        return
    parts += [f'<SOPClass UID="{attribute(uid)}" NumberOfInstances="{count}"/>' for uid, count in subject.sop_classes]
    if instances:
        parts.append(f'<SOPClass NumberOfInstances="{len(subject.instances)}">{instances}</SOPClass>')


# --- what is left out when a message is too long ----------------------------------------------------------------------


_FEW = 64


def _is_plain(record: AuditRecord) -> bool:
    """Whether it may be written without being weighed first: nothing is many. Nearly every record."""
    return len(record.objects) < _FEW and all(
        len(subject.details) < _FEW and not subject.instances for subject in record.objects
    )


def _weight(record: AuditRecord) -> int:
    """The least that a record can take, without writing it: what is far too long is thinned before it is escaped."""
    total = len(record.outcome_description) + len(record.source_id) + len(record.enterprise_site_id)
    for participant in record.participants:
        total += len(participant.user_id) + len(participant.user_name) + len(participant.alternative_user_id)
        total += len(participant.network_access_point)
    for subject in record.objects:
        total += len(subject.id) + len(subject.name)
        if subject.query is not None:
            total += len(subject.query)
        for kind, value in subject.details:
            total += len(kind) + len(value)
        for uid, _ in subject.sop_classes:
            total += len(uid)
        total += sum(map(len, subject.instances)) + sum(map(len, subject.accessions))
    return total


OMITTED = "Omitted "
"""The detail that says how many of a kind were left out: type `Omitted ihe:DocumentUniqueId`, value `4000`."""

_OMITTED_OBJECTS = OMITTED + "ParticipantObjectIdentification"
_KEPT_OBJECTS = 48  # at about 450 bytes an object with its details
_KEPT_QUERY_BYTES = 8 * 1024
_LAST_RESORT_CHARACTERS = 64
_LAST_RESORT_ENTRIES = 3


def _without_details(kinds: frozenset[str]) -> Callable[[AuditRecord], AuditRecord]:
    def thin(subject: ParticipantObject) -> ParticipantObject:
        omitted = Counter(kind for kind, _ in subject.details if kind in kinds)
        if not omitted:
            return subject
        kept = tuple(detail for detail in subject.details if detail[0] not in kinds)
        return replace(subject, details=(*kept, *_omissions(omitted)))

    return lambda record: replace(record, objects=tuple(thin(subject) for subject in record.objects))


def _omissions(omitted: Counter[str]) -> Sequence[tuple[str, bytes]]:
    return [(OMITTED + kind, str(count).encode()) for kind, count in omitted.items()]


def _without_instances(record: AuditRecord) -> AuditRecord:
    """Only their number: in the SOP class, or as a detail where the classes do not say it."""

    def thin(subject: ParticipantObject) -> ParticipantObject:
        if not subject.instances:
            return subject
        omitted = Counter({"Instance": len(subject.instances)})
        return replace(subject, instances=(), details=(*subject.details, *_omissions(omitted)))

    return replace(record, objects=tuple(thin(subject) for subject in record.objects))


def _with_short_queries(record: AuditRecord) -> AuditRecord:
    def thin(subject: ParticipantObject) -> ParticipantObject:
        if subject.query is None or len(subject.query) <= _KEPT_QUERY_BYTES:
            return subject
        omitted = Counter({"query bytes": len(subject.query) - _KEPT_QUERY_BYTES})
        return replace(
            subject, query=subject.query[:_KEPT_QUERY_BYTES], details=(*subject.details, *_omissions(omitted))
        )

    return replace(record, objects=tuple(thin(subject) for subject in record.objects))


def _with_few_objects(record: AuditRecord) -> AuditRecord:
    """People first, then as many others as fit; the last one says how many more there were."""
    return _keeping_objects(record, _KEPT_OBJECTS)


def _keeping_objects(record: AuditRecord, most: int) -> AuditRecord:
    if len(record.objects) <= most:
        return record
    people = [subject for subject in record.objects if subject.type_code == PERSON]
    others = [subject for subject in record.objects if subject.type_code != PERSON]
    kept, dropped = (people + others)[:most], (people + others)[most:]
    earlier = sum(int(value) for subject in dropped for kind, value in subject.details if kind == _OMITTED_OBJECTS)
    omitted = (_OMITTED_OBJECTS, str(len(dropped) + earlier).encode())
    kept[-1] = replace(kept[-1], details=(*kept[-1].details, omitted))
    return replace(record, objects=tuple(kept))


def _short(value: str) -> str:
    return value if len(value) <= _LAST_RESORT_CHARACTERS else value[: _LAST_RESORT_CHARACTERS - 1] + "…"


def _short_code(code: AuditCode) -> AuditCode:
    return AuditCode(code=_short(code.code), system=_short(code.system), text=_short(code.text))


def _at_any_price(record: AuditRecord) -> AuditRecord:
    """A few entries of each kind, each value short: for what only an attacker sends."""
    few = _LAST_RESORT_ENTRIES

    def thin_participant(participant: ActiveParticipant) -> ActiveParticipant:
        return replace(
            participant,
            user_id=_short(participant.user_id),
            alternative_user_id=_short(participant.alternative_user_id),
            user_name=_short(participant.user_name),
            network_access_point=_short(participant.network_access_point),
            roles=tuple(_short_code(code) for code in participant.roles[:1]),
            media=None if participant.media is None else _short_code(participant.media),
        )

    def thin_object(subject: ParticipantObject) -> ParticipantObject:
        # the last details are the ones that count what was left out
        return replace(
            subject,
            id=_short(subject.id),
            id_type=_short_code(subject.id_type),
            name=_short(subject.name),
            query=None if subject.query is None else subject.query[:_LAST_RESORT_CHARACTERS],
            details=tuple((_short(kind), value[:_LAST_RESORT_CHARACTERS]) for kind, value in subject.details[-few:]),
            accessions=tuple(_short(number) for number in subject.accessions[:1]),
            sop_classes=tuple((_short(uid), count) for uid, count in subject.sop_classes[:few]),
        )

    record = _keeping_objects(_without_instances(record), few)
    return replace(
        record,
        event=_short_code(record.event),
        types=tuple(_short_code(code) for code in record.types[:few]),
        purposes=tuple(_short_code(code) for code in record.purposes[:1]),
        outcome_description=_short(record.outcome_description),
        source_id=_short(record.source_id),
        enterprise_site_id=_short(record.enterprise_site_id),
        participants=tuple(thin_participant(participant) for participant in record.participants[:few]),
        objects=tuple(thin_object(subject) for subject in record.objects),
    )


_REDUCTIONS: tuple[Callable[[AuditRecord], AuditRecord], ...] = (
    _without_instances,
    _without_details(frozenset({DOCUMENT_UNIQUE_ID})),  # the series and the counts of each class remain
    _with_short_queries,
    _without_details(frozenset({SERIES_UNIQUE_ID})),
    _with_few_objects,
    _at_any_price,
)
