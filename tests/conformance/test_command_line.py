"""The proofs explain themselves as the gateway's commands do, and what their help shows can be typed."""

import json
import shlex
import subprocess
import sys

import pytest

from conformance.__main__ import command_line, main
from conformance.faults import FAULTS


@pytest.mark.parametrize(
    "name",
    [
        "demo",
        "conformance",
        "conformance list",
        "conformance run",
        "conformance simulate",
        "conformance load",
        "conformance coverage",
        "conformance statement",
    ],
)
def test_every_verb_says_what_it_does_and_shows_what_one_types(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line().parse_args([*name.split(), "--help"])
    assert ended.value.code == 0
    usage, _, rest = capsys.readouterr().out.partition("\n\n")
    assert usage.startswith(f"usage: radgate {name} ")
    assert rest.partition("\n\n")[0].endswith((".", "with 1."))
    examples = [line.partition("$ radgate ")[2] for line in rest.splitlines() if "$ radgate " in line]
    assert examples
    for line in examples:
        words = shlex.split(line.partition("  #")[0])
        assert " ".join(words).startswith(name)
        command_line().parse_args(words)  # ends the test where it cannot be typed


def test_programs_are_told_in_json_that_there_is_no_such_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["radgate", "conformance", "list", "--case", "nobody-wrote-it", "--json"])
    assert main() == 1
    told = capsys.readouterr()
    assert "no case is so" in json.loads(told.out)["error"]["detail"]
    assert told.err == ""


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("load --self --transaction ITI-8 --clients x", "--clients: a number from 1 to 10000"),
        ("load --self --transaction ITI-8 --clients 0", "--clients: a number from 1 to 10000"),
        ("load --self --transaction ITI-8 --seconds nan", "--seconds: a number of seconds"),
        ("load --self --transaction ITI-8 --seconds x", "--seconds: a number of seconds"),
        ("simulate --port-base 65534", "--port-base: a port from 1 to 65533"),
        ("simulate --port-base x", "--port-base: a port from 1 to 65533"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(
    words: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command_line().parse_args(["conformance", *words.split()])
    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err


def said(words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["radgate", "conformance", *shlex.split(words)])
    assert main() == 0
    return capsys.readouterr().out


def test_the_faults_are_listed_with_what_they_do_and_the_cases_that_they_fail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = json.loads(said("list --faults --json", monkeypatch, capsys))
    assert [(each["name"], each["text"]) for each in told] == [(name, fault.text) for name, fault in FAULTS.items()]
    some = said("list --faults --case xdsi.source_retrieve/missing_instance", monkeypatch, capsys)
    assert "RAD-69/partial-as-success: a house that reports a partial success as success" in some
    assert "ITI-18/" not in some


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("run --self --fault RAD-69/partial-as-sucess", "like it: RAD-69/partial-as-success"),
        ("run --self --fault x", r"there is no fault x; `radgate conformance list --faults` shows all"),
        ("run --self --case nobody-wrote-it", "no case is so"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_made(
    words: str, complaint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["radgate", "conformance", *words.split()])
    with pytest.raises(SystemExit, match=complaint):
        main()
    assert capsys.readouterr().out == ""  # no folder for evidence either


def test_who_stops_reading_is_not_told_of_a_broken_pipe() -> None:
    done = subprocess.run(
        f"{shlex.quote(sys.executable)} -m conformance conformance coverage | head -c 10",
        shell=True, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert len(done.stdout) == 10
    assert done.stderr == ""
