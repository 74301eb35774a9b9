"""A set of ids as runs, against a set of ids as ids."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from groupqueue.core.spans import Spans


def spans(*runs: tuple[int, int]) -> Spans:
    found = Spans()
    for first, count in runs:
        found.add(first, count)
    return found


def runs(found: Spans) -> list[tuple[int, int]]:
    """(first, end) of each; they are sorted, and no two touch."""
    pairs = list(zip(found._starts, found._ends, strict=True))
    assert all(start < end for start, end in pairs)
    assert all(end < start for (_, end), (start, _) in pairwise(pairs))
    assert found.total == sum(end - start for start, end in pairs)
    return pairs


def test_none_are_none() -> None:
    assert runs(Spans()) == []


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        ([(5, 3)], [(5, 8)]),
        ([(5, 3), (9, 1)], [(5, 8), (9, 10)]),
        ([(9, 1), (5, 3)], [(5, 8), (9, 10)]),
        ([(5, 3), (8, 2)], [(5, 10)]),
        ([(8, 2), (5, 3)], [(5, 10)]),
        ([(5, 3), (5, 3)], [(5, 8)]),
        ([(5, 3), (6, 1)], [(5, 8)]),
        ([(6, 1), (5, 3)], [(5, 8)]),
        ([(1, 2), (5, 2), (9, 2), (2, 8)], [(1, 11)]),
        ([(1, 2), (5, 2), (9, 2), (4, 4)], [(1, 3), (4, 8), (9, 11)]),
    ],
    ids=str,
)
def test_what_touches_becomes_one_run(added: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    assert runs(spans(*added)) == expected


@pytest.mark.parametrize(
    ("removed", "expected"),
    [
        ((1, 4), [(5, 8), (10, 12)]),
        ((8, 2), [(5, 8), (10, 12)]),
        ((12, 9), [(5, 8), (10, 12)]),
        ((5, 3), [(10, 12)]),
        ((4, 5), [(10, 12)]),
        ((5, 1), [(6, 8), (10, 12)]),
        ((7, 1), [(5, 7), (10, 12)]),
        ((6, 1), [(5, 6), (7, 8), (10, 12)]),
        ((7, 4), [(5, 7), (11, 12)]),
        ((0, 99), []),
    ],
    ids=str,
)
def test_what_is_removed_may_cut_runs_in_two(removed: tuple[int, int], expected: list[tuple[int, int]]) -> None:
    found = spans((5, 3), (10, 2))
    found.remove(*removed)
    assert runs(found) == expected


def test_of_nothing_nothing_is_removed() -> None:
    found = Spans()
    found.remove(1, 5)
    assert runs(found) == []


@pytest.mark.parametrize("seed", range(20))
def test_any_number_of_both_amounts_to_the_same_set(seed: int) -> None:
    chosen = random.Random(seed)
    found = Spans()
    model: set[int] = set()
    for _ in range(100):
        first, count = chosen.randrange(60), chosen.randrange(1, 12)
        ids = range(first, first + count)
        if chosen.random() < 0.6:
            found.add(first, count)
            model.update(ids)
        else:
            found.remove(first, count)
            model.difference_update(ids)
        assert {item for start, end in runs(found) for item in range(start, end)} == model


def test_a_million_in_a_row_are_one_run() -> None:
    found = spans(*((first, 1000) for first in range(1, 1_000_001, 1000)))
    assert runs(found) == [(1, 1_000_001)]
