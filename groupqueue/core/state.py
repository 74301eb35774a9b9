"""
What a group is: every item's whereabouts, as the journal tells it.

The state changes only by `apply_...`, one method to a kind of record. The leader appends a record and then applies it;
recovery applies the records it finds. So the two cannot disagree, and the state is a pure function of the journal.

An item is in exactly one of five places: ready (in its producer's lane), granted (to a member, and not yet taken, as
far as is known here), held (taken, and unfinished), failed, or finished, which is to be nowhere. Items are named by
id, in the order of acceptance; consecutive ids of one batch travel together as a `Run`.

The law of lanes: whatever goes back to a lane goes to its original place. Who may be granted from it is the broker's.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from groupqueue.core.messages import REPLY_LOST

FORMAT = 1


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


class State:
    """See the module. Counts: `ready`, `untaken` (granted), `len(held)`; bytes of all unfinished items: `bytes`.

    `unrecorded`: items that recovery found finished by their reply alone, which may be written over.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.next_id = 1
        self.shutdown = 0
        self.shutdown_generation = 0
        self.lanes: dict[int, Lane] = {}
        self.ready_lanes: dict[int, Lane] = {}
        self.grants: dict[int, Grants] = {}
        self.held: dict[int, Held] = {}
        self.failed: dict[int, Failed] = {}
        self.replies: dict[int, Reply] = {}
        self.answered: set[int] = set()
        self.attempts: dict[int, tuple[int, int]] = {}
        self.last_seq: dict[int, int] = {}
        self.batches: dict[int, Batch] = {}
        self.ready = 0
        self.untaken = 0
        self.bytes = 0
        self.total_put = 0
        self.total_finished = 0
        self.lost = 0
        self.released: list[Any] = []
        self.unrecorded: list[tuple[int, int]] = []
        self._index: list[int] | None = None
        self._replies_to: dict[tuple[int, int], int] = {}

    @property
    def queued(self) -> int:
        """Items that a get could still return: what `qsize` tells."""
        return self.ready + self.untaken

    @property
    def unfinished(self) -> int:
        """Items put and not finished: what `join` waits for."""
        return self.ready + self.untaken + len(self.held)

    def attempt(self, item: int) -> int:
        """How many times the item will have been delivered with its next, or current, delivery."""
        found = self.attempts.get(item)
        return found[0] if found else 1

    def deaths(self, item: int) -> int:
        """How many consumers died holding the item."""
        found = self.attempts.get(item)
        return found[1] if found else 0

    # Records

    def apply_items(
        self,
        producer: int,
        first_id: int,
        first_seq: int,
        count: int,
        flags: int,
        max_attempts: int,
        pid: int,
        size: int,
        location: Any,
    ) -> None:
        """A batch was accepted: it is ready, last in its lane."""
        batch = Batch(first_id, producer, first_seq, count, flags, max_attempts, pid, size, location)
        self.batches[first_id] = batch
        self._index = None
        self.bytes += size
        self.total_put += count
        self.next_id = first_id + count
        last = first_seq + count - 1
        if last > self.last_seq.get(producer, 0):
            self.last_seq[producer] = last
        lane = self._lane(producer)
        lane.ready.append(Run(first_id, count, batch))
        self.ready_lanes[producer] = lane
        self.ready += count

    def apply_grant(self, member: int, position: int, runs: Iterable[Run]) -> None:
        """These ready items are the member's to take, as its positions from `position` on."""
        grants = self.grants.get(member)
        if grants is None:
            grants = self.grants[member] = Grants()
        if position != grants.end:
            self._align(member, grants, position)
        for run in runs:
            batch = run.batch
            if batch is not None and self._remove_ready(run):
                lane = self.lanes[batch.producer]
                lane.untaken[member] = lane.untaken.get(member, 0) + run.count
                self.untaken += run.count
            else:
                run = Run(run.first, run.count, None)
            grants.runs.append(run)
            grants.end += run.count

    def apply_return(self, member: int, position: int) -> None:
        """The member's grants from `position` on are ready again, at their original places."""
        grants = self.grants.get(member)
        if grants is not None:
            self._truncate(member, grants, position)

    def apply_taken(self, member: int, position: int, held: Sequence[int]) -> None:
        """The member took everything before `position`: the ids in `held` are held, the rest is finished."""
        grants = self.grants.get(member)
        if grants is None:
            return
        holding = set(held)
        while grants.taken < position and grants.runs:
            run = grants.runs[0]
            count = min(run.count, position - grants.taken)
            if count == run.count:
                grants.runs.popleft()
            else:
                grants.runs[0] = Run(run.first + count, run.count - count, run.batch)
            grants.taken += count
            batch = run.batch
            if batch is None:
                continue
            self._untake(member, batch.producer, count)
            kept = 0
            if holding:
                for item in range(run.first, run.first + count):
                    if item in holding:
                        self.held[item] = Held(member, batch)
                        kept += 1
                    else:
                        self.attempts.pop(item, None)
            elif self.attempts:
                self._forget_attempts(run.first, count)
            self._finish(batch, count - kept)

    def apply_finish(self, runs: Iterable[tuple[int, int]]) -> None:
        """These items are finished, wherever they are."""
        for first, count in runs:
            batch = self.find(first)
            if batch is not None and count > 1 and self._remove_ready(Run(first, count, batch)):
                if self.attempts:
                    self._forget_attempts(first, count)
                if self.answered:
                    self.answered.difference_update(range(first, first + count))
                self._drop_empty(batch.producer, self.lanes[batch.producer])
                self._finish(batch, count)
            else:
                for item in range(first, first + count):
                    self._remove_anywhere(item)

    def apply_failed(self, item: int, reason: str) -> None:
        """The held item is on the failed list."""
        held = self.held.pop(item, None)
        if held is not None:
            self.failed[item] = Failed(held.batch, reason)

    def apply_requeue(self, item: int, attempt: int, deaths: int) -> None:
        """The held item is ready again, at its original place."""
        held = self.held.pop(item, None)
        if held is not None:
            self.attempts[item] = (attempt, deaths)
            self._put_back(Run(item, 1, held.batch))

    def apply_retry(self, items: Iterable[int]) -> None:
        """The failed items are ready again, as if never delivered."""
        for item in items:
            failed = self.failed.pop(item, None)
            if failed is not None:
                self.attempts.pop(item, None)
                self.answered.discard(item)
                self._put_back(Run(item, 1, failed.batch))

    def apply_gone(self, member: int) -> None:
        """The member is no more, and nothing is granted to it or held by it."""
        self.grants.pop(member, None)
        self.last_seq.pop(member, None)

    def apply_reply(self, reply_id: int, reply: Reply) -> None:
        """The item has its reply. (That it is finished, if it is, is applied apart.)"""
        self.next_id = max(self.next_id, reply_id + 1)
        self._keep_reply(reply_id, reply)
        if self.find(reply.item) is not None:
            self.answered.add(reply.item)

    def apply_heard(self, reply_ids: Iterable[int]) -> None:
        """These replies are of no more use."""
        for reply_id in reply_ids:
            reply = self.replies.pop(reply_id, None)
            if reply is not None:
                self.bytes -= reply.size
                self._replies_to.pop((reply.producer, reply.seq), None)
                if reply.location is not None:
                    self.released.append(reply.location)

    def apply_producers(self, next_id: int, last_seqs: Iterable[tuple[int, int]]) -> None:
        """What a removed segment had been alone to tell."""
        self.next_id = max(self.next_id, next_id)
        for producer, seq in last_seqs:
            if seq > self.last_seq.get(producer, 0):
                self.last_seq[producer] = seq

    def apply_shutdown(self, state: int, generation: int) -> None:
        self.shutdown = state
        self.shutdown_generation = generation

    # Looking

    def find(self, item: int) -> Batch | None:
        """The unfinished batch that the item is of."""
        batch = self.batches.get(item)
        if batch is not None:
            return batch
        if self._index is None:
            self._index = sorted(self.batches)
        at = bisect_right(self._index, item) - 1
        if at < 0:
            return None
        batch = self.batches.get(self._index[at])
        return batch if batch is not None and item < batch.first_id + batch.count else None

    def is_ready(self, item: int, batch: Batch) -> bool:
        lane = self.lanes.get(batch.producer)
        return lane is not None and any(run.first <= item < run.first + run.count for run in lane.ready)

    def granted_to(self, item: int) -> int | None:
        """The member to whom the item is granted, untaken."""
        for member, grants in self.grants.items():
            for run in grants.runs:
                if run.batch is not None and run.first <= item < run.first + run.count:
                    return member
        return None

    def reply_to(self, producer: int, seq: int) -> int | None:
        """The id of the reply to this producer's item, while its caller has not confirmed it."""
        return self._replies_to.get((producer, seq))

    def held_by(self, member: int) -> list[int]:
        """Ids of what the member holds, in order."""
        return sorted(item for item, held in self.held.items() if held.member == member)

    def positions(self, member: int, start: int, end: int) -> Iterator[tuple[int, int]]:
        """(position, id) of the member's untaken positions in [start, end)."""
        grants = self.grants[member]
        position = grants.taken
        for run in grants.runs:
            if position >= end:
                return
            for item in range(run.first, run.first + run.count):
                if start <= position < end:
                    yield position, item
                position += 1

    # The moves

    def _keep_reply(self, reply_id: int, reply: Reply) -> None:
        self.replies[reply_id] = reply
        self._replies_to[reply.producer, reply.seq] = reply_id
        self.bytes += reply.size

    def _lane(self, producer: int) -> Lane:
        lane = self.lanes.get(producer)
        if lane is None:
            lane = self.lanes[producer] = Lane()
        return lane

    def _remove_ready(self, run: Run) -> bool:
        """Takes these items from their lane; False, and nothing changed, if they are not all there."""
        assert run.batch is not None
        producer = run.batch.producer
        lane = self.lanes.get(producer)
        if lane is None:
            return False
        for at, found in enumerate(lane.ready):
            if found.first <= run.first < found.first + found.count:
                index = at
                break
        else:
            return False
        before = run.first - found.first
        after = found.count - before - run.count
        if after < 0:
            return False
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
            self.ready_lanes.pop(producer, None)
        return True

    def _put_back(self, run: Run) -> None:
        batch = run.batch
        assert batch is not None
        lane = self._lane(batch.producer)
        ready = lane.ready
        self.ready_lanes[batch.producer] = lane
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

    def _truncate(self, member: int, grants: Grants, position: int) -> None:
        while grants.end > max(position, grants.taken):
            run = grants.runs.pop()
            count = min(run.count, grants.end - max(position, grants.taken))
            if count < run.count:
                grants.runs.append(Run(run.first, run.count - count, run.batch))
            grants.end -= count
            if run.batch is not None:
                self._untake(member, run.batch.producer, count)
                self._put_back(Run(run.first + run.count - count, count, run.batch))

    def _align(self, member: int, grants: Grants, position: int) -> None:
        """Makes the member's grants end at `position`; what a lost record had granted counts as taken."""
        self._truncate(member, grants, position)
        if not grants.runs:
            grants.taken = grants.end = position
        elif position > grants.end:
            grants.runs.append(Run(0, position - grants.end, None))
            grants.end = position

    def _untake(self, member: int, producer: int, count: int) -> None:
        self.untaken -= count
        lane = self.lanes[producer]
        left = lane.untaken[member] - count
        if left:
            lane.untaken[member] = left
        else:
            del lane.untaken[member]
            self._drop_empty(producer, lane)

    def _drop_empty(self, producer: int, lane: Lane) -> None:
        if not lane.ready and not lane.untaken:
            del self.lanes[producer]

    def _finish(self, batch: Batch, count: int) -> None:
        batch.live -= count
        self.total_finished += count
        if not batch.live and self.batches.pop(batch.first_id, None) is not None:
            self.bytes -= batch.size
            self.released.append(batch.location)

    def _forget_attempts(self, first: int, count: int) -> None:
        if count > len(self.attempts):
            for item in [item for item in self.attempts if first <= item < first + count]:
                del self.attempts[item]
        else:
            for item in range(first, first + count):
                self.attempts.pop(item, None)

    def _remove_anywhere(self, item: int) -> None:
        self.attempts.pop(item, None)
        self.answered.discard(item)
        held = self.held.pop(item, None) or self.failed.pop(item, None)
        if held is not None:
            self._finish(held.batch, 1)
            return
        batch = self.find(item)
        if batch is not None and self._remove_ready(Run(item, 1, batch)):
            lane = self.lanes[batch.producer]
            self._drop_empty(batch.producer, lane)
            self._finish(batch, 1)

    # The checkpoint

    def to_json(self, *, reasons: bool = True) -> dict[str, Any]:
        """The whole state but for what the items segments tell, as plain JSON; `reasons` of failures may stay out."""
        return {
            "format": FORMAT,
            "epoch": self.epoch,
            "next_id": self.next_id,
            "shutdown": [self.shutdown, self.shutdown_generation],
            "totals": [self.total_put, self.total_finished, self.lost],
            "last_seq": list(self.last_seq.items()),
            "ready": [[run.first, run.count] for lane in self.lanes.values() for run in lane.ready],
            "grants": [
                [
                    member,
                    grants.taken,
                    [[run.first if run.batch is not None else 0, run.count] for run in grants.runs],
                ]
                for member, grants in self.grants.items()
            ],
            "held": [[item, held.member] for item, held in self.held.items()],
            "failed": [[item, failed.reason if reasons else ""] for item, failed in self.failed.items()],
            "attempts": [[item, *counts] for item, counts in self.attempts.items()],
            "answered": list(self.answered),
            "replies": [number for number, reply in self.replies.items() if reply.location is not None],
            "lost_replies": [
                [number, reply.item, reply.producer, reply.seq, reply.text]
                for number, reply in self.replies.items()
                if reply.location is None
            ],
        }


