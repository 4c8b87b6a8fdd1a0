"""Bodies of every wire, broken on purpose where their structure is: read, or refused in words; nothing else comes out.

A body begins as a message of ours. Elements, fields, parts and parameters go, double, change places or get another value,
and some bodies are damaged byte by byte besides. Most of them reach the codec that way: bodies that fall at the first angle
bracket prove the parser, and nothing of ours. The share that got there is printed, with the seed; RADGATE_SEED repeats a
run. Fifty thousand bodies, a million with RADGATE_SOAK=1. None takes long, and all of them together leave nothing behind.
"""

import asyncio
import gc
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from lxml import etree

from conformance.samples import sample_patient, write_ct_study
from profiles.catalogue import TRANSACTIONS, by_soap_action, by_trigger_event
from profiles.errors import ExchangeError, HouseError, MalformedMessage, RequestError
from profiles.model.codes import MANIFEST_TITLE
from profiles.model.content import Poured
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.imaging import Manifest
from profiles.model.moment import Moment
from profiles.pix.iti8 import ITI_8, FeedEvent
from profiles.pix.iti30 import ITI_30
from profiles.swf.oru_r01 import ORU_R01
from profiles.transaction import Hl7Transaction, HttpTransaction, SoapTransaction
from profiles.wia.rad108 import RAD_108
from profiles.wire.audit.message import encode as encode_record
from profiles.wire.audit.read import decode as read_record
from profiles.wire.cda import read_report
from profiles.wire.dicom.kos import decode_kos, encode_kos
from profiles.wire.dicom.part10 import read_head
from profiles.wire.hl7v2.adt import JOINS
from profiles.wire.hl7v2.message import header_of
from profiles.wire.http import HttpIn
from profiles.wire.multipart import parts_of
from profiles.wire.soap.envelope import check_header, encode_envelope, envelope_header
from profiles.wire.soap.fault import encode_fault
from profiles.wire.soap.mtom import SoapLimits, pack, read_message
from profiles.wire.soap.names import WSSE
from profiles.wire.soap.security import secured
from profiles.wire.xml import parse
from profiles.xua.iti40.codec import claimed, decode_assertion, encode_assertion, issuer_of
from tests.profiles.pdqv3 import messages as pdqv3
from tests.profiles.pixv3 import messages as pixv3
from tests.profiles.swf.oru_r01.announced import AVAILABLE
from tests.profiles.wire.audit.records import KINDS as RECORDS
from tests.profiles.xcpd import messages as xcpd
from tests.profiles.xds import messages as xds
from tests.support.assertions import good_assertion
from tests.support.chance import SOAK, seed
from tests.support.ebxml import poured
from tests.support.hl7 import feed, person, sent
from tests.support.memory import high_water
from tests.support.registered import NOW, instance, series, study
from tests.support.soap import Sinks, envelope

REQUESTS = {**xds.REQUESTS, **pixv3.REQUESTS, **pdqv3.REQUESTS, **xcpd.REQUESTS}
RESPONSES = {**xds.RESPONSES, **pixv3.RESPONSES, **pdqv3.RESPONSES, **xcpd.RESPONSES}
BODIES = 1_000_000 if SOAK else 50_000
LEAST_SHARE = 0.3
MOST_S = 2.0  # of the processor's time for one body: milliseconds are usual
MOST_GROWTH_BYTES = 64 * 1024 * 1024  # once it is warm
VALUES = (
    "", " ", "\t\n", "x", "x" * 300, "'", "('", "')", "('a','b')", '"', "%", "_", "&", "<", "\\", "\\X0D\\", '""',
    "^^^&&ISO", "a^b^c^&1.2.3&ISO", "urn:oid:", "urn:oid:1.2", "urn:uuid:0", "1.2..3", "-1", "0", "1e9", "9" * 40,
    "٣" * 8, "2026-13-45", "20261301", "20260230", "ge2026", "\ufffd", "Ünïcödé", "山田^太郎", "|", "||", "~", "a\\b", "*",
    "?", "**", "../..", "%00", "\u2028",
)  # fmt: skip
"""What stands where something else is expected."""


