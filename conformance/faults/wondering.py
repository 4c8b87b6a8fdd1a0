"""Wrong consumers of identity services: what they ask by ITI-45 and ITI-47, and what they make of the answer.

Their questions are changed on their way to us; where it is about the answer, what we say to them: so a consumer looks that
takes the first of several, or whoever comes.

Source: ITI TF-2 3.45, 3.47; ITI TF-2x Appendix O.
"""

from collections.abc import Mapping

from conformance.faults.asking import addressing
from conformance.faults.edits import AnswerEdit, Fault, answers
from profiles.pdqv3.iti47 import ITI_47
from profiles.pixv3.iti45 import ITI_45

IDS, PEOPLE = "pixv3.consumer/", "pdqv3.consumer/"
_SUBJECT = rb"<subject .*?</subject>"


def _fault(transaction: str, text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
    suite = IDS if transaction.endswith("45") else PEOPLE
    return Fault(
        text=text, transactions=(transaction,), caught_by=tuple(suite + name for name in caught_by), answer=answer
    )


def _wrapping(id: str, interaction: bytes) -> Mapping[str, Fault]:
    """What can be wrong with how a question is wrapped."""
    name = f"from {id}"
    return {
        f"{name}/no-time": _fault(name, "does not say when", "wrapped", answer=answers(rb"<creationTime [^>]*/>", b"")),
        f"{name}/wants-nothing": _fault(
            name, "wants no acknowledgement", "wrapped",
            answer=answers(rb'<acceptAckCode code="AL"/>', b'<acceptAckCode code="NE"/>'),
        ),
        f"{name}/two-receivers": _fault(
            name, "is for two", "wrapped", answer=answers(rb"(<receiver .*?</receiver>)", rb"\1\1")
        ),
        f"{name}/other-trigger": _fault(
            name, "gives another trigger", "wrapped", answer=answers(interaction, b"PRPA_TE201399UV02")
        ),
        f"{name}/no-query-id": _fault(
            name, "does not name its question", "asks", answer=answers(rb"<queryId [^>]*/>", b'<queryId nullFlavor="NI"/>')
        ),
    }  # fmt: skip


FAULTS: Mapping[str, Fault] = {
    **addressing(ITI_45, IDS + "addressed"),
    **addressing(ITI_47, PEOPLE + "addressed"),
    **_wrapping("ITI-45", b"PRPA_TE201309UV02"),
    **_wrapping("ITI-47", b"PRPA_TE201305UV02"),
    "from ITI-45/another-id": _fault(
        "from ITI-45", "asks by another id", "asks",
        answer=answers(rb'(<patientIdentifier><value [^>]*extension=")V', rb"\1X"),
    ),
    "from ITI-45/no-domain": _fault(
        "from ITI-45", "asks for ids of any domain", "asks", answer=answers(rb"<dataSource>.*</dataSource>", b"")
    ),
    "to ITI-45/overlooks": _fault(
        "to ITI-45", "uses another id than it was told", "uses",
        answer=answers(rb'(<patient [^>]*><id [^>]*extension=")V', rb"\1X"),
    ),
    "to ITI-45/takes-the-first": _fault(
        "to ITI-45", "takes the first of several ids", "several",
        answer=answers(rb"(<patient [^>]*><id [^>]*/>)<id [^>]*/>", rb"\1"),
    ),
    "from ITI-47/no-name": _fault(
        "from ITI-47", "asks for a family name alone", "asks", answer=answers(rb"<given>[^<]*</given>", b"")
    ),
    "from ITI-47/no-birth": _fault(
        "from ITI-47", "does not say when somebody was born", "asks",
        answer=answers(rb"<livingSubjectBirthTime>.*?</livingSubjectBirthTime>", b""),
    ),
    "from ITI-47/no-sex": _fault(
        "from ITI-47", "does not say the sex", "asks",
        answer=answers(rb"<livingSubjectAdministrativeGender>.*?</livingSubjectAdministrativeGender>", b""),
    ),
    "from ITI-47/no-domain": _fault(
        "from ITI-47", "asks for ids of any domain", "asks",
        answer=answers(rb"<otherIDsScopingOrganization>.*?</otherIDsScopingOrganization>", b""),
    ),
    "from ITI-47/no-bound": _fault(
        "from ITI-47", "takes however many there are", "asks", answer=answers(rb"<initialQuantity [^>]*/>", b"")
    ),
    "to ITI-47/overlooks": _fault(
        "to ITI-47", "uses another id than it was told", "uses",
        answer=answers(rb'(<patient [^>]*><id [^>]*extension=")V', rb"\1X"),
    ),
    "to ITI-47/takes-the-first": _fault(
        "to ITI-47", "takes the first of several who fit", "several",
        answer=answers(rb"(" + _SUBJECT + rb")" + _SUBJECT, rb"\1"),
    ),
    "to ITI-47/takes-whoever-comes": _fault(
        "to ITI-47", "does not look at the birth date of who comes", "contradicts",
        answer=answers(rb'<birthTime value="19690509"/>', b'<birthTime value="19700101"/>'),
    ),
}  # fmt: skip
