"""A person asks across two communities over mutual TLS: each house knows for whom, and each writes it down.

An EHR of Region's shows the assertion of its own identity provider; Region asks Valley with one that it made itself, for
the same person.

Source: ITI TF-2 3.40, 3.38.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from lxml import etree

from gateway.adapters.tls import TlsIdentity, client_context
from gateway.app import running
from gateway.settings import Settings
from profiles.model.codes import Code
from profiles.model.content import Content
from profiles.model.document import AvailabilityStatus
from profiles.model.identifiers import PatientIdentifier
from profiles.model.patient import PersonName
from profiles.model.query import DocumentCriteria, NameCriteria, PatientCriteria
from profiles.pdqv3.iti47 import ITI_47
from profiles.wire.soap.names import WSSE
from profiles.xcdr.iti80 import ITI_80, ProvideAndRegisterRequest
from profiles.xds.iti18 import ITI_18, StoredQuery, StoredQueryRequest, StoredQueryResponse
from profiles.xds.iti43 import ITI_43, DocumentRequest, ResponseStatus, RetrieveDocumentSetRequest
from profiles.xdsi.rad68 import RAD_68
from profiles.xdsi.rad69 import RAD_69
from tests.profiles.pdqv3 import messages as pdqv3
from tests.support.assertions import AUDIENCE, ISSUER, signed_assertion
from tests.support.certificates import MadeCertificate, make_certificate
from tests.support.communities import (
    GATEWAY,
    HOMES,
    IMAGING_GATEWAY,
    IMAGING_RESPONDING,
    LOCATIONS,
    REPOSITORIES,
    RESPONDING,
    VALLEY_HOME,
    at_home,
    settings_of,
)
from tests.support.scenario import (
    DOMAIN,
    DOMAIN_ID,
    REPOSITORY,
    VALLEY_ID,
    ZEBEDIAH,
    SoapReply,
    Valley,
    logged,
    message_of,
    offer_of,
    outcome_of,
    rad69_request,
    read_soap,
    write_study,
)
from tests.support.scenario import (
    SOMEBODY_ELSE as OTTOLINE,
)

FIND = StoredQueryRequest(
    query=StoredQuery.FIND_DOCUMENTS,
    criteria=DocumentCriteria(patient_ids=(DOMAIN_ID,), statuses=(AvailabilityStatus.APPROVED,)),
)
SOMEBODY_ELSE = PatientIdentifier(value="X9", authority=DOMAIN)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Two houses and an EHR."""

    region: Valley
    valley: Valley
    idp: MadeCertificate
    ehr: ClientSession

    async def asks(
        self, header: str, request: object = FIND, transaction: Any = ITI_18, path: str = GATEWAY
    ) -> SoapReply:
        """The EHR asks Region; for the documents of all communities, if nothing else is said."""
        message = (await message_of(transaction, request)).spoiled(b"</s:Header>", f"{header}</s:Header>".encode())
        async with self.ehr.post(
            self.region.url + path, data=message.body, headers={"Content-Type": message.content_type}
        ) as answer:
            return SoapReply(
                status=answer.status, content_type=answer.headers["Content-Type"], body=await answer.read()
            )

    def header(self, spoil: tuple[bytes, bytes] = (b"\0", b""), **changes: Any) -> str:
        """Dr Bob's, of now, for Region."""
        document = signed_assertion(self.idp, **changes).replace(*spoil)
        return f'<wsse:Security xmlns:wsse="{WSSE}" s:mustUnderstand="1">{document.decode()}</wsse:Security>'


async def found(reply: SoapReply) -> StoredQueryResponse:
    message = await read_soap(reply.content_type, reply.body)
    assert message.fault is None, reply.body
    return ITI_18.decode_response(message.to_codec()).value


def secure(settings: Settings, certificate: MadeCertificate, **sections: Any) -> Settings:
    """The same house with a certificate of its own, and more."""
    told = settings.model_dump()
    told["tls"] = {"certificate": certificate.certificate, "key": certificate.key}
    peers = sections.pop("peer")
    return Settings.model_validate({**told, **sections, "peer": peers})


