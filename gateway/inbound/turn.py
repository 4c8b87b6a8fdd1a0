"""Turn: the one path from request to audit, whatever the wire.

Who are you, read, check, may you; then the actor; then step and audit in the same commit; then the reply. A listener does
nothing else than read its wire, enter a turn, and write what the turn answered:

    async with turns.answer(answering, caller, decode) as answered:
        response = answered.response if answered.error is None else transaction.refuse(answered.error)
        ... write it; for a `Poured`, pour it inside this block ...

What a newcomer gets wrong: leaving the block by an exception *is* the broken pour; it is recorded as such. An error that
the actor raises is not an exception here any more: it was recorded, and is handed to the listener to be rendered.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from gateway.actors.answering import Answering
from gateway.model.cure import cure_of
from gateway.model.house import House
from gateway.model.job import Direction, Event, ExchangeJob, InvalidTransition, Kind, State, Step, StepOutcome
from gateway.model.peer import Caller
from gateway.model.sighting import Sightings, Sort
from gateway.ports.answers import Given, MessageName
from gateway.ports.clock import Clock
from gateway.ports.policy import Policy
from gateway.ports.raw import KEPT_BYTES
from gateway.ports.store import Store, Work
from gateway.services.exchange import Exchange, outward
from gateway.telemetry import BYTES, FINDINGS, TURN_SECONDS, TURNS, logger, where
from profiles.atna import node_authentication_failed
from profiles.errors import (
    AccessDenied,
    Busy,
    ExchangeError,
    HouseError,
    InternalFault,
    PeerUnavailable,
    RuleViolation,
    Unauthenticated,
)
from profiles.findings import Decoded, errors_of
from profiles.model.content import Part, Pour, Poured
from profiles.model.identifiers import PatientIdentifier
from profiles.transaction import Facts, Party, Side, Transaction, User
from profiles.wire.audit.participants import ROLE_PATIENT

Response = TypeVar("Response")

ON_BEHALF_CHARACTERS = 200  # of what an assertion says of itself, on a line of the timeline
REFUSALS_PER_MINUTE = 60  # of one address and wire; more are counted, not written: a flood must not fill the disk
REFUSALS_TOGETHER = 600  # of all of them: a flood may come from many addresses


@dataclass(slots=True, kw_only=True)
class Answered(Generic[Response]):
    """What came of it: exactly one of `response` and `error`. `exchange_id` goes to logs and headers."""

    exchange_id: str
    response: Response | None = None
    error: ExchangeError | None = None
    sent_bytes: int = 0  # the listener adds what it wrote
    given: Given | None = None  # the message came before: nothing was done, and neither of the other two is there


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """A message that may come again: its name and digest, and how it is answered when it was done.

    `reused`: a message with other content had the name before; its answer gives way.
    """

    name: MessageName
    digest: bytes
    answer: Callable[[Any], bytes]
    reused: bool = False


class Turns(Protocol):
    """What a listener needs."""

    def answer(
        self,
        answering: Answering[Any, Response],
        caller: Caller,
        decode: Callable[[], Decoded[Any]],
        *,
        query: bytes | None = None,
        raw: bytes = b"",
        received_bytes: int = 0,
        user: User | None = None,
        message_id: str = "",
        once: Once | None = None,
    ) -> AbstractAsyncContextManager[Answered[Response]]:
        """Take one request from decoding to its committed answer.

        `decode` may raise; that too is a turn, audited and noted. `query` is the request as audit quotes it, `raw` what
        operators may look at later (size-capped, may be empty). A message that is to be done `once` and came before is
        not noted again; `Answered.given` says what was answered then.
        """
        ...

    async def undelivered(self, exchange_id: str, caller: Caller, transaction_id: str, error: ExchangeError) -> None:
        """Note that an answer which was made, and was to go elsewhere, did not arrive there."""
        ...

    async def refused(
        self,
        caller: Caller,
        wire: str,
        error: ExchangeError,
        *,
        raw: bytes = b"",
        transaction_id: str = "",
        claimed: str = "",
    ) -> None:
        """Something came that never became a request (bad framing, unknown action): one step, one security audit.

        `claimed` is the person for whom somebody said to ask, and who was not believed: it stands in the audit as a claim.
        Rate-limited per peer.
        """
        ...


class _Unit:
    """The unit of work of a turn, opened when the actor first asks for it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._context: AbstractAsyncContextManager[Work] | None = None
        self._work: Work | None = None

    async def begin(self) -> Work:
        if self._work is None:
            context = self._store.unit()
            self._work = await context.__aenter__()
            self._context = context  # only now: what was never entered is not left
        return self._work

    async def commit(self) -> None:
        context, self._context, self._work = self._context, None, None
        if context is not None:
            await context.__aexit__(None, None, None)

    async def undo(self, error: BaseException) -> None:
        context, self._context, self._work = self._context, None, None
        if context is None:
            return
        try:
            await context.__aexit__(type(error), error, error.__traceback__)
        except BaseException as raised:
            if raised is not error:
                raise


