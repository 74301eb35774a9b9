"""A set of ids as runs: what is added and removed are runs, and a million ids in a row take no more room than one."""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Spans:
    """See the module. `total` is how many ids there are."""

    def __init__(self) -> None:
        self.total = 0
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, first: int, count: int) -> None:
        end = first + count
        low = bisect_left(self._ends, first)
        high = bisect_right(self._starts, end)
        if low < high:
            first = min(first, self._starts[low])
            end = max(end, self._ends[high - 1])
        self._replace(low, high, [(first, end)])

    def remove(self, first: int, count: int) -> None:
        end = first + count
        low = bisect_right(self._ends, first)
        high = bisect_left(self._starts, end)
        if low >= high:
            return
        left = (self._starts[low], first)
        right = (end, self._ends[high - 1])
        self._replace(low, high, [piece for piece in (left, right) if piece[0] < piece[1]])

    def _replace(self, low: int, high: int, pieces: list[tuple[int, int]]) -> None:
        """The runs from `low` to `high` are these pieces from here on."""
        self.total -= sum(self._ends[low:high]) - sum(self._starts[low:high])
        self.total += sum(end - start for start, end in pieces)
        self._starts[low:high] = [start for start, _ in pieces]
        self._ends[low:high] = [end for _, end in pieces]
