"""How settings are read: the environment, bounds, paths, and words that an operator understands."""

from pathlib import Path

import pytest

from gateway.settings import Problem, SettingsError
from gateway.settings_reading import load


def problems(folder: Path, text: str = "", environment: dict[str, str] | None = None) -> tuple[Problem, ...]:
    path = folder / "radgate.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as raised:
        load(path, environment or {})
    return raised.value.problems


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "1e30"])
@pytest.mark.parametrize(
    "key",
    [
        "archive.look_again_s", "listen.drain_timeout_s", "audit.checkpoint_records", "audit.checkpoint_s",
        "access.session_minutes", "limits.soap_root_bytes", "limits.document_bytes", "limits.hl7_message_bytes",
        "limits.idle_timeout_s", "limits.results", "limits.community_deadline_s", "retention.raw_days",
        "retention.ask_days", "assertion.own_lifetime_s", "publish.per_minute",
    ],
)  # fmt: skip
def test_a_number_that_makes_no_sense_is_refused(tmp_path: Path, key: str, value: str) -> None:
    section, name = key.split(".")
    assert [each.key for each in problems(tmp_path, f"[{section}]\n{name} = {value}\n")] == [key]


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf"])
def test_a_peer_is_waited_for_some_time(tmp_path: Path, value: str) -> None:
    (problem,) = problems(tmp_path, f"[[peer]]\nname = 'A'\nidle_timeout_s = {value}\n")
    assert problem.key == "peer.0.idle_timeout_s"


@pytest.mark.parametrize(
    "text",
    [
        "[tls]\ntrust = 'a.pem'\n", "[tls]\ncertificate = 5\n", "[house]\nname = 5\n", "[listen]\nmllp = 'perhaps'\n",
        "[listen]\nhttp_port = 'x'\n", "[listen]\nhttp_port = 1.5\n", "[limits]\nresults = 0\n", "house = 5\n",
        "[house]\npatient_authority = 5\n", "[house]\nae_title = 'MUCH TOO LONG A TITLE'\n",
        "[house]\nhl7_namespaces = 5\n",
        "[archive]\nkind = 'tape'\n", "[[peer]]\nname = 'A'\nscopes = 'RAD-69'\n",
        "[[peer]]\nname = 'A'\nassertion = 'x'\n",
        "[[peer]]\n", "[[rule]]\nwhen = 'study.available'\ndo = []\n", "peer = 5\n", "peer = [5]\n",
        "[limits]\nidle_timeout_s = nan\n", "[limits]\nidle_timeout_s = 'x'\n", "[publish]\nper_minute = 0\n",
        "[house]\nnmae = 'x'\n", "[access]\nsession_minutes = 999999\n", "[[peer]]\nname = ''\n",
        "[[issuer]]\nname = 'A'\ncertificates = []\n",
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_kind_is_told_in_our_words(tmp_path: Path, text: str) -> None:
    (problem,) = problems(tmp_path, text)
    for word in ("Input", "should", "valid ", "instance of", "{", "at most", "tuple", "String"):
        assert word not in problem.reason
    assert problem.cure not in ("", "Change its value")


def test_a_list_is_given_with_commas_by_environment(tmp_path: Path) -> None:
    names = [each.key for each in problems(tmp_path, environment={"RADGATE__TLS__TRUST": "a.pem, b.pem"})]
    assert names == ["tls.trust.0", "tls.trust.1"]
    settings = load(None, {"RADGATE__AFFINITY_DOMAIN__SHARED_AUTHORITIES": "1.2.3,urn:oid:1.2.4"})
    assert settings.affinity_domain.shared_authorities == ("1.2.3", "1.2.4")
    assert load(None, {"RADGATE__TLS__TRUST": ""}).tls.trust == ()
    assert load(None, {"RADGATE__HOUSE__NAME": "Valley, north"}).house.name == "Valley, north"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("RADGATE_HOUSE_NAME", "RADGATE_HOUSE_NAME"),
        ("RADGATE_HOUSE__NAME", "RADGATE_HOUSE__NAME"),
        ("RADGATE__HOUSE__NMAE", "house.nmae"),
        ("RADGATE__HOUSE_NAME", "house_name"),
        ("RADGATE__HOUSE", "house"),
        ("RADGATE__PEER__0__NAME", "RADGATE__PEER__0__NAME"),
    ],
)
def test_an_environment_that_means_nothing_is_refused(tmp_path: Path, name: str, key: str) -> None:
    assert [each.key for each in problems(tmp_path, "[[peer]]\nname = 'A'\n", {name: "Valley"})] == [key]


def test_a_name_for_others_is_none_of_ours() -> None:
    load(None, {"RADGATE_CONFIG": "x", "RADGATE_DATA": "y", "RADGATE_PORT": "tcp://h:1", "RADGATE_SERVICE_HOST": "h"})


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("sqlite:///data/radgate.db", "sqlite:///{folder}/data/radgate.db"),
        ("sqlite:////srv/radgate.db", "sqlite:////srv/radgate.db"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
    ],
)
def test_a_database_file_is_relative_to_the_settings_too(tmp_path: Path, url: str, read: str) -> None:
    path = tmp_path / "radgate.toml"
    path.write_text(f"[store]\nurl = '{url}'\n", encoding="utf-8")
    told = load(path, {}).store.url
    assert told is not None
    assert told.get_secret_value() == read.format(folder=tmp_path)