@dataclass(slots=True)
class _Delivery:
    """Counts what of a pour went out whole."""

    delivered: list[str] = field(default_factory=list)
    underway: str = ""
    sent_bytes: int = 0

    async def watch(self, pour: Pour) -> AsyncIterator[Part]:
        async for part in pour:
            self.underway = part.key
            yield Part(
                key=part.key,
                media_type=part.media_type,
                size_bytes=part.size_bytes,
                chunks=self._count(part),
                headers=part.headers,
            )

    async def _count(self, part: Part) -> AsyncIterator[bytes]:
        async for chunk in part.chunks:
            self.sent_bytes += len(chunk)
            yield chunk
        self.delivered.append(part.key)
        self.underway = ""


class Turn:
    """The one path. Stateless but for the refusal counters."""

    def __init__(
        self,
        *,
        house: House,
        store: Store,
        clock: Clock,
        policy: Policy,
        site: str = "",
        sightings: Sightings | None = None,
    ) -> None:
        """`site` is audit's enterprise site id; `sightings` is where oddities of peers are noted, None: nowhere."""
        self._sightings = Sightings() if sightings is None else sightings
        self._house = house
        self._store = store
        self._clock = clock
        self._policy = policy
        self._site = site
        self._refusals: Counter[tuple[str, str]] = Counter()  # noted since then, by address and wire
        self._refusals_since = clock.now()

    @asynccontextmanager
    async def answer(
        self,
        answering: Answering[Any, Response],
        caller: Caller,
        decode: Callable[[], Decoded[Any]],
        *,
        query: bytes | None = None,
        raw: bytes = b"",
        received_bytes: int = 0,
        user: User | None = None,
        message_id: str = "",
        once: Once | None = None,
    ) -> AsyncIterator[Answered[Response]]:
        """Take one request from decoding to its committed answer; see `Turns.answer`."""
        started = time.perf_counter()
        transaction = answering.transaction
        unit = _Unit(self._store)
        exchange = Exchange(
            id=self._clock.new_uuid(),
            caller=caller,
            now=self._clock.now(),
            begin=unit.begin,
            user=user or _person_of(caller),
        )
        record = _Record(
            house=self._house, site=self._site, transaction=transaction, exchange=exchange, query=query, raw=raw,
            received_bytes=received_bytes, started=started, clock=self._clock,
            own_id=exchange.id,
        )  # fmt: skip
        answered: Answered[Response] = Answered(exchange_id=exchange.id)
        try:
            answered.response = await self._ask(answering, exchange, record, decode)
            if isinstance(answered.response, Poured):
                await record.intend(await unit.begin())
            else:
                await record.close(await unit.begin(), answered.response, None)
                if once is not None:
                    given = Given(
                        name=once.name, digest=once.digest, at=exchange.now, answer=once.answer(answered.response)
                    )
                    if not await (await unit.begin()).answers.keep(given, replace=once.reused):
                        raise Busy("a message of this name is being answered", cure="It may be sent again")
            await unit.commit()
        except BaseException as raised:
            await unit.undo(raised)
            if not isinstance(raised, Exception):
                raise
            answered.response, record.intent = None, ""  # what was intended was undone with the unit
            if once is not None and not once.reused:  # what was done the first time may be why it fails now
                answered.given = await self._given(once.name)
            if answered.given is not None:
                yield answered
                return
            answered.error = await self._failed(record, raised)
        answered.exchange_id = exchange.id
        if not isinstance(answered.response, Poured):
            record.count(answered.error)
            try:
                yield answered
            finally:
                BYTES.labels("out").inc(answered.sent_bytes)
            return
        delivery = _Delivery()
        head = answered.response
        answered.response = replace(head, pour=delivery.watch(head.pour))
        broken: ExchangeError | None = None
        try:
            yield answered
        except BaseException as raised:
            broken = (
                raised
                if isinstance(raised, ExchangeError)
                else PeerUnavailable("the transfer was cut off before its end", cure="The peer may ask again")
            )
            raise
        finally:
            try:
                async with self._store.unit() as work:
                    await record.close(work, head, broken, delivery=delivery)
            except HouseError as full:  # what went out went out; the intent stands, and is closed at the next start
                logger().error("audit cannot be closed", exchange=exchange.id, condition=full.condition.value)
            record.count(broken)
            BYTES.labels("out").inc(answered.sent_bytes)

    async def _ask(
        self,
        answering: Answering[Any, Response],
        exchange: Exchange,
        record: "_Record",
        decode: Callable[[], Decoded[Any]],
    ) -> Response:
        decoded = decode()
        record.request = decoded.value
        if answering.refine is not None:
            record.transaction = answering.refine(decoded.value)
        transaction = record.transaction
        found = decoded.findings + tuple(finding for check in transaction.checks for finding in check(decoded.value))
        exchange.findings = found
        for finding in found:
            FINDINGS.labels(exchange.peer.name if exchange.peer else "", finding.rule).inc()
            if exchange.peer is not None:
                self._sightings.note(exchange.peer.name, transaction.id, Sort.FINDING, finding.rule, exchange.now)
        decision = self._policy.decide(exchange.caller, transaction.id)
        if not decision.allowed:
            known = exchange.peer is not None
            raise (AccessDenied if known else Unauthenticated)(
                decision.reason, cure="See [[peer]] scopes and certificate"
            )
        errors = errors_of(found)
        if errors:
            raise RuleViolation(errors[0].text, code=errors[0].code, location=errors[0].location, findings=errors)
        try:
            response = await answering.method(decoded.value, exchange)
        except ExchangeError:
            await _hold_to_the_patient(record, None)  # not even that there is no such patient
            raise
        await _hold_to_the_patient(record, None if isinstance(response, Poured) else response)
        return response

    async def _given(self, name: MessageName) -> Given | None:
        try:
            async with self._store.view() as work:
                return await work.answers.get(name)
        except HouseError:
            return None

    async def _failed(self, record: "_Record", raised: Exception) -> ExchangeError:
        error = raised if isinstance(raised, ExchangeError) else InternalFault("this house has a defect; it was logged")
        if error is not raised:
            logger().error(
                "defect", exchange=record.exchange.id, transaction=record.transaction.id, error=type(raised).__name__,
                where=where(raised),
            )  # fmt: skip
        try:
            async with self._store.unit() as work:
                await record.close(work, None, error)
                if record.exchange.staged:
                    await work.documents.leave(record.exchange.staged, self._clock.now())
        except HouseError as full:
            logger().error("audit cannot be written", exchange=record.exchange.id, condition=full.condition.value)
            return full
        return outward(error)

    async def undelivered(self, exchange_id: str, caller: Caller, transaction_id: str, error: ExchangeError) -> None:
        """Note an answer that did not arrive; see `Turns.undelivered`."""
        if not exchange_id:  # no turn was taken
            return
        step = Step(
            exchange_id=exchange_id, at=self._clock.now(), transaction=transaction_id, direction=Direction.OUT,
            outcome=StepOutcome.FAILURE, text="The answer was to go elsewhere and did not arrive",
            peer=caller.peer.name if caller.peer else "", why=error.detail, cure=cure_of(error),
        )  # fmt: skip
        try:
            async with self._store.unit() as work:
                await work.ledger.note(step)
        except HouseError as full:
            logger().error("a lost answer cannot be noted", exchange=exchange_id, error=full.condition.value)

    async def refused(
        self,
        caller: Caller,
        wire: str,
        error: ExchangeError,
        *,
        raw: bytes = b"",
        transaction_id: str = "",
        claimed: str = "",
    ) -> None:
        """Note what never became a request; see `Turns.refused`."""
        try:
            await self._note_refusal(caller, wire, error, raw, transaction_id, claimed)
        except HouseError as full:  # it is refused all the same, and its sender is told so
            logger().error("a refusal cannot be noted", transaction=transaction_id or wire, error=full.condition.value)

    def _may_be_noted(self, who: tuple[str, str], now: datetime) -> bool:
        if now - self._refusals_since > timedelta(minutes=1):
            self._refusals.clear()
            self._refusals_since = now
        if self._refusals[who] >= REFUSALS_PER_MINUTE or self._refusals.total() >= REFUSALS_TOGETHER:
            return False
        self._refusals[who] += 1
        return True

    async def _note_refusal(
        self, caller: Caller, wire: str, error: ExchangeError, raw: bytes, transaction_id: str, claimed: str
    ) -> None:
        now = self._clock.now()
        TURNS.labels(transaction_id or wire, error.condition.value).inc()
        if not self._may_be_noted((caller.network_address, wire), now):
            return
        exchange_id = self._clock.new_uuid()
        name = caller.peer.name if caller.peer else ""
        async with self._store.unit() as work:
            await work.ledger.open(
                ExchangeJob(
                    id=exchange_id,
                    kind=Kind.ASK,
                    state=State.FAILED,
                    opened_at=now,
                    updated_at=now,
                    peer=name,
                    reason=error.detail,
                    cure=cure_of(error),
                )
            )
            await work.ledger.note(
                Step(
                    exchange_id=exchange_id,
                    at=now,
                    transaction=transaction_id or wire,
                    direction=Direction.IN,
                    outcome=StepOutcome.FAILURE,
                    text="Refused before it became a request",
                    peer=name,
                    size_bytes=len(raw),
                    why=error.detail,
                    cure=cure_of(error),
                )
            )
            await work.audit.record(
                node_authentication_failed(
                    at=now,
                    source_id=self._house.name,
                    local=self._house.party(caller.local_address),
                    remote=Party(user_id=name or caller.network_address, network_address=caller.network_address),
                    reason=f"{wire}: {error.detail}" + (f"; it claims to be {claimed}" if claimed else ""),
                ),
                exchange_id,
            )


