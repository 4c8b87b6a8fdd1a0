"""Messages: what is written reads back, escapes are what the naive definition says, any bytes are refused or read."""

import time

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from profiles.errors import MalformedMessage
from profiles.wire.hl7v2.charset import codec_of
from profiles.wire.hl7v2.message import (
    NULL,
    STANDARD,
    Delimiters,
    FieldValue,
    delimiters_of,
    escape,
    header_of,
    read_message,
    unescape,
    write_field,
    write_message,
    written,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
SPIKED = st.text(st.sampled_from("|^~\\&#\r\n\x00\x0b\x1cFSTREXabc 09ÄÖß漢字.br"), max_size=40)

HEADER = {3: "APP", 4: "FAC", 7: "20260101", 9: ("ADT", "A01"), 10: "1", 11: "P", 12: "2.5"}


def message_of(*fields: FieldValue) -> bytes:
    return write_message([written("MSH", HEADER), written("ZZZ", dict(enumerate(fields, start=1)))])


def naive_escape(text: str) -> str:
    """HL7 v2.5 2.7, character by character."""
    out = ""
    for character in text:
        if character in "|^&~\\":
            out += "\\" + {"|": "F", "^": "S", "&": "T", "~": "R", "\\": "E"}[character] + "\\"
        elif ord(character) < 0x20 or ord(character) == 0x7F:
            out += f"\\X{ord(character):02X}\\"
        else:
            out += character
    return out


def naive_unescape(value: str) -> str:
    """HL7 v2.5 2.7, left to right; for the sequences that `naive_escape` writes, and literal for the rest."""
    out, position = "", 0
    simple = {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\", "H": "", "N": "", ".br": "\n"}
    pending = b""
    while position < len(value):
        end = value.find("\\", position + 1) if value[position] == "\\" else -1
        sequence = value[position + 1 : end] if end > 0 else None
        if (
            sequence is not None
            and sequence[:1] == "X"
            and len(sequence) % 2
            and len(sequence) > 1
            and all(character in "0123456789abcdefABCDEF" for character in sequence[1:])
        ):
            pending += bytes.fromhex(sequence[1:])
            position = end + 1
            continue
        out += pending.decode("utf-8", "replace")
        pending = b""
        if sequence is None:
            out += value[position]
            position += 1
        else:
            out += simple.get(sequence, f"\\{sequence}\\")
            position = end + 1
    return out + pending.decode("utf-8", "replace")


@given(st.one_of(TEXT, SPIKED))
def test_escaping_is_what_the_naive_definition_says(text: str) -> None:
    assert escape(text) == naive_escape(text)


@given(st.text(st.sampled_from("|^~\\&FSTREXHN0941c.br漢 "), max_size=40))
def test_unescaping_is_what_the_naive_definition_says(value: str) -> None:
    assert unescape(value) == naive_unescape(value)


@given(st.one_of(TEXT, SPIKED))
def test_what_is_escaped_is_unescaped_to_the_same(text: str) -> None:
    assert unescape(escape(text)) == text


@given(st.one_of(TEXT, SPIKED), st.permutations("#$%!:;<>=?@|^~\\&").map("".join))
def test_any_delimiters_do(text: str, characters: str) -> None:
    delimiters = Delimiters(*characters[:6])
    value = escape(text, delimiters)
    assert not {delimiters.field, delimiters.component, delimiters.repetition, delimiters.subcomponent} & set(value)
    assert unescape(value, delimiters) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (r"a\F\b\S\c\T\d\R\e\E\f", r"a|b^c&d~e\f"),
        (r"\E\T\ ", "\\T\\ "),  # once, leftmost first: not an ampersand
        (r"\H\bold\N\ plain", "bold plain"),
        (r"one\.br\two\.sp 3\three", "one\ntwo\nthree"),
        (r"\.in+4\indented\.ti-2\ x\.sk 3\y\.ce\z", "indented x y\nz"),
        (r"OPERA\XC7\\XC3\O", "OPERA\ufffd\ufffdO"),  # those bytes are Latin-1, and this is UTF-8
        (r"\XC3\\X84\rzte", "Ärzte"),
        (r"\XC384\rzte", "Ärzte"),
        (r"\X4\ \XZZ\ \X\ ", r"\X4\ \XZZ\ \X\ "),
        (r"\C2842\\M2842\text", "text"),
        (r"\Zlocal\ stays", r"\Zlocal\ stays"),
        ("C:\\temp", "C:\\temp"),
        ("\\\\server\\share", "\\\\server\\share"),
        ("\\", "\\"),
        ("", ""),
    ],
)
def test_each_escape_sequence_is_read(value: str, text: str) -> None:
    assert unescape(value) == text


