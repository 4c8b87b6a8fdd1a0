"""Inform: tell others what became of a patient here, by HL7 V3: registries by ITI-44, consumers of ids by ITI-46.

A peer is told by the endpoint that it has in the settings; the feed opens the job, and each receiver is one action of it.
What is said is what is true when it is sent, so a message that comes late says nothing old. At least once, always with
the same message id; of two changes in a row that could not be sent the second may arrive first, and says the same.

Source: ITI TF-2 3.44.4, 3.46.4.
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gateway.model.house import House
from gateway.model.job import Event, ExchangeJob, Kind, State
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store, Work
from gateway.services.discover import device_of
from gateway.services.reconcile import whoever_is
from gateway.services.resolve import everything_known
from profiles.errors import PeerRefused, PeerUnavailable
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.patient import IdentityLink, Patient
from profiles.pixv3.iti44 import BY_EVENT, ITI_44, Acknowledgement, PatientRecordRequest, RecordEvent
from profiles.pixv3.iti46 import ITI_46, notification
from profiles.transaction import Facts, Party, SoapTransaction
from profiles.wire.hl7v3.transmission import Transmission

FEED, IDENTIFY = "feed", "identify"
"""The verbs of a job's actions: `feed:Region`, `identify:EHR`."""

_NAMESPACE = uuid.UUID("6f0a3d0c-51a5-4d0c-8b63-3f3a1b3f7c52")  # of message ids that are the same however often sent


def actions_for(peers: Sequence[Peer], sender: Peer | None, before: Patient | None, after: Patient) -> tuple[str, ...]:
    """Whom a change is told, in the order of the settings: never who told us.

    Args:
        peers: All that we know.
        sender: Who told us.
        before: The patient as we knew them; None: not at all.
        after: The patient now.
    """
    actions = []
    for peer in peers:
        if sender is not None and peer.name == sender.name:
            continue
        if ITI_44.id in peer.endpoints and before != after:
            actions.append(f"{FEED}:{peer.name}")
        if ITI_46.id in peer.endpoints and _of_interest(peer, before) != _of_interest(peer, after):
            actions.append(f"{IDENTIFY}:{peer.name}")
    return tuple(actions)


def _of_interest(peer: Peer, patient: Patient | None) -> frozenset[PatientIdentifier]:
    identifiers = patient.identifiers if patient is not None else ()
    return frozenset(each for each in identifiers if interests(peer, each.authority))


def interests(peer: Peer, authority: Oid) -> bool:
    """Whether a consumer is told ids of this domain; one that names none is told all."""
    return not peer.identifier_domains or authority in peer.identifier_domains


async def keep_link(work: Work, clock: Clock, peers: Sequence[Peer], link: IdentityLink) -> None:
    """Hold two ids for the same person, and open a job that tells the consumers who are interested in the foreign one."""
    await work.identity.link(link)
    todo = [
        f"{IDENTIFY}:{peer.name}"
        for peer in peers
        if ITI_46.id in peer.endpoints and interests(peer, link.foreign.authority)
    ]
    if not todo:
        return
    now = clock.now()
    job = ExchangeJob(
        id=clock.new_uuid(), kind=Kind.FEED, state=State.RECEIVED, opened_at=now, updated_at=now,
        patient_id=str(link.local), payload={"todo": todo},
    )  # fmt: skip
    await work.ledger.open(job)
    await work.ledger.advance(job.id, Event.SETTLED, now)


