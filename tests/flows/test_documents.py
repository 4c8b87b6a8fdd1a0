"""`radgate document`: a report goes to a registry, is found and taken there bit for bit, and a better one replaces it."""

import json
import sqlite3
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from conformance.samples import SampleStudy
from conformance.simulators.document_community import DocumentCommunity
from conformance.simulators.soap_server import SoapCounterpart
from gateway.app import running
from gateway.settings import Settings
from profiles.model.identifiers import Oid
from tests.support.communities import HOMES, REPOSITORIES, RESPONDING, settings_of
from tests.support.house import command
from tests.support.scenario import DOMAIN_ID, ZEBEDIAH, Valley, logged, nothing_leaked, write_study

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 400 + b"\n%%EOF\n"
BETTER = PDF.replace(b"%%EOF", b"Addendum.\n%%EOF")
CDA = (
    b'<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3.77" extension="R7"/><title>CT of the chest</title>'
    b'<effectiveTime value="20260301093000+0000"/><component><nonXMLBody><text mediaType="text/plain">No finding.</text>'
    b"</nonXMLBody></component></ClinicalDocument>"
)
CLASS = ("--class", "REPORTS^1.2.3.8^Reports")
LETTER = b"Dear colleague,\n" + bytes(range(256)) * 300
DOORS = {"RAD-68": "/soap/repository", "ITI-41": "/soap/document-recipient", "ITI-80": RESPONDING}


async def document(*words: str, data: Path) -> tuple[int, Any, str]:
    """Its exit code, what it told programs, and why it refused, wherever it says so."""
    code, out, err = await command("document", *words, "--json", "--data", str(data))
    told = json.loads(out) if out else None
    refused = " ".join(str(each) for each in told["error"].values()) if code and told else ""
    return code, told, " ".join(f"{err} {refused}".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Valley's command line, and Region that it knows."""

    folder: Path
    region: Valley
    valley: Valley
    study: SampleStudy

    async def run(self, *words: str) -> tuple[int, Any, str]:
        return await document(*words, data=self.folder / "Valley")

    async def submit(self, name: str, body: bytes, *words: str) -> tuple[int, Any, str]:
        (self.folder / name).write_bytes(body)
        return await self.run(
            "submit",
            str(self.folder / name),
            "--study",
            self.study.study_instance_uid,
            "--to",
            "Region",
            *CLASS,
            *words,
        )

    async def letter(self, *words: str, body: bytes = LETTER, name: str = "letter.txt") -> tuple[int, Any, str]:
        (self.folder / name).write_bytes(body)
        patient = () if "--patient" in words else ("--patient", str(DOMAIN_ID))
        return await self.run("submit", str(self.folder / name), *patient, "--to", "Region", *CLASS, *words)

    async def replace(self, document: str, body: bytes, *words: str, name: str = "new.pdf") -> tuple[int, Any, str]:
        (self.folder / name).write_bytes(body)
        return await self.run("replace", document, str(self.folder / name), *words)

    async def find(self, *words: str) -> list[dict[str, Any]]:
        code, found, err = await self.run("find", "--patient", str(DOMAIN_ID), *words)
        assert code == 0, err
        return list(found)


@asynccontextmanager
async def desk(
    folder: Path, *ways: str, rules: Sequence[Mapping[str, object]] = (), recipients: tuple[str, ...] = ()
) -> AsyncIterator[Desk]:
    """`ways`: by which Region takes documents; none: its repository takes reports by RAD-68."""
    async with logged() as log, AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession(auto_decompress=False))
        theirs = settings_of(folder / "Region", "Region")
        theirs = theirs.model_copy(update={"house": theirs.house.model_copy(update={"recipients": recipients})})
        addresses = await stack.enter_async_context(running(theirs))
        region = Valley(data=folder / "Region", addresses=addresses, http=http, log=log)
        settings = settings_of(folder / "Valley", "Valley").model_dump(mode="python", exclude_unset=True)
        settings["peer"] = [
            {
                "name": "Region",
                "home_community_id": HOMES["Region"],
                "repository_unique_ids": [REPOSITORIES["Region"]],
                "endpoint": {
                    **{way: region.url + DOORS[way] for way in ways or ("RAD-68",)},
                    "ITI-18": f"{region.url}/soap/registry",
                    "ITI-43": f"{region.url}/soap/repository",
                },
            }
        ]
        settings["rule"] = list(rules)
        ours = await stack.enter_async_context(running(Settings.model_validate(settings)))
        valley = Valley(data=folder / "Valley", addresses=ours, http=http, log=log)
        await region.tell(ZEBEDIAH)
        await valley.tell(ZEBEDIAH)
        study = write_study(folder / "study", instances=1)
        status, _ = await valley.push((one.path.read_bytes() for one in study.instances), peer="")
        assert status == 200
        yield Desk(folder=folder, region=region, valley=valley, study=study)
        nothing_leaked(log.getvalue())
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]


