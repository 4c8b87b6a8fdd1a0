"""npm `soap`, knowing of us what `?wsdl` says, provides a manifest, finds it, and fetches it and its images, bit for bit.

It says `start-info="text/xml"` of an envelope of SOAP 1.2, and a root part of that type: it is read all the same.
"""

from pathlib import Path
from typing import Any

import pytest

from profiles.model.document import AvailabilityStatus
from profiles.model.query import DocumentCriteria
from profiles.transaction import SoapTransaction
from profiles.wire.soap.message import Packaging
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest
from profiles.xdsi.rad68 import RAD_68
from profiles.xdsi.rad69 import RAD_69
from tests.support.npm_soap import NpmAnswer, NpmClient, npm_client
from tests.support.scenario import (
    DOMAIN_ID,
    REPOSITORY,
    SOURCE,
    SUCCESS,
    VALLEY_REPOSITORY,
    ZEBEDIAH,
    Offer,
    World,
    message_of,
    offer_of,
    rad68,
    rad69_request,
    world,
)
from tests.support.soap import inside_of

pytestmark = [pytest.mark.judge_program, pytest.mark.timeout(300)]

CONTENT_ID = "document@npm"


async def client_for(here: World, path: str, operation: str) -> NpmClient:
    _, wsdl = await here.valley.get(f"{path}?wsdl")
    return npm_client(here.folder / operation, wsdl, here.valley.url + path, operation)


async def asked(client: NpmClient, transaction: SoapTransaction[Any, Any], request: object) -> NpmAnswer:
    message = await message_of(transaction, request)
    mtom = transaction.packaging is Packaging.MTOM
    return await client.ask(transaction.request_action, inside_of(message.body, CONTENT_ID), mtom=mtom)


async def provided(client: NpmClient, offer: Offer, body: bytes) -> NpmAnswer:
    inside = inside_of((await rad68(offer)).body, CONTENT_ID)
    return await client.ask(RAD_68.request_action, inside, document=body, content_id=CONTENT_ID)


async def test_npm_soap_provides_finds_and_fetches_bit_for_bit(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study(instances=2)
        offer = offer_of(study, patient_id=DOMAIN_ID)
        entry = offer.submission.entries[0]

        provide = await client_for(here, REPOSITORY, "ProvideAndRegisterDocumentSetB")
        answer = await provided(provide, offer, offer.body)
        assert answer.read["attributes"]["status"] == SUCCESS
        assert answer.parts == []

        find = await client_for(here, "/soap/registry", "RegistryStoredQuery")
        criteria = DocumentCriteria(patient_ids=(DOMAIN_ID,), statuses=(AvailabilityStatus.APPROVED,))
        answer = await asked(find, ITI_18, StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria))
        found = answer.read["RegistryObjectList"]["ExtrinsicObject"]
        assert entry.unique_id in {each["attributes"]["value"] for each in found["ExternalIdentifier"]}

        take = await client_for(here, REPOSITORY, "RetrieveDocumentSet")
        wanted = DocumentRequest(repository_unique_id=VALLEY_REPOSITORY, document_unique_id=entry.unique_id)
        answer = await asked(take, ITI_43, RetrieveDocumentSetRequest(documents=(wanted,)))
        assert answer.read["DocumentResponse"]["DocumentUniqueId"] == entry.unique_id
        assert answer.parts == [offer.body]

        await here.valley.push((one.path.read_bytes() for one in study.instances), peer="")
        fetch = await client_for(here, SOURCE, "RetrieveImagingDocumentSet")
        answer = await asked(fetch, RAD_69, rad69_request(study))
        _, ours = await (await here.valley.retrieve(rad69_request(study))).retrieved()
        told = [each["DocumentUniqueId"] for each in answer.read["DocumentResponse"]]
        assert dict(zip(told, answer.parts, strict=True)) == ours
        assert len(ours) == len(study.instances)


async def test_a_document_that_is_not_what_its_hash_says_is_refused_in_words_that_npm_soap_reads(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = offer_of(here.study(), patient_id=DOMAIN_ID)
        provide = await client_for(here, REPOSITORY, "ProvideAndRegisterDocumentSetB")
        async with here.valley.refusing():
            answer = await provided(provide, offer, offer.body[:-1] + b"?")
        error = answer.read["RegistryErrorList"]["RegistryError"]
        assert error["attributes"]["errorCode"] == "XDSRepositoryMetadataError"
        assert answer.parts == []
