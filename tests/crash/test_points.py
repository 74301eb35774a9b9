"""The table of points: that the documentation explains the same ones, and that nothing happens outside of them."""

from __future__ import annotations

import re

import pytest

from tests.crash.points import NAMES, POINTS, Point
from tests.crash.scenarios import SCENARIOS
from tests.crash.test_slice import sweep
from tests.helpers import ROOT


def rows() -> dict[str, tuple[str, str, str]]:
    """By name: where, phases and why, as docs/design.md tells them."""
    text = (ROOT / "docs" / "design.md").read_text()
    section = text.partition("\n## Crash points\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", section, re.MULTILINE)
    return {name: (where, phases, why) for name, where, phases, why in found if name != "point"}


def test_the_documentation_explains_every_point_and_no_other() -> None:
    told = rows()
    assert sorted(told) == sorted(NAMES)
    for point in POINTS:
        assert told[point.name] == (point.where, ", ".join(point.phases), point.why)


def test_each_name_stands_for_one_point() -> None:
    assert len(NAMES) == len(POINTS)


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name)
def test_each_point_has_a_scenario_that_can_arm_its_actor(point: Point) -> None:
    for scenario, actor in (point.home, point.reader):
        assert not scenario or actor in SCENARIOS[scenario].armed


def test_nothing_is_changed_outside_of_every_point() -> None:
    """And what runs untouched has nothing to find."""
    sweep("--untouched")
