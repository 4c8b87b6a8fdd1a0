"""The sockets of a house: bound before it opens anything, and refused with the setting that named them."""

import socket
from contextlib import ExitStack

import pytest

from gateway.settings import ListenSection, SettingsError
from gateway.wiring.premises import doors


def refused(port_base: int = 0, **listen: object) -> list[tuple[str, str]]:
    with ExitStack() as stack, pytest.raises(SettingsError) as raised:
        doors(stack, ListenSection.model_validate(listen), port_base)
    assert all(each.cure for each in raised.value.problems)
    return [(each.key, each.reason) for each in raised.value.problems]


def test_free_ports_are_had_and_mllp_only_where_it_is_on() -> None:
    with ExitStack() as stack:
        http, mllp = doors(stack, ListenSection(http_port=0, mllp_port=0), 60_000)
        assert mllp is not None
        assert http.getsockname()[1] != mllp.getsockname()[1]
        assert doors(stack, ListenSection(http_port=0, mllp=False), 0)[1] is None
    assert http.fileno() == mllp.fileno() == -1


def test_ports_that_others_have_are_told_together() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        told = refused(http_port=one.getsockname()[1], mllp_port=two.getsockname()[1])
    assert [key for key, _ in told] == ["listen.http_port", "listen.mllp_port"]
    assert all("in use" in reason for _, reason in told)


@pytest.mark.parametrize("port_base", [-2575, -8080, 65_535, -1_000_000])
def test_a_base_that_leads_to_no_port_is_refused(port_base: int) -> None:
    assert {key for key, _ in refused(port_base, http_port=8080, mllp_port=2575)} <= {"--port-base", "listen.http_port"}
    assert (
        "--port-base",
        f"{port_base} makes listen.mllp_port {2575 + port_base}, and ports are 1 to 65535",
    ) in refused(port_base, http_port=8080, mllp_port=2575)


def test_a_host_that_is_not_this_one_is_refused_once() -> None:
    assert refused(host="192.0.2.1", http_port=0, mllp_port=0) == [
        ("listen.host", "192.0.2.1 is no address of this machine")
    ]
