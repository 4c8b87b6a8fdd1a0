"""Systems of others that ask: our own house plays one, which the suite knows by its description alone."""

import asyncio
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from conformance.counterparts import by_command, by_hand, standing
from conformance.evidence import Evidence
from conformance.house import free_ports
from conformance.own import Scratch, scratch, serving
from conformance.system import BadDescription, Counterpart, System, read_system
from conformance.target import Target
from conformance.verdict import Unreachable

FACTS: Mapping[str, str] = {"peer": "Simulator", "study": "1.2.3", "patient": "P^^^&1.2&ISO"}
CHOSEN = {
    "query_named": "xds.consumer/query_named",
    "everything": "xdsi.consumer_retrieve/everything",
    "kept": "xdsi.consumer_retrieve/kept",
    "source_provide/is_manifest": "xdsi.source_provide/is_manifest",
    "node_audit/well_formed": "atna.node_audit/well_formed",
    "xds.source/document": "xds.source/document",
    "xds.source/refusal_told": "xds.source/refusal_told",
    "xca.initiating_query/everybody": "xca.initiating_query/everybody",
}


def described(made: Scratch, system: System, path: Path) -> None:
    """What one would write of this house, were it somebody else's."""
    claims = {
        "Document Consumer": ["ITI-18"], "Document Source": ["ITI-41"], "Imaging Document Consumer": ["RAD-69"],
        "Imaging Document Source": ["RAD-68"], "Secure Node": ["ITI-20"], "Initiating Gateway": ["ITI-38"],
    }  # fmt: skip
    lines = ['name = "A stranger"', "[claims]", *(f'"{actor}" = {ids}' for actor, ids in claims.items()), "[endpoint]"]
    lines += [f'"{name}" = "{address}"' for name, address in system.endpoints.items()]
    lines += [
        "[tls]", f'certificate = "{made.tester.certificate}"', f'key = "{made.tester.key}"',
        f'trust = "{made.tester.authority}"', "[known]", f'retrieve_location_uid = "{system.retrieve_location_uid}"',
        f'patients = ["{system.patients[0].value}^^^&{system.patients[0].authority}&ISO"]', "[counterpart]",
        f"soap_port = {made.counterpart.soap_port}", f"audit_port = {made.counterpart.audit_port}",
        *(f"{each.name.lower()}_port = {each.port}" for each in made.counterpart.foreign),
        f'certificate = "{made.simulator.certificate}"', f'key = "{made.simulator.key}"',
        f'trust = "{made.simulator.authority}"',
    ]  # fmt: skip
    path.write_text("\n".join(lines))


SCRIPT = """
import os, subprocess, sys
told = os.environ
what, peer, study, patient = (told["RADGATE_" + each] for each in ("WHAT", "PEER", "STUDY", "PATIENT"))
words = {
    "fetch": ["study", "fetch", "--patient", patient, "--registry", peer, "--study", study, "--wait"],
    "share": ["study", "share", "--to", peer, study, "--wait"],
    "submit": [
        "document", "submit", told["RADGATE_FILE"], "--patient", patient, "--to", peer, "--by", "ITI-41",
        "--class", "REPORTS^1.2.3.8^Reports",
    ],
}[what]
sys.exit(subprocess.run([sys.executable, "-m", "gateway", *words, "--config", sys.argv[1]]).returncode)
"""


async def judged(*words: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "conformance", "conformance", "run", *words,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_stranger_that_asks_and_audits_is_judged(tmp_path: Path) -> None:
    made = scratch(tmp_path / "house")
    target, script, result = tmp_path / "stranger.toml", tmp_path / "ask.py", tmp_path / "result.json"
    script.write_text(SCRIPT)
    async with serving(made) as system:
        described(made, system, target)
        provoke = f"{sys.executable} {script} {made.house.config}"
        for part, id in CHOSEN.items():
            code, said = await judged(
                "--target", str(target), "--provoke", provoke, "--case", part, "--json", str(result),
                "--evidence", str(tmp_path / "evidence" / part),
            )  # fmt: skip
            assert code == 0, said
            verdicts = {each["case"]: each["verdict"] for each in json.loads(result.read_text())["results"]}
            assert verdicts[id] == "pass", said


async def test_a_person_who_does_what_the_sentence_says_is_waited_for(tmp_path: Path) -> None:
    made, target = scratch(tmp_path / "house"), tmp_path / "stranger.toml"
    async with serving(made) as system:
        described(made, system, target)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-u", "-m", "conformance", "conformance", "run", "--target", str(target),
            "--case", "consumer_retrieve/everything", "--evidence", str(tmp_path / "evidence"),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(100):
            while b"Make it" not in (line := await process.stdout.readline()):
                assert line, "it ended without asking for anything"
            asked = re.fullmatch(
                r"Make it fetch study (\S+) of patient (\S+) from (\S+)\. Waiting 60 s .*\n", line.decode()
            )
            assert asked is not None, line
            study, patient, peer = asked.groups()
            await made.house.command("study", "fetch", "--patient", patient, "--registry", peer, "--study", study)
            said = await process.stdout.read()
            assert await process.wait() == 0, said.decode()
    assert b"PASS" in said


async def test_a_command_is_told_what_is_wanted_and_of_whom(tmp_path: Path) -> None:
    kept = tmp_path / "told"
    code = (
        "import os, pathlib, sys; pathlib.Path(sys.argv[1]).write_text("
        "'|'.join(os.environ['RADGATE_' + each] for each in ('WHAT', 'PEER', 'STUDY', 'PATIENT', 'FILE')))"
    )
    provoke = by_command([sys.executable, "-c", code, str(kept)], 30)
    assert await provoke("fetch", FACTS)
    assert kept.read_text() == "fetch|Simulator|1.2.3|P^^^&1.2&ISO|"
    assert await provoke("submit", {"peer": "Simulator", "file": "text.txt"})
    assert kept.read_text() == "submit|Simulator|||text.txt"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([sys.executable, "-c", "print('first'); raise SystemExit('no such peer')"], "ended with 1: no such peer"),
        ([sys.executable, "-c", "raise SystemExit(3)"], "ended with 3: it said nothing"),
        (["/nowhere/at/all"], "cannot be run"),
    ],
)
async def test_a_command_that_fails_is_a_skip_with_its_last_line(words: list[str], complaint: str) -> None:
    with pytest.raises(Unreachable, match=complaint):
        await by_command(words, 30)("fetch", FACTS)


