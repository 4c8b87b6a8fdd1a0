"""Modalities before the pixels have come: what a SOP class says of the series that its instances are in.

A manifest names instances and their classes and no modality. Who reads it guesses by this table; what the pixels say wins.
"""

from collections.abc import Iterable, Mapping

from profiles.model.imaging import Instance

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_BY_SUFFIX: Mapping[str, str] = {
    "1": "CR",
    "1.1": "DX",
    "1.1.1": "DX",
    "1.2": "MG",
    "1.2.1": "MG",
    "1.3": "IO",
    "1.3.1": "IO",
    "2": "CT",
    "2.1": "CT",
    "2.2": "CT",
    "3.1": "US",
    "4": "MR",
    "4.1": "MR",
    "4.2": "MR",
    "4.3": "MR",
    "4.4": "MR",
    "6.1": "US",
    "6.2": "US",
    "6.3": "PA",
    "9.1.1": "ECG",
    "9.1.2": "ECG",
    "9.1.3": "ECG",
    "9.1.4": "ECG",
    "9.2.1": "HD",
    "9.3.1": "EPS",
    "11.1": "PR",
    "11.2": "PR",
    "11.3": "PR",
    "11.4": "PR",
    "11.5": "PR",
    "11.6": "PR",
    "11.7": "PR",
    "11.8": "PR",
    "11.9": "PR",
    "11.10": "PR",
    "11.11": "PR",
    "11.12": "PR",
    "12.1": "XA",
    "12.1.1": "XA",
    "12.2": "RF",
    "12.2.1": "RF",
    "13.1.1": "XA",
    "13.1.3": "MG",
    "13.1.4": "MG",
    "13.1.5": "MG",
    "14.1": "IVOCT",
    "14.2": "IVOCT",
    "20": "NM",
    "66.1": "REG",
    "66.2": "FID",
    "66.3": "REG",
    "66.4": "SEG",
    "66.5": "SEG",
    "67": "RWV",
    "77.1.1": "ES",
    "77.1.1.1": "ES",
    "77.1.2": "GM",
    "77.1.2.1": "GM",
    "77.1.3": "SM",
    "77.1.4": "XC",
    "77.1.4.1": "XC",
    "77.1.5.1": "OP",
    "77.1.5.2": "OP",
    "77.1.5.4": "OPT",
    "77.1.6": "SM",
    "77.1.7": "DMS",
    "78.1": "LEN",
    "78.2": "AR",
    "78.3": "KER",
    "78.4": "SRF",
    "78.5": "VA",
    "78.7": "OAM",
    "78.8": "IOL",
    "80.1": "OPV",
    "81.1": "OPM",
    "88.11": "SR",
    "88.22": "SR",
    "88.33": "SR",
    "88.34": "SR",
    "88.35": "SR",
    "88.50": "SR",
    "88.59": "KO",
    "88.65": "SR",
    "88.67": "SR",
    "88.68": "SR",
    "88.69": "SR",
    "88.71": "SR",
    "88.72": "SR",
    "88.73": "SR",
    "90.1": "ASMT",
    "91.1": "ANN",
    "104.1": "DOC",
    "104.2": "DOC",
    "104.3": "M3D",
    "104.4": "M3D",
    "104.5": "M3D",
    "128": "PT",
    "128.1": "PT",
    "130": "PT",
    "481.1": "RTIMAGE",
    "481.2": "RTDOSE",
    "481.3": "RTSTRUCT",
    "481.4": "RTRECORD",
    "481.5": "RTPLAN",
    "481.6": "RTRECORD",
    "481.7": "RTRECORD",
    "481.8": "RTPLAN",
    "481.9": "RTRECORD",
}

MODALITY_OF_SOP_CLASS: Mapping[str, str] = {_STORAGE + suffix: modality for suffix, modality in _BY_SUFFIX.items()}
"""The modality that a SOP class stands for, by UID; secondary capture has none.

Source: DICOM PS3.3 C.7.3.1.1.1 and the modules of each IOD.
"""


def modality_of_classes(instances: Iterable[Instance]) -> str:
    """The modality of the first instance whose SOP class says one; "" when none does. A series has one modality."""
    for instance in instances:
        found = MODALITY_OF_SOP_CLASS.get(instance.sop_class_uid)
        if found:
            return found
    return ""
