"""Pictures: rendering parameters read, the kind of picture told truly."""

import pytest

from profiles.errors import MalformedMessage
from profiles.transaction import Side
from profiles.wia.rendered import (
    RETRIEVE_RENDERED,
    Picture,
    RetrieveRenderedRequest,
    RetrieveRenderedResponse,
    Viewport,
    Window,
    WindowFunction,
)
from profiles.wire.http import HttpIn
from tests.profiles.wia.facts import facts

INSTANCE = {"study": "1.2.1", "series": "1.2.2", "instance": "1.2.3"}


def asked(
    *query: tuple[str, str], path: str = "/x/rendered", accept: str | None = None, **more: str
) -> RetrieveRenderedRequest:
    headers = {} if accept is None else {"accept": accept}
    return RETRIEVE_RENDERED.decode_request(
        HttpIn(variables={**INSTANCE, **more}, query=query, path=path, headers=headers)
    ).value


def test_nothing_said_is_a_jpeg_with_the_instances_own_window() -> None:
    found = asked()
    assert (found.options.picture, found.options.window, found.options.viewport) == (Picture.JPEG, None, None)
    assert (found.frame, found.thumbnail, found.options.quality) == (None, False, 90)


def test_everything_that_can_be_said_is_read() -> None:
    found = asked(
        ("window", "40,400,sigmoid"),
        ("viewport", "512,256,10,20,-100,50"),
        ("quality", "70"),
        accept="image/png",
        frames="3",
    )
    assert found.frame == 3
    assert found.options.picture is Picture.PNG
    assert found.options.window == Window(center=40, width=400, function=WindowFunction.SIGMOID)
    assert found.options.viewport == Viewport(width=512, height=256, region=(10, 20, -100, 50))
    assert found.options.quality == 70


def test_a_thumbnail_is_small_unless_said_otherwise() -> None:
    assert asked(path="/x/thumbnail").options.viewport == Viewport(width=256, height=256)
    assert asked(("viewport", "64,64"), path="/x/thumbnail").options.viewport == Viewport(width=64, height=64)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("window", each)
            for each in ("40", "40,0", "40,-1", "a,b", "40,400,cubic", "1,2,linear,4", "nan,1", "1,inf")
        ),
        *(
            ("viewport", each)
            for each in ("512", "0,0", "512,x", "99999,1", "1,2,3", "1,1,-5,0,1,1", "1,1,0,0,99999,1")
        ),
        *(("quality", each) for each in ("0", "101", "high", "-5")),
    ],
)
def test_parameters_that_make_no_sense_are_bad_requests(name: str, value: str) -> None:
    with pytest.raises(MalformedMessage) as raised:
        asked((name, value))
    assert raised.value.location == name


def test_two_frames_make_no_picture() -> None:
    with pytest.raises(MalformedMessage):
        asked(frames="1,2")


@pytest.mark.parametrize(
    ("picture", "media_type"),
    [(b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n", "image/png"), (b"GIF89a", "image/gif")],
)
def test_the_media_type_is_that_of_the_picture(picture: bytes, media_type: str) -> None:
    out = RETRIEVE_RENDERED.encode_response(RetrieveRenderedResponse(picture=picture), HttpIn())
    assert (out.media_type, out.body) == (media_type, picture)


def test_parameters_that_are_not_honoured_are_warned_of() -> None:
    request = HttpIn(query=(("annotation", "patient"),), base="https://h/dicomweb")
    out = RETRIEVE_RENDERED.encode_response(RetrieveRenderedResponse(picture=b"GIF8"), request)
    assert "annotation parameter is not supported" in dict(out.headers)["Warning"]


def test_a_picture_handed_out_is_an_access() -> None:
    (record,) = RETRIEVE_RENDERED.audit(Side.RESPONDER, asked(), RetrieveRenderedResponse(picture=b""), facts())
    assert (record.event.code, record.types[0].code, record.outcome) == ("110103", "RAD-107", 0)
