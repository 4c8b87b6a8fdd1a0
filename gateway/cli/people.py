"""`radgate peer` and `radgate patient`: whom we exchange with, and whom we know."""

import getpass
from typing import Annotated
from urllib.parse import quote

import typer
from rich.text import Text

from gateway.cli import asking, saying
from gateway.cli.options import (
    ConfigOption,
    DataOption,
    JsonOption,
)

peer_cli = typer.Typer(no_args_is_help=True, help="Whom we exchange with.")
patient_cli = typer.Typer(no_args_is_help=True, help="Whom we know.")


@peer_cli.command("list")
def peer_list(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """List peers, with what they are asked for."""
    peers = asking.Running(config, data).ask("GET", "/peers")
    table = saying.table_of("peer", "home community", "asked for", "unknown patients")
    for peer in peers:
        saying.row(
            table, peer["name"], peer["home_community_id"] or "", " ".join(sorted(peer["endpoints"])),
            peer["unknown_patient"],
        )  # fmt: skip
    saying.show(peers, as_json, table)


@peer_cli.command("show", epilog=saying.examples("radgate peer show Lakeside", "radgate peer show Lakeside --json"))
def peer_show(
    name: Annotated[str, typer.Argument(metavar="PEER", help="Its name in the settings.")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a peer supports, by the last test of the ways to it and by what was exchanged with it since."""
    card = asking.Running(config, data).ask("GET", f"/peers/{quote(name, safe='')}")
    table = saying.table_of("asked for", "it", "last seen", "found")
    for row in card["rows"]:
        found = [f"{call['count']} {call['what']}" for call in row["calls"]]
        probed = row["probed"] or {}
        if supports := probed.get("supports"):
            lacking = sorted(query for query, answered in supports.items() if not answered)
            found.append(f"not answered: {', '.join(lacking)}" if lacking else f"all {len(supports)} queries")
        if probed.get("asynchronous") is not None:
            found.append("answers later when asked to" if probed["asynchronous"] else "answers only at once")
        found += [f"{hop['hop']}: {hop['detail']}" for hop in probed.get("hops", ()) if not hop["good"]]
        saying.row(table, row["transaction"], row["verdict"], saying.when(row["at"] or "") or "never", "; ".join(found))
    for each in card["quirks"]:
        saying.row(
            table, each["transaction"], "odd", saying.when(each["last"]), f"{each['what']}, {each['count']} times"
        )
    saying.show(card, as_json, table)


@peer_cli.command("test", epilog=saying.examples("radgate peer test Lakeside", "radgate peer test Lakeside --json"))
def peer_test(
    name: Annotated[str, typer.Argument(metavar="PEER", help="Its name in the settings.")],
    config: ConfigOption = None,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the way to a peer's endpoints: name, connection, TLS, HTTP, SOAP, transaction; say where it ends and what helps.

    Questions are asked that a peer only answers, about nobody; nothing is submitted. Ends with 5 if a hop does not hold.
    """
    probed = asking.Running(config, data).ask(
        "POST", f"/peers/{quote(name, safe='')}/test", {"person": getpass.getuser()}
    )
    table = saying.table_of("asked for", "", "hop", "ms", "found", "cure")
    for each in probed:
        for hop in each["hops"]:
            mark = Text("✓", "green") if hop["good"] else Text("✗", "bold red")
            table.add_row(
                Text(saying.plain(each["transaction"])), mark, Text(hop["hop"]), Text(f"{hop['ms']:.0f}", justify="right"),
                Text(saying.plain(hop["detail"])), Text(saying.plain(hop["cure"])),
            )  # fmt: skip
        unanswered = sorted(query for query, answered in each["supports"].items() if not answered)
        if each["supports"]:
            said = (
                f"all {len(each['supports'])} answered" if not unanswered else f"not answered: {', '.join(unanswered)}"
            )
            table.add_row(
                Text(saying.plain(each["transaction"])), Text(""), Text("queries"), Text(""), Text(said), Text("")
            )
        if each["asynchronous"] is not None:
            said = "answers are brought when that is asked" if each["asynchronous"] else "answers only at once"
            table.add_row(
                Text(saying.plain(each["transaction"])), Text(""), Text("later"), Text(""), Text(said), Text("")
            )
    saying.show(probed, as_json, table)
    if not all(each["good"] for each in probed):
        raise typer.Exit(saying.Exit.FAULTY)


@patient_cli.command(
    "list", epilog=saying.examples("radgate patient list", "radgate patient list doe", "radgate patient list V123")
)
def patient_list(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The beginning of an id or of a name.")] = "",
    config: ConfigOption = None,
    data: DataOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, by name.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List patients by name."""
    patients = asking.Running(config, data).ask("GET", "/patients", text=text, limit=limit)
    table = saying.table_of("ids", "name", "born", "sex")
    for patient in patients:
        named = ", ".join(part for part in (patient["family"], patient["given"]) if part)
        saying.row(table, "\n".join(patient["identifiers"]), named, patient["birth_date"] or "", patient["sex"])
    saying.show(patients, as_json, table)
