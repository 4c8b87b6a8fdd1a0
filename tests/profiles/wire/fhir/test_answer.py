from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from profiles.errors import Busy, UnknownDocument
from profiles.wire.fhir.answer import PIECE_BYTES, fingerprint, flowing, read_answer, refused, unchanged
from profiles.wire.fhir.media import Syntax
from profiles.wire.http import HttpIn

AT = datetime(2026, 1, 5, 7, 40, 0, 999_000, tzinfo=UTC)


def test_what_is_small_is_one_body() -> None:
    out = flowing((b"a", b"b"), Syntax.JSON)
    assert (out.body, out.stream) == (b"ab", None)
    assert flowing((), Syntax.JSON).body == b""


async def test_what_is_large_flows_in_pieces_that_are_made_when_they_are_wanted() -> None:
    made: list[int] = []

    def pieces() -> Iterator[bytes]:
        for number in range(100):
            made.append(number)
            yield b"x" * (PIECE_BYTES // 4)

    out = flowing(pieces(), Syntax.XML)
    assert out.stream is not None
    assert len(made) == 8  # two pieces: enough to know that it is not small
    sizes = [len(piece) async for piece in out.stream]
    assert sum(sizes) == 25 * PIECE_BYTES
    assert set(sizes) == {PIECE_BYTES}


@pytest.mark.parametrize(
    ("headers", "same"),
    [
        ({}, False),
        ({"if-none-match": 'W/"3"'}, True),
        ({"if-none-match": '"3"'}, True),
        ({"if-none-match": 'W/"1", W/"3"'}, True),
        ({"if-none-match": "*"}, True),
        ({"if-none-match": 'W/"33"'}, False),
        ({"if-modified-since": "Mon, 05 Jan 2026 07:40:00 GMT"}, True),  # seconds are all that the header can say
        ({"if-modified-since": "Mon, 05 Jan 2026 07:39:59 GMT"}, False),
        ({"if-modified-since": "soon"}, False),
        ({"if-modified-since": "Mon, 05 Jan 2026 07:40:00 -0000"}, False),  # names no zone: cannot be compared
        ({"if-none-match": 'W/"1"', "if-modified-since": "Mon, 05 Jan 2026 07:40:00 GMT"}, False),
    ],
)
def test_whether_the_client_has_it(headers: dict[str, str], same: bool) -> None:
    assert unchanged(HttpIn(headers=headers), "3", AT) is same
    assert read_answer(HttpIn(headers=headers), (b"x",), Syntax.JSON, version="3", updated=AT).status == (
        304 if same else 200
    )


def test_without_a_time_only_tags_count() -> None:
    assert not unchanged(HttpIn(headers={"if-modified-since": "Mon, 05 Jan 2026 07:40:00 GMT"}), "3", None)
    assert dict(read_answer(HttpIn(), (b"x",), Syntax.JSON, version="3").headers) == {"ETag": 'W/"3"'}


def test_the_same_content_has_the_same_version() -> None:
    assert fingerprint({"a": 1}) == fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_an_error_is_told_in_the_syntax_that_was_asked_for_and_else_in_json() -> None:
    out = refused(UnknownDocument("no"), HttpIn(headers={"accept": "application/fhir+xml"}))
    assert out.status == 404
    assert out.body == (
        b'<OperationOutcome xmlns="http://hl7.org/fhir"><issue><severity value="error"/><code value="not-found"/>'
        b'<diagnostics value="no"/></issue></OperationOutcome>'
    )
    out = refused(Busy("later"), HttpIn(headers={"accept": "text/html"}))
    assert out.media_type.startswith("application/fhir+json")
    assert out.headers == (("Retry-After", "5"),)
