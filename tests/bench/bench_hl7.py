"""HL7 v2 beside the `hl7` library, in one run: `python -m tests.bench.bench_hl7 [--json] [--seconds N]`.

Reading: the same 0.9 KB message, to a tree (the library), to segments that are split when asked (ours), with every
subcomponent of every field read, and to the value that a transaction hands on. Asked for: 50 times the library in reading
it. With `--serve` it is the library's MLLP server (parse and create_ack, nothing kept), for `bench_load` to ask.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Callable
from itertools import cycle

import hl7
from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server

from profiles.pix.iti8 import ITI_8
from profiles.wire.hl7v2.message import read_message, write_message, written
from tests.bench.compare import quicker

ASKED = 50.0
READING = {"parse": "split", "everything": "everything", "transaction": "transaction"}
CONTROL_ID = "@@@@"


def sample(patient: str = "4711") -> bytes:
    """A patient's update of 16 segments and 0.9 KB, as an admission system sends it."""
    cx = (patient, "", "", ("HOSP", "1.2.3.4", "ISO"), "MR")
    name, home = ("Sample", "Anna", "M", "Jr.", "Dr.", "", "L"), ("Main St 1", "", "Town", "", "12345", "DEU")
    doctor = ("D33", "Radio", "Rolf", "", "", "Dr.")
    address = {3: "ADT1", 4: "HOSP", 5: "RADGATE", 6: "VALLEY", 7: "20260314120000"}
    segments = [
        written("MSH", {**address, 9: ("ADT", "A08", "ADT_A01"), 10: CONTROL_ID, 11: "P", 12: "2.3.1"}),
        written("EVN", {1: "A08", 2: "20260314120000"}),
        written("PID", {1: "1", 3: [cx], 5: name, 7: "19710523", 8: "F", 11: home, 13: "089 1234567", 18: cx}),
        written("PV1", {1: "1", 2: "O", 3: ("RAD", "1"), 7: doctor, 8: doctor, 19: ("V123", "", "", "VISIT")}),
        *(written("NK1", {1: str(n), 2: ("Sample", "Otto"), 3: ("SPO", "Spouse"), 4: home}) for n in (1, 2)),
        *(written("OBX", {1: str(n), 2: "NM", 3: (f"{n}", "Weight"), 5: "71", 6: "kg", 11: "F"}) for n in range(1, 5)),
        *(written("AL1", {1: str(n), 2: "DA", 3: ("C1", "Contrast & dye")}) for n in (1, 2)),
        *(written("DG1", {1: str(n), 2: "I10", 3: ("C34.1", "Neoplasm"), 6: "A"}) for n in (1, 2)),
        *(written("IN1", {1: str(n), 2: "HMO", 3: "4711", 4: "Insurance of Town", 5: home}) for n in (1, 2)),
    ]
    return write_message(segments)


def rate(work: Callable[[], object], seconds: float) -> float:
    """How often in a second of CPU time, the best of five rounds: what else the machine does is not ours."""
    rounds = []
    for _ in range(5):
        done, started = 0, time.process_time()
        until = started + seconds / 5
        while time.process_time() < until:
            for _ in range(20):
                work()
            done += 20
        rounds.append(done / (time.process_time() - started))
    return max(rounds)


def everything(data: bytes) -> int:
    """Every subcomponent of every field, escapes undone."""
    return sum(
        len(subcomponent)
        for segment in read_message(data).segments
        for number in range(1, len(segment.fields))
        for value in segment.values(number)
        for component in value.parts()
        for subcomponent in component
    )


def reading(seconds: float) -> dict[str, float]:
    """Messages a second; no two of a round have the same control id, as in life."""
    data = sample()
    messages = cycle([data.replace(CONTROL_ID.encode(), f"A{number}".encode(), 1) for number in range(1000)])
    return {
        "hl7_parse": rate(lambda: hl7.parse(next(messages).decode()), seconds),
        "split": rate(lambda: read_message(next(messages)), seconds),
        "everything": rate(lambda: everything(next(messages)), seconds),
        "transaction": rate(lambda: ITI_8.decode_request(next(messages)), seconds),
    }


async def serve() -> None:
    """The library's server, as its documentation shows: read, parse, create_ack, write."""

    async def connected(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                message = await reader.readmessage()
                writer.writemessage(message.create_ack())
                await writer.drain()

    async with await start_hl7_server(connected, "127.0.0.1", 0, encoding="utf-8") as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()


def main() -> int:
    """Measure, print, and fail when the ratio falls short."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve())
        return 0
    figures = {f"{name}_per_s": round(value) for name, value in reading(arguments.seconds).items()}
    library = figures["hl7_parse_per_s"]
    ratios = {f"{name}_ratio": round(figures[f"{of}_per_s"] / library, 1) for name, of in READING.items()}
    held = ratios["parse_ratio"] >= ASKED
    if arguments.json:
        print(json.dumps(figures | ratios | {"ok": held}))
    else:
        for name, value in (figures | ratios).items():
            print(f"{name:32} {value:>12}")
        quicker("HL7 parse, 0.9 KB", ours=figures["split_per_s"], peer=library, unit="/s", beside="hl7", asked=ASKED)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
