"""ITI-80: ITI-41's messages under its own actions and audit type, addressed to a community."""

from dataclasses import replace

import pytest
from lxml import etree

from profiles.model.audit import Action, Outcome
from profiles.model.content import Content
from profiles.model.identifiers import Oid
from profiles.transaction import Side
from profiles.wire.audit.participants import EXPORT, IMPORT
from profiles.wire.ebxml.provide import HOME_BLOCK
from profiles.wire.soap.message import SoapIn
from profiles.xcdr.iti80 import ITI_80, ProvideAndRegisterRequest, RegistryResponse
from profiles.xds.iti41 import ITI_41
from profiles.xdsi.rad68 import RAD_68
from tests.profiles.xds.audited import DOCTOR, DOWN, ME, REFUSED, THEM, details, facts, ids, judge, parties
from tests.profiles.xds.messages import ACROSS, HOME, PROVIDE, UNKNOWN_RECIPIENT
from tests.support.ebxml import judge as judge_body
from tests.support.ebxml import parse, sample, soap_in, vector, written

ELSEWHERE = Oid("1.2.99.1")
SET = "//*[@id='SubmissionSet01']"
ATTACHED = {"1.document@radgate": Content.of(b"DICM of a kind...")}


def rules(request: ProvideAndRegisterRequest) -> list[tuple[str, str, str]]:
    return [(each.rule, each.code, each.location) for check in ITI_80.checks for each in check(request)]


def header(*homes: str) -> etree._Element:
    blocks = "".join(
        f'<x:homeCommunityBlock xmlns:x="urn:ihe:iti:xdr:2014"><x:homeCommunityId>{home}</x:homeCommunityId>'
        "</x:homeCommunityBlock>"
        for home in homes
    )
    return parse(f"<Header>{blocks}</Header>".encode())


def asked(*, slot: str | None, on_set: str | None, block: str | None) -> SoapIn:
    """A request that names the community in these places."""
    body = vector("iti80-request.xml")
    slots = next(body.iter("{*}RequestSlotList"))
    if slot is None:
        slots.getparent().remove(slots)  # type: ignore[union-attr]
    else:
        next(slots.iter("{*}Value")).text = slot
    (whole,) = body.xpath(SET)
    if on_set is None:
        del whole.attrib["home"]
    else:
        whole.set("home", on_set)
    return SoapIn(action="", body=body, header=header(block) if block else None, attachments=ATTACHED)


def test_its_actions_are_its_own() -> None:
    assert ITI_80.request_action == "urn:ihe:iti:2015:CrossGatewayDocumentProvide"
    assert ITI_80.response_action == "urn:ihe:iti:2015:CrossGatewayDocumentProvideResponse"


@pytest.mark.parametrize(
    ("slot", "on_set", "block"),
    [
        ("urn:oid:1.2.3.1", "urn:oid:1.2.3.1", "urn:oid:1.2.3.1"),
        ("urn:oid:1.2.3.1", None, None),
        (None, "urn:oid:1.2.3.1", None),
        (None, None, "urn:oid:1.2.3.1"),
        ("urn:oid:1.2.3.1", "urn:oid:1.2.99.1", None),  # the sender's own, on the set
        (None, "urn:oid:1.2.99.1", "urn:oid:1.2.3.1"),
        ("1.2.3.1", None, "urn:oid:urn:oid:1.2.3.1"),
    ],
)
def test_the_community_is_read_wherever_a_sender_writes_it(
    slot: str | None, on_set: str | None, block: str | None
) -> None:
    request = ITI_80.decode_request(asked(slot=slot, on_set=on_set, block=block)).value
    assert request.home_community_id == HOME
    assert request.submission == PROVIDE.submission  # an address is no metadata
    assert rules(request) == []


