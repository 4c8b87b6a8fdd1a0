"""The chain that audit records are kept in, and the walk that finds what was done to it.

Each link's hash covers the hash before it, so that nothing inside can be changed without it showing. A hash alone does not
stop somebody who writes the whole chain anew or cuts its tail: that is what *checkpoints* are for, statements of number
and hash, signed with a key that is not in the database and kept outside of it. The newest one, the *high-water mark*, is
written over again after commits.

What a newcomer gets wrong: the walk takes each link's stored hash as given when it goes on, so that one changed record is
one fault and not one million.

Source: no standard has one; reviewers ask for an append-only store, SHA-256 over the hash before and the record, signed
checkpoints outside, and the first broken record by its number.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from profiles.errors import MalformedMessage

GENESIS = sha256(b"radgate audit chain 1").digest()
"""The hash before the first link."""


class Kind(StrEnum):
    """What a link says. An intent is what would be true if nothing followed; its closings say what was."""

    RECORD = "record"
    INTENT = "intent"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One record in the chain. `number` counts from 1 without gaps; `hash` covers everything else and the link before.

    `origin` names the process that wrote it where several do, `intent` ties closings to what they answer.
    """

    number: int
    received_us: int  # microseconds since 1970, UTC
    xml: bytes
    kind: Kind = Kind.RECORD
    intent: str = ""
    exchange_id: str = ""
    origin: str = ""
    hash: bytes = b""


def hash_of(previous: bytes, link: Link) -> bytes:
    """SHA-256 over the hash before, number, time, length and bytes of the record, and what else the link says."""
    said = f"{link.kind}\0{link.intent}\0{link.exchange_id}\0{link.origin}".encode()
    head = b"%b%b%b%b" % (
        previous,
        link.number.to_bytes(8, "big"),
        link.received_us.to_bytes(8, "big", signed=True),
        len(link.xml).to_bytes(8, "big"),
    )
    return sha256(b"%b%b%b" % (head, link.xml, said)).digest()


def sealed(previous: bytes, link: Link) -> Link:
    """The link with its hash."""
    return replace(link, hash=hash_of(previous, link))


# --- checkpoints ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Up to `number`, the chain had `hash`. `serial` counts checkpoints from 1 without gaps; 0: the high-water mark."""

    serial: int
    number: int  # 0: the chain was empty
    hash: bytes
    at: datetime
    signature: bytes = b""

    def statement(self) -> bytes:
        """What is signed."""
        return (
            f"radgate audit checkpoint 1\n{self.serial}\n{self.number}\n{self.hash.hex()}\n{self.at.isoformat()}\n"
        ).encode()


def signed(key: Ed25519PrivateKey, checkpoint: Checkpoint) -> Checkpoint:
    """The checkpoint with its signature."""
    return replace(checkpoint, signature=key.sign(checkpoint.statement()))


def is_signed_by(key: Ed25519PublicKey, checkpoint: Checkpoint) -> bool:
    """Whether the key's owner made it."""
    try:
        key.verify(checkpoint.signature, checkpoint.statement())
    except InvalidSignature:
        return False
    return True


def key_id(key: Ed25519PublicKey) -> str:
    """A short name of a key, for people to compare: the first 16 hexadecimal digits of its SHA-256."""
    return sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def encode_checkpoint(checkpoint: Checkpoint, key: str) -> bytes:
    """One line of JSON; `key` is the id of the key that signed."""
    return (
        json.dumps(
            {
                "serial": checkpoint.serial,
                "number": checkpoint.number,
                "hash": checkpoint.hash.hex(),
                "at": checkpoint.at.isoformat(),
                "key": key,
                "signature": checkpoint.signature.hex(),
            }
        )
        + "\n"
    ).encode()


