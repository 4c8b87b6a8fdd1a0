"""What is well-formed and cannot work is refused with its key; what only looks like it is not."""

from pathlib import Path

import pytest

from gateway.settings import Settings, SettingsError
from gateway.settings_checks import ENDPOINTS
from gateway.settings_reading import load
from profiles.catalogue import TRANSACTIONS
from profiles.transaction import Hl7Transaction, SoapTransaction
from tests.support.certificates import make_certificate

TLS = "[tls]\ncertificate = 'ours.pem'\nkey = 'ours.key'\n"
A = "[[peer]]\nname = 'A'\n"
B = "[[peer]]\nname = 'B'\n"
R = "[[repository]]\nname = 'clinic'\nunique_id = '1.2.8'\n"
RULE = "[[rule]]\nwhen = 'study.available'\n"
DOMAIN = "[affinity_domain]\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("settings")
    make_certificate(made, "ours")
    other = make_certificate(made, "theirs")
    (made / "copy.pem").write_bytes(other.certificate.read_bytes())
    return made


def read(folder: Path, text: str) -> Settings:
    path = folder / "radgate.toml"
    path.write_text(text, encoding="utf-8")
    return load(path, {})


def refused(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        read(folder, text)
    assert all(each.reason and each.cure for each in raised.value.problems)
    return [each.key for each in raised.value.problems]


def endpoint(name: str, address: str) -> str:
    return f"[peer.endpoint]\n'{name}' = '{address}'\n"


ITI_38 = endpoint("ITI-38", "https://a.example/")
RAD_75 = endpoint("RAD-75", "https://a.example/")
ITI_80 = endpoint("ITI-80", "https://a.example/")


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (TLS.replace("ours.pem", "radgate.toml"), "tls.certificate"),
        (TLS.replace("ours.key", "radgate.toml"), "tls.key"),
        (TLS.replace("ours.key", "theirs.key"), "tls.key"),
        (TLS.replace("ours.pem", "/proc/self/mem"), "tls.certificate"),
        ("[tls]\ntrust = ['ours.pem', 'radgate.toml']\n", "tls.trust.1"),
        ("[tls]\ntrust = ['ours.key']\n", "tls.trust.0"),
        ("[tls]\ntrust = ['/proc/self/mem']\n", "tls.trust.0"),
        ("[audit]\nsyslog_trust = ['radgate.toml']\n", "audit.syslog_trust.0"),
        (A + "certificate = 'radgate.toml'\n", "peer.0.certificate"),
        ("[house]\nname = ' '\n", "house.name"),
        ('[house]\ndata = "a\\u0000b"\n', "house.data"),
        ("[assertion]\ncertificate = 'ours.pem'\nkey = '/proc/self/mem'\n", "assertion.key"),
        ("[retention]\nraw_key = '/proc/self/mem'\n", "retention.raw_key"),
        ("[tls]\nclient_certificate = 'required'\n", "tls.client_certificate"),
        ("[listen]\nhttp_port = 2575\n", "listen.mllp_port"),
        ("[listen]\nbase_url = 'valley.example'\n", "listen.base_url"),
        ("[listen]\nbase_url = 'ftp://valley.example'\n", "listen.base_url"),
        (TLS + "[listen]\nbase_url = 'http://valley.example'\n", "listen.base_url"),
        ("[archive]\nkind = 'dicomweb'\nurl = 'ftp://vna.example'\n", "archive.url"),
        ("[archive]\nkind = 'dicomweb'\nurl = 'vna.example:8042'\n", "archive.url"),
        ("[archive]\nkind = 'dicomweb'\nurl = 'http://[::1'\n", "archive.url"),
        ("[archive]\nkind = 'dicomweb'\nurl = 'http://h'\nnative_url = 'instances'\n", "archive.native_url"),
        ("[archive]\nurl = 'http://vna.example'\n", "archive.url"),
        ("[archive]\nkind = 'dicomweb'\n", "archive.url"),
        ("[store]\nurl = 'mysql://localhost/radgate'\n", "store.url"),
        ("[store]\nurl = 'radgate.db'\n", "store.url"),
        ("[store]\nurl = 'sqlite://'\n", "store.url"),
        ("[store]\nurl = 'sqlite:///:memory:'\n", "store.url"),
        ("[store]\nurl = 'postgresql://h:port/d'\n", "store.url"),
        ("[audit]\nsyslog = 'tls://host:port'\n", "audit.syslog"),
        (A + endpoint("RAD-690", "https://a.example/"), "peer.0.endpoint.RAD-690"),
        (A + endpoint("ITI-8", "mllp://a.example:2575"), "peer.0.endpoint.ITI-8"),
        (A + endpoint("RAD-69", "mllp://a.example:2575"), "peer.0.endpoint.RAD-69"),
        (A + endpoint("MLLP", "https://a.example/"), "peer.0.endpoint.MLLP"),
        (A + endpoint("MLLP", "mllp://:2575"), "peer.0.endpoint.MLLP"),
        (A + endpoint("FHIR", "https://a.example:70000/"), "peer.0.endpoint.FHIR"),
        (A + "scopes = ['RAD-69', 'RAD-6']\n", "peer.0.scopes"),
        (A + "token_sha256 = 'secret'\n", "peer.0.token_sha256"),
        (A + f"token_sha256 = '{'g' * 64}'\n", "peer.0.token_sha256"),
        (A + "reply_to = ['lakeside.example']\n", "peer.0.reply_to"),
        (DOMAIN + "registry = 'B'\n" + A, "affinity_domain.registry"),
        (DOMAIN + "registry = 'A'\n" + A + ITI_38, "affinity_domain.registry"),
        ("[listen]\nreply_url = 'valley.example'\n", "listen.reply_url"),
        (TLS + "[listen]\nreply_url = 'http://valley.example/soap/reply'\n", "listen.reply_url"),
        (A + "ask_asynchronously = ['RAD-69']\n", "peer.0.ask_asynchronously"),
        (A + "deferred_discovery = true\n" + ITI_38, "peer.0.deferred_discovery"),
        (
            A
            + "deferred_discovery = true\nask_asynchronously = ['ITI-55']\n"
            + endpoint("ITI-55", "https://a.example/"),
            "peer.0.deferred_discovery",
        ),
        (A + "ask_asynchronously = ['FHIR']\n" + endpoint("FHIR", "https://a.example/"), "peer.0.ask_asynchronously"),
        (A + "ask_asynchronously = ['MLLP']\n" + endpoint("MLLP", "mllp://a.example:1"), "peer.0.ask_asynchronously"),
        (A + ITI_80, "peer.0.endpoint.ITI-80"),
        (A + "home_community_id = '1.2'\nforward = true\n" + ITI_38, "peer.0.forward"),
        ("[[peer]]\nname = ''\n", "peer.0.name"),
        ("[[peer]]\nname = ' '\n", "peer.0.name"),
        (RULE + "do = []\n", "rule.0.do"),
        (RULE + "do = ['share:A']\n", "rule.0.do"),
        (A + RULE + "do = ['share:A']\n", "rule.0.do"),
        (A + RULE + "do = ['announce:A']\n", "rule.0.do"),
        (A + RULE + "do = ['offer:A']\n", "rule.0.do"),
        (A + endpoint("MLLP", "mllp://a.example:1") + RULE + "do = ['announce:A', 'share:A']\n", "rule.0.do"),
        (
            "[publish]\nkeep_on_demand = true\n"
            + A
            + endpoint("ITI-61", "https://a.example/")
            + RULE
            + "do = ['offer:A']\n",
            "publish.keep_on_demand",
        ),
        (R.replace("clinic", ""), "repository.0.name"),
        (R.replace("clinic", "a/b"), "repository.0.name"),
        ("[[repository]]\nname = 'clinic'\n", "repository.0.unique_id"),
        (R + R.replace("1.2.8", "1.2.9"), "repository.1.name"),
        (R + R.replace("clinic", "other"), "repository.1.unique_id"),
        ("[house]\nrepository_unique_id = 'urn:oid:1.2.8'\n" + R, "repository.0.unique_id"),
        (A + "repository_unique_ids = ['1.2.7', '1.2.8']\n" + R, "repository.0.unique_id"),
        (A + "home_community_id = '1.2.6'\n" + R + "home_community_id = '1.2.6'\n", "repository.0.home_community_id"),
        (A + "homes = ['1.2.6']\n" + R + "home_community_id = '1.2.6'\n", "repository.0.home_community_id"),
        (DOMAIN + "registry = 'A'\n" + A + endpoint("ITI-42", "https://a.example/") + R, "repository"),
    ],
)
def test_what_cannot_work_is_refused_with_its_key(folder: Path, text: str, key: str) -> None:
    assert refused(folder, text) == [key]


