"""Lookup: what others know of a patient's ids, where nobody has told us (ITI-45, ITI-47).

*By which id the affinity domain knows a patient of ours*: a cross-reference manager is asked by our id first; where it does
not know it, a demographics supplier by name, birth date and sex. *Who a foreign patient is*: what is held because nobody
here has the sender's id has a job beside it that asks managers by that id; one certain patient of ours releases it, as a
person would. What is found is kept as if it had been fed, so that it is asked once.

What a newcomer gets wrong: a manager may know several ids of one domain for one patient. Then none of them is *the* id,
and a person decides (ITI TF-2 3.45.4.2.3, case 6). The same holds for several candidates.

Source: ITI TF-2 3.45.4.2.3, 3.47.4.2.3.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from gateway.model.house import House
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store, Work
from gateway.services.discover import contradicts, device_of
from gateway.services.inform import keep_link, refuse_unless_accepted
from profiles.errors import RuleViolation, UnknownDocument
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import Evidence, IdentityLink, Patient, Sex
from profiles.model.query import BirthCriteria, NameCriteria, PatientCriteria
from profiles.pdqv3.iti47 import ITI_47, Acknowledgement, CandidatesQuery
from profiles.pixv3.iti45 import ITI_45, IdentifiersQuery
from profiles.wire.hl7v3.ack import UNKNOWN_KEY
from profiles.wire.hl7v3.datatypes import InstanceIdentifier
from profiles.wire.hl7v3.query import Question
from profiles.wire.hl7v3.transmission import Transmission

WHOSE = "whose"  # in a job's payload: the exchange that is held
ENOUGH = 2  # candidates: more than one is too many, whoever they are


async def ask_whose(work: Work, clock: Clock, held: ExchangeJob, foreign: Patient) -> None:
    """Open the job beside a held exchange that asks others who its patient is."""
    now = clock.now()
    job = ExchangeJob(
        id=clock.new_uuid(), kind=Kind.FEED, state=State.RECEIVED, opened_at=now, updated_at=now, peer=held.peer,
        patient_id=str(foreign.identifiers[0]),
        payload={WHOSE: [held.id], "foreign": [str(each) for each in foreign.identifiers]},
    )  # fmt: skip
    await work.ledger.open(job)
    await work.ledger.advance(job.id, Event.SETTLED, now)


class Lookup:
    """The consumer of other people's identity services."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        peers: Peers,
        directory: Directory,
        clock: Clock,
        release: Callable[[str, str], Awaitable[object]],
    ) -> None:
        """`release` lets a held exchange go on for whom we can settle by now; its second argument is who decided."""
        self._release = release
        self._house = house
        self._store = store
        self._peers = peers
        self._directory = directory
        self._clock = clock

    async def domain_id(self, patient: Patient, exchange_id: str) -> PatientIdentifier | None:
        """The patient's id in the domain that our registry speaks; None: nobody knows it, or more than one.

        Raises:
            PeerError: One that is to be asked could not answer: what it knows is not known yet.
        """
        for peer in self._asked(ITI_45.id):
            domain = self._house.domain_authority
            found = await self._by_id(peer, patient.identifiers[0], (domain,), exchange_id)
            if found:
                return await self._kept(peer, patient, found, Evidence.FEED)
        for peer in self._asked(ITI_47.id):
            found = await self._by_demographics(peer, patient, exchange_id)
            if found:
                return await self._kept(peer, patient, found, Evidence.DEMOGRAPHICS)
        return None

    async def whose(self, job: ExchangeJob) -> None:
        """Find out who the patient of a held exchange is, by the job that `ask_whose` opened, and release it.

        Where nobody knows for certain it stays held: a person decides, as without us.

        Raises:
            PeerError: One that is to be asked could not answer.
        """
        (held,) = job.texts(WHOSE)
        for peer in self._asked(ITI_45.id):
            for text in job.texts("foreign"):
                foreign = PatientIdentifier.from_cx(text)
                if await self._reunited(peer, foreign, job.id):
                    with suppress(RuleViolation, UnknownDocument):  # somebody decided meanwhile
                        await self._release(held, f"{peer.name} (ITI-45)")
                    return

    async def _reunited(self, peer: Peer, foreign: PatientIdentifier, exchange_id: str) -> bool:
        """Whether the manager knows exactly one patient of ours by this id; then the two ids are linked."""
        domains = tuple(dict.fromkeys((self._house.patient_authority, self._house.domain_authority)))
        found = await self._by_id(peer, foreign, domains, exchange_id)
        now = self._clock.now()
        async with self._store.unit() as work:
            ours = {each.identifiers[0]: each for id_ in found if (each := await work.identity.get(id_)) is not None}
            if len(ours) != 1:
                return False
            (local,) = ours
            link = IdentityLink(
                local=local, foreign=foreign, evidence=Evidence.FEED, decided_by=peer.name, decided_at=now
            )
            await keep_link(work, self._clock, self._directory.all(), link)
        return True

    def _asked(self, transaction_id: str) -> list[Peer]:
        return [peer for peer in self._directory.all() if transaction_id in peer.endpoints]

    async def _by_id(
        self, peer: Peer, identifier: PatientIdentifier, domains: tuple[Oid, ...], exchange_id: str
    ) -> Sequence[PatientIdentifier]:
        """The patient's ids of these domains that a manager knows."""
        query = IdentifiersQuery(
            identifier=identifier,
            domains=domains,
            question=self._question(),
            transmission=self._transmission(peer),
        )
        async with self._peers.call(ITI_45, peer, query, exchange_id=exchange_id) as call:
            if _is_unknown(call.response.acknowledgement):
                call.learned(text=f"{peer.name} does not know the patient")
                return ()
            refuse_unless_accepted(call.response.acknowledgement, peer)
            found = [each for each in call.response.identifiers if each.authority in domains]
            call.learned(text=f"{peer.name} knows {len(found)} id(s) of the patient")
        return found

    async def _by_demographics(self, peer: Peer, patient: Patient, exchange_id: str) -> Sequence[PatientIdentifier]:
        day = patient.birth_date
        if not patient.name.family or day is None:
            return ()
        query = CandidatesQuery(
            criteria=PatientCriteria(
                names=(NameCriteria(name=replace(patient.name, ideographic="", phonetic="")),),
                birth=BirthCriteria(low=day, high=day),
                sex=None if patient.sex is Sex.UNKNOWN else patient.sex,
            ),
            domains=(self._house.domain_authority,),
            initial_quantity=ENOUGH,
            question=self._question(),
            transmission=self._transmission(peer),
        )
        async with self._peers.call(ITI_47, peer, query, exchange_id=exchange_id) as call:
            refuse_unless_accepted(call.response.acknowledgement, peer)
            fitting = [each.patient for each in call.response.candidates if not contradicts(patient, each.patient)]
            call.learned(text=f"{peer.name} knows {len(fitting)} who fit(s)", partial=len(fitting) > 1)
        return [each for one in fitting for each in one.identifiers if each.authority == self._house.domain_authority]

    async def _kept(
        self, peer: Peer, patient: Patient, found: Sequence[PatientIdentifier], evidence: Evidence
    ) -> PatientIdentifier | None:
        if len(set(found)) > 1:
            return None
        identifier, now = found[0], self._clock.now()
        async with self._store.unit() as work:
            known = await work.identity.get(patient.identifiers[0]) or patient
            kept = await work.identity.put(replace(known, identifiers=(*known.identifiers, identifier)), now)
            link = IdentityLink(
                local=kept.identifiers[0], foreign=identifier, evidence=evidence, decided_by=peer.name, decided_at=now
            )
            await keep_link(work, self._clock, self._directory.all(), link)
        return identifier

    def _question(self) -> Question:
        return Question(id=InstanceIdentifier(root=self._house.source_id, extension=self._clock.new_uuid()))

    def _transmission(self, peer: Peer) -> Transmission:
        return Transmission.of(self._clock.new_uuid(), self._clock.now(), self._house.device, device_of(peer))


def _is_unknown(acknowledgement: Acknowledgement) -> bool:
    """An error that only says that the id is not known there (3.45.4.2.3, case 4)."""
    codes = {each.code for each in acknowledgement.details}
    return not acknowledgement.accepted and codes == {UNKNOWN_KEY}
