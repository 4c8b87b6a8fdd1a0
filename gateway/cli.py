"""The command line: noun, then verb. `--json` everywhere, exit codes that a script can trust.

Exit codes: 0 done; 1 the house refused or failed, and said why; 2 the command was written wrongly; 3 the settings cannot
be used; 4 no house is running on this data folder; 5 verification found something.

Commands that ask a running house find it through `control.json` in its data folder; they have the operator's authority
because they can read that file.
"""

import asyncio
import getpass
import http.client
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from gateway.settings import Problem, Settings, SettingsError, load

cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # a traceback with values in it may name a patient
    help="Imaging-exchange gateway: XDS-I.b, FHIR, HL7 v2, DICOMweb and ATNA around one archive.",
)
config_cli = typer.Typer(no_args_is_help=True, help="Look at the settings, check them, write a file to start from.")
study_cli = typer.Typer(no_args_is_help=True, help="What the archive has: list, share, fetch from elsewhere.")
exchange_cli = typer.Typer(no_args_is_help=True, help="Everything under way or done: look, release, accept, give up.")
peer_cli = typer.Typer(no_args_is_help=True, help="Whom we exchange with.")
patient_cli = typer.Typer(no_args_is_help=True, help="Whom we know.")
audit_cli = typer.Typer(no_args_is_help=True, help="Who did what: read, verify, export.")
for name, group in (
    ("config", config_cli), ("study", study_cli), ("exchange", exchange_cli),
    ("peer", peer_cli), ("patient", patient_cli), ("audit", audit_cli),
):  # fmt: skip
    cli.add_typer(group, name=name)

output = Console()
errors = Console(stderr=True)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="RADGATE_CONFIG", help="radgate.toml; without it, defaults.")
]
DataOption = Annotated[Path | None, typer.Option("--data", help="Data folder of the house; else from the settings.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until the exchange rests, and show how it goes.")]


