"""One house, two repositories, each of its own community and with patient ids of its own.

What is submitted to one is registered as its own, found with its home, and handed out by it and by the gateways alone.

Source: ITI TF-2 3.41.4.1.3, 3.43.4.2.3, 3.38.4.1.3, 3.39.4.1.3; ITI TF-3 table 4.2.4.1-2.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from gateway.app import running
from profiles.model.content import DICOM, Content
from profiles.model.document import AvailabilityStatus
from profiles.model.identifiers import Oid, PatientIdentifier
from profiles.model.query import BirthCriteria, DocumentCriteria, PatientCriteria, SubmissionSetCriteria
from profiles.pdqv3.iti47 import CandidatesQuery
from profiles.wire.ebxml.retrieve import DocumentRequest
from profiles.xca.iti38 import ITI_38
from profiles.xca.iti39 import ITI_39
from profiles.xcai.rad75 import RAD_75
from profiles.xcdr.iti80 import ITI_80, ProvideAndRegisterRequest
from profiles.xcpd.iti55 import ITI_55, DiscoveryRequest, DiscoveryResponse
from profiles.xds.iti18 import ITI_18, ReturnType, StoredQuery, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti41 import ITI_41
from profiles.xds.iti42 import ITI_42, RegisterRequest
from profiles.xds.iti43 import ITI_43, RetrieveDocumentSetRequest
from profiles.xds.iti86 import ITI_86, RemoveDocumentsRequest
from tests.support.communities import (
    GATEWAY,
    IMAGING_RESPONDING,
    LOCATIONS,
    NOBODY,
    REPOSITORIES,
    RESPONDING,
    VALLEY_HOME,
    at_home,
    settings_of,
)
from tests.support.identity_v3 import identified, question, sent
from tests.support.registry import brought, registrable
from tests.support.scenario import (
    DOMAIN_ID,
    REPOSITORY,
    VALLEY_ID,
    ZEBEDIAH,
    Offer,
    SoapReply,
    Valley,
    logged,
    message_of,
    nothing_leaked,
    offer_of,
    rad68,
    rad69_request,
    read_soap,
    write_study,
)

CLINIC_HOME, CLINIC_REPOSITORY, CLINIC_DOMAIN = Oid("1.2.8.1"), Oid("1.2.8.2"), Oid("1.2.8.9")
CLINIC_ID = PatientIdentifier(value="CL20417", authority=CLINIC_DOMAIN)
CLINIC = f"{REPOSITORY}/clinic"
OWN = REPOSITORIES["Valley"]
UNKNOWN_REPOSITORY = "XDSUnknownRepositoryId"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The house, and a document of the same patient in each of its repositories."""

    house: Valley
    own: Offer
    clinics: Offer

    async def ask(self, path: str, transaction: Any, request: object) -> SoapReply:
        return await self.house.post(path, await message_of(transaction, request), peer="")

    async def find(self, path: str, request: StoredQueryRequest) -> StoredQueryResponse:
        transaction = ITI_38 if path == RESPONDING else ITI_18
        reply = await self.ask(path, transaction, request)
        message = await read_soap(reply.content_type, reply.body)
        assert message.fault is None, reply.body
        answer: StoredQueryResponse = transaction.decode_response(message.to_codec()).value
        return answer

    async def fetch(self, path: str, *wanted: DocumentRequest) -> tuple[dict[str, bytes], list[tuple[str, str]]]:
        """What comes, and what is said of the rest: code and location."""
        transaction = ITI_39 if path == RESPONDING else ITI_43
        reply = await self.ask(path, transaction, RetrieveDocumentSetRequest(documents=wanted))
        head, bodies = await reply.retrieved()
        assert {each.home_community_id for each in head.documents} <= {each.home_community_id for each in wanted}
        return bodies, [(each.code, each.location) for each in head.errors]


@asynccontextmanager
async def two_repositories(folder: Path) -> AsyncIterator[Kept]:
    clinic = {
        "name": "clinic", "unique_id": CLINIC_REPOSITORY, "home_community_id": CLINIC_HOME,
        "patient_authority": CLINIC_DOMAIN,
    }  # fmt: skip
    settings = settings_of(folder / "Valley", "Valley", repository=[clinic])
    async with logged() as log, running(settings) as addresses, ClientSession(auto_decompress=False) as http:
        house = Valley(data=settings.house.data, addresses=addresses, http=http, log=log)
        await house.tell(replace(ZEBEDIAH, identifiers=(VALLEY_ID, DOMAIN_ID, CLINIC_ID)))
        own, clinics = offer(folder, 1, DOMAIN_ID), offer(folder, 2, CLINIC_ID)
        for door, each in ((REPOSITORY, own), (CLINIC, clinics)):
            assert await (await house.post(door, await rad68(each), peer="")).codes() == ()
        yield Kept(house=house, own=own, clinics=clinics)
        nothing_leaked(log.getvalue())
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]