async def _hold_to_the_patient(record: "_Record", response: object | None) -> None:
    """An assertion may be tied to one patient (resource-id); then nobody else is told of, by whatever id.

    Whom an exchange is about is what audit would say of it, so that no transaction can forget to tell.

    Source: ITI TF-2 3.40.4.1.2.
    """
    exchange = record.exchange
    assertion = exchange.caller.assertion
    if assertion is None or not assertion.patient:
        return
    refused = AccessDenied(
        "the assertion is about another patient", cure="The person asks with an assertion for this patient, or for none"
    )
    try:
        bound = PatientIdentifier.from_cx(assertion.patient)
        strangers = {*exchange.learned.patients, *map(PatientIdentifier.from_cx, record.patients(response))} - {bound}
    except ValueError:
        raise refused from None
    if not strangers:
        return
    work = await exchange.begin()
    theirs = await work.identity.get(bound)
    for each in strangers:
        known = await work.identity.get(each)
        if known is None or theirs is None or known.identifiers[0] != theirs.identifiers[0]:
            raise refused


def _on_behalf(exchange: Exchange) -> str:
    """The person for whom a peer asks, and why, as the timeline tells it."""
    assertion = exchange.caller.assertion
    if assertion is None:
        return ""
    purposes = " and ".join(code.display or code.value for code in assertion.purposes)
    said = f", for {assertion.subject.name_id}" + (f", purpose {purposes}" if purposes else "")
    return " ".join(said.split())[:ON_BEHALF_CHARACTERS]


