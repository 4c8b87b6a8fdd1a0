"""Messages of updates and removals: values, for the tests of their four transactions."""

from dataclasses import replace

from profiles.model.document import Association, AssociationType, AvailabilityStatus, Submission
from profiles.xds.iti57 import UpdateRequest
from profiles.xds.iti62 import RemoveMetadataRequest
from profiles.xds.iti86 import DocumentRequest, RemoveDocumentsRequest
from profiles.xds.iti92 import RestrictedUpdateRequest
from tests.support.ebxml import ENTRY, FOLDER, SET

OLD = "urn:uuid:00000000-0000-4000-8000-000000000009"
OTHER = "urn:uuid:00000000-0000-4000-8000-000000000008"


def _member(id: str, target: str, **slots: str) -> Association:
    return Association(
        entry_uuid=id, type=AssociationType.HAS_MEMBER, source=SET.entry_uuid, target=target, original=True,
        extra=tuple((name, (value,)) for name, value in slots.items()),
    )  # fmt: skip


VERSION = Submission(
    submission_set=SET,
    entries=(replace(ENTRY, logical_id=OLD),),
    associations=(_member("member", ENTRY.entry_uuid, PreviousVersion="1"),),
)
OPERATIONS = Submission(
    submission_set=SET,
    entries=(replace(ENTRY, logical_id=OLD),),
    folders=(replace(FOLDER, logical_id=OTHER),),
    associations=(
        _member("member", ENTRY.entry_uuid, PreviousVersion="1"),
        _member("filed", FOLDER.entry_uuid, PreviousVersion="4", AssociationPropagation="no"),
        Association(
            entry_uuid="status", type=AssociationType.UPDATE_AVAILABILITY_STATUS, source=SET.entry_uuid, target=OTHER,
            extra=(
                ("OriginalStatus", (str(AvailabilityStatus.APPROVED),)),
                ("NewStatus", (str(AvailabilityStatus.DEPRECATED),)),
            ),
        ),
        Association(entry_uuid="new", type=AssociationType.REPLACE, source=OLD, target=OTHER),
        Association(
            entry_uuid="submit", type=AssociationType.SUBMIT_ASSOCIATION, source=SET.entry_uuid, target="new"
        ),
    ),
)  # fmt: skip
UPDATE = UpdateRequest(submission=OPERATIONS)
RESTRICTED = RestrictedUpdateRequest(submission=VERSION)
REMOVE = RemoveMetadataRequest(entry_uuids=(OLD, OTHER))
REMOVE_DOCUMENTS = RemoveDocumentsRequest(
    documents=(DocumentRequest(repository_unique_id="1.2.3.2", document_unique_id="1.2.826.0.1.99.2"),)
)
