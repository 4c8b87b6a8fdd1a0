"""By which names somebody is whom a submission is for."""

import pytest

from profiles.wire.ebxml.recipient import names_of


@pytest.mark.parametrize(
    ("recipient", "names"),
    [
        ("Valley  Imaging^^^^^^^^^1.2.3.1", {"valley imaging", "1.2.3.1"}),
        ("Valley^^^^^&1.2.3.9&ISO^^^^77", {"valley", "77", "77^^^&1.2.3.9&iso"}),
        ("|11^Welby^Marcus^^^Dr^^^&1.2.3.9&ISO", {"11", "11^^^&1.2.3.9&iso", "marcus welby"}),
        ("|^Welby^Marcus", {"marcus welby"}),
        ("||^^Internet^M.Welby@valley.example", {"m.welby@valley.example"}),
        ("Valley|^Welby|^^Internet^a@b", {"valley", "welby", "a@b"}),
        ("A\\S\\B", {"a^b"}),
        ("", set()),
        ("||", set()),
        ("^^^|^^|^", set()),
    ],
)
def test_each_part_that_is_there_gives_its_names(recipient: str, names: set[str]) -> None:
    assert names_of(recipient) == names
