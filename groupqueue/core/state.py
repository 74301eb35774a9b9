"""
What a group is: every item's whereabouts, as the journal tells it.

The state changes only by `apply_...`, one method to a kind of record. The leader appends a record and then applies it;
recovery applies the records it finds, from a checkpoint on. So the two cannot disagree, and the state is a pure
function of the journal.

An item is in exactly one of five places: ready (in its producer's lane), granted (to a member, and not yet taken, as
far as is known here), held (taken, and unfinished), failed, or finished, which is to be nowhere.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

from groupqueue.core.items import Batch, Failed, Grants, Held, Reply, Run
from groupqueue.core.lanes import Lanes


class State:
    """See the module. Counts: `lanes.ready`, `lanes.untaken`, `len(held)`; bytes of all unfinished items: `bytes`.

    `released`: locations of no more use, for whoever keeps the journal. `unrecorded`: items that recovery found
    finished by their reply alone, which may be written over. `segments`: the numbers of the journal's items segments.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self.next_id = 1
        self.shutdown = 0
        self.shutdown_generation = 0
        self.lanes = Lanes()
        self.grants: dict[int, Grants] = {}
        self.held: dict[int, Held] = {}
        self.failed: dict[int, Failed] = {}
        self.replies: dict[int, Reply] = {}
        self.answered: set[int] = set()
        self.attempts: dict[int, tuple[int, int]] = {}
        self.last_seq: dict[int, int] = {}
        self.batches: dict[int, Batch] = {}
        self.bytes = 0
        self.total_put = 0
        self.total_finished = 0
        self.lost = 0
        self.released: list[Any] = []
        self.unrecorded: list[tuple[int, int]] = []
        self.segments: set[int] = set()
        self._index: list[int] | None = None
        self._replies_to: dict[tuple[int, int], int] = {}

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
        self.lanes.add(Run(first_id, count, batch))

    def apply_grant(self, member: int, position: int, runs: Iterable[Run]) -> None:
        """These ready items are the member's to take, as its positions from `position` on."""
        grants = self.grants.get(member)
        if grants is None:
            grants = self.grants[member] = Grants()
        if position != grants.end:
            self._align(member, grants, position)
        for run in runs:
            if run.batch is None or not self.lanes.grant(run, member):
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
            self.lanes.untake(batch.producer, member, count)
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
            if count > kept:
                self._finish(batch, count - kept)

    def apply_finish(self, runs: Iterable[tuple[int, int]]) -> None:
        """These items are finished, wherever they are."""
        for first, count in runs:
            batch = self.find(first) if count > 1 else None
            if batch is not None and self.lanes.remove(Run(first, count, batch)):
                if self.attempts:
                    self._forget_attempts(first, count)
                if self.answered:
                    self.answered.difference_update(range(first, first + count))
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
            self.lanes.put_back(Run(item, 1, held.batch))

    def apply_retry(self, items: Iterable[int]) -> None:
        """The failed items are ready again, as if never delivered."""
        for item in items:
            failed = self.failed.pop(item, None)
            if failed is not None:
                self.attempts.pop(item, None)
                self.answered.discard(item)
                self.lanes.put_back(Run(item, 1, failed.batch))

    def apply_gone(self, member: int) -> None:
        """The member is no more, and nothing is granted to it or held by it."""
        self.grants.pop(member, None)
        self.last_seq.pop(member, None)

    def apply_reply(self, reply_id: int, reply: Reply) -> None:
        """The item has its reply. (That it is finished, if it is, is applied apart.)"""
        self.next_id = max(self.next_id, reply_id + 1)
        self.keep_reply(reply_id, reply)
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

    @property
    def queued(self) -> int:
        """Items that a get could still return: what `qsize` tells."""
        return self.lanes.ready + self.lanes.untaken

    @property
    def unfinished(self) -> int:
        """Items put and not finished: what `join` waits for."""
        return self.lanes.ready + self.lanes.untaken + len(self.held)

    def attempt(self, item: int) -> int:
        """How many times the item will have been delivered with its next, or current, delivery."""
        found = self.attempts.get(item)
        return found[0] if found else 1

    def deaths(self, item: int) -> int:
        """How many consumers died holding the item."""
        found = self.attempts.get(item)
        return found[1] if found else 0

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

    # Placing, as a checkpoint tells

    def keep_batch(self, batch: Batch) -> None:
        """The batch has unfinished items; where they are is said apart."""
        self.batches[batch.first_id] = batch
        self.bytes += batch.size
        self._index = None

    def keep_reply(self, reply_id: int, reply: Reply) -> None:
        """The reply is there until it is heard; that its item is answered is said apart."""
        self.replies[reply_id] = reply
        self._replies_to[reply.producer, reply.seq] = reply_id
        self.bytes += reply.size

    # The moves

    def _truncate(self, member: int, grants: Grants, position: int) -> None:
        while grants.end > max(position, grants.taken):
            run = grants.runs.pop()
            count = min(run.count, grants.end - max(position, grants.taken))
            if count < run.count:
                grants.runs.append(Run(run.first, run.count - count, run.batch))
            grants.end -= count
            if run.batch is not None:
                self.lanes.untake(run.batch.producer, member, count)
                self.lanes.put_back(Run(run.first + run.count - count, count, run.batch))

    def _align(self, member: int, grants: Grants, position: int) -> None:
        """Makes the member's grants end at `position`; what a lost record had granted counts as taken."""
        self._truncate(member, grants, position)
        if not grants.runs:
            grants.taken = grants.end = position
        elif position > grants.end:
            grants.runs.append(Run(0, position - grants.end, None))
            grants.end = position

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
        if batch is not None and self.lanes.remove(Run(item, 1, batch)):
            self._finish(batch, 1)
