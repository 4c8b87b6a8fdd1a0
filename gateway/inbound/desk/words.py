"""Words: what pages call states, kinds, times and amounts. Filters of the templates; every table is total.

What a newcomer gets wrong: texts of the ledger have no capital and no full stop, since they are also said inside of
sentences; a page adds both.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from gateway.model.job import ExchangeJob, Kind, State
from gateway.model.study import StudyRecord, StudyStatus
from gateway.services.errand import ERRAND
from profiles.model.audit import AuditRecord
from profiles.model.moment import Moment
from profiles.model.patient import PersonName, Sex
from profiles.wire.audit.participants import STUDY_INSTANCE_UID

TONES: Mapping[str, str] = {
    State.RECEIVED: "busy",
    State.HELD: "warn",
    State.READY: "busy",
    State.MOVING: "busy",
    State.INCOMPLETE: "warn",
    State.STORED: "busy",
    State.AWAITING_REPLY: "busy",
    State.DONE: "good",
    State.FAILED: "bad",
    State.CANCELLED: "",
    State.ABANDONED: "",
}
"""The colour of a state: a style of its pill."""

KINDS: Mapping[Kind, str] = {
    Kind.ASK: "single questions",
    Kind.RECEIVE: "studies offered to us",
    Kind.STORE: "studies pushed to us",
    Kind.COLLECT: "studies that we collect",
    Kind.SHARE: "studies that we share",
    Kind.FEED: "patient identity",
    Kind.INDEX: "learning what the archive has",
    Kind.BACKFILL: "publishing what is here",
    Kind.KEEP: "studies that changed",
    Kind.ANSWER: "answers that are brought later",
}

TITLES: Mapping[Kind, tuple[str, str]] = {
    Kind.ASK: ("Question from {peer}", "Question"),
    Kind.RECEIVE: ("Study offered by {peer}", "Study offered"),
    Kind.STORE: ("Study pushed by {peer}", "Study pushed here"),
    Kind.COLLECT: ("Collect from {peer}", "Collect"),
    Kind.SHARE: ("Share with {peer}", "Share"),
    Kind.FEED: ("Patient identity from {peer}", "Patient identity"),
    Kind.INDEX: ("Learn what {peer} has", "Learn what the archive has"),
    Kind.BACKFILL: ("Publish what is here to {peer}", "Publish what is here"),
    Kind.KEEP: ("Study of {peer} changed", "Study came or changed"),
    Kind.ANSWER: ("Answer {peer} later", "Answer later"),
}
"""What an exchange is called, with a peer and without."""

STATUSES: Mapping[StudyStatus, str] = {
    StudyStatus.REGISTERED: "on its way",
    StudyStatus.AVAILABLE: "available",
    StudyStatus.CANCELLED: "cancelled",
    StudyStatus.ENTERED_IN_ERROR: "entered in error",
    StudyStatus.UNKNOWN: "not settled",
}

STATUS_TONES: Mapping[str, str] = {
    STATUSES[StudyStatus.REGISTERED]: "busy",
    STATUSES[StudyStatus.AVAILABLE]: "good",
    STATUSES[StudyStatus.UNKNOWN]: "warn",
}

SEXES: Mapping[Sex, str] = {
    Sex.FEMALE: "female",
    Sex.MALE: "male",
    Sex.OTHER: "other sex",
    Sex.UNKNOWN: "sex not told",
}

OUTCOMES: Mapping[str, str] = {"success": "done", "partial": "in part", "failure": "failed", "open": "under way"}

_UID = re.compile(r"\b[0-2](?:\.(?:0|[1-9][0-9]*))+\b")
LONG_UID = 30  # longer ones push the words around them off the line: their middle is left out


def filters(zone: ZoneInfo, now: Callable[[], datetime]) -> Mapping[str, Callable[..., str]]:
    """By the names under which templates call them."""
    return {
        "when": lambda at: _in(at, zone, "%Y-%m-%d %H:%M:%S"),
        "clock": lambda at: _in(at, zone, "%H:%M:%S"),
        "ago": lambda at: ago(at, now()),
        "sentence": sentence_case,
        "size": size,
        "lasted": lasted,
        "of": counted,
        "name": person_name,
        "sex": lambda sex: SEXES[sex],
        "day": day,
        "tone": lambda value: TONES.get(value, STATUS_TONES.get(value, "")),
        "titled": titled,
        "kind_name": lambda kind: KINDS[kind],
        "status": lambda status: STATUSES[status],
        "outcome": lambda outcome: OUTCOMES[outcome],
        "summary": summary,
    }


def _in(at: datetime | None, zone: ZoneInfo, form: str) -> str:
    return at.astimezone(zone).strftime(form) if at is not None else ""


def day_of(at: datetime, zone: ZoneInfo) -> str:
    """The day, for a heading."""
    local = at.astimezone(zone)
    return f"{local:%A}, {local.day} {local:%B %Y}"


def ago(at: datetime, now: datetime) -> str:
    """How long it has been."""
    passed = now - at
    for unit, name in ((timedelta(days=1), "day"), (timedelta(hours=1), "hour"), (timedelta(minutes=1), "minute")):
        if passed >= unit:
            return f"{counted(passed // unit, name)} ago"
    return "just now"


def sentence_case(text: str) -> str:
    """With a capital, and without the full stop that the page adds."""
    return (text[:1].upper() + text[1:]).strip().rstrip(".")


def size(count: int) -> str:
    """Bytes for people: powers of ten."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1000
    return ""


