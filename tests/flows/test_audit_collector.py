"""A whole house and a real collector over mutual TLS: what happened stands in the file of rsyslog, once it is up."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from conformance.simulators.hl7_sender import send_message
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.pix.iti8 import ITI_8, FeedEvent, PatientFeedRequest
from profiles.wire.audit import syslog
from profiles.wire.audit.read import decode
from profiles.wire.hl7v2.address import Hl7Address, Hl7Out
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.house import HouseProcess, serving
from tests.support.ports import free_port
from tests.support.registered import patient
from tests.support.rsyslog import Rsyslog

OWN = Oid("1.2.3.4")


def settings(authority: MadeCertificate, house: MadeCertificate, ehr: MadeCertificate, port: int) -> str:
    return f"""
[house]
name = "Valley"
patient_authority = "{OWN}"
[listen]
http_port = 0
mllp_port = 0
[tls]
certificate = "{house.certificate}"
key = "{house.key}"
trust = ["{authority.certificate}"]
[audit]
syslog = "tls://localhost:{port}"
[[peer]]
name = "EHR"
certificate = "{ehr.certificate}"
"""


async def registered(house: HouseProcess, ehr: MadeCertificate, authority: MadeCertificate, number: int) -> None:
    """An ADT of a patient of its own, accepted."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(ehr.certificate, ehr.key)
    address = Hl7Address(
        sending_application="EHR", sending_facility="V", receiving_application="RADGATE", receiving_facility="Valley"
    )
    now = datetime.now(UTC)
    request = PatientFeedRequest(
        event=FeedEvent.REGISTER, patient=patient(PatientIdentifier(value=f"P{number}", authority=OWN))
    )
    message = ITI_8.encode_request(request, Hl7Out(address=address, control_id=f"M{number}", at=now))
    port = int((await house.addresses())["mllp"].rpartition(":")[2])
    answer = await send_message("127.0.0.1", port, message, ssl=context)
    assert ITI_8.decode_response(answer).value.accepted


def patients(collector: Rsyslog) -> set[str]:
    """Whose records have arrived, each readable and framed as RFC 5424 says."""
    found = set()
    for line in collector.messages():
        record = decode(syslog.decode(line).content).value
        assert record.source_id == "Valley"
        found |= {each.id for each in record.objects if each.role == 1}
    return found


@pytest.mark.judge_program
@pytest.mark.timeout(240)
async def test_every_record_reaches_the_collector_even_when_it_comes_up_later(tmp_path: Path) -> None:
    authority = make_certificate(tmp_path, "root", authority=True)
    valley, ehr, judge = (make_certificate(tmp_path, name, signed_by=authority) for name in ("valley", "ehr", "judge"))
    collector = Rsyslog(tmp_path, authority, judge, free_port())
    try:
        async with serving(tmp_path / "house", settings(authority, valley, ehr, collector.port)) as house:
            await registered(house, ehr, authority, 1)  # the collector is not there yet
            collector.start()
            await registered(house, ehr, authority, 2)
            expected = {str(PatientIdentifier(value=f"P{number}", authority=OWN)) for number in (1, 2)}
            async with asyncio.timeout(120):
                while not expected <= patients(collector):
                    await asyncio.sleep(0.2)
            assert await house.stop() == 0
    finally:
        collector.stop()
