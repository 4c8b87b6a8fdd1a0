"""`radgate config`: look at the settings, check them, write a file to start from."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import asking, saying
from gateway.cli.options import ConfigOption, DataOption, JsonOption

if TYPE_CHECKING:
    from gateway.settings import Problem

config_cli = typer.Typer(no_args_is_help=True, help="Look at the settings, check them, write a file to start from.")


@config_cli.command("check", epilog=saying.examples("radgate config check --config radgate.toml"))
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
        saying.show({"ok": not problems, "problems": told}, True, saying.table_of())
    elif problems:
        saying.complain(problems)
    else:
        saying.say("The settings can be used. Data folder:", asking.settings(config, data).house.data.absolute())
    if problems:
        raise typer.Exit(saying.Exit.SETTINGS)


@config_cli.command("show", epilog=saying.examples("radgate config show", "radgate config show --json | jq .listen"))
def config_show(config: ConfigOption = None, data: DataOption = None, as_json: JsonOption = False) -> None:
    """Print the settings in force, defaults and environment included, secrets hidden."""
    shown = asking.settings(config, data).model_dump(mode="json")
    saying.show(shown, as_json, saying.facts(_leaves("", shown)))


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


@config_cli.command("init", epilog=saying.examples("radgate config init", "radgate config init valley/radgate.toml"))
def config_init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path("radgate.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a file with every setting, its default and what it means."""
    from gateway.settings_file import annotated

    if path.exists() and not force:
        saying.fail(saying.Exit.REFUSED, f"{path} is there already.", "Use --force to overwrite it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(annotated(), encoding="utf-8")
    except OSError as error:
        saying.fail(saying.Exit.REFUSED, f"{path} cannot be written: {error.strerror}.")
    if as_json:
        saying.show({"path": str(path)}, True, saying.table_of())
    else:
        saying.say(f"Wrote {path}. Next: `radgate config check --config {path}`, then `radgate serve --config {path}`.")


@config_cli.command("codes", epilog=saying.examples("radgate config codes > codes.toml"))
def config_codes(as_json: JsonOption = False) -> None:
    """Print a file of the codes that are published with, and of the table that leads to them, explained."""
    from gateway.settings_file import annotated_codes

    if as_json:
        saying.show({"codes": annotated_codes()}, True, saying.table_of())
    else:
        sys.stdout.write(annotated_codes())
