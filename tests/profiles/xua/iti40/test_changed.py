"""Whatever is done to a signed message: what is believed is what was signed, to the last attribute, or it is refused.

Elements go, double, move and change places across the whole envelope, attributes and texts change, IDs are given away,
pieces of another person's assertion are put in. And what a trusted issuer itself signs may be anything: it is read or
refused in words. Two thousand of each, forty times as many with RADGATE_SOAK=1; RADGATE_SEED repeats a run.
"""

from collections import Counter
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest
from lxml import etree

from profiles.errors import ExchangeError, MalformedMessage, Unauthenticated
from profiles.wire.signature import signed
from profiles.wire.soap.envelope import envelope_header
from profiles.wire.soap.fault import NAMED
from profiles.wire.soap.security import ASSERTION, secured
from profiles.wire.xml import parse
from profiles.xua.iti40 import Circumstances, Subject, TrustedIssuer, encode_assertion, verify
from tests.support.assertions import AUDIENCE, ISSUER, asked, good_assertion, security, signed_assertion
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.chance import SOAK, seed

NOW = datetime.now(UTC).replace(microsecond=0)
WHERE = Circumstances(now=NOW, audiences=frozenset({AUDIENCE}))
SEED = int(seed())
MANY = 80_000 if SOAK else 2_000
TEXTS = (
    "",
    " ",
    "x",
    "x" * 5000,
    "mallory",
    "2026-13-01T00:00:00Z",
    "<a/>",
    "<!DOCTYPE a>",
    "\t\n",
    "#_4f1a",
    "_4f1a",
    "-1",
    "é",
)


@pytest.fixture(scope="module")
def idp(tmp_path_factory: pytest.TempPathFactory) -> MadeCertificate:
    return make_certificate(tmp_path_factory.mktemp("idp"), "idp")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> MadeCertificate:
    return make_certificate(tmp_path_factory.mktemp("stranger"), "stranger")


def trusting(made: MadeCertificate) -> dict[str, TrustedIssuer]:
    return {ISSUER: TrustedIssuer(entity_id=ISSUER, certificates=(made.made,))}


def elements(root: etree._Element) -> list[etree._Element]:
    return [each for each in root.iter(etree.Element) if each is not root]


def change(root: etree._Element, chance: Random, others: list[etree._Element]) -> None:
    """One thing that an attacker can do to a tree."""
    all_of_them = elements(root)
    if not all_of_them:
        return
    one, other = chance.choice(all_of_them), chance.choice([*all_of_them, root])
    parent = one.getparent()
    match chance.randrange(10):
        case 0 if parent is not None:
            parent.remove(one)
        case 1 if parent is not None:
            parent.insert(chance.randrange(len(parent) + 1), deepcopy(one))
        case 2 if one not in other.iterancestors() and one is not other:
            other.insert(chance.randrange(len(other) + 1), one)
        case 3:
            other.insert(chance.randrange(len(other) + 1), deepcopy(one))
        case 4:
            one.text = chance.choice(TEXTS)
        case 5 if one.attrib:
            one.set(chance.choice([*map(str, one.attrib)]), chance.choice(TEXTS))
        case 6:
            one.set(chance.choice(("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id")), "_4f1a")
        case 7 if parent is not None:
            parent.replace(one, deepcopy(chance.choice(others)))
        case 8:
            other.insert(chance.randrange(len(other) + 1), deepcopy(chance.choice(others)))
        case _:
            one.tag = other.tag


def test_what_is_believed_of_a_changed_message_is_what_was_signed(
    idp: MadeCertificate, stranger: MadeCertificate
) -> None:
    print(f"seed {SEED}")
    chance, tally = Random(SEED), Counter[str]()
    good = good_assertion(NOW)
    envelope = asked(security(signed_assertion(idp, NOW)))
    evil = signed_assertion(stranger, NOW, id="_evil", subject=Subject(name_id="mallory"))
    unsigned = encode_assertion(good_assertion(NOW, subject=Subject(name_id="mallory")))
    others = [each for document in (evil, unsigned) for each in [parse(document), *elements(parse(document))]]
    for _ in range(MANY):
        root = parse(envelope)
        for _ in range(chance.randint(1, 3)):
            change(root, chance, others)
        try:
            found = secured(envelope_header(parse(etree.tostring(root))))
            if found is None:
                tally["no header"] += 1
                continue
            read = verify(found.assertion, trusting(idp), WHERE, expires=found.expires)
        except (Unauthenticated, MalformedMessage) as refusal:
            assert "mallory" not in refusal.detail and "drbob" not in refusal.detail
            tally[refusal.code or "malformed"] += 1
            continue
        except ExchangeError as refusal:  # the envelope is none any more
            tally[type(refusal).__name__] += 1
            continue
        assert read.value == good, etree.tostring(root)
        tally["believed"] += 1
    print(tally.most_common())
    assert tally["believed"] and tally["wsse:FailedCheck"] and tally["wsse:InvalidSecurity"]


def test_the_signed_assertion_alone_is_believed_whatever_was_changed_around_its_reading(idp: MadeCertificate) -> None:
    """The same without the header's rules: the verifier by itself, on every assertion of the envelope."""
    chance, tally = Random(SEED + 1), Counter[bool]()
    good = good_assertion(NOW)
    document = signed_assertion(idp, NOW)
    others = [parse(encode_assertion(good_assertion(NOW, id="_evil", subject=Subject(name_id="mallory"))))]
    others += elements(others[0])
    for _ in range(MANY):
        root = parse(asked(security(document)))
        for _ in range(chance.randint(1, 3)):
            change(root, chance, others)
        for each in root.iter(ASSERTION):
            try:
                read = verify(etree.tostring(each, with_tail=False), trusting(idp), WHERE)
            except Unauthenticated:
                tally[False] += 1
                continue
            tally[True] += 1
            assert read.value == good, etree.tostring(root)
    assert tally[True] and tally[False]


def test_whatever_an_issuer_signs_is_read_or_refused_in_words(idp: MadeCertificate) -> None:
    chance, tally = Random(SEED + 2), Counter[str]()
    document = encode_assertion(good_assertion(NOW))
    for _ in range(MANY):
        root = parse(document)
        for _ in range(chance.randint(1, 3)):
            change(root, chance, elements(parse(document)))
        for each in elements(root):
            each.attrib.pop("ID", None)  # one that is given twice cannot be signed
        root.set("ID", "_4f1a")
        try:
            made = signed(etree.tostring(root), idp.private, idp.made)
        except MalformedMessage:  # an xml:id that is no name: nobody signs that
            continue
        try:
            verify(made, trusting(idp), WHERE)
            tally["believed"] += 1
        except Unauthenticated as refusal:
            assert refusal.code in NAMED, refusal.code
            tally[refusal.code] += 1
    print(tally.most_common())
    assert tally["believed"] and tally["wsse:InvalidSecurityToken"]


def test_a_changed_byte_is_refused(idp: MadeCertificate, tmp_path: Path) -> None:
    """Every tenth byte of a signed assertion that is not KeyInfo's: nothing is read otherwise than it was signed."""
    document = signed_assertion(idp, NOW)
    good, start, end = good_assertion(NOW), document.index(b"<ds:KeyInfo"), document.index(b"</ds:KeyInfo>")
    refused = 0
    for place in [*range(0, start, 10), *range(end, len(document), 10)]:
        changed = document[:place] + bytes([document[place] ^ 1]) + document[place + 1 :]
        try:
            assert verify(changed, trusting(idp), WHERE).value == good
        except Unauthenticated:
            refused += 1
    assert refused > 200