@asynccontextmanager
async def scene(folder: Path, **valleys_terms: Any) -> AsyncIterator[Scene]:
    """Valley asks Region for assertions, on these terms; Region asks its EHR for them."""
    made = {name: make_certificate(folder, name) for name in ("region", "valley", "ehr", "signer")}
    idp = make_certificate(folder, "idp", rsa_bits=2048)
    region_home = HOMES["Region"].urn
    trusting = client_context(pins=(made["region"].sha256, made["valley"].sha256))
    async with logged() as log, AsyncExitStack() as stack:
        anybody = await stack.enter_async_context(ClientSession(connector=TCPConnector(ssl=trusting)))
        ehr_is = TlsIdentity(certificate=made["ehr"].certificate, key=made["ehr"].key)
        ehr = await stack.enter_async_context(
            ClientSession(connector=TCPConnector(ssl=client_context(ehr_is, pins=(made["region"].sha256,))))
        )
        valley_settings = secure(
            settings_of(folder / "Valley", "Valley"), made["valley"],
            issuer=[{"name": "Region", "entity_id": region_home, "certificates": [made["signer"].certificate]}],
            peer=[
                {"name": "Region", "certificate": made["region"].certificate, "assertion": "required", **valleys_terms}
            ],
        )  # fmt: skip
        valley = Valley(
            data=folder / "Valley", addresses=await stack.enter_async_context(running(valley_settings)), http=anybody,
            log=log, tls=trusting,
        )  # fmt: skip
        region_settings = secure(
            settings_of(folder / "Region", "Region"), made["region"],
            assertion={
                "audience": [AUDIENCE], "certificate": made["signer"].certificate, "key": made["signer"].key,
            },
            issuer=[{"name": "IdP", "entity_id": ISSUER, "certificates": [idp.certificate]}],
            affinity_domain={"patient_authority": DOMAIN, "registry": "Valley"},
            peer=[
                {
                    "name": "Valley", "certificate": made["valley"].certificate, "home_community_id": VALLEY_HOME,
                    "endpoint": {
                        **dict.fromkeys(("ITI-38", "ITI-39", "ITI-80"), valley.url + RESPONDING),
                        "ITI-42": valley.url + "/soap/registry",
                        "RAD-75": valley.url + IMAGING_RESPONDING,
                    },
                    "forward": True,
                    "send_assertion": "holder-of-key",
                },
                {"name": "EHR", "certificate": made["ehr"].certificate, "assertion": "required"},
            ],
        )  # fmt: skip
        region = Valley(
            data=folder / "Region", addresses=await stack.enter_async_context(running(region_settings)), http=anybody,
            log=log, tls=trusting,
        )  # fmt: skip
        for house in (region, valley):
            await house.tell(ZEBEDIAH)
        yield Scene(region=region, valley=valley, idp=idp, ehr=ehr)
        assert b"drbob" not in log.getvalue()
        assert b'"defect"' not in log.getvalue(), log.getvalue()[-3000:]


async def publishes(here: Scene) -> None:
    study = write_study(here.valley.data.parent / "published", series=1, instances=1)
    reply = await here.valley.provide(offer_of(study, patient_id=DOMAIN_ID), door=REPOSITORY, peer="")
    assert await reply.codes() == ()


def people_in(record: bytes) -> set[tuple[str, str]]:
    """User name and role of every person of an audit message."""
    return {
        (str(each.get("UserName")), ",".join(str(role.get("csd-code")) for role in each.iter("RoleIDCode")))
        for each in etree.fromstring(record).iter("ActiveParticipant")
        if each.get("UserName")
    }


def records_of(house: Valley, transaction: str) -> list[bytes]:
    """The audit messages of a transaction."""
    return [
        record
        for record in house.kept().audit
        if etree.fromstring(record).xpath("EventIdentification/EventTypeCode[@csd-code=$it]", it=transaction)
    ]