@dataclass
class Tally:
    """How far they came."""

    bodies: int = 0
    reached: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    said: set[str] = field(default_factory=set)
    grown_bytes: int = 0

    def __str__(self) -> str:
        most = ", ".join(f"{name} {count}" for name, count in self.refused.most_common(5))
        share, grown = self.reached / self.bodies, self.grown_bytes / 1024 / 1024
        return f"{self.bodies} bodies, {share:.0%} reached the codec; grew {grown:.1f} MiB; refused: {most or 'none'}"


class Reached:
    """Set by a wire when the transaction's own codec begins."""

    def __init__(self) -> None:
        self.codec = False
        self.said = ""  # of which transaction the body was made, where a wire has several


def damaged(body: bytes, chance: Random, most: int = 4) -> bytes:
    """The same with some bytes changed, gone, doubled or put in."""
    broken = bytearray(body)
    for _ in range(chance.randint(1, most)):
        if not broken:
            break
        place, length = chance.randrange(len(broken)), chance.randint(1, 24)
        match chance.randrange(5):
            case 0:
                broken[place] = chance.randrange(256)
            case 1:
                broken[place : place + length] = b""
            case 2:
                broken[place:place] = chance.randbytes(length)
            case 3:
                broken[place:place] = broken[place : place + length]
            case _:
                del broken[place : place + 1]
    return bytes(broken)


async def cut(body: bytes, chance: Random) -> AsyncIterator[bytes]:
    """In one to four chunks."""
    places = sorted(chance.randrange(len(body) + 1) for _ in range(chance.randint(0, 3)))
    for start, end in zip([0, *places], [*places, len(body)], strict=True):
        yield body[start:end]


def rearranged(items: list[Any], chance: Random, value: Callable[[Any], Any]) -> None:
    """One of them gone, doubled, moved, or with another value."""
    if not items:
        return
    place = chance.randrange(len(items))
    match chance.randrange(6):
        case 0:
            del items[place]
        case 1:
            items.insert(chance.randrange(len(items)), items[place])
        case 2:
            other = chance.randrange(len(items))
            items[place], items[other] = items[other], items[place]
        case _:
            items[place] = value(items[place])


# --- SOAP -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Packed:
    """A message of ours: what stands before the envelope, the envelope, what stands behind it."""

    transaction: SoapTransaction[Any, Any]
    content_type: str
    before: bytes
    envelope: etree._Element
    behind: bytes


async def packed(transaction: SoapTransaction[Any, Any], message: Any, *, answer: bool) -> Packed:
    out = transaction.encode_response(message) if answer else transaction.encode_request(message)
    action = transaction.response_action if answer else transaction.request_action
    envelope = b"".join(encode_envelope(out.body, action=action, message_id="urn:uuid:1", reply_to=not answer))
    if answer:  # its documents are a pour, which is dried up; the reader asks for as many as the body names
        out = type(out)(body=out.body)
    whole = pack(transaction.packaging, iter([envelope]), out, unique="0123456789")
    body = b"".join([chunk async for chunk in whole.chunks])
    before, _, behind = body.partition(envelope)
    return Packed(transaction, whole.content_type, before, etree.fromstring(envelope), behind)


def broken_tree(root: etree._Element, chance: Random) -> bytes:
    """An envelope whose elements are not as they were."""
    root = deepcopy(root)
    for _ in range(chance.randint(1, 3)):
        elements = list(root.iter())
        # Mostly of the body: a header that cannot be read keeps the body from being looked at.
        target = chance.choice(elements[-max(1, len(elements) - 6) :] if chance.random() < 0.9 else elements)
        parent = target.getparent()
        match chance.randrange(9):
            case 0 if parent is not None:
                parent.remove(target)
            case 1 if parent is not None:
                parent.insert(chance.randrange(len(parent)), deepcopy(target))
            case 2:
                target[:] = chance.sample(list(target), len(target))
            case 3:
                target.text = None
                del target[:]
            case 4 if target.attrib:
                del target.attrib[chance.choice(list(target.attrib))]
            case 5 | 6 if target.attrib:
                target.set(chance.choice(list(target.attrib)), chance.choice(VALUES))
            case 7 if parent is not None:
                host = chance.choice(elements)
                if host is not target and target not in host.iterancestors():
                    host.append(target)
            case _:
                target.text = chance.choice(VALUES)
    return etree.tostring(root)