class Exit(IntEnum):
    """What a script reads."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    SETTINGS = 3
    NOT_RUNNING = 4
    FAULTY = 5


def main() -> None:
    """Entry point of `radgate`."""
    cli()


def _fail(code: Exit, text: str, cure: str = "") -> NoReturn:
    errors.print(f"[bold red]{text}[/]", highlight=False)
    if cure:
        errors.print(cure, highlight=False)
    raise typer.Exit(code)


def _settings(path: Path | None) -> Settings:
    try:
        return load(path)
    except SettingsError as error:
        _complain(error.problems)


def _complain(problems: tuple[Problem, ...]) -> NoReturn:
    for problem in problems:
        errors.print(f"[bold]{problem.key}[/]: {problem.reason}. {problem.cure}.", highlight=False)
    raise typer.Exit(Exit.SETTINGS)


def _print(value: object, as_json: bool, table: Table | None = None) -> None:
    if as_json or table is None:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
    else:
        output.print(table)


class Running:
    """A running house, asked through its control address."""

    def __init__(self, config: Path | None, data: Path | None) -> None:
        """Find it."""
        folder = data or _settings(config).house.data
        try:
            found = json.loads((folder / "control.json").read_bytes())
        except FileNotFoundError:
            _fail(Exit.NOT_RUNNING, f"No house is running on {folder}.", "Start it with `radgate serve`.")
        self._address = urlsplit(found["address"])
        self._token = found["token"]

    def ask(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """Ask it; a refusal ends the command with what the house said."""
        named = [
            (key, each) for key, value in query.items() for each in (value if isinstance(value, list) else [value])
        ]
        sent = urlencode([(key, value) for key, value in named if value not in (None, "")])
        connection = http.client.HTTPConnection(self._address.hostname or "", self._address.port, timeout=60)
        try:
            connection.request(
                method, f"{path}?{sent}" if sent else path,
                body=json.dumps(body) if body is not None else None,
                headers={"Authorization": f"Bearer {self._token}"},
            )  # fmt: skip
            response = connection.getresponse()
            answer = response.read()
        except OSError as error:
            _fail(Exit.NOT_RUNNING, f"The house does not answer: {error}.", "Is it still running?")
        finally:
            connection.close()
        if response.getheader("Content-Type", "").startswith("application/x-ndjson"):
            return [json.loads(line) for line in answer.splitlines()]
        value = json.loads(answer or b"null")
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            said = value.get("error", {}) if isinstance(value, dict) else {}
            _fail(Exit.REFUSED, str(said.get("detail", "refused")), str(said.get("cure", "")))
        return value

    def watch(self, exchange_id: str, as_json: bool) -> dict[str, Any]:
        """Follow an exchange until it rests."""
        resting = {"held", "done", "failed", "cancelled", "abandoned", "incomplete"}
        with _progress(as_json) as say:
            while True:
                job: dict[str, Any] = self.ask("GET", f"/exchanges/{exchange_id}")
                last = job["steps"][-1]["text"] if job["steps"] else ""
                say(f"{job['state']}: {last}")
                if job["state"] in resting:
                    return job
                time.sleep(0.1)


@contextmanager
def _progress(quiet: bool) -> Iterator[Any]:
    if quiet:
        yield lambda text: None
        return
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=errors) as progress:
        task = progress.add_task("", total=None)
        yield lambda text: progress.update(task, description=text)


# --- serve, demo, doctor ----------------------------------------------------------------------------------------------


@cli.command()
def serve(
    config: ConfigOption = None,
    port_base: Annotated[int, typer.Option(help="Add this to every port: several houses on one machine.")] = 0,
) -> None:
    """Run the house until it is told to stop (Ctrl-C or SIGTERM: it drains first)."""
    from gateway import app as house_app  # late, as below: a command that only asks need not load the house

    settings = _settings(config)
    try:
        asyncio.run(house_app.serve(settings, port_base=port_base))
    except SettingsError as error:
        _complain(error.problems)
    except house_app.AlreadyRunning as error:
        _fail(Exit.REFUSED, str(error), "Stop the other one first, or give this one another house.data.")


@cli.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def demo(context: typer.Context) -> None:
    """Show the main job with three houses on this machine: a study crosses from one to the other."""
    # In our place, so that Ctrl-C reaches it once and it stops its houses itself.
    os.execv(sys.executable, [sys.executable, "-m", "conformance", "demo", *context.args])


@cli.command()
def doctor(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check what a house needs before it is started: settings, folder, disk, ports, certificates, peers' names."""
    from gateway import app as house_app

    settings = _settings(config)
    found = asyncio.run(house_app.examine(settings))
    table = Table("what", "state", "cure", box=None)
    for each in found:
        table.add_row(each.what, "[green]good[/]" if each.good else f"[red]{each.state}[/]", each.cure)
    _print(
        [{"what": each.what, "good": each.good, "state": each.state, "cure": each.cure} for each in found],
        as_json,
        table,
    )
    if not all(each.good for each in found):
        raise typer.Exit(Exit.FAULTY)


# --- config -----------------------------------------------------------------------------------------------------------


@config_cli.command("check")
def config_check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Say whether the settings can be used; every problem with its key, the reason and the cure."""
    try:
        load(config)
    except SettingsError as error:
        if not as_json:
            _complain(error.problems)
        problems = [{"key": each.key, "reason": each.reason, "cure": each.cure} for each in error.problems]
        _print({"ok": False, "problems": problems}, as_json)
        raise typer.Exit(Exit.SETTINGS) from None
    _print({"ok": True, "problems": []}, as_json) if as_json else output.print("The settings can be used.")


@config_cli.command("show")
def config_show(config: ConfigOption = None) -> None:
    """Print the settings in force, defaults and environment included, secrets hidden."""
    _print(_settings(config).model_dump(mode="json"), as_json=True)


@config_cli.command("init")
def config_init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("radgate.toml"),
    force: Annotated[bool, typer.Option(help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a file with every setting, its default and what it means."""
    from gateway.settings_file import annotated

    if path.exists() and not force:
        _fail(Exit.REFUSED, f"{path} is there already.", "Use --force to overwrite it.")
    path.write_text(annotated(), encoding="utf-8")
    output.print(f"Wrote {path}. Next: `radgate config check --config {path}`, then `radgate serve --config {path}`.")


# --- exchange ---------------------------------------------------------------------------------------------------------


def _exchange_table(jobs: list[dict[str, Any]]) -> Table:
    table = Table("exchange", "opened", "kind", "state", "peer", "why", box=None)
    for job in jobs:
        table.add_row(
            job["id"], job["opened_at"][:19].replace("T", " "), job["kind"], job["state"], job["peer"], job["reason"]
        )
    return table


