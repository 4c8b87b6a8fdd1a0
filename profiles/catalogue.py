"""Every profile and its transactions, listed by hand, in Framework order. There is no other registry.

Source: IHE ITI TF-2, RAD TF-2 (numbers); HL7 FHIR R4 and HL7 v2 where the Framework has none.
"""

from collections.abc import Mapping
from typing import Any

from profiles.atna import profile as atna
from profiles.ehr import profile as ehr
from profiles.pdqv3 import profile as pdqv3
from profiles.pix import profile as pix
from profiles.pixv3 import profile as pixv3
from profiles.swf import profile as swf
from profiles.transaction import Hl7Transaction, SoapTransaction, Transaction
from profiles.wia import profile as wia
from profiles.xca import profile as xca
from profiles.xcai import profile as xcai
from profiles.xcdr import profile as xcdr
from profiles.xcpd import profile as xcpd
from profiles.xds import profile as xds
from profiles.xdsi import profile as xdsi
from profiles.xua import profile as xua

PROFILES: Mapping[str, tuple[Transaction[Any, Any], ...]] = {
    "XDS.b": xds.TRANSACTIONS,
    "XDS-I.b": xdsi.TRANSACTIONS,
    "XCA": xca.TRANSACTIONS,
    "XCA-I": xcai.TRANSACTIONS,
    "XCDR": xcdr.TRANSACTIONS,
    "WIA": wia.TRANSACTIONS,
    "PIX": pix.TRANSACTIONS,
    "PIXV3": pixv3.TRANSACTIONS,
    "PDQV3": pdqv3.TRANSACTIONS,
    "XCPD": xcpd.TRANSACTIONS,
    "SWF.b": swf.TRANSACTIONS,
    "ATNA": atna.TRANSACTIONS,
    "XUA": xua.TRANSACTIONS,
    "EHR access": ehr.TRANSACTIONS,
}

TRANSACTIONS: tuple[Transaction[Any, Any], ...] = tuple(each for profile in PROFILES.values() for each in profile)


def transaction(name: str) -> Transaction[Any, Any]:
    """The transaction that people call by this name, such as "RAD-69".

    Raises:
        KeyError: There is none.
    """
    return next((each for each in TRANSACTIONS if each.id == name), None) or _unknown(name)


def by_soap_action(action: str) -> tuple[SoapTransaction[Any, Any], ...]:
    """Those asked by this wsa:Action: 0..n, for RAD-68 is ITI-41 on the wire."""
    return tuple(
        each
        for transaction in TRANSACTIONS
        if isinstance(transaction, SoapTransaction)
        for each in (transaction, *transaction.variants)
        if each.request_action == action
    )


def by_trigger_event(code: str, event: str, version: str) -> tuple[Hl7Transaction[Any, Any], ...]:
    """Those of this message code, trigger event and HL7 version, such as ("ADT", "A40", "2.3.1")."""
    return tuple(
        each
        for each in TRANSACTIONS
        if isinstance(each, Hl7Transaction) and (code, event) in each.triggers and version in each.versions
    )


def _unknown(name: str) -> Transaction[Any, Any]:
    raise KeyError(f"no transaction is called {name}")
