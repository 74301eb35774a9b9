"""Rates, depths and failovers of a row of looks."""

from __future__ import annotations

from collections import deque

import pytest

from groupqueue.cli.series import PLAIN_BLOCKS, Series, sparkline
from groupqueue.cli.viewer import Sight
from groupqueue.stats import Stats


def sight(epoch: int = 1, ready: int = 0, put: int = 0, finished: int = 0) -> Sight:
    return Sight(Stats("jobs", 1, epoch, 0, ready=ready, total_put=put, total_finished=finished), "")


def test_rates_are_of_the_time_between_two_looks():
    series = Series()
    series.add(sight(put=100, finished=100), 10.0)
    assert (series.put_rate, series.finished_rate) == (0, 0)
    series.add(sight(put=300, finished=150), 10.5)
    assert (series.put_rate, series.finished_rate) == (400, 100)
    series.add(sight(put=0, finished=0), 11.0)
    assert (series.put_rate, series.finished_rate) == (0, 0)


def test_an_epoch_is_a_failover_but_not_the_first():
    series = Series()
    series.add(sight(epoch=0), 1.0)
    series.add(sight(epoch=3), 2.0)
    assert (series.failovers, series.failover_at) == (0, None)
    series.add(sight(epoch=4), 3.0)
    series.add(sight(epoch=4), 4.0)
    series.add(sight(epoch=6), 5.0)
    assert (series.failovers, series.failover_at) == (3, 5.0)


@pytest.mark.parametrize(
    ("depths", "width", "line"),
    [
        ([], 10, ""),
        ([0, 0], 10, "▁▁"),
        ([0, 1, 8], 10, "▁▂█"),
        ([5, 5, 5], 2, "██"),
        ([0, 50, 100], 10, "▁▅█"),
        ([1, 1_000_000], 10, "▂█"),
        ([1], 0, ""),
    ],
)
def test_the_highest_of_what_is_shown_is_the_highest_block_and_something_is_never_nothing(depths, width, line):
    assert sparkline(deque(depths), width) == line


def test_without_unicode():
    assert sparkline(deque([0, 8]), 10, PLAIN_BLOCKS) == "_#"
