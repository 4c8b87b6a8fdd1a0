"""Two processes of one house on one PostgreSQL: they share the work, and what a killed one held the other one ends."""

import asyncio
import hashlib
import io
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import asyncpg
import pytest
from aiohttp import ClientSession, ClientTimeout, web

from conformance.samples import SampleStudy
from gateway.inbound.jobs import LEASE
from profiles.model.identifiers import Uid
from profiles.model.imaging import Instance, Series, Study
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest
from tests.support.dicomweb_house import DicomwebHouse, dicomweb_house
from tests.support.house import HouseProcess, command, serving
from tests.support.postgres import postgresql
from tests.support.scenario import (
    DOMAIN,
    DOMAIN_ID,
    LAKESIDE,
    LAKESIDE_LOCATION,
    REPOSITORY,
    TOKENS,
    VALLEY,
    VALLEY_LOCATION,
    VALLEY_REPOSITORY,
    ZEBEDIAH,
    Asked,
    Offer,
    ScriptedSource,
    Valley,
    honestly,
    manifest_of,
    message_of,
    nothing_leaked,
    offer_of,
    read_soap,
    write_study,
)

pytestmark = [pytest.mark.judge_program, pytest.mark.timeout(400)]

NAMES = ("a", "b")
CT = Uid("1.2.840.10008.5.1.4.1.1.2")


def settings(data: Path, objects: Path, database: str, archive: str, source: str) -> str:
    """One configuration; only the data folder, with its lock and its part of the audit, is the process's own."""
    return f"""
[house]
name = "Valley"
data = "{data}"
home_community_id = "1.2.3.1"
repository_unique_id = "{VALLEY_REPOSITORY}"
retrieve_location_uid = "{VALLEY_LOCATION}"
patient_authority = "{VALLEY}"
[affinity_domain]
patient_authority = "{DOMAIN}"
[store]
url = "{database}"
objects = "file://{objects}"
[archive]
kind = "dicomweb"
url = "{archive}"
[listen]
http_port = 0
mllp_port = 0
drain_timeout_s = 1.0
[access]
anonymous_loopback = true
[[peer]]
name = "Lakeside"
retrieve_location_uids = ["{LAKESIDE_LOCATION}"]
patient_authority = "{LAKESIDE}"
token_sha256 = "{hashlib.sha256(TOKENS["Lakeside"].encode()).hexdigest()}"
unknown_patient = "hold"
[peer.endpoint]
"RAD-69" = "{source}"
"""


@dataclass(slots=True, kw_only=True)
class Both:
    """The two processes, as processes and as houses; the source, the archive and the database that they have in common."""

    folder: Path
    database: str
    settings: Mapping[str, str]
    processes: Mapping[str, HouseProcess]
    houses: dict[str, Valley]
    source: ScriptedSource
    archive: DicomwebHouse
    http: ClientSession

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        """What the database says, behind the houses' backs."""
        connection = await asyncpg.connect(self.database)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def owners(self) -> dict[str, int]:
        """Who holds how many exchanges now."""
        held = "SELECT lease_owner, count(*) FROM exchanges WHERE lease_owner <> '' GROUP BY lease_owner"
        return {str(owner): int(str(count)) for owner, count in await self.rows(held)}

    async def states(self) -> dict[str, int]:
        """How many received manifests are in which state."""
        counted = "SELECT state, count(*) FROM exchanges WHERE kind = 'receive' GROUP BY state"
        return {str(state): int(str(count)) for state, count in await self.rows(counted)}

    def of(self, name: str, owners: Mapping[str, int]) -> int:
        """How many of them a process holds."""
        return sum(count for owner, count in owners.items() if f":{self.processes[name].process.pid}:" in owner)


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[Both]:
    """Both are started at once, on a database that is new to them."""
    source = ScriptedSource()
    await source.start()
    try:
        with postgresql() as database:
            async with AsyncExitStack() as stack:
                archive = await stack.enter_async_context(dicomweb_house())
                told = {
                    name: settings(folder / name / "data", folder / "common", database, archive.url, source.url)
                    for name in NAMES
                }
                started = await asyncio.gather(
                    *(stack.enter_async_context(serving(folder / name, told[name])) for name in NAMES)
                )
                http = await stack.enter_async_context(
                    ClientSession(timeout=ClientTimeout(total=60), headers={"Accept-Encoding": "identity"})
                )
                processes = dict(zip(NAMES, started, strict=True))
                yield Both(
                    folder=folder, database=database, settings=told, processes=processes, source=source,
                    archive=archive, http=http,
                    houses={name: await house_of(each, http) for name, each in processes.items()},
                )  # fmt: skip
                for each in processes.values():
                    nothing_leaked(each.log().encode())
                    assert '"defect"' not in each.log()
    finally:
        await source.stop()


async def house_of(process: HouseProcess, http: ClientSession) -> Valley:
    return Valley(data=process.data, addresses=await process.addresses(), http=http, log=io.BytesIO())


async def all_done(here: Both, number: int, within_s: float) -> None:
    """Every manifest that was accepted has arrived."""
    states: dict[str, int] = {}
    try:
        async with asyncio.timeout(within_s):
            while (states := await here.states()) != {"done": number}:
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(f"{states}, held by {await here.owners()}") from None


