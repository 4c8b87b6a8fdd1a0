"""Login: one password, made at the first start and printed once; sessions that end when the desk is left alone."""

import asyncio
import hashlib
import hmac
import secrets
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson
from aiohttp import web

from gateway.ports.clock import Clock

COOKIE = "radgate_session"
FILE = "desk.json"
USER = "admin"
TRIES_PER_MINUTE = 10  # of one address; a guess costs scrypt anyway
ADDRESSES = (
    10_000  # remembered at once; then all are forgotten, since each costs memory and a guess costs scrypt anyway
)
GUESSES = 2  # at a time: 64 MiB, and threads are left for others
N, R, P = 2**15, 8, 1  # scrypt: 32 MiB and some tens of milliseconds a guess (RFC 7914)


@dataclass(slots=True, kw_only=True)
class Session:
    """Somebody at the desk. `form_token` is in every form, so that no other page can post one."""

    person: str
    form_token: str
    until: datetime


class TooManyTries(Exception):
    """This address has to wait a minute; `first`: it was not told so before."""

    def __init__(self, *, first: bool) -> None:
        """Say so."""
        super().__init__("too many tries")
        self.first = first


class Login:
    """Who may sit at the desk."""

    def __init__(self, *, data: Path, clock: Clock, minutes: int, secure: bool) -> None:
        """`secure`: the cookie travels by TLS only."""
        self._file = data / FILE
        self._clock = clock
        self._idle = timedelta(minutes=minutes)
        self._secure = secure
        self._sessions: dict[str, Session] = {}
        self._tries: dict[str, deque[datetime]] = {}
        self._denied: set[str] = set()
        self._guessing = asyncio.Semaphore(GUESSES)

    def first_password(self) -> str | None:
        """Make the password if there is none yet, and answer it this once; None: it was made before."""
        if self._file.exists():
            return None
        password = "-".join(secrets.token_hex(3) for _ in range(3))
        salt = secrets.token_bytes(16)
        kept = {"user": USER, "salt": salt.hex(), "scrypt": _scrypt(password, salt).hex()}
        written = self._file.with_suffix(".new")
        written.touch(mode=0o600)
        written.write_bytes(orjson.dumps(kept))
        written.replace(self._file)  # whole or not at all: half a file would keep everybody out for ever
        return password

    async def enter(self, user: str, password: str, address: str) -> str | None:
        """A session's secret for whoever knows the password; None for others.

        Raises:
            TooManyTries: This address has guessed too often.
        """
        now = self._clock.now()
        if len(self._tries) > ADDRESSES:
            self._tries.clear()
            self._denied.clear()
        tries = self._tries.setdefault(address, deque(maxlen=TRIES_PER_MINUTE))
        if len(tries) == TRIES_PER_MINUTE and now - tries[0] < timedelta(minutes=1):
            first = address not in self._denied
            self._denied.add(address)
            raise TooManyTries(first=first)
        tries.append(now)
        self._denied.discard(address)
        kept = orjson.loads(self._file.read_bytes())
        async with self._guessing:
            found = await asyncio.to_thread(_scrypt, password, bytes.fromhex(kept["salt"]))
        good = hmac.compare_digest(found.hex(), kept["scrypt"]) & hmac.compare_digest(
            user.encode(), kept["user"].encode()
        )
        if not good:
            return None
        tries.clear()
        self._sessions = {key: each for key, each in self._sessions.items() if each.until > now}
        secret = secrets.token_urlsafe(32)
        self._sessions[secret] = Session(person=user, form_token=secrets.token_urlsafe(32), until=now + self._idle)
        return secret

    def session(self, request: web.Request) -> Session | None:
        """The session of a request, kept alive by it."""
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        now = self._clock.now()
        if session is None or session.until <= now:
            return None
        session.until = now + self._idle
        return session

    def person(self, request: web.Request) -> str:
        """Who sits at the desk; "" when nobody does."""
        session = self.session(request)
        return session.person if session is not None else ""

    def leave(self, request: web.Request) -> None:
        """End the session."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)

    def give(self, response: web.StreamResponse, secret: str) -> None:
        """Put the session's secret into the browser, out of reach of scripts and of other sites."""
        response.set_cookie(COOKIE, secret, httponly=True, secure=self._secure, samesite="Strict", path="/")


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=N, r=R, p=P, maxmem=128 * 1024 * 1024, dklen=32)