def test_hexadecimal_bytes_are_of_the_character_set_of_the_message() -> None:
    message = (
        b"MSH|^~\\&|A|B|C|D|20260101||SIU^S12|1|P|2.5.1||||||8859/1\r"
        b"AIS|1|A|1^SEPTOPLASTIA (OPERA\\XC7\\\\XC3\\O ISOLADA)\r"
    )
    ais = read_message(message).first("AIS")
    assert ais is not None
    assert ais.part(3, 2) == "SEPTOPLASTIA (OPERAÇÃO ISOLADA)"


@given(
    st.lists(
        st.lists(st.lists(SPIKED.filter(str.strip), min_size=1, max_size=3), min_size=1, max_size=3),
        min_size=1,
        max_size=3,
    )
)
def test_repetitions_components_and_subcomponents_come_back(field: list[list[list[str]]]) -> None:
    data = message_of([tuple(tuple(parts) for parts in components) for components in field])
    segment = read_message(data).first("ZZZ")
    assert segment is not None
    assert [[list(parts) for parts in value.parts()] for value in segment.values(1)] == field


@given(st.lists(st.one_of(TEXT, SPIKED), min_size=1, max_size=6))
def test_fields_come_back_and_none_begins_a_segment(fields: list[str]) -> None:
    message = read_message(message_of(*fields, "end"))
    assert [segment.name for segment in message.segments] == ["MSH", "ZZZ"]
    zzz = message.segments[1]
    assert [zzz.value(number).text for number in range(1, len(fields) + 1)] == fields


@given(st.lists(st.one_of(st.text(st.characters(codec="utf-8"), max_size=20), SPIKED), min_size=1, max_size=5))
def test_the_hl7_library_reads_what_we_write(fields: list[str]) -> None:
    data = message_of(*fields, "end")
    judged = hl7.parse(data.decode())
    assert str(judged.segment("MSH")[10]) == "1"
    segment = judged.segment("ZZZ")
    for number, text in enumerate(fields, start=1):
        assert str(segment[number]) == escape(text)


def test_empty_ends_are_left_out_at_every_level() -> None:
    assert write_field(("a", "", ("", ""), "")) == "a"
    assert write_field([("a",), ("",), ""]) == "a"
    assert write_field(["", ("b",)]) == "~b"
    assert message_of("a", "", "").endswith(b"\rZZZ|a\r")


def test_the_null_value_is_not_escaped_and_is_recognised() -> None:
    zzz = read_message(message_of(NULL, "")).first("ZZZ")
    assert zzz is not None
    assert zzz.value(1).is_null
    assert not zzz.value(2).is_null


def test_the_first_field_of_msh_is_the_separator() -> None:
    msh = header_of(b"MSH|^~\\&|APP|FAC|||20260101||ADT^A01|77|P|2.5")
    assert [msh.raw_field(number) for number in (1, 2, 3, 10, 12, 99)] == ["|", "^~\\&", "APP", "77", "2.5", ""]


def test_delimiters_are_those_of_the_message() -> None:
    data = b"MSH#*!?%#APP#FAC###20260101##ADT*A01#9#P#2.5\rPID###1***NS%1.2%ISO!2##Sm?F?ith*A?T?b\r"
    pid = read_message(data).first("PID")
    assert pid is not None
    assert [value.part(1) for value in pid.values(3)] == ["1", "2"]
    assert pid.values(3)[0].part(4, 2) == "1.2"
    assert (pid.part(5, 1), pid.part(5, 2)) == ("Sm#ith", "A%b")


