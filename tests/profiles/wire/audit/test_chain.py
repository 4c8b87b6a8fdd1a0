"""Whatever is done to a chain is found, and named by kind and number."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles.errors import MalformedMessage
from profiles.wire.audit.chain import (
    GENESIS,
    Checkpoint,
    Fault,
    FaultKind,
    Link,
    Walk,
    checked_checkpoints,
    decode_checkpoint,
    encode_checkpoint,
    hash_of,
    is_signed_by,
    key_id,
    sealed,
    signed,
    walk,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
AT = datetime(2026, 2, 1, 12, tzinfo=UTC)


def chain_of(length: int, salt: bytes = b"") -> list[Link]:
    links: list[Link] = []
    previous = GENESIS
    for number in range(1, length + 1):
        link = sealed(
            previous, Link(number=number, received_us=number * 1000, xml=b"<a/>" + salt + bytes([number % 256]))
        )
        links.append(link)
        previous = link.hash
    return links


def checkpoints_of(links: Sequence[Link], *numbers: int) -> list[Checkpoint]:
    hashes = {0: GENESIS, **{link.number: link.hash for link in links}}
    return [
        signed(KEY, Checkpoint(serial=serial, number=number, hash=hashes[number], at=AT))
        for serial, number in enumerate(numbers, 1)
    ]


def mark_of(links: Sequence[Link]) -> Checkpoint:
    last = links[-1]
    return signed(KEY, Checkpoint(serial=0, number=last.number, hash=last.hash, at=AT))


def kinds(faults: Sequence[Fault]) -> list[tuple[int, str]]:
    return [(fault.number, fault.kind.value) for fault in faults]


GOOD = chain_of(40)
CHECKPOINTS = [*checkpoints_of(GOOD, 0, 10, 20, 30, 40), mark_of(GOOD)]


def test_a_chain_that_nobody_touched_has_no_faults() -> None:
    assert walk(GOOD, CHECKPOINTS) == ()


def test_a_chain_goes_on_behind_its_last_checkpoint() -> None:
    assert walk(chain_of(45), CHECKPOINTS) == ()


@pytest.mark.parametrize(
    "changed",
    [
        lambda link: replace(link, xml=link.xml[:-1] + bytes([link.xml[-1] ^ 1])),
        lambda link: replace(link, received_us=link.received_us + 1),
        lambda link: replace(link, exchange_id="other"),
        lambda link: replace(link, intent="other"),
        lambda link: replace(link, origin="other"),
        lambda link: replace(link, kind="intent"),
    ],
)
@pytest.mark.parametrize("number", [1, 10, 17, 40])
def test_whatever_of_a_record_is_changed_is_found(number: int, changed) -> None:  # type: ignore[no-untyped-def]
    links = [changed(link) if link.number == number else link for link in GOOD]
    assert kinds(walk(links, CHECKPOINTS)) == [(number, "changed")]


def test_a_changed_record_with_its_own_hash_made_anew_is_found_beside_it() -> None:
    links = list(GOOD)
    links[16] = sealed(links[15].hash, replace(links[16], xml=b"<b/>"))
    assert kinds(walk(links, CHECKPOINTS)) == [(18, "changed")]


def test_the_last_record_with_its_own_hash_made_anew_is_found_by_the_mark() -> None:
    links = list(GOOD)
    links[39] = sealed(links[38].hash, replace(links[39], xml=b"<b/>"))
    assert kinds(walk(links, CHECKPOINTS)) == [(31, "rewritten")]


@pytest.mark.parametrize("number", [1, 10, 17, 39])
def test_a_deleted_record_is_found(number: int) -> None:
    links = [link for link in GOOD if link.number != number]
    assert kinds(walk(links, CHECKPOINTS)) == [(number, "deleted")]


@pytest.mark.parametrize("number", [1, 10, 17, 38])
def test_a_deleted_record_is_found_though_the_rest_was_renumbered(number: int) -> None:
    links = [replace(link, number=link.number - (link.number > number)) for link in GOOD if link.number != number]
    assert kinds(walk(links, CHECKPOINTS)) == [(number, "deleted")]


def test_several_deleted_records_are_one_fault_with_their_span() -> None:
    links = [link for link in GOOD if not 12 <= link.number <= 25]
    (fault,) = walk(links, CHECKPOINTS)
    assert (fault.number, fault.kind, fault.text) == (12, FaultKind.DELETED, "records 12 to 25 were deleted")


@pytest.mark.parametrize(("one", "other"), [(3, 4), (9, 10), (1, 2), (5, 20), (39, 40), (1, 40), (7, 9)])
def test_two_records_that_changed_places_are_found(one: int, other: int) -> None:
    links = list(GOOD)
    links[one - 1], links[other - 1] = (
        replace(GOOD[other - 1], number=one),
        replace(GOOD[one - 1], number=other),
    )
    (fault,) = walk(links, CHECKPOINTS)
    assert (fault.number, fault.kind) == (one, FaultKind.SWAPPED)
    assert str(other) in fault.text


@pytest.mark.parametrize(("one", "other"), [(3, 4), (9, 10), (5, 20), (1, 40)])
def test_two_contents_that_changed_places_below_their_hashes_are_found(one: int, other: int) -> None:
    links = list(GOOD)
    links[one - 1] = replace(GOOD[other - 1], number=one, hash=GOOD[one - 1].hash)
    links[other - 1] = replace(GOOD[one - 1], number=other, hash=GOOD[other - 1].hash)
    (fault,) = walk(links, CHECKPOINTS)
    assert (fault.number, fault.kind) == (one, FaultKind.SWAPPED)


@pytest.mark.parametrize("kept", [0, 10, 17, 39])
def test_a_tail_that_was_cut_is_found(kept: int) -> None:
    (fault,) = walk(GOOD[:kept], CHECKPOINTS)
    assert (fault.number, fault.kind) == (kept + 1, FaultKind.TRUNCATED)
    assert "40" in fault.text


def test_a_chain_that_was_written_anew_is_found() -> None:
    (fault,) = walk(chain_of(40, salt=b"x"), CHECKPOINTS)
    assert (fault.number, fault.kind) == (1, FaultKind.REWRITTEN)
    assert "1 to 40" in fault.text


def test_a_chain_that_was_written_anew_from_some_record_on_is_found_between_its_checkpoints() -> None:
    links = GOOD[:14]
    for link in GOOD[14:]:
        links.append(sealed(links[-1].hash, replace(link, xml=b"<b/>" if link.number == 15 else link.xml)))
    (fault,) = walk(links, CHECKPOINTS)
    assert (fault.number, fault.kind) == (11, FaultKind.REWRITTEN)


def test_what_was_written_anew_stays_found_when_the_house_went_on_behind_it() -> None:
    links = chain_of(60, salt=b"x")
    later = signed(KEY, Checkpoint(serial=6, number=60, hash=links[-1].hash, at=AT))
    assert kinds(walk(links, [*CHECKPOINTS, later])) == [(1, "rewritten")]


def test_a_chain_without_any_checkpoint_is_not_vouched_for() -> None:
    assert kinds(walk(GOOD, [])) == [(1, "rewritten")]
    assert walk([], []) == ()


def test_two_attacks_are_two_faults() -> None:
    links = [replace(link, xml=b"<b/>") if link.number == 5 else link for link in GOOD if link.number != 33]
    assert kinds(walk(links, CHECKPOINTS)) == [(5, "changed"), (33, "deleted")]


def test_a_thousand_changed_records_are_counted_not_kept() -> None:
    links = [replace(link, xml=b"<b/>") for link in chain_of(1000)]
    faults = walk(links, checkpoints_of(chain_of(1000), 1000))
    assert len(faults) == 201
    assert faults[-1].text == "800 more records are not as they were written"


@settings(max_examples=150)
@given(st.integers(2, 30), st.integers(0, 2**32), st.data())
def test_no_change_of_any_kind_goes_unseen(length: int, seed: int, data: st.DataObject) -> None:
    good = chain_of(length)
    dice = random.Random(seed)
    checkpoints = [
        *checkpoints_of(good, 0, *sorted(dice.sample(range(1, length + 1), dice.randint(0, min(3, length))))),
        mark_of(good),
    ]
    links = list(good)
    attack = data.draw(st.sampled_from(["change", "delete", "swap", "cut", "rewrite"]))
    place = data.draw(st.integers(0, length - 1))
    if attack == "change":
        links[place] = replace(links[place], xml=links[place].xml + b"!")
    elif attack == "delete":
        del links[place]
    elif attack == "swap":
        other = (place + data.draw(st.integers(1, length - 1))) % length
        links[place], links[other] = replace(links[other], number=place + 1), replace(links[place], number=other + 1)
    elif attack == "cut":
        links = links[:place]
    else:
        links = links[:place]
        for number in range(place + 1, length + 1):
            previous = links[-1].hash if links else GENESIS
            links.append(sealed(previous, Link(number=number, received_us=0, xml=b"forged")))
    faults = walk(links, checkpoints)
    assert faults
    if attack in {"change", "delete"} and not (attack == "delete" and place == length - 1):
        assert faults[0].number == place + 1
    if attack == "cut":
        assert kinds(faults) == [(place + 1, "truncated")]
    if attack == "rewrite":
        assert {fault.kind for fault in faults} == {FaultKind.REWRITTEN}
        assert faults[0].number <= place + 1


def test_a_walk_can_be_fed_piece_by_piece() -> None:
    walking = Walk(CHECKPOINTS)
    for link in GOOD:
        walking.feed(link)
    assert (walking.number, walking.faults()) == (40, ())


# --- hashes, signatures and the file ----------------------------------------------------------------------------------


def test_a_hash_is_this_one() -> None:
    """Golden: a chain that is on disk must still verify with tomorrow's program."""
    link = Link(number=7, received_us=1_767_225_600_000_000, xml=b"<AuditMessage/>", intent="i", exchange_id="e")
    assert hash_of(GENESIS, link).hex() == ("8471ec0733c44637a1af9c7cd35b0c4313b1d0171faf4639a4b9f7fe06562b11")


