"""
The checkpoint: the whole state as plain JSON, and the state again.

It says where every item is, not what the items are: that the items segments tell, and they go on existing beside it. So
recovery is to gather what the segments hold, to place it as the checkpoint says, and to apply the records that came
after it. What the checkpoint names and no segment holds is lost, and counted; what a segment holds and the checkpoint
does not name was finished.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from groupqueue.core.items import Batch, Failed, Grants, Held, Reply, Run
from groupqueue.core.messages import REPLY_LOST
from groupqueue.core.spans import Spans
from groupqueue.core.state import State

FORMAT = 1


def to_json(state: State, *, reasons: bool = True) -> dict[str, Any]:
    """The whole state but for what the items segments tell; the `reasons` of failures may stay out."""
    return {
        "format": FORMAT,
        "epoch": state.epoch,
        "next_id": state.next_id,
        "shutdown": [state.shutdown, state.shutdown_generation],
        "totals": [state.total_put, state.total_finished, state.lost],
        "last_seq": list(state.last_seq.items()),
        "ready": [[run.first, run.count] for run in state.lanes.runs()],
        "grants": [
            [
                member,
                grants.taken,
                [[run.first if run.batch is not None else 0, run.count] for run in grants.runs],
            ]
            for member, grants in state.grants.items()
        ],
        "held": [[item, held.member] for item, held in state.held.items()],
        "failed": [[item, failed.reason if reasons else ""] for item, failed in state.failed.items()],
        "attempts": [[item, *counts] for item, counts in state.attempts.items()],
        "answered": list(state.answered),
        "segments": sorted(state.segments),
        "replies": [number for number, reply in state.replies.items() if reply.location is not None],
        "lost_replies": [
            [number, reply.item, reply.producer, reply.seq, reply.text]
            for number, reply in state.replies.items()
            if reply.location is None
        ],
    }


class Rebuild:
    """Recovery of a state: a checkpoint, then the items and replies that the segments hold, then the later records.

    `add_items` and `add_reply` in any order; then `settle`; then `apply_...` of the later ledger records on `state`;
    then `finish`. `unseen`: what the ledger knows as unfinished and no segment holds. That is lost; but only once all
    records are applied, for an item may have been finished since, and its segment written over.
    """

    def __init__(self, checkpoint: dict[str, Any] | None) -> None:
        self.state = State()
        self._checkpoint = checkpoint or {}
        self._next_id: int = self._checkpoint.get("next_id", 1)
        self._old: list[Batch] = []
        self._young: list[tuple[tuple[int, ...], int, Any]] = []
        self._replies: list[tuple[tuple[int, ...], int, Any]] = []
        self._finishing: list[int] = []
        self._counted = (0, 0)
        self.unseen = Spans()

    def add_items(self, words: tuple[int, ...], size: int, location: Any) -> None:
        """The words of an ITEMS record, in the order of the format."""
        producer, first_id, first_seq, count, flags, max_attempts, pid = words
        if first_id >= self._next_id:
            self._young.append((words, size, location))
        else:
            batch = Batch(first_id, producer, first_seq, count, flags, max_attempts, pid, size, location)
            batch.live = 0
            self._old.append(batch)

    def add_reply(self, words: tuple[int, ...], size: int, location: Any) -> None:
        """The words of a REPLY record."""
        self._replies.append((words, size, location))

    def settle(self) -> None:
        """Places every item as the checkpoint says; what is younger than the checkpoint is ready."""
        state = self.state
        self._old.sort(key=_first_id)
        if self._checkpoint:
            self._tell(self._checkpoint)
            self._place(self._checkpoint)
        for batch in self._old:
            if batch.live:
                state.keep_batch(batch)
            else:
                state.released.append(batch.location)
        self._counted = (self._next_id, state.total_put)
        state.next_id = self._next_id
        self._young.sort(key=lambda found: found[0][1])
        for words, size, location in self._young:
            state.apply_items(*words, size, location)  # type: ignore[call-arg]
        self._settle_replies()

    def count(self, next_id: int, total_put: int) -> None:
        """A later record tells how many items had been put before `next_id`."""
        self._counted = (next_id, total_put)

    def runs(self, pairs: Iterable[tuple[int, int]]) -> list[Run]:
        """Runs for a GRANT record's (first id, count) pairs."""
        runs = [Run(first, count, self.state.find(first)) for first, count in pairs]
        for run in runs:
            if run.batch is None:
                self.unseen.add(run.first, run.count)
        return runs

    def see_taken(self, member: int, position: int, held: Iterable[int]) -> None:
        """A record is about to tell that the member took everything before `position`."""
        grants = self.state.grants.get(member)
        if grants is None:
            return
        end = grants.taken
        for run in grants.runs:
            if end >= position:
                return
            count = min(run.count, position - end)
            # 0: only the positions are left, and what they were is counted.
            if run.batch is None and run.first:
                self.unseen.remove(run.first, count)
                for item in held:
                    if run.first <= item < run.first + count:
                        self.unseen.add(item, 1)
            end += run.count

    def see_finished(self, pairs: Iterable[tuple[int, int]]) -> None:
        """A record is about to tell that these items are finished."""
        for first, count in pairs:
            self.unseen.remove(first, count)

    def finish(self) -> State:
        """What finishing replies say of their items is said last: they were sent of held items."""
        state = self.state
        for item in self._finishing:
            if item in state.held:
                state.unrecorded.append((item, 1))
            state.apply_finish([(item, 1)])
            self.unseen.remove(item, 1)
        state.answered = {item for item in state.answered if state.find(item) is not None}
        state.attempts = {item: counts for item, counts in state.attempts.items() if state.find(item) is not None}
        state.lost += self.unseen.total
        next_id, total_put = self._counted
        state.total_put = total_put + sum(words[3] for words, _, _ in self._young if words[1] >= next_id)
        state.total_finished = state.total_put - state.unfinished - len(state.failed)
        return state

    def _tell(self, saved: dict[str, Any]) -> None:
        state = self.state
        state.epoch = saved["epoch"]
        state.shutdown, state.shutdown_generation = saved["shutdown"]
        state.total_put, state.total_finished, state.lost = saved["totals"]
        state.last_seq = dict(saved["last_seq"])
        state.attempts = {item: (attempt, deaths) for item, attempt, deaths in saved["attempts"]}
        state.answered = set(saved["answered"])
        # An older groupqueue does not tell.
        state.segments = set(saved.get("segments", ()))
        for number, item, producer, seq, text in saved["lost_replies"]:
            state.keep_reply(number, Reply(item, producer, seq, REPLY_LOST, 0, None, text))

    def _place(self, saved: dict[str, Any]) -> None:
        state = self.state
        for first, count in sorted(saved["ready"]):
            batch = self._revive(first, count)
            if batch is not None:
                state.lanes.add(Run(first, count, batch))
        for member, taken, runs in saved["grants"]:
            grants = state.grants[member] = Grants()
            grants.taken = grants.end = taken
            for first, count in runs:
                batch = self._revive(first, count)
                grants.runs.append(Run(first, count, batch))
                grants.end += count
                if batch is not None:
                    state.lanes.restore_grant(batch.producer, member, count)
        for item, member in saved["held"]:
            batch = self._revive(item, 1)
            if batch is not None:
                state.held[item] = Held(member, batch)
        for item, reason in saved["failed"]:
            batch = self._revive(item, 1)
            if batch is not None:
                state.failed[item] = Failed(batch, reason)

    def _revive(self, first: int, count: int) -> Batch | None:
        """Counts these items as unfinished, and returns their batch; None if no segment holds it."""
        if not first:
            return None
        at = bisect_right(self._old, first, key=_first_id) - 1
        batch = self._old[at] if at >= 0 else None
        if batch is None or first + count > batch.first_id + batch.count:
            self.unseen.add(first, count)
            return None
        batch.live += count
        return batch

    def _settle_replies(self) -> None:
        kept = set(self._checkpoint.get("replies", ()))
        for words, size, location in self._replies:
            reply_id, item, producer, seq, status, finish = words
            reply = Reply(item, producer, seq, status, size, location)
            if reply_id >= self._next_id:
                self.state.apply_reply(reply_id, reply)
                if finish:
                    self._finishing.append(item)
            elif reply_id in kept:
                self.state.keep_reply(reply_id, reply)
            else:
                self.state.released.append(location)


def _first_id(batch: Batch) -> int:
    return batch.first_id