def test_a_header_that_names_another_community_than_the_request_is_a_contradiction() -> None:
    decoded = ITI_80.decode_request(asked(slot="urn:oid:1.2.3.1", on_set=None, block=ELSEWHERE.urn))
    (finding,) = decoded.findings
    assert (finding.rule, finding.severity.value) == ("ebrim/one-community", "error")


def test_a_submission_without_a_community_is_told_so() -> None:
    request = ITI_80.decode_request(asked(slot=None, on_set=None, block=None)).value
    assert rules(request) == [("ITI80/home", "XDSMissingHomeCommunityId", "1.2.826.0.1.99.3")]


def test_a_home_that_is_no_oid_is_none() -> None:
    decoded = ITI_80.decode_request(asked(slot="Valley", on_set=None, block=None))
    assert decoded.value.home_community_id is None
    assert [each.rule for each in decoded.findings] == ["ebrim/home"]


def test_it_is_written_in_all_three_places() -> None:
    out = ITI_80.encode_request(ACROSS)
    body = written(out)
    assert [each.text for each in next(body.iter("{*}RequestSlotList")).iter("{*}Value")] == [HOME.urn]
    assert [each.get("home") for each in body.xpath(SET)] == [HOME.urn]
    block = parse(out.header)
    assert (block.tag, [each.text for each in block]) == (HOME_BLOCK, [HOME.urn])
    assert frozenset({HOME_BLOCK}) == ITI_80.headers


def test_a_submission_inside_a_community_is_addressed_to_nobody() -> None:
    out = ITI_41.encode_request(PROVIDE)
    assert (out.header, list(written(out).iter("{*}RequestSlotList"))) == (b"", [])


def test_a_manifest_is_held_to_the_rules_of_rad_68() -> None:
    assert set(ITI_80.checks) > set(RAD_68.checks)
    (entry,) = PROVIDE.submission.entries
    text = replace(ACROSS, submission=replace(PROVIDE.submission, entries=(replace(entry, mime_type="text/plain"),)))
    assert [rule for rule, _, _ in rules(text)] == ["RAD68-005"]


def test_the_responder_imports_and_the_initiator_exports() -> None:
    (there,) = ITI_80.audit(Side.RESPONDER, ACROSS, RegistryResponse(), facts(user=DOCTOR))
    assert (there.event, there.action, there.outcome) == (IMPORT, Action.CREATE, Outcome.SUCCESS)
    assert [(code.code, code.text) for code in there.types] == [("ITI-80", "Cross-Gateway Document Provide")]
    assert parties(there) == [(THEM.user_id, "source", True), (ME.user_id, "destination", False)]
    (here,) = ITI_80.audit(Side.INITIATOR, ACROSS, RegistryResponse(), facts(local=ME, remote=THEM))
    assert (here.event, here.action) == (EXPORT, Action.READ)
    for record in (there, here):
        patient, whole = record.objects
        assert ids(record)[1] == "1.2.826.0.1.99.3"
        assert (details(patient), details(whole)) == ([], [("ihe:homeCommunityID", HOME.urn)])


@pytest.mark.judge_standard
@pytest.mark.parametrize("side", Side)
def test_the_records_are_valid_messages(side: Side) -> None:
    judge(
        *ITI_80.audit(side, ACROSS, RegistryResponse(), facts(user=DOCTOR)),
        *ITI_80.audit(side, ACROSS, UNKNOWN_RECIPIENT, facts()),
        *ITI_80.audit(side, ACROSS, None, facts(error=DOWN)),
        *ITI_80.audit(side, None, None, facts(error=REFUSED)),
    )


@pytest.mark.judge_standard
@pytest.mark.parametrize("name", ["soap-pnr.xml"])
def test_a_submission_of_others_is_addressed_and_valid(name: str) -> None:
    theirs = ITI_41.decode_request(soap_in(sample("iti-41", name))).value
    body = written(ITI_80.encode_request(replace(theirs, home_community_id=HOME)))
    judge_body(body)
    assert ITI_80.decode_request(soap_in(body)).value.home_community_id == HOME
