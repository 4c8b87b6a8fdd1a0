"""Settings: what is read, what is refused, and that the annotated file knows every key."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from gateway.settings import Settings, SettingsError
from gateway.settings_file import annotated
from gateway.settings_reading import load
from tests.support.certificates import make_certificate


def written(folder: Path, text: str) -> Path:
    path = folder / "radgate.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(folder: Path, text: str, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        load(written(folder, text), environment or {})
    for problem in raised.value.problems:
        assert problem.key
        assert problem.reason
        assert problem.cure
    return [problem.key for problem in raised.value.problems]


def test_nothing_at_all_is_a_house_on_loopback() -> None:
    settings = load(None, {})
    assert settings.listen.host == "127.0.0.1"
    assert settings.archive.kind == "files"


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, '[house]\nname = "Valley"\n')
    assert load(path, {"RADGATE__HOUSE__NAME": "Region"}).house.name == "Region"


def test_an_oid_is_read_with_and_without_urn(tmp_path: Path) -> None:
    path = written(tmp_path, '[house]\nhome_community_id = "urn:oid:1.2.3"\npatient_authority = "1.2.4"\n')
    house = load(path, {}).house
    assert (house.home_community_id, house.patient_authority) == ("1.2.3", "1.2.4")


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    assert load(written(tmp_path, '[house]\ndata = "here"\n'), {}).house.data == tmp_path / "here"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[house]\nnmae = 'x'\n", "house.nmae"),
        ("[hoose]\nname = 'x'\n", "hoose"),
        ("[listen]\nhttp_port = 70000\n", "listen.http_port"),
        ("[house]\npatient_authority = 'mine'\n", "house.patient_authority"),
        ("[house]\ntime_zone = 'Middle/Earth'\n", "house.time_zone"),
        ("[tls]\ncertificate = 'absent.pem'\nkey = 'absent.key'\n", "tls.certificate"),
        ("[listen]\nhost = '0.0.0.0'\n", "listen.host"),
        ("[archive]\nkind = 'dicomweb'\n", "archive.url"),
        ("[retention]\nraw_key = 'absent.key'\n", "retention.raw_key"),
        ("[retention]\nraw_key = 'radgate.toml'\n", "retention.raw_key"),
        ("[retention]\nask_days = 0\n", "retention.ask_days"),
        ("[[rule]]\nwhen = 'study.available'\ndo = ['share:Nobody']\n", "rule.0.do"),
        ("[[rule]]\nwhen = 'study.available'\ndo = ['burn:Nobody']\n", "rule.0.do"),
        ("[[rule]]\nwhen = 'study.available'\ndo = ['register:Nobody']\n", "rule.0.do"),
        ("[[rule]]\nwhen = 'study.available'\ndo = ['offer:Nobody']\n", "rule.0.do"),
        ("[[rule]]\nwhen = 'study.lost'\ndo = ['register']\n", "rule.0.when"),
        ("[[rule]]\nwhen = 'study.changed'\ndo = []\nyounger_than_days = -1\n", "rule.0.younger_than_days"),
        ("[[peer]]\nname = 'A'\n[[peer]]\nname = 'A'\n", "peer.1.name"),
        ("[[peer]]\nname = 'A'\n[peer.endpoint]\n'RAD-69' = 'nowhere'\n", "peer.0.endpoint.RAD-69"),
    ],
)
def test_what_cannot_work_is_refused_with_its_key(tmp_path: Path, text: str, key: str) -> None:
    assert key in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("key", "good"),
    [
        (f"{'0aF9' * 16}", True),
        (f"{'0aF9' * 16}\n", True),
        ("0aF9" * 15, False),
        ("0aF9" * 17, False),
        ("xyz0" * 16, False),
        ("", False),
    ],
)
def test_a_raw_key_is_32_bytes_in_hexadecimal(tmp_path: Path, key: str, good: bool) -> None:
    (tmp_path / "raw.key").write_text(key, encoding="utf-8")
    text = '[retention]\nraw_key = "raw.key"\n'
    if good:
        assert load(written(tmp_path, text), {}).retention.raw_key == tmp_path / "raw.key"
    else:
        assert refusal(tmp_path, text) == ["retention.raw_key"]


def test_no_raw_key_is_an_empty_one_too(tmp_path: Path) -> None:
    assert load(written(tmp_path, '[retention]\nraw_key = ""\n'), {}).retention.raw_key is None
    assert load(None, {"RADGATE__RETENTION__RAW_KEY": ""}).retention.raw_key is None


PEER = "[[peer]]\nname = 'Lakeside'\n"
ISSUER = "[[issuer]]\nname = 'IdP'\ncertificates = ['idp.pem']\n"
KEY = "[assertion]\ncertificate = 'ours.pem'\nkey = 'ours.key'\n"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    for name, bits in (("idp", 2048), ("ours", 0), ("short", 1024)):
        make_certificate(tmp_path, name, rsa_bits=bits)
    return tmp_path


def test_assertions_are_asked_for_of_a_peer_and_believed_of_an_issuer(certificates: Path) -> None:
    more = "home_community_ids = ['urn:oid:1.2.4.1']\n"
    asks = "assertion = 'required'\nissuers = ['IdP']\npurposes = ['TREAT']\nsend_assertion = 'bearer'\n"
    settings = load(written(certificates, KEY + ISSUER + more + PEER + asks), {})
    assert settings.issuer[0].certificates == (certificates / "idp.pem",)
    assert settings.issuer[0].home_community_ids == ("1.2.4.1",)
    assert settings.assertion.key == certificates / "ours.key"
    assert settings.peer[0].assertion.value == "required"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (PEER + "assertion = 'required'\n", "peer.0.assertion"),
        (PEER + "assertion = 'maybe'\n", "peer.0.assertion"),
        (ISSUER + PEER + "assertion = 'optional'\nissuers = ['Other']\n", "peer.0.issuers"),
        (ISSUER + PEER + "purposes = ['TREAT']\n", "peer.0.purposes"),
        (ISSUER + PEER + "roles = ['112247003']\n", "peer.0.roles"),
        (PEER + "send_assertion = 'bearer'\n", "peer.0.send_assertion"),
        (KEY + PEER + "send_assertion = 'holder-of-key'\n", "peer.0.send_assertion"),
        (ISSUER + ISSUER, "issuer.0.name"),
        (ISSUER + "entity_id = 'x'\n" + ISSUER.replace("IdP", "x"), "issuer.1.name"),
        (ISSUER.replace("idp.pem", "absent.pem"), "issuer.0.certificates.0"),
        (ISSUER.replace("idp.pem", "radgate.toml"), "issuer.0.certificates.0"),
        (ISSUER.replace("idp.pem", "short.pem"), "issuer.0.certificates.0"),
        (ISSUER.replace("'idp.pem'", ""), "issuer.0.certificates"),
        (KEY.replace("key = 'ours.key'", ""), "assertion.key"),
        (KEY.replace("ours.key", "idp.key"), "assertion.key"),
        (KEY.replace("ours", "short"), "assertion.key"),
        (KEY.replace("ours.key", "ours.pem"), "assertion.key"),
        (KEY.replace("ours.key", "absent.key"), "assertion.key"),
        ("[assertion]\nlifetime_s = 0\n", "assertion.lifetime_s"),
        ("[assertion]\nclock_skew_s = 3600\n", "assertion.clock_skew_s"),
        ("[assertion]\npurpose = { code = 'TREAT' }\n", "assertion.purpose.system"),
    ],
)
def test_assertions_that_cannot_work_are_refused_with_the_key(certificates: Path, text: str, key: str) -> None:
    assert key in refusal(certificates, text)


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    assert len(refusal(tmp_path, "[house]\nnmae = 'x'\n[listen]\nhttp_port = 70000\n")) == 2


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="config init"):
        load(tmp_path / "absent.toml", {})


def test_secrets_do_not_print_themselves(tmp_path: Path) -> None:
    settings = load(None, {"RADGATE__ARCHIVE__PASSWORD": "s3cret", "RADGATE__STORE__URL": "postgresql://u:s3cret@h/d"})
    assert "s3cret" not in str(settings.model_dump(mode="json"))
    assert "s3cret" not in repr(settings)


def test_the_annotated_file_can_be_used_as_it_is(tmp_path: Path) -> None:
    load(written(tmp_path, annotated()), {})


def test_the_annotated_file_knows_every_setting() -> None:
    lines = [re.sub(r"^# ", "", line) for line in annotated().splitlines()]
    tables = tomllib.loads("\n".join(line for line in lines if re.match(r'(\[|"?[\w-]+"? = )', line)))

    def keys(model: type[BaseModel]) -> set[str]:
        return set(model.model_fields)

    for name, field in Settings.model_fields.items():
        section = field.annotation
        assert name in tables, name
        if isinstance(section, type) and issubclass(section, BaseModel):
            assert keys(section) == set(tables[name]), name
        else:
            (inner,) = [each for each in section.__args__ if each is not Ellipsis]
            assert keys(inner) == set(tables[name][0]), name
