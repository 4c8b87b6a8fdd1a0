"""A namespace is the sender's word: what its [[peer]] says of it wins over what the house says."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from conformance.simulators.hl7_sender import send_message
from tests.support.scenario import LAKESIDE, VALLEY, world

ADT = (
    "MSH|^~\\&|{sender}|LAB|RADGATE|Valley|20240501120000+0000||ADT^A04^ADT_A01|{control}|P|2.3.1\r"
    "EVN|A04|20240501120000+0000\r"
    "PID|1||{value}^^^MPI||Quillfeather^Zebediah||19610417|M\r"
    "PV1|1|O\r"
)


async def told(here: Any, sender: str, value: str) -> bytes:
    host, _, port = here.valley.addresses["mllp"].partition("://")[2].rpartition(":")
    return bytes(await send_message(host, int(port), ADT.format(sender=sender, control=value, value=value).encode()))


async def test_a_namespace_means_what_its_sender_s_peer_says_and_else_what_the_house_says(tmp_path: Path) -> None:
    peers = {"Lakeside": {"hl7_application": "LAKE", "hl7_namespaces": {"MPI": str(VALLEY)}}}
    async with world(tmp_path, house={"hl7_namespaces": {"MPI": str(LAKESIDE)}}, peers=peers) as here:
        assert b"MSA|AA" in await told(here, "LAKE", "N1")
        refused = await told(here, "SOMEBODY", "N2")  # by the house's word the id is Lakeside's, whom we do not serve
        assert b"MSA|AA" not in refused
    with closing(sqlite3.connect(tmp_path / "valley" / "radgate.db")) as database:
        known = database.execute("select identifier from patient_identifiers").fetchall()
    assert known == [(f"N1^^^&{VALLEY}&ISO",)]
