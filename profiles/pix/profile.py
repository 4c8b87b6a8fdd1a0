"""The profile's transactions, and the same for a house that knows its senders' namespaces."""

from collections.abc import Mapping
from datetime import UTC, tzinfo

from profiles.model.identifiers import Oid
from profiles.pix.iti8 import ITI_8, iti_8
from profiles.pix.iti8.messages import Acknowledgement, PatientFeedRequest
from profiles.pix.iti30 import ITI_30, iti_30
from profiles.transaction import Hl7Transaction
from profiles.wire.hl7v2.datatypes import Site

TRANSACTIONS = (ITI_8, ITI_30)


def feed_transactions(
    namespaces: Mapping[str, Oid],
    *,
    default_authority: Oid | None = None,
    zone: tzinfo = UTC,
    codec: str = "utf-8",
) -> tuple[Hl7Transaction[PatientFeedRequest, Acknowledgement], ...]:
    """ITI-8 and ITI-30 with the table of assigning authorities; see `Site` for the arguments.

    They stand in for `ITI_8` and `ITI_30` at the listener, found by their id.
    """
    site = Site(namespaces=namespaces, default_authority=default_authority, zone=zone, codec=codec)
    return iti_8(site), iti_30(site)
