"""Belonging: whose a document of another community is, asked there before it is fetched.

An assertion may be tied to one patient (XUA). What is ours we can hold against it; of what another community keeps, only
its registry knows. So before a document goes through for such an assertion, that registry is asked, by the id under which
it knows the patient: for the document by its uniqueId (GetDocuments), for a study by its Study Instance UID
(FindDocumentsByReferenceId). What it does not say is the patient's, or says nothing of, is not fetched, and nothing else of
the request either.

What a newcomer gets wrong: to remember what a query had found would not do. It may be another house of a cluster that is
asked next, or a day later; and ids that a person learned elsewhere have been named by no query.

Source: ITI TF-2 3.40.4.1.2 (resource-id), 3.18.4.1.2.3.7 (the queries).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.model.peer import Peer
from gateway.ports.peers import Directory, Peers
from gateway.services.discover import Discover
from gateway.services.exchange import Exchange
from profiles.errors import AccessDenied, ExchangeError
from profiles.model.document import STUDY_INSTANCE_UID, AvailabilityStatus, DocumentEntry, EntryType
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.query import DocumentCriteria
from profiles.wire.ebxml.response import refusal
from profiles.xca.iti38 import ITI_38, StoredQueryRequest
from profiles.xds.iti18 import StoredQuery
from profiles.xdsi.rad69 import RetrieveImagingDocumentSetRequest

EVER = (AvailabilityStatus.APPROVED, AvailabilityStatus.DEPRECATED)


class Belonging:
    """Whose documents of other communities are."""

    def __init__(self, *, peers: Peers, directory: Directory, discover: Discover) -> None:
        """Stand on the ports."""
        self._peers = peers
        self._directory = directory
        self._discover = discover

    async def hold(self, asked: Mapping[Oid, Any], elsewhere: Sequence[str], exchange: Exchange) -> None:
        """Let only the patient's documents be fetched, if the exchange is for somebody whose assertion is tied to one.

        Args:
            asked: Requests of ITI-39 or RAD-75 by home community.
            elsewhere: Names of other sources of our own community that would be asked: nobody can say whose theirs are.
            exchange: For whom.

        Raises:
            AccessDenied: Something is not the patient's, or nobody says that it is.
        """
        assertion = exchange.caller.assertion
        if assertion is None or not assertion.patient or not (asked or elsewhere):
            return
        try:
            bound = PatientIdentifier.from_cx(assertion.patient)
        except ValueError:
            raise _refused("the assertion's patient is no id") from None
        if elsewhere:
            raise _refused("nobody says whose the documents of another source are")
        for home, request in asked.items():
            peer = self._directory.by_home(home, ITI_38.id)
            if peer is None:
                raise _refused("the community's registry cannot be asked whose a document is")
            try:
                if not await self._are_of(bound, request, peer, home, exchange):
                    raise _refused("the community does not say that all of this is the assertion's patient's")
            except AccessDenied:
                raise
            except ExchangeError as error:
                raise _refused("the community did not say whose this is") from error
        exchange.learned.patients = (bound,)

    async def _are_of(self, bound: PatientIdentifier, request: Any, peer: Peer, home: Oid, exchange: Exchange) -> bool:
        ours = await self._discover.in_our_domain(bound)
        there = await self._discover.id_at(peer, ours, exchange.id, exchange.user)
        if there is None:
            return False
        if isinstance(request, RetrieveImagingDocumentSetRequest):
            for study in request.studies:
                uid = study.study_instance_uid
                criteria = DocumentCriteria(
                    patient_ids=(there,), statuses=EVER, entry_types=tuple(EntryType),
                    # CXi of a study has an empty component 4; LIKE lets other spellings of it match too.
                    reference_ids=((f"{uid}^%{STUDY_INSTANCE_UID}",),),
                )  # fmt: skip
                entries = await self._found(StoredQuery.FIND_DOCUMENTS_BY_REFERENCE_ID, criteria, peer, home, exchange)
                named = (each for each in entries if any(one.value == uid for one in each.reference_ids))
                if not any(each.patient_id == there for each in named):
                    return False
            return True
        wanted = {each.document_unique_id for each in request.documents}
        criteria = DocumentCriteria(unique_ids=tuple(sorted(wanted)), entry_types=())
        entries = await self._found(StoredQuery.GET_DOCUMENTS, criteria, peer, home, exchange)
        theirs = {each.unique_id for each in entries if each.patient_id == there}
        strangers = {each.unique_id for each in entries if each.patient_id != there}
        return wanted <= theirs and not wanted & strangers

    async def _found(
        self, query: StoredQuery, criteria: DocumentCriteria, peer: Peer, home: Oid, exchange: Exchange
    ) -> Sequence[DocumentEntry]:
        request = StoredQueryRequest(query=query, criteria=criteria, home_community_id=home)
        async with self._peers.call(ITI_38, peer, request, exchange_id=exchange.id, user=exchange.user) as call:
            refused = refusal(call.response.status, call.response.errors)
            if refused is not None:
                raise refused
            call.learned(text="Asked whose it is")
            return [each for each in call.response.entries if peer.speaks_for(each.home_community_id)]


def _refused(why: str) -> AccessDenied:
    return AccessDenied(why, cure="The person asks with an assertion for this patient, or for none")
