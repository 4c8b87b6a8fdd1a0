"""Audit reaches a collector: in order, byte for byte, at least once, whatever happens to the collector meanwhile."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.adapters.audit_sql import cursor_of
from gateway.adapters.audit_syslog import Collector, SyslogForwarder
from gateway.adapters.tls import TlsIdentity, client_context
from gateway.ports.audit import AuditCriteria
from profiles.errors import MalformedMessage
from profiles.model.audit import AuditRecord
from profiles.wire.audit import syslog
from profiles.wire.audit.message import encode
from profiles.wire.audit.read import decode
from profiles.wire.audit.syslog import FrameReader, Origin
from tests.gateway.adapters.trails import Trail, started
from tests.profiles.wire.audit.records import FACTS, KINDS
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.ports import free_port
from tests.support.rsyslog import Rsyslog

ORIGIN = Origin(host="valley.example", application="radgate", process_id="4711")


def record(number: int) -> AuditRecord:
    return replace(KINDS["a submission"], source_id=f"valley {number}")


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Trail]:
    running = await started(tmp_path)
    yield running
    await running.stop()


def forwarder(
    house: Trail, collector: Collector, *, confirm_s: float = 0.1, alarm_after_s: float = 30.0
) -> SyslogForwarder:
    return SyslogForwarder(
        collector,
        store=house.store,
        clock=house.clock,
        origin=ORIGIN,
        source_id="valley",
        party=FACTS.local,
        first_wait_s=0.02,
        confirm_s=confirm_s,
        alarm_after_s=alarm_after_s,
    )


async def until(reached: Callable[[], bool], within_s: float = 20.0) -> None:
    async with asyncio.timeout(within_s):
        while not reached():
            await asyncio.sleep(0.01)


def sources(messages: list[bytes]) -> list[str]:
    return [decode(syslog.decode(message).content).value.source_id for message in messages]


def once(names: list[str]) -> list[str]:
    """Without what came a second time."""
    return list(dict.fromkeys(names))


def names(first: int, last: int) -> list[str]:
    return [f"valley {number}" for number in range(first, last + 1)]


# --- rsyslog, which nobody here wrote ---------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> MadeCertificate:
    return make_certificate(tmp_path, "authority", authority=True)


@pytest.fixture
def rsyslog(tmp_path: Path, authority: MadeCertificate) -> Iterator[Rsyslog]:
    folder = tmp_path / "rsyslog"
    folder.mkdir()
    made = make_certificate(tmp_path, "collector", signed_by=authority)
    running = Rsyslog(folder=folder, authority=authority, identity=made, port=free_port())
    running.start()
    yield running
    running.stop()


def context(authority: MadeCertificate, ours: MadeCertificate) -> ssl.SSLContext:
    return client_context(TlsIdentity(certificate=ours.certificate, key=ours.key), trust=[authority.certificate])


def tls_collector(rsyslog: Rsyslog, authority: MadeCertificate, folder: Path) -> Collector:
    ours = make_certificate(folder, "valley", signed_by=authority)
    return Collector(host="127.0.0.1", port=rsyslog.port, context=context(authority, ours))


@pytest.mark.judge_program
async def test_rsyslog_gets_every_record_as_it_was_written(
    house: Trail, rsyslog: Rsyslog, authority: MadeCertificate, tmp_path: Path
) -> None:
    await house.record(*KINDS.values())
    forwarding = forwarder(house, tls_collector(rsyslog, authority, tmp_path))
    await forwarding.start()
    await house.record(*[record(number) for number in range(700)])
    forwarding.wake()
    await until(lambda: len(rsyslog.messages()) >= 700 + len(KINDS))
    await forwarding.stop()
    header = syslog.header(ORIGIN, house.clock.now())
    expected = [*KINDS.values(), *[record(number) for number in range(700)]]
    assert [message.partition(b" - ")[2] for message in rsyslog.messages()] == [encode(each) for each in expected]
    assert rsyslog.messages()[0] == header + encode(expected[0])
    assert [syslog.decode(message).priority for message in rsyslog.messages()[:9]] == [85] * 8 + [84]


@pytest.mark.judge_program
async def test_a_restart_and_a_sudden_death_of_rsyslog_lose_nothing(
    house: Trail, rsyslog: Rsyslog, authority: MadeCertificate, tmp_path: Path
) -> None:
    forwarding = forwarder(house, tls_collector(rsyslog, authority, tmp_path), confirm_s=1.0)
    await forwarding.start()
    await house.record(*[record(number) for number in range(1, 101)])
    forwarding.wake()
    await until(lambda: len(rsyslog.messages()) >= 100)
    await asyncio.to_thread(rsyslog.stop)
    await house.record(*[record(number) for number in range(101, 151)])
    forwarding.wake()
    await asyncio.sleep(0.2)
    await asyncio.to_thread(rsyslog.start)
    await until(lambda: "valley 150" in sources(rsyslog.messages()))
    await asyncio.to_thread(rsyslog.kill)
    await house.record(*[record(number) for number in range(151, 171)])
    await asyncio.to_thread(rsyslog.start)
    forwarding.wake()
    await until(lambda: "valley 170" in sources(rsyslog.messages()))
    await forwarding.stop()
    assert once(sources(rsyslog.messages())) == names(1, 170)


@pytest.mark.judge_program
async def test_a_collector_that_refuses_our_certificate_gets_nothing_and_loses_nothing(
    house: Trail, rsyslog: Rsyslog, authority: MadeCertificate, tmp_path: Path
) -> None:
    strangers = make_certificate(tmp_path, "stranger")
    await house.record(*[record(number) for number in range(1, 6)])
    refused = forwarder(house, Collector(host="127.0.0.1", port=rsyslog.port, context=context(authority, strangers)))
    await refused.start()
    await asyncio.sleep(0.8)
    state = await refused.state()
    assert (state.connected, state.cursor, state.behind) == (False, 0, 5)
    assert state.reason
    await refused.stop(0.5)
    assert rsyslog.messages() == []
    accepted = forwarder(house, tls_collector(rsyslog, authority, tmp_path))
    await accepted.start()
    await until(lambda: len(rsyslog.messages()) >= 5)
    await accepted.stop()
    assert sources(rsyslog.messages()) == names(1, 5)


@pytest.mark.judge_program
async def test_a_collector_whose_certificate_we_do_not_trust_gets_nothing(
    house: Trail, rsyslog: Rsyslog, tmp_path: Path
) -> None:
    other = make_certificate(tmp_path, "another authority", authority=True)
    ours = make_certificate(tmp_path, "valley", signed_by=other)
    await house.record(record(1))
    forwarding = forwarder(house, Collector(host="127.0.0.1", port=rsyslog.port, context=context(other, ours)))
    await forwarding.start()
    await asyncio.sleep(0.3)
    assert "not trusted" in (await forwarding.state()).reason
    await forwarding.stop(0.5)
    assert rsyslog.messages() == []


# --- a collector that we script ---------------------------------------------------------------------------------------


class Scripted:
    """Takes frames; may be told to cut each connection after so many bytes."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.truncated: list[bytes] = []
        self.connections = 0
        self.cut_after: int | None = None
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        frames, left = FrameReader(), self.cut_after
        while left is None or left > 0:
            chunk = await reader.read(65536 if left is None else left)
            if not chunk:
                break
            left = None if left is None else left - len(chunk)
            self.messages += frames.feed(chunk)
        if not frames.between_frames:
            self.truncated.append(frames.truncated)
        if left == 0:
            writer.transport.abort()
        writer.close()

    @property
    def collector(self) -> Collector:
        return Collector(host="127.0.0.1", port=self.port, context=None)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Scripted"]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()


