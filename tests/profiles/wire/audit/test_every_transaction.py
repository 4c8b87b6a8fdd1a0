"""Whatever a transaction audits, on either side and however it ended, is valid, short enough and told in a sentence.

Its request may never have been read: that is audited too. What each says of a request that was is its own test's.
"""

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from profiles.catalogue import TRANSACTIONS
from profiles.errors import MalformedMessage, PeerTimeout
from profiles.transaction import Side, Transaction
from profiles.wire.audit.message import MAX_MESSAGE_BYTES, encode
from profiles.wire.audit.read import decode
from profiles.wire.audit.sentences import sentence
from tests.profiles.wire.audit.records import FACTS, PATIENT, STUDY
from tests.support.judges import standards

SILENT = {"ITI-20", "FHIR capabilities"}  # the audit itself, and what tells nothing of anybody
KNOWN = replace(FACTS, patients=(PATIENT,), studies=(STUDY,), query=b"the question")
ENDS = {
    "not read": replace(FACTS, error=MalformedMessage("it cannot be read")),
    "refused": replace(KNOWN, error=MalformedMessage("it breaks a rule", code="XDSRegistryMetadataError")),
    "broken": replace(KNOWN, error=PeerTimeout("nothing came")),
    "half delivered": replace(KNOWN, error=PeerTimeout("nothing came"), delivered=("1.2.3",), undelivered=("1.2.4",)),
}


@pytest.mark.judge_standard
@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("transaction", TRANSACTIONS, ids=[each.id for each in TRANSACTIONS])
def test_its_records_are_valid_and_readable(transaction: Transaction[Any, Any], side: Side, end: str) -> None:
    judge = etree.XMLSchema(etree.parse(standards("atna-schema", "dicom2017c.xsd")))
    records = transaction.audit(side, None, None, ENDS[end])
    assert records or transaction.id in SILENT
    for record in records:
        written = encode(record)
        judge.assertValid(etree.fromstring(written))
        assert len(written) <= MAX_MESSAGE_BYTES
        assert decode(written).value == record
        assert sentence(record).endswith(".")
    assert any(record.outcome for record in records) or not records
