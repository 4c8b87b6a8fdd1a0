"""Naming: what audit calls an endpoint or an application, a reader knows by the name of a house."""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from gateway.model.house import House
from gateway.ports.peers import Directory


class Names(Mapping[str, str]):
    """Names by user id: any address of a system is known by its origin, an HL7 application by `facility|application`."""

    def __init__(self, house: House, directory: Directory) -> None:
        """Learn our own names and those of the peers."""
        self._known: dict[str, str] = {
            _origin(house.base_url): house.name,
            f"{house.hl7_facility}|{house.hl7_application}": house.name,
        }
        for peer in directory.all():
            for address in peer.endpoints.values():
                self._known.setdefault(_origin(address), peer.name)
            if peer.hl7 is not None:
                self._known[f"{peer.hl7.receiving_facility}|{peer.hl7.receiving_application}"] = peer.name

    def __getitem__(self, user_id: str) -> str:
        """The name of whoever is behind an id."""
        return self._known.get(user_id) or self._known[_origin(user_id)]

    def __iter__(self) -> Iterator[str]:
        """Ids that have a name."""
        return iter(self._known)

    def __len__(self) -> int:
        """How many."""
        return len(self._known)


def _origin(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else address