def lasted(milliseconds: float) -> str:
    """A duration for people."""
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"


def counted(count: int, noun: str) -> str:
    """`1 image`, `2 images`."""
    plural = noun if noun == "series" else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"


def person_name(name: PersonName) -> str:
    """Family name first."""
    given = f"{name.given} {name.middle}".strip()
    return ", ".join(part for part in (name.family, given) if part) or name.ideographic or "no name"


def day(moment: Moment | None) -> str:
    """A partial date as far as it is known, to the minute."""
    return moment.iso.replace("T", " ")[:16] if moment is not None else ""


def titled(job: ExchangeJob) -> str:
    """What an exchange is called; what a person has done once, by what it is."""
    if errand := str(job.payload.get(ERRAND, "")):
        return errand if not job.peer or job.peer in errand else f"{errand}, {job.peer}"
    with_peer, alone = TITLES[job.kind]
    return with_peer.format(peer=job.peer) if job.peer else alone


def summary(record: StudyRecord) -> Markup:
    """A study in half a line, which breaks between its parts only."""
    study = record.study
    parts = (day(study.started), " ".join(study.modalities), counted(len(study.series), "series"))
    return Markup(" · ").join(Markup('<span class="nowrap">{}</span>').format(part) for part in parts if part)


def told(said: str, record: AuditRecord | None) -> Markup:
    """A sentence of the audit trail: its studies are links, and long UIDs are shown by their ends."""
    studies = {each.id for each in record.objects if each.id_type.code == STUDY_INSTANCE_UID.code} if record else set()
    return Markup("").join(_pieces(said, studies))


def _pieces(said: str, studies: set[str]) -> Iterable[Markup]:
    done = 0
    for found in _UID.finditer(said):
        uid = found[0]
        if uid not in studies and len(uid) < LONG_UID:
            continue
        yield Markup("{}").format(said[done : found.start()])
        shown = f"{uid[:10]}…{uid[-6:]}" if len(uid) >= LONG_UID else uid
        if uid in studies:
            yield Markup('<a class="mono" href="/studies/{0}" title="{0}">{1}</a>').format(uid, shown)
        else:
            yield Markup('<span class="mono" title="{0}">{1}</span>').format(uid, shown)
        done = found.end()
    yield Markup("{}").format(said[done:])


def stored_window(attributes: Mapping[str, Any]) -> tuple[str, str]:
    """Level and width from which dragging starts: the image's own (0028,1050/1051), else the middle of its range."""
    level, width = (_first(attributes, tag) for tag in ("00281050", "00281051"))
    if level and width:
        return level, width
    bits = int(_first(attributes, "00280101") or "8")
    return str(2 ** (bits - 1)), str(2**bits)


def _first(attributes: Mapping[str, Any], tag: str) -> str:
    values = attributes.get(tag, {}).get("Value") or [""]
    return str(values[0])