async def test_a_person_is_the_same_in_the_audit_of_both_communities(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        await publishes(here)
        answer = await found(await here.asks(here.header()))
        assert (answer.status, answer.errors) == (ResponseStatus.SUCCESS, ())
        assert [each.home_community_id for each in answer.entries] == [VALLEY_HOME]
        region_home = HOMES["Region"].urn
        for house, transaction, name in (
            (here.region, "ITI-18", f"bob<drbob@{ISSUER}>"),
            (here.region, "ITI-38", f"bob<drbob@{ISSUER}>"),
            (here.valley, "ITI-38", f"bob<drbob@{region_home}>"),
        ):
            (record,) = records_of(house, transaction)
            assert people_in(record) == {(name, "112247003")}
            event = etree.fromstring(record)
            assert [each.get("csd-code") for each in event.iter("PurposeOfUse")] == ["TREAT"]
            assert event.xpath("//ParticipantObjectIdentification[@ParticipantObjectID='urn:oid:1.2.4.1']")
        for house, transaction in ((here.region, "ITI-18"), (here.valley, "ITI-38")):
            steps = [each for each in house.kept().steps if each["transaction"] == transaction]
            assert ", for drbob, purpose treatment" in steps[0]["text"]


async def test_who_brings_no_assertion_or_a_forged_one_is_refused_and_it_is_audited(tmp_path: Path) -> None:
    async with scene(tmp_path) as here:
        for header, code, claim in (
            ("", "InvalidSecurity", ""),
            (here.header((b"drbob", b"mallory")), "FailedCheck", f"it claims to be <mallory@{ISSUER}>"),
            (here.header(issuer="https://nobody"), "InvalidSecurityToken", "it claims to be <drbob@https://nobody>"),
        ):
            async with here.region.refusing() as refusal:
                reply = await here.asks(header)
                assert (reply.status, (await reply.fault)[-1]) == (400, code)
            alert = etree.fromstring(refusal.audit)
            assert [each.get("csd-code") for each in alert.iter("EventID", "EventTypeCode")] == ["110113", "110126"]
            described = alert.findtext("EventIdentification/EventOutcomeDescription") or ""
            assert claim in described
            assert not people_in(refusal.audit)
            assert refusal.step["peer"] == "EHR"


async def test_a_purpose_that_a_community_does_not_serve_is_denied_there_and_audited(tmp_path: Path) -> None:
    async with scene(tmp_path, purposes=["TREAT"]) as here:
        await publishes(here)
        research = (Code(value="HRESCH", system="2.16.840.1.113883.5.8", display="healthcare research"),)
        answer = await found(await here.asks(here.header(purposes=research)))
        assert not answer.entries
        (record,) = records_of(here.valley, "ITI-38")
        assert outcome_of(record) == 4
        assert b"HRESCH" in record
        (step,) = (each for each in here.valley.kept().steps if each["transaction"] == "ITI-38")
        assert "not served for this purpose" in step["why"]
        assert (await found(await here.asks(here.header()))).entries


@pytest.mark.parametrize(
    ("bound", "told"),
    [(str(DOMAIN_ID), True), (str(VALLEY_ID), True), (str(SOMEBODY_ELSE), False), ("Zebediah", False)],
    ids=["the same", "the same by another id", "another", "no id"],
)
async def test_an_assertion_for_one_patient_is_good_for_no_other(tmp_path: Path, bound: str, told: bool) -> None:
    """ITI TF-2 3.40.4.1.2: resource-id."""
    async with scene(tmp_path) as here:
        await publishes(here)
        answer = await found(await here.asks(here.header(patient=bound)))
        assert bool(answer.entries) is told, answer.errors
        if not told:
            step = next(each for each in here.region.kept().steps if each["transaction"] == "ITI-18")
            assert "about another patient" in step["why"]
            assert "drbob" not in step["why"]
        if not told:
            return
        for_nobody = replace(FIND, criteria=replace(FIND.criteria, patient_ids=(SOMEBODY_ELSE,)))
        hidden = await found(await here.asks(here.header(patient=str(DOMAIN_ID)), for_nobody))
        assert {error.code for error in hidden.errors} == {"XDSRegistryError"}  # and not that nobody has this id


@pytest.mark.parametrize(
    ("bound", "given"),
    [("", True), (str(DOMAIN_ID), True), (str(VALLEY_ID), True), (str(SOMEBODY_ELSE), False), ("Zebediah", False)],
    ids=["anybody", "the same", "the same by another id", "another", "no id"],
)
async def test_a_document_of_another_community_is_fetched_only_for_the_assertion_s_patient(
    tmp_path: Path, bound: str, given: bool
) -> None:
    async with scene(tmp_path) as here:
        study = write_study(tmp_path / "published", series=1, instances=1)
        offer = offer_of(study, patient_id=DOMAIN_ID)
        assert await (await here.valley.provide(offer, door=REPOSITORY, peer="")).codes() == ()
        wanted = DocumentRequest(
            repository_unique_id=str(REPOSITORIES["Valley"]), home_community_id=VALLEY_HOME,
            document_unique_id=offer.submission.entries[0].unique_id,
        )  # fmt: skip
        request = RetrieveDocumentSetRequest(documents=(wanted,))
        head, bodies = await (await here.asks(here.header(patient=bound), request, ITI_43)).retrieved()
        assert (list(bodies.values()) == [offer.body]) is given, head
        await here.region.closed("ITI-39")
        went_out = [step for step in here.region.kept().steps if step["transaction"] == "ITI-39"]
        assert bool(went_out) is given
        if not given:
            assert {error.code for error in head.errors} == {"XDSDocumentUniqueIdError"}  # as if unknown
            return
        if bound:
            unknown = replace(request, documents=(wanted, replace(wanted, document_unique_id="1.2.3")))
            head, bodies = await (await here.asks(here.header(patient=bound), unknown, ITI_43)).retrieved()
            assert bodies == {}


@pytest.mark.parametrize(("bound", "given"), [(str(DOMAIN_ID), True), (str(SOMEBODY_ELSE), False)])
async def test_images_of_another_community_are_fetched_only_for_the_assertion_s_patient(
    tmp_path: Path, bound: str, given: bool
) -> None:
    async with scene(tmp_path) as here:
        study = write_study(tmp_path / "kept", series=1, instances=2)
        assert (await here.valley.push((one.path.read_bytes() for one in study.instances), peer=""))[0] == 200
        await here.valley.rests("done", kind="store")
        request = at_home(rad69_request(study, location=LOCATIONS["Valley"]), VALLEY_HOME)

        async def fetched() -> dict[str, bytes]:
            reply = await here.asks(here.header(patient=bound), request, RAD_69, IMAGING_GATEWAY)
            return (await reply.retrieved())[1]

        assert await fetched() == {}  # nobody says yet whose study it is
        offer = offer_of(study, patient_id=DOMAIN_ID)
        assert await (await here.valley.provide(offer, door=REPOSITORY, peer="")).codes() == ()
        assert len(await fetched()) == (2 if given else 0)


@pytest.mark.parametrize(
    ("bound", "taken"),
    [("", True), (str(DOMAIN_ID), True), (str(VALLEY_ID), True), (str(SOMEBODY_ELSE), False), ("Zebediah", False)],
    ids=["anybody", "the same", "the same by another id", "another", "no id"],
)
async def test_what_is_passed_on_to_a_community_is_of_the_assertion_s_patient_and_says_for_whom(
    tmp_path: Path, bound: str, taken: bool
) -> None:
    async with scene(tmp_path) as here:
        offer = offer_of(write_study(tmp_path / "study", series=1, instances=1), patient_id=DOMAIN_ID)
        request = ProvideAndRegisterRequest(
            submission=offer.submission, home_community_id=VALLEY_HOME,
            documents={offer.submission.entries[0].entry_uuid: Content.of(offer.body)},
        )  # fmt: skip
        reply = await here.asks(here.header(patient=bound), request, ITI_80, RESPONDING)
        answer = await reply.registered()
        assert (answer.status is ResponseStatus.SUCCESS) is taken, answer
        kept = here.valley.kept()
        assert len(kept.rows["entries"]) == taken
        assert any(b"drbob" in each and b'"ITI-80"' in each for each in kept.audit) is taken
        if not taken:
            assert [step["direction"] for step in here.region.kept().steps if step["transaction"] == "ITI-80"] == ["in"]


@pytest.mark.parametrize(
    ("bound", "taken"),
    [("", True), (str(DOMAIN_ID), True), (str(VALLEY_ID), True), (str(SOMEBODY_ELSE), False)],
    ids=["anybody", "the same", "the same by another id", "another"],
)
async def test_what_is_registered_elsewhere_is_of_the_assertion_s_patient_and_says_for_whom(
    tmp_path: Path, bound: str, taken: bool
) -> None:
    async with scene(tmp_path) as here:
        offer = offer_of(write_study(tmp_path / "study", series=1, instances=1), patient_id=DOMAIN_ID)
        request = ProvideAndRegisterRequest(
            submission=offer.submission, documents={offer.submission.entries[0].entry_uuid: Content.of(offer.body)}
        )
        reply = await here.asks(here.header(patient=bound), request, RAD_68, REPOSITORY)
        answer = await reply.registered()
        assert (answer.status is ResponseStatus.SUCCESS) is taken, answer
        assert len(here.valley.kept().rows["entries"]) == taken
        assert len(here.region.kept().rows["documents"]) == taken
        assert any(b"drbob" in each and b'"ITI-42"' in each for each in here.valley.kept().audit) is taken
        if not taken:  # the registry was not even asked
            assert not records_of(here.region, "ITI-42")


async def test_a_person_whose_assertion_is_for_one_patient_is_not_told_of_another_by_demographics(
    tmp_path: Path,
) -> None:
    """What a question finds counts, not only what it names: ITI-47 by a family name that two patients have."""
    by_name = replace(
        pdqv3.EVERYTHING,
        criteria=PatientCriteria(names=(NameCriteria(name=PersonName(family="Quillfeather")),)),
        domains=(), initial_quantity=None, minimum_degree=None,
    )  # fmt: skip
    async with scene(tmp_path) as here:
        bound = here.header(patient=str(DOMAIN_ID))
        told = await here.asks(bound, by_name, ITI_47, "/soap/patient-manager")
        assert b"Zebediah" in told.body
        await here.region.tell(OTTOLINE)
        refused = await here.asks(bound, by_name, ITI_47, "/soap/patient-manager")
        assert b"Zebediah" not in refused.body
        assert b"Ottoline" not in refused.body
        both = await here.asks(here.header(), by_name, ITI_47, "/soap/patient-manager")
        assert b"Zebediah" in both.body
        assert b"Ottoline" in both.body
        outcomes = [outcome_of(record) for record in records_of(here.region, "ITI-47")]
        assert sorted(outcomes) == [0, 0, 0, 4]  # two patients are two records
