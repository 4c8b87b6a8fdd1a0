"""The container and the stack: what can be said of them without an engine, and the proof where there is one."""

import http.server
import os
import re
import shlex
import shutil
import ssl
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib.metadata import requires
from pathlib import Path

import pytest
from cryptography import x509
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from typer.testing import CliRunner

from conformance.__main__ import command_line
from conformance.samples import sample_patient, write_ct_study, write_us_study
from conformance.system import read_system
from docker.certificates import LEAVES, made
from docker.health import reason
from docker.trim import OURS, UNUSED, trimmed
from gateway.cli import cli
from gateway.settings import HouseSection
from profiles.model.identifiers import Oid
from profiles.wire.hl7v2.address import Hl7Address
from tests.house.modules import modules
from tests.support.judges import absent, unable

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
NOW = datetime.now(UTC)
DOCKERFILES = sorted(DOCKER.rglob("Dockerfile"))
COMPOSE = (DOCKER / "compose.yaml").read_text()
CONFORMANCE = (DOCKER / "compose.conformance.yaml").read_text()


# --- images -----------------------------------------------------------------------------------------------------------


def _instructions(file: Path) -> list[tuple[str, str]]:
    """Word and rest, with continued lines joined and comments left out."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    whole = "\n".join(lines).replace("\\\n", " ")
    return [(line.partition(" ")[0], line.partition(" ")[2].strip()) for line in whole.splitlines() if line.strip()]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda each: str(each.relative_to(DOCKER)))
def test_every_image_runs_as_nobody_by_a_program_that_gets_the_signal(file: Path) -> None:
    last = _instructions(file)
    last = last[max(place for place, (word, _) in enumerate(last) if word == "FROM") :]
    words = dict(last)
    assert words["USER"] == "10001:10001"
    assert words["ENTRYPOINT"].startswith('["')  # a shell would be the first process, and would not pass SIGTERM on


def test_the_image_says_how_it_is_and_how_it_is_stopped() -> None:
    words = dict(_instructions(DOCKER / "Dockerfile"))
    assert "/opt/radgate/tools/health.py" in words["HEALTHCHECK"]
    assert words["STOPSIGNAL"] == "SIGTERM"
    assert len([word for word, _ in _instructions(DOCKER / "Dockerfile") if word == "FROM"]) == 2


def test_what_is_copied_is_there_and_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        source
        for word, rest in _instructions(DOCKER / "Dockerfile")
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert source.partition("/")[0] in let_in, source


def test_the_versions_of_the_lock_are_taken_whole() -> None:
    (command,) = re.findall(r"^RUN (sed -n .*?) > versions.txt", (DOCKER / "Dockerfile").read_text(), re.MULTILINE)
    taken = subprocess.run(shlex.split(command), cwd=ROOT, capture_output=True, text=True, check=True).stdout
    lock = (ROOT / "requirements-dev.lock").read_text()
    assert len(taken.splitlines()) == len(re.findall(r"^[A-Za-z0-9].*==", lock, re.MULTILINE)) > 50
    assert "--hash" not in taken and "\\" not in taken


def test_trimming_leaves_what_runs_and_what_is_ours(tmp_path: Path) -> None:
    library, ours = tmp_path / "library", tmp_path / "gateway"
    for folder in (library / "tests", ours / "tests", tmp_path / "fhir" / "resources"):
        folder.mkdir(parents=True)
        (folder / "module.py").write_text("")
    for name, record in {"fhir_resources": "fhir/resources/module.py,,\n", "kept": "library/same.json,,\n"}.items():
        (described := tmp_path / f"{name}-8.3.dist-info").mkdir()
        (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '.')}\nVersion: 8.3\n")
        (described / "RECORD").write_text(f"{record}{described.name}/METADATA,,\n{described.name}/RECORD,,\n")
    for name in ("lib.so", "lib.so.3"):
        (library / name).write_bytes(b"\x7fELF" * 32_768)
    for folder in (library, ours):
        (folder / "stub.pyi").write_text("x: int")
        (folder / "same.json").write_text("{}")
    unused = sum(each.stat().st_size for each in (tmp_path / "fhir_resources-8.3.dist-info").iterdir())
    assert trimmed(tmp_path) == unused + 4 * 32_768 + len("x: int")
    left = {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()}
    assert left == {
        "library/lib.so", "library/lib.so.3", "library/same.json",
        "gateway/tests/module.py", "gateway/stub.pyi", "gateway/same.json",
        "kept-8.3.dist-info/METADATA", "kept-8.3.dist-info/RECORD",
    }  # fmt: skip
    assert not (tmp_path / "fhir").exists()
    assert (library / "lib.so.3").read_bytes() == (library / "lib.so").read_bytes()


def _wanted(name: str, extras: frozenset[str]) -> list[tuple[str, frozenset[str]]]:
    """What a distribution wants here, by its metadata, and with which extras."""
    return [
        (canonicalize_name(each.name), frozenset(each.extras))
        for each in map(Requirement, requires(name) or ())
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras | {""})
    ]


def _with_all_below(asked: list[tuple[str, frozenset[str]]]) -> set[str]:
    found = set[tuple[str, frozenset[str]]]()
    while asked:
        if (each := asked.pop()) not in found:
            found.add(each)
            asked += _wanted(*each)
    return {name for name, _ in found}


def test_what_is_trimmed_away_is_what_nobody_here_imports_and_only_that_needs() -> None:
    imported = {name.partition(".")[0] for module in modules(*OURS) for _, name in module.imports()}
    idle = {"fhir-resources": "fhir", "hl7": "hl7", "zeep": "zeep"}
    assert "pydicom" in imported and not imported & set(idle.values())
    wanted = _wanted("radgate", frozenset({"cluster", "codecs"}))
    others = [each for each in wanted if each[0] not in idle]
    assert _with_all_below(wanted) - _with_all_below(others) == UNUSED


# --- health -----------------------------------------------------------------------------------------------------------


@contextmanager
def _answering(status: int, body: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/readyz" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_house_that_is_ready_is_healthy_by_its_own_certificate(tmp_path: Path) -> None:
    made(tmp_path, now=NOW)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "house.pem", tmp_path / "house.key")
    with _answering(200, b"{}", tls) as port:
        assert reason(port) == ""


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (503, b'{"ready": false, "reasons": {"archive": "it does not answer"}}', "archive: it does not answer"),
        (503, b"<html>", "HTTP 503"),
        (404, b"[]", "HTTP 404"),
    ],
)
def test_a_house_that_is_not_ready_is_not_healthy_and_says_why(status: int, body: bytes, why: str) -> None:
    with _answering(status, body) as port:
        assert reason(port, tls=False) == why


def test_a_house_that_does_not_listen_is_not_healthy() -> None:
    with _answering(200, b"{}") as port:
        pass
    asked = subprocess.run(
        [sys.executable, "-I", DOCKER / "health.py"], env={"RADGATE__LISTEN__HTTP_PORT": str(port)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 1 and asked.stdout.startswith("no answer: ") and not asked.stderr


# --- certificates -----------------------------------------------------------------------------------------------------


def test_certificates_are_made_once_for_the_names_of_the_stack(tmp_path: Path) -> None:
    assert made(tmp_path, now=NOW)
    first = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    assert not made(tmp_path, now=NOW + timedelta(days=1))
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == first
    for name, hosts in LEAVES.items():
        leaf = x509.load_pem_x509_certificate(first[f"{name}.pem"])
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert set(names.get_values_for_type(x509.DNSName)) == set(hosts)
        assert (tmp_path / f"{name}.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("gone", ["root.pem", "house.pem", "audit.key"])
def test_certificates_are_made_anew_together_when_one_is_missing_or_broken(tmp_path: Path, gone: str) -> None:
    made(tmp_path, now=NOW)
    before = (tmp_path / "tester.pem").read_bytes()
    if gone.endswith(".pem"):
        (tmp_path / gone).write_text("-----BEGIN CERTIFICATE-----\n")
    else:
        (tmp_path / gone).unlink()
    assert made(tmp_path, now=NOW)
    assert (tmp_path / "tester.pem").read_bytes() != before


def test_certificates_that_are_soon_over_are_made_anew(tmp_path: Path) -> None:
    made(tmp_path, now=NOW)
    assert made(tmp_path, now=NOW + timedelta(days=25))


# --- the demonstration's data -----------------------------------------------------------------------------------------


def test_data_for_a_house_that_is_not_there_is_refused_in_a_line(tmp_path: Path) -> None:
    made(tmp_path / "certificates", now=NOW)
    with _answering(200, b"{}") as port:
        pass
    text = (DOCKER / "system.toml").read_text().replace('"/certificates/', f'"{tmp_path}/certificates/')
    (tmp_path / "system.toml").write_text(text.replace("mllps://radgate:2575", f"mllps://localhost:{port}"))
    asked = subprocess.run(
        [sys.executable, "-m", "docker.demo_data", tmp_path / "proof", "--description", tmp_path / "system.toml"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert asked.returncode == 1 and not asked.stdout
    assert re.fullmatch(r"not taken: no connection: .*\n", asked.stderr)


# --- settings ---------------------------------------------------------------------------------------------------------


def _settings() -> dict[str, dict[str, object]]:
    return tomllib.loads((DOCKER / "gateway.toml").read_text())


def test_the_settings_of_the_stack_pass_the_check(tmp_path: Path) -> None:
    made(tmp_path / "certificates", now=NOW)
    config = shutil.copy(DOCKER / "gateway.toml", tmp_path / "radgate.toml")
    checked = CliRunner().invoke(cli, ["config", "check", "--config", str(config)])
    assert checked.exit_code == 0, checked.output


def test_the_check_would_see_what_is_wrong_with_them(tmp_path: Path) -> None:
    config = shutil.copy(DOCKER / "gateway.toml", tmp_path / "radgate.toml")  # and no certificates
    assert CliRunner().invoke(cli, ["config", "check", "--config", str(config)]).exit_code != 0


def test_the_suite_knows_the_house_by_what_its_settings_say(tmp_path: Path) -> None:
    made(tmp_path / "certificates", now=NOW)
    text = (DOCKER / "system.toml").read_text().replace('"/certificates/', f'"{tmp_path}/certificates/')
    (tmp_path / "system.toml").write_text(text)
    settings = _settings()
    patient = sample_patient(3, Oid(str(settings["house"]["patient_authority"])), prefix="C")
    write_ct_study(tmp_path / "ct", seed=41, patient=patient, series=1, instances=1, rows=16)
    write_us_study(tmp_path / "us", seed=42, patient=patient, frames=1, rows=16)
    system = read_system(tmp_path / "system.toml")
    for key in ("home_community_id", "repository_unique_id", "retrieve_location_uid", "patient_authority"):
        assert str(getattr(system, key)) == str(settings["house"][key]).removeprefix("urn:oid:"), key
    assert system.patients == patient.identifiers
    (tester,) = tomllib.loads((DOCKER / "gateway.toml").read_text())["peer"]
    assert system.hl7 == Hl7Address(
        sending_application=tester["hl7_application"], sending_facility=tester["hl7_facility"],
        receiving_application=HouseSection().hl7_application, receiving_facility=str(settings["house"]["name"]),
    )  # fmt: skip
    assert not {"hl7_application", "hl7_facility"} & settings["house"].keys()  # so these are what it is called
    listen = settings["listen"]
    for service, address in system.endpoints.items():
        start = f"mllps://radgate:{listen['mllp_port']}" if service == "MLLP" else f"{listen['base_url']}/"
        assert address.startswith(start), service


# --- the stack --------------------------------------------------------------------------------------------------------


def _services(compose: str) -> dict[str, str]:
    """Name -> its lines; our files keep services at two spaces."""
    (below,) = re.findall(r"^services:\n((?:(?: .*)?\n)+)", compose, re.MULTILINE)
    parts = re.split(r"^  ([a-z]+):\n", below, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_services_wait_for_services_that_there_are() -> None:
    services = {**_services(COMPOSE), **_services(CONFORMANCE)}
    assert set(services) == {"certificates", "database", "archive", "audit", "radgate", "demo", "conformance"}
    for name, lines in services.items():
        waits = re.findall(r"^      ([a-z]+):\n        condition: (\w+)", lines, re.MULTILINE)
        assert bool(waits) == ("depends_on:" in lines), name
        assert {each for each, _ in waits} <= set(services) - {name}
        if ("radgate", "service_healthy") not in waits:
            continue
        assert "healthcheck" not in services["radgate"]  # the image's own


def test_volumes_and_files_of_the_stack_are_there() -> None:
    named = set(re.findall(r"^  ([a-z]+):$", COMPOSE.partition("\nvolumes:\n")[2], re.MULTILINE))
    for source in re.findall(r"""[\["\s]([./a-z]+):/[a-z]""", COMPOSE + CONFORMANCE):
        assert (DOCKER / source).is_file() if source.startswith(".") else source in named, source
    for context in re.findall(r"^    build: (\S+)$", COMPOSE, re.MULTILINE):
        assert (DOCKER / context / "Dockerfile").is_file()


@pytest.mark.parametrize("name", ["archive", "audit", "certificates", "demo", "radgate", "conformance"])
def test_everything_that_we_build_may_do_nothing_that_it_need_not(name: str) -> None:
    (ours,) = re.findall(r"^x-ours: &ours\n((?:  .*\n)+)", COMPOSE, re.MULTILINE)
    lines = {**_services(COMPOSE), **_services(CONFORMANCE)}[name]
    lines += ours if "<<: *ours" in lines else ""
    for said in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true"):
        assert said in lines


def test_the_house_asks_services_by_the_names_that_they_have() -> None:
    services, settings = _services(COMPOSE), _settings()
    for address in (settings["archive"]["url"], settings["archive"]["native_url"], settings["audit"]["syslog"]):
        assert re.split("[:/]+", str(address))[1] in services
    assert (
        f'"HttpPort": {re.split("[:/]+", str(settings["archive"]["url"]))[2]},'
        in (DOCKER / "archive" / "orthanc.json").read_text()
    )
    assert (
        f'port="{str(settings["audit"]["syslog"]).rpartition(":")[2]}"'
        in (DOCKER / "audit" / "rsyslog.conf").read_text()
    )


def test_the_command_of_the_suite_is_one() -> None:
    (command,) = re.findall(r"exec radgate (.*?)\n    healthcheck", CONFORMANCE, re.DOTALL)
    asked = command_line().parse_args(shlex.split(command))
    assert asked.target == "/proof/system.toml"


# --- the proof --------------------------------------------------------------------------------------------------------

NOT_HERE, NOT_JUDGED = 77, 75
PROGRAMS = ("buildah", "podman", "debootstrap", "runc", "catatonit", "dockerd", "docker-compose", "ip")
LONG = pytest.mark.judge_program if os.environ.get("CI") == "true" else pytest.mark.soak
"""In CI on every change; by hand it is minutes, and wants root."""


@pytest.fixture(scope="module")
def proof() -> subprocess.CompletedProcess[str]:
    """What one run of `prove` said: it makes what it needs anew, and is done with it when it ends."""
    ran = subprocess.run([DOCKER / "prove"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    print(ran.stdout)
    return ran


def _proved(proof: subprocess.CompletedProcess[str], what: str) -> None:
    said = proof.stdout.strip().splitlines()
    if proof.returncode == NOT_HERE:
        absent(said[-1])
    proved = any(line.endswith(f"proved: {what}") for line in said)
    if proof.returncode == NOT_JUDGED and not proved:
        unable(next(line for line in said if line.startswith("not judged: ")).removeprefix("not judged: "))
    assert proved, proof.stdout


@LONG
@pytest.mark.timeout(1500)
def test_the_image_builds_serves_is_judged_and_stops_in_time(proof: subprocess.CompletedProcess[str]) -> None:
    _proved(proof, "image")


@LONG
@pytest.mark.timeout(1500)
def test_the_stack_is_up_in_a_minute_is_judged_and_leaves_nothing(proof: subprocess.CompletedProcess[str]) -> None:
    _proved(proof, "stack")
    assert proof.returncode == 0, proof.stdout


def _prove(**environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/bash", DOCKER / "prove"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip


def test_the_proof_without_its_programs_says_which_and_what_brings_them(tmp_path: Path) -> None:
    (tmp_path / "dirname").symlink_to(shutil.which("dirname") or "")
    said = _prove(PATH=str(tmp_path))
    assert said.returncode == NOT_HERE
    assert said.stdout.startswith("not here: buildah (apt-get install ")


def test_where_no_namespace_can_be_made_the_proof_says_that_it_has_not_judged(tmp_path: Path) -> None:
    for name in PROGRAMS:
        _program(tmp_path / name, "exit 0")
    _program(tmp_path / "id", "echo 0")
    _program(tmp_path / "unshare", "echo unshare: Operation not permitted >&2; exit 1")
    said = _prove(PATH=f"{tmp_path}:/usr/bin:/bin", RADGATE_PROVE=str(tmp_path / "place"))
    assert said.returncode == NOT_JUDGED
    assert said.stdout == "not judged: image: no namespaces: unshare: Operation not permitted\n"


def test_a_failure_of_the_proof_is_none_of_those(tmp_path: Path) -> None:
    for name in PROGRAMS:
        _program(tmp_path / name, "exit 0")
    _program(tmp_path / "id", "echo 0")
    _program(tmp_path / "unshare", '[ "$*" = "--net --mount --pid --fork true" ] || exit 1')
    said = _prove(PATH=f"{tmp_path}:/usr/bin:/bin", RADGATE_PROVE=str(tmp_path / "place"))
    assert said.returncode == 1
    with pytest.raises(AssertionError):
        _proved(said, "image")


def _program(path: Path, does: str) -> None:
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)


def test_ci_installs_what_the_proof_asks_for() -> None:
    (packages,) = re.findall(r'^packages="(.*)"$', (DOCKER / "prove").read_text(), re.MULTILINE)
    (judges,) = re.findall(r"^judges=\((.*?)\)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE | re.DOTALL)
    assert set(packages.split()) <= set(judges.split())
