"""What those who ask us learn of the systems behind us: nothing but that one failed."""

from gateway.services.exchange import outward
from profiles.errors import PeerRefused, PeerTimeout, PeerUnavailable, UnknownDocument


def test_an_inner_address_never_leaves_the_house() -> None:
    inner = PeerTimeout("nothing moved to or from http://orthanc.inner:8042 for too long", location="1.2.3", code="X")
    told = outward(inner)
    assert isinstance(told, PeerUnavailable)
    assert "orthanc" not in told.detail
    assert (told.location, told.code, told.temporary) == ("1.2.3", "", True)
    assert outward(PeerRefused("inner words")).condition is inner.condition


def test_an_error_of_our_own_is_told_as_it_is() -> None:
    error = UnknownDocument("no such instance", location="1.2.3")
    assert outward(error) is error
