"""
Questions that wait until nothing is on its way: `clear`, and `join`.

What is granted may be taken at any moment, so `clear` asks all of it back before it drops what is ready; it does not
wait longer than `GRACE`. `join` waits for as long as it takes, until nothing is unfinished. Whoever asked and has
disconnected asks again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from groupqueue.core import messages as m
from groupqueue.core.effects import Effects
from groupqueue.core.peer import Peer
from groupqueue.core.progress import Progress
from groupqueue.core.recalls import GRACE, Recalls
from groupqueue.core.recorder import Recorder
from groupqueue.core.replies import Replies
from groupqueue.core.results import pack_result
from groupqueue.core.state import State


class Pending(NamedTuple):
    """A question that waits. `until`: when `clear` waits no longer; None for `join`."""

    member: int
    ticket: int
    until: float | None


class Draining:
    """See the module. `pending`: in the order in which they were asked."""

    def __init__(
        self,
        state: State,
        peers: Mapping[int, Peer],
        recorder: Recorder,
        progress: Progress,
        recalls: Recalls,
        replies: Replies,
        effects: Effects,
    ) -> None:
        self.pending: list[Pending] = []
        self._state = state
        self._peers = peers
        self._recorder = recorder
        self._progress = progress
        self._recalls = recalls
        self._replies = replies
        self._effects = effects

    def clear(self, peer: Peer, ticket: int, now: float) -> None:
        self.pending.append(Pending(peer.member, ticket, now + GRACE))

    def join(self, peer: Peer, ticket: int) -> None:
        self.pending.append(Pending(peer.member, ticket, None))

    def forget(self, member: int) -> None:
        self.pending = [pending for pending in self.pending if pending.member != member]

    def pump(self, now: float) -> None:
        """Answers what need not wait any longer."""
        self._progress.advance_all()
        for pending in list(self.pending):
            count = self._try_join(now) if pending.until is None else self._try_clear(pending.until, now)
            if count is not None:
                self.pending.remove(pending)
                result = m.Result(pending.ticket, pack_result({"count": count}))
                self._effects.send(self._peers[pending.member], result)

    def _try_join(self, now: float) -> int | None:
        if not self._state.unfinished:
            return 0
        if self._state.lanes.untaken:
            self._recalls.watch(now)
        return None

    def _try_clear(self, until: float, now: float) -> int | None:
        """How many items were dropped, None if some of those that are granted may still come back."""
        if now < until and self._recalls.ask_all(now):
            return None
        return self._drop_ready()

    def _drop_ready(self) -> int:
        """Drops every ready item, and tells those who wait for a reply to one."""
        runs = self._state.lanes.runs()
        for run in runs:
            assert run.batch is not None
            if run.batch.flags & m.WANTS_REPLY:
                for item in range(run.first, run.first + run.count):
                    self._replies.keep_lost(run.batch, item, "the queue was cleared")
        self._recorder.finish([(run.first, run.count) for run in runs])
        return sum(run.count for run in runs)
