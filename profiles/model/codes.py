"""Coded values, and the few codes that a profile fixes for everybody."""

from dataclasses import dataclass

DCM = "1.2.840.10008.2.16.4"
DCM_UID_REGISTRY = "1.2.840.10008.2.6.1"
SNOMED_CT = "2.16.840.1.113883.6.96"
LOINC = "2.16.840.1.113883.6.1"
CONFIDENTIALITY = "2.16.840.1.113883.5.25"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Code:
    """A code of a system. `system` is an OID without `urn:oid:`, or the designator a peer sent; display is for people.

    Source: ITI TF-3 4.2.3.1.2.
    """

    value: str
    system: str
    display: str = ""


MANIFEST_TITLE = Code(value="113030", system=DCM, display="Manifest")
"""DICOM PS3.16 CID 7010: the title that makes a Key Object Selection a manifest."""

KOS_SOP_CLASS = "1.2.840.10008.5.1.4.1.1.88.59"

MANIFEST_FORMAT = Code(value=KOS_SOP_CLASS, system=DCM_UID_REGISTRY, display="Key Object Selection Document")
"""RAD TF-3 4.68: the formatCode of an imaging manifest."""