SOAP_LIMITS = SoapLimits(root_bytes=1024 * 1024, spooled_bytes=1024 * 1024)


class Soap:
    """Requests as our listener takes them; answers as our client does."""

    def __init__(self) -> None:
        self.requests: list[Packed] = []
        self.answers: list[Packed] = []

    async def begin(self) -> None:
        self.requests = [await packed(of, message, answer=False) for of, message in REQUESTS.values()]
        self.answers = [await packed(of, message, answer=True) for of, message in RESPONSES.values()]

    def body(self, chance: Random) -> tuple[bool, Packed, bytes]:
        is_answer = chance.random() < 0.2
        message = chance.choice(self.answers if is_answer else self.requests)
        body = message.before + broken_tree(message.envelope, chance) + message.behind
        return is_answer, message, damaged(body, chance) if chance.random() < 0.2 else body

    async def feed(self, chance: Random, reached: Reached) -> None:
        is_answer, message, body = self.body(chance)
        transaction = message.transaction
        try:
            read = await read_message(
                cut(body, chance), message.content_type, limits=SOAP_LIMITS, new_sink=Sinks(), as_pour=is_answer
            )
            reached.said = transaction.id
            if is_answer:
                reached.codec = True
                answer = transaction.decode_response(read.to_codec())
                if isinstance(answer.value, Poured):
                    await poured(answer.value.pour)
                return
            check_header(read.header, read.addressing)
        except ExchangeError as error:
            encode_fault(error, message_id="urn:uuid:2", relates_to="", exchange_id="x")
            raise
        asked = by_soap_action(read.addressing.action)
        if not asked or read.body_name != asked[0].request_element:
            return
        reached.codec = True
        await self.ask(asked[0], read.to_codec())

    async def ask(self, transaction: SoapTransaction[Any, Any], message: Any) -> None:
        try:
            decoded = transaction.decode_request(message)
            found = [each for check in transaction.checks for each in check(decoded.value)]
        except ExchangeError as error:
            etree.fromstring(b"".join(transaction.encode_response(transaction.refuse(error)).body))
            raise
        assert all(each.rule and each.text for each in (*decoded.findings, *found))
        etree.fromstring(b"".join(transaction.encode_request(decoded.value).body))


# --- HL7 v2 -----------------------------------------------------------------------------------------------------------


class Hl7:
    """Feeds, routed by MSH as the listener does, and their acknowledgements."""

    def __init__(self) -> None:
        merged = (PatientIdentifier(value="0815", authority=Oid("1.2.3.4")),)
        self.messages: list[bytes] = []
        for transaction in (ITI_8, ITI_30):
            for _, event in transaction.triggers:
                request = feed(FeedEvent(event), person())
                if event in JOINS:
                    request = type(request)(event=request.event, patient=request.patient, subsumed_identifiers=merged)
                self.messages.append(transaction.encode_request(request, sent()))
        self.messages.append(ORU_R01.encode_request(AVAILABLE, sent()))
        refusal = MalformedMessage("the name has no end", location="PID-5")
        self.answers = [
            transaction.refuse(refusal, message, sent("A1"))
            for transaction, message in (
                (ITI_8, self.messages[0]),
                (ITI_30, self.messages[-2]),
                (ORU_R01, self.messages[-1]),
            )
        ]

    async def begin(self) -> None:
        """All is there."""

    def body(self, chance: Random, messages: list[bytes]) -> bytes:
        segments = [each.split("|") for each in chance.choice(messages).decode().split("\r") if each]
        for _ in range(chance.randint(1, 4)):
            if chance.random() < 0.15:
                first, rest = segments[:1], segments[1:]
                rearranged(
                    rest, chance, lambda _: [chance.choice(("ZZZ", "PID", "MRG", "", "PI")), chance.choice(VALUES)]
                )
                segments = first + rest
                continue
            segment = chance.choice(segments if chance.random() < 0.15 else segments[1:] or segments)
            places = [number for number, text in enumerate(segment) if text and number] or [0]
            place = chance.choice(places)
            for separator in chance.choice((("^",), ("~",), ("^", "&"), ())):
                pieces = segment[place].split(separator)
                rearranged(pieces, chance, lambda _: chance.choice(VALUES))
                segment[place] = separator.join(pieces)
            if chance.random() < 0.4:
                segment[place] = chance.choice(VALUES)
        body = chance.choice(("\r",) * 8 + ("\n", "\r\n")).join("|".join(each) for each in segments).encode()
        return damaged(body, chance) if chance.random() < 0.2 else body

    async def feed(self, chance: Random, reached: Reached) -> None:
        if chance.random() < 0.2:
            reached.codec = True
            read = ORU_R01.decode_response(self.body(chance, self.answers))
            assert all(each.rule and each.text for each in read.findings)  # no code: nobody answers an answer
            return
        body = self.body(chance, self.messages)
        msh = header_of(body)
        asked = by_trigger_event(msh.part(9, 1), msh.part(9, 2), msh.part(12, 1))
        if not asked:
            return
        reached.codec = True
        self.ask(asked[0], body)

    def ask(self, transaction: Hl7Transaction[Any, Any], body: bytes) -> None:
        try:
            decoded = transaction.decode_request(body)
            found = [each for check in transaction.checks for each in check(decoded.value)]
        except ExchangeError as error:
            acknowledged = transaction.refuse(error, body, sent("A1"))
            assert b"\rMSA|A" in acknowledged
            raise
        assert all(each.code and each.text for each in (*decoded.findings, *found))


