"""What a statement is made of, and how it is written: Markdown, or one HTML page that needs nothing else."""

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from conformance.report import STYLE

LAYOUT = "table{margin:1rem 0}@media print{body{max-width:none;margin:0}h2{break-before:page}tr{break-inside:avoid}}"


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` 1 is the title."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Every row is as long as the head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Block = Heading | Table | str  # a str is a paragraph


def as_markdown(blocks: Iterable[Block]) -> str:
    """As Markdown; what would end a cell or start HTML is escaped."""
    return "\n\n".join(_markdown(block) for block in blocks) + "\n"


def _markdown(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"{'#' * level} {_plain(text)}"
        case Table(head, rows):
            lines = (head, ("---",) * len(head), *(tuple(map(_plain, row)) for row in rows))
            return "\n".join(f"| {' | '.join(line)} |" for line in lines)
        case _:
            return _plain(block)


def _plain(text: str) -> str:
    single = " ".join(text.split())
    for special in "\\|*_`[":
        single = single.replace(special, f"\\{special}")
    return single.replace("&", "&amp;").replace("<", "&lt;")


def as_html(blocks: Sequence[Block]) -> str:
    """As one page that needs nothing else."""
    title = next((block.text for block in blocks if isinstance(block, Heading)), "")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<style>{STYLE}{LAYOUT}</style></head>\n<body>\n"
        + "\n".join(_html(block) for block in blocks)
        + "\n</body></html>\n"
    )


def _html(block: Block) -> str:
    match block:
        case Heading(level, text):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Table(head, rows):
            titles = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in head)
            body = "\n".join(
                f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in rows
            )  # fmt: skip
            return f"<table><thead><tr>{titles}</tr></thead><tbody>\n{body}</tbody></table>"
        case _:
            return f"<p>{html.escape(block)}</p>"
