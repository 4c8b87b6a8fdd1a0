"""Discover: which patient of another community is ours, and the other way round (ITI-55).

*Answering*: an id that we know decides, whoever gave it (a national one, one of the asking community that was told us); its
demographics must not contradict. Without such an id name and birth date decide, exactly, with sex and address where they
are told. We tell one id of a patient, that of our domain, and besides only ids that the question itself named. Several who
fit are told apart by asking for more, or told all, up to `TOLD`.

*Asking*: a community is asked when a query about a patient is about to go there and nobody remembers by which id. Exactly
one match counts. It is remembered as long as the community says, at most `limits.correlation_hours`; a community that says
nothing is asked again the next time.

*Later*: a peer may want its answer brought (a deferred question). It is taken as a job, and the answer made when it is
brought, at least once and under one message id, to an address that the peer's settings allow. A community that we ask so
(`deferred_discovery`) calls back at our initiating gateway; meanwhile whoever asks about the patient hears that it has not
answered yet. What it says counts for `WAITING` even where it may not be remembered, or nobody would ever use it.

What a newcomer gets wrong: a match is a statement of the other community about *its* patient; we believe it only if what it
shows of the person does not contradict what we know.

Source: ITI TF-2 3.55.4.1, 3.55.4.2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from gateway.model.house import House
from gateway.model.job import Direction, Event, ExchangeJob, Kind, State, Step, StepOutcome
from gateway.model.peer import Peer
from gateway.ports.clock import Clock
from gateway.ports.correlations import Correlation, DeferredQuestion
from gateway.ports.identity import Identity
from gateway.ports.peers import Directory, Peers
from gateway.ports.store import Store, Work
from gateway.services.exchange import Exchange
from gateway.services.resolve import LOOKED_AT
from profiles.errors import (
    AccessDenied,
    PeerRefused,
    PeerUnavailable,
    RequestError,
    RuleViolation,
    TooManyResults,
    UnknownPatient,
)
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.moment import Precision
from profiles.model.patient import Patient, Sex
from profiles.model.query import BirthCriteria, NameCriteria, PatientCriteria
from profiles.transaction import SoapTransaction, User
from profiles.wire.hl7v3.ack import UNKNOWN_KEY, Acknowledgement
from profiles.wire.hl7v3.candidates import Priority
from profiles.wire.hl7v3.datatypes import InstanceIdentifier, address_parts
from profiles.wire.hl7v3.query import Question
from profiles.wire.hl7v3.transmission import Device, Transmission
from profiles.xca.iti38 import ITI_38
from profiles.xcpd.iti55 import (
    DEFERRED,
    DEFERRED_ANSWER,
    ITI_55,
    Candidate,
    CandidatesQuery,
    CandidatesResponse,
    DeferredAnswer,
    DiscoveryRequest,
    DiscoveryResponse,
    QueryResponseCode,
    deferred_is_not_supported,
    question_of_text,
    text_of_question,
)
from profiles.xds.iti18 import ITI_18, StoredQueryRequest, StoredQueryResponse

ANSWER = "answer"
"""The verb of a job's action: `answer:Region`."""

WAITING = timedelta(minutes=15)  # a person who was told to ask again does so within it
TOLD = 10  # candidates of one answer: whoever has more of one name and birth date is asked for more


