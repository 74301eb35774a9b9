"""
Items cut out of the batch they came in, as a grant carries them.

A batch's body is the sizes of its items and then their bytes, so where an item begins is the sum of the sizes before
it. A batch that is granted whole, which is the usual case, is not summed at all; one that goes in parts keeps the
last sum, for its next part mostly begins there.
"""

from __future__ import annotations

from groupqueue.core import messages as m
from groupqueue.core.items import Batch, Run
from groupqueue.core.ports import JournalPort
from groupqueue.core.state import State


class Entries:
    """See the module."""

    def __init__(self, state: State, journal: JournalPort) -> None:
        self._state = state
        self._journal = journal

    def of(self, run: Run) -> list[m.Entry]:
        """The run as one entry, or as several where attempts differ."""
        batch = run.batch
        assert batch is not None
        if not self._state.attempts:
            return [self._entry(batch, run.first, run.count, 1)]
        entries = []
        start = run.first
        end = run.first + run.count
        while start < end:
            attempt = self._state.attempt(start)
            stop = start + 1
            while stop < end and self._state.attempt(stop) == attempt:
                stop += 1
            entries.append(self._entry(batch, start, stop - start, attempt))
            start = stop
        return entries

    def of_item(self, item: int, batch: Batch) -> m.Entry:
        return self._entry(batch, item, 1, self._state.attempt(item))

    def fit(self, run: Run, count: int, room: int, some: bool) -> tuple[int, int]:
        """How many of the run's first `count` items fit into the room, and their bytes; at least one if not `some`."""
        batch = run.batch
        assert batch is not None
        sizes = self._journal.read(batch.location)[: 4 * batch.count].cast("I")
        index = run.first - batch.first_id
        total = 0
        for fit in range(count):
            total += sizes[index + fit]
            if total > room and (fit or some):
                return fit, total
        return count, total

    def _entry(self, batch: Batch, first: int, count: int, attempt: int) -> m.Entry:
        body = self._journal.read(batch.location)
        table = 4 * batch.count
        if count == batch.count:
            return m.Entry(first, count, batch.flags, attempt, batch.pid, body[:table], body[table:])
        index = first - batch.first_id
        sizes = body[:table].cast("I")
        if index >= batch.cached_index:
            offset = batch.cached_offset + sum(sizes[batch.cached_index : index])
        else:
            offset = sum(sizes[:index])
        length = sum(sizes[index : index + count])
        batch.cached_index = index + count
        batch.cached_offset = offset + length
        start = table + offset
        return m.Entry(
            first, count, batch.flags, attempt, batch.pid, body[4 * index : 4 * (index + count)],
            body[start : start + length],
        )  # fmt: skip
