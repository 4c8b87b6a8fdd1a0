"""Systems as the command line names them: files, presets and addresses."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from conformance.__main__ import main
from conformance.named import PRESETS, presets, system_named
from conformance.samples import sample_patient, write_ct_study
from conformance.suites import cases
from conformance.system import BadDescription, read_system
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.transaction import Actor

WHO = PatientIdentifier(value="P1", authority=Oid("1.2.3"))


@pytest.mark.parametrize("name", presets())
def test_a_preset_describes_a_system_that_cases_judge(name: str) -> None:
    system = system_named(name)
    assert system == read_system(PRESETS / f"{name}.toml")
    assert system.claims <= {(each.actor, each.transaction) for each in cases()}
    assert system.endpoints


def test_there_are_presets() -> None:
    assert {"orthanc", "dcm4chee"} <= set(presets())


@pytest.mark.parametrize(
    ("address", "transaction", "actor", "endpoints"),
    [
        ("https://a/xds", "ITI-18", Actor.DOCUMENT_REGISTRY, {"ITI-18": "https://a/xds"}),
        ("http://a:8042/dicom-web/", "RAD-107", Actor.IMAGING_DOCUMENT_SOURCE, {"DICOMWEB": "http://a:8042/dicom-web"}),
        ("http://a/r4/", "FHIR ImagingStudy read", Actor.FHIR_SERVER, {"FHIR": "http://a/r4"}),
        ("mllp://a:2575", "ITI-8", Actor.DOCUMENT_REGISTRY, {"MLLP": "mllp://a:2575"}),
    ],
)
def test_an_address_is_where_one_transaction_is_answered(
    address: str, transaction: str, actor: Actor, endpoints: dict[str, str]
) -> None:
    system = system_named(address, transaction_id=transaction)
    assert system.claims == {(actor, transaction)}
    assert system.endpoints == endpoints
    assert system.name == address


def test_what_a_system_holds_is_said_beside_its_name(tmp_path: Path) -> None:
    patient = sample_patient(1, WHO.authority)
    study = write_ct_study(tmp_path, seed=1, patient=patient, series=1, instances=1, rows=32)
    system = system_named("orthanc", study=tmp_path, patient="P1^^^&1.2.3&ISO")
    assert [(each.study.study_instance_uid, each.patient) for each in system.studies] == [
        (study.study_instance_uid, WHO)
    ]
    assert system_named("orthanc", patient="P1^^^&1.2.3&ISO").patients == (WHO,)


@pytest.mark.parametrize(
    ("target", "more", "complaint"),
    [
        ("nobody", {}, "none of the presets dcm4chee, orthanc"),
        ("nobody.toml", {}, "cannot be read"),
        ("http://a/b", {}, "say by --transaction"),
        ("http://a/b", {"transaction_id": "RAD-1"}, "no transaction is called 'RAD-1'"),
        ("http://a/b", {"transaction_id": "ITI-20"}, "has no address of its own"),
        ("http://a/b", {"transaction_id": "ITI-8"}, "is asked at mllp://"),
        ("mllp://a", {"transaction_id": "ITI-8"}, "is asked at mllp://"),
        ("mllp://a:x", {"transaction_id": "ITI-8"}, "is asked at mllp://"),
        ("mllp://a:1", {"transaction_id": "RAD-69"}, "is asked at http://"),
        ("orthanc", {"study": Path("x")}, "say by --patient whose it is"),
        ("orthanc", {"patient": "P1"}, "is not value"),
        ("orthanc", {"patient": "P1^^^&1.2.3&ISO", "study": Path("/nowhere")}, "holds 0 studies"),
    ],
)
def test_who_cannot_be_meant_is_told_so(target: str, more: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadDescription, match=complaint):
        system_named(target, **more)


async def test_one_transaction_at_an_address_is_judged_without_a_description(tmp_path: Path) -> None:
    async def nothing(request: web.Request) -> web.Response:
        return web.Response(status=404, text="nobody is here")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", nothing)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/r4"
    words = ["--target", address, "--transaction", "FHIR capabilities", "--json", str(tmp_path / "result.json")]
    try:
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "conformance", "conformance", "run", *words, "--evidence", str(tmp_path / "evidence"),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        said, _ = await running.communicate()
    finally:
        await runner.cleanup()
    assert running.returncode == 1
    told = json.loads((tmp_path / "result.json").read_text())
    assert told["system"] == address
    assert told["verdicts"]["fail"] == len(told["results"]) > 0, said
    assert all(f"sent: FHIR capabilities to {address}" in "\n".join(each["explained"]) for each in told["results"])


def test_our_own_house_is_not_told_what_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["radgate", "conformance", "run", "--self", "--patient", "P1^^^&1.2.3&ISO"])
    with pytest.raises(SystemExit, match="our own house has its own"):
        main()
