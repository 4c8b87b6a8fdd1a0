"""Wrong secure nodes among those who keep documents: deeds that are not audited, or not as what they are.

Source: the audit sections of ITI TF-2 3.42, 3.51, 3.57, 3.61, 3.62, 3.86, 3.92 and RAD TF-2 4.68.
"""

from collections.abc import Iterable, Mapping

from conformance.faults.audit import lost
from conformance.faults.edits import AnswerEdit, Fault, answers
from conformance.suites.atna.document_audit import DEEDS, IMPORT, PATIENT_RECORD, Deed

_OBJECT = rb'<ParticipantObjectIdentification (?=[^>]*TypeCodeRole="%d")[^>]*>.*?</ParticipantObjectIdentification>'
_IMPORTS = [each for each in DEEDS if each.event == IMPORT]
_REMOVALS = [each for each in DEEDS if each.event == PATIENT_RECORD]


def _name(deed: Deed) -> str:
    return f"atna.document_audit/{deed.transaction.id.lower().replace('-', '_')}"


def _audit(text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    return Fault(text=text, transactions=("ITI-20",), caught_by=caught_by, answer=answer)


def _done(deeds: Iterable[Deed]) -> list[str]:
    return [_name(each) for each in deeds]


def _refused(deeds: Iterable[Deed]) -> list[str]:
    return [f"{_name(each)}_refused" for each in deeds]


FAULTS: Mapping[str, Fault] = {
    **{
        f"ITI-20/no-{each.transaction.id}": _audit(
            f"does not audit {each.transaction.id}", _name(each),
            answer=lost(b'csd-code="%b"' % each.transaction.id.encode()),
        )
        for each in DEEDS
    },
    "ITI-20/refused-as-done": _audit(
        "says of whatever it refused that it did it", *_refused(DEEDS),
        answer=answers(rb'EventOutcomeIndicator="\d+"', b'EventOutcomeIndicator="0"'),
    ),
    "ITI-20/refused-without-reason": _audit(
        "does not say why it refused something", *_refused(DEEDS),
        answer=answers(rb"<EventOutcomeDescription>.*?</EventOutcomeDescription>", b""),
    ),
    "ITI-20/no-sets": _audit(
        "does not say which submission it was", *_done(_IMPORTS[:2]), answer=answers(_OBJECT % 20, b"")
    ),
    "ITI-20/no-removed": _audit("does not say what it removed", *_done(_REMOVALS), answer=answers(_OBJECT % 3, b"")),
    "ITI-20/removal-as-reading": _audit(
        "takes a removal for a reading", *_done(_REMOVALS), answer=answers(b'EventActionCode="D"', b'EventActionCode="R"')
    ),
    "ITI-20/whose": _audit(
        "does not say whose it was", *_done(each for each in DEEDS if each.of_patient), answer=answers(_OBJECT % 1, b"")
    ),
}  # fmt: skip
