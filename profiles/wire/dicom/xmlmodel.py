"""The native DICOM model in XML, made from DICOM JSON.

For the few clients that ask for `application/dicom+xml`. Both models say the same; keywords come from the dictionary.

Source: DICOM PS3.19 A.1 (native DICOM model); PS3.18 8.7.3.2.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

import orjson

from profiles.model.content import Part, once
from profiles.wire.dicom.dictionary import keyword_of
from profiles.wire.xml import attribute, text

DICOM_XML = "application/dicom+xml"
NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_NAME_PARTS = ("FamilyName", "GivenName", "MiddleName", "NamePrefix", "NameSuffix")


def native_xml(instance: bytes | Mapping[str, Any]) -> bytes:
    """A JSON object as an XML document."""
    attributes = orjson.loads(instance) if isinstance(instance, bytes) else instance
    body = "".join(_attributes(attributes))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><NativeDicomModel xmlns="{NAMESPACE}" xml:space="preserve">'
        f"{body}</NativeDicomModel>"
    ).encode()


async def native_xml_parts(instances: Iterable[bytes | Mapping[str, Any]]) -> AsyncIterator[Part]:
    """JSON objects as parts of an answer, each an XML document of its own.

    Source: PS3.18 8.7.3.2.
    """
    for position, instance in enumerate(instances):
        body = native_xml(instance)
        yield Part(key=str(position), media_type=DICOM_XML, size_bytes=len(body), chunks=once(body))


def _attributes(attributes: Mapping[str, Any]) -> Iterator[str]:
    for tag in sorted(attributes):
        each = attributes[tag]
        named = f' keyword="{keyword}"' if (keyword := keyword_of(int(tag, 16))) else ""
        creator = _creator(attributes, tag)
        private = f' privateCreator="{attribute(creator)}"' if creator else ""
        yield f'<DicomAttribute tag="{attribute(tag)}" vr="{attribute(str(each.get("vr", "UN")))}"{named}{private}>'
        for number, value in enumerate(each.get("Value", []), 1):
            yield from _value(number, value, str(each.get("vr")))
        if "InlineBinary" in each:
            yield f"<InlineBinary>{text(each['InlineBinary'])}</InlineBinary>"
        if "BulkDataURI" in each:
            yield f'<BulkData uri="{attribute(each["BulkDataURI"])}"/>'
        yield "</DicomAttribute>"


def _value(number: int, value: Any, vr: str) -> Iterator[str]:
    if vr == "SQ":
        yield f'<Item number="{number}">'
        yield from _attributes(value or {})
        yield "</Item>"
    elif vr == "PN":
        yield f'<PersonName number="{number}">'
        for group in ("Alphabetic", "Ideographic", "Phonetic"):
            name = (value or {}).get(group, "")
            if name:
                parts = zip(_NAME_PARTS, name.split("^"), strict=False)
                inner = "".join(f"<{kind}>{text(part)}</{kind}>" for kind, part in parts if part)
                yield f"<{group}>{inner}</{group}>"
        yield "</PersonName>"
    elif value is not None:
        yield f'<Value number="{number}">{text(str(value))}</Value>'


def _creator(attributes: Mapping[str, Any], tag: str) -> str:
    """Who reserved the block of a private attribute."""
    if len(tag) != 8 or not int(tag[3], 16) & 1 or tag[4:6] == "00":
        return ""
    values = attributes.get(f"{tag[:4]}00{tag[4:6]}", {}).get("Value", [])
    return str(values[0]) if values else ""
