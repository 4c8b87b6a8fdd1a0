"""What is audited of ITI-80: as ITI-41, under its own type, and the community that the submission set was addressed to.

Source: ITI TF-2 3.80.5.
"""

from dataclasses import replace

from profiles.model.audit import AuditRecord, ParticipantObject
from profiles.model.identifiers import Oid
from profiles.transaction import Facts, Side
from profiles.wire.audit.participants import ROLE_JOB, submission_set_object, transaction_code
from profiles.xcdr.iti80.messages import ProvideAndRegisterRequest, RegistryResponse
from profiles.xds.iti41 import ITI_41

CODE = transaction_code("ITI-80", "Cross-Gateway Document Provide")


def audit(
    side: Side, request: ProvideAndRegisterRequest | None, response: RegistryResponse | None, facts: Facts
) -> tuple[AuditRecord, ...]:
    """One record per patient: the submission set's, or those of the facts when there is none to read."""
    home = request.home_community_id if request is not None else None
    return tuple(
        replace(each, types=(CODE,), objects=tuple(_addressed(one, home) for one in each.objects))
        for each in ITI_41.audit(side, request, response, facts)
    )


def _addressed(named: ParticipantObject, home: Oid | None) -> ParticipantObject:
    return submission_set_object(named.id, home) if named.role == ROLE_JOB else named
