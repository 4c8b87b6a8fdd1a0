"""What is audited of a frame retrieve: DICOM Instances Accessed, type RAD-107; frames are parts of an instance.

Source: DICOM PS3.15 A.5.3.6 (DICOM Instances Accessed); RAD TF-2 4.107.
"""

from profiles.model.audit import AuditRecord
from profiles.model.content import Poured
from profiles.transaction import Facts, Side
from profiles.wia.frames.messages import RetrieveFramesHead, RetrieveFramesRequest
from profiles.wire.audit.participants import transaction_code
from profiles.wire.dicom.audited import audit_access

CODE = transaction_code("RAD-107", "WADO-RS Retrieve")


def audit(
    side: Side, request: RetrieveFramesRequest | None, response: Poured[RetrieveFramesHead] | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient."""
    return audit_access(CODE, side, None if request is None else request.study_instance_uid, facts)
