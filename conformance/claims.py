"""What we say of radgate: `claims.toml`, read and held to the catalogue.

A pair is one end of a transaction: (actor, transaction id). Every pair of the catalogue is done and claimed, done and
unproved, or exempt; so nothing is left out of a statement by being forgotten. What a newcomer gets wrong: a *system's*
claims (`system.claims_of`) are the first of the three tables alone, for of somebody else's product we know no more.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from conformance.system import BadDescription, claims_of
from profiles.catalogue import PROFILES, TRANSACTIONS
from profiles.transaction import Actor

CLAIMS = Path(__file__).parent / "claims.toml"

Pair = tuple[Actor, str]


class Standing(StrEnum):
    """What is said of one end of a transaction; each is the name of its table."""

    CLAIMED = "claims"  # done, and cases judge it
    UNPROVED = "unproved"  # done, and no case judges it yet
    EXEMPT = "exempt"  # not done

    @property
    def done(self) -> bool:
        """Whether radgate does it."""
        return self is not Standing.EXEMPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One end of one transaction; `why` no case judges it, or it is not done: "" only where it is claimed."""

    actor: Actor
    transaction: str
    standing: Standing
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An option of an actor in a profile, as the Framework names it; `cases` prove it, 0..n."""

    profile: str
    actor: Actor
    name: str
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What the front page adds to a transaction, in Markdown: who else judges it, and what qualifies an end of it."""

    judges: str
    answers: str = ""
    asks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Everything that is said: `by_pair` of both ends of every transaction, `notes` of each, as the catalogue has them."""

    by_pair: Mapping[Pair, Claim]
    options: tuple[Option, ...]
    notes: Mapping[str, Note]


def pairs() -> tuple[Pair, ...]:
    """Both ends of every transaction, the one that is asked first; an end that is one actor stands once."""
    return tuple(
        dict.fromkeys(
            (actor, transaction.id)
            for transaction in TRANSACTIONS
            for actor in (transaction.responder, transaction.initiator)
        )
    )


def read_claims(path: Path = CLAIMS) -> Claims:
    """Read what is claimed.

    Raises:
        BadDescription: It cannot be read; a pair is of no transaction, stands nowhere or twice, or has no reason; an option
            is of no profile or actor; a transaction has no note, or a note no transaction.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadDescription(f"{path} cannot be read: {error}") from error
    extra = told.keys() - {*Standing, "option", "note"}
    if extra:
        raise BadDescription(f"{path}: nothing is called {min(extra)}")
    found: dict[Pair, Claim] = {}
    for claim in _claims(told, path):
        pair = (claim.actor, claim.transaction)
        if pair in found:
            raise BadDescription(
                f"{path}: {claim.actor} {claim.transaction} stands in [{found[pair].standing}] and [{claim.standing}]: "
                "take it out of one"
            )
        found[pair] = claim
    known = pairs()
    for actor, id in found.keys() - set(known):
        raise BadDescription(f"{path}: {actor} has no part in {id}")
    for actor, id in known:
        if (actor, id) not in found:
            raise BadDescription(f"{path}: {actor} {id} stands nowhere: claim it, or say why not")
    options = tuple(_option(each, path) for each in told.get("option", ()))
    return Claims(by_pair={pair: found[pair] for pair in known}, options=options, notes=_notes(told, path))


def _claims(told: Mapping[str, Any], path: Path) -> Iterator[Claim]:
    for actor, id in sorted(claims_of(told.get(Standing.CLAIMED, {}), path)):
        yield Claim(actor=actor, transaction=id, standing=Standing.CLAIMED)
    for standing in (Standing.UNPROVED, Standing.EXEMPT):
        table = told.get(standing, {})
        for actor, id in sorted(claims_of(table, path)):  # a table of reasons is read as its keys
            why = table[actor][id]
            if not isinstance(why, str) or not why.strip():
                raise BadDescription(f"{path}: [{standing}] {actor} {id} gives no reason")
            yield Claim(actor=actor, transaction=id, standing=standing, why=why)


def _notes(told: Mapping[str, Any], path: Path) -> Mapping[str, Note]:
    notes = told.get("note", {})
    ids = tuple(each.id for each in TRANSACTIONS)
    for id in notes.keys() - set(ids):
        raise BadDescription(f"{path}: [note] {id} is no transaction")
    found = {}
    for id in ids:
        note = notes.get(id, {})
        if not note.get("judges"):
            raise BadDescription(f"{path}: [note] {id} names nobody else who judges it")
        if extra := note.keys() - {"judges", "answers", "asks"}:
            raise BadDescription(f"{path}: [note] {id}: nothing is called {min(extra)}")
        found[id] = Note(**note)
    return found


def _option(told: Mapping[str, Any], path: Path) -> Option:
    try:
        option = Option(
            profile=told["profile"], actor=Actor(told["actor"]), name=told["name"], cases=tuple(told["cases"])
        )  # fmt: skip
    except (KeyError, ValueError) as error:
        raise BadDescription(f"{path}: [[option]] {told.get('name', '')}: {error}") from error
    if option.profile not in PROFILES:
        raise BadDescription(f"{path}: [[option]] no profile is called {option.profile!r}")
    return option
