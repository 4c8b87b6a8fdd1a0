"""`radgate audit`: who did what."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from gateway.cli import asking, saying
from gateway.cli.options import ConfigOption, DataOption, JsonOption, LimitOption

WALK_S = 3600.0  # a chain of many years is walked without a word
audit_cli = typer.Typer(no_args_is_help=True, help="Who did what: read, verify, export.")


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
    epilog=saying.examples(
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
    records = asking.Running(config, data).ask(
        "GET", "/audit", patient=patient, study=study, user=user, organisation=organisation, event=event,
        outcome=outcome, since=since, until=until, limit=limit,
    )  # fmt: skip
    table = saying.table_of("no.", "time", "what happened")
    for record in records:
        saying.row(table, record["number"], saying.when(record["received_at"]), record["sentence"])
    saying.show(records, as_json, table)


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
    record = asking.Running(config, data).ask("GET", f"/audit/{number}")
    pairs = (
        ("no.", record["number"]), ("time", saying.when(record["received_at"])), ("exchange", record["exchange_id"]),
        ("what happened", record["sentence"]), ("message", record["xml"]),
    )  # fmt: skip
    saying.show(record, as_json, saying.facts((key, value) for key, value in pairs if value))


@audit_cli.command(
    "verify", epilog=saying.examples("radgate audit verify", "radgate audit verify --data /backup/data  # a copy")
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
    folder = data or asking.settings(config).house.data
    with saying.progress(as_json) as show:
        show("walking the chain", 0, None)
        if data is None and asking.settings(config).store.url is not None:  # a database that only the house can open
            faults = asking.Running(config, None, timeout_s=WALK_S).ask("GET", "/audit/verify")["faults"]
        else:
            faults = _verified(folder)
    table = saying.table_of("no.", "fault", "what")
    for fault in faults:
        saying.row(table, fault["number"], fault["kind"], fault["text"])
    if not faults and not as_json:
        saying.output.print(Text("The chain is whole.", "green"))
    else:
        saying.show({"ok": not faults, "faults": faults}, as_json, table)
    if faults:
        raise typer.Exit(saying.Exit.FAULTY)


def _verified(folder: Path) -> list[dict[str, Any]]:
    """What is wrong with the chain in a data folder's own database."""
    from gateway.adapters.audit_verify import verify_database
    from profiles.errors import MalformedMessage

    elsewhere = "Name the data folder of a house with --data."
    if not (folder / "radgate.db").exists():
        saying.fail(saying.Exit.REFUSED, f"There is no audit trail in {folder}.", elsewhere)
    try:
        found = verify_database(folder / "radgate.db", folder / "audit")
    except MalformedMessage as error:
        saying.fail(saying.Exit.REFUSED, f"There is no audit trail in {folder}: {error.detail}.", elsewhere)
    return [{"number": fault.number, "kind": fault.kind, "text": fault.text} for fault in found]


@audit_cli.command(
    "export", epilog=saying.examples("radgate audit export march.ndjson --since 2026-03-01 --until 2026-04-01")
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
    lines = asking.Running(config, data).lines(
        "/audit/export", patient=patient, study=study, user=user, organisation=organisation, event=event,
        outcome=outcome, since=since, until=until,
    )  # fmt: skip
    count = size = 0
    try:
        with asking.written(path) as file, saying.progress(as_json) as show:
            for line in lines:
                count += 1
                size += file.write(line)
                if count % 100 == 0:
                    show("records", count, None)
            show("records", count, None)
    except OSError as error:
        saying.fail(saying.Exit.REFUSED, f"{path} cannot be written: {error.strerror}.")
    if as_json:
        saying.show({"path": str(path), "records": count, "bytes": size}, True, saying.table_of())
    else:
        saying.say(f"Wrote {count} records to {path}.")
