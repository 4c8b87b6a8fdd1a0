"""An AuditRecord as one plain English sentence for a compliance officer: who, what, whose, to whom, and how it ended.

No codes and no times: the caller shows the time beside it. What a newcomer gets wrong: who sent and who fetched is not
in the event but in the participants; whoever of source and destination is the requestor moved the data.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from profiles.model.audit import (
    Action,
    ActiveParticipant,
    AuditCode,
    AuditRecord,
    Outcome,
    ParticipantObject,
)
from profiles.wire.audit import participants as known

_NOBODY: Mapping[str, str] = {}
_FHIR_INTERACTIONS = "http://hl7.org/fhir/restful-interaction"


def sentence(record: AuditRecord, names: Mapping[str, str] = _NOBODY) -> str:
    """One sentence, ending with its outcome and a full stop.

    Args:
        record: What happened.
        names: Names for user ids or network addresses that readers know better by a name: peers, our own endpoints.
    """
    scene = _Scene(record, names)
    tell = _TELLERS.get(record.event.code, _something)
    said = tell(scene) + scene.by_transaction() + scene.on_behalf()
    if said.startswith("somebody"):  # names are written as they are
        said = "S" + said[1:]
    return f"{said}; {_ending(record)}."


def _ending(record: AuditRecord) -> str:
    if record.event.code == known.SECURITY_ALERT.code:  # what it says stands in the sentence already
        return _ALERT_ENDINGS[record.outcome]
    told = record.outcome_description.strip().rstrip(".")
    ending = _ENDINGS[record.outcome]
    return f"{ending}: {told}" if told else ending


_ENDINGS: Mapping[Outcome, str] = {
    Outcome.SUCCESS: "it succeeded",
    Outcome.MINOR_FAILURE: "it failed",
    Outcome.SERIOUS_FAILURE: "it failed badly",
    Outcome.MAJOR_FAILURE: "it failed, and what this system says can not be relied on",
}
_ALERT_ENDINGS: Mapping[Outcome, str] = {
    Outcome.SUCCESS: "for information",
    Outcome.MINOR_FAILURE: "it was averted",
    Outcome.SERIOUS_FAILURE: "it needs attention",
    Outcome.MAJOR_FAILURE: "the system may be compromised",
}


@dataclass(frozen=True, slots=True)
class _Scene:
    """The record, by the parts that people play in it."""

    record: AuditRecord
    names: Mapping[str, str]

    # --- who ---

    def _with_role(self, *roles: AuditCode) -> ActiveParticipant | None:
        codes = {role.code for role in roles}
        return next((who for who in self.record.participants if codes & {role.code for role in who.roles}), None)

    @property
    def source(self) -> ActiveParticipant | None:
        return self._with_role(known.SOURCE_ROLE, _SOURCE_MEDIA)

    @property
    def destination(self) -> ActiveParticipant | None:
        return self._with_role(known.DESTINATION_ROLE, _DESTINATION_MEDIA)

    @property
    def requestor(self) -> ActiveParticipant | None:
        """Whoever started it; a person before a system."""
        asked = [who for who in self.record.participants if who.is_requestor]
        return next((who for who in asked if not known.is_system(who)), asked[0] if asked else None)

    @property
    def other(self) -> ActiveParticipant | None:
        """The one that did not start it."""
        return next((who for who in self.record.participants if who is not self.requestor), None)

    def name(self, who: ActiveParticipant | None, otherwise: str = "somebody") -> str:
        if who is None:
            return otherwise
        for identity in (who.user_id, who.network_access_point):
            if identity and identity in self.names:
                return self.names[identity]
        if who.user_name:
            return who.user_name.partition("<")[0].strip() or who.user_name.strip("<>").partition("@")[0]
        return _readable(who) or otherwise

    def on_behalf(self) -> str:
        """The person for whom two systems acted, and why."""
        moved = self.source is not None and self.destination is not None
        named = {
            self.name(self.source),
            self.name(self.destination),
        }  # a person may be one end, and is then said already
        people = [self.name(who) for who in self.record.participants if moved and not known.is_system(who)]
        said = f" for {', '.join(name for name in people if name not in named)}".removesuffix(" for ")
        purposes = " and ".join(code.text or code.code for code in self.record.purposes)
        return f"{said}, purpose {purposes}" if purposes else said

    def did(self, done: str, attempted: str) -> str:
        """The verb: what was done, or what was tried."""
        return done if self.record.outcome is Outcome.SUCCESS else f"tried to {attempted}"

    def by_transaction(self) -> str:
        numbers = [code.code for code in self.record.types if code.system == known.IHE_TRANSACTIONS]
        if any(code.system == _FHIR_INTERACTIONS for code in self.record.types):
            numbers.append("FHIR")
        return f" by {' and '.join(numbers)}" if numbers else ""

    def is_type(self, kind: AuditCode) -> bool:
        return any(code.code == kind.code for code in self.record.types)

    # --- about what ---

    def _of(self, *kinds: AuditCode) -> list[ParticipantObject]:
        codes = {kind.code for kind in kinds}
        return [subject for subject in self.record.objects if subject.id_type.code in codes]

    @property
    def patient(self) -> str:
        patients = [subject for subject in self.record.objects if subject.role == known.ROLE_PATIENT]
        return " and ".join(f"patient {subject.id.partition('^')[0]}" for subject in patients if subject.id)

    def things(self) -> str:
        """What was moved or looked at, and whose it is: `the study 1.2.3 (60 instances) of patient V123`."""
        said = _listed("the study", "studies", self._of(known.STUDY_INSTANCE_UID), _with_count)
        said = said or _listed("the document", "documents", self._of(known.REPORT_NUMBER), _plain)
        said = said or _listed("the submission", "submissions", self._of(known.SUBMISSION_SET), _plain)
        if not said:
            return f"records of {self.patient}" if self.patient else "something"
        return f"{said} of {self.patient}" if self.patient else said

    def alert(self) -> str:
        for subject in self.record.objects:
            for kind, value in subject.details:
                if kind == known.ALERT_DESCRIPTION:
                    return value.decode("utf-8", "replace").strip().rstrip(".")
        return self.record.outcome_description or (
            self.record.types[0].text if self.record.types else "no reason given"
        )


_SOURCE_MEDIA = AuditCode(code="110155", system=known.DCM, text="Source Media")
_DESTINATION_MEDIA = AuditCode(code="110154", system=known.DCM, text="Destination Media")


def _readable(who: ActiveParticipant) -> str:
    """The host of a URL, `application at facility`, or the id as it is."""
    if who.user_id == known.ANONYMOUS_REPLY:
        return who.network_access_point
    if "://" in who.user_id:
        return urlsplit(who.user_id).hostname or who.user_id
    facility, bar, application = who.user_id.partition("|")
    if bar:
        return f"{application} at {facility}"
    return who.user_id or who.network_access_point


def _plain(subject: ParticipantObject) -> str:
    return subject.id


def _with_count(subject: ParticipantObject) -> str:
    count = sum(number for _, number in subject.sop_classes)
    return f"{subject.id} ({_counted(count, 'instance')})" if count else subject.id


def _listed(one: str, many: str, subjects: list[ParticipantObject], tell: Callable[[ParticipantObject], str]) -> str:
    if not subjects:
        return ""
    if len(subjects) == 1:
        return f"{one} {tell(subjects[0])}"
    if len(subjects) <= _NAMED:
        return f"the {many} {', '.join(tell(subject) for subject in subjects)}"
    return f"{len(subjects)} {many}"


_NAMED = 3  # more than these are counted, not named


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


# --- one teller an event ----------------------------------------------------------------------------------------------


def _moved(scene: _Scene) -> str:
    source, destination = scene.source, scene.destination
    if source is None and destination is None:
        return f"{scene.name(scene.requestor)} {_CHANGED[scene.record.action]} {scene.things()}"
    if destination is not None and destination.is_requestor and not (source is not None and source.is_requestor):
        fetched = scene.did("fetched", "fetch")
        return f"{scene.name(destination)} {fetched} {scene.things()} from {scene.name(source, 'an unknown place')}"
    sent = scene.did("sent", "send")
    sender = scene.name(source, scene.name(scene.requestor))
    return f"{sender} {sent} {scene.things()} to {scene.name(destination, 'an unknown place')}"


def _asked(scene: _Scene) -> str:
    about = f"about {scene.patient}" if scene.patient else "what it has"
    if scene.source is None and scene.destination is None:
        searched = f"{scene.name(scene.requestor)} {scene.did('searched', 'search')}"
        return f"{searched} for {scene.patient}" if scene.patient else searched
    asked = scene.did("asked", "ask")
    return f"{scene.name(scene.source)} {asked} {scene.name(scene.destination, 'an unknown place')} {about}"


def _patient_record(scene: _Scene) -> str:
    patient = scene.patient or "a patient"
    if scene.source is None:
        return f"{scene.name(scene.requestor)} {_CHANGED[scene.record.action]} the record of {patient}"
    told = {
        Action.CREATE: f"of {patient}, who is new",
        Action.UPDATE: f"of a change to {patient}",
        Action.DELETE: f"that {patient} is no longer valid",
        Action.READ: f"of {patient}",
        Action.EXECUTE: f"of {patient}",
    }[scene.record.action]
    return f"{scene.name(scene.source)} {scene.did('told', 'tell')} {scene.name(scene.destination, 'somebody')} {told}"


_CHANGED: Mapping[Action, str] = {
    Action.CREATE: "made",
    Action.READ: "read",
    Action.UPDATE: "changed",
    Action.DELETE: "removed",
    Action.EXECUTE: "used",
}


def _procedure_record(scene: _Scene) -> str:
    if scene.source is None:
        return f"{scene.name(scene.requestor)} {_CHANGED[scene.record.action]} the record of {scene.things()}"
    reported = scene.did("reported", "report")
    return f"{scene.name(scene.source)} {reported} {scene.things()} to {scene.name(scene.destination, 'somebody')}"


def _activity(scene: _Scene) -> str:
    application = scene._with_role(known.APPLICATION_ROLE) or scene.requestor
    verb = "stopped" if scene.is_type(known.APPLICATION_STOP) else "started"
    return f"{scene.name(application, scene.record.source_id)} {verb}"


def _log_used(scene: _Scene) -> str:
    return f"{scene.name(scene.requestor)} looked at the audit log"


def _alerted(scene: _Scene) -> str:
    done = next((_DONE[code.code] for code in scene.record.types if code.code in _DONE), "")
    who = scene.requestor
    if done and who is not None and not known.is_system(who):
        return f"{scene.name(who)} {done}: {scene.alert()}"
    about = f" about {scene.name(scene.other)}" if scene.other is not None else ""
    return f"{scene.name(who)} reported for security{about}: {scene.alert()}"


_DONE: Mapping[str, str] = {
    known.EMERGENCY_OVERRIDE_STARTED.code: "broke the glass",
    known.NETWORK_CONFIGURATION.code: "changed the network settings",
    known.SECURITY_CONFIGURATION.code: "changed the security settings",
    known.SOFTWARE_CONFIGURATION.code: "changed the settings",
    known.USE_OF_RESTRICTED_FUNCTION.code: "used a restricted function",
}
"""What a person did who stands in an alert."""


def _authenticated(scene: _Scene) -> str:
    who, where = scene.requestor or scene.other, scene.record.source_id
    if scene.is_type(known.LOGOUT):
        return f"{scene.name(who)} logged out of {where}"
    return f"{scene.name(who)} {scene.did('logged in', 'log in')} to {where}"


def _began(scene: _Scene) -> str:
    source, destination = scene.name(scene.source), scene.name(scene.destination, "an unknown place")
    return f"{source} {scene.did('began', 'begin')} to send {scene.things()} to {destination}"


def _deleted(scene: _Scene) -> str:
    return f"{scene.name(scene.requestor)} {scene.did('deleted', 'delete')} {scene.things()}"


def _something(scene: _Scene) -> str:
    return f"{scene.name(scene.requestor)} was part of “{scene.record.event.text}” about {scene.things()}"


_TELLERS: Mapping[str, Callable[[_Scene], str]] = {
    known.APPLICATION_ACTIVITY.code: _activity,
    known.AUDIT_LOG_USED.code: _log_used,
    known.BEGIN_TRANSFERRING.code: _began,
    known.INSTANCES_ACCESSED.code: _moved,
    known.INSTANCES_TRANSFERRED.code: _moved,
    known.STUDY_DELETED.code: _deleted,
    known.EXPORT.code: _moved,
    known.IMPORT.code: _moved,
    known.ORDER_RECORD.code: _procedure_record,
    known.PATIENT_RECORD.code: _patient_record,
    known.PROCEDURE_RECORD.code: _procedure_record,
    known.QUERY.code: _asked,
    known.SECURITY_ALERT.code: _alerted,
    known.USER_AUTHENTICATION.code: _authenticated,
}
