"""What runs out or stands still: disk, archive, patience. Nothing is acknowledged that is not safe, and the house recovers.

Source: ITI TF-3 table 4.2.4.1-2 (XDSRepositoryOutOfResources), DICOM PS3.18 10.5.3, HL7 v2 table 0357 (207).
"""

import asyncio
import resource
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession, TCPConnector, web

from conformance.certificates import Authority
from conformance.samples import write_ct_study
from gateway.inbound import jobs
from gateway.services import transfer
from profiles.wire.hl7v2.mllp import END_BLOCK, START_BLOCK
from profiles.xdsi.rad69 import RAD_69
from tests.support.disk import fill, small_disk
from tests.support.ports import free_port
from tests.support.scenario import (
    AS_LAKESIDE_KNOWS_HIM,
    RECIPIENT,
    SOMEBODY_ELSE,
    SOURCE,
    ZEBEDIAH,
    World,
    honestly,
    message_of,
    offer_of,
    rad68,
    rad69_request,
    world,
    write_study,
)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "FIRST_DELAY", timedelta(milliseconds=10))


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.mark.judge_program
async def test_a_full_disk_refuses_on_every_wire_and_the_house_recovers(tmp_path: Path) -> None:
    with small_disk(tmp_path / "valley", 24):
        async with world(tmp_path) as here:
            await here.valley.tell(ZEBEDIAH)
            study, pushed = here.study(), write_study(tmp_path / "pushed", seed=5, series=1, instances=2)
            before = here.valley.kept()
            ballast = fill(here.valley.data)

            offer = offer_of(study)
            reply = await here.valley.provide(offer)
            assert await reply.codes() == ("XDSRepositoryOutOfResources",)
            status, _ = await here.valley.push(one.path.read_bytes() for one in pushed.instances)
            assert status in (503, 507)
            answer = await here.valley.tell(SOMEBODY_ELSE)
            assert not answer.accepted
            assert answer.code.value == "AR"  # nothing is wrong with the message: it may be sent again
            assert [error.code for error in answer.errors] == ["207"]
            assert (await here.valley.get("/healthz"))[0] == 200
            assert here.valley.kept().clinical == before.clinical

            ballast.unlink()
            assert await (await here.valley.provide(offer)).codes() == ()  # nothing was taken the first time
            await here.valley.rests("done")
            status, _ = await here.valley.push(one.path.read_bytes() for one in pushed.instances)
            assert status == 200
            await here.valley.rests("done", kind="store")
            assert (await here.valley.tell(SOMEBODY_ELSE)).accepted
            assert len(here.valley.kept().rows["instances"]) == 8
            assert (await here.valley.ask("GET", "/audit/verify"))["ok"]


@pytest.mark.judge_program
async def test_a_disk_that_fills_up_while_images_come_puts_the_exchange_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LEASE", timedelta(seconds=3))
    monkeypatch.setattr(jobs, "PUT_OFF", timedelta(seconds=0.5))
    with small_disk(tmp_path / "valley", 24):
        async with world(tmp_path) as here:
            await here.valley.tell(ZEBEDIAH)
            study = here.study(series=2, instances=4)
            ballast: list[Path] = []

            async def filling(source: Any, asked: Any) -> web.StreamResponse:
                ballast.append(fill(here.valley.data))
                return await honestly(source, asked)

            here.source.script = [filling]
            assert await (await here.valley.provide(offer_of(study))).codes() == ()
            async with asyncio.timeout(20):
                while not ballast:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(1.0)
            assert (await here.valley.get("/healthz"))[0] == 200
            ballast[0].unlink()
            done = await here.valley.rests("done", "failed", within_s=90)
            assert done["state"] == "done", done
            assert len(here.valley.kept().rows["instances"]) == 8
            assert not list((here.valley.data / "archive" / "incoming").iterdir())
            assert (await here.valley.ask("GET", "/audit/verify"))["ok"]


# --- an archive that is down ------------------------------------------------------------------------------------------


