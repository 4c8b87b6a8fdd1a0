"""A resource as XML, from the same object that JSON is made of.

The form is mechanical: members become elements in the order in which they stand, primitives `value` attributes, arrays
repeated elements, `_member` what extends a primitive, a resource inside another is wrapped in its type.

Source: HL7 FHIR R4, XML Representation of Resources.
"""

from collections.abc import Iterator
from typing import Any

from profiles.wire import xml
from profiles.wire.fhir.datatypes import Json

NAMESPACE = "http://hl7.org/fhir"

_EXTENSIONS = ("extension", "modifierExtension")


def attribute(value: object) -> str:
    """A primitive as the text of an attribute."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return xml.attribute(str(value))


def document(resource: Json) -> bytes:
    """A whole resource, with the namespace and without an XML declaration (UTF-8 is the default)."""
    name = resource["resourceType"]
    return f'<{name} xmlns="{NAMESPACE}">{"".join(_members(resource))}</{name}>'.encode()


def opened(resource: Json) -> bytes:
    """A resource up to where its last, long member will stand; `closed` ends it."""
    return document(resource).removesuffix(closed(resource))


def closed(resource: Json) -> bytes:
    """What ends an opened resource."""
    return f"</{resource['resourceType']}>".encode()


def elements(name: str, values: list[Json]) -> bytes:
    """Repeated elements of an opened resource."""
    return "".join(fragment for value in values for fragment in _element(name, value)).encode()


def _members(value: Json) -> Iterator[str]:
    for name, member in value.items():
        if name == "resourceType":
            continue
        if name.startswith("_"):
            if name[1:] not in value:
                yield from _primitives(name[1:], [], member)
        elif f"_{name}" in value:
            yield from _primitives(name, member, value[f"_{name}"])
        elif isinstance(member, list):
            for each in member:
                yield from _element(name, each)
        else:
            yield from _element(name, member)


def _primitives(name: str, values: Any, extras: Any) -> Iterator[str]:
    """Primitives that are extended: values and extensions side by side, either may be missing."""
    if not isinstance(extras, list):
        values, extras = ([values] if values != [] else []), [extras]
    for index, extra in enumerate(extras):
        value = values[index] if index < len(values) else None
        said = "" if value is None else f' value="{attribute(value)}"'
        yield (
            f"<{name}{_attributes(extra)}{said}>{''.join(_members(_without(extra, 'id')))}</{name}>"
            if extra
            else (f"<{name}{said}/>")
        )


def _element(name: str, value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield value if name == "div" else f'<{name} value="{attribute(value)}"/>'
    elif "resourceType" in value:
        kind = value["resourceType"]
        yield f"<{name}><{kind}>{''.join(_members(value))}</{kind}></{name}>"
    elif name in _EXTENSIONS:
        yield f"<{name}{_attributes(value, 'id', 'url')}>{''.join(_members(_without(value, 'id', 'url')))}</{name}>"
    else:
        yield f"<{name}{_attributes(value)}>{''.join(_members(_without(value, 'id')))}</{name}>"


def _attributes(value: Json, *names: str) -> str:
    return "".join(f' {name}="{attribute(value[name])}"' for name in names or ("id",) if name in value)


def _without(value: Json, *names: str) -> Json:
    return {name: member for name, member in value.items() if name not in names} if value.keys() & set(names) else value