# --- DICOM ------------------------------------------------------------------------------------------------------------


class Store:
    """STOW-RS: parts, and the head of each instance in them."""

    TYPE = 'multipart/related; type="application/dicom"; boundary=x'

    def __init__(self, folder: Path) -> None:
        made = write_ct_study(folder, seed=1, patient=sample_patient(1, Oid("1.2.3.4")), series=1, instances=3, rows=16)
        self.files = [each.path.read_bytes() for each in made.instances]

    async def begin(self) -> None:
        """All is there."""

    def body(self, chance: Random) -> bytes:
        files = [each if chance.random() < 0.4 else damaged(each, chance, 6) for each in self.files]
        heads = [[b"Content-Type: application/dicom", b"Content-Length: %d" % len(each)] for each in files]
        parts = [b"\r\n".join(head) + b"\r\n\r\n" + file for head, file in zip(heads, files, strict=True)]
        rearranged(parts, chance, lambda part: damaged(part[:80], chance) + part[80:])
        body = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"
        return damaged(body, chance) if chance.random() < 0.2 else body

    async def feed(self, chance: Random, reached: Reached) -> None:
        headers = {"content-type": self.TYPE, "accept": "application/dicom+json"}
        message = HttpIn(method="POST", path="/studies", base="http://x", headers=headers,
                         parts=parts_of(cut(self.body(chance), chance), self.TYPE))  # fmt: skip
        decoded = RAD_108.decode_request(message)
        refused: ExchangeError | None = None
        async for part in decoded.value.pour:
            body = b"".join([chunk async for chunk in part.chunks])
            reached.codec = True
            try:
                head = read_head(body)
                for tag in head.dataset:
                    head.dataset.text(tag), head.dataset.number(tag), head.dataset.items(tag)
            except ExchangeError as error:
                refused = error
        if refused is not None:
            RAD_108.refuse(refused, message)
            raise refused


class Kos:
    """Manifests, as they come in RAD-68."""

    def __init__(self) -> None:
        one = study("1.2.3", series("1.2.3.1", instance("1.2.3.1.1"), instance("1.2.3.1.2")))
        manifest = Manifest(
            sop_instance_uid=instance("1.2.9").sop_instance_uid, series_instance_uid=instance("1.2.8").sop_instance_uid,
            created=Moment(NOW), title=MANIFEST_TITLE, studies=(one,), patient=one.patient,
        )  # fmt: skip
        self.whole = encode_kos(manifest)

    async def begin(self) -> None:
        """All is there."""

    async def feed(self, chance: Random, reached: Reached) -> None:
        body = self.whole[:132] + damaged(self.whole[132:], chance, 3)
        reached.codec = body[128:132] == b"DICM"
        decode_kos(body, authority=Oid("1.2.3.4"))


# --- documents that are XML -------------------------------------------------------------------------------------------

