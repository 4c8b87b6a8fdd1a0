"""Identifiers, checked when they are made.

A bare string is never an identity: a patient id always has its assigning authority, a UID is a UID. What a newcomer gets
wrong: `HomeCommunityId` is a bare OID here; the `urn:oid:` in front of it belongs to the wire that wants it.
"""

import re
from dataclasses import dataclass
from typing import Self

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MAX_UID_CHARACTERS = 64  # DICOM PS3.5 9.1; ITI TF-3 keeps the same limit for OIDs


class Uid(str):
    """A DICOM UID or an OID: dotted digits, 1..64 characters.

    Leading zeros inside a component are tolerated: they are common in the field and still name one thing.

    Raises:
        ValueError: The text is not a UID.

    Source: DICOM PS3.5 9.1.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and make."""
        if len(text) > MAX_UID_CHARACTERS or not _UID.fullmatch(text):
            raise ValueError("not a UID: dotted digits of at most 64 characters are asked for")
        return super().__new__(cls, text)

    @classmethod
    def from_urn(cls, text: str) -> Self:
        """Read with or without `urn:oid:` in front; doubled prefixes are seen in the field."""
        while text[:8].lower() == "urn:oid:":
            text = text[8:]
        return cls(text.strip())

    @property
    def urn(self) -> str:
        """`urn:oid:` and the UID, as ebXML `@home` and FHIR identifiers want it."""
        return f"urn:oid:{self}"


Oid = Uid
"""The same shape; the name says that it identifies an organisation or an authority and not an object."""


class EntryUuid(str):
    """The identity of a registry object, `urn:uuid:` and 36 lower-case characters.

    Source: ITI TF-3 4.2.3.2.7 (entryUUID).
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Check and make; upper case is folded."""
        folded = text.strip().lower()
        if not _UUID.fullmatch(folded):
            raise ValueError("not an entryUUID: urn:uuid: and a UUID are asked for")
        return super().__new__(cls, folded)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class PatientIdentifier:
    """A patient's id as one authority gave it. Compared on (value, authority); never on the value alone.

    Source: HL7 v2 CX; ITI TF-3 4.2.3.1.7.
    """

    value: str
    authority: Oid

    def __post_init__(self) -> None:
        """Refuse an empty id."""
        if not self.value.strip():
            raise ValueError("a patient id has a value")

    @classmethod
    def from_cx(cls, text: str) -> Self:
        """Read `id^^^&oid&ISO` as we write it; what peers write is the wires' to read.

        Raises:
            ValueError: Not that form.
        """
        value, _, rest = text.partition("^^^&")
        authority, _, kind = rest.partition("&")
        if kind != "ISO":
            raise ValueError("not a patient id with its authority")
        return cls(value=value, authority=Oid(authority))

    def __str__(self) -> str:
        """The form that IHE writes everywhere: `id^^^&oid&ISO`."""
        return f"{self.value}^^^&{self.authority}&ISO"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class AccessionNumber:
    """An imaging order's number, with the authority that gave it if that is known."""

    value: str
    authority: Oid | None = None
