"""zeep, knowing of each address only its `?wsdl`, calls every operation that is served there, and gets an answer.

What is inside the messages zeep does not know: its request has what one of ours has. It reads each answer by itself, those
in MTOM too, as the element that the WSDL told; what is inside the published schemas judge. Operations that bring documents
want MTOM, which zeep cannot pack (`NOT_PACKED`): their fault says so, and gSOAP and npm soap call them.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from profiles.wire.soap.names import INCLUDE
from profiles.xds.iti51 import ITI_51, MultiPatientQuery
from profiles.xds.iti57 import ITI_57
from profiles.xds.iti61 import ITI_61, RegisterOnDemandRequest
from profiles.xds.iti62 import ITI_62
from profiles.xds.iti86 import ITI_86
from profiles.xds.iti92 import ITI_92
from profiles.xdsi.rad68 import RAD_68
from tests.profiles.pdqv3 import messages as pdqv3
from tests.profiles.pixv3 import messages as pixv3
from tests.profiles.xcpd import messages as xcpd
from tests.profiles.xds import messages as xds
from tests.profiles.xds import updates
from tests.support import ebxml, hl7v3
from tests.support.ebxml import WITH_FOLDER
from tests.support.scenario import RECIPIENT, REPOSITORY, SOURCE, ZEBEDIAH, world
from tests.support.soap import client_of

ADDRESSES = (
    "/soap/registry",
    REPOSITORY,
    RECIPIENT,
    SOURCE,
    "/soap/responding-gateway",
    "/soap/initiating-gateway",
    "/soap/imaging-responding-gateway",
    "/soap/imaging-initiating-gateway",
    "/soap/patient-registry",
    "/soap/patient-manager",
)
BODY = "{http://www.w3.org/2003/05/soap-envelope}Body"
NOT_PACKED = {"{urn:ihe:iti:xds-b:2007}ProvideAndRegisterDocumentSetRequest": "zeep packs no MTOM"}
"""By what is asked with: the operations that zeep reaches and that do not understand it, with the reason."""


def messages() -> Mapping[str, etree._Element]:
    """One request of ours by its action; what is attached stands inline, as a sender without MTOM writes it."""
    said = {
        **{name: value for kind in (xds, pixv3, pdqv3, xcpd) for name, value in kind.REQUESTS.items()},
        "iti51": (ITI_51, replace(xds.CROSS_FIND, query=MultiPatientQuery.FIND_DOCUMENTS)),
        "iti57": (ITI_57, updates.UPDATE),
        "iti61": (ITI_61, RegisterOnDemandRequest(submission=WITH_FOLDER)),
        "iti62": (ITI_62, updates.REMOVE),
        "iti86": (ITI_86, updates.REMOVE_DOCUMENTS),
        "iti92": (ITI_92, updates.RESTRICTED),
        "rad68": (RAD_68, xds.PROVIDE),
    }
    found = {}
    for transaction, value in said.values():
        body = etree.fromstring(b"".join(transaction.encode_request(value).body))
        for include in body.iter(INCLUDE):
            include.getparent().text = "RElDTQ=="
            include.getparent().remove(include)
        found[transaction.request_action] = body
    return found


@pytest.mark.judge_standard
@pytest.mark.parametrize("address", ADDRESSES)
async def test_zeep_calls_every_operation_and_gets_the_element_that_the_wsdl_told(tmp_path: Path, address: str) -> None:
    requests, bodies = messages(), list[etree._Element]()
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        _, wsdl = await here.valley.get(f"{address}?wsdl")
        client = client_of(wsdl, tmp_path)
        (binding,) = client.wsdl.bindings.values()
        assert binding.all()
        for name, operation in binding.all().items():
            asked, told = operation.input.body.qname.text, operation.output.body.qname.text
            body = requests[operation.soapaction]
            assert body.tag == asked, name

            def call(name: str = name, body: etree._Element = body) -> Any:
                with client.settings(raw_response=True):
                    return client.service[name](_value_1=list(body), _attr_1=dict(body.attrib))

            answer = await asyncio.to_thread(call)
            content = answer.content
            if asked in NOT_PACKED:
                assert answer.status_code == 400, name
                assert b"MTOM" in content, name
                continue
            assert answer.status_code == 200, (name, content[:1000])
            start, end = content.index(b"<s:Envelope"), content.index(b":Envelope>", content.index(b"</s:Body>")) + 10
            (answered,) = etree.fromstring(content[start:end]).iterchildren(BODY)
            assert [child.tag for child in answered] == [told], name
            read = binding.process_reply(client, operation, answer)
            assert type(read).__name__ == etree.QName(told).localname, name
            assert (read["_attr_1"] or {}) == {**answered[0].attrib} or told.startswith("{urn:hl7-org:v3}"), name
            assert len(read["_value_1"]) == len(answered[0]), name
            bodies.append(answered[0])
        for body in bodies:  # last, for where there are no schemas this ends as skipped
            (hl7v3.judge if etree.QName(body).namespace == "urn:hl7-org:v3" else ebxml.judge)(body)


def test_every_address_of_the_house_is_asked() -> None:
    from gateway.wiring import listeners

    source = Path(listeners.__file__).read_text(encoding="utf-8")
    served = {line.split('"')[1] for line in source.splitlines() if line.strip().startswith('"') and '": ' in line}
    assert {address.rpartition("/")[2] for address in ADDRESSES} == served
