"""What commands say, and how: tables and sentences for people, JSON for programs, exit codes for scripts."""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

if TYPE_CHECKING:
    from gateway.settings import Problem

IDS = frozenset({"exchange", "study", "series", "document"})  # columns that a person copies from: never cut
TONES = {
    "done": "green", "stored": "green", "success": "green", "available": "green", "failed": "red", "failure": "red",
    "held": "yellow", "incomplete": "yellow", "partial": "yellow",
}  # fmt: skip

PIPED_COLUMNS = 240  # what no terminal shows is for a program or a file: a path or an id is not folded there


def console(*, stderr: bool = False) -> Console:
    """As wide as the terminal, or as COLUMNS says."""
    made = Console(stderr=stderr)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPED_COLUMNS
    return made


output = console()
errors = console(stderr=True)


class Exit(IntEnum):
    """What a script reads."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    SETTINGS = 3
    NOT_RUNNING = 4
    FAULTY = 5


def paragraphs(*lines: str) -> str:
    """An epilog that keeps its lines: typer joins those of a paragraph."""
    return "\n\n".join(lines)


def examples(*lines: str) -> str:
    """An epilog that shows commands."""
    return paragraphs("Examples:", *(f"$ {line}" for line in lines))


def plain(text: object) -> str:
    """As text that a terminal only shows: peers' words may have control characters in them."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\ufffd", str(text))


def table_of(*names: str) -> Table:
    """A table with these columns and no lines."""
    columns = (Column(name, no_wrap=name in IDS, overflow="fold") for name in names)
    return Table(*columns, box=None, header_style="bold", pad_edge=False)


def row(table: Table, *cells: object) -> None:
    """Cells are shown as they are, and never read as markup."""
    table.add_row(*(Text(plain(cell), TONES.get(str(cell), "")) for cell in cells))


def say(*parts: object) -> None:
    """One sentence, never read as markup."""
    output.print(Text(" ".join(plain(part) for part in parts)), highlight=False)


class Refusal(Exception):
    """A command ends with this code, and why; whoever runs the command line tells it."""

    def __init__(self, code: Exit, text: str, cure: str = "", problems: "tuple[Problem, ...]" = ()) -> None:
        """`problems` are those of the settings, each told by itself."""
        super().__init__(text)
        self.code = code
        self.text = text
        self.cure = cure
        self.problems = problems

    def tell(self) -> None:
        """For people, on standard error: the reason, and what helps."""
        for problem in self.problems:
            told = Text.assemble((plain(problem.key), "bold"), f": {plain(problem.reason)}. {plain(problem.cure)}.")
            errors.print(told, soft_wrap=True)
        if not self.problems:
            errors.print(Text(plain(self.text), "bold red"))
            if self.cure:
                errors.print(Text(plain(self.cure)))

    def tell_programs(self) -> None:
        """For programs, where they read what goes well too: one object in a line of standard output."""
        told: dict[str, object] = {"code": int(self.code), "detail": self.text, "cure": self.cure}
        if self.problems:
            told["problems"] = [{"key": each.key, "reason": each.reason, "cure": each.cure} for each in self.problems]
        sys.stdout.write(json.dumps({"error": told}, ensure_ascii=False) + "\n")


def fail(code: Exit, text: str, cure: str = "") -> NoReturn:
    """End with this code, the reason and what helps."""
    raise Refusal(code, text, cure)


def complain(problems: "tuple[Problem, ...]") -> NoReturn:
    """End because of settings, with all that is wrong with them."""
    raise Refusal(Exit.SETTINGS, "The settings cannot be used.", problems=problems)


def show(value: object, as_json: bool, table: Table) -> None:
    """The value for programs, or the table for people."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")
    elif table.row_count:
        output.print(table)
    else:
        say("Nothing.")


def facts(pairs: Iterable[tuple[str, object]]) -> Table:
    """Names and what is to be said of them, a line each."""
    table = Table.grid(padding=(0, 2))
    for named, value in pairs:
        table.add_row(Text(named, "bold"), Text(plain(value), TONES.get(str(value), "")))
    return table


def when(text: str) -> str:
    """A time to the second."""
    return text[:19].replace("T", " ")


def of_dtm(text: str) -> str:
    """A time of metadata (DTM: digits, of which the last ones may be missing) as people read it."""
    date, time = (text[:4], text[4:6], text[6:8]), (text[8:10], text[10:12], text[12:14])
    return " ".join(mark.join(filter(None, parts)) for mark, parts in (("-", date), (":", time)) if parts[0])


@contextmanager
def progress(quiet: bool) -> Iterator[Any]:
    """A bar on stderr: what is going on, how many of how many, for how long."""
    if quiet:
        yield lambda text, done, total: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    words = TextColumn("{task.description}", markup=False)
    columns = (SpinnerColumn(), words, BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=errors) as progress:
        task = progress.add_task("", total=None)
        yield lambda text, done, total: progress.update(task, description=plain(text), completed=done, total=total)
