"""What is audited of RAD-107: DICOM Instances Transferred at the source.

Source: DICOM PS3.15 A.5.3.7 (DICOM Instances Transferred); RAD TF-2 4.107.
"""

from profiles.model.audit import AuditRecord
from profiles.model.content import Poured
from profiles.transaction import Facts, Side
from profiles.wia.rad107.messages import RetrieveInstancesHead, RetrieveInstancesRequest
from profiles.wire.audit.participants import transaction_code
from profiles.wire.dicom.audited import audit_transfer

CODE = transaction_code("RAD-107", "WADO-RS Retrieve")


def audit(
    side: Side, request: RetrieveInstancesRequest | None, response: Poured[RetrieveInstancesHead] | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient and outcome."""
    asked = () if response is None else tuple(each.sop_instance_uid for each in response.head.instances)
    return audit_transfer(CODE, side, None if request is None else request.study_instance_uid, asked, facts)