@pytest.mark.parametrize(
    ("first", "second", "key"),
    [
        ("", B.replace("B", "A"), "name"),
        (f"token_sha256 = '{'ab' * 32}'\n", B + f"token_sha256 = '{'AB' * 32}'\n", "token_sha256"),
        ("certificate = 'theirs.pem'\n", B + "certificate = 'copy.pem'\n", "certificate"),
        (
            "retrieve_location_uids = ['1.2']\n",
            B + "retrieve_location_uids = ['1.3', '1.2']\n",
            "retrieve_location_uids",
        ),
        ("repository_unique_ids = ['1.2']\n", B + "repository_unique_ids = ['1.2']\n", "repository_unique_ids"),
        ("home_community_id = '1.2'\n" + ITI_38, B + "homes = ['urn:oid:1.2']\n" + ITI_38, "home_community_id"),
        ("hl7_application = 'X'\n", B + "hl7_application = 'X'\n", "hl7_application"),
    ],
)
def test_two_peers_that_cannot_be_told_apart_are_refused(folder: Path, first: str, second: str, key: str) -> None:
    assert refused(folder, A + first + second) == [f"peer.1.{key}"]


@pytest.mark.parametrize(
    "text",
    [
        TLS
        + "trust = ['theirs.pem']\nclient_certificate = 'required'\n[listen]\nbase_url = 'https://valley.example'\n",
        "[listen]\nbase_url = 'https://valley.example'\n",  # a proxy on this machine ends TLS
        "[listen]\nhttp_port = 0\nmllp_port = 0\n",
        "[listen]\nhttp_port = 2575\nmllp = false\n",
        "[store]\nurl = 'postgresql+asyncpg://radgate@/radgate?host=/run/postgresql'\n",
        "[archive]\nkind = 'dicomweb'\nurl = 'http://localhost:8042/dicom-web'\n",
        A + "home_community_id = '1.2'\n" + ITI_38 + B + "home_community_id = '1.2'\n" + RAD_75,
        A + "retrieve_location_uids = ['1.2', '1.2']\nscopes = ['RAD-69', 'FHIR ImagingStudy search']\n",
        DOMAIN + "registry = 'A'\n" + A + endpoint("ITI-42", "https://a.example/"),
        A + "hl7_application = 'X'\nhl7_facility = 'A'\n" + B + "hl7_application = 'X'\nhl7_facility = 'B'\n",
        A + "ask_asynchronously = ['ITI-38']\n" + ITI_38,
        A + "deferred_discovery = true\n" + endpoint("ITI-55", "https://a.example/"),
        A + "home_community_id = '1.2'\nforward = true\n" + ITI_80 + RULE + "do = ['share:A']\n",
        A + endpoint("ITI-41", "https://a.example/") + RULE + "do = ['share:A']\n",
        "[house]\nhome_community_id = '1.2.6'\n" + R + "home_community_id = '1.2.6'\n",
        R
        + "home_community_id = '1.2.6'\n"
        + R.replace("clinic", "b").replace("1.2.8", "1.2.9")
        + "home_community_id = '1.2.6'\n",
        A + "repository_unique_ids = ['1.2.7']\nhome_community_id = '1.2.5'\n" + R + "patient_authority = '1.2.4'\n",
        A + endpoint("ORU^R01", "mllps://a.example:2575") + RULE + "do = ['announce:A', 'register']\n",
    ],
)
def test_what_only_looks_like_it_is_not_refused(folder: Path, text: str) -> None:
    read(folder, text)