class Inform:
    """The source of patient identities, and the manager's telling side."""

    def __init__(self, *, house: House, store: Store, peers: Peers, directory: Directory, clock: Clock) -> None:
        """Stand on the ports."""
        self._house = house
        self._store = store
        self._peers = peers
        self._directory = directory
        self._clock = clock

    async def act(self, job: ExchangeJob, verb: str, peer_name: str) -> None:
        """Tell one peer what a job of the feed is about.

        Raises:
            RuleViolation: There is no such peer.
            PeerError: As the peer answered.
        """
        peer = self._directory.known(peer_name)
        async with self._store.view() as work:
            patient = await whoever_is(work.identity, PatientIdentifier.from_cx(job.patient_id))
            known = () if patient is None else await everything_known(work.identity, patient)
        if patient is None:
            return  # gone since, and whoever took it away told the rest
        if verb == IDENTIFY:
            await self._notify(job, peer, patient, known)
        else:
            await self._feed(job, peer, patient)

    async def _notify(
        self, job: ExchangeJob, peer: Peer, patient: Patient, known: tuple[PatientIdentifier, ...]
    ) -> None:
        identifiers = tuple(each for each in known if interests(peer, each.authority))
        if identifiers:
            request = notification(identifiers, patient.name, self._transmission(job, peer, IDENTIFY))
            await self._send(job, peer, ITI_46, request, "Told by which ids a patient is known")

    async def _feed(self, job: ExchangeJob, peer: Peer, patient: Patient) -> None:
        domains = {self._house.patient_authority, self._house.affinity_authority, peer.patient_authority}
        for number, text in enumerate(job.texts("merged")):
            subsumed, _, surviving = text.partition("|")
            survivor = PatientIdentifier.from_cx(surviving)
            request = PatientRecordRequest(
                event=RecordEvent.MERGE,
                patient=replace(patient, identifiers=(survivor,)),
                subsumed_identifiers=(PatientIdentifier.from_cx(subsumed),),
                custodian=survivor.authority,
                transmission=self._transmission(job, peer, f"{FEED} {number}"),
            )
            await self._send(job, peer, BY_EVENT[RecordEvent.MERGE], request, "Told that patients were merged")
        if job.texts("merged"):
            return
        told = replace(patient, identifiers=tuple(each for each in patient.identifiers if each.authority in domains))
        if told.identifiers:
            event = RecordEvent.ADD if job.texts("created") else RecordEvent.REVISE
            request = PatientRecordRequest(
                event=event, patient=told, provider=told.identifiers[0].authority,
                custodian=told.identifiers[0].authority, transmission=self._transmission(job, peer, FEED),
            )  # fmt: skip
            await self._send(job, peer, BY_EVENT[event], request, "Told of a patient")

    def _transmission(self, job: ExchangeJob, peer: Peer, what: str) -> Transmission:
        id_ = str(uuid.uuid5(_NAMESPACE, f"{job.id} {peer.name} {what}"))
        return Transmission.of(id_, self._clock.now(), self._house.device, device_of(peer))

    async def _send(
        self,
        job: ExchangeJob,
        peer: Peer,
        transaction: SoapTransaction[PatientRecordRequest, Acknowledgement],
        request: PatientRecordRequest,
        text: str,
    ) -> None:
        facts = Facts(
            at=self._clock.now(), source_id=self._house.name, local=self._house.party(), remote=Party(user_id=peer.name)
        )
        message_id = request.transmission.id.root
        async with self._peers.call(
            transaction, peer, request, exchange_id=job.id, facts=facts, message_id=message_id
        ) as call:
            refuse_unless_accepted(call.response, peer)
            call.learned(text=text)


def refuse_unless_accepted(acknowledgement: Acknowledgement, peer: Peer) -> None:
    """Raise what a peer's acknowledgement means, unless it accepts.

    Raises:
        PeerUnavailable: The same may be accepted later.
        PeerRefused: It may not; `code` is the peer's.
    """
    if acknowledgement.accepted:
        return
    codes: dict[str, Any] = {
        "code": next((each.code for each in acknowledgement.details), acknowledgement.code.value),
        "cure": "Ask the peer what it means",
    }
    if acknowledgement.is_temporary:
        raise PeerUnavailable(f"{peer.name} could not take the message now", **codes)
    raise PeerRefused(f"{peer.name} refused the message", **codes)
