"""Raw messages in rows, in the clear or under a key.

With a key each body is AES-256-GCM (NIST SP 800-38D): a nonce of 12 random bytes, then ciphertext and tag. The name of the
message is authenticated with it, so that a body that was moved to another exchange does not open. A row says which key it
was written with, by a fingerprint that tells nothing of the key: after a change of keys, or without one, what was written
before cannot be opened, and says so instead of showing noise.
"""

import hashlib
import os
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import bindparam, delete, func, select

from gateway.adapters.executor import Executor, Fixed, insert_or_replace
from gateway.adapters.stored import micros, time_of
from gateway.adapters.tables import raw_messages
from profiles.errors import UnknownDocument

NONCE_BYTES = 12  # 96 bits, SP 800-38D 8.2; random ones are good for 2**32 messages under one key (8.3)

_KEEP = insert_or_replace(raw_messages)
_OPEN = Fixed(
    select(raw_messages.c.key, raw_messages.c.body).where(raw_messages.c.exchange_id == bindparam("exchange_id"))
)
_OF_CLASS = raw_messages.c.failed == bindparam("failed")
_RUNNING = (
    select(
        raw_messages.c.created_at,
        func.sum(raw_messages.c.size_bytes).over(order_by=raw_messages.c.created_at.desc()).label("together"),
    )
    .where(_OF_CLASS, raw_messages.c.created_at >= bindparam("before"))
    .subquery()
)
_TOO_MUCH = Fixed(select(func.max(_RUNNING.c.created_at)).where(_RUNNING.c.together > bindparam("max_bytes")))
_OLDEST = (
    select(raw_messages.c.exchange_id)
    .where(_OF_CLASS, raw_messages.c.created_at < bindparam("before"))
    .order_by(raw_messages.c.created_at)
    .limit(bindparam("many"))
)
_PRUNE = Fixed(delete(raw_messages).where(raw_messages.c.exchange_id.in_(_OLDEST)))


class RawKey:
    """What raw messages are encrypted with."""

    def __init__(self, key: bytes) -> None:
        """32 random bytes."""
        self._cipher = AESGCM(key)
        self.fingerprint = hashlib.sha256(b"radgate raw messages" + key).hexdigest()[:16]

    def sealed(self, exchange_id: str, body: bytes) -> bytes:
        """Nonce, ciphertext and tag."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, body, _name(exchange_id))

    def opened(self, exchange_id: str, sealed: bytes) -> bytes:
        """The body.

        Raises:
            InvalidTag, ValueError: It is not what was sealed under this name.
        """
        return self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _name(exchange_id))


def _name(exchange_id: str) -> bytes:
    return b"raw:" + exchange_id.encode()


class SqlRawMessages:
    """`RawMessages` over one executor."""

    __slots__ = ("_db", "_key")

    def __init__(self, executor: Executor, key: RawKey | None) -> None:
        """Without a key they are kept in the clear."""
        self._db = executor
        self._key = key

    async def keep(self, exchange_id: str, at: datetime, body: bytes, *, failed: bool) -> None:
        """Keep it."""
        kept = body if self._key is None else self._key.sealed(exchange_id, body)
        row = {
            "exchange_id": exchange_id,
            "created_at": micros(at),
            "failed": int(failed),
            "size_bytes": len(kept),
            "key": "" if self._key is None else self._key.fingerprint,
            "body": kept,
        }
        await self._db.run(_KEEP, row)

    async def open(self, exchange_id: str) -> bytes | None:
        """The message."""
        rows = await self._db.rows(_OPEN, {"exchange_id": exchange_id})
        if not rows:
            return None
        fingerprint, body = rows[0]
        if not fingerprint:
            return bytes(body)
        if self._key is None or self._key.fingerprint != fingerprint:
            raise UnknownDocument(
                "the raw message is encrypted with a key that is not here",
                cure="Set retention.raw_key to the key that was in use when it came",
            )
        try:
            return self._key.opened(exchange_id, body)
        except (InvalidTag, ValueError):  # ValueError: too short to be anything
            raise UnknownDocument(
                "the raw message is not what was kept: it does not fit its key",
                cure="Look who can write to the database",
            ) from None

    async def horizon(self, before: datetime, max_bytes: int, *, failed: bool) -> datetime:
        """Up to when all of a class has to go."""
        parameters = {"failed": int(failed), "before": micros(before), "max_bytes": max_bytes}
        ((last,),) = await self._db.rows(_TOO_MUCH, parameters, slow=True)
        return before if last is None else time_of(last) + timedelta(microseconds=1)

    async def prune(self, before: datetime, limit: int, *, failed: bool) -> int:
        """Let go of the oldest."""
        return await self._db.run(_PRUNE, {"failed": int(failed), "before": micros(before), "many": limit})