def test_what_is_wrong_in_many_tables_is_told_at_once(folder: Path) -> None:
    text = "[house]\nnmae = 'x'\n[limits]\nresults = 0\n[store]\nurl = 'mysql://h/d'\n" + A + "token_sha256 = 'x'\n"
    assert refused(folder, text) == ["house.nmae", "limits.results", "store.url", "peer.0.token_sha256"]


def test_a_value_that_cannot_be_read_hides_nothing_elsewhere(folder: Path) -> None:
    text = "[tls]\ntrust = 'a.pem'\n[listen]\nhttp_port = 2575\n" + A + "batch_instances = 0\n" + B
    assert refused(folder, text + "token_sha256 = 'x'\n" + RULE + "do = ['share:A']\n") == [
        "tls.trust", "peer.0.batch_instances", "listen.mllp_port", "peer.1.token_sha256", "rule.0.do"
    ]  # fmt: skip
    assert refused(folder, "peer = [5, { name = 'B', token_sha256 = 'x' }]\n") == ["peer.0"]


def test_what_follows_from_what_cannot_be_read_is_not_told(folder: Path) -> None:
    assert refused(folder, "[listen]\nhost = '0.0.0.0'\n[tls]\ncertificate = 5\nkey = 6\n") == [
        "tls.certificate", "tls.key"
    ]  # fmt: skip


def test_endpoints_are_transactions_of_the_catalogue_and_their_schemes_those_of_its_wire() -> None:
    by_name = {each.id: each for each in TRANSACTIONS}
    for name, schemes in ENDPOINTS.items():
        if name not in {"FHIR", "DICOMWEB", "MLLP"}:
            assert isinstance(by_name[name], SoapTransaction if schemes == ("http", "https") else Hl7Transaction), name
