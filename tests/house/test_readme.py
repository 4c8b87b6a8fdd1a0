"""The front page is true of the house: what can be counted there is counted here."""

import re
import shlex
import tomllib

import pytest
import typer

from conformance.__main__ import command_line
from gateway.cli import cli
from gateway.settings import Settings
from profiles.describe.statement import Described, Direction, Wire, described
from tests.house.front_page import PAGE, TABLE

NUMBERED = [each for each in described() if re.fullmatch("(ITI|RAD)-[0-9]+", each.id)]


def _row(transaction: Described) -> list[str]:
    (row,) = [row for row in TABLE if re.search(rf"\b{transaction.id}\b", row[0])]
    return row


@pytest.mark.parametrize("transaction", NUMBERED, ids=lambda each: each.id)
def test_every_transaction_with_a_number_has_its_row(transaction: Described) -> None:
    _, server, client, judges = _row(transaction)
    assert server and client and judges
    if transaction.wire is Wire.HTTP and transaction.direction is Direction.ANSWERED:
        assert client in ("no", "towards the archive")  # the client of an archive is an adapter, not a transaction


def test_the_rows_are_of_transactions_that_there_are() -> None:
    known = {each.id for each in NUMBERED}
    named = {id_ for row in TABLE for id_ in re.findall(r"\b(?:ITI|RAD)-[0-9]+\b", row[0])}
    assert named <= known


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