def _person_of(caller: Caller) -> User | None:
    return User(user_id=caller.person, user_name=caller.person) if caller.person else None


@dataclass(slots=True, kw_only=True)
class _Record:
    """What will be written about a turn: its step and its audit records."""

    house: House
    site: str
    transaction: Transaction[Any, Any]
    exchange: Exchange
    query: bytes | None
    raw: bytes
    received_bytes: int
    started: float
    clock: Clock
    own_id: str
    request: object | None = None
    step_id: int = 0
    intent: str = ""

    @property
    def _peer(self) -> str:
        return self.exchange.peer.name if self.exchange.peer else ""

    def _facts(self, error: ExchangeError | None, delivery: _Delivery | None) -> Facts:
        caller, learned = self.exchange.caller, self.exchange.learned
        return Facts(
            at=self.clock.now(),
            source_id=self.house.name,
            enterprise_site_id=self.site,
            local=self.house.party(caller.local_address),
            remote=Party(
                user_id=self._peer or caller.person or caller.network_address, network_address=caller.network_address
            ),
            user=self.exchange.user,
            patients=learned.patients,
            studies=learned.studies,
            delivered=tuple(delivery.delivered) if delivery else (),
            undelivered=(delivery.underway,) if delivery and delivery.underway else (),
            created=learned.created,
            query=self.query,
            error=error,
        )

    def patients(self, response: object | None) -> set[str]:
        """Whom audit would say that it was about, as CX."""
        records = self.transaction.audit(Side.RESPONDER, self.request, response, self._facts(None, None))
        return {each.id for one in records for each in one.objects if each.role == ROLE_PATIENT}

    async def intend(self, work: Work) -> None:
        """Before the first byte: what is to be believed if we do not come back."""
        await self._open(work, State.RECEIVED)
        step = await self._keep_raw(work, self._step(StepOutcome.OPEN, None, 0))
        self.step_id = await work.ledger.note(step)
        gone = HouseError("the house went down before the transfer ended", cure="The peer may ask again")
        records = self.transaction.audit(Side.RESPONDER, self.request, None, self._facts(gone, None))
        self.intent = await work.audit.intend(records, self.exchange.id)

    async def close(
        self, work: Work, response: object | None, error: ExchangeError | None, *, delivery: _Delivery | None = None
    ) -> None:
        """The step and the records of how it ended."""
        facts = self._facts(error, delivery)
        records = self.transaction.audit(Side.RESPONDER, self.request, response, facts)
        outcome = StepOutcome.SUCCESS
        if error is not None or self.exchange.learned.failed:
            outcome = StepOutcome.FAILURE
        elif self.exchange.learned.partial:
            outcome = StepOutcome.PARTIAL
        step = self._step(outcome, error, delivery.sent_bytes if delivery else 0)
        if self.intent:
            await work.audit.close(self.intent, records)
            await work.ledger.close_step(self.step_id, await self._keep_raw(work, step))
            await self._end(work, outcome, error)
            return
        await self._open(work, State.FAILED if outcome is StepOutcome.FAILURE else State.DONE, error)
        await work.ledger.note(await self._keep_raw(work, step))
        await work.audit.record(records, self.exchange.id)

    async def _keep_raw(self, work: Work, step: Step) -> Step:
        """Keep the beginning of the request for operators, if there is one; answers the step that names it.

        A pour keeps it twice: before the first byte, and again when it is known whether it failed, which is another class.
        """
        if not self.raw:
            return step
        failed = step.outcome is StepOutcome.FAILURE
        await work.raw.keep(self.exchange.id, self.exchange.now, self.raw[:KEPT_BYTES], failed=failed)
        return replace(step, raw_key=f"raw:{self.exchange.id}")

    async def _open(self, work: Work, state: State, error: ExchangeError | None = None) -> None:
        """Open an exchange for this turn, unless the actor's job has this id or the turn belongs to an older one."""
        exchange = self.exchange
        if exchange.job is not None and error is None:
            return
        if exchange.id != self.own_id:
            return
        await work.ledger.open(
            ExchangeJob(
                id=exchange.id,
                kind=exchange.kind,
                state=state,
                opened_at=exchange.now,
                updated_at=self.clock.now(),
                peer=self._peer,
                reason=error.detail if error else exchange.learned.why if state is State.FAILED else "",
                cure=cure_of(error) if error else exchange.learned.cure if state is State.FAILED else "",
                study_instance_uid=exchange.learned.studies[0].study_instance_uid if exchange.learned.studies else "",
                patient_id=str(exchange.learned.patients[0]) if exchange.learned.patients else "",
            )
        )

    async def _end(self, work: Work, outcome: StepOutcome, error: ExchangeError | None) -> None:
        """What was opened before the pour ends with it."""
        if self.exchange.id != self.own_id or self.exchange.job is not None:
            return
        failed, learned = outcome is StepOutcome.FAILURE, self.exchange.learned
        with suppress(InvalidTransition):  # another process of the house closed it when it started
            await work.ledger.advance(
                self.exchange.id,
                Event.PERMANENT if failed else Event.ANNOUNCED,
                self.clock.now(),
                reason=error.detail if error else learned.why if failed else "",
                cure=cure_of(error) if error else learned.cure if failed else "",
            )

    def _step(self, outcome: StepOutcome, error: ExchangeError | None, poured_bytes: int) -> Step:
        learned = self.exchange.learned
        return Step(
            exchange_id=self.exchange.id,
            at=self.exchange.now,
            transaction=self.transaction.id,
            direction=Direction.IN,
            outcome=outcome,
            text=(learned.text or self.transaction.name) + _on_behalf(self.exchange),
            peer=self._peer,
            size_bytes=self.received_bytes + poured_bytes,
            duration_ms=(time.perf_counter() - self.started) * 1000,
            why=error.detail if error is not None else learned.why,
            cure=cure_of(error) if error is not None else learned.cure,
        )

    def count(self, error: ExchangeError | None) -> None:
        """Counters and one log line."""
        seconds = time.perf_counter() - self.started
        outcome = error.condition.value if error is not None else "success"
        TURNS.labels(self.transaction.id, outcome).inc()
        TURN_SECONDS.labels(self.transaction.id).observe(seconds)
        BYTES.labels("in").inc(self.received_bytes)
        logger().info(
            "turn", exchange=self.exchange.id, transaction=self.transaction.id, peer=self._peer, outcome=outcome,
            duration_ms=round(seconds * 1000, 1), size_bytes=self.received_bytes,
        )  # fmt: skip