REPORT = (
    b'<ClinicalDocument xmlns="urn:hl7-org:v3"><id root="1.2.3" extension="R7"/><title>CT</title><effectiveTime '
    b'value="20260301093000+0100"/><component><nonXMLBody><text mediaType="text/plain">x</text></nonXMLBody></component>'
    b"</ClinicalDocument>"
)


class Xml:
    """Assertions by themselves and in a header, reports, audit records."""

    def __init__(self) -> None:
        assertion = encode_assertion(good_assertion(NOW))
        security = f'<w:Security xmlns:w="{WSSE}">'.encode() + assertion + b"</w:Security>"
        self.read: list[tuple[Callable[[bytes], object], etree._Element]] = [
            (lambda body: (issuer_of(body), claimed(body), decode_assertion(body)), etree.fromstring(assertion)),
            (lambda body: secured(envelope_header(parse(body))), etree.fromstring(envelope("", security.decode()))),
            (read_report, etree.fromstring(REPORT)),
            *((read_record, etree.fromstring(encode_record(each))) for each in RECORDS.values()),
        ]

    async def begin(self) -> None:
        """All is there."""

    async def feed(self, chance: Random, reached: Reached) -> None:
        read, root = chance.choice(self.read)
        body = broken_tree(root, chance)
        body = damaged(body, chance) if chance.random() < 0.2 else body
        parse(body)
        reached.codec = True
        read(body)


# --- FHIR and DICOMweb questions --------------------------------------------------------------------------------------

ASKED: dict[str, tuple[tuple[str, str], ...]] = {
    "ImagingStudy": (
        ("patient.identifier", "urn:oid:1.2.3.4|P1"), ("identifier", "urn:oid:1.2.3"), ("started", "ge2026-01-01"),
        ("modality", "CT,MR"), ("_summary", "true"), ("_count", "5"), ("_total", "none"), ("_sort", "-started"),
        ("patient", "Patient/abc"), ("status", "available"), ("_page", "abc"), ("_lastUpdated", "lt2026-02-01T10:00:00Z"),
    ),
    "Patient": (
        ("identifier", "urn:oid:1.2.3.4|P1"), ("name", "Doe"), ("birthdate", "1970-01-01"), ("_count", "2"), ("_id", "x"),
    ),
    "Endpoint": (("status", "active"), ("_id", "x"), ("connection-type", "dicom-wado-rs")),
    "studies": (
        ("PatientID", "P1"), ("00100010", "Doe*"), ("StudyDate", "20260101-20260201"), ("ModalitiesInStudy", "CT\\MR"),
        ("limit", "5"), ("offset", "10"), ("includefield", "all"), ("fuzzymatching", "true"), ("AccessionNumber", "A?"),
        ("StudyTime", "1000-1200"), ("viewport", "10,10"), ("window", "40,400,linear"), ("quality", "50"),
    ),
    "metadata": (("_format", "json"), ("mode", "full")),
}  # fmt: skip
ACCEPT = (
    "application/dicom+json", "application/fhir+json", "application/fhir+xml", "*/*", "image/jpeg", "image/png",
    'multipart/related; type="application/dicom"; transfer-syntax=*', 'multipart/related; type="application/octet-stream"',
)  # fmt: skip
FORM = "application/x-www-form-urlencoded"


