"""`radgate exchange`: everything under way or done."""

import getpass
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.table import Table

from gateway.cli import asking, saying
from gateway.cli.options import (
    ConfigOption,
    DataOption,
    ExchangeArgument,
    JsonOption,
    LimitOption,
    WaitOption,
)

exchange_cli = typer.Typer(no_args_is_help=True, help="Everything under way or done: look, release, accept, give up.")


def exchange_table(jobs: list[dict[str, Any]]) -> Table:
    """A line an exchange."""
    table = saying.table_of("exchange", "opened", "kind", "state", "peer", "why")
    for job in jobs:
        saying.row(
            table, job["id"], saying.when(job["opened_at"]), job["kind"], job["state"], job["peer"], job["reason"]
        )
    return table


def show_exchange(job: dict[str, Any], as_json: bool) -> None:
    """One exchange with its timeline."""
    table = saying.table_of("time", "transaction", "", "peer", "bytes", "ms", "outcome", "what")
    for step in job.get("steps", []):
        explained = " — ".join(text for text in (step["text"], step["why"], step["cure"]) if text)
        saying.row(
            table, step["at"][11:19], step["transaction"], step["direction"], step["peer"], f"{step['size_bytes']:,}",
            f"{step['duration_ms']:.0f}", step["outcome"], explained,
        )  # fmt: skip
    if not as_json:
        pairs = (
            ("exchange", job["id"]), ("kind", job["kind"]), ("state", job["state"]), ("why", job["reason"]),
            ("cure", job["cure"]), ("peer", job["peer"]), ("patient", job["patient_id"]),
            ("study", job["study_instance_uid"]), ("opened", saying.when(job["opened_at"])),
        )  # fmt: skip
        saying.output.print(saying.facts((key, value) for key, value in pairs if value))
        saying.output.print()
    saying.show(job, as_json, table)


@exchange_cli.command(
    "list",
    epilog=saying.examples(
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
    jobs = asking.Running(config, data).ask(
        "GET", "/exchanges", state=state or [], kind=kind or [], peer=peer, study=study, limit=limit
    )
    saying.show(jobs, as_json, exchange_table(jobs))


@exchange_cli.command("show")
def exchange_show(
    exchange: ExchangeArgument, config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False
) -> None:
    """Show one exchange with its timeline: every step, with why and cure where something went wrong."""
    show_exchange(asking.Running(config, data).ask("GET", f"/exchanges/{quote(exchange)}"), as_json)


@exchange_cli.command(
    "release",
    epilog=saying.examples(
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
    changed(asking.Running(config, data), f"/exchanges/{quote(exchange)}/release", {"patient": patient}, wait, as_json)


@exchange_cli.command("accept")
def exchange_accept(
    exchange: ExchangeArgument,
    config: ConfigOption = None,
    data: DataOption = None,
    wait: WaitOption = False,
    as_json: JsonOption = False,
) -> None:
    """Say that what has arrived of an incomplete exchange is enough."""
    changed(asking.Running(config, data), f"/exchanges/{quote(exchange)}/accept", {}, wait, as_json)


@exchange_cli.command("give-up", epilog=saying.examples("radgate exchange give-up 019c… --reason 'sent twice'"))
def exchange_give_up(
    exchange: ExchangeArgument,
    reason: Annotated[str, typer.Option(help="Why; goes to timeline and audit. No patient data.")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """End an exchange of which nothing more is to come."""
    changed(asking.Running(config, data), f"/exchanges/{quote(exchange)}/give-up", {"reason": reason}, False, as_json)


def changed(house: asking.Running, path: str, body: dict[str, Any], wait: bool, as_json: bool) -> None:
    """Have the house do it, and follow the exchange to its rest if that is wanted."""
    job = house.ask("POST", path, {**body, "person": getpass.getuser()})
    if not wait:
        saying.show(job, as_json, exchange_table([job]))
        return
    job = house.watch(job["id"], as_json)
    show_exchange(job, as_json)
    if job["state"] != "done":
        raise typer.Exit(saying.Exit.REFUSED)
