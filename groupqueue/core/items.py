"""
Items as they are kept track of: in batches, in runs, in lanes, as grants.

Plain values, without a rule of their own; who may change them, and how, is told by `State` and `Lanes`. Items are named
by id, in the order of acceptance; consecutive ids of one batch travel together as a `Run`. A `location` is the
journal's own word for where it keeps a body, and nothing here looks into it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any


class Batch:
    """Items that arrived together: what all of them share, and where the journal keeps them."""

    __slots__ = (
        "cached_index",
        "cached_offset",
        "count",
        "first_id",
        "first_seq",
        "flags",
        "live",
        "location",
        "max_attempts",
        "pid",
        "producer",
        "size",
    )

    def __init__(
        self,
        first_id: int,
        producer: int,
        first_seq: int,
        count: int,
        flags: int,
        max_attempts: int,
        pid: int,
        size: int,
        location: Any,
    ) -> None:
        self.first_id = first_id
        self.producer = producer
        self.first_seq = first_seq
        self.count = count
        self.flags = flags
        self.max_attempts = max_attempts
        self.pid = pid
        self.size = size
        self.location = location
        self.live = count
        self.cached_index = 0
        self.cached_offset = 0


class Run:
    """`count` consecutive items of a batch, from `first` on. `batch` is None where the journal lost it."""

    __slots__ = ("batch", "count", "first")

    def __init__(self, first: int, count: int, batch: Batch | None) -> None:
        self.first = first
        self.count = count
        self.batch = batch


class Lane:
    """One producer's ready items in order, and how many of its items are granted and untaken, by member."""

    __slots__ = ("ready", "untaken")

    def __init__(self) -> None:
        self.ready: deque[Run] = deque()
        self.untaken: dict[int, int] = {}


class Grants:
    """What one member was granted: positions `taken` to `end` are untaken."""

    __slots__ = ("end", "runs", "taken")

    def __init__(self) -> None:
        self.taken = 0
        self.end = 0
        self.runs: deque[Run] = deque()

    def positions(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(position, id) of the untaken positions in [start, end)."""
        position = self.taken
        for run in self.runs:
            if position >= end:
                return
            for index in range(max(start - position, 0), min(end - position, run.count)):
                yield position + index, run.first + index
            position += run.count


class Held:
    """An item that a member took and has not finished."""

    __slots__ = ("batch", "member")

    def __init__(self, member: int, batch: Batch) -> None:
        self.member = member
        self.batch = batch


class Failed:
    """An item on the failed list."""

    __slots__ = ("batch", "reason")

    def __init__(self, batch: Batch, reason: str) -> None:
        self.batch = batch
        self.reason = reason


class Reply:
    """A reply that its caller has not yet confirmed. Without a location it is `text`, and says that none will come."""

    __slots__ = ("item", "location", "producer", "seq", "size", "status", "text")

    def __init__(
        self, item: int, producer: int, seq: int, status: int, size: int, location: Any, text: str = ""
    ) -> None:
        self.text = text
        self.item = item
        self.producer = producer
        self.seq = seq
        self.status = status
        self.size = size
        self.location = location