def decode_checkpoint(line: bytes) -> Checkpoint:
    """Read one line.

    Raises:
        MalformedMessage: Not a checkpoint.
    """
    try:
        told = json.loads(line)
        return Checkpoint(
            serial=int(told["serial"]),
            number=int(told["number"]),
            hash=bytes.fromhex(told["hash"]),
            at=datetime.fromisoformat(told["at"]),
            signature=bytes.fromhex(told["signature"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise MalformedMessage("not a checkpoint") from error


# --- the walk ---------------------------------------------------------------------------------------------------------


class FaultKind(StrEnum):
    """What can have been done to a chain."""

    CHANGED = "changed"
    DELETED = "deleted"
    SWAPPED = "swapped"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Fault:
    """Something that is wrong, from record `number` on; `text` is for a compliance officer."""

    number: int
    kind: FaultKind
    text: str


@dataclass(frozen=True, slots=True)
class _Suspect:
    """A link whose hash is not that of its content, with the stored hash of the link before it."""

    link: Link
    previous: bytes

    def fits(self, content: Link, hash_: bytes, previous: bytes | None = None) -> bool:
        """Whether this place's hash would be `hash_` if `content` stood here."""
        here = replace(content, number=self.link.number)
        return hash_of(self.previous if previous is None else previous, here) == hash_


_KEPT_SUSPECTS = 200  # a record is below 32 KiB; beyond these, faults are counted and not told one by one
_PAIRED_SUSPECTS = 64  # pairs grow with the square
_LONGEST_SHIFT = 16  # deleted records with the rest renumbered, tried at each break


class Walk:
    """Feed the links in the order of their numbers, then ask for the faults. Holds no more than the suspects."""

    def __init__(self, checkpoints: Iterable[Checkpoint]) -> None:
        """`checkpoints` are those whose signature is good, the high-water mark among them."""
        self._checkpoints = sorted(checkpoints, key=lambda each: (each.number, each.serial))
        self._ahead = list(reversed(self._checkpoints))  # the nearest at the end
        self._met: list[tuple[Checkpoint, bool]] = []  # and whether it fits
        self._number = 0
        self._hash = GENESIS
        self._shift = 0  # how many numbers the links are off since records were deleted and the rest renumbered
        self._suspects: list[_Suspect] = []
        self._uncounted = 0
        self._faults: list[Fault] = []
        self._explained: list[range] = []  # numbers at which a checkpoint cannot fit, for a reason that is told anyway
        self._meet()

    @property
    def number(self) -> int:
        """The last link's number."""
        return self._number

    def feed(self, link: Link) -> None:
        """The next link."""
        missing = link.number - self._number - 1
        true_number = link if not self._shift else replace(link, number=link.number + self._shift)
        if missing > 0:
            self._deleted(self._number + 1, missing)
        elif hash_of(self._hash, true_number) != link.hash:
            self._broken(link)
        self._number, self._hash = link.number, link.hash
        self._meet()

    def _deleted(self, first: int, count: int) -> None:
        told = f"record {first} was deleted" if count == 1 else f"records {first} to {first + count - 1} were deleted"
        self._faults.append(Fault(number=first, kind=FaultKind.DELETED, text=told))
        self._explained.append(range(first, first + count))

    def _broken(self, link: Link) -> None:
        """Look whether records were deleted and the rest renumbered; else suspect this one."""
        for further in range(1, _LONGEST_SHIFT + 1):
            shift = self._shift + further
            if hash_of(self._hash, replace(link, number=link.number + shift)) == link.hash:
                # the link before was the first one behind the hole: it fits no more than this one did
                if self._suspects and self._suspects[-1].link.number == link.number - 1:
                    self._suspects.pop()
                self._deleted(link.number - 1 + self._shift, further)
                self._explained.append(range(link.number - 1, link.number + shift))
                self._shift = shift
                return
        if len(self._suspects) < _KEPT_SUSPECTS:
            self._suspects.append(_Suspect(link, self._hash))
        else:
            self._uncounted += 1

    def _meet(self) -> None:
        """Compare with the checkpoints at this place."""
        place = self._number + self._shift
        while self._ahead and self._ahead[-1].number <= place:
            checkpoint = self._ahead.pop()
            self._met.append((checkpoint, checkpoint.number == place and checkpoint.hash == self._hash))

    def faults(self) -> tuple[Fault, ...]:
        """All that is wrong, by number; empty when nothing is."""
        found = list(self._faults)
        suspects = self._without_swapped(found)
        for suspect in suspects:
            number = suspect.link.number
            # either this one was changed, or the one before it and its hash with it
            self._explained.append(range(number - 1, number + 1))
            found.append(Fault(number=number, kind=FaultKind.CHANGED, text=f"record {number} is not as it was written"))
        if self._uncounted:
            behind = self._suspects[-1].link.number + 1
            self._explained.append(range(behind, self._number + 1))
            told = f"{self._uncounted} more records are not as they were written"
            found.append(Fault(number=behind, kind=FaultKind.CHANGED, text=told))
        self._truncated(found)
        self._rewritten(found)
        return tuple(sorted(found))

    def _without_swapped(self, found: list[Fault]) -> list[_Suspect]:
        """Take out the pairs that stand in each other's place, and those that only follow from them."""
        suspects = {suspect.link.number: suspect for suspect in self._suspects}
        for number, suspect in list(suspects.items()):
            follower = suspects.get(number + 1)
            true = hash_of(suspect.previous, suspect.link)
            if follower is not None and follower.fits(follower.link, follower.link.hash, true):
                del suspects[number + 1]  # only the stored hash before it was changed
        if len(suspects) > _PAIRED_SUSPECTS:
            return list(suspects.values())
        numbers = sorted(suspects)
        for first in numbers:
            for second in (number for number in numbers if number > first):
                one, other = suspects.get(first), suspects.get(second)
                if one is None or other is None:
                    continue
                if one.fits(other.link, one.link.hash) and other.fits(one.link, other.link.hash):
                    pass  # contents changed places, hashes stayed
                elif one.fits(other.link, other.link.hash) and other.fits(
                    one.link, one.link.hash, other.link.hash if second == first + 1 else None
                ):  # whole rows changed places: the links behind them saw a wrong hash before them
                    for behind, true in ((first + 1, other.link.hash), (second + 1, one.link.hash)):
                        follower = suspects.get(behind)
                        if follower is not None and follower.fits(follower.link, follower.link.hash, true):
                            del suspects[behind]
                else:
                    continue
                suspects.pop(first, None)
                suspects.pop(second, None)
                self._explained += [range(first, first + 1), range(second, second + 1)]
                found.append(
                    Fault(
                        number=first,
                        kind=FaultKind.SWAPPED,
                        text=f"records {first} and {second} stand in each other's place",
                    )
                )
        return list(suspects.values())

    def _truncated(self, found: list[Fault]) -> None:
        last = max((checkpoint.number for checkpoint in self._checkpoints), default=0)
        first = self._number + self._shift + 1
        if last < first:
            return
        told = (
            f"record {first} was cut off the end"
            if first == last
            else f"records {first} to {last} were cut off the end"
        )
        found.append(Fault(number=first, kind=FaultKind.TRUNCATED, text=told))

    def _rewritten(self, found: list[Fault]) -> None:
        """Checkpoints that do not fit, where nothing else explains it: what lies before them was written anew."""
        if not self._checkpoints and self._number:
            told = "nothing outside the database vouches for the chain: its checkpoints are gone"
            found.append(Fault(number=1, kind=FaultKind.REWRITTEN, text=told))
        fitting = 0  # the last record that a checkpoint vouches for
        unfit: list[Checkpoint] = []
        for checkpoint, fits in (*self._met, (None, True)):
            if checkpoint is None or fits:
                if unfit:
                    found.append(_written_anew(fitting + 1, unfit))
                    unfit = []
                fitting = checkpoint.number if checkpoint is not None else fitting
            elif not any(checkpoint.number in numbers for numbers in self._explained):
                unfit.append(checkpoint)


def _written_anew(first: int, unfit: Sequence[Checkpoint]) -> Fault:
    last = unfit[-1].number
    span = f"records {first} to {last} were" if last > first else f"record {last} was"
    return Fault(
        number=min(first, last) or 1,
        kind=FaultKind.REWRITTEN,
        text=f"{span} written anew: the checkpoint of {unfit[0].at:%Y-%m-%d %H:%M:%S} says something else",
    )


def walk(links: Iterable[Link], checkpoints: Sequence[Checkpoint]) -> tuple[Fault, ...]:
    """The faults of a whole chain."""
    walking = Walk(checkpoints)
    for link in links:
        walking.feed(link)
    return walking.faults()


def checked_checkpoints(
    lines: Sequence[bytes], key: Ed25519PublicKey, mark: bytes = b""
) -> tuple[list[Checkpoint], list[Fault]]:
    """The checkpoints that can be relied on, and what is wrong with the others.

    Args:
        lines: The lines of the checkpoint file; a last one that was cut short by a crash is passed over.
        key: Whose signatures count.
        mark: The high-water mark; empty: there is none.
    """
    good: list[Checkpoint] = []
    faults: list[Fault] = []
    serial = 0
    for place, line in enumerate(lines):
        try:
            checkpoint = decode_checkpoint(line)
        except MalformedMessage:
            if place < len(lines) - 1:
                faults.append(_checkpoint_fault(good, f"checkpoint {serial + 1} cannot be read"))
            continue
        if not is_signed_by(key, checkpoint):
            faults.append(_checkpoint_fault(good, f"checkpoint {checkpoint.serial} is not signed by this house"))
        elif checkpoint.serial != serial + 1:
            faults.append(_checkpoint_fault(good, f"checkpoint {serial + 1} is missing"))
            good.append(checkpoint)
        else:
            good.append(checkpoint)
        serial = checkpoint.serial
    if not mark.strip():
        return good, faults
    try:
        high = decode_checkpoint(mark)
    except MalformedMessage:  # written over in place: a power cut may have torn it
        return good, faults
    if is_signed_by(key, high):
        good.append(high)
    else:
        faults.append(_checkpoint_fault(good, "the high-water mark is not signed by this house"))
    return good, faults


def _checkpoint_fault(good: Sequence[Checkpoint], text: str) -> Fault:
    return Fault(number=(good[-1].number if good else 0) + 1, kind=FaultKind.REWRITTEN, text=text)