def test_a_checkpoint_reads_back_and_its_signature_holds() -> None:
    checkpoint = CHECKPOINTS[2]
    read = decode_checkpoint(encode_checkpoint(checkpoint, key_id(KEY.public_key())))
    assert read == checkpoint
    assert is_signed_by(KEY.public_key(), read)
    assert not is_signed_by(OTHER_KEY.public_key(), read)
    assert not is_signed_by(KEY.public_key(), replace(read, number=21))


@pytest.mark.parametrize(
    "line", [b"", b"{}", b"[]", b'{"serial": "x"}', b"\xff", b'{"serial":1,"number":1,"hash":"zz"}']
)
def test_what_is_no_checkpoint_is_refused(line: bytes) -> None:
    with pytest.raises(MalformedMessage):
        decode_checkpoint(line)


def lines_of(checkpoints: Sequence[Checkpoint]) -> list[bytes]:
    return [encode_checkpoint(checkpoint, "k") for checkpoint in checkpoints]


def test_checkpoints_are_good_or_their_faults_are_told() -> None:
    public = KEY.public_key()
    lines = lines_of(CHECKPOINTS[:5])
    assert checked_checkpoints(lines, public, lines_of(CHECKPOINTS[5:])[0]) == (CHECKPOINTS, [])
    torn = [*lines, lines[0][:20]]
    assert checked_checkpoints(torn, public, b"{torn") == (CHECKPOINTS[:5], [])
    forged = signed(OTHER_KEY, replace(CHECKPOINTS[4], hash=GENESIS))
    for damaged, told in (
        ([lines[0], lines[2], lines[3], lines[4]], "checkpoint 2 is missing"),
        ([lines[0], b"garbage", *lines[2:]], "checkpoint 2 cannot be read"),
        ([*lines[:4], *lines_of([forged])], "checkpoint 5 is not signed by this house"),
    ):
        _, faults = checked_checkpoints(damaged, public)
        assert told in [fault.text for fault in faults]
    _, faults = checked_checkpoints(lines, public, lines_of([signed(OTHER_KEY, CHECKPOINTS[5])])[0])
    assert [fault.text for fault in faults] == ["the high-water mark is not signed by this house"]