async def test_a_frame_that_was_cut_in_half_comes_whole_the_next_time(house: Trail) -> None:
    await house.record(*[record(number) for number in range(1, 21)])
    script = Scripted()
    script.cut_after = 10_000  # some frames and a half
    async with script.running():
        forwarding = forwarder(house, script.collector)
        await forwarding.start()
        await until(lambda: script.connections >= 2)
        assert any(script.truncated)
        script.cut_after = None
        await until(lambda: "valley 20" in sources(script.messages))
        await forwarding.stop()
    assert once(sources(script.messages)) == names(1, 20)
    assert sources(script.messages).count("valley 1") >= 2


async def test_a_restart_of_the_house_goes_on_behind_the_cursor(house: Trail) -> None:
    script = Scripted()
    async with script.running():
        await house.record(*[record(number) for number in range(1, 6)])
        first = forwarder(house, script.collector)
        await first.start()
        await first.stop()
        assert sources(script.messages) == names(1, 5)
        await house.record(*[record(number) for number in range(6, 9)])
        second = forwarder(house, script.collector)
        await second.start()
        await second.stop()
    assert sources(script.messages) == names(1, 8)
    async with house.store.reading() as executor:
        assert await cursor_of(executor, script.collector.address) == 8


async def test_what_was_written_counts_only_when_the_connection_lived_on(house: Trail) -> None:
    script = Scripted()
    async with script.running():
        forwarding = forwarder(house, script.collector, confirm_s=0.3)
        await forwarding.start()
        await house.record(record(1))
        forwarding.wake()
        await until(lambda: len(script.messages) == 1)
        assert (await forwarding.state()).behind == 1
        async with asyncio.timeout(5):
            while (await forwarding.state()).behind:
                await asyncio.sleep(0.02)
        await forwarding.stop()


