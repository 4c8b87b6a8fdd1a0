"""Provide: by which transaction documents go to a peer, and to which community.

What a newcomer gets wrong: RAD-68 and ITI-41 are the same on the wire and still two addresses: a peer may take manifests at
one door and letters at another. ITI-80 is for another community, and only where the peer has no nearer door; a community
may know the patient by an id of its own, which XCPD tells.

Source: RAD TF-2 4.68; ITI TF-2 3.41, 3.80.
"""

from dataclasses import replace

from gateway.model.peer import Peer
from gateway.services.discover import Discover
from profiles.errors import RuleViolation, Unsupported
from profiles.model.identifiers import Oid
from profiles.transaction import SoapTransaction
from profiles.xcdr.iti80 import ITI_80
from profiles.xds.iti41 import ITI_41, ProvideAndRegisterRequest, RegistryResponse, is_imaging
from profiles.xdsi.rad68 import RAD_68

Way = SoapTransaction[ProvideAndRegisterRequest, RegistryResponse]

OF_IMAGES: tuple[Way, ...] = (RAD_68, ITI_41, ITI_80)
"""Manifests and imaging reports go by the first of these that a peer has an address for."""

OF_OTHERS: tuple[Way, ...] = (ITI_41, ITI_80)
"""And any other document."""


def addressed(
    peer: Peer, request: ProvideAndRegisterRequest, *, by: str = "", home: Oid | None = None
) -> tuple[Way, ProvideAndRegisterRequest]:
    """By which transaction it goes to the peer, and the request as it is sent then.

    Args:
        peer: Who is to take it.
        request: What.
        by: The id of a transaction, to have that one; "": the first that fits and has an address.
        home: The community that it is for, where the peer speaks for several; None: the peer's own.

    Raises:
        Unsupported: The peer has no address for any of them.
        RuleViolation: There is no such way, or the peer does not speak for the community.
    """
    ways = OF_IMAGES if is_imaging(request) else OF_OTHERS
    wanted = [way for way in ways if by in ("", way.id)]
    names = " or ".join(way.id for way in ways)
    if not wanted:
        raise RuleViolation(
            f"{by} is no way for this document", cure=f"Choose {names}, or leave the choice to the settings"
        )
    way = next((each for each in wanted if each.id in peer.endpoints), None)
    if way is None:
        raise Unsupported(
            f"no address of {peer.name} is known for {by or names}", cure=f"Add one to [peer.endpoint] of {peer.name}"
        )
    if way is not ITI_80 and home is None:
        return way, request
    to = home or peer.home_community_id
    if to is None or (way is ITI_80 and not peer.speaks_for(to)):
        raise RuleViolation(
            f"{peer.name} does not speak for this community",
            cure="Add its home_community_id, or homes, to the [[peer]]",
        )
    return way, replace(request, home_community_id=to)


async def as_known_there(
    request: ProvideAndRegisterRequest, peer: Peer, discover: Discover, exchange_id: str
) -> ProvideAndRegisterRequest:
    """The same, with the id by which the peer's community knows the patient; with ours, where nobody says that it does.

    Raises:
        PeerError: The community answers ITI-55, and cannot be asked.
    """
    if request.home_community_id is None or request.home_community_id != peer.home_community_id:
        return request
    submission = request.submission
    there = await discover.id_at(peer, submission.submission_set.patient_id, exchange_id)
    if there is None:
        return request
    known = replace(
        submission,
        submission_set=replace(submission.submission_set, patient_id=there),
        entries=tuple(replace(each, patient_id=there) for each in submission.entries),
        folders=tuple(replace(each, patient_id=there) for each in submission.folders),
    )
    return replace(request, submission=known)
