"""
Taking back an item whose `put_wait` has given up.

A ready item is finished at once. One that is granted is asked back first, and answered for when it has come back or was
taken: the caller is told that it is gone only if nobody will get it. A withdrawal may come before its item, which a
member that reconnects sends again behind it; then nobody is granted the item in between.
"""

from __future__ import annotations

from collections.abc import Mapping

from groupqueue.core import messages as m
from groupqueue.core.effects import Effects
from groupqueue.core.items import Run
from groupqueue.core.peer import Peer
from groupqueue.core.progress import Progress
from groupqueue.core.recalls import Recalls
from groupqueue.core.recorder import Recorder
from groupqueue.core.state import State


class Withdrawals:
    """See the module. `open`: items to be withdrawn, with the producer and seq of each. `early`: those yet to come."""

    def __init__(
        self,
        state: State,
        peers: Mapping[int, Peer],
        recorder: Recorder,
        progress: Progress,
        recalls: Recalls,
        effects: Effects,
    ) -> None:
        self.open: dict[int, tuple[int, int]] = {}
        self.early: set[tuple[int, int]] = set()
        self._state = state
        self._peers = peers
        self._recorder = recorder
        self._progress = progress
        self._recalls = recalls
        self._effects = effects

    def on_withdraw(self, peer: Peer, message: m.Withdraw, now: float) -> None:
        if message.seq > self._state.last_seq.get(peer.member, 0):
            self.early.add((peer.member, message.seq))
        else:
            self._look_for(peer.member, message.seq)

    def _look_for(self, producer: int, seq: int) -> None:
        item = self._find(producer, seq)
        if item is not None:
            self.open[item] = (producer, seq)
        elif producer in self._peers:
            self._effects.send(self._peers[producer], m.Withdrawn(seq, 0))

    def forget(self, member: int) -> None:
        """The member's connection is gone: on its next it says again what it withdraws."""
        if self.early:
            self.early = {found for found in self.early if found[0] != member}

    def pump(self, now: float) -> None:
        """Answers what can be answered, and asks for what is granted. Before anything is granted in this step."""
        for producer, seq in list(self.early):
            if seq <= self._state.last_seq.get(producer, 0):
                self.early.discard((producer, seq))
                self._look_for(producer, seq)
        for item, (producer, seq) in list(self.open.items()):
            gone = self._state.lanes.is_ready(producer, item)
            if gone:
                self._recorder.finish([(item, 1)])
            elif self._asks_back(item, now):
                continue
            del self.open[item]
            peer = self._peers.get(producer)
            if peer is not None:
                self._effects.send(peer, m.Withdrawn(seq, int(gone)))

    def _asks_back(self, item: int, now: float) -> bool:
        """Whether the item is granted and not taken; then its return is asked for."""
        holder = self._state.granted_to(item)
        if holder is not None:
            self._progress.advance(holder)
            holder = self._state.granted_to(item)
        if holder is None:
            return False
        self._recalls.ask(holder, now, at_once=True)
        return True

    def _find(self, producer: int, seq: int) -> int | None:
        """The id of a ready or granted item of this producer."""
        state = self._state
        lane = state.lanes.by_producer.get(producer)
        if lane is None:
            return None
        runs = list(lane.ready)
        for member in lane.untaken:
            runs += state.grants[member].runs
        for run in runs:
            item = _id_in(run, producer, seq)
            if item is not None:
                return item
        return None


def _id_in(run: Run, producer: int, seq: int) -> int | None:
    batch = run.batch
    if batch is None or batch.producer != producer:
        return None
    item = batch.first_id + seq - batch.first_seq
    return item if run.first <= item < run.first + run.count else None