def test_the_truncation_character_of_later_versions_is_read() -> None:
    assert delimiters_of("MSH|^~\\&#|APP").truncation == "#"
    assert unescape(r"a\P\b", delimiters_of("MSH|^~\\&#|APP")) == "a#b"
    assert unescape(r"a\P\b", STANDARD) == r"a\P\b"


def test_three_encoding_characters_leave_subcomponents_out() -> None:
    assert delimiters_of("MSH|^~\\|APP") == STANDARD


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\r",
        b"PID|1\rMSH|^~\\&|A\r",
        b"MSH",
        b"MSH|",
        b"MSH|^~|A",
        b"MSH|^~\\&&&|A",
        b"MSH|^^\\&|A",
        b"MSHaAbcdaX",
        b"MSH\x00^~\\&\x00A",
        b"MSH|^~\\&|" + b"x" * 20_000,
        b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5\rMSH|^~\\&|B||||||ADT^A01|2|P|2.5\r",
        b"\xff\xfeM\x00S\x00H\x00|\x00",
        b"MSH|^~\\&|A\r" + b"ZZZ|\r" * 30_000,
    ],
)
def test_what_is_no_message_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedMessage):
        read_message(data)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda tail: b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5" + tail),
    )
)
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    try:
        message = read_message(data)
    except MalformedMessage:
        return
    for segment in message.segments:
        for number in range(1, len(segment.fields)):
            for value in segment.values(number):
                value.parts()


