"""Rules: which studies one is for."""

from datetime import timedelta

import pytest

from gateway.model.study import StudyRecord, StudyStatus
from gateway.services.rules import Rule
from tests.support.registered import NOW, instance, series, study

RECORD = StudyRecord(
    study=study(
        "1.2.50.1",
        series("1.2.50.1.1", instance("1.2.50.1.1.1")),
        institution="Lakeside Clinic",
        description="CT Chest",
    ),
    status=StudyStatus.AVAILABLE,
    updated_at=NOW,
)


@pytest.mark.parametrize(
    ("conditions", "admitted"),
    [
        ({}, True),
        ({"modality": ("MR", "CT")}, True),
        ({"modality": ("MR",)}, False),
        ({"institution": ("lake*",)}, True),
        ({"institution": ("Valley*", "*clinic")}, True),
        ({"institution": ("Valley*",)}, False),
        ({"description": ("*chest*",)}, True),
        ({"description": ("*head*",)}, False),
        ({"younger_than": timedelta(days=31)}, True),
        ({"younger_than": timedelta(days=30)}, False),
        ({"modality": ("CT",), "institution": ("Valley*",)}, False),
    ],
)
def test_a_rule_admits_a_study_when_all_its_conditions_hold(conditions: dict[str, object], admitted: bool) -> None:
    rule = Rule(do=("register",), **conditions)  # type: ignore[arg-type]
    assert rule.admits(RECORD, NOW + timedelta(days=30)) is admitted


def test_a_study_without_a_date_is_not_younger_than_anything() -> None:
    undated = StudyRecord(study=study("1.2.50.2", started=None), status=StudyStatus.AVAILABLE, updated_at=NOW)
    assert not Rule(do=(), younger_than=timedelta(days=10_000)).admits(undated, NOW)
    assert Rule(do=()).admits(undated, NOW)