class Questions:
    """Searches, reads and retrieves: path, parameters, headers, forms."""

    def __init__(self) -> None:
        self.served = [
            (transaction, method, path)
            for transaction in TRANSACTIONS
            if isinstance(transaction, HttpTransaction) and transaction is not RAD_108
            for path in transaction.paths
            for method in transaction.methods
        ]

    async def begin(self) -> None:
        """All is there."""

    def message(self, chance: Random) -> tuple[HttpTransaction[Any, Any], HttpIn]:
        transaction, method, path = chance.choice(self.served)
        names = [each.split("}")[0] for each in path.split("{")[1:]]
        # A router gives every variable, and none of them is empty.
        variables = {name: chance.choice(("1.2.3", "1.2.3", "1", *filter(None, VALUES))) for name in names}
        known = ASKED[next((each for each in path.split("/") if each in ASKED), "metadata")]
        pairs: list[Any] = chance.sample(known, min(len(known), chance.randint(0, 4)))
        for _ in range(chance.randint(0, 3)):
            rearranged(pairs, chance, lambda pair: self.changed(pair, chance))
        text = urlencode(pairs).encode()
        if chance.random() < 0.2:
            text = damaged(text, chance)
        accept = chance.choice(ACCEPT)
        if chance.random() < 0.2:
            accept = damaged(accept.encode(), chance).decode("latin-1")
        headers = {"accept": accept} if chance.random() < 0.8 else {}
        query: tuple[tuple[str, str], ...] = ()
        body = b""
        if method == "POST":
            body, headers = text, {**headers, "content-type": FORM if chance.random() < 0.9 else accept}
        else:
            query = tuple(parse_qsl(text.decode("latin-1"), keep_blank_values=True))
        return transaction, HttpIn(
            method=method, path=path.format_map(variables), base="http://x/y",
            variables=variables, query=query, headers=headers, body=body,
        )  # fmt: skip

    def changed(self, pair: tuple[str, str], chance: Random) -> tuple[str, str]:
        name, value = pair
        match chance.randrange(4):
            case 0:
                return name + chance.choice((":missing", ":exact", ":not", ".identifier", "x")), value
            case 1:
                return name, f"{value},{chance.choice(VALUES)}"
            case _:
                return name, chance.choice(VALUES)

    async def feed(self, chance: Random, reached: Reached) -> None:
        transaction, message = self.message(chance)
        reached.codec = True
        try:
            decoded = transaction.decode_request(message)
            for check in transaction.checks:
                for each in check(decoded.value):
                    assert each.text
        except ExchangeError as error:
            assert transaction.refuse(error, message).status >= 400
            raise


# --- all of them ------------------------------------------------------------------------------------------------------

SHARES = {"soap": 0.35, "hl7": 0.2, "questions": 0.15, "store": 0.15, "kos": 0.05, "xml": 0.1}
"""Of all bodies."""


async def fuzz(name: str, feed: Callable[[Random, Reached], Awaitable[None]], numbers: range) -> Tally:
    """Feed bodies of these numbers; a refusal is an answer, and anything else an error of ours."""
    tally = Tally()
    before = 0
    for number in numbers:
        if number == len(numbers) // 5:
            gc.collect()
            high_water(reset=True)
            before = high_water()
        reached, began = Reached(), time.process_time()
        try:
            await feed(Random(f"{seed()}:{name}:{number}"), reached)
        except HouseError:
            raise
        except ExchangeError as refusal:
            tally.refused[type(refusal).__name__] += 1
            assert refusal.detail
            if name != "soap":
                assert isinstance(refusal, RequestError)
        except Exception as defect:
            raise AssertionError(f"body {number} of {name}, RADGATE_SEED={seed()}: {type(defect).__name__}") from defect
        took = time.process_time() - began
        assert took < MOST_S, f"body {number} of {name}, RADGATE_SEED={seed()}: {took:.1f} s"
        await asyncio.sleep(0)  # the loop lets go of streams that nobody read to their end
        tally.bodies += 1
        tally.reached += reached.codec
        tally.said |= {reached.said} if reached.codec else set()
    tally.grown_bytes = high_water() - before
    return tally


@pytest.mark.timeout(7200 if BODIES == 1_000_000 else 600)
@pytest.mark.parametrize("name", SHARES)
def test_bodies_are_read_or_refused_in_words(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wires: dict[str, Callable[[], Any]] = {
        "soap": Soap, "hl7": Hl7, "questions": Questions, "store": lambda: Store(tmp_path), "kos": Kos, "xml": Xml,
    }  # fmt: skip

    async def run() -> Tally:
        wire = wires[name]()
        await wire.begin()
        return await fuzz(name, wire.feed, range(round(BODIES * SHARES[name])))

    tally = asyncio.run(run())
    with capsys.disabled():
        print(f"\n{name}, RADGATE_SEED={seed()}: {tally}")
    assert tally.reached >= LEAST_SHARE * tally.bodies
    assert tally.reached > 0
    if name == "soap":
        assert tally.said == {of.id for of, _ in (*REQUESTS.values(), *RESPONSES.values())}
    assert tally.grown_bytes < MOST_GROWTH_BYTES
    assert tally.refused, "nothing was refused: the bodies are not broken"
