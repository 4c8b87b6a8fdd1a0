"""Counterparts of a system that speaks itself: whom it asks, where its audit goes, and what makes it speak.

They stand at addresses that the system was told before, and so they are described beside it.
"""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from conformance.around import Around, Provoke
from conformance.simulators.asked_later import AskedLater
from conformance.simulators.audit_repository import AuditRepository
from conformance.simulators.document_community import DocumentCommunity
from conformance.simulators.foreign_community import ForeignCommunity
from conformance.simulators.hl7_listener import Hl7Receiver
from conformance.simulators.mailbox import Mailbox
from conformance.simulators.patient_services import PatientServices
from conformance.simulators.soap_server import SoapCounterpart
from conformance.system import BadDescription, Counterpart, Foreign
from conformance.verdict import NotDone, Unreachable
from profiles.model.identifiers import PatientIdentifier

SENTENCES = {
    "fetch": "Make it fetch study {study} of patient {patient} from {peer}.",
    "share": "Make it share study {study} with {peer}.",
    "submit": "Make it submit {file} as a document of patient {patient} to {peer} (ITI-41).",
    "replace": "Make it submit {file} to {peer} in the place of document {document}.",
    "look": "Make it ask {peer} for the documents of patient {patient} (ITI-18).",
    "get": "Make it take document {document} of {peer} into the file {file} (ITI-43).",
    "find": "Make it ask {peer} at once for the documents of each of the patients {patient} (ITI-51).",
    "update": "Make it change the title of document {document} at {peer} to {title} (ITI-57).",
    "restrict": "Make it change the title of document {document} at {peer} to {title} (ITI-92).",
    "deprecate": "Make it deprecate document {document} at {peer}.",
    "register": "Make it keep {file} as a document of patient {patient}, and register it at {peer} (ITI-42).",
    "offer": "Make it register a document of study {study} at {peer} that is made on demand (ITI-61).",
    "remove": "Make it remove document {document} from {peer}: its metadata, and then the document.",
}
FACTS = ("peer", "study", "patient", "file", "document", "title")


@asynccontextmanager
async def standing(counterpart: Counterpart, provoke: Provoke) -> AsyncIterator[Around]:
    """What is described, listening: communities where there are ports for SOAP, receivers where they are for audit and HL7.

    Raises:
        BadDescription: It cannot listen there.
    """
    async with AsyncExitStack() as stack:
        audit, hl7, community, people = None, None, None, None
        try:
            if counterpart.audit_port is not None:
                audit = AuditRepository(counterpart.host, counterpart.audit_port, ssl=counterpart.tls)
                await audit.start()
                stack.push_async_callback(audit.stop)
            if counterpart.hl7_port is not None:
                hl7 = Hl7Receiver(counterpart.host, counterpart.hl7_port, ssl=counterpart.tls)
                await hl7.start()
                stack.push_async_callback(hl7.stop)
            if counterpart.soap_port is not None:
                soap = SoapCounterpart(counterpart.host, counterpart.soap_port, ssl=counterpart.tls)
                await soap.start()
                stack.push_async_callback(soap.stop)
                community = DocumentCommunity(
                    soap, repository=counterpart.repository_unique_id,
                    retrieve_location=counterpart.retrieve_location_uid,
                )  # fmt: skip
                people = PatientServices(soap)
            mailbox = await _mailbox(counterpart, stack)
            west = await _west(counterpart, stack)
            foreign = tuple([await _foreign(each, counterpart.host, stack) for each in counterpart.foreign])
        except OSError as error:
            raise BadDescription(f"cannot listen: {error.strerror or error}") from error
        yield Around(
            audit=audit, hl7=hl7, community=community, people=people, foreign=foreign, west=west, mailbox=mailbox,
            provoke=provoke, peer=counterpart.peer, wait_s=counterpart.wait_s,
        )  # fmt: skip


async def _mailbox(counterpart: Counterpart, stack: AsyncExitStack) -> Mailbox | None:
    if counterpart.reply_port is None:
        return None
    mailbox = Mailbox(counterpart.host, counterpart.reply_port, ssl=counterpart.reply_tls or counterpart.tls)
    await mailbox.start()
    stack.push_async_callback(mailbox.stop)
    return mailbox


async def _west(counterpart: Counterpart, stack: AsyncExitStack) -> AskedLater | None:
    told = counterpart.west
    if told is None:
        return None
    soap = SoapCounterpart(counterpart.host, told.port, ssl=told.tls)
    soap.client = told.client or ssl.create_default_context()
    await soap.start()
    stack.push_async_callback(soap.stop)
    return AskedLater(
        soap, name=told.name, home=told.home_community_id, repository=told.repository_unique_id,
        retrieve_location=told.retrieve_location_uid,
        patient=PatientIdentifier(value="WEST1", authority=told.patient_authority),
    )  # fmt: skip


async def _foreign(told: Foreign, host: str, stack: AsyncExitStack) -> ForeignCommunity:
    soap = SoapCounterpart(host, told.port, ssl=told.tls)
    await soap.start()
    stack.push_async_callback(soap.stop)
    return ForeignCommunity(
        soap, name=told.name, home=told.home_community_id, repository=told.repository_unique_id,
        retrieve_location=told.retrieve_location_uid,
        patient=PatientIdentifier(value=f"{told.name.upper()}1", authority=told.patient_authority),
    )  # fmt: skip


def by_command(words: Sequence[str], wait_s: float) -> Provoke:
    """A program makes it do so; it is told by RADGATE_WHAT, and by RADGATE_ with each of `FACTS`.

    It is run without a shell, and ended after `wait_s`. What has no value is "".
    """

    async def provoke(what: str, facts: Mapping[str, str]) -> bool:
        told = {f"RADGATE_{key.upper()}": facts.get(key, "") for key in FACTS}
        try:
            process = await asyncio.create_subprocess_exec(
                *words, env={**os.environ, **told, "RADGATE_WHAT": what}, stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
        except OSError as error:
            raise Unreachable(f"{words[0]} cannot be run: {error.strerror or error}") from error
        try:
            async with asyncio.timeout(wait_s):
                said, _ = await process.communicate()
        except TimeoutError:
            raise Unreachable(f"{words[0]} did not {what} within {wait_s:.0f} s") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
            raise NotDone(f"{words[0]} ended with {process.returncode}: {lines[-1] if lines else 'it said nothing'}")
        return True

    return provoke


def by_hand(say: Callable[[str], None]) -> Provoke:
    """A person makes it do so: what is wanted is said, and the case waits for what comes."""

    async def provoke(what: str, facts: Mapping[str, str]) -> bool:
        say(SENTENCES[what].format_map(facts))
        return False

    return provoke
