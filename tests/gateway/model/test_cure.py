"""An operator is never left alone with an error."""

from gateway.model.cure import CURES, cure_of
from profiles.errors import Busy, Condition, MalformedMessage


def test_every_condition_has_a_cure() -> None:
    assert set(CURES) == set(Condition)
    assert all(CURES.values())


def test_the_particular_cure_goes_before_the_general() -> None:
    assert cure_of(MalformedMessage("x", cure="Do this")) == "Do this"
    assert cure_of(Busy("x")) == CURES[Condition.BUSY]
