"""Wrong administrators and initiators of updates: what they change, deprecate, remove and ask about several patients.

Source: ITI TF-2 3.51, 3.57, 3.62, 3.86, 3.92.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from conformance.faults.asking import asking_faults
from conformance.faults.edits import Fault, answers
from conformance.faults.submitting import PARTIAL_AS_SUCCESS, FaultsOf
from conformance.in_flight import Incoming
from conformance.suites.xds.changing import NEW_TITLE
from profiles.transaction import SoapTransaction
from profiles.xds.iti51 import ITI_51
from profiles.xds.iti57 import ITI_57
from profiles.xds.iti62 import ITI_62
from profiles.xds.iti86 import ITI_86
from profiles.xds.iti92 import ITI_92

_PREVIOUS = rb'<rim:Slot name="PreviousVersion">.*?</rim:Slot>'
_DOCUMENT = rb"(?<=<xds:DocumentUniqueId>)[^<]*"


def _same_uuid(incoming: Incoming) -> Incoming:
    """The new version has the entryUUID of the first one."""
    found = re.search(rb'<rim:ExtrinsicObject id="([^"]*)" lid="([^"]*)"', incoming.body)
    return incoming if found is None else replace(incoming, body=incoming.body.replace(found[1], found[2]))


def _asking(transaction: SoapTransaction[Any, Any], suite: str) -> Mapping[str, Fault]:
    """With a partial success of what is done whole or not at all."""
    told = FaultsOf(transaction.id, suite).told(
        "takes a partial success for success", "refusal_told", answer=PARTIAL_AS_SUCCESS
    )
    return {**asking_faults(transaction, suite), f"to {transaction.id}/partial-as-success": told}


def _versions(id: str, of: FaultsOf) -> Mapping[str, Fault]:
    """What can be wrong with a new version."""
    return {
        f"from {id}/other-logical-id": of.sent(
            "makes a version of something else", "version",
            answer=answers(rb'( lid="urn:uuid:)[0-9a-f]{4}', rb"\g<1>0000"),
        ),
        f"from {id}/other-unique-id": of.sent(
            "gives a version another uniqueId", "version", "unchanged",
            answer=answers(rb'(value=")[^"]*("[^>]*2e82c1f6-a085-4c72-9da3-8640a32e42ab)', rb"\g<1>1.2.3.4\g<2>"),
        ),
        f"from {id}/same-uuid": of.sent("gives a version the entryUUID of the first", "version", answer=_same_uuid),
        f"from {id}/no-previous": of.sent(
            "does not say which version it follows", "previous", "nothing_odd", answer=answers(_PREVIOUS, b"")
        ),
        f"from {id}/other-previous": of.sent(
            "follows another version", "previous",
            answer=answers(rb'(<rim:Slot name="PreviousVersion"><rim:ValueList><rim:Value>)', rb"\g<1>9"),
        ),
        f"from {id}/no-change": of.sent(
            "changes nothing", "changed", answer=answers(NEW_TITLE.encode() + rb" \w+", b"A text")
        ),
        f"from {id}/more": of.sent(
            "changes the media type too", "unchanged", answer=answers(rb'mimeType="text/plain"', b'mimeType="text/html"')
        ),
        f"from {id}/less": of.sent(
            "leaves out whose id the source knows", "unchanged",
            answer=answers(rb'<rim:Slot name="sourcePatientId">.*?</rim:Slot>', b""),
        ),
        f"from {id}/other-patient": of.sent(
            "submits the change as another patient's", "patient", "nothing_odd",
            answer=answers(rb'(value=")C(\d+\^\^\^[^"]*"[^>]*6b5aea1a-874d-4603-a4bc-96a0a7b38446)', rb"\g<1>D\g<2>"),
        ),
    }  # fmt: skip


_update = FaultsOf("ITI-57", "xds.administrator_update")
_remove = FaultsOf("ITI-62", "xds.administrator_remove")
_documents = FaultsOf("ITI-86", "xds.administrator_remove_documents")
_restrict = FaultsOf("ITI-92", "xds.update_initiator")
_find = FaultsOf("ITI-51", "xds.consumer_of_many")

FAULTS: Mapping[str, Fault] = {
    # --- ITI-51 ---
    **asking_faults(ITI_51, "xds.consumer_of_many"),
    "from ITI-51/forgets-one": _find.sent(
        "asks for one patient of two", "query_named",
        answer=answers(rb",'N\d+\^\^\^[^']*'\)", b")"),
    ),
    "from ITI-51/other-status": _find.sent(
        "asks only for what is deprecated", "query_named",
        answer=answers(rb"StatusType:Approved", b"StatusType:Deprecated"),
    ),
    "from ITI-51/no-status": _find.sent(
        "does not say the status", "nothing_odd", "query_named",
        answer=answers(rb'<rim:Slot name="\$XDSDocumentEntryStatus">.*?</rim:Slot>', b""),
    ),
    # --- ITI-57 ---
    **_asking(ITI_57, "xds.administrator_update"),
    **_versions("ITI-57", _update),
    "from ITI-57/deprecates-another": _update.sent(
        "deprecates another entry", "deprecation",
        answer=answers(rb'(UpdateAvailabilityStatus"[^>]*targetObject="urn:uuid:)[0-9a-f]{4}', rb"\g<1>0000"),
    ),
    "from ITI-57/no-original-status": _update.sent(
        "does not say which status is changed", "deprecation",
        answer=answers(rb'<rim:Slot name="OriginalStatus">.*?</rim:Slot>', b""),
    ),
    "from ITI-57/approves": _update.sent(
        "changes the status the other way round", "deprecation",
        answer=answers(rb"StatusType:Deprecated", b"StatusType:Approved"),
    ),
    # --- ITI-62 ---
    **_asking(ITI_62, "xds.administrator_remove"),
    "from ITI-62/leaves-one": _remove.sent(
        "leaves something that refers to what goes", "everything", answer=answers(rb"<rim:ObjectRef [^>]*/>", b"", 1)
    ),
    "from ITI-62/one-twice": _remove.sent(
        "names one twice", "everything", answer=answers(rb"(<rim:ObjectRef [^>]*/>)", rb"\1\1", 1)
    ),
    "from ITI-62/another": _remove.sent(
        "removes something else", "everything",
        answer=answers(rb'(<rim:ObjectRef id="urn:uuid:)[0-9a-f]{4}', rb"\g<1>0000", 1),
    ),
    "from ITI-62/nothing": _remove.sent(
        "names nothing", "nothing_odd", "everything", answer=answers(rb"<rim:ObjectRef [^>]*/>", b"")
    ),
    # --- ITI-86 ---
    **_asking(ITI_86, "xds.administrator_remove_documents"),
    "from ITI-86/other-document": _documents.sent("removes another document", "named", answer=answers(_DOCUMENT, b"1.2.3")),
    "from ITI-86/other-repository": _documents.sent(
        "asks another repository", "named", answer=answers(rb"(?<=<xds:RepositoryUniqueId>)[^<]*", b"1.2.3")
    ),
    "from ITI-86/nothing": _documents.sent(
        "names no repository", "nothing_odd", "named",
        answer=answers(rb"<xds:RepositoryUniqueId>[^<]*</xds:RepositoryUniqueId>", b""),
    ),
    # --- ITI-92 ---
    **_asking(ITI_92, "xds.update_initiator"),
    **_versions("ITI-92", _restrict),
}  # fmt: skip
