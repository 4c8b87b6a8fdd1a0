"""What audit costs, in one run: `python -m tests.bench.bench_audit [--json]`.

Building a message by template beside lxml's SubElement; keeping a record in the chain beside a bare insert of the same
bytes; units of 50 senders with and without their audit record; the walk; frames into a collector on loopback.

Asked for: at most 50 us to build, less than 5 % of throughput with the chain on. The second holds for exchanges that move
something; the bare unit here, two rows and no wire, is the worst case that there is.
"""

import argparse
import asyncio
import json
import sqlite3
import statistics
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from lxml import etree

from gateway.adapters.audit_sql import AuditTrail
from gateway.adapters.audit_syslog import Collector, SyslogForwarder
from gateway.adapters.audit_verify import verify_database
from gateway.adapters.store_sql import SqlStore
from gateway.model.job import Direction, ExchangeJob, Kind, State, Step, StepOutcome
from profiles.model.audit import AuditCode, AuditRecord
from profiles.wire.audit.message import date_time, encode
from profiles.wire.audit.sentences import sentence
from profiles.wire.audit.syslog import FrameReader, Origin, framed
from tests.bench.compare import at_most, quicker
from tests.profiles.wire.audit.records import FACTS, KINDS
from tests.support.clock import FixedClock

ORIGIN = Origin(host="valley.example", application="radgate", process_id="1")
RECORD = KINDS["imaging retrieved"]
AT = datetime(2026, 1, 31, tzinfo=UTC)
ROUNDS = 5
RECORDS = 5_000
SENDERS = 50
UNITS = 100  # of each sender


def by_lxml(record: AuditRecord) -> bytes:
    """The same message, element by element."""

    def code(parent: etree._Element, name: str, value: AuditCode) -> None:
        etree.SubElement(
            parent, name, {"csd-code": value.code, "codeSystemName": value.system, "originalText": value.text}
        )

    root = etree.Element("AuditMessage")
    event = etree.SubElement(
        root,
        "EventIdentification",
        EventActionCode=record.action.value,
        EventDateTime=date_time(record.at),
        EventOutcomeIndicator=str(int(record.outcome)),
    )
    code(event, "EventID", record.event)
    for each in record.types:
        code(event, "EventTypeCode", each)
    if record.outcome_description:
        etree.SubElement(event, "EventOutcomeDescription").text = record.outcome_description
    for each in record.purposes:
        code(event, "PurposeOfUse", each)
    for who in record.participants:
        attributes = {"UserID": who.user_id}
        if who.alternative_user_id:
            attributes["AlternativeUserID"] = who.alternative_user_id
        if who.user_name:
            attributes["UserName"] = who.user_name
        attributes["UserIsRequestor"] = "true" if who.is_requestor else "false"
        if who.network_access_point:
            attributes["NetworkAccessPointID"] = who.network_access_point
        if who.network_access_point_type is not None:
            attributes["NetworkAccessPointTypeCode"] = who.network_access_point_type.value
        participant = etree.SubElement(root, "ActiveParticipant", attributes)
        for role in who.roles:
            code(participant, "RoleIDCode", role)
    source = etree.SubElement(
        root,
        "AuditSourceIdentification",
        AuditEnterpriseSiteID=record.enterprise_site_id,
        AuditSourceID=record.source_id,
    )
    etree.SubElement(source, "AuditSourceTypeCode", {"csd-code": str(record.source_type)})
    for subject in record.objects:
        found = etree.SubElement(
            root,
            "ParticipantObjectIdentification",
            ParticipantObjectID=subject.id,
            ParticipantObjectTypeCode=str(subject.type_code),
            ParticipantObjectTypeCodeRole=str(subject.role),
        )
        code(found, "ParticipantObjectIDTypeCode", subject.id_type)
        for kind, value in subject.details:
            etree.SubElement(found, "ParticipantObjectDetail", type=kind, value=b64encode(value).decode())
        if subject.accessions or subject.sop_classes:
            described = etree.SubElement(found, "ParticipantObjectDescription")
            for number in subject.accessions:
                etree.SubElement(described, "Accession", Number=number)
            for uid, count in subject.sop_classes:
                etree.SubElement(described, "SOPClass", UID=uid, NumberOfInstances=str(count))
    return etree.tostring(root, encoding="utf-8")


def microseconds(do: Callable[[], object], times: int = 2000) -> float:
    """Of one call; the best of the rounds, for the machine is shared."""
    best = float("inf")
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(times):
            do()
        best = min(best, (time.perf_counter() - started) / times)
    return best * 1e6


async def house(folder: Path) -> tuple[SqlStore, AuditTrail]:
    trail = AuditTrail(folder=folder / "audit", clock=FixedClock(), source_id="valley", party=FACTS.local)
    store = SqlStore(f"sqlite:///{folder}/radgate.db", audit=trail.sink, committed=trail.committed)
    await store.open()
    await trail.start(store)
    return store, trail


