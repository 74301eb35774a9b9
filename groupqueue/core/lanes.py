"""
Lanes: each producer's ready items, in the order in which they were put.

The law of lanes: whatever goes back to a lane goes to its original place, so a producer's items are always in order,
whatever befell those who had them. A lane also counts who has items of it that are granted and untaken; who may be
granted from it is not decided here. A lane without either is not there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict

from groupqueue.core.items import Lane, Run


class Lanes:
    """See the module. Counts over all lanes: `ready`, and `untaken`, which is granted and not taken."""

    def __init__(self) -> None:
        self.by_producer: defaultdict[int, Lane] = defaultdict(Lane)
        self.with_ready: dict[int, Lane] = {}
        self.ready = 0
        self.untaken = 0

    def add(self, run: Run) -> None:
        """The items are ready, last in their lane."""
        assert run.batch is not None
        producer = run.batch.producer
        lane = self.by_producer[producer]
        lane.ready.append(run)
        self.with_ready[producer] = lane
        self.ready += run.count

    def grant(self, run: Run, member: int) -> bool:
        """The ready items are the member's; False, and nothing changed, if they are not all ready."""
        lane = self._cut(run)
        if lane is None:
            return False
        lane.untaken[member] = lane.untaken.get(member, 0) + run.count
        self.untaken += run.count
        return True

    def remove(self, run: Run) -> bool:
        """The ready items are no more; False, and nothing changed, if they are not all ready."""
        lane = self._cut(run)
        if lane is None:
            return False
        assert run.batch is not None
        self._drop_empty(run.batch.producer, lane)
        return True

    def restore_grant(self, producer: int, member: int, count: int) -> None:
        """So many items of this lane are the member's, as a checkpoint tells."""
        lane = self.by_producer[producer]
        lane.untaken[member] = lane.untaken.get(member, 0) + count
        self.untaken += count

    def untake(self, producer: int, member: int, count: int) -> None:
        """So many of the lane's items are the member's untaken ones no more."""
        self.untaken -= count
        lane = self.by_producer[producer]
        left = lane.untaken[member] - count
        if left:
            lane.untaken[member] = left
        else:
            del lane.untaken[member]
            self._drop_empty(producer, lane)

    def put_back(self, run: Run) -> None:
        """The items are ready again, at their original place, joined with what they were cut from."""
        batch = run.batch
        assert batch is not None
        lane = self.by_producer[batch.producer]
        ready = lane.ready
        self.with_ready[batch.producer] = lane
        self.ready += run.count
        if not ready or run.first > ready[-1].first:
            at = len(ready)
        elif run.first < ready[0].first:
            at = 0
        else:
            at = bisect_right(ready, run.first, key=_first)
        if at and _joins(ready[at - 1], run):
            at -= 1
            run = Run(ready[at].first, ready[at].count + run.count, batch)
            del ready[at]
        if at < len(ready) and _joins(run, ready[at]):
            run = Run(run.first, run.count + ready[at].count, batch)
            del ready[at]
        ready.insert(at, run)

    def is_ready(self, producer: int, item: int) -> bool:
        lane = self.by_producer.get(producer)
        return lane is not None and any(run.first <= item < run.first + run.count for run in lane.ready)

    def runs(self) -> list[Run]:
        """All that is ready, lane by lane."""
        return [run for lane in self.by_producer.values() for run in lane.ready]

    def _cut(self, run: Run) -> Lane | None:
        """Cuts ready items out of their lane, which may leave it empty; None if they are not all ready."""
        assert run.batch is not None
        producer = run.batch.producer
        lane = self.by_producer.get(producer)
        if lane is None:
            return None
        for at, found in enumerate(lane.ready):
            if found.first <= run.first < found.first + found.count:
                index = at
                break
        else:
            return None
        before = run.first - found.first
        after = found.count - before - run.count
        if after < 0:
            return None
        if before == 0 and after == 0:
            del lane.ready[index]
        elif before == 0:
            lane.ready[index] = Run(run.first + run.count, after, found.batch)
        else:
            lane.ready[index] = Run(found.first, before, found.batch)
            if after:
                lane.ready.insert(index + 1, Run(run.first + run.count, after, found.batch))
        self.ready -= run.count
        if not lane.ready:
            self.with_ready.pop(producer, None)
        return lane

    def _drop_empty(self, producer: int, lane: Lane) -> None:
        if not lane.ready and not lane.untaken:
            del self.by_producer[producer]


def _joins(left: Run, right: Run) -> bool:
    return left.batch is right.batch and left.first + left.count == right.first


def _first(run: Run) -> int:
    return run.first