async def test_an_archive_that_is_down_puts_off_what_comes_and_refuses_what_is_pushed(tmp_path: Path) -> None:
    dead = {"kind": "dicomweb", "url": f"http://127.0.0.1:{free_port()}/dicom-web"}
    async with world(tmp_path, archive=dead) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study()
        assert await (await here.valley.provide(offer_of(study))).codes() == ()
        async with asyncio.timeout(30):
            while (found := await here.valley.exchange())["attempt"] < 2:
                await asyncio.sleep(0.05)
        assert found["state"] in ("ready", "moving"), found
        failed = [step for step in found["steps"] if step["outcome"] == "failure"]
        assert failed
        assert all(step["why"] and step["cure"] for step in failed)
        status, body = await here.valley.get("/readyz")
        assert status == 503
        assert b"archive" in body


async def test_an_archive_that_is_down_takes_no_push(tmp_path: Path) -> None:
    dead = {"kind": "dicomweb", "url": f"http://127.0.0.1:{free_port()}/dicom-web"}
    async with world(tmp_path, archive=dead) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study()
        async with here.valley.refusing():
            status, _ = await here.valley.push(one.path.read_bytes() for one in study.instances)
            assert status in (502, 503, 504)


# --- patience ---------------------------------------------------------------------------------------------------------


async def raw(here: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = here.valley.url.partition("://")[2].partition(":")
    return await asyncio.open_connection(host, int(port))


async def test_a_sender_that_stops_half_way_is_given_up(tmp_path: Path) -> None:
    async with world(tmp_path, limits={"idle_timeout_s": 0.5}) as here:
        message = await rad68(offer_of(here.study()))
        async with here.valley.refusing() as refused:
            reader, writer = await raw(here)
            head = f"POST {RECIPIENT} HTTP/1.1\r\nHost: x\r\nContent-Type: {message.content_type}\r\n"
            writer.write(f"{head}Content-Length: {len(message.body)}\r\n\r\n".encode() + message.body[:1000])
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(65536), 10)
            writer.close()
            assert b" 400 " in answer.split(b"\r\n", 1)[0]
            assert b"0.5 seconds" in answer
        assert "0.5 seconds" in refused.step["why"]


async def test_a_sender_that_is_slow_but_goes_on_is_waited_for(tmp_path: Path) -> None:
    async with world(tmp_path, limits={"idle_timeout_s": 0.6}) as here:
        await here.valley.tell(ZEBEDIAH)
        message = await rad68(offer_of(here.study()))

        async def slowly() -> AsyncIterator[bytes]:
            step = len(message.body) // 8 + 1
            for start in range(0, len(message.body), step):
                yield message.body[start : start + step]
                await asyncio.sleep(0.25)

        async with here.valley.http.post(
            here.valley.url + RECIPIENT, data=slowly(), headers={"Content-Type": message.content_type}
        ) as answer:
            assert answer.status == 200
            assert b"ResponseStatusType:Success" in await answer.read()


async def test_a_reader_that_stops_is_cut_off_and_that_is_recorded(tmp_path: Path) -> None:
    async with world(tmp_path, limits={"idle_timeout_s": 0.5}) as here:
        await here.valley.tell(ZEBEDIAH)
        study = write_ct_study(
            tmp_path / "large", seed=3, patient=AS_LAKESIDE_KNOWS_HIM, series=1, instances=24, rows=512
        )
        status, _ = await here.valley.push(one.path.read_bytes() for one in study.instances)
        assert status == 200
        await here.valley.rests("done", kind="store")
        message = await message_of(RAD_69, rad69_request(study))
        reader, writer = await raw(here)
        head = f"POST {SOURCE} HTTP/1.1\r\nHost: x\r\nContent-Type: {message.content_type}\r\n"
        writer.write(f"{head}Content-Length: {len(message.body)}\r\n\r\n".encode() + message.body)
        await writer.drain()
        await reader.readexactly(1000)  # and not a byte more

        def poured() -> list[dict[str, Any]]:
            return [step for step in here.valley.kept().steps if step["transaction"] == "RAD-69"]

        async with asyncio.timeout(20):
            while not (steps := poured()) or steps[0]["outcome"] == "open":
                await asyncio.sleep(0.1)
        writer.close()
        (step,) = steps
        assert step["outcome"] == "failure"
        assert step["why"]
        assert step["cure"]


# --- MLLP -------------------------------------------------------------------------------------------------------------


async def mllp(here: World) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = here.valley.addresses["mllp"].partition("://")[2].rpartition(":")
    return await asyncio.open_connection(host, int(port))


