"""Forward: what is for another community goes on to the peer that speaks for it (a hub), and its answer comes back.

Nothing is kept here: the documents stand in the spool of the request, whatever their size, and who sent them is told only
what the community has answered. So they are never whole in memory, and safe there before they are acknowledged here.

What a newcomer gets wrong: two hubs that each take the other for a community's mouth would send a submission in circles.
It never goes back to who brought it, nor on a second time while the first is under way.

Source: ITI TF-2 3.80.
"""

from gateway.model.cure import cure_of
from gateway.model.peer import Peer
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store
from gateway.services.exchange import Exchange, about_its_own_patient
from gateway.services.ingest import under_its_own_name
from profiles.errors import PeerError, PeerUnavailable, UnknownCommunity
from profiles.findings import Severity
from profiles.model.document import SubmissionSet
from profiles.model.identifiers import Oid
from profiles.wire.ebxml.response import RegistryError, RegistryResponse, ResponseStatus, refusal, warned
from profiles.xcdr.iti80 import ITI_80, ProvideAndRegisterRequest


class Forward:
    """The way on to other communities."""

    def __init__(self, *, store: Store, peers: Peers, directory: Directory) -> None:
        """Nothing is under way."""
        self._store = store
        self._peers = peers
        self._directory = directory
        self._under_way: set[str] = set()

    async def submission(self, request: ProvideAndRegisterRequest, home: Oid, exchange: Exchange) -> RegistryResponse:
        """Hand it to who speaks for `home`; answers what was answered there.

        A community that cannot be reached is XDSUnavailableCommunity, with recipients named UnavailableRecipient.

        Raises:
            UnknownCommunity: Nobody whom we know speaks for it, or we are not to pass on to them (XDSUnknownCommunity).
            AccessDenied: The submission is in another source's name, or about another patient than the assertion.
        """
        whole = request.submission.submission_set
        exchange.learned.patients = (whole.patient_id,)
        under_its_own_name(request.submission, exchange)
        await about_its_own_patient(whole.patient_id, exchange, self._store)
        peer = self._speaker(home, exchange)
        answer: RegistryResponse | None = None
        try:
            if whole.unique_id in self._under_way:
                raise PeerUnavailable(
                    "the same submission is under way already",
                    cure=f"If it comes back from {peer.name}, it and we take each other for this community's mouth",
                )
            self._under_way.add(whole.unique_id)
            try:
                async with self._peers.call(ITI_80, peer, request, exchange_id=exchange.id, user=exchange.user) as call:
                    answer = call.response
                    refused = refusal(answer.status, answer.errors)
                    if refused is not None:
                        raise refused
                    why, cure = warned(answer.errors)
                    call.learned(why=why, cure=cure)
            finally:
                self._under_way.discard(whole.unique_id)
        except PeerError as error:
            learned = exchange.learned
            learned.failed, learned.why, learned.cure = True, error.detail, cure_of(error)
            learned.text = f"Not taken by {peer.name}"
            return _refused(answer, error) if answer is not None else _unavailable(whole, home)
        exchange.learned.text = f"Passed on to {peer.name}"
        exchange.learned.why, exchange.learned.cure = why, cure
        return answer

    def _speaker(self, home: Oid, exchange: Exchange) -> Peer:
        peer = self._directory.by_home(home, ITI_80.id)
        if peer is None or not peer.forward or (exchange.peer is not None and peer.name == exchange.peer.name):
            raise UnknownCommunity(
                "this home community id is not ours, and we do not pass on to it", code="XDSUnknownCommunity",
                location=home.urn, cure="Set forward = true for the [[peer]] that speaks for it, with an ITI-80 endpoint",
            )  # fmt: skip
        return peer


def _refused(answer: RegistryResponse, error: PeerError) -> RegistryResponse:
    """Their no, as they said it; one without a reason, or that contradicts itself, is a plain one."""
    errors = answer.errors
    if not any(each.severity is Severity.ERROR for each in errors):
        errors = (RegistryError(code="XDSRepositoryError", context=error.detail), *errors)
    return RegistryResponse(status=ResponseStatus.FAILURE, errors=errors)


def _unavailable(whole: SubmissionSet, home: Oid) -> RegistryResponse:
    code = "UnavailableRecipient" if whole.intended_recipients else "XDSUnavailableCommunity"
    error = RegistryError(
        code=code, context="this community could not be reached, or did not take it", location=home.urn
    )
    return RegistryResponse(status=ResponseStatus.FAILURE, errors=(error,))
