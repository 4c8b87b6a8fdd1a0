"""intendedRecipient: the organisation, person and address that a submission is for, as names to look up.

What a newcomer gets wrong: none of the three parts is required, and of each only what the sender knows is there.

Source: ITI TF-3 4.2.3.3.7 (`XON|XCN|XTN`); table 4.2.3.1.7-2.
"""

from collections.abc import Iterator

from profiles.wire.ebxml.datatypes import unescape_hl7

XON_NAME, XON_AUTHORITY, XON_ID = 0, 5, 9
XCN_ID, XCN_FAMILY, XCN_GIVEN, XCN_AUTHORITY = 0, 1, 2, 8
XTN_OLD, XTN_ADDRESS, XTN_NUMBER = 0, 3, 11


def names_of(recipient: str) -> frozenset[str]:
    """Every name of it, in small letters and with single spaces; none where it names nobody.

    Of an organisation name and id, of a person id and "given family", of an address what is dialled or written to. An id
    that has an authority stands with it too: `id^^^&oid&ISO`.
    """
    organization, person, address = [*recipient.split("|"), "", ""][:3]
    found = (*_of_organization(organization), *_of_person(person), *_of_address(address))
    return frozenset(name for name in map(folded, found) if name)


def folded(name: str) -> str:
    """A name as it is compared."""
    return " ".join(name.casefold().split())


def _of_organization(text: str) -> Iterator[str]:
    parts = _Parts(text)
    yield parts[XON_NAME]
    yield parts[XON_ID]
    yield parts.with_authority(XON_ID, XON_AUTHORITY)


def _of_person(text: str) -> Iterator[str]:
    parts = _Parts(text)
    yield parts[XCN_ID]
    yield parts.with_authority(XCN_ID, XCN_AUTHORITY)
    yield f"{parts[XCN_GIVEN]} {parts[XCN_FAMILY]}"


def _of_address(text: str) -> Iterator[str]:
    parts = _Parts(text)
    yield parts[XTN_ADDRESS]
    yield parts[XTN_NUMBER]
    yield parts[XTN_OLD]


class _Parts:
    """The components of a value; what is not there is ""."""

    def __init__(self, text: str) -> None:
        self._parts = text.split("^")

    def __getitem__(self, place: int) -> str:
        return unescape_hl7(self._raw(place)).strip()

    def with_authority(self, id_: int, authority: int) -> str:
        named, of = self[id_], self._raw(authority).strip()
        return f"{named}^^^{of}" if named and of else ""

    def _raw(self, place: int) -> str:
        return self._parts[place] if place < len(self._parts) else ""