def offer(folder: Path, seed: int, patient_id: PatientIdentifier) -> Offer:
    return offer_of(write_study(folder / f"study-{seed}", seed=seed, series=1, instances=1), patient_id=patient_id)


def uid(each: Offer) -> str:
    return each.submission.entries[0].unique_id


def wanted(each: Offer, repository: Oid, home: Oid | None = None) -> DocumentRequest:
    return DocumentRequest(repository_unique_id=repository, document_unique_id=uid(each), home_community_id=home)


def documents_of(patient_id: PatientIdentifier, home: Oid | None = None, **more: Any) -> StoredQueryRequest:
    criteria = DocumentCriteria(patient_ids=(patient_id,), statuses=(AvailabilityStatus.APPROVED,))
    return StoredQueryRequest(query=StoredQuery.FIND_DOCUMENTS, criteria=criteria, home_community_id=home, **more)


def sets_of(patient_id: PatientIdentifier, home: Oid | None) -> StoredQueryRequest:
    criteria = SubmissionSetCriteria(patient_ids=(patient_id,), statuses=(AvailabilityStatus.APPROVED,))
    return StoredQueryRequest(query=StoredQuery.FIND_SUBMISSION_SETS, submission_sets=criteria, home_community_id=home)


def places(answer: StoredQueryResponse) -> Mapping[str, tuple[str | None, Oid | None]]:
    return {each.unique_id: (each.repository_unique_id, each.home_community_id) for each in answer.entries}


