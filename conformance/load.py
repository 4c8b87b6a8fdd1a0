"""`load`: many clients at one system for a bounded time, every answer verified, and what it took.

A client asks, waits for its answer, reads it whole, compares it with what must come, and asks again. What a request needs
(a new study, a new patient) is made before its time begins, but takes the client's time: with few clients that is part of
the throughput. Client and, with `--self`, house share one machine: figures are for comparing, not for boasting.
"""

import asyncio
import math
import re
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from conformance.around import NOTHING, Around
from conformance.counterparts import by_hand, standing
from conformance.evidence import Unkept
from conformance.expect import expect
from conformance.own import own_house
from conformance.samples import SampleInstance
from conformance.simulators.imaging_community import manifest_document
from conformance.submissions import provided
from conformance.suites.pix.messages import adt, new_patient, pid, taken
from conformance.suites.wia.dicomweb import ANY_SYNTAX, bodies_of, firsts, new_study, retrieved, store
from conformance.suites.xds.documents import APPROVED, found, submitted
from conformance.suites.xdsi.source_retrieve import of
from conformance.system import COMMUNITY, System, read_system
from conformance.target import Received, Target
from conformance.verdict import Failed, Unreachable
from profiles.errors import ExchangeError
from profiles.findings import Severity
from profiles.model.query import DocumentCriteria
from profiles.wire.ebxml.response import ResponseStatus
from profiles.xds.iti18 import StoredQuery
from profiles.xdsi.rad68 import RAD_68
from profiles.xdsi.rad69 import RAD_69

REQUEST_S = 60.0
PAUSE_S = 0.1  # after a failure: whoever is down is not asked a thousand times a second
SAMPLED_S = 0.25
UID = re.compile(r"[0-9][0-9.]{11,}")

Ask = Callable[[], Awaitable[None]]
"""One request and the verification of its answer: this is what is timed."""