async def keeping(folder: Path) -> dict[str, float]:
    """One record in the chain, and the bare insert of its bytes, each in one transaction of many."""
    store, trail = await house(folder)
    taken = []
    for _ in range(ROUNDS):
        async with store.unit() as work:
            started = time.perf_counter()
            for _ in range(RECORDS // ROUNDS):
                await work.audit.record((RECORD,), "exchange")
            taken.append((time.perf_counter() - started) / (RECORDS // ROUNDS))
    await trail.stop()
    await store.close()
    started = time.perf_counter()
    assert verify_database(folder / "radgate.db", folder / "audit") == []
    walked = time.perf_counter() - started
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.execute("CREATE TABLE bare (number INTEGER PRIMARY KEY, body BLOB)")
    body = encode(RECORD)
    bare.execute("BEGIN")
    insert = microseconds(lambda: bare.execute("INSERT INTO bare (body) VALUES (?)", (body,)))
    bare.execute("COMMIT")
    bare.close()
    return {"keep_us": min(taken) * 1e6, "bare_insert_us": insert, "walk_records_a_second": RECORDS / walked}


async def units(folder: Path, *, audit: bool) -> float:
    """Units a second: 50 senders, each an exchange and its step, durable before the next; with and without audit."""
    store, trail = await house(folder)
    clock = FixedClock()

    async def sender(who: int) -> None:
        for number in range(UNITS):
            name = f"{who}-{number}"
            async with store.unit() as work:
                await work.ledger.open(
                    ExchangeJob(
                        id=name,
                        kind=Kind.ASK,
                        state=State.DONE,
                        opened_at=clock.now(),
                        updated_at=clock.now(),
                        peer="x",
                    )
                )
                await work.ledger.note(
                    Step(
                        exchange_id=name,
                        at=clock.now(),
                        transaction="ITI-41",
                        direction=Direction.IN,
                        outcome=StepOutcome.SUCCESS,
                        text="Provide and Register Document Set-b",
                        peer="x",
                    )
                )
                if audit:
                    await work.audit.record((RECORD,), name)

    started = time.perf_counter()
    await asyncio.gather(*map(sender, range(SENDERS)))
    taken = time.perf_counter() - started
    await trail.stop()
    await store.close()
    return SENDERS * UNITS / taken


async def forwarding(folder: Path) -> float:
    """Records a second into a collector that only counts."""
    store, trail = await house(folder)
    async with store.unit() as work:
        for _ in range(RECORDS):
            await work.audit.record((RECORD,))
    counted = 0
    everything = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal counted
        frames = FrameReader()
        while chunk := await reader.read(256 * 1024):
            counted += len(frames.feed(chunk))
            if counted >= RECORDS:
                everything.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    forwarder = SyslogForwarder(
        Collector(host="127.0.0.1", port=server.sockets[0].getsockname()[1], context=None),
        store=store,
        clock=FixedClock(),
        origin=ORIGIN,
        source_id="valley",
        party=FACTS.local,
    )
    started = time.perf_counter()
    await forwarder.start()
    await everything.wait()
    taken = time.perf_counter() - started
    await forwarder.stop()
    server.close()
    await trail.stop()
    await store.close()
    return RECORDS / taken


async def measured() -> dict[str, float]:
    """Every figure."""
    template, library = microseconds(lambda: encode(RECORD)), microseconds(lambda: by_lxml(RECORD))
    figures = {
        "build_us": template,
        "build_lxml_us": library,
        "build_ratio": library / template,
        "build_and_frame_us": microseconds(lambda: framed(encode(RECORD), ORIGIN, AT)),
        "sentence_us": microseconds(lambda: sentence(RECORD)),
    }
    with tempfile.TemporaryDirectory() as folder:
        figures |= await keeping(Path(folder))
    silent: list[float] = []
    audited: list[float] = []
    for _ in range(3):
        for rates, audit in ((silent, False), (audited, True)):
            with tempfile.TemporaryDirectory() as folder:
                rates.append(await units(Path(folder), audit=audit))
    figures |= {"units_a_second_without": statistics.median(silent), "units_a_second_with": statistics.median(audited)}
    figures["audit_share_of_a_bare_unit"] = 1 - figures["units_a_second_with"] / figures["units_a_second_without"]
    with tempfile.TemporaryDirectory() as folder:
        figures["forwarded_a_second"] = await forwarding(Path(folder))
    return figures


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    assert etree.tostring(etree.fromstring(by_lxml(RECORD)), method="c14n") == etree.tostring(
        etree.fromstring(encode(RECORD)), method="c14n"
    )
    figures = asyncio.run(measured())
    if as_json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:32} {value:12,.2f}")
    at_most("audit record, built", figures["build_us"], 50.0, "us")
    quicker("audit in a bare unit of two rows", ours=figures["units_a_second_with"],
            peer=figures["units_a_second_without"], unit="units/s", beside="without audit", asked=None)  # fmt: skip


if __name__ == "__main__":
    main()
