"""A whole house on PostgreSQL: what is offered arrives, is found, is replayed by nobody, and its audit verifies."""

import os
import time
from pathlib import Path

import orjson
import pytest
from aiohttp import ClientSession

from conformance.samples import SampleStudy
from tests.support.postgres import postgresql
from tests.support.scenario import (
    EXPLICIT,
    IMPLICIT,
    VALLEY_ID,
    ZEBEDIAH,
    World,
    nothing_leaked,
    offer_of,
    rad69_request,
    world,
)

pytestmark = pytest.mark.judge_program


async def found(http: ClientSession, url: str, study: SampleStudy) -> list[dict[str, object]]:
    query = f"patient.identifier=urn:oid:{VALLEY_ID.authority}|{VALLEY_ID.value}"
    async with http.get(f"{url}/fhir/r4/ImagingStudy?{query}") as answer:
        assert answer.status == 200
        bundle = orjson.loads(await answer.read())
    return [
        entry["resource"] for entry in bundle.get("entry", []) if entry["resource"]["id"] == study.study_instance_uid
    ]


async def test_a_study_crosses_a_house_on_postgresql(tmp_path: Path) -> None:
    with postgresql() as url:
        async with world(tmp_path, store={"url": url}) as here:
            assert (await here.valley.tell(ZEBEDIAH)).accepted
            study = here.study(series=2, instances=3)
            assert await (await here.valley.provide(offer_of(study))).codes() == ()
            done = await here.valley.rests("done", "failed")
            assert done["state"] == "done", done
            (resource,) = await found(here.valley.http, here.valley.url, study)
            assert resource["status"] == "available"
            assert resource["numberOfInstances"] == 6
            for syntax in (EXPLICIT, IMPLICIT):
                head, bodies = await (await here.valley.retrieve(rad69_request(study, syntaxes=(syntax,)))).retrieved()
                assert head.errors == ()
                assert len(bodies) == 6
            refused = await here.valley.provide(offer_of(study).entry(hash="0" * 40))
            assert await refused.codes() == ("XDSRepositoryMetadataError",)
            verified = await here.valley.ask("GET", "/audit/verify")
            assert verified == {"ok": True, "faults": []}
            assert await here.valley.ask("GET", "/audit")
            nothing_leaked(here.valley.log.getvalue())

        # What another process on this database is about to commit, as it stands in a common folder.
        objects = here.valley.data / "objects"
        others = (objects / "incoming" / "half", objects / "kept" / "00" / "staged")
        for file in others:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"of a living process")
        # And what one left that died long ago.
        left = (objects / "incoming" / "old-half", objects / "kept" / "00" / "nobodys")
        for file in left:
            file.write_bytes(b"of a dead process")
            os.utime(file, (time.time() - 2 * 86_400,) * 2)

        # The next start finds everything, takes nothing from the other, and lets go of what is nobody's.
        async with world(tmp_path, store={"url": url}) as again:
            await seen_again(again, study)
        assert all(file.exists() for file in others)
        assert not any(file.exists() for file in left)


async def seen_again(here: World, study: SampleStudy) -> None:
    assert len(await found(here.valley.http, here.valley.url, study)) == 1
    assert (await here.valley.ask("GET", "/audit/verify"))["ok"]