@pytest.mark.parametrize(
    "rubbish",
    [
        b"GET / HTTP/1.1\r\nHost: Quillfeather\r\n\r\n",
        bytes(range(256)) * 8,
        START_BLOCK + b"PID|1||LK77131" + END_BLOCK + b"\r",
        START_BLOCK + b"MSH|^~\\&|A|B|C|D|20260101||ADT^A04|1|P|2.3.1\rPID|1||LK77131\r",
    ],
    ids=["HTTP", "noise", "no MSH", "no end"],
)
async def test_rubbish_on_the_hl7_port_is_noted_once_and_changes_nothing(tmp_path: Path, rubbish: bytes) -> None:
    async with world(tmp_path) as here:
        async with here.valley.refusing(explained=False):
            _, writer = await mllp(here)
            writer.write(rubbish)
            await writer.drain()
            writer.write_eof()
            before = len(here.valley.kept().steps)
            with_deadline = asyncio.get_running_loop().time() + 8
            while len(here.valley.kept().steps) == before and asyncio.get_running_loop().time() < with_deadline:
                await asyncio.sleep(0.05)
            writer.close()
            await asyncio.sleep(0.1)
        assert (await here.valley.tell(ZEBEDIAH)).accepted


async def test_a_message_of_a_gigabyte_is_refused_and_memory_stays_bounded(tmp_path: Path) -> None:
    async with world(tmp_path, limits={"hl7_message_bytes": 4 * 1024 * 1024}) as here:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        reader, writer = await mllp(here)
        head = b"MSH|^~\\&|A|B|RADGATE|Valley|20260101||ADT^A04|GIGA|P|2.3.1\rOBX|1|ED|||"
        sent, piece = 0, b"A" * (1 << 20)
        answer = asyncio.create_task(reader.read(65536))  # it answers before we are through, and hangs up
        with suppress(ConnectionError):
            writer.write(START_BLOCK + head)
            while sent < 1 << 30:
                writer.write(piece)
                sent += len(piece)
                await writer.drain()
        said = await asyncio.wait_for(answer, 10)
        writer.close()
        assert b"MSA|AR|GIGA" in said
        assert b"^207&" in said or b"|207^" in said, said
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert grown < 96 * 1024 * 1024, grown
        refused = [step for step in here.valley.kept().steps if step["outcome"] == "failure"]
        assert len(refused) == 1
        assert "4194304" in refused[0]["why"]
        assert (await here.valley.tell(ZEBEDIAH)).accepted


# --- nobody we know ---------------------------------------------------------------------------------------------------


async def test_a_peer_that_nobody_knows_is_refused_on_every_wire(tmp_path: Path) -> None:
    async with world(tmp_path, access={"anonymous_loopback": False}) as here:
        message = await rad68(offer_of(here.study()))
        async with here.valley.refusing():
            reply = await here.valley.post(RECIPIENT, message, peer="")
            assert await reply.fault == ("Sender", "FailedAuthentication")
        for path, status in (("/dicomweb/studies", 401), ("/fhir/r4/ImagingStudy", 401)):
            async with here.valley.refusing():
                assert (await here.valley.get(path))[0] == status
        async with here.valley.refusing():
            assert not (await here.valley.tell(ZEBEDIAH)).accepted


async def test_tls_without_a_certificate_gets_nowhere_where_one_is_required(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "certificates")
    identity, stranger = authority.issue("valley"), Authority(tmp_path / "strangers").issue("stranger")
    tls = {
        "certificate": identity.certificate, "key": identity.key, "trust": (identity.authority,),
        "client_certificate": "required",
    }  # fmt: skip
    async with world(tmp_path, tls=tls, access={"anonymous_loopback": False}) as here:
        for shown in (None, stranger):
            context = ssl.create_default_context(cafile=str(identity.authority))
            if shown is not None:
                context.load_cert_chain(shown.certificate, shown.key)
            before = here.valley.kept().clinical
            async with ClientSession(connector=TCPConnector(ssl=context)) as http:
                with pytest.raises((ClientError, OSError)):
                    async with http.get(here.valley.url + "/fhir/r4/metadata") as answer:
                        await answer.read()
            assert here.valley.kept().clinical == before
