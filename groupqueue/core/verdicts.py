"""
What consumers say of items that they hold: done, answered, failed, requeued.

A verdict counts if the member holds the item in this very attempt, and changes nothing if not: so it may be said again
until it is settled, and a verdict of somebody who was given up for dead does not touch what another holds by now.
Either way it is settled when it is on record.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from groupqueue.core import messages as m
from groupqueue.core.effects import Effects
from groupqueue.core.peer import Peer
from groupqueue.core.progress import Progress
from groupqueue.core.recorder import Recorder
from groupqueue.core.replies import Replies
from groupqueue.core.state import State

MAX_REASON = 400


class Verdicts:
    """See the module."""

    def __init__(
        self, state: State, recorder: Recorder, progress: Progress, replies: Replies, effects: Effects
    ) -> None:
        self._state = state
        self._recorder = recorder
        self._progress = progress
        self._replies = replies
        self._effects = effects

    def on_done(self, peer: Peer, done: m.Done, now: float) -> None:
        finished = []
        for item, attempt in struct.iter_unpack("<QQ", done.body):
            if self._holds(peer, item, attempt):
                finished.append(item)
        if finished:
            self._recorder.finish(_as_runs(finished))
        self._settle(peer, done.number)

    def on_answer(self, peer: Peer, answer: m.Answer, now: float) -> None:
        if self._holds(peer, answer.id, answer.attempt):
            self._replies.keep(self._state.held[answer.id].batch, answer)
            if answer.finish:
                self._recorder.finish([(answer.id, 1)])
        self._settle(peer, answer.number)

    def on_fail(self, peer: Peer, fail: m.Fail, now: float) -> None:
        if self._holds(peer, fail.id, fail.attempt):
            self._recorder.failed(fail.id, bytes(fail.body[:MAX_REASON]))
        self._settle(peer, fail.number)

    def on_requeue(self, peer: Peer, message: m.Requeue, now: float) -> None:
        if self._holds(peer, message.id, message.attempt):
            self._recorder.requeue(message.id, message.attempt + 1, self._state.deaths(message.id))
        self._settle(peer, message.number)

    def _holds(self, peer: Peer, item: int, attempt: int) -> bool:
        held = self._state.held.get(item)
        if held is None:
            self._progress.advance(peer.member)
            held = self._state.held.get(item)
        return held is not None and held.member == peer.member and self._state.attempt(item) == attempt

    def _settle(self, peer: Peer, number: int) -> None:
        peer.settled = max(peer.settled, number)
        self._effects.confirming.add(peer)


def _as_runs(items: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for item in sorted(items):
        if runs and runs[-1][0] + runs[-1][1] == item:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((item, 1))
    return runs
