"""Wrong sources, managers and consumers of patient identities: what they say by ITI-44 and ITI-46, and keep of it.

Source: ITI TF-2 3.44, 3.46; ITI TF-2x Appendix O.
"""

from collections.abc import Mapping
from dataclasses import replace

from conformance.faults.asking import addressing
from conformance.faults.edits import AnswerEdit, Fault, RequestEdit, answers, requests
from conformance.faults.people import of_answers
from conformance.in_flight import Incoming
from conformance.system import System
from profiles.pixv3.iti44 import ITI_44
from profiles.pixv3.iti46 import ITI_46

SOURCE, MANAGER, CONSUMER = "pixv3.source/", "pixv3.notifier/", "pixv3.notified/"
_PERSON = rb"(<patientPerson [^>]*>.*?</name>)"


def _source(text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    return Fault(
        text=text, transactions=("from ITI-44",), caught_by=tuple(SOURCE + name for name in caught_by), answer=answer
    )


def _manager(text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    return Fault(
        text=text, transactions=("from ITI-46",), caught_by=tuple(MANAGER + name for name in caught_by), answer=answer
    )


def _consumer(
    text: str, *caught_by: str, transaction: str = "ITI-46", request: RequestEdit | None = None,
    answer: AnswerEdit | None = None,
) -> Fault:  # fmt: skip
    return Fault(
        text=text, transactions=(transaction,), caught_by=tuple(CONSUMER + name for name in caught_by), request=request,
        answer=answer,
    )  # fmt: skip


def _somebody_known(system: System) -> bytes:
    """The condition that a patient has an id of somebody whom the system knows."""
    known = system.patients[0]
    return (
        f'<livingSubjectId><value root="{known.authority}" extension="{known.value}"/>'
        "<semanticsText>LivingSubject.id</semanticsText></livingSubjectId>"
    ).encode()


def _new_id_each_time() -> AnswerEdit:
    """Every message has another id than before, also where it is the same."""
    count = 0

    def edited(incoming: Incoming) -> Incoming:
        nonlocal count
        count += 1
        new = b"00000000-0000-4000-8000-%012d" % count
        return answers(rb'(<PRPA_[^>]*><id root=")[^"]*', rb"\g<1>" + new)(incoming)

    return edited


def _lost_from_the_second() -> AnswerEdit:
    """A patient who was told of is never told of again."""
    seen: set[bytes] = set()

    def edited(incoming: Incoming) -> Incoming:
        patient = incoming.body.partition(b'<patient classCode="PAT">')[2].partition(b"/>")[0]
        if patient in seen:
            return replace(incoming, body=incoming.body.replace(patient, b'<id root="1.2.3" extension="lost"'))
        seen.add(patient)
        return incoming

    return edited


FAULTS: Mapping[str, Fault] = {
    **addressing(ITI_44, SOURCE + "addressed"),
    **addressing(ITI_46, MANAGER + "addressed"),
    # --- ITI-44 of a source ---
    "from ITI-44/no-time": _source("does not say when", "wrapped", answer=answers(rb"<creationTime [^>]*/>", b"")),
    "from ITI-44/day": _source(
        "says the day and no time", "wrapped", answer=answers(rb'(<creationTime value="\d{8})[^"]*', rb"\1")
    ),
    "from ITI-44/current-state": _source(
        "asks for another mode of processing", "wrapped",
        answer=answers(rb'<processingModeCode code="T"/>', b'<processingModeCode code="I"/>'),
    ),
    "from ITI-44/wants-nothing": _source(
        "wants no acknowledgement", "wrapped", answer=answers(rb'<acceptAckCode code="AL"/>', b'<acceptAckCode code="NE"/>')
    ),
    "from ITI-44/two-receivers": _source(
        "is for two", "wrapped", answer=answers(rb"(<receiver .*?</receiver>)", rb"\1\1")
    ),
    "from ITI-44/no-sender": _source(
        "does not say who it is", "wrapped", answer=answers(rb"<sender .*?</sender>", b"")
    ),
    "from ITI-44/other-trigger": _source(
        "gives the trigger of another event", "wrapped", answer=answers(rb"PRPA_TE201301UV02", b"PRPA_TE201302UV02")
    ),
    "from ITI-44/other-id": _source(
        "tells another id", "add", "revise", "merge",
        answer=answers(rb'(<patient classCode="PAT"><id [^>]*extension=")C', rb"\1X"),
    ),
    "from ITI-44/no-demographics": _source(
        "tells a name and no more", "add", answer=answers(_PERSON + rb".*?</patientPerson>", rb"\1</patientPerson>")
    ),
    "from ITI-44/names-swapped": _source(
        "takes the family name for the given one", "add", "revise",
        answer=answers(rb"<given>([^<]*)</given><family>([^<]*)</family>", rb"<given>\2</given><family>\1</family>"),
    ),
    "from ITI-44/other-provider": _source(
        "names a provider of another authority", "add",
        answer=answers(rb'(<providerOrganization [^>]*><id root=")[^"]*', rb"\g<1>1.2.3"),
    ),
    "from ITI-44/no-custodian": _source(
        "does not say who keeps the record", "add", answer=answers(rb"<custodian .*?</custodian>", b"")
    ),
    "from ITI-44/not-active": _source(
        "registers somebody who is not", "add",
        answer=answers(rb'(<id nullFlavor="NA"/><statusCode code=")active', rb"\1obsolete"),
    ),
    "from ITI-44/old-name": _source("tells what was before", "revise", answer=answers(rb"Changed", b"Passed")),
    "from ITI-44/merges-the-other-way": _source(
        "takes who stays for who goes", "merge",
        answer=answers(
            rb'(<patient classCode="PAT"><id [^>]*extension=")([^"]*)(.*<priorRegisteredRole .*? extension=")([^"]*)',
            rb"\1\4\3\2",
        ),
    ),
    "from ITI-44/nobody-goes": _source(
        "merges and does not say whom", "merge", answer=answers(rb"<replacementOf .*?</replacementOf>", b"")
    ),
    "from ITI-44/still-there": _source(
        "does not say that the former registration is over", "merge", answer=answers(rb'code="obsolete"', b'code="active"')
    ),
    "from ITI-44/new-message": _source("makes a new message of what comes again", "again", answer=_new_id_each_time()),
    "from ITI-44/gives-up": _source("does not send again", "again", answer=_lost_from_the_second()),
    # --- ITI-46 of a manager ---
    "from ITI-46/one-id": _manager(
        "tells one id alone", "ids", "further_id",
        answer=answers(rb'(<patient classCode="PAT"><id [^>]*/>)<id [^>]*/>', rb"\1"),
    ),
    "from ITI-46/news-only": _manager(
        "tells only what is new", "ids", "further_id",
        answer=answers(rb'(<patient classCode="PAT">)<id [^>]*/>(<id [^>]*/>)', rb"\1\2"),
    ),
    "from ITI-46/no-name": _manager(
        "does not say the name", "ids", answer=answers(rb"<family>[^<]*</family>", b"<family>Nobody</family>")
    ),
    "from ITI-46/demographics": _manager(
        "tells demographics that nobody asked for", "no_more",
        answer=answers(_PERSON, rb'\1<administrativeGenderCode code="F" codeSystem="2.16.840.1.113883.5.1"/>'),
    ),
    # --- ITI-46 at a consumer ---
    **of_answers("ITI-46", CONSUMER),
    "ITI-46/forgets": _consumer(
        "does not keep what it is told", "kept",
        request=requests(rb'(?<=<patient classCode="PAT">)(<id [^>]*/>)<id [^>]*/>', b'<id root="1.2.3" extension="X"/>'),
    ),
    "ITI-46/refuses-unknown": _consumer(
        "takes it for an error that it does not know a patient", "unknown",
        answer=answers(rb'<typeCode code="CA"/>', b'<typeCode code="CE"/>'),
    ),
    "ITI-46/makes-patients": _consumer(
        "finds whom it was only told ids of", "unknown", transaction="ITI-47",
        request=requests(rb"<livingSubjectId>.*</livingSubjectId>", _somebody_known),
    ),
    "ITI-46/merges": _consumer(
        "makes one of two", "conflict", transaction="ITI-47", answer=answers(rb"<subject .*</subject>", b"")
    ),
}  # fmt: skip
