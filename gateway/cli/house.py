"""A house as a whole: serve it, show it, look what it needs."""

import os
import sys
from typing import Annotated

import typer
from rich.text import Text

from gateway.cli import asking, saying
from gateway.cli.options import ConfigOption, DataOption, JsonOption

GARBAGE_OBJECTS = 2000  # between two looks at what is new; Python's own 700 is less than what 50 turns at once keep

house_cli = typer.Typer()


@house_cli.command(
    epilog=saying.examples(
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

    settings = asking.settings(config, data)
    # And looked through again and again, it cost a tenth of a small turn's processor time.
    gc.freeze()
    gc.set_threshold(GARBAGE_OBJECTS, 20, 20)
    gc.enable()
    try:
        asyncio.run(house_app.serve(settings, port_base=port_base, as_json=as_json))
    except SettingsError as error:
        saying.complain(error.problems)
    except HouseError as error:
        saying.fail(saying.Exit.REFUSED, error.detail, error.cure)
    except house_app.AlreadyRunning as error:
        saying.fail(saying.Exit.REFUSED, str(error), "Stop the other one first, or give this one another house.data.")


@house_cli.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def demo(context: typer.Context) -> None:
    """Show the main job with three houses on this machine: a study crosses from one to the other."""
    # In our place, so that Ctrl-C reaches it once and it stops its houses itself.
    os.execv(sys.executable, [sys.executable, "-m", "conformance", "demo", *context.args])


@house_cli.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def conformance(context: typer.Context) -> None:
    """Prove any house, ours too: list the cases, run them on a system, see what is covered."""
    os.execv(sys.executable, [sys.executable, "-m", "conformance", "conformance", *context.args])


@house_cli.command(
    epilog=saying.examples(
        "radgate doctor --config radgate.toml", "radgate doctor --json | jq '.[] | select(.good | not)'"
    )
)
def doctor(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Check what a house needs before it is started: folder, disk, database, archive, ports, certificates, peers and more.

    Ends with 5 if anything is not good.
    """
    import asyncio

    from gateway.doctor import examine

    found = asyncio.run(examine(asking.settings(config, data)))
    table = saying.table_of("", "what", "state", "cure")
    for each in found:
        mark = Text("✓", "green") if each.good else Text("✗", "bold red")
        table.add_row(
            mark, Text(saying.plain(each.what)), Text(saying.plain(each.state or "good")), Text(saying.plain(each.cure))
        )
    told = [{"what": each.what, "good": each.good, "state": each.state, "cure": each.cure} for each in found]
    saying.show(told, as_json, table)
    if not all(each.good for each in found):
        raise typer.Exit(saying.Exit.FAULTY)
