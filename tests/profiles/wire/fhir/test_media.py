import pytest

from profiles.errors import MalformedMessage, Unsupported
from profiles.wire.fhir.media import Summary, Syntax, View, form_only, subsetted, syntax_of, syntax_of_error, view_of
from profiles.wire.http import HttpIn


def asked(accept: str | None = None, format: str | None = None) -> HttpIn:
    return HttpIn(
        headers={} if accept is None else {"accept": accept}, query=() if format is None else (("_format", format),)
    )


@pytest.mark.parametrize(
    ("accept", "syntax"),
    [
        (None, Syntax.JSON),
        ("", Syntax.JSON),
        ("*/*", Syntax.JSON),
        ("application/*", Syntax.JSON),
        ("application/fhir+json", Syntax.JSON),
        ("application/json", Syntax.JSON),
        ("text/json", Syntax.JSON),
        ("application/fhir+xml", Syntax.XML),
        ("application/xml", Syntax.XML),
        ("text/xml", Syntax.XML),
        ("APPLICATION/FHIR+XML; charset=UTF-8", Syntax.XML),
        ("application/fhir+json;q=0.5, application/fhir+xml", Syntax.XML),
        ("application/fhir+json, application/fhir+xml", Syntax.JSON),  # the first of equals
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Syntax.XML),  # a browser
        ("application/fhir+json;fhirVersion=4.0", Syntax.JSON),
        ('application/fhir+xml; fhirVersion="4.0"', Syntax.XML),
        ("application/fhir+json;fhirVersion=5.0, application/fhir+xml;fhirVersion=4.0;q=0.1", Syntax.XML),
        ("application/fhir+json;q=0, application/xml;q=0.1", Syntax.XML),
    ],
)
def test_the_accepted_syntax(accept: str | None, syntax: Syntax) -> None:
    assert syntax_of(asked(accept)) is syntax


@pytest.mark.parametrize(
    "accept",
    ["text/html", "application/fhir+json;fhirVersion=3.0", "application/json;q=0", "application/json;q=x", "x"],
)
def test_what_cannot_be_had(accept: str) -> None:
    with pytest.raises(Unsupported) as told:
        syntax_of(asked(accept))
    assert told.value.code == "not-acceptable"
    assert syntax_of_error(asked(accept)) is Syntax.JSON


@pytest.mark.parametrize(
    ("format", "syntax"),
    [
        ("json", Syntax.JSON),
        ("xml", Syntax.XML),
        ("application/fhir+xml", Syntax.XML),
        ("application/fhir xml", Syntax.XML),  # "+" that was not written as %2B
        ("text/xml", Syntax.XML),
    ],
)
def test_the_format_wins_over_accept(format: str, syntax: Syntax) -> None:
    assert syntax_of(asked("text/html", format)) is syntax


def test_the_format_may_be_posted() -> None:
    posted = HttpIn(
        method="POST",
        headers={"content-type": "application/x-www-form-urlencoded", "accept": "application/json"},
        body=b"status=available&_format=xml",
    )
    assert syntax_of(posted) is Syntax.XML
    unreadable = HttpIn(method="POST", headers=posted.headers, body=b"_format=%ff")
    assert syntax_of_error(unreadable) is Syntax.JSON


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(Unsupported):
        syntax_of(asked("application/json", "ttl"))


def test_only_forms_are_posted() -> None:
    form_only(HttpIn(headers={"content-type": "application/x-www-form-urlencoded; charset=UTF-8"}))
    form_only(HttpIn())
    with pytest.raises(Unsupported):
        form_only(HttpIn(headers={"content-type": "application/fhir+json"}))


def test_a_view_is_read_from_the_parameters() -> None:
    assert view_of(()) == View()
    assert view_of((("_summary", "true"),)) == View(summary=Summary.TRUE)
    assert view_of((("_elements", "a,b.c"), ("_elements", " d "))) == View(elements=frozenset("abd"))
    with pytest.raises(MalformedMessage):
        view_of((("_summary", "maybe"),))


def test_data_and_false_leave_nothing_out() -> None:
    assert View(summary=Summary.DATA).is_whole
    assert View().is_whole
    assert not View(summary=Summary.TRUE).is_whole


def test_a_part_keeps_the_tags_it_had() -> None:
    whole = {"resourceType": "X", "id": "1", "meta": {"tag": [{"code": "a"}]}, "b": 1}
    assert [tag["code"] for tag in subsetted(whole, whole)["meta"]["tag"]] == ["a", "SUBSETTED"]
    assert whole["meta"] == {"tag": [{"code": "a"}]}
