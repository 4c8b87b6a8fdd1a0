"""Discover: which patient of another community is ours, and the other way round (ITI-55).

*Answering*: an id that we know decides, whoever gave it (a national one, one of the asking community that was told us); its
demographics must not contradict. Without such an id name and birth date decide, exactly, with sex and address where they
are told. We tell one id of a patient, that of our domain, and besides only ids that the question itself named. Several who
fit are told apart by asking for more, or told all, up to `TOLD`.

*Asking*: a community is asked when a query about a patient is about to go there and nobody remembers by which id. Exactly
one match counts. It is remembered as long as the community says, at most `limits.correlation_hours`; a community that says
nothing is asked again the next time.

What a newcomer gets wrong: a match is a statement of the other community about *its* patient; we believe it only if what it
shows of the person does not contradict what we know.

Source: ITI TF-2 3.55.4.1, 3.55.4.2.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from gateway.model.house import House
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.correlations import Correlation
from gateway.ports.identity import Identity
from gateway.ports.peers import Peers
from gateway.ports.store import Store
from gateway.services.exchange import Exchange
from gateway.services.resolve import LOOKED_AT
from profiles.errors import PeerRefused, TooManyResults
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Precision
from profiles.model.patient import Patient, Sex
from profiles.model.query import BirthCriteria, NameCriteria, PatientCriteria
from profiles.transaction import User
from profiles.wire.hl7v3.datatypes import InstanceIdentifier, address_parts
from profiles.wire.hl7v3.query import Question
from profiles.wire.hl7v3.transmission import Device, Transmission
from profiles.xcpd.iti55 import (
    ITI_55,
    Candidate,
    CandidatesQuery,
    CandidatesResponse,
    DiscoveryRequest,
    DiscoveryResponse,
    QueryResponseCode,
)

TOLD = 10  # candidates of one answer: whoever has more of one name and birth date is asked for more


class Discover:
    """The patients of other communities."""

    def __init__(
        self, *, house: House, store: Store, peers: Peers, clock: Clock, shared: frozenset[Oid], keep_for: timedelta
    ) -> None:
        """Stand on the ports.

        Args:
            house: Who we are.
            store: Patients, and what was found out.
            peers: The way out.
            clock: For ids and times.
            shared: Authorities whose ids all communities share: they are told when we ask.
            keep_for: How long others may remember what we say, and we at most what they say; 0: not at all.
        """
        self._house = house
        self._store = store
        self._peers = peers
        self._clock = clock
        self._shared = shared
        self._keep_for = keep_for

    # --- answering ----------------------------------------------------------------------------------------------------

    async def answer(self, request: DiscoveryRequest, exchange: Exchange) -> DiscoveryResponse:
        """Whom we know of whom this is true.

        Raises:
            TooManyResults: Of more than we look at.
        """
        query = request.query
        async with self._store.view() as work:
            found = await self._fitting(work.identity, query.criteria)
        exchange.learned.text = f"{len(found)} patients of ours fit"
        if len(found) > 1 and (wanted := _wanted(query.criteria, found)):
            exchange.learned.text += "; more was asked for"
            return DiscoveryResponse(answer=CandidatesResponse(wanted=wanted))
        if len(found) > TOLD:
            raise TooManyResults("more patients fit than are told")
        if len(found) == 1:
            await self._remember_asker(request, found[0], exchange)
        candidates = tuple(self._told(each, query.criteria) for each in found)
        code = QueryResponseCode.OK if candidates else QueryResponseCode.NOT_FOUND
        return DiscoveryResponse(
            answer=CandidatesResponse(code=code, candidates=candidates), keep_for=self._keep_for or None
        )

    async def _fitting(self, identity: Identity, criteria: PatientCriteria) -> list[Patient]:
        known = [each for each in criteria.identifiers if await identity.get(each) is not None]
        found: Sequence[Patient] = ()
        if known:
            # Names are written in many ways; whoever gave the same id and birth date means the same person.
            found = await identity.find(replace(criteria, identifiers=tuple(known), names=(), address=()), LOOKED_AT)
        elif criteria.names:
            found = await identity.find(replace(criteria, identifiers=()), LOOKED_AT)
        return [each for each in found if each.identifier_of(self._house.domain_authority) is not None]

    def _told(self, patient: Patient, criteria: PatientCriteria) -> Candidate:
        """By our domain's id; of the others those that were named to us."""
        ours = patient.identifier_of(self._house.domain_authority)
        assert ours is not None
        named = tuple(each for each in criteria.identifiers if each in patient.identifiers and each != ours)
        return Candidate(
            patient=replace(patient, identifiers=(ours, *named), replaced_by=None), home=self._house.home_community_id
        )

    async def _remember_asker(self, request: DiscoveryRequest, patient: Patient, exchange: Exchange) -> None:
        """By which id the asking community knows the patient, where it says so and lets us remember."""
        query, home = request.query, request.query.transmission.sender.organization
        theirs = next((each for each in query.criteria.identifiers if each.authority == query.reverse), None)
        ours = patient.identifier_of(self._house.domain_authority)
        # A community says this of itself only: who claims to be another is not believed.
        known = exchange.peer is not None and exchange.peer.home_community_id == home
        if home is None or theirs is None or ours is None or not known or request.keep_for is None:
            return
        until = exchange.now + min(request.keep_for, self._keep_for)
        work = await exchange.begin()
        await work.correlations.keep(Correlation(patient=ours, home=home, identifier=theirs, until=until))

    # --- asking -------------------------------------------------------------------------------------------------------

    async def id_at(
        self, peer: Peer, identifier: PatientIdentifier, exchange_id: str, user: User | None = None
    ) -> PatientIdentifier | None:
        """By which id a community knows the patient who has this id here; None: it does not know one.

        One that answers ITI-55 is asked, unless what it said is remembered; of one that does not, we know the id that it
        gave, if anybody told us. A patient whom we do not know ourselves is asked about by the id as it is: nobody could
        say anything else.

        Raises:
            PeerError: The community could not be asked, or its answer is no answer.
        """
        home, authority = peer.home_community_id, peer.patient_authority
        assert home is not None
        async with self._store.view() as work:
            patient = await work.identity.get(identifier)
            if ITI_55.id not in peer.endpoints:
                given = None if patient is None or authority is None else patient.identifier_of(authority)
                return given or identifier
            ours = None if patient is None else patient.identifier_of(self._house.domain_authority)
            known = None if ours is None else await work.correlations.get(ours, home, self._clock.now())
        if patient is None or ours is None:
            return identifier
        if known is not None:
            return known
        return await self._ask(peer, home, patient, ours, exchange_id, user)

    async def _ask(
        self,
        peer: Peer,
        home: Oid,
        patient: Patient,
        ours: PatientIdentifier,
        exchange_id: str,
        user: User | None,
    ) -> PatientIdentifier | None:
        request = self._question(peer, patient, ours)
        async with self._peers.call(ITI_55, peer, request, exchange_id=exchange_id, user=user) as call:
            response = call.response
            if not response.acknowledgement.accepted:
                details = response.acknowledgement.details
                raise PeerRefused(
                    f"{peer.name} refused to say whether it knows the patient",
                    code=details[0].code if details else response.acknowledgement.code,
                    cure="Ask the peer",
                )
            matches = [each for each in response.answer.candidates if not contradicts(patient, each.patient)]
            told = {1: "knows the patient", 0: "knows nobody who fits"}.get(len(matches), "knows several who fit")
            call.learned(text=f"{peer.name} {told}", partial=len(matches) > 1 or bool(response.answer.wanted))
        if len(matches) != 1:
            return None
        match = matches[0]
        length = min(response.keep_for or timedelta(), self._keep_for)
        if length > timedelta():
            correlation = Correlation(
                patient=ours,
                home=home,  # whom we asked and will ask again, whatever home of its own it names
                identifier=match.patient.identifiers[0],
                until=self._clock.now() + length,
            )
            async with self._store.unit() as work:
                await work.correlations.keep(correlation)
        return match.patient.identifiers[0]

    def _question(self, peer: Peer, patient: Patient, ours: PatientIdentifier) -> DiscoveryRequest:
        """What we tell of the patient: our id, ids that all share, the one that the community gave, demographics."""
        told = self._shared | {peer.patient_authority}
        others = (each for each in patient.identifiers if each.authority in told)
        day, name = patient.birth_date, replace(patient.name, ideographic="", phonetic="")
        query = CandidatesQuery(
            criteria=PatientCriteria(
                identifiers=tuple(dict.fromkeys((ours, *others))),
                names=(NameCriteria(name=name),) if name.family or name.given else (),
                birth=BirthCriteria(low=day, high=day) if day is not None else None,
                sex=None if patient.sex is Sex.UNKNOWN else patient.sex,
                address=tuple(address_parts(patient.address)),
            ),
            reverse=ours.authority,
            question=Question(
                id=InstanceIdentifier(root=self._house.home_community_id, extension=self._clock.new_uuid())
            ),
            transmission=Transmission.of(
                self._clock.new_uuid(), self._clock.now(), self._house.device, device_of(peer)
            ),
        )
        return DiscoveryRequest(query=query, keep_for=self._keep_for or None)


def device_of(peer: Peer) -> Device:
    """A peer as HL7 V3 names receivers: by the id that the settings give it, else by its home community."""
    return Device(
        id=InstanceIdentifier(root=peer.device_id or peer.home_community_id or ""), organization=peer.home_community_id
    )


def _wanted(criteria: PatientCriteria, found: Sequence[Patient]) -> tuple[str, ...]:
    """What was not told and tells these patients apart, as ITI TF-2 3.55.4.2.2.5 names it."""
    wanted = []
    if criteria.sex is None and len({each.sex for each in found}) > 1:
        wanted.append("LivingSubjectAdministrativeGender")
    if not criteria.address and len({each.address for each in found}) > 1:
        wanted.append("PatientAddress")
    return tuple(wanted)


def contradicts(ours: Patient, theirs: Patient) -> bool:
    """Whether what others show of a person contradicts what we know: another family name, or another birth date."""
    families = {each.name.family.strip().casefold() for each in (ours, theirs) if each.name.family.strip()}
    days = {
        each.birth_date.dtm[:8]
        for each in (ours, theirs)
        if each.birth_date is not None and each.birth_date.precision >= Precision.DAY
    }
    return len(families) > 1 or len(days) > 1
