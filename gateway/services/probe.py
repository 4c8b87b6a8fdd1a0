"""Probe: walk the way to a peer and ask it a harmless question, so that what fails has a name before a study does.

Questions that a peer only answers are asked: queries about a patient and documents that nobody has, retrievals of a
document that nobody has. What a peer would keep (submissions, messages) is not tried, and its hops end at HTTP. A question
that is answered is put once more, to be answered at our reply address: many peers cannot, or do not allow it.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from gateway.model.house import House
from gateway.model.job import Direction, Step, StepOutcome
from gateway.model.peer import Peer
from gateway.model.probe import Hop, Probed, Walked
from gateway.ports.clock import Clock
from gateway.ports.peers import Directory, Peers
from gateway.ports.questions import ANSWERED_AT_ONCE
from gateway.ports.store import Store
from gateway.ports.ways import Ways
from gateway.services.errand import errand
from profiles.errors import ExchangeError, PeerUnavailable
from profiles.model.content import Poured
from profiles.model.document import AssociationType, AvailabilityStatus
from profiles.model.identifiers import PatientIdentifier
from profiles.model.query import DocumentCriteria, FolderCriteria, SubmissionSetCriteria
from profiles.transaction import Transaction
from profiles.wire.dicom.syntaxes import EXPLICIT_LE
from profiles.wire.ebxml.response import refusal
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xca.iti38 import ITI_38
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xdsi.rad69 import RAD_69, RetrieveImagingDocumentSetRequest, SeriesRequest, StudyRequest

NOBODY = "radgate-probe"
ASYNCHRONOUS_S = 10.0  # a peer that says nothing of nobody in that time may do so for a study, and a person waits
ASK_THEM = "Ask the peer what its log says of this question"
APPROVED = (AvailabilityStatus.APPROVED,)
UNSUPPORTED = frozenset({"XDSUnknownStoredQuery"})
NOT_ITS_OWN = frozenset({"XDSUnknownRepositoryId", "XDSUnknownCommunity"})
"""Answers to a retrieval that mean: what our settings say of this peer is not what it says of itself."""


class Question(NamedTuple):
    """A transaction that can be asked harmlessly, and the request."""

    transaction: Transaction[Any, Any]
    make: Callable[["Probe", Peer], Any]


class Probe:
    """What `radgate peer test` does."""

    def __init__(
        self, *, house: House, store: Store, peers: Peers, ways: Ways, directory: Directory, clock: Clock
    ) -> None:
        """Stand on the ports."""
        self._house = house
        self._store = store
        self._peers = peers
        self._ways = ways
        self._directory = directory
        self._clock = clock

    async def peer(self, name: str, person: str) -> tuple[Probed, ...]:
        """Every endpoint of a peer, in the order of their names; it stands on a timeline of its own, and in the audit.

        Raises:
            RuleViolation: No such peer.
        """
        peer = self._directory.known(name)
        async with errand(
            self._store, self._clock, self._house, person=person, text=f"Way to {peer.name} tested", peer=peer.name
        ) as doing:
            probed = await asyncio.gather(
                *(self._endpoint(peer, *endpoint, doing.exchange_id) for endpoint in sorted(peer.endpoints.items()))
            )
            async with self._store.unit() as work:
                await work.support.probed(peer.name, probed, self._clock.now())
            doing.failed = await self._ends(doing.exchange_id, peer, probed)
        return tuple(probed)

    async def _endpoint(self, peer: Peer, transaction: str, address: str, exchange_id: str) -> Probed:
        hops = list(await self._ways.walk(address, peer))
        supports: Mapping[str, bool] = {}
        asynchronous = None
        if all(hop.good for hop in hops):
            if transaction in (ITI_18.id, ITI_38.id, *RETRIEVALS):
                hops = [replace(hop, cure="") for hop in hops]  # the question itself tells more than a page
            if transaction in (ITI_18.id, ITI_38.id):
                asked, supports = await self._queries(peer, transaction, exchange_id)
                hops += asked
                if all(hop.good for hop in hops):
                    query = ITI_18 if transaction == ITI_18.id else ITI_38
                    nobody = self._about_nobody(query, peer, StoredQuery.GET_DOCUMENTS)
                    asynchronous = await self._asynchronous(query, peer, nobody, exchange_id)
            elif transaction in RETRIEVALS:
                question = RETRIEVALS[transaction]
                hops += await self._retrieval(peer, question, exchange_id)
                if all(hop.good for hop in hops):
                    asynchronous = await self._asynchronous(
                        question.transaction, peer, question.make(self, peer), exchange_id
                    )
        return Probed(
            transaction=transaction, address=address, hops=tuple(hops), supports=supports, asynchronous=asynchronous
        )

    # --- questions ----------------------------------------------------------------------------------------------------

    async def _queries(self, peer: Peer, transaction: str, exchange_id: str) -> tuple[list[Walked], Mapping[str, bool]]:
        """All stored queries side by side; the hop is that of GetDocuments, which every registry has.

        Where none is answered, nothing is known of queries.
        """
        asked = ITI_18 if transaction == ITI_18.id else ITI_38
        answers = await asyncio.gather(*(self._query(asked, peer, query, exchange_id) for query in StoredQuery))
        of_query = dict(zip(StoredQuery, answers, strict=True))
        hops, _ = of_query[StoredQuery.GET_DOCUMENTS]
        supports = {query.name: code not in UNSUPPORTED and found[0].good for query, (found, code) in of_query.items()}
        return hops, supports if any(supports.values()) else {}

    async def _query(
        self, transaction: Transaction[Any, Any], peer: Peer, query: StoredQuery, exchange_id: str
    ) -> tuple[list[Walked], str]:
        started = time.perf_counter()
        request = self._about_nobody(transaction, peer, query)
        try:
            async with self._peers.call(transaction, peer, request, exchange_id=exchange_id) as call:
                call.learned(text=f"{query.name} about nobody")
                refused = refusal(call.response.status, call.response.errors)
        except ExchangeError as error:
            return [_failed(Hop.SOAP, error, started)], ""
        soap = Walked(hop=Hop.SOAP, good=True, detail="the answer can be read", ms=_since(started))
        if refused is None or query is not StoredQuery.GET_DOCUMENTS:
            return [
                soap, Walked(hop=Hop.TRANSACTION, good=True, detail="answered; nobody has what was asked about")
            ], "" if refused is None else refused.code  # fmt: skip
        return [soap, _failed(Hop.TRANSACTION, refused, started)], refused.code

    def _about_nobody(self, transaction: Transaction[Any, Any], peer: Peer, query: StoredQuery) -> StoredQueryRequest:
        nobody = PatientIdentifier(
            value=NOBODY,
            authority=peer.patient_authority or self._house.affinity_authority or self._house.patient_authority,
        )
        patient, uuid = (nobody,), (f"urn:uuid:{self._clock.new_uuid()}",)
        return StoredQueryRequest(
            query=query,
            home_community_id=peer.home_community_id if transaction is ITI_38 else None,
            criteria=DocumentCriteria(
                patient_ids=patient, statuses=APPROVED, reference_ids=((NOBODY,),), entry_uuids=uuid
            ),
            submission_sets=SubmissionSetCriteria(patient_ids=patient, statuses=APPROVED, entry_uuids=uuid),
            folders=FolderCriteria(patient_ids=patient, statuses=APPROVED, entry_uuids=uuid),
            uuids=uuid,
            association_types=tuple(AssociationType),
        )

    async def _asynchronous(
        self, transaction: Transaction[Any, Any], peer: Peer, request: object, exchange_id: str
    ) -> bool:
        """Whether a question that is answered is answered at our reply address too, when that is asked.

        Most peers refuse that, and it does not count among what they refused.
        """
        within_s = min(peer.answer_timeout_s, ASYNCHRONOUS_S)
        later = replace(peer, ask_asynchronously=frozenset({transaction.id}), answer_timeout_s=within_s)
        try:
            async with self._peers.call(transaction, later, request, exchange_id=exchange_id, counts=False) as call:
                call.learned(text="Asked to bring the answer to our reply address")
                return ANSWERED_AT_ONCE not in {finding.rule for finding in call.findings}
        except ExchangeError:
            return False

    async def _retrieval(self, peer: Peer, question: Question, exchange_id: str) -> list[Walked]:
        started = time.perf_counter()
        try:
            async with self._peers.call(
                question.transaction, peer, question.make(self, peer), exchange_id=exchange_id
            ) as call:
                call.learned(text="Asked for what nobody has")
                answer: Poured[Any] = call.response
                codes = [error.code for error in answer.head.errors]
        except ExchangeError as error:
            return [_failed(Hop.SOAP, error, started)]
        soap = Walked(hop=Hop.SOAP, good=True, detail="the answer can be read", ms=_since(started))
        said = ", ".join(dict.fromkeys(codes)) or "no error"
        if NOT_ITS_OWN & set(codes):
            return [
                soap,
                Walked(
                    hop=Hop.TRANSACTION, good=False, detail=f"it does not know the place that we ask at: {said}",
                    cure="Ask the peer for its ids, and mend repository_unique_ids, retrieve_location_uids and"
                    " home_community_id of its [[peer]]",
                ),
            ]  # fmt: skip
        return [soap, Walked(hop=Hop.TRANSACTION, good=True, detail=f"answered, as it should be: {said}")]

    def documents(self, peer: Peer) -> RetrieveDocumentSetRequest:
        """A document that nobody has, at the peer's first repository."""
        where = next(iter(peer.repository_unique_ids), self._clock.new_uid())
        return RetrieveDocumentSetRequest(documents=(self._document(peer, where),))

    def images(self, peer: Peer) -> RetrieveImagingDocumentSetRequest:
        """An instance that nobody has, at the peer's first place for images."""
        where = next(iter(peer.retrieve_location_uids), self._clock.new_uid())
        series = SeriesRequest(series_instance_uid=self._clock.new_uid(), documents=(self._document(peer, where),))
        return RetrieveImagingDocumentSetRequest(
            studies=(StudyRequest(study_instance_uid=self._clock.new_uid(), series=(series,)),),
            transfer_syntax_uids=(EXPLICIT_LE,),
        )

    def _document(self, peer: Peer, where: str) -> DocumentRequest:
        return DocumentRequest(
            repository_unique_id=where,
            document_unique_id=self._clock.new_uid(),
            home_community_id=peer.home_community_id,
        )

    async def _ends(self, exchange_id: str, peer: Peer, probed: Sequence[Probed]) -> ExchangeError | None:
        """Where ways end before their time stands on the timeline; answers what that means of the peer."""
        broken = [(each, hop) for each in probed for hop in each.hops if not hop.good]
        if not broken:
            return None
        now = self._clock.now()
        async with self._store.unit() as work:
            for each, hop in broken:
                await work.ledger.note(
                    Step(
                        exchange_id=exchange_id, at=now, transaction=each.transaction, direction=Direction.HERE,
                        outcome=StepOutcome.FAILURE, text=f"The way ends at {hop.hop}", peer=peer.name,
                        why=hop.detail, cure=hop.cure,
                    )
                )  # fmt: skip
        return PeerUnavailable(f"{len(broken)} of {len(probed)} endpoints do not work", cure=broken[0][1].cure)


RETRIEVALS: Mapping[str, Question] = {
    ITI_43.id: Question(ITI_43, Probe.documents),
    ITI_39.id: Question(ITI_39, Probe.documents),
    RAD_69.id: Question(RAD_69, Probe.images),
    RAD_75.id: Question(RAD_75, Probe.images),
}


def _failed(hop: Hop, error: ExchangeError, started: float) -> Walked:
    return Walked(hop=hop, good=False, detail=error.detail, cure=error.cure or ASK_THEM, ms=_since(started))


def _since(started: float) -> float:
    return (time.perf_counter() - started) * 1000
