"""Keeper: who has a document or an image that an entry or a manifest names, and by which transaction it is asked.

A repository or source that we know by its id is asked itself; where it has no address for that, as one behind a gateway has
none, the community is asked in whose name it was told of.

Source: ITI TF-2 3.39, 3.43; RAD TF-2 4.69, 4.75.
"""

from typing import TypeVar

from gateway.model.peer import Peer
from gateway.ports.peers import Directory
from profiles.errors import UnknownRepository
from profiles.model.content import Poured
from profiles.model.identifiers import Oid
from profiles.transaction import Transaction
from profiles.wire.ebxml.retrieve import RetrieveDocumentSetResponse
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest

DocumentRetrieval = Transaction[RetrieveDocumentSetRequest, Poured[RetrieveDocumentSetResponse]]
ImagingRetrieval = Transaction[RetrieveImagingDocumentSetRequest, Poured[RetrieveDocumentSetResponse]]

Retrieval = TypeVar("Retrieval", DocumentRetrieval, ImagingRetrieval)


def keeper_of_document(directory: Directory, repository: str, home: Oid | None) -> tuple[Peer, DocumentRetrieval]:
    """Of a document at this repository (repositoryUniqueId), of this community where its entry names one.

    Raises:
        UnknownRepository: Nobody whom we know.
    """
    found = _keeper(directory, directory.by_repository(repository), ITI_43, home, ITI_39)
    if found is not None:
        return found
    raise UnknownRepository(
        f"nobody is known at repository {repository or 'without an id'}",
        cure="Add the id to repository_unique_ids of the [[peer]] that keeps the documents, or an endpoint for"
        " ITI-39 to that of its community",
    )


def keeper_of_images(directory: Directory, location: Oid, home: Oid | None) -> tuple[Peer, ImagingRetrieval]:
    """Of images at this Retrieve Location UID, of this community where the entry of their manifest names one.

    Raises:
        UnknownRepository: Nobody whom we know.
    """
    found = _keeper(directory, directory.by_retrieve_location(location), RAD_69, home, RAD_75)
    if found is not None:
        return found
    raise UnknownRepository(
        f"nobody is known at retrieve location {location}",
        cure="Add the UID to retrieve_location_uids of the [[peer]] that keeps the images, or an endpoint for RAD-75"
        " to that of its community",
    )


def _keeper(
    directory: Directory, known: Peer | None, direct: Retrieval, home: Oid | None, across: Retrieval
) -> tuple[Peer, Retrieval] | None:
    """Who is known at the id if it has an address for that, else the community's gateway, else who has none."""
    if known is not None and direct.id in known.endpoints:
        return known, direct
    gateway = directory.by_home(home, across.id) if home is not None else None
    if gateway is not None:
        return gateway, across
    return (known, direct) if known is not None else None  # asking says that it has no address for it
