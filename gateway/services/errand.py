"""Errand: what a person has done once, at once, and waits for; on a timeline of its own and in the audit.

It has no work left when it ends, so that no worker ever claims it; while it runs its calls note their steps on it.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from gateway.model.cure import cure_of
from gateway.model.house import House
from gateway.model.job import Direction, Event, ExchangeJob, Kind, State, Step, StepOutcome
from gateway.ports.clock import Clock
from gateway.ports.store import Store
from profiles.atna import restricted_function_used
from profiles.errors import ExchangeError, InternalFault
from profiles.model.identifiers import PatientIdentifier

ERRAND = "errand"  # in a job's payload: what it is


@dataclass(slots=True)
class Errand:
    """One under way. Whoever does it sets `failed` where it comes to no good end and nothing is to be raised."""

    exchange_id: str
    failed: ExchangeError | None = None


@asynccontextmanager
async def errand(
    store: Store,
    clock: Clock,
    house: House,
    *,
    person: str,
    text: str,
    peer: str = "",
    patients: Sequence[PatientIdentifier] = (),
    study_instance_uid: str = "",
) -> AsyncIterator[Errand]:
    """Its exchange ends as done, or as failed with the cause and the cure of what was raised. A crash is a failure too.

    `text` says what it is, without patient data; the audit record names the person and the patients, 0..n.
    """
    now, exchange_id = clock.now(), clock.new_uuid()
    step = Step(
        exchange_id=exchange_id, at=now, transaction="operator", direction=Direction.HERE, outcome=StepOutcome.OPEN,
        text=f"{text} by {person}",
    )  # fmt: skip
    async with store.unit() as work:
        await work.ledger.open(
            ExchangeJob(
                id=exchange_id, kind=Kind.ASK, state=State.RECEIVED, opened_at=now, updated_at=now, peer=peer,
                patient_id=str(patients[0]) if len(patients) == 1 else "", study_instance_uid=study_instance_uid,
                payload={ERRAND: text},
            )
        )  # fmt: skip
        step_id = await work.ledger.note(step)
        await work.audit.record(
            restricted_function_used(
                at=now, source_id=house.name, house=house.party(), person=person, text=text,
                patients=patients,
            ),
            exchange_id,
        )  # fmt: skip
    doing = Errand(exchange_id)
    try:
        yield doing
    except ExchangeError as error:
        doing.failed = error
        raise
    except BaseException:
        doing.failed = InternalFault("it was broken off", cure="Do it again")
        raise
    finally:
        why, cure = (doing.failed.detail, cure_of(doing.failed)) if doing.failed is not None else ("", "")
        outcome = StepOutcome.SUCCESS if doing.failed is None else StepOutcome.FAILURE
        async with store.unit() as work:
            await work.ledger.close_step(step_id, replace(step, outcome=outcome, why=why, cure=cure))
            event = Event.ANNOUNCED if doing.failed is None else Event.PERMANENT
            await work.ledger.advance(exchange_id, event, clock.now(), reason=why, cure=cure)
