"""Wrong sources, repositories and administrators: what they submit, register, change and remove is not what it should be.

Their requests are changed on the way to the registry or repository that they ask, and its answers on the way to them.

Source: ITI TF-2 3.41; ITI TF-3 4.2.
"""

from collections.abc import Mapping

from conformance.faults.asking import asking_faults
from conformance.faults.edits import SUCCESS, AnswerEdit, Fault, answers, last_byte_changed
from profiles.xds.iti41 import ITI_41

PARTIAL_AS_SUCCESS = answers(rb'status="[^"]*PartialSuccess">.*?</rs:RegistryErrorList>', b'status="' + SUCCESS + b'">')


def _slot(name: bytes) -> bytes:
    return rb'<rim:Slot name="' + name + rb'">.*?</rim:Slot>'


class FaultsOf:
    """Makes faults of one transaction, caught by the cases of one suite."""

    def __init__(self, transaction: str, suite: str) -> None:
        """`transaction` is the id of what is asked by, `suite` who judges it."""
        self._transaction = transaction
        self._suite = suite

    def sent(self, text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
        """In what it asks."""
        return self._fault(f"from {self._transaction}", text, caught_by, answer)

    def told(self, text: str, *caught_by: str, answer: AnswerEdit) -> Fault:
        """In what it makes of an answer."""
        return self._fault(f"to {self._transaction}", text, caught_by, answer)

    def _fault(self, messages: str, text: str, caught_by: tuple[str, ...], answer: AnswerEdit) -> Fault:
        return Fault(
            text=text,
            transactions=(messages,),
            caught_by=tuple(f"{self._suite}/{name}" for name in caught_by),
            answer=answer,
        )


_source = FaultsOf("ITI-41", "xds.source")

FAULTS: Mapping[str, Fault] = {
    # --- ITI-41 ---
    **asking_faults(ITI_41, "xds.source"),
    "to ITI-41/partial-as-success": _source.told(
        "takes a submission that was taken in part for done", "refusal_told", answer=PARTIAL_AS_SUCCESS
    ),
    "from ITI-41/other-bytes": _source.sent("submits other bytes", "document", answer=last_byte_changed),
    "from ITI-41/no-document": _source.sent(
        "submits an entry without its document", "document", "nothing_odd",
        answer=answers(rb"<(?:\w+:)?Document id=.*?</(?:\w+:)?Document>", b""),
    ),
    "from ITI-41/hash": _source.sent(
        "gives a hash that is not the document's", "hash_and_size",
        answer=answers(rb'(<rim:Slot name="hash"><rim:ValueList><rim:Value>)[0-9a-f]{4}', rb"\g<1>0000"),
    ),
    "from ITI-41/size": _source.sent(
        "gives a size that is not the document's", "hash_and_size",
        answer=answers(rb'(<rim:Slot name="size"><rim:ValueList><rim:Value>)', rb"\g<1>1"),
    ),
    "from ITI-41/other-patient": _source.sent(
        "registers the document as another patient's", "patient",
        answer=answers(rb'(value=")C(\d+\^\^\^[^"]*"[^>]*58a6f841-87b3-4a3e-92fd-a8ffeff98427)', rb"\g<1>D\g<2>"),
    ),
    "from ITI-41/no-source-patient": _source.sent(
        "does not say whose id the source knows", "patient", answer=answers(_slot(rb"sourcePatientId"), b"")
    ),
    "from ITI-41/media-type": _source.sent(
        "calls a text something else", "media_type",
        answer=answers(rb'mimeType="text/plain"', b'mimeType="application/pdf"'),
    ),
    "from ITI-41/no-language": _source.sent(
        "does not say the language", "media_type", "nothing_odd", answer=answers(_slot(rb"languageCode"), b"")
    ),
    "from ITI-41/reference-member": _source.sent(
        "makes a new document a member by reference", "membership",
        answer=answers(rb"<rim:Value>Original</rim:Value>", b"<rim:Value>Reference</rim:Value>"),
    ),
    "from ITI-41/source-id": _source.sent(
        "names its source by a word", "membership",
        answer=answers(rb'(value=")[^"]*("[^>]*554ac39e-e3fe-47fe-b233-965d2a147832)', rb"\g<1>Source\g<2>"),
    ),
    "from ITI-41/unique-id": _source.sent(
        "calls the document by a word", "unassigned",
        answer=answers(rb'(value=")[^"]*("[^>]*2e82c1f6-a085-4c72-9da3-8640a32e42ab)', rb"\g<1>letter\g<2>"),
    ),
    "from ITI-41/replaces-another": _source.sent(
        "puts a document in the place of another one", "replacement",
        answer=answers(rb'(AssociationType:RPLC[^>]*targetObject="urn:uuid:)[0-9a-f]{4}', rb"\g<1>0000"),
    ),
    "from ITI-41/adds-instead": _source.sent(
        "adds to what it should replace", "replacement", answer=answers(rb"AssociationType:RPLC", b"AssociationType:APND")
    ),
}  # fmt: skip
