"""The command line: noun, then verb. `--json` everywhere, exit codes that a script can trust.

Exit codes: 0 done; 1 the house refused or failed, and said why; 2 the command was written wrongly; 3 the settings cannot
be used; 4 no house is running on this data folder; 5 verification found something.

Commands that ask a running house find it through `control.json` in its data folder; they have the operator's authority
because they can read that file. What a newcomer gets wrong: modules that take long to load (the settings, the house) are
imported where they are used, so that a question costs little more than Python.
"""

import getpass
import hashlib
import http.client
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from gateway.settings import Problem, Settings

GARBAGE_OBJECTS = 2000  # between two looks at what is new; Python's own 700 is less than what 50 turns at once keep

EXIT_CODES = (
    "Exit codes: 0 done; 1 the house refused or failed, and said why; 2 the command was written wrongly; "
    "3 the settings cannot be used; 4 no house is running on this data folder; 5 a check found something."
)


def _lines(*lines: str) -> str:
    """An epilog that keeps its lines: typer joins those of a paragraph."""
    return "\n\n".join(lines)


def _examples(*lines: str) -> str:
    return _lines("Examples:", *(f"$ {line}" for line in lines))


cli = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Imaging-exchange gateway: XDS-I.b, FHIR, HL7 v2, DICOMweb and ATNA around one archive.",
    epilog=_lines(
        _examples(
            "radgate serve  # a house on embedded defaults, all below ./data",
            "radgate exchange list --state held  # what waits for a person",
            "radgate audit list --study UID  # the story of a study",
        ),
        "Every command takes --help, and --json for programs.",
        EXIT_CODES,
    ),
    pretty_exceptions_enable=False,  # a traceback with values in it may name a patient
)
config_cli = typer.Typer(no_args_is_help=True, help="Look at the settings, check them, write a file to start from.")
study_cli = typer.Typer(no_args_is_help=True, help="What the archive has: list, show, share, fetch from elsewhere.")
exchange_cli = typer.Typer(no_args_is_help=True, help="Everything under way or done: look, release, accept, give up.")
document_cli = typer.Typer(no_args_is_help=True, help="Documents here and elsewhere: find, get, submit a report.")
peer_cli = typer.Typer(no_args_is_help=True, help="Whom we exchange with.")
patient_cli = typer.Typer(no_args_is_help=True, help="Whom we know.")
audit_cli = typer.Typer(no_args_is_help=True, help="Who did what: read, verify, export.")
for name, group in (
    ("exchange", exchange_cli), ("study", study_cli), ("patient", patient_cli), ("peer", peer_cli),
    ("document", document_cli),
    ("audit", audit_cli), ("config", config_cli),
):  # fmt: skip
    cli.add_typer(group, name=name)

output = Console()
errors = Console(stderr=True)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="RADGATE_CONFIG", help="The settings, radgate.toml; without it, defaults."),
]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", envvar="RADGATE_DATA", help="The house's data folder; without it, as the settings say."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
WaitOption = Annotated[bool, typer.Option("--wait", help="Wait until it rests, and show how it goes; 1 if not done.")]
LimitOption = Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")]
ExchangeArgument = Annotated[
    str, typer.Argument(metavar="EXCHANGE", help="Its id, as `radgate exchange list` shows it.")
]
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="Its Study Instance UID.")]


class Exit(IntEnum):
    """What a script reads."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    SETTINGS = 3
    NOT_RUNNING = 4
    FAULTY = 5


RESTING = frozenset({"held", "done", "failed", "cancelled", "abandoned", "incomplete"})
IDS = frozenset({"exchange", "study", "series", "document"})  # columns that a person copies from: never cut
WATCH_S = 0.25
BRING_BYTES = 256 * 1024
WALK_S = 3600.0  # a chain of many years is walked without a word
TIMEOUT_S = 60.0  # nothing came for so long; an export may take as long as it likes
TONES = {
    "done": "green", "stored": "green", "success": "green", "available": "green", "failed": "red", "failure": "red",
    "held": "yellow", "incomplete": "yellow", "partial": "yellow",
}  # fmt: skip


def main() -> None:
    """Entry point of `radgate`."""
    cli()


# --- saying -----------------------------------------------------------------------------------------------------------


def _plain(text: object) -> str:
    """As text that a terminal only shows: peers' words may have control characters in them."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", str(text))


def _table(*names: str) -> Table:
    columns = (Column(name, no_wrap=name in IDS, overflow="fold") for name in names)
    return Table(*columns, box=None, header_style="bold", pad_edge=False)


def _row(table: Table, *cells: object) -> None:
    """Cells are shown as they are, and never read as markup."""
    table.add_row(*(Text(_plain(cell), TONES.get(str(cell), "")) for cell in cells))


def _say(*parts: object) -> None:
    output.print(Text(" ".join(_plain(part) for part in parts)), highlight=False)


def _fail(code: Exit, text: str, cure: str = "") -> NoReturn:
    errors.print(Text(_plain(text), "bold red"))
    if cure:
        errors.print(Text(_plain(cure)))
    raise typer.Exit(code)


