"""Provide: what a house is told before it can be asked: a patient by ITI-8, a study by STOW-RS."""

import asyncio
import ssl as tls
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp

from conformance.samples import SampleStudy
from conformance.simulators.hl7_sender import send_message
from profiles.model.content import Part, Pour
from profiles.model.moment import Moment
from profiles.model.patient import Patient
from profiles.pix.iti8 import ITI_8, FeedEvent, PatientFeedRequest
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from profiles.wire.multipart import poured


class NotTaken(Exception):
    """A house did not take what it was told."""


async def tell_patient(
    host: str, port: int, patient: Patient, *, address: Hl7Address, ssl: tls.SSLContext | None = None
) -> None:
    """Send ADT^A04 and see that it is acknowledged.

    Raises:
        NotTaken: It is not.
    """
    now = datetime.now(UTC)
    out = Hl7Out(address=address, control_id=f"{time.time_ns()}"[-16:], at=now)
    request = PatientFeedRequest(event=FeedEvent.REGISTER, patient=patient, recorded=Moment(now))
    answer = await send_message(host, port, ITI_8.encode_request(request, out), ssl=ssl)
    acknowledgement = ITI_8.decode_response(answer).value
    if not acknowledgement.accepted:
        raise NotTaken(
            f"{address.receiving_facility} answered the ADT with {acknowledgement.code}: {acknowledgement.errors}"
        )


async def push_study(session: aiohttp.ClientSession, base: str, study: SampleStudy) -> int:
    """Store a study by STOW-RS below `base`; answers how many bytes its files have.

    Raises:
        NotTaken: It is not stored.
    """
    boundary, paths = "scanner", [instance.path for instance in study.instances]
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}'}
    async with session.post(f"{base}/studies", data=poured(_files(paths), boundary), headers=headers) as answer:
        body = await answer.read()
        if answer.status != 200:
            raise NotTaken(f"STOW-RS to {base}: HTTP {answer.status} {body[:200]!r}")
    return sum(path.stat().st_size for path in paths)


async def _files(paths: list[Path]) -> Pour:
    async def chunks(path: Path) -> AsyncIterator[bytes]:
        yield await asyncio.to_thread(path.read_bytes)

    for path in paths:
        yield Part(key=path.name, media_type="application/dicom", chunks=chunks(path))