def test_line_feeds_are_tolerated_and_told() -> None:
    message = read_message(b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5\r\nPID|1\nPV1|1\r\n")
    assert [segment.name for segment in message.segments] == ["MSH", "PID", "PV1"]
    assert [finding.rule for finding in message.findings] == ["hl7.line-feed"]


def test_a_line_that_begins_no_segment_belongs_to_the_value_before_it() -> None:
    message = read_message(b"MSH|^~\\&|A||||||ORU^R01|1|P|2.5\rOBX|1|ED|||JVBER\rA0KJSVF\rT0YNCg==||F\rPV1|1\r")
    assert [segment.name for segment in message.segments] == ["MSH", "OBX", "PV1"]
    assert message.segments[1].raw_field(5) == "JVBER\nA0KJSVF\nT0YNCg=="
    assert message.segments[1].raw_field(7) == "F"
    assert [finding.rule for finding in message.findings] == ["hl7.broken-line"]


def test_segments_count_among_their_name() -> None:
    message = read_message(b"MSH|^~\\&|A||||||ORU^R01|1|P|2.5\rOBX|1\rNTE|1\rOBX|2\r")
    assert [segment.at(5) for segment in message.all("OBX")] == ["OBX^1^5", "OBX^2^5"]


def test_values_do_not_print_themselves() -> None:
    pid = read_message(b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5\rPID|||||Sample^Anna\r").first("PID")
    assert pid is not None
    assert "Sample" not in f"{pid!r} {pid.value(5)!r}"


@pytest.mark.parametrize("shape", [b"PID|" + b"x" * 10, b"ZZZ|\\F", b"ZZZ|^&~", b"AB", b"ZZZ|\\X41\\"])
def test_reading_takes_time_in_proportion_to_the_length(shape: bytes) -> None:
    def seconds(count: int) -> float:
        body = shape * count if shape.startswith(b"ZZZ") else (shape + b"\r") * (count // 50)
        data = b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5\r" + body
        started = time.process_time()
        for segment in read_message(data).segments:
            for number in range(1, len(segment.fields)):
                segment.text(number)
        return time.process_time() - started

    small = min(seconds(20_000) for _ in range(3))
    large = min(seconds(160_000) for _ in range(3))
    assert large < small * 8 * 4 + 0.02


# --- character sets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "text", "codec"),
    [
        ("8859/1", "Müller", "iso8859-1"),
        ("8859/2", "Łódź", "iso8859-2"),
        ("8859/5", "Иванов", "iso8859-5"),
        ("8859/7", "Παπαδόπουλος", "iso8859-7"),
        ("8859/9", "Şahin", "iso8859-9"),
        ("8859/15", "Cœur €", "iso8859-15"),
        ("UNICODE UTF-8", "山田", "utf-8"),
        ("UTF-8", "山田", "utf-8"),
        ("GB 18030-2000", "王小东", "gb18030"),
        ("BIG-5", "許功蓋", "big5"),  # each ends with a byte that is a backslash or a bar
        ("KS X 1001", "김희중", "euc_kr"),
        ("ISO IR14", "ﾔﾏﾀﾞ", "shift_jis"),
        ("~ISO IR87", "山田^太郎", "iso2022_jp_ext"),
        ("~ISO IR87~ISO IR159", "山田", "iso2022_jp_ext"),
        ("ISO IR6~ISO IR87", "山田", "iso2022_jp_ext"),
    ],
)
def test_text_is_read_in_the_character_set_that_is_declared(declared: str, text: str, codec: str) -> None:
    line = f"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5||||||{declared}\rPID|||1||{text}||20000101\r"
    message = read_message(line.encode(codec))
    pid = message.first("PID")
    assert pid is not None
    assert pid.raw_field(5) == text
    assert pid.raw_field(7) == "20000101"
    assert not message.findings


@pytest.mark.parametrize(
    ("declared", "body", "default", "text", "rule"),
    [
        ("", "Müller".encode(), "utf-8", "Müller", "hl7.charset-undeclared"),
        ("", "Müller".encode("latin-1"), "utf-8", "Müller", "hl7.charset-undeclared"),
        ("", "Łódź".encode("iso8859-2"), "iso8859-2", "Łódź", "hl7.charset-undeclared"),
        ("ASCII", "Müller".encode(), "utf-8", "Müller", "hl7.charset-undeclared"),
        ("UNICODE UTF-8", "Müller".encode("latin-1"), "utf-8", "M\ufffdller", "hl7.charset-broken"),
        ("CNS 11643-1992", "Müller".encode(), "utf-8", "Müller", "hl7.charset-unknown"),
        ("KLINGON", b"Muller", "utf-8", "Muller", "hl7.charset-unknown"),
    ],
)
def test_what_is_not_as_declared_is_read_and_told(
    declared: str, body: bytes, default: str, text: str, rule: str
) -> None:
    data = f"MSH|^~\\&|A||||||ADT^A01|1|P|2.5||||||{declared}\rPID|||||".encode() + body + b"\r"
    message = read_message(data, default_codec=default)
    pid = message.first("PID")
    assert pid is not None
    assert pid.text(5) == text
    assert rule in {finding.rule for finding in message.findings}


def test_a_byte_order_mark_is_dropped() -> None:
    message = read_message(b"\xef\xbb\xbfMSH|^~\\&|A||||||ADT^A01|1|P|2.5||||||UNICODE UTF-8\rPID|||||M\xc3\xbcller\r")
    assert message.segments[1].text(5) == "Müller"


def test_korean_designators_are_taken_out() -> None:
    body = b"\x1b$)C" + "김희중".encode("euc_kr")
    message = read_message(b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5||||||~KS X 1001\rPID|||||" + body + b"\r")
    assert message.segments[1].text(5) == "김희중"


@pytest.mark.parametrize(
    ("text", "charset", "codec", "said"),
    [
        ("Muller", "8859/1", "ascii", ""),
        ("Müller", "8859/1", "iso8859-1", "8859/1"),
        ("山田", "8859/1", "utf-8", "UNICODE UTF-8"),  # what the set cannot say: never cut, never replaced
        ("Müller", "", "utf-8", "UNICODE UTF-8"),
        ("Müller", "nonsense", "utf-8", "UNICODE UTF-8"),
        ("a\ud800", "UNICODE UTF-8", "utf-8", "UNICODE UTF-8"),
    ],
)
def test_text_is_written_in_the_set_of_the_destination_or_in_utf_8(
    text: str, charset: str, codec: str, said: str
) -> None:
    data = write_message([written("MSH", HEADER), written("ZZZ", {1: text})], charset=charset)
    assert header_of(data).text(18) == said
    assert text.encode(codec, "replace") in data
    assert codec_of(said) is not None