def _complain(problems: "tuple[Problem, ...]") -> NoReturn:
    for problem in problems:
        told = Text.assemble((_plain(problem.key), "bold"), f": {_plain(problem.reason)}. {_plain(problem.cure)}.")
        errors.print(told, soft_wrap=True)
    raise typer.Exit(Exit.SETTINGS)


def _print(value: object, as_json: bool, table: Table) -> None:
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
    elif table.row_count:
        output.print(table)
    else:
        _say("Nothing.")


def _facts(pairs: Iterable[tuple[str, object]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for named, value in pairs:
        table.add_row(Text(named, "bold"), Text(_plain(value), TONES.get(str(value), "")))
    return table


def _when(text: str) -> str:
    return text[:19].replace("T", " ")


def _settings(config: Path | None, data: Path | None = None) -> "Settings":
    from gateway.settings import SettingsError
    from gateway.settings_reading import load

    try:
        settings = load(config)
    except SettingsError as error:
        _complain(error.problems)
    if data is None:
        return settings
    return settings.model_copy(update={"house": settings.house.model_copy(update={"data": data.absolute()})})


# --- asking -----------------------------------------------------------------------------------------------------------


class Running:
    """A running house, asked through its control address."""

    def __init__(self, config: Path | None, data: Path | None, *, timeout_s: float = TIMEOUT_S) -> None:
        """Find it; `timeout_s` is how long it may say nothing."""
        folder = data or _settings(config).house.data
        self._timeout_s = timeout_s
        try:
            found = json.loads((folder / "control.json").read_bytes())
            self._address, self._token = urlsplit(found["address"]), str(found["token"])
        except FileNotFoundError:
            _fail(Exit.NOT_RUNNING, f"No house is running on {folder}.", "Start it with `radgate serve`.")
        except PermissionError:
            _fail(Exit.REFUSED, f"{folder} is not yours to read.", "Ask as the user that the house runs as.")
        except (ValueError, KeyError, TypeError):
            _fail(
                Exit.NOT_RUNNING, f"control.json in {folder} cannot be read.", "Start the house again; it is made anew."
            )

    def ask(self, method: str, path: str, body: object = None, **query: object) -> Any:
        """Ask it, with a value or an open file; a refusal ends the command with what the house said."""
        with self._asked(method, path, body, query) as response:
            if response.status >= http.HTTPStatus.BAD_REQUEST:
                _refused(response)
            return json.loads(response.read() or b"null")

    def look(self, path: str) -> Any:
        """What is there; None: nothing."""
        with self._asked("GET", path, None, {}) as response:
            return json.loads(response.read()) if response.status == http.HTTPStatus.OK else None

    def bring(self, path: str, to: Path, **query: object) -> int:
        """Take what is there into a file, whole or not at all; answers its size."""
        size, digest = 0, hashlib.sha1(usedforsecurity=False)
        new = to.with_name(to.name + ".part")
        with self._asked("GET", path, None, query) as response:
            if response.status >= http.HTTPStatus.BAD_REQUEST:
                _refused(response)
            try:
                with new.open("wb") as file:
                    while chunk := response.read(BRING_BYTES):
                        digest.update(chunk)
                        size += file.write(chunk)
                told = response.headers.get("X-SHA1", "")
                if told and told.lower() != digest.hexdigest():
                    _fail(
                        Exit.FAULTY, "What came is not what its entry says (SHA-1).", "Ask whoever keeps the document."
                    )
                new.replace(to)
            finally:
                new.unlink(missing_ok=True)
        return size

    def lines(self, path: str, **query: object) -> Iterator[bytes]:
        """Ask for many, and take them one by one."""
        with self._asked("GET", path, None, query) as response:
            if response.status >= http.HTTPStatus.BAD_REQUEST:
                _refused(response)
            yield from response

    @contextmanager
    def _asked(
        self, method: str, path: str, body: object, query: dict[str, object]
    ) -> Iterator[http.client.HTTPResponse]:
        named = [
            (key, each) for key, value in query.items() for each in (value if isinstance(value, list) else [value])
        ]
        sent = urlencode([(key, value) for key, value in named if value not in (None, "")])
        connection = http.client.HTTPConnection(
            self._address.hostname or "", self._address.port, timeout=self._timeout_s
        )
        try:
            connection.request(
                method, f"{path}?{sent}" if sent else path,
                body=body if body is None or hasattr(body, "read") else json.dumps(body),
                headers={"Authorization": f"Bearer {self._token}"},
            )  # fmt: skip
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            _fail(Exit.NOT_RUNNING, f"The house does not answer: {error}.", "Is it still running?")
        finally:
            connection.close()

    def watch(self, exchange_id: str, quiet: bool) -> dict[str, Any]:
        """Follow an exchange until it rests."""
        with _progress(quiet) as show:
            while True:
                job: dict[str, Any] = self.ask("GET", f"/exchanges/{exchange_id}")
                last = job["steps"][-1]["text"] if job["steps"] else ""
                if job["kind"] == "backfill":
                    last = job["reason"] or last
                done, total = self._counts(job)
                show(f"{job['state']}: {last}", done, total)
                if job["state"] in RESTING:
                    return job
                time.sleep(WATCH_S)

    def _counts(self, job: dict[str, Any]) -> tuple[int, int | None]:
        """How many instances of its study are here, and how many there will be; of a back-fill, how many studies."""
        if job["kind"] == "backfill":
            return job["payload"]["done"], job["payload"]["total"]
        uid = job["study_instance_uid"]
        study = self.look(f"/studies/{quote(uid)}") if uid else None
        if study is None:
            return 0, None
        return study["instances"], study["instances"] + len(study["missing"])


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    """A file that takes the place of what is there when it is whole, and is nowhere when it is not."""
    new = path.with_name(path.name + ".part")
    try:
        with new.open("wb") as file:
            yield file
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def _refused(response: http.client.HTTPResponse) -> NoReturn:
    try:
        said = json.loads(response.read()).get("error", {})
    except (ValueError, AttributeError):
        said = {}
    _fail(Exit.REFUSED, str(said.get("detail") or "The house refused."), str(said.get("cure", "")))


@contextmanager
def _progress(quiet: bool) -> Iterator[Any]:
    """A bar on stderr: what is going on, how many of how many, for how long."""
    if quiet:
        yield lambda text, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    words = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), words, BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task("", total=None)
        yield lambda text, done, total: progress.update(task, description=_plain(text), completed=done, total=total)


# --- serve, demo, doctor ----------------------------------------------------------------------------------------------


@cli.command(
    epilog=_examples(
        "radgate serve",
        "radgate serve --config radgate.toml",
        "RADGATE__LISTEN__HTTP_PORT=0 radgate serve  # port 0 picks a free one",
    )
)
def serve(
    config: ConfigOption = None,
    data: DataOption = None,
    port_base: Annotated[int, typer.Option(help="Add this to every port: several houses on one machine.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Run the house until it is told to stop (Ctrl-C or SIGTERM: it drains first).

    It prints where everything is and, at its first start, the desk's password: that one time only. Whoever has lost it
    removes desk.json from the data folder and starts the house again.
    """
    import asyncio
    import gc

    gc.disable()  # what is imported stays: looking through it meanwhile is a sixth of a start
    from gateway import app as house_app
    from gateway.settings import SettingsError
    from profiles.errors import HouseError

    settings = _settings(config, data)
    # And looked through again and again, it cost a tenth of a small turn's processor time.
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)
    gc.enable()
    try:
        asyncio.run(house_app.serve(settings, port_base=port_base, as_json=as_json))
    except SettingsError as error:
        _complain(error.problems)
    except HouseError as error:
        _fail(Exit.REFUSED, error.detail, error.cure)
    except house_app.AlreadyRunning as error:
        _fail(Exit.REFUSED, str(error), "Stop the other one first, or give this one another house.data.")


@cli.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def demo(context: typer.Context) -> None:
    """Show the main job with three houses on this machine: a study crosses from one to the other."""
    # In our place, so that Ctrl-C reaches it once and it stops its houses itself.
    os.execv(sys.executable, [sys.executable, "-m", "conformance", "demo", *context.args])


@cli.command(
    epilog=_examples("radgate doctor --config radgate.toml", "radgate doctor --json | jq '.[] | select(.good | not)'")
)
def doctor(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check what a house needs before it is started: folder, disk, database, archive, ports, certificates, peers and more.

    Ends with 5 if anything is not good.
    """
    import asyncio

    from gateway.doctor import examine

    found = asyncio.run(examine(_settings(config, data)))
    table = _table("", "what", "state", "cure")
    for each in found:
        mark = Text("✓", "green") if each.good else Text("✗", "bold red")
        table.add_row(mark, Text(_plain(each.what)), Text(_plain(each.state or "good")), Text(_plain(each.cure)))
    told = [{"what": each.what, "good": each.good, "state": each.state, "cure": each.cure} for each in found]
    _print(told, as_json, table)
    if not all(each.good for each in found):
        raise typer.Exit(Exit.FAULTY)


# --- config -----------------------------------------------------------------------------------------------------------


@config_cli.command("check", epilog=_examples("radgate config check --config radgate.toml"))
def config_check(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Say whether the settings and the codes can be used; every problem with its key, the reason and the cure."""
    from gateway.adapters.code_sets import site_codes
    from gateway.settings import SettingsError
    from gateway.settings_reading import load
    from profiles.model.identifiers import Oid

    problems: tuple[Problem, ...] = ()
    try:
        checked = load(config).affinity_domain
        site_codes(checked.code_sets, checked.patient_authority or Oid("1.2"))  # whose ids it is does not matter here
    except SettingsError as error:
        problems = error.problems
    if as_json:
        told = [{"key": each.key, "reason": each.reason, "cure": each.cure} for each in problems]
        _print({"ok": not problems, "problems": told}, True, _table())
    elif problems:
        _complain(problems)
    else:
        _say("The settings can be used. Data folder:", _settings(config, data).house.data.absolute())
    if problems:
        raise typer.Exit(Exit.SETTINGS)


@config_cli.command("show", epilog=_examples("radgate config show", "radgate config show --json | jq .listen"))
def config_show(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Print the settings in force, defaults and environment included, secrets hidden."""
    shown = _settings(config, data).model_dump(mode="json")
    _print(shown, as_json, _facts(_leaves("", shown)))


def _leaves(key: str, value: object) -> Iterator[tuple[str, object]]:
    """`section.key` and value, in the order of the file; what is empty is said to be."""
    if isinstance(value, dict) and value:
        for inner, each in value.items():
            yield from _leaves(f"{key}.{inner}" if key else inner, each)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for place, each in enumerate(value):
            yield from _leaves(f"{key}.{place}", each)
    else:
        yield (
            key,
            "—" if value in (None, "", [], {}) else ", ".join(map(str, value)) if isinstance(value, list) else value,
        )


@config_cli.command("init", epilog=_examples("radgate config init", "radgate config init valley/radgate.toml"))
def config_init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path("radgate.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a file with every setting, its default and what it means."""
    from gateway.settings_file import annotated

    if path.exists() and not force:
        _fail(Exit.REFUSED, f"{path} is there already.", "Use --force to overwrite it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(annotated(), encoding="utf-8")
    except OSError as error:
        _fail(Exit.REFUSED, f"{path} cannot be written: {error.strerror}.")
    if as_json:
        _print({"path": str(path)}, True, _table())
    else:
        _say(f"Wrote {path}. Next: `radgate config check --config {path}`, then `radgate serve --config {path}`.")


@config_cli.command("codes", epilog=_examples("radgate config codes > codes.toml"))
def config_codes(as_json: JsonOption = False) -> None:
    """Print a file of the codes that are published with, and of the table that leads to them, explained."""
    from gateway.settings_file import annotated_codes

    if as_json:
        _print({"codes": annotated_codes()}, True, _table())
    else:
        sys.stdout.write(annotated_codes())


# --- exchange ---------------------------------------------------------------------------------------------------------


def _exchange_table(jobs: list[dict[str, Any]]) -> Table:
    table = _table("exchange", "opened", "kind", "state", "peer", "why")
    for job in jobs:
        _row(table, job["id"], _when(job["opened_at"]), job["kind"], job["state"], job["peer"], job["reason"])
    return table


def _show_exchange(job: dict[str, Any], as_json: bool) -> None:
    table = _table("time", "transaction", "", "peer", "bytes", "ms", "outcome", "what")
    for step in job.get("steps", []):
        explained = " — ".join(text for text in (step["text"], step["why"], step["cure"]) if text)
        _row(
            table, step["at"][11:19], step["transaction"], step["direction"], step["peer"], f"{step['size_bytes']:,}",
            f"{step['duration_ms']:.0f}", step["outcome"], explained,
        )  # fmt: skip
    if not as_json:
        pairs = (
            ("exchange", job["id"]), ("kind", job["kind"]), ("state", job["state"]), ("why", job["reason"]),
            ("cure", job["cure"]), ("peer", job["peer"]), ("patient", job["patient_id"]),
            ("study", job["study_instance_uid"]), ("opened", _when(job["opened_at"])),
        )  # fmt: skip
        output.print(_facts((key, value) for key, value in pairs if value))
        output.print()
    _print(job, as_json, table)


@exchange_cli.command(
    "list",
    epilog=_examples(
        "radgate exchange list --state held --state failed",
        "radgate exchange list --peer Lakeside --limit 10",
        "radgate exchange list --json | jq -r '.[].id'",
    ),
)
def exchange_list(
    config: ConfigOption = None,
    data: DataOption = None,
    state: Annotated[
        list[str] | None,
        typer.Option(help="Only in this state (held, failed, incomplete, moving, done, …); may be repeated."),
    ] = None,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Only of this kind (receive, store, collect, share, keep, backfill, feed, ask, …)."),
    ] = None,
    peer: Annotated[str, typer.Option(help="Only with this peer.")] = "",
    study: Annotated[str, typer.Option(help="Only about this Study Instance UID.")] = "",
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List exchanges, newest first."""
    jobs = Running(config, data).ask(
        "GET", "/exchanges", state=state or [], kind=kind or [], peer=peer, study=study, limit=limit
    )
    _print(jobs, as_json, _exchange_table(jobs))


@exchange_cli.command("show")
def exchange_show(
    exchange: ExchangeArgument, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one exchange with its timeline: every step, with why and cure where something went wrong."""
    _show_exchange(Running(config, data).ask("GET", f"/exchanges/{quote(exchange)}"), as_json)


@exchange_cli.command(
    "release",
    epilog=_examples(
        "radgate exchange release 019c… --wait  # look again whose it is",
        "radgate exchange release 019c… --patient 'V123^^^&1.2.3.4&ISO'",
    ),
)
def exchange_release(
    exchange: ExchangeArgument,
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
    exchange: ExchangeArgument,
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say that what has arrived of an incomplete exchange is enough."""
    _change(Running(config, data), f"/exchanges/{quote(exchange)}/accept", {}, wait, as_json)


@exchange_cli.command("give-up", epilog=_examples("radgate exchange give-up 019c… --reason 'sent twice'"))
def exchange_give_up(
    exchange: ExchangeArgument,
    reason: Annotated[str, typer.Option(help="Why; goes to timeline and audit. No patient data.")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an exchange of which nothing more is to come."""
    _change(Running(config, data), f"/exchanges/{quote(exchange)}/give-up", {"reason": reason}, False, as_json)


def _change(house: Running, path: str, body: dict[str, Any], wait: bool, as_json: bool) -> None:
    job = house.ask("POST", path, {**body, "person": getpass.getuser()})
    if not wait:
        _print(job, as_json, _exchange_table([job]))
        return
    job = house.watch(job["id"], as_json)
    _show_exchange(job, as_json)
    if job["state"] != "done":
        raise typer.Exit(Exit.REFUSED)


# --- study ------------------------------------------------------------------------------------------------------------


@study_cli.command(
    "list", epilog=_examples("radgate study list --patient V123", "radgate study list --modality CT --modality MR")
)
def study_list(
    config: ConfigOption = None,
    data: DataOption = None,
    patient: Annotated[str, typer.Option(help="Only of this patient id.")] = "",
    accession: Annotated[str, typer.Option(help="Only with this accession number.")] = "",
    modality: Annotated[list[str] | None, typer.Option(help="Only with this modality; may be repeated.")] = None,
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """List studies that are here or on their way, newest first."""
    studies = Running(config, data).ask(
        "GET", "/studies", patient=patient, accession=accession, modality=modality or [], limit=limit
    )
    table = _table("study", "status", "started", "modalities", "series", "description", "from")
    for study in studies:
        _row(
            table, study["study_instance_uid"], study["status"], _when(study["started"] or ""),
            " ".join(study["modalities"]), study["series"], study["description"], study["source"],
        )  # fmt: skip
    _print(studies, as_json, table)


@study_cli.command("show")
def study_show(
    study: StudyArgument, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one study with its series, the instances that have not come, and those that a newer manifest withdrew."""
    told = Running(config, data).ask("GET", f"/studies/{quote(study)}")
    table = _table("series", "no.", "modality", "instances", "description")
    for each in told["details"]:
        number = "" if each["number"] is None else each["number"]
        _row(table, each["series_instance_uid"], number, each["modality"], each["instances"], each["description"])
    if not as_json:
        pairs = (
            ("study", told["study_instance_uid"]), ("status", told["status"]), ("patient", told["patient_id"]),
            ("accession", ", ".join(told["accession_numbers"])), ("started", _when(told["started"] or "")),
            ("description", told["description"]), ("from", told["source"]), ("instances", told["instances"]),
            ("missing", "\n".join(told["missing"])),
            ("withdrawn", "\n".join(map(_withdrawn, told["withdrawn"]))),
        )  # fmt: skip
        output.print(_facts((key, value) for key, value in pairs if value not in ("", None)))
        output.print()
    _print(told, as_json, table)


def _withdrawn(instance: dict[str, Any]) -> str:
    by = f"by manifest {instance['manifest']}" if instance["manifest"] else "before it came"
    return f"{instance['sop_instance_uid']} {by} at {_when(instance['at'])}"


@study_cli.command("share", epilog=_examples("radgate study share 1.2.3 --to Region --wait"))
def study_share(
    study: StudyArgument,
    to: Annotated[str, typer.Option(help="The peer.")],
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish our own manifest of a study to a peer (RAD-68)."""
    _change(Running(config, data), f"/studies/{quote(study)}/share", {"peer": to}, wait, as_json)


@study_cli.command(
    "publish",
    epilog=_examples(
        "radgate study publish --to Region --all --wait  # everything that is available here",
        "radgate study publish --register --modality CT --since 2024 --per-minute 600",
        "radgate study publish --by-rules --all  # where the rules say",
        "radgate study publish --resume --wait  # look at the last one, and let it go on if it had stopped",
    ),
)
def study_publish(
    to: Annotated[list[str] | None, typer.Option(help="A peer; may be repeated.")] = None,
    register: Annotated[bool, typer.Option("--register", help="In our own registry.")] = False,
    on_demand: Annotated[bool, typer.Option("--on-demand", help="Its documents are made when asked for.")] = False,
    by_rules: Annotated[bool, typer.Option("--by-rules", help="Where the rules of study.available say.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Every study that is available here.")] = False,
    modality: Annotated[list[str] | None, typer.Option(help="Only with this modality; may be repeated.")] = None,
    patient: Annotated[str, typer.Option(help="Only of this patient id.")] = "",
    since: Annotated[str, typer.Option(help="Only that began then or later, such as 2024 or 20240131.")] = "",
    until: Annotated[str, typer.Option(help="Only that began before.")] = "",
    per_minute: Annotated[
        int, typer.Option(min=0, max=60_000, help="At most so many; 0: publish.per_minute of the settings.")
    ] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="The last one, instead of a new one.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Publish what is here already (a back-fill): the newest first, at a rate, gone on with after a restart.

    It tells how many were published, were already there, are held (no code, no id in the affinity domain) or failed.
    """
    house = Running(config, data)
    if resume:
        _resume(house, wait, as_json)
        return
    if bool(to or register) == by_rules:
        _fail(Exit.USAGE, "Say where: --to PEER or --register, or else --by-rules.")
    if every == bool(modality or patient or since or until):
        _fail(Exit.USAGE, "Say which studies: --all, or else conditions.")
    body = {
        "to": to or [], "register": register, "on_demand": on_demand,
        "modality": modality or [], "patient": patient, "since": since,
        "until": until, "per_minute": per_minute,
    }  # fmt: skip
    _change(house, "/publish", body, wait, as_json)


def _resume(house: Running, wait: bool, as_json: bool) -> None:
    """The last back-fill: let it go on if it had stopped, then look at it."""
    listed = house.ask("GET", "/exchanges", kind=["backfill"], limit=1)
    if not listed:
        _fail(Exit.REFUSED, "There was no back-fill.", "Start one: `radgate study publish --help`.")
    path = f"/exchanges/{quote(listed[0]['id'])}"
    if listed[0]["state"] == "failed":
        _change(house, f"{path}/release", {}, wait, as_json)
        return
    job = house.watch(listed[0]["id"], as_json) if wait else house.ask("GET", path)
    _show_exchange(job, as_json)


@study_cli.command(
    "fetch", epilog=_examples("radgate study fetch --patient 'V123^^^&1.2.3.4&ISO' --registry Region --wait")
)
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


# --- document ---------------------------------------------------------------------------------------------------------

AtOption = Annotated[str, typer.Option("--at", help="A peer that has a registry; without it, our own.")]


@document_cli.command(
    "find",
    epilog=_examples(
        "radgate document find --patient 'D55^^^&1.2.3.9&ISO'",
        "radgate document find --patient 'D55^^^&1.2.3.9&ISO' --at Region --study 1.2.840.1",
    ),
)
def document_find(
    patient: Annotated[str, typer.Option(help="Whose, as ID^^^&OID&ISO, in the registry's own domain.")],
    study: Annotated[str, typer.Option(help="Only about this Study Instance UID.")] = "",
    at: AtOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look for a patient's documents; who looked stands in the audit."""
    found = Running(config, data).ask(
        "GET", "/documents", patient=patient, study=study, at=at, person=getpass.getuser()
    )
    table = _table("document", "type", "title", "created", "form", "bytes")
    for each in found:
        size = f"{each['size_bytes']:,}" if each["size_bytes"] is not None else ""
        _row(table, each["unique_id"], each["type"], each["title"], each["created"], each["mime_type"], size)
    _print(found, as_json, table)


@document_cli.command("get", epilog=_examples("radgate document get 1.2.826.0.1.99 --to report.pdf --at Region"))
def document_get(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its uniqueId.")],
    to: Annotated[Path, typer.Option(help="The file that it becomes.")],
    at: AtOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a document into a file, and compare it with the hash of its entry; who took it stands in the audit."""
    path = f"/documents/{quote(document, safe='')}/content"
    size = Running(config, data).bring(path, to, at=at, person=getpass.getuser())
    _print({"file": str(to), "size_bytes": size}, as_json, _facts((("file", to), ("bytes", f"{size:,}"))))


@document_cli.command(
    "submit",
    epilog=_examples(
        "radgate document submit report.pdf --study 1.2.840.1 --to Region --class 'REPORTS^1.2.3.8^Reports'",
        "radgate document submit better.pdf --study 1.2.840.1 --to Region --class … --replaces urn:uuid:…",
    ),
)
def document_submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A report: PDF or CDA.")],
    study: Annotated[str, typer.Option(help="Study Instance UID of the study that it reports on.")],
    to: Annotated[str, typer.Option(help="The peer that takes it.")],
    class_code: Annotated[str, typer.Option("--class", help="Its class, as VALUE^SYSTEM^DISPLAY.")],
    type_code: Annotated[str, typer.Option("--type", help="Its type; without it, the table's default.")] = "",
    title: Annotated[str, typer.Option(help="Without it, the title in it, or the study's description.")] = "",
    replaces: Annotated[str, typer.Option(help="entryUUID of the report that it takes the place of.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Provide a report of a study to a peer, and wait for the answer."""
    with file.open("rb") as content:
        entry = Running(config, data).ask(
            "POST", "/documents", content, study=study, to=to, title=title, replaces=replaces,
            person=getpass.getuser(), **{"class": class_code, "type": type_code},
        )  # fmt: skip
    pairs = (("document", entry["unique_id"]), ("entry", entry["entry_uuid"]), ("form", entry["format"]))
    _print(entry, as_json, _facts(pairs))


@document_cli.command("deprecate", epilog=_examples("radgate document deprecate 1.2.826.0.1.99 --at Region"))
def document_deprecate(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its uniqueId.")],
    at: AtOption = "",
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take a document out of force (ITI-57): who looks for what is approved finds it no more; it is kept."""
    done = Running(config, data).ask(
        "POST", f"/documents/{quote(document, safe='')}/deprecate", at=at, person=getpass.getuser()
    )
    _print(done, as_json, _facts((("document", document), ("deprecated entries", done["entries"]))))


@document_cli.command(
    "remove",
    epilog=_examples(
        "radgate document remove 1.2.826.0.1.99", "radgate document remove 1.2.826.0.1.99 --at Region --metadata-only"
    ),
)
def document_remove(
    document: Annotated[str, typer.Argument(metavar="DOCUMENT", help="Its uniqueId.")],
    at: AtOption = "",
    metadata_only: Annotated[bool, typer.Option("--metadata-only", help="Its bytes stay in the repository.")] = False,
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove a document with all that the registry says of it (ITI-62, ITI-86). There is no way back."""
    done = Running(config, data).ask(
        "DELETE", f"/documents/{quote(document, safe='')}", at=at, person=getpass.getuser(),
        **({"metadata_only": "true"} if metadata_only else {}),
    )  # fmt: skip
    _print(done, as_json, _facts((("document", document), ("removed objects", done["objects"]))))


# --- peer, patient ----------------------------------------------------------------------------------------------------


@peer_cli.command("list")
def peer_list(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List peers, with what they are asked for."""
    peers = Running(config, data).ask("GET", "/peers")
    table = _table("peer", "home community", "asked for", "unknown patients")
    for peer in peers:
        _row(
            table, peer["name"], peer["home_community_id"] or "", " ".join(sorted(peer["endpoints"])),
            peer["unknown_patient"],
        )  # fmt: skip
    _print(peers, as_json, table)


@peer_cli.command("test", epilog=_examples("radgate peer test Lakeside", "radgate peer test Lakeside --json"))
def peer_test(
    name: Annotated[str, typer.Argument(metavar="PEER", help="Its name in the settings.")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the way to a peer's endpoints: name, connection, TLS, HTTP, SOAP, transaction; say where it ends and what helps.

    Questions are asked that a peer only answers, about nobody; nothing is submitted. Ends with 5 if a hop does not hold.
    """
    probed = Running(config, data).ask("POST", f"/peers/{quote(name, safe='')}/test", {"person": getpass.getuser()})
    table = _table("asked for", "", "hop", "ms", "found", "cure")
    for each in probed:
        for hop in each["hops"]:
            mark = Text("✓", "green") if hop["good"] else Text("✗", "bold red")
            table.add_row(
                Text(_plain(each["transaction"])), mark, Text(hop["hop"]), Text(f"{hop['ms']:.0f}", justify="right"),
                Text(_plain(hop["detail"])), Text(_plain(hop["cure"])),
            )  # fmt: skip
        unanswered = sorted(query for query, answered in each["supports"].items() if not answered)
        if each["supports"]:
            said = (
                f"all {len(each['supports'])} answered" if not unanswered else f"not answered: {', '.join(unanswered)}"
            )
            table.add_row(Text(_plain(each["transaction"])), Text(""), Text("queries"), Text(""), Text(said), Text(""))
    _print(probed, as_json, table)
    if not all(each["good"] for each in probed):
        raise typer.Exit(Exit.FAULTY)


@patient_cli.command(
    "list", epilog=_examples("radgate patient list", "radgate patient list doe", "radgate patient list V123")
)
def patient_list(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The beginning of an id or of a name.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, by name.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List patients by name."""
    patients = Running(config, data).ask("GET", "/patients", text=text, limit=limit)
    table = _table("ids", "name", "born", "sex")
    for patient in patients:
        named = ", ".join(part for part in (patient["family"], patient["given"]) if part)
        _row(table, "\n".join(patient["identifiers"]), named, patient["birth_date"] or "", patient["sex"])
    _print(patients, as_json, table)


# --- audit ------------------------------------------------------------------------------------------------------------


PatientFilter = Annotated[str, typer.Option("--patient", help="Only about this patient id.")]
StudyFilter = Annotated[str, typer.Option("--study", help="Only about this Study Instance UID, exchanges included.")]
UserFilter = Annotated[str, typer.Option("--user", help="Only with this person.")]
OrganisationFilter = Annotated[str, typer.Option("--organisation", help="Only with this organisation or system.")]
EventFilter = Annotated[str, typer.Option("--event", help="Only this event or transaction, such as RAD-69.")]
OutcomeFilter = Annotated[
    int | None, typer.Option("--outcome", help="Only this outcome: 0 success; 4, 8, 12 failures, ever worse.")
]
SinceFilter = Annotated[str, typer.Option("--since", help="From this time on, such as 2026-01-31 or 2026-01-31T08:00.")]
UntilFilter = Annotated[str, typer.Option("--until", help="Before this time.")]


@audit_cli.command(
    "list",
    epilog=_examples(
        "radgate audit list --study 1.2.3",
        "radgate audit list --patient V123 --since 2026-01-31",
        "radgate audit list --event RAD-69 --outcome 8",
    ),
)
def audit_list(
    config: ConfigOption = None,
    data: DataOption = None,
    patient: PatientFilter = "",
    study: StudyFilter = "",
    user: UserFilter = "",
    organisation: OrganisationFilter = "",
    event: EventFilter = "",
    outcome: OutcomeFilter = None,
    since: SinceFilter = "",
    until: UntilFilter = "",
    limit: LimitOption = 100,
    as_json: JsonOption = False,
) -> None:
    """Read the audit trail in plain sentences, newest first. Looking is itself audited."""
    records = Running(config, data).ask(
        "GET", "/audit", patient=patient, study=study, user=user, organisation=organisation, event=event,
        outcome=outcome, since=since, until=until, limit=limit,
    )  # fmt: skip
    table = _table("no.", "time", "what happened")
    for record in records:
        _row(table, record["number"], _when(record["received_at"]), record["sentence"])
    _print(records, as_json, table)


@audit_cli.command("show")
def audit_show(
    number: Annotated[
        int, typer.Argument(metavar="NUMBER", min=1, help="Its number, as `radgate audit list` shows it.")
    ],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one audit record: the sentence, and the PS3.15 message as it is sent. Looking is itself audited."""
    record = Running(config, data).ask("GET", f"/audit/{number}")
    pairs = (
        ("no.", record["number"]), ("time", _when(record["received_at"])), ("exchange", record["exchange_id"]),
        ("what happened", record["sentence"]), ("message", record["xml"]),
    )  # fmt: skip
    _print(record, as_json, _facts((key, value) for key, value in pairs if value))


@audit_cli.command(
    "verify", epilog=_examples("radgate audit verify", "radgate audit verify --data /backup/data  # a copy")
)
def audit_verify(
    config: ConfigOption = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Verify the files of this folder; no house needs to run on it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the chain of records: say what was changed, deleted, swapped, cut off or rewritten, and where.

    Where store.url names a database, the house that runs on it is asked. Ends with 5 if anything was found.
    """
    folder = data or _settings(config).house.data
    with _progress(as_json) as show:
        show("walking the chain", 0, None)
        if data is None and _settings(config).store.url is not None:  # a database that only the house can open
            faults = Running(config, None, timeout_s=WALK_S).ask("GET", "/audit/verify")["faults"]
        else:
            faults = _verified(folder)
    table = _table("no.", "fault", "what")
    for fault in faults:
        _row(table, fault["number"], fault["kind"], fault["text"])
    if not faults and not as_json:
        output.print(Text("The chain is whole.", "green"))
    else:
        _print({"ok": not faults, "faults": faults}, as_json, table)
    if faults:
        raise typer.Exit(Exit.FAULTY)


def _verified(folder: Path) -> list[dict[str, Any]]:
    """What is wrong with the chain in a data folder's own database."""
    from gateway.adapters.audit_verify import verify_database
    from profiles.errors import MalformedMessage

    elsewhere = "Name the data folder of a house with --data."
    if not (folder / "radgate.db").exists():
        _fail(Exit.REFUSED, f"There is no audit trail in {folder}.", elsewhere)
    try:
        found = verify_database(folder / "radgate.db", folder / "audit")
    except MalformedMessage as error:
        _fail(Exit.REFUSED, f"There is no audit trail in {folder}: {error.detail}.", elsewhere)
    return [{"number": fault.number, "kind": fault.kind, "text": fault.text} for fault in found]


@audit_cli.command(
    "export", epilog=_examples("radgate audit export march.ndjson --since 2026-03-01 --until 2026-04-01")
)
def audit_export(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="To write: one JSON object a line, with the PS3.15 message in it.")
    ],
    config: ConfigOption = None,
    data: DataOption = None,
    patient: PatientFilter = "",
    study: StudyFilter = "",
    user: UserFilter = "",
    organisation: OrganisationFilter = "",
    event: EventFilter = "",
    outcome: OutcomeFilter = None,
    since: SinceFilter = "",
    until: UntilFilter = "",
    as_json: JsonOption = False,
) -> None:
    """Write audit records to a file, oldest first. Exporting is itself audited."""
    lines = Running(config, data).lines(
        "/audit/export", patient=patient, study=study, user=user, organisation=organisation, event=event,
        outcome=outcome, since=since, until=until,
    )  # fmt: skip
    count = size = 0
    try:
        with _written(path) as file, _progress(as_json) as show:
            for line in lines:
                count += 1
                size += file.write(line)
                if count % 100 == 0:
                    show("records", count, None)
            show("records", count, None)
    except OSError as error:
        _fail(Exit.REFUSED, f"{path} cannot be written: {error.strerror}.")
    if as_json:
        _print({"path": str(path), "records": count, "bytes": size}, True, _table())
    else:
        _say(f"Wrote {count} records to {path}.")