class Rebuild:
    """Recovery of a state: a checkpoint, then the items and replies that the segments hold, then the later records.

    `add_items` and `add_reply` in any order; then `settle`; then `apply_...` of the later ledger records on `state`;
    then `finish`.
    """

    def __init__(self, checkpoint: dict[str, Any] | None) -> None:
        self.state = State()
        self._checkpoint = checkpoint
        self._items: list[tuple[tuple[int, ...], int, Any]] = []
        self._replies: list[tuple[tuple[int, ...], int, Any]] = []
        self._finishing: list[int] = []
        self._young: list[tuple[int, int]] = []
        self._counted = (0, 0)

    def add_items(self, words: tuple[int, ...], size: int, location: Any) -> None:
        """The words of an ITEMS record, in the order of the format."""
        self._items.append((words, size, location))

    def add_reply(self, words: tuple[int, ...], size: int, location: Any) -> None:
        """The words of a REPLY record."""
        self._replies.append((words, size, location))

    def settle(self) -> None:
        """Places every item as the checkpoint says; what is younger than the checkpoint is ready."""
        state = self.state
        saved = self._checkpoint or {}
        next_id = saved.get("next_id", 1)
        self._items.sort(key=lambda found: found[0][1])
        old: list[Batch] = []
        young = []
        for words, size, location in self._items:
            producer, first_id, first_seq, count, flags, max_attempts, pid = words
            if first_id >= next_id:
                young.append((words, size, location))
            else:
                batch = Batch(first_id, producer, first_seq, count, flags, max_attempts, pid, size, location)
                batch.live = 0
                old.append(batch)
        state.batches = {batch.first_id: batch for batch in old}
        if saved:
            self._place(saved)
        for batch in old:
            if batch.live:
                state.bytes += batch.size
            else:
                del state.batches[batch.first_id]
                state.released.append(batch.location)
        state._index = None
        state.next_id = next_id
        for words, size, location in young:
            state.apply_items(*words, size, location)  # type: ignore[call-arg]
            self._young.append((words[1], words[3]))
        self._counted = (next_id, state.total_put - sum(count for _, count in self._young))
        kept = set(saved.get("replies", ()))
        for words, size, location in self._replies:
            reply_id, item, producer, seq, status, finish = words
            reply = Reply(item, producer, seq, status, size, location)
            if reply_id >= next_id:
                state.apply_reply(reply_id, reply)
                if finish:
                    self._finishing.append(item)
            elif reply_id in kept:
                state._keep_reply(reply_id, reply)
            else:
                state.released.append(location)

    def count(self, next_id: int, total_put: int) -> None:
        """A later record tells how many items had been put before `next_id`."""
        self._counted = (next_id, total_put)

    def finish(self) -> State:
        """What finishing replies say of their items is said last: they were sent of held items."""
        state = self.state
        for item in self._finishing:
            if item in state.held:
                state.unrecorded.append((item, 1))
            state.apply_finish([(item, 1)])
        state.answered = {item for item in state.answered if state.find(item) is not None}
        state.attempts = {item: counts for item, counts in state.attempts.items() if state.find(item) is not None}
        next_id, total_put = self._counted
        self.state.total_put = total_put + sum(count for first, count in self._young if first >= next_id)
        self.state.total_finished = self.state.total_put - self.state.unfinished - len(self.state.failed)
        return self.state

    def runs(self, pairs: Iterable[tuple[int, int]]) -> list[Run]:
        """Runs for a GRANT record's (first id, count) pairs."""
        return [Run(first, count, self.state.find(first)) for first, count in pairs]

    def _place(self, saved: dict[str, Any]) -> None:
        state = self.state
        state.epoch = saved["epoch"]
        state.shutdown, state.shutdown_generation = saved["shutdown"]
        state.total_put, state.total_finished, state.lost = saved["totals"]
        state.last_seq = dict(saved["last_seq"])
        state.attempts = {item: (attempt, deaths) for item, attempt, deaths in saved["attempts"]}
        for first, count in sorted(saved["ready"]):
            batch = self._revive(first, count)
            if batch is not None:
                lane = state._lane(batch.producer)
                lane.ready.append(Run(first, count, batch))
                state.ready_lanes[batch.producer] = lane
                state.ready += count
        for member, taken, runs in saved["grants"]:
            grants = state.grants[member] = Grants()
            grants.taken = grants.end = taken
            for first, count in runs:
                batch = self._revive(first, count)
                grants.runs.append(Run(first, count, batch))
                grants.end += count
                if batch is not None:
                    lane = state._lane(batch.producer)
                    lane.untaken[member] = lane.untaken.get(member, 0) + count
                    state.untaken += count
        for item, member in saved["held"]:
            batch = self._revive(item, 1)
            if batch is not None:
                state.held[item] = Held(member, batch)
        for item, reason in saved["failed"]:
            batch = self._revive(item, 1)
            if batch is not None:
                state.failed[item] = Failed(batch, reason)
        state.answered = set(saved["answered"])
        for number, item, producer, seq, text in saved["lost_replies"]:
            state._keep_reply(number, Reply(item, producer, seq, REPLY_LOST, 0, None, text))

    def _revive(self, first: int, count: int) -> Batch | None:
        if not first:
            return None
        batch = self.state.find(first)
        if batch is None or first + count > batch.first_id + batch.count:
            self.state.lost += count
            return None
        batch.live += count
        return batch


def _joins(left: Run, right: Run) -> bool:
    return left.batch is right.batch and left.first + left.count == right.first


def _first(run: Run) -> int:
    return run.first
