"""The front page is true of the house: what can be counted there is counted here."""

import re
import shlex
import tomllib

import pytest
import typer

from conformance.__main__ import command_line
from gateway.cli import cli
from gateway.settings import Settings
from tests.house.modules import ROOT

PAGE = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
def test_the_settings_that_it_shows_are_settings(block: str) -> None:
    assert Settings.model_validate(tomllib.loads(block)).model_fields_set


WRITTEN = re.findall(r"(?:^\.venv/bin/|`)radgate ([a-z][^`\n]*)", PAGE, re.MULTILINE)


@pytest.mark.parametrize("line", WRITTEN)
def test_the_commands_that_it_shows_are_commands(line: str) -> None:
    words = shlex.split(line.partition("#")[0].partition(" > ")[0])
    if words[0] in ("demo", "conformance"):
        if len(words) > 1:
            command_line().parse_args(words)
        return
    command, names = typer.main.get_command(cli), []
    while words and not words[0].startswith("-") and hasattr(command, "commands"):
        names.append(words.pop(0))
        command = command.commands[names[-1]]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options, names
