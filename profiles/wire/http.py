"""An HTTP message as a transaction's codec sees it. Sockets, chunking and TLS are the listener's and the client's."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from profiles.model.content import Pour


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpIn:
    """An HTTP message that was read up to its body: a request as a server sees it, or a response as a client does.

    `variables` are the named parts of the path, decoded; `query` keeps order and repeats. A body that is small by
    nature is in `body`; a multipart one comes by `parts` (keyed by position, "0", "1", ...), its boundary already consumed.
    `base` is the address of the service without a slash at the end (`https://host/dicomweb`), from our settings.
    """

    method: str = "GET"
    path: str = ""
    base: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    query: tuple[tuple[str, str], ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)  # lower-case names
    status: int = 200
    body: bytes = b""
    parts: Pour | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpOut:
    """An HTTP message to write. Exactly one of `body`, `stream` and `parts` says what the body is.

    `parts` become multipart/related with `part_type` as its type parameter; each part's media type and headers are
    written before its chunks. With `size_bytes` known the answer has a Content-Length.
    """

    status: int = 200
    method: str = "GET"
    path: str = ""  # of a request, below `base`
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    media_type: str = ""
    body: bytes | None = None
    stream: AsyncIterator[bytes] | None = None
    parts: Pour | None = None
    part_type: str = ""
    size_bytes: int | None = None