Prepare = Callable[[Target], Awaitable[Ask]]
"""Makes what the next request needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: when it began, since the load did, and how long it took; `problem` is "" where the answer was right."""

    at_s: float
    ms: float
    sent_bytes: int
    received_bytes: int
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Of a process and those that it started: what they have in memory, and the sum of the most that each ever had."""

    at_s: float
    resident_bytes: int
    peak_bytes: int


@dataclass(slots=True, kw_only=True)
class Load:
    """What became of a load. `seconds` is until the last answer was there; `memory` is empty where nobody could look."""

    system: str
    transaction: str
    clients: int
    at: datetime
    seconds: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    memory: list[Memory] = field(default_factory=list)

    @property
    def answered(self) -> list[Asked]:
        """Those whose answer was right."""
        return [each for each in self.asked if not each.problem]

    @property
    def problems(self) -> Mapping[str, int]:
        """What went wrong, and how often; UIDs and other long numbers are left out, so that the same is the same."""
        return Counter(UID.sub("…", each.problem) for each in self.asked if each.problem)

    @property
    def per_second(self) -> float:
        """Right answers in a second."""
        return len(self.answered) / self.seconds if self.seconds else 0.0

    @property
    def bytes_per_second(self) -> float:
        """Of the bodies of right answers and their requests."""
        moved = sum(each.sent_bytes + each.received_bytes for each in self.answered)
        return moved / self.seconds if self.seconds else 0.0

    def percentile_ms(self, percent: float) -> float | None:
        """The time within which so many of the right answers came (nearest rank); None: there are none."""
        times = sorted(each.ms for each in self.answered)
        return times[max(math.ceil(len(times) * percent / 100), 1) - 1] if times else None

    @property
    def good(self) -> bool:
        """Whether there were answers, and all of them were right."""
        return bool(self.asked) and not self.problems


async def loaded(
    target: str | None, transaction: str, *, clients: int, seconds: float, say: Callable[[str], None]
) -> Load:
    """Load a system; None is our own house, started on scratch data, whose memory is looked at.

    Raises:
        BadDescription: The description cannot be used.
        HouseFailed: Our own house does not start.
        Unreachable: It cannot be asked, or we are not told enough of it.
        Failed: It does not take what the load begins with.
    """
    async with _whom(target, say) as (system, around, process):
        say(f"{clients} clients ask {system.name} by {transaction} for {seconds:g} s.")
        return await load(system, around, transaction, clients=clients, seconds=seconds, process=process)


async def load(
    system: System, around: Around, transaction: str, *, clients: int, seconds: float, process: int | None = None
) -> Load:
    """So many clients, each with one request under way at a time; those under way at the end are waited for.

    Args:
        system: Who is asked.
        around: Whom it speaks to itself: who submits a manifest must have its images.
        transaction: One of `WORKS`.
        clients: How many.
        seconds: For how long requests are begun.
        process: Whose memory is looked at; None: nobody's.

    Raises:
        Unreachable: It cannot be asked, or we are not told enough of it.
        Failed: It does not take what the load begins with.
    """
    done = Load(system=system.name, transaction=transaction, clients=clients, at=datetime.now(UTC))
    connector = aiohttp.TCPConnector(ssl=system.tls if system.tls is not None else True, limit=0)
    with tempfile.TemporaryDirectory(prefix="radgate-load-") as scratch:
        async with aiohttp.ClientSession(
            connector=connector, trust_env=False, auto_decompress=False, headers={"Accept-Encoding": "identity"}
        ) as session:
            folders = (Path(scratch) / str(number) for number in range(1_000_000_000))

            def new_target() -> tuple[Target, Unkept]:
                evidence = Unkept(next(folders), 0.0)
                return Target(system, session, evidence, around=around), evidence

            prepare = await WORKS[transaction](new_target()[0])
            first = await prepare(new_target()[0])
            with suppress(Failed, ExchangeError, TimeoutError):  # counts for nothing; who cannot be asked ends it here
                async with asyncio.timeout(REQUEST_S):
                    await first()
            began = time.perf_counter()

            async def client() -> None:
                while time.perf_counter() - began < seconds:
                    await _once(done, prepare, new_target, began)

            watching = asyncio.create_task(_watch(done, process, began)) if process is not None else None
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(clients):
                        group.create_task(client())
            finally:
                if watching is not None:
                    watching.cancel()
            done.seconds = time.perf_counter() - began
            if process is not None:
                _look(done, process, began)
    return done


async def _once(done: Load, prepare: Prepare, new_target: Callable[[], tuple[Target, Unkept]], began: float) -> None:
    target, evidence = new_target()
    ask = await prepare(target)
    at, problem = time.perf_counter(), ""
    try:
        async with asyncio.timeout(REQUEST_S):
            await ask()
    except (Failed, Unreachable) as failed:
        problem = str(failed)
    except ExchangeError as error:
        problem = error.detail
    except TimeoutError:
        problem = f"nothing ended it within {REQUEST_S:.0f} s"
    except Exception as error:  # an answer of a shape that nobody thought of ends no load
        problem = f"the tester broke: {type(error).__name__}: {error}"
    wrong = next((each for each in target.findings if each.severity is Severity.ERROR), None)
    if not problem and wrong is not None:
        problem = f"{wrong.rule}: {wrong.text}"
    done.asked.append(
        Asked(
            at_s=at - began, ms=(time.perf_counter() - at) * 1000, problem=problem,
            sent_bytes=sum(each.request.size_bytes for each in evidence.exchanges),
            received_bytes=sum(each.response.size_bytes for each in evidence.exchanges),
        )
    )  # fmt: skip
    if problem:
        await asyncio.sleep(PAUSE_S)


@asynccontextmanager
async def _whom(target: str | None, say: Callable[[str], None]) -> AsyncIterator[tuple[System, Around, int | None]]:
    if target is None:
        say("Starting a house on scratch data.")
        async with own_house() as own:
            yield own.system, own.around, own.process
        return
    system = read_system(Path(target))
    if system.counterpart is None:
        yield system, NOTHING, None
        return
    async with standing(system.counterpart, by_hand(say)) as around:
        yield system, around, None


# --- memory -----------------------------------------------------------------------------------------------------------


async def _watch(done: Load, process: int, began: float) -> None:
    while True:
        _look(done, process, began)
        await asyncio.sleep(SAMPLED_S)


def _look(done: Load, process: int, began: float) -> None:
    found = memory_of(process)
    if found is not None:
        done.memory.append(Memory(at_s=time.perf_counter() - began, resident_bytes=found[0], peak_bytes=found[1]))


def memory_of(process: int) -> tuple[int, int] | None:
    """VmRSS and VmHWM of a process and all below it, in bytes; None: there is no such process, or no `/proc`."""
    resident = peak = 0
    seen = False
    waiting = [process]
    while waiting:
        folder = Path("/proc") / str(waiting.pop())
        try:
            told = dict(
                line.split(":", 1)
                for line in (folder / "status").read_text(encoding="ascii", errors="replace").splitlines()
            )
            below = [(each / "children").read_text() for each in (folder / "task").iterdir()]
        except OSError:
            continue  # it ended while it was looked at
        waiting += [int(each) for line in below for each in line.split()]
        if "VmRSS" in told:
            seen = True
            resident += int(told["VmRSS"].split()[0]) * 1024
            peak += int(told["VmHWM"].split()[0]) * 1024
    return (resident, peak) if seen else None


# --- what is asked ----------------------------------------------------------------------------------------------------


async def _rad_69(target: Target) -> Prepare:
    """A whole study that is held, in the syntaxes in which it is."""
    study = target.study().study
    syntaxes = sorted({each.transfer_syntax_uid for each in study.instances})

    async def prepare(target: Target) -> Ask:
        async def ask() -> None:
            answer = await target.call(RAD_69, of(target, study, study.instances, syntaxes))
            expect(answer.response.head.status, "the status").equals(ResponseStatus.SUCCESS)
            _are(answer.received, study.instances)

        return ask

    return prepare


async def _rad_107(target: Target) -> Prepare:
    """The same study, by WADO-RS."""
    study = target.study().study

    async def prepare(target: Target) -> Ask:
        async def ask() -> None:
            answer = await retrieved(target, f"/studies/{study.study_instance_uid}", ANY_SYNTAX)
            expect(answer.status, "the HTTP status").equals(200)
            _are(answer.parts, study.instances)

        return ask

    return prepare


async def _rad_108(target: Target) -> Prepare:
    """A new study of two small instances, by STOW-RS."""

    async def prepare(target: Target) -> Ask:
        study = await new_study(target)
        bodies = await asyncio.to_thread(bodies_of, study)

        async def ask() -> None:
            answer = await store(target, bodies)
            expect(answer.status, "the HTTP status").equals(200)
            named = firsts(answer.json().get("00081199", {}).get("Value", []), "00081155")
            expect(named, "ReferencedSOPSequence").has_same([each.sop_instance_uid for each in study.instances])

        return ask

    return prepare


async def _rad_68(target: Target) -> Prepare:
    """The manifest of a new study, whose images the community has, where one stands there."""

    async def prepare(target: Target) -> Ask:
        study, patient = await new_study(target, instances=1), target.patient()
        if target.has_community:
            target.community.offer(study, patient)
        request = provided(patient, manifest_document(study, patient, COMMUNITY[2]))

        async def ask() -> None:
            answer = await target.call(RAD_68, request)
            expect(answer.response.status, "the status").equals(ResponseStatus.SUCCESS)

        return ask

    return prepare


async def _iti_18(target: Target) -> Prepare:
    """FindDocuments of a patient, who has a document that was submitted before."""
    patient = target.patient()
    (one,) = await submitted(target)
    criteria = DocumentCriteria(patient_ids=(patient,), statuses=APPROVED)

    async def prepare(target: Target) -> Ask:
        async def ask() -> None:
            answer = await found(target, StoredQuery.FIND_DOCUMENTS, criteria=criteria)
            expect({each.patient_id for each in answer.entries}, "whose entries came").equals({patient})
            expect([each.unique_id for each in answer.entries], "what is found").contains(one.entry.unique_id)

        return ask

    return prepare


async def _imaging_study(target: Target) -> Prepare:
    """A study by its UID."""
    study = target.study().study
    query = (("identifier", f"urn:dicom:uid|urn:oid:{study.study_instance_uid}"),)

    async def prepare(target: Target) -> Ask:
        async def ask() -> None:
            answer = await target.ask(
                "FHIR ImagingStudy search", "/ImagingStudy", service="FHIR", query=query,
                headers={"Accept": "application/fhir+json"},
            )  # fmt: skip
            expect(answer.status, "the HTTP status").equals(200)
            resources = [each.get("resource", {}) for each in answer.json().get("entry", [])]
            expect([each.get("numberOfInstances") for each in resources], "the instances of what is found").equals(
                [len(study.instances)]
            )

        return ask

    return prepare


async def _iti_8(target: Target) -> Prepare:
    """A new patient, on a connection of its own."""

    async def prepare(target: Target) -> Ask:
        message = adt(target, "A04", pid(new_patient(target)))

        async def ask() -> None:
            await taken(target, message)

        return ask

    return prepare


def _are(received: Sequence[Received], instances: Sequence[SampleInstance]) -> None:
    """These very instances, with the pixels that are known of them."""
    expect([(each.sop_instance_uid, each.pixels_sha256) for each in received], "what came").has_same(
        [(str(each.sop_instance_uid), each.pixels_sha256) for each in instances]
    )


WORKS: Mapping[str, Callable[[Target], Awaitable[Prepare]]] = {
    "RAD-69": _rad_69,
    "RAD-107": _rad_107,
    "RAD-108": _rad_108,
    "RAD-68": _rad_68,
    "ITI-18": _iti_18,
    "FHIR ImagingStudy search": _imaging_study,
    "ITI-8": _iti_8,
}