async def test_a_command_that_never_ends_is_ended() -> None:
    with pytest.raises(Unreachable, match="did not fetch within"):
        await by_command([sys.executable, "-c", "import time; time.sleep(60)"], 0.5)("fetch", FACTS)


async def test_a_person_is_told_in_a_sentence() -> None:
    said: list[str] = []
    provoke = by_hand(said.append)
    assert not await provoke("fetch", FACTS), "a person says nothing"
    assert not await provoke("share", FACTS), "a person says nothing"
    assert said == [
        "Make it fetch study 1.2.3 of patient P^^^&1.2&ISO from Simulator.",
        "Make it share study 1.2.3 with Simulator.",
    ]


async def test_whoever_makes_it_ask_by_hand_cannot_say_what_it_makes_of_a_wrong_answer(tmp_path: Path) -> None:
    async with (
        standing(Counterpart(soap_port=0), by_hand(lambda _: None)) as around,
        aiohttp.ClientSession() as session,
    ):
        target = Target(
            System(name="x", endpoints={}, claims=frozenset()), session, Evidence(tmp_path, 0.0), around=around
        )
        with pytest.raises(Unreachable, match="make it ask by a command"):
            await target.attempt("share", study="1.2.3")


async def test_a_command_that_fails_is_what_the_system_says_of_a_wrong_answer(tmp_path: Path) -> None:
    provoke = by_command([sys.executable, "-c", "raise SystemExit('refused')"], 30)
    async with standing(Counterpart(soap_port=0), provoke) as around, aiohttp.ClientSession() as session:
        target = Target(
            System(name="x", endpoints={}, claims=frozenset()), session, Evidence(tmp_path, 0.0), around=around
        )
        assert "refused" in await target.attempt("share", study="1.2.3")
        with pytest.raises(Unreachable, match="refused"):
            await target.provoke("share", study="1.2.3")


async def test_a_port_that_is_taken_is_said() -> None:
    (port,) = free_ports(1)
    async with standing(Counterpart(audit_port=port), by_hand(print)) as around:
        assert around.audit is not None
        assert around.community is None
        with pytest.raises(BadDescription, match="cannot listen"):
            async with standing(Counterpart(soap_port=port), by_hand(print)):
                pass


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("port = 1", r"\[counterpart\] takes"),
        ("soap_port = 'x'", "soap_port is no number"),
        ("soap_port = 70000", "from 1 to 65535"),
        ("wait_s = 0", "wait_s is above 0"),
        ("north_port = 18444", "north_port and south_port go together"),
        ("north_port = 18444\nsouth_port = 0", "south_port is a port, from 1 to 65535"),
        ("wait_s = true", "wait_s is no number"),
        ("peer = 1", "peer is no text"),
        ("repository_unique_id = 'x'", "repository_unique_id is no OID"),
        ("certificate = 'x.pem'", "go together"),
        ("certificate = 'x.pem'\nkey = 'x.key'\ntrust = 'x.pem'", r"\[counterpart\] .*No such file"),
    ],
)
def test_a_counterpart_that_cannot_be_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "system.toml"
    path.write_text(f"[counterpart]\n{text}\n")
    with pytest.raises(BadDescription, match=complaint):
        read_system(path)


async def test_a_command_without_a_counterpart_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "system.toml"
    path.write_text("name = 'Theirs'\n")
    code, said = await judged("--target", str(path), "--provoke", "true", "--evidence", str(tmp_path / "evidence"))
    assert code == 1
    assert "say where, below [counterpart]" in said
