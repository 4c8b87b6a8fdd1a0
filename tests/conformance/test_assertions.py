"""What the tester signs is believed by others, what others sign is believed by it; and what a description says of both."""

from pathlib import Path

import pytest

from conformance.assertions import Issuer, Manner, new_assertion, signature_fault, signed
from conformance.case import case
from conformance.runner import run
from conformance.suites import cases
from conformance.system import BadDescription, System, read_system
from conformance.target import Target
from conformance.verdict import Unclaimed, Verdict
from profiles.transaction import Actor
from profiles.wire.xml import parse
from profiles.xua.iti40 import encode_assertion
from tests.support.assertions import signed_assertion, signed_by_xmlsec1, template, unsigned_with, xmlsec1_believes
from tests.support.certificates import MadeCertificate, make_certificate

KINDS = {"RSA": 2048, "a curve": 0}


def issuer_of(made: MadeCertificate) -> Issuer:
    return Issuer(entity_id="https://idp.example.org", certificate=made.made, key=made.private)


@pytest.mark.parametrize("bits", KINDS.values(), ids=KINDS)
def test_what_the_tester_signs_is_believed_by_xmlsec1(bits: int, tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "idp", rsa_bits=bits)
    document = signed(new_assertion("https://idp.example.org", "https://us.example.org"), issuer_of(made))
    assert xmlsec1_believes(document, made, tmp_path)
    assert not xmlsec1_believes(document.replace(b"Robin", b"Robert"), made, tmp_path)


def test_what_xmlsec1_signs_is_found_good_and_nothing_else(tmp_path: Path) -> None:
    made, other = make_certificate(tmp_path, "idp", rsa_bits=2048), make_certificate(tmp_path, "other", rsa_bits=2048)
    document = signed_by_xmlsec1(unsigned_with(template()), tmp_path, "--privkey-pem", str(made.key))
    assert signature_fault(parse(document), made.made) == ""
    assert signature_fault(parse(document), other.made) == "its signature is not good"
    assert signature_fault(parse(document.replace(b"drbob", b"mrbob")), made.made) == (
        "its digest is not that of what it says"
    )


@pytest.mark.parametrize("bits", KINDS.values(), ids=KINDS)
def test_what_the_house_signs_is_found_good(bits: int, tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "idp", rsa_bits=bits)
    assert signature_fault(parse(signed_assertion(made)), made.made) == ""


@pytest.mark.parametrize(
    ("manner", "fault"),
    [
        (Manner(weak=True), "algorithms"),
        (Manner(secret=b"x"), "algorithms"),
        (Manner(uri=""), "by its ID"),
        (Manner(references=2), "by its ID"),
        (Manner(transforms=""), "exclusively canonical"),
    ],
    ids=["SHA-1", "HMAC", "no name", "two references", "no transforms"],
)
def test_a_signature_of_another_manner_proves_nothing(manner: Manner, fault: str, tmp_path: Path) -> None:
    made = make_certificate(tmp_path, "idp", rsa_bits=2048)
    document = signed(new_assertion("https://idp.example.org", "https://us.example.org"), issuer_of(made), manner)
    assert fault in signature_fault(parse(document), made.made)


def test_what_is_not_signed_proves_nothing(tmp_path: Path) -> None:
    document = encode_assertion(new_assertion("https://idp.example.org", "https://us.example.org"))
    assert signature_fault(parse(document), make_certificate(tmp_path, "idp").made) == "it has 0 signatures"


# --- the description --------------------------------------------------------------------------------------------------

TAKEN = "[assertion]\nissuer = 'urn:idp'\nissuer_certificate = 'idp.pem'\nissuer_key = 'idp.key'\naudience = 'urn:us'\n"
SENT = "[sent_assertion]\nissuer = 'urn:them'\ncertificate = 'idp.pem'\n"


def described(folder: Path, text: str) -> System:
    made = make_certificate(folder, "idp", rsa_bits=2048)
    make_certificate(folder, "clinic", signed_by=made)
    (folder / "system.toml").write_text(text)
    return read_system(folder / "system.toml")


def test_a_description_says_on_which_terms_assertions_are_taken_and_sent(tmp_path: Path) -> None:
    system = described(
        tmp_path, TAKEN + "required = true\ncertificate = 'clinic.pem'\nkey = 'clinic.key'\n" + SENT + "audience = 'urn:we'"
    )  # fmt: skip
    taken, sent = system.assertion, system.sent_assertion
    assert taken is not None
    assert sent is not None
    assert (taken.issuer.entity_id, taken.audience, taken.required, taken.one_time_use) == (
        "urn:idp",
        "urn:us",
        True,
        False,
    )
    assert taken.tls is not None
    assert (sent.issuer, sent.audience) == ("urn:them", "urn:we")
    assert sent.certificate == taken.issuer.certificate


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[assertion]\nissuer = 'urn:idp'", r"\[assertion\] needs issuer_certificate"),
        (TAKEN + "once = true", r"\[assertion\] takes issuer,"),
        (TAKEN + "required = 1", r"\[assertion\] required is no true or false"),
        (TAKEN.replace("idp.key", "nothing.key"), r"\[assertion\] .*nothing.key"),
        (TAKEN.replace("idp.key", "idp.pem"), r"\[assertion\]"),
        (SENT.replace("idp.pem", "nothing.pem"), r"\[sent_assertion\] .*nothing.pem"),
        (SENT + "audience = 1", r"\[sent_assertion\] audience is no text"),
    ],
)
def test_terms_that_cannot_be_used_are_refused(text: str, complaint: str, tmp_path: Path) -> None:
    with pytest.raises(BadDescription, match=complaint):
        described(tmp_path, text)


async def test_what_a_description_does_not_tell_of_assertions_is_omitted_with_the_reason(tmp_path: Path) -> None:
    system = System(
        name="theirs", endpoints={"ITI-18": "http://127.0.0.1:1/"}, claims=frozenset({(Actor.SERVICE_PROVIDER, "ITI-40")})
    )  # fmt: skip
    chosen = [each for each in cases() if each.suite == "xua.provider"]
    done = await run(chosen, system, tmp_path)
    assert {result.verdict for result in done.results} == {Verdict.OMIT}
    assert {result.detail for result in done.results} == {
        "whose assertions it believes is not told: describe it as [assertion]"
    }


async def test_a_case_that_finds_that_nothing_is_claimed_is_omitted(tmp_path: Path) -> None:
    @case("ITI40/bearer", transaction="ITI-40", actor=Actor.SERVICE_PROVIDER, title="t", suite="conformance.suites.a")
    async def unclaimed(target: Target) -> None:
        raise Unclaimed("nobody says so")

    system = System(name="theirs", endpoints={}, claims=frozenset({(Actor.SERVICE_PROVIDER, "ITI-40")}))
    (result,) = (await run([unclaimed], system, tmp_path)).results
    assert (result.verdict, result.detail) == (Verdict.OMIT, "nobody says so")