async def provided(here: Both, name: str, number: int, seed: int) -> list[SampleStudy]:
    """Studies that Lakeside has, offered to one of the two."""
    studies = []
    for index in range(number):
        study = write_study(here.folder / f"study-{seed + index}", seed=seed + index, series=1, instances=2)
        here.source.keep(study)
        assert await (await here.houses[name].provide(offer_of(study))).codes() == ()
        studies.append(study)
    return studies


def large_offer(sample: SampleStudy) -> Offer:
    """A manifest of so many instances that it is kept as a file."""
    instances = tuple(Instance(sop_instance_uid=Uid(f"1.2.77.1.1.{n}"), sop_class_uid=CT) for n in range(1, 1501))
    series = Series(
        series_instance_uid=Uid("1.2.77.1.1"), modality="CT", retrieve_location_uid=LAKESIDE_LOCATION,
        instances=instances,
    )  # fmt: skip
    study = Study(study_instance_uid=Uid("1.2.77.1"), patient=sample.patient, series=(series,))
    return offer_of(sample, patient_id=DOMAIN_ID, manifest=replace(manifest_of(sample), studies=(study,)))


@pytest.mark.soak  # a dead process's leases are waited for, which takes more than a minute
async def test_what_a_killed_process_held_is_ended_by_the_other_and_nothing_is_lost(tmp_path: Path) -> None:
    async with both(tmp_path) as here:
        assert (await here.houses["a"].tell(ZEBEDIAH)).accepted

        # The work is shared: all is offered to one of them, and the other one takes of it.
        seen: set[str] = set()

        async def slowly(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
            seen.update(await here.owners())
            await asyncio.sleep(1.5)
            return await honestly(source, asked)

        here.source.script = [slowly] * 12
        studies = await provided(here, "a", 12, seed=1)
        await all_done(here, 12, within_s=60)
        assert len(seen) == 2, seen

        # One is killed in the middle; what it held waits for its lease to end, and nothing else waits for it.
        async def when_told(source: ScriptedSource, asked: Asked) -> web.StreamResponse:
            await source.may_go_on.wait()
            return await honestly(source, asked)

        here.source.script = [when_told] * 6
        studies += await provided(here, "a", 6, seed=101)
        async with asyncio.timeout(20):
            while len(here.source.asked) < 18:
                await asyncio.sleep(0.05)
        held = here.of("a", await here.owners())
        assert held >= 1
        assert await here.processes["a"].stop(signal.SIGKILL) == -signal.SIGKILL
        here.source.may_go_on.set()
        await asyncio.sleep(3)
        assert (await here.states()) == {"done": 18 - held, "moving": held}
        assert here.of("b", await here.owners()) == 0
        await all_done(here, 18, within_s=LEASE.total_seconds() + 60)

        # Everything is there, once, and the survivor tells it.
        for study in studies:
            status, body = await here.houses["b"].get(f"/dicomweb/studies/{study.study_instance_uid}/instances")
            assert status == 200, body
            assert body.count(b'"00080018"') == 2
            assert await here.houses["b"].statuses(study) == ["Approved"]
        assert await here.houses["b"].ask("GET", "/audit/verify") == {"ok": True, "faults": []}
        left = "SELECT count(*) FROM steps WHERE outcome = 'open'"
        async with asyncio.timeout(90):  # what the dead one had begun is told as broken off
            while await here.rows(left) != [(0,)]:
                await asyncio.sleep(0.5)

        # The dead one comes back to a database that it knows.
        async with serving(here.folder / "a", here.settings["a"]) as again:
            back = await house_of(again, here.http)
            assert await back.statuses(studies[0]) == ["Approved"]
            assert await back.ask("GET", "/audit/verify") == {"ok": True, "faults": []}


async def test_a_document_that_one_took_the_other_gives_and_a_folder_of_its_own_is_refused(tmp_path: Path) -> None:
    async with both(tmp_path) as here:
        assert (await here.houses["a"].tell(ZEBEDIAH)).accepted
        offer = large_offer(write_study(tmp_path / "study"))
        assert len(offer.body) > 64 * 1024
        assert await (await here.houses["a"].provide(offer, door=REPOSITORY)).codes() == ()
        wanted = DocumentRequest(
            repository_unique_id=VALLEY_REPOSITORY, document_unique_id=offer.submission.entries[0].unique_id
        )
        request = await message_of(ITI_43, RetrieveDocumentSetRequest(documents=(wanted,)))
        reply = await here.houses["b"].post(REPOSITORY, request)
        message = await read_soap(reply.content_type, reply.body)
        answer = ITI_43.decode_response(message.to_codec()).value
        assert [b"".join([chunk async for chunk in part.chunks]) async for part in answer.pour] == [offer.body]

        third = here.folder / "third"
        third.mkdir()
        told = settings(third / "data", third / "objects", here.database, here.archive.url, here.source.url)
        (third / "radgate.toml").write_text(told, encoding="utf-8")
        code, _, err = await command("serve", "--config", str(third / "radgate.toml"))
        assert code == 3
        said = " ".join(err.split())
        assert "store.objects" in said and "have in common" in said, err
        assert "Traceback" not in err
        assert not list((third / "objects" / "kept").iterdir())