class Discover:
    """The patients of other communities."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        peers: Peers,
        directory: Directory,
        clock: Clock,
        shared: frozenset[Oid],
        keep_for: timedelta,
    ) -> None:
        """Stand on the ports.

        Args:
            house: Who we are.
            store: Patients, and what was found out.
            peers: The way out.
            directory: Whom we know.
            clock: For ids and times.
            shared: Authorities whose ids all communities share: they are told when we ask.
            keep_for: How long others may remember what we say, and we at most what they say; 0: not at all.
        """
        self._house = house
        self._store = store
        self._peers = peers
        self._directory = directory
        self._clock = clock
        self._shared = shared
        self._keep_for = keep_for

    # --- answering ----------------------------------------------------------------------------------------------------

    async def answer(self, request: DiscoveryRequest, exchange: Exchange) -> DiscoveryResponse:
        """Whom we know of whom this is true.

        Raises:
            TooManyResults: Of more than we look at.
        """
        response, found = await self._known(request.query.criteria)
        exchange.learned.text = _said(response, found)
        asker = self._asker(request, found, exchange.peer, exchange.now)
        if asker is not None:
            await (await exchange.begin()).correlations.keep(asker)
        return response

    async def _known(self, criteria: PatientCriteria) -> tuple[DiscoveryResponse, Sequence[Patient]]:
        """What is told of those who fit, and who they are."""
        async with self._store.view() as work:
            found = await self._fitting(work.identity, criteria)
        if len(found) > 1 and (wanted := _wanted(criteria, found)):
            return DiscoveryResponse(answer=CandidatesResponse(wanted=wanted)), found
        if len(found) > TOLD:
            raise TooManyResults("more patients fit than are told")
        candidates = tuple(one for each in found for one in self._told(each, criteria))
        code = QueryResponseCode.OK if candidates else QueryResponseCode.NOT_FOUND
        answer = CandidatesResponse(code=code, candidates=candidates)
        return DiscoveryResponse(answer=answer, keep_for=self._keep_for or None), found

    async def _fitting(self, identity: Identity, criteria: PatientCriteria) -> list[Patient]:
        known = [each for each in criteria.identifiers if await identity.get(each) is not None]
        found: Sequence[Patient] = ()
        if known:
            # Names are written in many ways; whoever gave the same id and birth date means the same person.
            found = await identity.find(replace(criteria, identifiers=tuple(known), names=(), address=()), LOOKED_AT)
        elif criteria.names:
            found = await identity.find(replace(criteria, identifiers=()), LOOKED_AT)
        return [each for each in found if any(each.identifier_of(domain) for _, domain in self._house.communities)]

    def _told(self, patient: Patient, criteria: PatientCriteria) -> Iterator[Candidate]:
        """For each community of ours by its domain's id; of the others those that were named to us."""
        for home, domain in self._house.communities:
            ours = patient.identifier_of(domain)
            if ours is not None:
                named = tuple(each for each in criteria.identifiers if each in patient.identifiers and each != ours)
                yield Candidate(patient=replace(patient, identifiers=(ours, *named), replaced_by=None), home=home)

    def _asker(
        self, request: DiscoveryRequest, found: Sequence[Patient], peer: Peer | None, now: datetime
    ) -> Correlation | None:
        """By which id the asking community knows the one patient who fits, where it says so and lets us remember."""
        if len(found) != 1:
            return None
        patient = found[0]
        query, home = request.query, request.query.transmission.sender.organization
        theirs = next((each for each in query.criteria.identifiers if each.authority == query.reverse), None)
        ours = patient.identifier_of(self._house.domain_authority)
        # A community says this of itself only: who claims to be another is not believed.
        known = peer is not None and peer.home_community_id == home
        if home is None or theirs is None or ours is None or not known or request.keep_for is None:
            return None
        until = now + min(request.keep_for, self._keep_for)
        return Correlation(patient=ours, home=home, identifier=theirs, until=until)

    # --- answering later ----------------------------------------------------------------------------------------------

    async def take(self, request: DiscoveryRequest, exchange: Exchange) -> Acknowledgement:
        """Take a question whose answer is to be brought: a job, where its address is one that the peer may name."""
        peer, address = exchange.peer, request.query.respond_to
        if peer is None or address not in peer.reply_to:
            learned = exchange.learned
            learned.failed, learned.why = True, "an answer was wanted later, at an address not allowed"
            learned.cure = "Add the address to reply_to of the [[peer]]; or they ask without the deferred option"
            return deferred_is_not_supported()
        now = exchange.now
        exchange.job = ExchangeJob(
            id=exchange.id, kind=Kind.ANSWER, state=State.RECEIVED, opened_at=now, updated_at=now, peer=peer.name,
            payload={
                "todo": [f"{ANSWER}:{peer.name}"], "question": text_of_question(request), "address": address,
                "relates_to": request.message_id,
                "keep_for_s": request.keep_for.total_seconds() if request.keep_for is not None else 0,
            },
        )  # fmt: skip
        work = await exchange.begin()
        await work.ledger.open(exchange.job)
        await work.ledger.advance(exchange.id, Event.COMPLETE, now)
        exchange.learned.text = "Taken; the answer is brought later"
        return Acknowledgement()

    async def bring(self, job: ExchangeJob) -> None:
        """Answer a question that was taken, as things stand now.

        Raises:
            PeerError: As the peer took it.
        """
        peer, address = self._directory.known(job.peer), job.texts("address")[0]
        if address not in peer.reply_to:
            raise PeerRefused(
                f"answers to {peer.name} may not go to this address any more", cure="Add it to reply_to of the [[peer]]"
            )
        seconds = job.payload.get("keep_for_s")
        keep_for = timedelta(seconds=seconds) if isinstance(seconds, int | float) and seconds > 0 else None
        request = DiscoveryRequest(query=question_of_text(job.texts("question")[0]), keep_for=keep_for)
        query = request.query
        found: Sequence[Patient] = ()
        try:
            response, found = await self._known(query.criteria)
        except RequestError as refused:
            response = ITI_55.refuse(refused)
        now = self._clock.now()
        acknowledgement = replace(
            response.acknowledgement,
            target=query.transmission.id,
            transmission=query.transmission.answered(job.id, now),
        )
        response = replace(
            response, answer=replace(response.answer, acknowledgement=acknowledgement, question=query.question)
        )
        there = replace(peer, endpoints={ITI_55.id: address}, ask_asynchronously=frozenset())
        answer = DeferredAnswer(response=response, relates_to=job.texts("relates_to")[0])
        async with self._peers.call(DEFERRED_ANSWER, there, answer, exchange_id=job.id, message_id=job.id) as call:
            _hold_to(call.response, peer, "does not take the answer")
            call.learned(text=f"Answered later: {_said(response, found)}")
        asker = self._asker(request, found, peer, now)
        if asker is not None:
            async with self._store.unit() as work:
                await work.correlations.keep(asker)

    # --- asking -------------------------------------------------------------------------------------------------------

    async def in_our_domain(self, identifier: PatientIdentifier) -> PatientIdentifier:
        """The id in our domain of the patient who has this id here; the id itself, where nobody here has it."""
        async with self._store.view() as work:
            patient = await work.identity.get(identifier)
        ours = None if patient is None else patient.identifier_of(self._house.domain_authority)
        return ours or identifier

    async def id_asked_of(self, registry: Peer, identifier: PatientIdentifier, exchange_id: str) -> PatientIdentifier:
        """By which id a registry is asked about a patient: one of our domain by ours, another community by its own.

        Raises:
            UnknownPatient: The community does not know the patient.
            PeerError: As `id_at`.
        """
        if query_of(registry) is ITI_18 or registry.home_community_id is None:
            return identifier
        there = await self.id_at(registry, identifier, exchange_id)
        if there is None:
            raise UnknownPatient(f"{registry.name} does not know the patient", cure="Ask them by which id they do")
        return there

    async def id_at(
        self, peer: Peer, identifier: PatientIdentifier, exchange_id: str, user: User | None = None
    ) -> PatientIdentifier | None:
        """By which id a community knows the patient who has this id here; None: it does not know one.

        One that answers ITI-55 is asked, unless what it said is remembered; of one that does not, we know the id that it
        gave, if anybody told us. A patient whom we do not know ourselves is asked about by the id as it is: nobody could
        say anything else.

        Raises:
            PeerError: The community could not be asked, or its answer is no answer, or it has not answered yet.
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
        if peer.deferred_discovery:
            await self._ask_later(peer, home, patient, ours, exchange_id, user)
            return None
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
            _hold_to(response.acknowledgement, peer, "refused to say whether it knows the patient")
            matches = _matches(response, patient, home)
            partial = len(matches) > 1 or bool(response.answer.wanted)
            call.learned(text=f"{peer.name} {_knows(matches)}", partial=partial)
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

    def _question(self, peer: Peer, patient: Patient, ours: PatientIdentifier, query_id: str = "") -> DiscoveryRequest:
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
                id=InstanceIdentifier(root=self._house.home_community_id, extension=query_id or self._clock.new_uuid())
            ),
            transmission=Transmission.of(
                self._clock.new_uuid(), self._clock.now(), self._house.device, device_of(peer)
            ),
        )
        return DiscoveryRequest(query=query, keep_for=self._keep_for or None)

    # --- asking, and being answered later -----------------------------------------------------------------------------

    async def _ask_later(
        self,
        peer: Peer,
        home: Oid,
        patient: Patient,
        ours: PatientIdentifier,
        exchange_id: str,
        user: User | None,
    ) -> None:
        """Ask, unless that was done already. To come back means that it has answered, and knows nobody who fits.

        Raises:
            PeerUnavailable: It has not answered yet.
            PeerError: It does not answer later, or could not be asked.
        """
        now, message_id = self._clock.now(), self._clock.new_uuid()
        question = DeferredQuestion(
            patient=ours, home=home, message_id=message_id, peer=peer.name, exchange_id=exchange_id,
            until=now + timedelta(seconds=peer.answer_timeout_s),
        )  # fmt: skip
        async with self._store.unit() as work:  # before it goes out: the answer may be quick
            before = await work.correlations.asked(ours, home, now)
            if before is None:
                await work.correlations.ask(question)
        if before is None:
            await self._send(peer, self._question(peer, patient, ours, message_id), question, user)
        elif before.answered:
            return
        raise PeerUnavailable(
            f"{peer.name} has not said yet by which id it knows the patient", cure="Ask again when it has answered"
        )

    async def _send(self, peer: Peer, request: DiscoveryRequest, question: DeferredQuestion, user: User | None) -> None:
        address = self._house.initiating_gateway_url
        request = replace(request, query=replace(request.query, priority=Priority.DEFERRED, respond_to=address))
        try:
            async with self._peers.call(
                DEFERRED, peer, request, exchange_id=question.exchange_id, user=user, message_id=question.message_id
            ) as call:
                _hold_to(call.response, peer, "does not answer later")
                call.learned(text=f"{peer.name} answers later")
        except Exception:
            async with self._store.unit() as work:
                await work.correlations.take_back(question)
            raise

    async def learn(self, answer: DeferredAnswer, exchange: Exchange) -> Acknowledgement:
        """Take an answer that was awaited; whoever asked and waits for it goes on.

        Raises:
            RuleViolation: Nobody asked this, or nobody waits any more.
            AccessDenied: Somebody else was asked.
        """
        message_id = answer.relates_to.removeprefix("urn:uuid:")
        async with self._store.view() as work:
            question = await work.correlations.asked_as(message_id, exchange.now) if message_id else None
            patient = await work.identity.get(question.patient) if question is not None else None
        if question is None or answer.response.answer.question.id.extension not in ("", message_id):
            raise RuleViolation(
                "nobody here has asked what this answers, or waits for it any more", code=UNKNOWN_KEY,
                location="wsa:RelatesTo", cure="If it comes late, raise answer_timeout_s of the [[peer]]",
            )  # fmt: skip
        if exchange.peer is None or exchange.peer.name != question.peer:
            raise AccessDenied("somebody else was asked what this answers", location="wsa:RelatesTo")
        work = await exchange.begin()
        exchange.learned.text = f"{question.peer} had said so before"
        if not question.answered:
            await self._learn(work, answer.response, question, patient, exchange)
        return Acknowledgement()

    async def _learn(
        self,
        work: Work,
        response: DiscoveryResponse,
        question: DeferredQuestion,
        patient: Patient | None,
        exchange: Exchange,
    ) -> None:
        now, learned = exchange.now, exchange.learned
        matches = [] if patient is None else _matches(response, patient, question.home)
        learned.text = f"{question.peer} {_knows(matches)}"
        if not response.acknowledgement.accepted:
            learned.text = f"{question.peer} refused to say whether it knows the patient"
            learned.failed, learned.why, learned.cure = True, learned.text, "Ask the peer"
            await work.correlations.take_back(question)
        else:
            until = now + max(min(response.keep_for or timedelta(), self._keep_for), WAITING)
            if len(matches) == 1:
                theirs = matches[0].patient.identifiers[0]
                await work.correlations.keep(
                    Correlation(patient=question.patient, home=question.home, identifier=theirs, until=until)
                )
            await work.correlations.ask(replace(question, answered=True, until=until))
        await self._tell(
            work, question, learned.text, now, StepOutcome.FAILURE if learned.failed else StepOutcome.SUCCESS
        )

    async def _tell(
        self, work: Work, question: DeferredQuestion, text: str, now: datetime, outcome: StepOutcome
    ) -> None:
        """Whoever asked reads it on their timeline; what waits to be tried again need not wait longer."""
        asking = await work.ledger.get(question.exchange_id)
        if asking is None:
            return
        failed = outcome is StepOutcome.FAILURE
        await work.ledger.note(
            Step(
                exchange_id=asking.id, at=now, transaction=ITI_55.id, direction=Direction.IN, outcome=outcome,
                text=text, peer=question.peer, why=text if failed else "", cure="Ask the peer" if failed else "",
            )
        )  # fmt: skip
        if asking.state is State.READY and not asking.lease_owner:
            await work.ledger.advance(
                asking.id, Event.TEMPORARY, now, due_at=now, reason=asking.reason, cure=asking.cure
            )


def _hold_to(acknowledgement: Acknowledgement, peer: Peer, does: str) -> None:
    if acknowledgement.accepted:
        return
    details = acknowledgement.details
    refused = PeerRefused(
        f"{peer.name} {does}", code=details[0].code if details else acknowledgement.code, cure="Ask the peer"
    )
    refused.temporary = acknowledgement.is_temporary
    raise refused


def _said(response: DiscoveryResponse, found: Sequence[Patient]) -> str:
    return f"{len(found)} patients of ours fit" + ("; more was asked for" if response.answer.wanted else "")


def _matches(response: DiscoveryResponse, patient: Patient, home: Oid) -> list[Candidate]:
    """Who may be the patient; a gateway of several communities tells each of them, and one was asked."""
    fitting = [each for each in response.answer.candidates if not contradicts(patient, each.patient)]
    return [each for each in fitting if each.home == home] or fitting


def _knows(matches: Sequence[Candidate]) -> str:
    return {1: "knows the patient", 0: "knows nobody who fits"}.get(len(matches), "knows several who fit")


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


def query_of(registry: Peer) -> SoapTransaction[StoredQueryRequest, StoredQueryResponse]:
    """How a peer is asked for entries: as a registry, or as another community if it has an address for that alone."""
    return ITI_38 if ITI_38.id in registry.endpoints and ITI_18.id not in registry.endpoints else ITI_18


def contradicts(ours: Patient, theirs: Patient) -> bool:
    """Whether what others show of a person contradicts what we know: another family name, or another birth date."""
    families = {each.name.family.strip().casefold() for each in (ours, theirs) if each.name.family.strip()}
    days = {
        each.birth_date.dtm[:8]
        for each in (ours, theirs)
        if each.birth_date is not None and each.birth_date.precision >= Precision.DAY
    }
    return len(families) > 1 or len(days) > 1