async def test_what_each_repository_takes_is_registered_as_its_own_with_its_home(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        for path in ("/soap/registry", RESPONDING, GATEWAY):
            assert places(await kept.find(path, documents_of(DOMAIN_ID))) == {uid(kept.own): (OWN, VALLEY_HOME)}
            assert places(await kept.find(path, documents_of(CLINIC_ID))) == {
                uid(kept.clinics): (CLINIC_REPOSITORY, CLINIC_HOME)
            }
        references = await kept.find(RESPONDING, documents_of(CLINIC_ID, return_type=ReturnType.OBJECT_REF))
        assert [each.home_community_id for each in references.object_refs] == [CLINIC_HOME]


async def test_a_question_to_one_home_is_answered_of_that_home_alone(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        for path in (RESPONDING, GATEWAY):
            assert places(await kept.find(path, documents_of(CLINIC_ID, CLINIC_HOME))).keys() == {uid(kept.clinics)}
            assert not (await kept.find(path, documents_of(CLINIC_ID, VALLEY_HOME))).count
            assert not (await kept.find(path, documents_of(DOMAIN_ID, CLINIC_HOME))).count
            (brought,) = (await kept.find(path, sets_of(CLINIC_ID, CLINIC_HOME))).submission_sets
            assert (brought.unique_id, brought.home_community_id) == (
                kept.clinics.submission.submission_set.unique_id, CLINIC_HOME
            )  # fmt: skip
            assert not (await kept.find(path, sets_of(CLINIC_ID, VALLEY_HOME))).count
            assert [
                each.code for each in (await kept.find(path, documents_of(CLINIC_ID, NOBODY))).errors
            ] == ["XDSUnknownCommunity"]  # fmt: skip


async def test_contents_of_a_set_are_told_with_what_joins_them_by_their_home_alone(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        criteria = SubmissionSetCriteria(unique_ids=(kept.clinics.submission.submission_set.unique_id,))
        asked = StoredQueryRequest(
            query=StoredQuery.GET_SUBMISSION_SET_AND_CONTENTS, submission_sets=criteria, home_community_id=CLINIC_HOME
        )
        told = await kept.find(RESPONDING, asked)
        assert (len(told.submission_sets), len(told.entries), len(told.associations)) == (1, 1, 1)
        assert not (await kept.find(RESPONDING, replace(asked, home_community_id=VALLEY_HOME))).count


async def test_each_address_hands_out_what_is_its_own_and_knows_no_other_id(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        own, clinics = wanted(kept.own, OWN), wanted(kept.clinics, CLINIC_REPOSITORY)
        assert await kept.fetch(REPOSITORY, own) == ({uid(kept.own): kept.own.body}, [])
        assert await kept.fetch(CLINIC, clinics) == ({uid(kept.clinics): kept.clinics.body}, [])
        assert await kept.fetch(CLINIC, own) == ({}, [(UNKNOWN_REPOSITORY, uid(kept.own))])
        assert await kept.fetch(REPOSITORY, clinics) == ({}, [(UNKNOWN_REPOSITORY, uid(kept.clinics))])
        swapped = wanted(kept.own, CLINIC_REPOSITORY), wanted(kept.clinics, OWN)
        assert await kept.fetch(CLINIC, swapped[0]) == ({}, [("XDSDocumentUniqueIdError", uid(kept.own))])
        assert await kept.fetch(REPOSITORY, swapped[1]) == ({}, [("XDSDocumentUniqueIdError", uid(kept.clinics))])
        bodies, errors = await kept.fetch(CLINIC, own, clinics)
        assert (bodies, errors) == ({uid(kept.clinics): kept.clinics.body}, [(UNKNOWN_REPOSITORY, uid(kept.own))])


@pytest.mark.parametrize("path", [RESPONDING, GATEWAY])
async def test_a_gateway_hands_out_documents_of_both_homes_each_by_its_own(tmp_path: Path, path: str) -> None:
    async with two_repositories(tmp_path) as kept:
        bodies, errors = await kept.fetch(
            path, wanted(kept.own, OWN, VALLEY_HOME), wanted(kept.clinics, CLINIC_REPOSITORY, CLINIC_HOME)
        )
        assert (bodies, errors) == ({uid(kept.own): kept.own.body, uid(kept.clinics): kept.clinics.body}, [])
        for wrong in (
            wanted(kept.clinics, CLINIC_REPOSITORY, VALLEY_HOME),
            wanted(kept.own, OWN, CLINIC_HOME),
        ):
            bodies, ((code, location),) = await kept.fetch(path, wrong)
            assert (bodies, code) == ({}, UNKNOWN_REPOSITORY)
            if path == RESPONDING:
                assert wrong.home_community_id is not None
                assert location == f"{wrong.document_unique_id} {wrong.home_community_id.urn}"
        bodies, ((code, _),) = await kept.fetch(path, wanted(kept.clinics, CLINIC_REPOSITORY, NOBODY))
        assert (bodies, code) == ({}, "XDSUnknownCommunity")


async def test_a_repository_takes_its_own_authority_s_patients_alone(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        for door, patient_id in ((CLINIC, DOMAIN_ID), (REPOSITORY, CLINIC_ID), (CLINIC, replace(CLINIC_ID, value="X"))):
            stranger = offer(tmp_path, 3, patient_id)
            assert await (await kept.house.post(door, await rad68(stranger), peer="")).codes() == (
                "XDSUnknownPatientId",
            )


async def test_the_ids_of_one_patient_lead_from_one_authority_to_the_other(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        answer = await identified(kept.house, DOMAIN_ID, CLINIC_DOMAIN)
        assert answer.identifiers == (CLINIC_ID,)


async def test_instances_are_handed_out_to_whoever_asks_either_home(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        study = write_study(tmp_path / "kept", seed=4, series=1, instances=2)
        status, _ = await kept.house.push((one.path.read_bytes() for one in study.instances), peer="")
        assert status == 200
        await kept.house.rests("done", kind="store")
        asked = rad69_request(study, location=LOCATIONS["Valley"])
        for home in (VALLEY_HOME, CLINIC_HOME):
            head, bodies = await (await kept.ask(IMAGING_RESPONDING, RAD_75, at_home(asked, home))).retrieved()
            assert (head.errors, len(bodies)) == ((), 2)
            assert {each.home_community_id for each in head.documents} == {home}
            elsewhere = at_home(rad69_request(study, location=LOCATIONS["Region"]), home)
            head, _ = await (await kept.ask(IMAGING_RESPONDING, RAD_75, elsewhere)).retrieved()
            assert {(each.code, each.location) for each in head.errors} == {(UNKNOWN_REPOSITORY, home.urn)}
        head, _ = await (await kept.ask(IMAGING_RESPONDING, RAD_75, at_home(asked, NOBODY))).retrieved()
        assert {each.code for each in head.errors} == {"XDSUnknownCommunity"}


async def test_each_address_describes_itself(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        status, wsdl = await kept.house.get(f"{CLINIC}?wsdl")
        assert status == 200
        assert f"{kept.house.url}{CLINIC}".encode() in wsdl
        assert b"RetrieveDocumentSet" in wsdl


async def test_a_document_is_removed_at_its_own_address_alone(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:

        async def removed(path: str, repository: Oid) -> tuple[str, ...]:
            named = (DocumentRequest(repository_unique_id=repository, document_unique_id=uid(kept.clinics)),)
            return await (await kept.ask(path, ITI_86, RemoveDocumentsRequest(documents=named))).codes()

        assert await removed(REPOSITORY, CLINIC_REPOSITORY) == (UNKNOWN_REPOSITORY,)
        assert await removed(CLINIC, OWN) == (UNKNOWN_REPOSITORY,)
        assert await removed(REPOSITORY, OWN) == ("XDSDocumentUniqueIdError",)
        still = await kept.fetch(CLINIC, wanted(kept.clinics, CLINIC_REPOSITORY))
        assert still == ({uid(kept.clinics): kept.clinics.body}, [])
        assert await removed(CLINIC, CLINIC_REPOSITORY) == ()
        gone = await kept.fetch(CLINIC, wanted(kept.clinics, CLINIC_REPOSITORY))
        assert gone == ({}, [("XDSDocumentUniqueIdError", uid(kept.clinics))])


async def test_a_document_that_two_repositories_have_is_not_removed_at_one(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        entry = replace(kept.clinics.submission.entries[0], patient_id=DOMAIN_ID)
        whole = replace(kept.clinics.again().submission, entries=(entry,))
        whole = replace(whole, submission_set=replace(whole.submission_set, patient_id=DOMAIN_ID))
        twice = replace(kept.clinics, submission=whole)
        assert await (await kept.house.post(REPOSITORY, await rad68(twice), peer="")).codes() == ()
        for path, repository in ((CLINIC, CLINIC_REPOSITORY), (REPOSITORY, OWN)):
            named = (DocumentRequest(repository_unique_id=repository, document_unique_id=uid(twice)),)
            reply = await kept.ask(path, ITI_86, RemoveDocumentsRequest(documents=named))
            assert await reply.codes() == ("XDSRemoveDocumentsError",)
            assert (await kept.fetch(path, wanted(twice, repository)))[0] == {uid(twice): twice.body}


@pytest.mark.parametrize("path", [RESPONDING, GATEWAY])
async def test_what_another_community_brings_for_a_home_is_in_that_home_s_repository(tmp_path: Path, path: str) -> None:
    async with two_repositories(tmp_path) as kept:
        brought = offer(tmp_path, 5, CLINIC_ID)
        request = ProvideAndRegisterRequest(
            submission=brought.submission,
            documents={brought.submission.entries[0].entry_uuid: Content.of(brought.body, DICOM)},
            home_community_id=CLINIC_HOME,
        )
        assert await (await kept.ask(path, ITI_80 if path == RESPONDING else ITI_41, request)).codes() == ()
        told = places(await kept.find("/soap/registry", documents_of(CLINIC_ID)))
        assert told[uid(brought)] == (CLINIC_REPOSITORY, CLINIC_HOME)
        assert (await kept.fetch(CLINIC, wanted(brought, CLINIC_REPOSITORY)))[0] == {uid(brought): brought.body}


async def test_a_patient_is_told_once_for_each_home_by_the_id_that_counts_there(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        criteria = PatientCriteria(
            identifiers=(CLINIC_ID,), birth=BirthCriteria(low=ZEBEDIAH.birth_date, high=ZEBEDIAH.birth_date)
        )
        query = CandidatesQuery(criteria=criteria, question=question(), transmission=sent())
        reply = await kept.ask(RESPONDING, ITI_55, DiscoveryRequest(query=query))
        message = await read_soap(reply.content_type, reply.body)
        assert message.fault is None, reply.body
        answer: DiscoveryResponse = ITI_55.decode_response(message.to_codec()).value
        assert [(each.home, each.patient.identifiers[0]) for each in answer.answer.candidates] == [
            (VALLEY_HOME, DOMAIN_ID), (CLINIC_HOME, CLINIC_ID)
        ]  # fmt: skip


async def test_another_house_finds_and_fetches_from_both_homes_at_one_gateway(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept, ClientSession(auto_decompress=False) as http:
        gateway = f"{kept.house.url}{RESPONDING}"
        peer = {
            "name": "Valley", "home_community_id": VALLEY_HOME, "homes": [CLINIC_HOME],
            "endpoint": {"ITI-38": gateway, "ITI-39": gateway},
        }  # fmt: skip
        settings = settings_of(tmp_path / "Region", "Region", peer=[peer])
        async with running(settings) as addresses:
            house = Valley(data=settings.house.data, addresses=addresses, http=http, log=kept.house.log)
            await house.tell(replace(ZEBEDIAH, identifiers=(VALLEY_ID, DOMAIN_ID, CLINIC_ID)))
            region = replace(kept, house=house)
            found: dict[str, tuple[str | None, Oid | None]] = {}
            for patient_id in (DOMAIN_ID, CLINIC_ID):
                answer = await region.find(GATEWAY, documents_of(patient_id))
                assert answer.errors == ()
                found |= places(answer)
            assert found == {
                uid(kept.own): (OWN, VALLEY_HOME), uid(kept.clinics): (CLINIC_REPOSITORY, CLINIC_HOME)
            }  # fmt: skip
            assert places(await region.find(GATEWAY, documents_of(CLINIC_ID, CLINIC_HOME))).keys() == {
                uid(kept.clinics)
            }
            bodies, errors = await region.fetch(
                GATEWAY, wanted(kept.own, OWN, VALLEY_HOME), wanted(kept.clinics, CLINIC_REPOSITORY, CLINIC_HOME)
            )
            assert (bodies, errors) == (
                {uid(kept.own): kept.own.body, uid(kept.clinics): kept.clinics.body}, []
            )  # fmt: skip


async def test_another_house_finds_one_patient_by_the_id_that_each_home_tells(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept, ClientSession(auto_decompress=False) as http:
        gateway = f"{kept.house.url}{RESPONDING}"
        peers = [
            {"name": name, "home_community_id": home, "endpoint": dict.fromkeys(("ITI-38", "ITI-55"), gateway)}
            for name, home in (("Valley", VALLEY_HOME), ("Clinic", CLINIC_HOME))
        ]
        async with running(settings_of(tmp_path / "Region", "Region", peer=peers)) as addresses:
            house = Valley(data=tmp_path / "Region", addresses=addresses, http=http, log=kept.house.log)
            await house.tell(ZEBEDIAH)
            answer = await replace(kept, house=house).find(GATEWAY, documents_of(DOMAIN_ID))
            assert answer.errors == ()
            assert places(answer) == {
                uid(kept.own): (OWN, VALLEY_HOME), uid(kept.clinics): (CLINIC_REPOSITORY, CLINIC_HOME)
            }  # fmt: skip


async def test_the_registry_takes_entries_of_every_authority_of_ours_and_of_no_other(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        for patient_id, refused in (
            (CLINIC_ID, ()),
            (DOMAIN_ID, ()),
            (VALLEY_ID, ("XDSUnknownPatientId",)),  # known here, and no id of a domain
            (replace(CLINIC_ID, value="X"), ("XDSUnknownPatientId",)),
        ):
            entry = registrable(patient_id, repository_unique_id=CLINIC_REPOSITORY)
            request = RegisterRequest(submission=brought(entry, of=patient_id))
            assert await (await kept.ask("/soap/registry", ITI_42, request)).codes() == refused
            told = places(await kept.find("/soap/registry", documents_of(patient_id))) if not refused else {}
            assert refused or told[entry.unique_id] == (CLINIC_REPOSITORY, CLINIC_HOME)


async def test_a_person_removes_a_document_wherever_in_the_house_it_is(tmp_path: Path) -> None:
    async with two_repositories(tmp_path) as kept:
        assert (await kept.house.ask("DELETE", f"/documents/{uid(kept.clinics)}"))["objects"] > 0
        assert not (await kept.find("/soap/registry", documents_of(CLINIC_ID))).count
        bodies, ((code, _),) = await kept.fetch(CLINIC, wanted(kept.clinics, CLINIC_REPOSITORY))
        assert (bodies, code) == ({}, "XDSDocumentUniqueIdError")
        assert (await kept.fetch(REPOSITORY, wanted(kept.own, OWN)))[1] == []