async def test_a_report_goes_to_a_registry_is_found_and_comes_back_bit_for_bit(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        code, entry, err = await here.submit("report.pdf", PDF, "--title", "CT of the chest")
        assert code == 0, err
        assert (entry["mime_type"], entry["format"]) == ("application/pdf", "urn:ihe:rad:PDF")
        (found,) = await here.find("--at", "Region", "--study", here.study.study_instance_uid)
        assert (found["unique_id"], found["title"]) == (entry["unique_id"], "CT of the chest")
        assert found["size_bytes"] == len(PDF)
        assert await here.find() == []  # ours is not the registry that has it
        code, taken, err = await here.run(
            "get", entry["unique_id"], "--at", "Region", "--to", str(tmp_path / "back.pdf")
        )
        assert (code, taken["size_bytes"]) == (0, len(PDF)), err
        assert (tmp_path / "back.pdf").read_bytes() == PDF


async def test_a_cda_has_its_own_id_title_and_time(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        code, entry, err = await here.submit("report.xml", CDA)
        assert code == 0, err
        assert entry["unique_id"] == "1.2.3.77^R7"
        (found,) = await here.find("--at", "Region")
        assert (found["title"], found["created"], found["format"]) == (
            "CT of the chest", "20260301093000", "urn:ihe:rad:TEXT",
        )  # fmt: skip
        code, _, err = await here.run("get", "1.2.3.77^R7", "--at", "Region", "--to", str(tmp_path / "back.xml"))
        assert code == 0, err
        assert (tmp_path / "back.xml").read_bytes() == CDA


async def test_a_document_that_is_not_what_its_entry_says_is_refused_and_no_file_is_left(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        _, entry, _ = await here.submit("report.pdf", PDF)
        (kept,) = (tmp_path / "Region" / "objects" / "kept").glob("*/*")
        kept.chmod(0o600)
        kept.write_bytes(PDF.replace(b"1.7", b"1.4", 1))
        code, _, err = await here.run("get", entry["unique_id"], "--at", "Region", "--to", str(tmp_path / "taken.pdf"))
        assert (code, "not what its entry says" in err) == (5, True), err
        assert not list(tmp_path.glob("taken*"))


async def test_a_document_that_was_not_asked_for_is_not_taken_for_the_one_that_was(tmp_path: Path) -> None:
    region = SoapCounterpart("127.0.0.1", 0, ssl=None)
    community = DocumentCommunity(region, repository=Oid(REPOSITORIES["Region"]), retrieve_location=Oid("1.2.3.78"))
    await region.start()
    settings = settings_of(tmp_path / "Valley", "Valley").model_dump(mode="python", exclude_unset=True)
    settings["peer"] = [
        {
            "name": "Region", "repository_unique_ids": [REPOSITORIES["Region"]],
            "endpoint": {each: region.address(each) for each in ("ITI-18", "ITI-43")},
        }
    ]  # fmt: skip
    try:
        async with running(Settings.model_validate(settings)):
            held, to = community.hold(DOMAIN_ID), tmp_path / "taken.txt"
            words = ("get", held.entry.unique_id, "--at", "Region", "--to", str(to))
            other = held.entry.unique_id.encode(), f"{held.entry.unique_id}.9".encode()
            with region.otherwise("ITI-43", spoil=lambda answer: replace(answer, body=answer.body.replace(*other))):
                code, _, err = await document(*words, data=tmp_path / "Valley")
            assert (code, "was not asked for" in err, to.exists()) == (1, True, False), err
            code, _, err = await document(*words, data=tmp_path / "Valley")
            assert (code, to.read_bytes()) == (0, held.body), err
    finally:
        await region.stop()


async def test_a_document_goes_into_no_file_that_cannot_be_written(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        _, entry, _ = await here.submit("report.pdf", PDF)
        for nowhere in (tmp_path / "nowhere" / "taken.pdf", Path("/proc/taken.pdf")):
            code, _, err = await here.run("get", entry["unique_id"], "--at", "Region", "--to", str(nowhere))
            assert (code, f"{nowhere} cannot be written" in err) == (1, True), err


async def test_a_better_report_takes_the_place_of_the_first(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        _, first, _ = await here.submit("report.pdf", PDF)
        (registered,) = await here.find("--at", "Region")
        code, second, err = await here.submit("better.pdf", BETTER, "--replaces", registered["entry_uuid"])
        assert code == 0, err
        assert [each["unique_id"] for each in await here.find("--at", "Region")] == [second["unique_id"]]
        assert first["unique_id"] != second["unique_id"]


async def test_what_is_no_report_and_what_is_nowhere_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        before = here.region.kept().rows
        code, _, err = await here.submit("letter.txt", b"Dear colleague")
        assert (code, "PDF or CDA" in err, "--patient" in err) == (1, True, True), err
        code, _, err = await here.run(
            "submit", str(tmp_path / "letter.txt"), "--study", "1.2.3", "--to", "Region", *CLASS
        )
        assert (code, "no such study" in err) == (1, True), err
        code, _, err = await here.submit(
            "report.pdf", PDF, "--replaces", "urn:uuid:5a0f3c1e-0000-4000-8000-00000000beef"
        )
        assert (code, "UnresolvedReferenceException" in err) == (1, True), err
        for at in ((), ("--at", "Region")):
            code, _, err = await here.run("get", "1.2.3.4.5", *at, "--to", str(tmp_path / "nothing"))
            assert code == 1, err
            assert "no such document" in err
        assert not list(tmp_path.glob("nothing*"))
        assert here.region.kept().rows == before
        with closing(sqlite3.connect(tmp_path / "Region" / "radgate.db")) as database:
            left = {path for (path,) in database.execute("SELECT path FROM removed_files")}
        staged = {
            str(path.relative_to(tmp_path / "Region" / "objects"))
            for path in Path(tmp_path / "Region" / "objects" / "kept").glob("*/*")
        }
        assert staged
        assert left == staged  # and so it goes within hours


async def test_who_looked_and_who_took_stands_in_the_audit_and_on_a_timeline(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        await here.submit("report.pdf", PDF)
        await here.find("--at", "Region")
        where = ("--json", "--data", str(tmp_path / "Valley"))
        _, out, _ = await command("audit", "list", *where)
        told = [each["sentence"] for each in json.loads(out)]
        assert any("Documents looked for" in each for each in told)
        assert any("A report submitted to Region" in each for each in told)
        _, out, _ = await command("exchange", "list", "--kind", "ask", "--peer", "Region", *where)
        assert {each["state"] for each in json.loads(out)} == {"done"}


# --- any document, by the way that the peer takes it ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ways", "by", "chosen"),
    [
        (("ITI-41",), "", "ITI-41"),
        (("RAD-68", "ITI-41", "ITI-80"), "", "ITI-41"),
        (("RAD-68", "ITI-80"), "", "ITI-80"),
        (("ITI-41", "ITI-80"), "ITI-80", "ITI-80"),
    ],
)
async def test_a_letter_of_no_images_goes_to_a_recipient(
    tmp_path: Path, ways: tuple[str, ...], by: str, chosen: str
) -> None:
    async with desk(tmp_path, *ways) as here:
        code, letter, err = await here.letter("--title", "A letter", *(("--by", by) if by else ()))
        assert code == 0, err
        assert (letter["mime_type"], letter["format"]) == ("text/plain", "urn:ihe:iti:xds:2017:mimeTypeSufficient")
        (found,) = await here.find("--at", "Region")
        assert (found["unique_id"], found["title"], found["size_bytes"]) == (
            letter["unique_id"], "A letter", len(LETTER),
        )  # fmt: skip
        code, _, err = await here.run("get", letter["unique_id"], "--at", "Region", "--to", str(tmp_path / "back"))
        assert code == 0, err
        assert (tmp_path / "back").read_bytes() == LETTER
        for house, direction in ((here.region, "in"), (here.valley, "out")):
            kept = house.kept()
            assert (chosen, direction, "success") in {
                (step["transaction"], step["direction"], step["outcome"]) for step in kept.steps
            }
            assert any(f'csd-code="{chosen}"'.encode() in each for each in kept.audit)


@pytest.mark.parametrize("way", ["ITI-41", "ITI-80"])
async def test_a_report_goes_by_the_only_way_that_a_recipient_has(tmp_path: Path, way: str) -> None:
    async with desk(tmp_path, way) as here:
        code, entry, err = await here.submit("report.pdf", PDF)
        assert code == 0, err
        (found,) = await here.find("--at", "Region", "--study", here.study.study_instance_uid)
        assert found["unique_id"] == entry["unique_id"]
        assert way in {step["transaction"] for step in here.valley.kept().steps}  # there, ITI-41 of images is RAD-68


@pytest.mark.parametrize("way", ["ITI-41", "ITI-80"])
async def test_a_rule_shares_a_study_by_the_only_way_that_a_recipient_has(tmp_path: Path, way: str) -> None:
    async with desk(tmp_path, way, rules=[{"when": "study.available", "do": ["share:Region"]}]) as here:
        shared = await here.valley.rests("done", "failed", "held", kind="store")
        assert shared["state"] == "done", shared
        (found,) = await here.find("--at", "Region", "--study", here.study.study_instance_uid)
        assert found["mime_type"] == "application/dicom"
        assert way in {step["transaction"] for step in here.valley.kept().steps}  # there, ITI-41 of images is RAD-68


async def test_what_cannot_be_submitted_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        before = here.region.kept().rows
        code, _, err = await here.letter()
        assert (code, "no address of Region is known for ITI-41 or ITI-80" in err) == (1, True), err
        code, _, err = await here.letter("--by", "RAD-68")
        assert (code, "RAD-68 is no way for this document" in err) == (1, True), err
        code, _, err = await here.letter("--patient", "NOBODY^^^&1.2.3.9&ISO")
        assert (code, "nobody here has this id" in err) == (1, True), err
        code, _, err = await here.run("submit", str(tmp_path / "letter.txt"), "--to", "Region", *CLASS)
        assert (code, "of a study or of a patient" in err) == (2, True), err
        assert here.region.kept().rows == before
    async with desk(tmp_path / "again", "ITI-80") as here:
        code, _, err = await here.letter("--home", "urn:oid:1.2.99.1")
        assert (code, "does not speak for this community" in err) == (1, True), err
        code, _, err = await here.letter("--home", "Valley")
        assert (code, "home community id is an OID" in err) == (1, True), err


async def test_a_letter_names_whom_it_is_for_and_is_refused_where_nobody_is_served_by_that_name(tmp_path: Path) -> None:
    async with desk(tmp_path, "ITI-80", recipients=("Marcus Welby",)) as here:
        before = here.region.kept().clinical
        code, _, err = await here.letter("--recipient", "Hillside|^Kildare^James")
        assert (code, "the peer answered UnknownRecipient" in err) == (1, True), err
        assert here.region.kept().clinical == before
        code, letter, err = await here.letter("--recipient", "|^Welby^Marcus", "--recipient", "|^Kildare^James")
        assert code == 0, err
        (found,) = await here.find("--at", "Region")
        assert found["unique_id"] == letter["unique_id"]
        assert any(step["why"] == "the peer warns: UnknownRecipient" for step in here.valley.kept().steps)
        (row,) = here.region.kept().rows["submission_sets"]
        assert "^Welby^Marcus" in row and "^Kildare^James" in row


# --- in the place of another ---------------------------------------------------------------------------------------------


async def test_a_document_is_replaced_by_its_id_and_keeps_what_was_said_of_it(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        _, first, _ = await here.submit("report.pdf", PDF, "--title", "CT of the chest")
        code, second, err = await here.replace(first["unique_id"], BETTER, "--at", "Region")
        assert code == 0, err
        (found,) = await here.find("--at", "Region", "--study", here.study.study_instance_uid)
        assert (found["unique_id"], found["title"], found["type"]) == (
            second["unique_id"], "CT of the chest", first["type"],
        )  # fmt: skip
        code, _, err = await here.run("get", second["unique_id"], "--at", "Region", "--to", str(tmp_path / "back"))
        assert code == 0, err
        assert (tmp_path / "back").read_bytes() == BETTER
        code, _, err = await here.replace(first["unique_id"], BETTER, "--at", "Region")
        assert (code, "in force" in err) == (1, True), err


@pytest.mark.parametrize(("word", "type_"), [("--append", "APND"), ("--transform", "XFRM")])
async def test_an_addition_and_another_form_leave_the_former_document_in_force(
    tmp_path: Path, word: str, type_: str
) -> None:
    async with desk(tmp_path) as here:
        _, first, _ = await here.submit("report.pdf", PDF)
        code, second, err = await here.replace(first["unique_id"], CDA, "--at", "Region", word, name="new.xml")
        assert code == 0, err
        assert (second["unique_id"], second["format"]) == ("1.2.3.77^R7", "urn:ihe:rad:TEXT")
        found = await here.find("--at", "Region", "--study", here.study.study_instance_uid)
        assert {each["unique_id"] for each in found} == {first["unique_id"], second["unique_id"]}
        assert any(f"AssociationType:{type_}'" in row for row in here.region.kept().rows["associations"])


async def test_another_form_may_take_the_place_of_the_former_document(tmp_path: Path) -> None:
    async with desk(tmp_path) as here:
        _, first, _ = await here.submit("report.pdf", PDF)
        code, second, err = await here.replace(
            first["unique_id"], CDA, "--at", "Region", "--transform-replace", name="new.xml"
        )
        assert code == 0, err
        found = await here.find("--at", "Region", "--study", here.study.study_instance_uid)
        assert [each["unique_id"] for each in found] == [second["unique_id"]]
        assert any("AssociationType:XFRM_RPLC'" in row for row in here.region.kept().rows["associations"])


async def test_a_document_of_our_own_registry_is_replaced_here(tmp_path: Path) -> None:
    async with desk(tmp_path, "ITI-41") as here:
        there, ours = here.region, tmp_path / "Region"

        async def at_region(*words: str) -> tuple[int, Any, str]:
            return await document(*words, data=ours)

        _, letter, _ = await here.letter("--title", "A letter")
        (tmp_path / "better.txt").write_bytes(LETTER + b"P.S.")
        code, better, err = await at_region("replace", letter["unique_id"], str(tmp_path / "better.txt"))
        assert code == 0, err
        _, found, _ = await at_region("find", "--patient", str(DOMAIN_ID))
        assert [(each["unique_id"], each["title"]) for each in found] == [(better["unique_id"], "A letter")]
        code, _, err = await at_region("get", better["unique_id"], "--to", str(tmp_path / "back"))
        assert code == 0, err
        assert (tmp_path / "back").read_bytes() == LETTER + b"P.S."
        before = there.kept().clinical
        code, _, err = await at_region("replace", letter["unique_id"], str(tmp_path / "better.txt"))
        assert (code, "in force" in err) == (1, True), err
        assert there.kept().clinical == before


async def test_what_was_made_of_images_and_what_is_no_report_is_not_put_in_a_document_s_place(tmp_path: Path) -> None:
    async with desk(tmp_path, rules=[{"when": "study.available", "do": ["share:Region"]}]) as here:
        await here.valley.rests("done", kind="store")
        (manifest,) = await here.find("--at", "Region")
        _, report, _ = await here.submit("report.pdf", PDF)
        before = here.region.kept().clinical
        code, _, err = await here.replace(manifest["unique_id"], PDF, "--at", "Region")
        assert (code, "made of images" in err) == (1, True), err
        code, _, err = await here.replace(report["unique_id"], LETTER, "--at", "Region", name="letter.txt")
        assert (code, "PDF or CDA" in err) == (1, True), err
        code, _, err = await here.replace("1.2.3.4.5", PDF, "--at", "Region")
        assert (code, "in force" in err) == (1, True), err
        code, _, err = await here.replace(report["unique_id"], PDF, "--at", "Region", "--append", "--transform")
        assert (code, "one or the other" in err) == (2, True), err
        assert here.region.kept().clinical == before