def _show_exchange(job: dict[str, Any], as_json: bool) -> None:
    table = Table("time", "transaction", "", "peer", "bytes", "ms", "outcome", "what", box=None)
    for step in job.get("steps", []):
        explained = " — ".join(text for text in (step["text"], step["why"], step["cure"]) if text)
        table.add_row(
            step["at"][11:19], step["transaction"], step["direction"], step["peer"], f"{step['size_bytes']:,}",
            f"{step['duration_ms']:.0f}", step["outcome"], explained,
        )  # fmt: skip
    if not as_json:
        output.print(f"[bold]{job['kind']}[/] {job['id']}: [bold]{job['state']}[/] {job['reason']}", highlight=False)
    _print(job, as_json, table)


@exchange_cli.command("list")
def exchange_list(
    config: ConfigOption = None,
    data: DataOption = None,
    state: Annotated[list[str] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    kind: Annotated[list[str] | None, typer.Option(help="Only of this kind; may be repeated.")] = None,
    study: Annotated[str, typer.Option(help="Only about this Study Instance UID.")] = "",
    limit: int = 50,
    as_json: JsonOption = False,
) -> None:
    """List exchanges, newest first."""
    jobs = Running(config, data).ask("GET", "/exchanges", state=state or [], kind=kind or [], study=study, limit=limit)
    _print(jobs, as_json, _exchange_table(jobs))


@exchange_cli.command("show")
def exchange_show(
    exchange: str, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one exchange with its timeline: every step, with why and cure where something went wrong."""
    _show_exchange(Running(config, data).ask("GET", f"/exchanges/{quote(exchange)}"), as_json)


@exchange_cli.command("release")
def exchange_release(
    exchange: str,
    patient: Annotated[str, typer.Option(help="Whose it is, as ID^^^&OID&ISO; without it, we try to settle it.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Let a held or failed exchange go on."""
    _change(Running(config, data), f"/exchanges/{quote(exchange)}/release", {"patient": patient}, wait, as_json)


@exchange_cli.command("accept")
def exchange_accept(
    exchange: str,
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say that what has arrived of an incomplete exchange is enough."""
    _change(Running(config, data), f"/exchanges/{quote(exchange)}/accept", {}, wait, as_json)


@exchange_cli.command("give-up")
def exchange_give_up(
    exchange: str,
    reason: Annotated[str, typer.Option(help="Why; goes to timeline and audit. No patient data.")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an exchange of which nothing more is to come."""
    _change(Running(config, data), f"/exchanges/{quote(exchange)}/give-up", {"reason": reason}, False, as_json)


def _change(house: Running, path: str, body: dict[str, Any], wait: bool, as_json: bool) -> None:
    job = house.ask("POST", path, {**body, "person": getpass.getuser()})
    if wait:
        _show_exchange(house.watch(job["id"], as_json), as_json)
    else:
        _print(job, as_json, _exchange_table([job]))


# --- study ------------------------------------------------------------------------------------------------------------


@study_cli.command("list")
def study_list(
    config: ConfigOption = None,
    data: DataOption = None,
    patient: Annotated[str, typer.Option(help="Only of this patient id.")] = "",
    accession: Annotated[str, typer.Option(help="Only with this accession number.")] = "",
    limit: int = 50,
    as_json: JsonOption = False,
) -> None:
    """List studies that are here or on their way, newest first."""
    studies = Running(config, data).ask("GET", "/studies", patient=patient, accession=accession, limit=limit)
    table = Table("study", "status", "started", "modalities", "series", "description", "from", box=None)
    for study in studies:
        table.add_row(
            study["study_instance_uid"], study["status"], study["started"] or "", " ".join(study["modalities"]),
            str(study["series"]), study["description"], study["source"],
        )  # fmt: skip
    _print(studies, as_json, table)


@study_cli.command("show")
def study_show(study: str, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = True) -> None:
    """Show one study, with the instances that a manifest named and that have not come."""
    _print(Running(config, data).ask("GET", f"/studies/{quote(study)}"), as_json)


@study_cli.command("share")
def study_share(
    study: str,
    to: Annotated[str, typer.Option(help="The peer.")],
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish our own manifest of a study to a peer (RAD-68)."""
    _change(Running(config, data), f"/studies/{quote(study)}/share", {"peer": to}, wait, as_json)


@study_cli.command("fetch")
def study_fetch(
    patient: Annotated[str, typer.Option(help="Whose studies, as ID^^^&OID&ISO.")],
    registry: Annotated[str, typer.Option(help="The peer whose registry is asked.")],
    study: Annotated[str, typer.Option(help="Only this Study Instance UID.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Find a patient's manifests at a registry, take them, and fetch the images that they name."""
    body = {"patient": patient, "registry": registry, "study": study}
    _change(Running(config, data), "/collect", body, wait, as_json)


# --- peer, patient ----------------------------------------------------------------------------------------------------


@peer_cli.command("list")
def peer_list(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List peers, with where they are asked for what."""
    peers = Running(config, data).ask("GET", "/peers")
    table = Table("peer", "home community", "asked for", "unknown patients", box=None)
    for peer in peers:
        table.add_row(
            peer["name"], peer["home_community_id"] or "", " ".join(sorted(peer["endpoints"])), peer["unknown_patient"]
        )
    _print(peers, as_json, table)


@patient_cli.command("list")
def patient_list(
    text: Annotated[str, typer.Argument(help="An id, or the beginning of a name.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """List patients."""
    patients = Running(config, data).ask("GET", "/patients", text=text)
    table = Table("ids", "name", "born", "sex", box=None)
    for patient in patients:
        name = f"{patient['family']}, {patient['given']}"
        table.add_row("\n".join(patient["identifiers"]), name, patient["birth_date"] or "", patient["sex"])
    _print(patients, as_json, table)


# --- audit ------------------------------------------------------------------------------------------------------------


@audit_cli.command("list")
def audit_list(
    config: ConfigOption = None,
    data: DataOption = None,
    patient: Annotated[str, typer.Option(help="Only about this patient id.")] = "",
    study: Annotated[str, typer.Option(help="Only about this Study Instance UID.")] = "",
    user: Annotated[str, typer.Option(help="Only with this person or system.")] = "",
    organisation: Annotated[str, typer.Option(help="Only with this organisation.")] = "",
    event: Annotated[str, typer.Option(help="Only this event or transaction, such as RAD-69.")] = "",
    outcome: Annotated[int | None, typer.Option(help="Only this outcome: 0, 4, 8 or 12.")] = None,
    since: Annotated[str, typer.Option(help="From this time on (ISO 8601).")] = "",
    until: Annotated[str, typer.Option(help="Before this time (ISO 8601).")] = "",
    limit: int = 100,
    as_json: JsonOption = False,
) -> None:
    """Read the audit trail in plain sentences, newest first. Looking is itself audited."""
    records = Running(config, data).ask(
        "GET", "/audit", patient=patient, study=study, user=user, organisation=organisation, event=event,
        outcome=outcome, since=since, until=until, limit=limit,
    )  # fmt: skip
    table = Table("no.", "time", "what happened", box=None)
    for record in records:
        table.add_row(str(record["number"]), record["received_at"][:19].replace("T", " "), record["sentence"])
    _print(records, as_json, table)


@audit_cli.command("verify")
def audit_verify(
    config: ConfigOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Verify the files of this folder; no house needs to run on it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the chain of records: say what was changed, deleted, swapped, cut off or rewritten, and where."""
    from gateway.adapters.audit_verify import verify_database

    folder = data or _settings(config).house.data
    faults = [
        {"number": fault.number, "kind": fault.kind, "text": fault.text}
        for fault in verify_database(folder / "radgate.db", folder / "audit")
    ]
    table = Table("no.", "fault", "what", box=None)
    for fault in faults:
        table.add_row(str(fault["number"]), str(fault["kind"]), str(fault["text"]))
    if not faults and not as_json:
        output.print("[green]The chain is whole.[/]")
    else:
        _print({"ok": not faults, "faults": faults}, as_json, table)
    if faults:
        raise typer.Exit(Exit.FAULTY)


@audit_cli.command("export")
def audit_export(
    path: Annotated[Path, typer.Argument(help="The file to write: one JSON object a line, with the PS3.15 message.")],
    config: ConfigOption = None,
    data: DataOption = None,
    patient: str = "",
    study: str = "",
    since: str = "",
    until: str = "",
) -> None:
    """Write audit records to a file, oldest first."""
    lines = Running(config, data).ask("GET", "/audit/export", patient=patient, study=study, since=since, until=until)
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    output.print(f"Wrote {len(lines)} records to {path}.")
