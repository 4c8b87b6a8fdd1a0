"""A resource as XML, from the same object that JSON is made of.

The form is mechanical: members become elements in the order in which they stand, primitives `value` attributes, arrays
repeated elements, `_member` what extends a primitive, a resource inside another is wrapped in its type.

Source: HL7 FHIR R4, XML Representation of Resources.
"""

from itertools import zip_longest
from typing import Any

from profiles.wire import xml
from profiles.wire.fhir.datatypes import Json

NAMESPACE = "http://hl7.org/fhir"

_EXTENSIONS = ("extension", "modifierExtension")
_ID = ("id",)
_ID_AND_URL = ("id", "url")


def attribute(value: object) -> str:
    """A primitive as the text of an attribute."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return xml.attribute(str(value))


def document(resource: Json) -> bytes:
    """A whole resource, with the namespace and without an XML declaration (UTF-8 is the default)."""
    name = resource["resourceType"]
    out = [f'<{name} xmlns="{NAMESPACE}">']
    _members(resource, out)
    out.append(f"</{name}>")
    return "".join(out).encode()


def opened(resource: Json) -> bytes:
    """A resource up to where its last, long member will stand; `closed` ends it."""
    return document(resource).removesuffix(closed(resource))


def closed(resource: Json) -> bytes:
    """What ends an opened resource."""
    return f"</{resource['resourceType']}>".encode()


def elements(name: str, values: list[Json]) -> bytes:
    """Repeated elements of an opened resource."""
    out: list[str] = []
    for value in values:
        _element(name, value, out)
    return "".join(out).encode()


def _members(value: Json, out: list[str], attributes: tuple[str, ...] = ("resourceType",)) -> None:
    """Everything that is not an attribute already."""
    for name, member in value.items():
        if name in attributes:
            continue
        if name[0] == "_":
            if name[1:] not in value:
                _primitives(name[1:], None, member, out)
        elif f"_{name}" in value:
            _primitives(name, member, value[f"_{name}"], out)
        elif isinstance(member, list):
            for each in member:
                _element(name, each, out)
        else:
            _element(name, member, out)


def _primitives(name: str, values: Any, extras: Any, out: list[str]) -> None:
    """Primitives that are extended: values and extensions side by side, either may be missing."""
    if not isinstance(extras, list):
        values, extras = [values], [extras]
    for value, extra in zip_longest(values or (), extras):
        said = "" if value is None else f' value="{attribute(value)}"'
        if not extra:
            out.append(f"<{name}{said}/>")
            continue
        out.append(f"<{name}{_attributes(extra, _ID)}{said}>")
        _members(extra, out, _ID)
        out.append(f"</{name}>")


def _element(name: str, value: Any, out: list[str]) -> None:
    if not isinstance(value, dict):
        out.append(value if name == "div" else f'<{name} value="{attribute(value)}"/>')
    elif "resourceType" in value:
        kind = value["resourceType"]
        out.append(f"<{name}><{kind}>")
        _members(value, out)
        out.append(f"</{kind}></{name}>")
    else:
        attributes = _ID_AND_URL if name in _EXTENSIONS else _ID
        out.append(f"<{name}{_attributes(value, attributes)}>")
        _members(value, out, attributes)
        out.append(f"</{name}>")


def _attributes(value: Json, names: tuple[str, ...]) -> str:
    return "".join([f' {name}="{attribute(value[name])}"' for name in names if name in value])
