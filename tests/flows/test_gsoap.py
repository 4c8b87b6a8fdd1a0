"""gSOAP, which knows of us what `?wsdl` says, provides a manifest, finds it, and fetches it and its images, bit for bit."""

from pathlib import Path
from typing import Any

import pytest

from profiles.model.content import Content
from profiles.model.document import AvailabilityStatus
from profiles.model.query import DocumentCriteria
from profiles.xcdr.iti80 import ITI_80, ProvideAndRegisterRequest
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest
from profiles.xds.iti43 import ITI_43, DocumentRequest, RetrieveDocumentSetRequest
from profiles.xdsi.rad68 import RAD_68
from profiles.xdsi.rad69 import RAD_69
from tests.support.communities import RESPONDING, VALLEY_HOME
from tests.support.gsoap import GsoapClient, gsoap_client
from tests.support.scenario import (
    DOMAIN_ID,
    REPOSITORY,
    SOURCE,
    VALLEY_REPOSITORY,
    ZEBEDIAH,
    Message,
    World,
    message_of,
    offer_of,
    rad68,
    rad69_request,
    world,
)
from tests.support.soap import inside_of

CONTENT_ID = "document@gsoap"


def inside(message: Message) -> bytes:
    """What our own encoder puts inside the operation's element, and where a document belongs, gSOAP's."""
    return inside_of(message.body, CONTENT_ID)


async def client_for(here: World, path: str, operation: str) -> GsoapClient:
    _, wsdl = await here.valley.get(f"{path}?wsdl")
    return await gsoap_client(here.folder / operation, wsdl, here.valley.url + path, operation)


async def asked(client: GsoapClient, transaction: Any, request: object) -> tuple[str, list[bytes]]:
    return await client.ask(transaction.request_action, inside(await message_of(transaction, request)))


@pytest.mark.judge_program
@pytest.mark.timeout(300)
async def test_gsoap_provides_finds_and_fetches_bit_for_bit(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        study = here.study(instances=2)
        offer = offer_of(study, patient_id=DOMAIN_ID)
        entry = offer.submission.entries[0]

        provide = await client_for(here, REPOSITORY, "ProvideAndRegisterDocumentSetB")
        answer, parts = await provide.ask(
            RAD_68.request_action, inside(await rad68(offer)), document=offer.body, content_id=f"<{CONTENT_ID}>"
        )
        assert (answer.strip(), parts) == ("", [])  # a RegistryResponse without errors has no children

        find = await client_for(here, "/soap/registry", "RegistryStoredQuery")
        criteria = DocumentCriteria(patient_ids=(DOMAIN_ID,), statuses=(AvailabilityStatus.APPROVED,))
        answer, _ = await asked(find, ITI_18, StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria))
        assert entry.unique_id in answer

        take = await client_for(here, REPOSITORY, "RetrieveDocumentSet")
        wanted = DocumentRequest(repository_unique_id=VALLEY_REPOSITORY, document_unique_id=entry.unique_id)
        answer, parts = await asked(take, ITI_43, RetrieveDocumentSetRequest(documents=(wanted,)))
        assert parts == [offer.body]
        assert entry.unique_id in answer

        await here.valley.push((one.path.read_bytes() for one in study.instances), peer="")
        fetch = await client_for(here, SOURCE, "RetrieveImagingDocumentSet")
        answer, parts = await asked(fetch, RAD_69, rad69_request(study))
        _, ours = await (await here.valley.retrieve(rad69_request(study))).retrieved()
        assert sorted(parts) == sorted(ours.values())
        assert len(parts) == len(study.instances)


@pytest.mark.judge_program
@pytest.mark.timeout(300)
async def test_gsoap_hands_a_manifest_to_our_community_bit_for_bit(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = offer_of(here.study(), patient_id=DOMAIN_ID)
        request = ProvideAndRegisterRequest(
            submission=offer.submission, home_community_id=VALLEY_HOME,
            documents={offer.submission.entries[0].entry_uuid: Content.of(offer.body)},
        )  # fmt: skip
        hand = await client_for(here, RESPONDING, "CrossGatewayDocumentProvide")
        answer, parts = await hand.ask(
            ITI_80.request_action, inside(await message_of(ITI_80, request)), document=offer.body,
            content_id=f"<{CONTENT_ID}>",
        )  # fmt: skip
        assert (answer.strip(), parts) == ("", [])
        take = await client_for(here, REPOSITORY, "RetrieveDocumentSet")
        wanted = DocumentRequest(
            repository_unique_id=VALLEY_REPOSITORY, document_unique_id=offer.submission.entries[0].unique_id
        )
        _, parts = await asked(take, ITI_43, RetrieveDocumentSetRequest(documents=(wanted,)))
        assert parts == [offer.body]


@pytest.mark.judge_program
@pytest.mark.timeout(300)
async def test_a_document_that_is_not_what_its_hash_says_is_refused_in_words_that_gsoap_reads(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        await here.valley.tell(ZEBEDIAH)
        offer = offer_of(here.study(), patient_id=DOMAIN_ID)
        provide = await client_for(here, REPOSITORY, "ProvideAndRegisterDocumentSetB")
        async with here.valley.refusing():
            answer, _ = await provide.ask(
                RAD_68.request_action, inside(await rad68(offer)), document=offer.body[:-1] + b"?",
                content_id=f"<{CONTENT_ID}>",
            )  # fmt: skip
        assert "XDSRepositoryMetadataError" in answer or "XDSNonIdenticalHash" in answer
