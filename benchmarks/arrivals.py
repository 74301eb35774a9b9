"""
Whether everything arrived, once, in order: of every trial, for us and for everybody else.

Receivers write down the id of each object as it comes and leave the list in a file; nothing is compared while the clock
runs. In order means: each receiver has seen the objects of each producer in the order in which they were put.
"""

from __future__ import annotations

from array import array
from collections import Counter
from pathlib import Path

from benchmarks.crew import TrialError
from benchmarks.shapes import PRODUCER, Shape


def write(path: str, ids: list[int]) -> None:
    with open(path, "wb") as file:
        array("q", ids).tofile(file)


def read(path: Path) -> list[int]:
    ids = array("q")
    ids.frombytes(path.read_bytes())
    return ids.tolist()


def check(received: list[list[int]], shape: Shape, producers: int, count: int) -> None:
    """Raises TrialError unless the receivers together have each of `count` objects of each producer once."""
    expected = [one for producer in range(producers) for one in shape.ids(producer, count)]
    if len(received) == 1 and received[0] == expected:
        return
    if len(received) == 1 and producers == 1:
        raise TrialError(_difference(Counter(received[0]), Counter(expected)) + "; the order differs")
    found = [one for ids in received for one in ids]
    if sorted(found) != expected:
        raise TrialError(_difference(Counter(found), Counter(expected)))
    for number, ids in enumerate(received):
        last: dict[int, int] = {}
        for one in ids:
            producer = one // PRODUCER
            if one <= last.get(producer, -1):
                raise TrialError(f"receiver {number} got {one} of producer {producer} after {last[producer]}")
            last[producer] = one


def _difference(found: Counter[int], expected: Counter[int]) -> str:
    lost, more = expected - found, found - expected
    return f"of {expected.total()} objects {lost.total()} did not arrive and {more.total()} came too often"
