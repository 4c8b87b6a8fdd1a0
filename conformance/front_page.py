"""README's table of transactions, made of the claims: `statement --readme FILE` writes it between two marks of a page."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conformance.claims import Claim, Claims, Standing
from profiles.catalogue import TRANSACTIONS
from profiles.transaction import Transaction

COMMAND = "radgate conformance statement --readme README.md"
BEGIN = f"<!-- made of conformance/claims.toml by `{COMMAND}` -->\n"
END = "<!-- end of what is made of conformance/claims.toml -->\n"
WORDS = {Standing.CLAIMED: "**proved**", Standing.UNPROVED: "done", Standing.EXEMPT: "no"}


class NoPlace(Exception):
    """A page has no place for the table; the text says what is missing."""


def table(claims: Claims) -> str:
    """Every transaction with the standing of both ends and who else judges it; below it each option with who has it."""
    lines = ["| transaction | who answers | who asks | judged outside the suite by |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(_row(claims, each))} |" for each in TRANSACTIONS]
    return "\n".join([*lines, "", *_options(claims)]) + "\n"


def _row(claims: Claims, transaction: Transaction[Any, Any]) -> tuple[str, ...]:
    note = claims.notes[transaction.id]
    name = transaction.id if transaction.id == transaction.name else f"{transaction.id}: {transaction.name}"
    answers = _end(claims.by_pair[(transaction.responder, transaction.id)], note.answers)
    if transaction.initiator is transaction.responder:
        return name, answers, "as who answers", note.judges
    asks = _end(claims.by_pair[(transaction.initiator, transaction.id)], note.asks)
    return name, answers, asks, note.judges


def _end(claim: Claim, note: str) -> str:
    return f"{claim.actor}: {WORDS[claim.standing]}" + (f"; {note}" if note else "")


def _options(claims: Claims) -> Iterator[str]:
    for name in dict.fromkeys(each.name for each in claims.options):
        of_it = [each for each in claims.options if each.name == name]
        for standing in (Standing.CLAIMED, Standing.UNPROVED):
            actors = [each.actor for each in of_it if bool(each.cases) is (standing is Standing.CLAIMED)]
            if actors:
                yield f"- Option *{name}*, {WORDS[standing]}: {', '.join(dict.fromkeys(actors))}"


def written(page: str, claims: Claims) -> str:
    """A page with the table of today between its marks.

    Raises:
        NoPlace: The two marks do not stand there once, in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in before + after:
        raise NoPlace(f"the table has no place: these two lines must stand there once\n{BEGIN}{END}".rstrip())
    return f"{before}{BEGIN}\n{table(claims)}\n{END}{after}"


def rewrite(path: Path, claims: Claims) -> bool:
    """Bring the table of a file up to date; whether it was otherwise.

    Raises:
        NoPlace: It cannot be read, or has no place for the table.
    """
    try:
        page = path.read_text(encoding="utf-8")
        new = written(page, claims)
        if new != page:
            path.write_text(new, encoding="utf-8")
    except (OSError, UnicodeDecodeError, NoPlace) as error:
        raise NoPlace(f"{path}: {error}") from error
    return new != page