async def test_intents_are_not_forwarded_and_their_answers_are(house: Trail) -> None:
    script = Scripted()
    async with script.running():
        async with house.store.unit() as work:
            intent = await work.audit.intend((record(1),))
            await work.audit.close(intent, (record(2),))
        forwarding = forwarder(house, script.collector)
        await forwarding.start()
        await forwarding.stop()
    assert sources(script.messages) == ["valley 2"]


async def test_a_collector_that_is_down_is_recorded_once_and_so_is_its_return(house: Trail) -> None:
    script = Scripted()
    script.port = free_port()
    forwarding = forwarder(house, script.collector, alarm_after_s=0.05)
    await forwarding.start()
    await house.record(record(1))
    await asyncio.sleep(0.6)  # several attempts

    async def alarms() -> list[str]:
        shown = await house.archive.list(AuditCriteria(event="110113"))
        return [each.record.types[0].text for each in shown if each.record]

    assert await alarms() == ["Audit Recording Stopped"]
    async with script.running():
        await until(lambda: len(script.messages) >= 3)
        await forwarding.stop()
    assert await alarms() == ["Audit Recording Started", "Audit Recording Stopped"]
    assert sources(script.messages)[:1] == ["valley 1"]


async def test_a_short_outage_is_no_alarm(house: Trail) -> None:
    forwarding = forwarder(house, Collector(host="127.0.0.1", port=free_port(), context=None))
    await forwarding.start()
    await asyncio.sleep(0.2)
    state = await forwarding.state()
    assert (state.connected, state.reason) == (False, "connection refused")
    await forwarding.stop(1)
    assert await house.archive.list(AuditCriteria()) == []


async def test_stop_does_not_wait_for_a_collector_that_reads_nothing(house: Trail) -> None:
    release = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        writer.close()

    server = await asyncio.start_server(deaf, "127.0.0.1", 0, limit=1024)
    port = server.sockets[0].getsockname()[1]
    long = replace(KINDS["a stored query"], outcome_description="x" * 20_000)
    await house.record(*[long] * 1000)  # more than any socket buffer takes
    forwarding = forwarder(house, Collector(host="127.0.0.1", port=port, context=None))
    await forwarding.start()
    await asyncio.sleep(0.2)
    loop = asyncio.get_running_loop()
    before = loop.time()
    await forwarding.stop(0.3)
    assert loop.time() - before < 2
    assert (await forwarding.state()).cursor < 1000
    release.set()
    server.close()


def test_the_reader_of_the_script_would_see_bad_framing() -> None:
    with pytest.raises(MalformedMessage):
        FrameReader().feed(b"<85>1 no length")
