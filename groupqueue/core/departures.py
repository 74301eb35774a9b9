"""
What becomes of a member's things when it goes.

What it was granted and has not taken goes back to its lanes. What it held goes back too, as another attempt; a death
counts against the item, which ends on the failed list once it has seen `max_attempts` of them, while closing is
nobody's fault. But an item that was being decoded when its consumer closed counts as one that it died of: the decoding
may have ended the process. Replies that it did not hear are forgotten. At the end the journal knows no more of it.
"""

from __future__ import annotations

from groupqueue.core.progress import Progress
from groupqueue.core.recorder import Recorder
from groupqueue.core.replies import Replies
from groupqueue.core.state import State


class Departures:
    """See the module."""

    def __init__(self, state: State, recorder: Recorder, progress: Progress, replies: Replies) -> None:
        self._state = state
        self._recorder = recorder
        self._progress = progress
        self._replies = replies

    def depart(self, member: int, death: bool) -> None:
        """The member is gone: dead, or closed."""
        state = self._state
        known = member in state.grants or member in state.last_seq
        grants = state.grants.get(member)
        opened: int | None = None
        if grants is not None:
            self._progress.advance(member)
            opened = self._progress.hold_opened(member)
            if grants.end > grants.taken:
                self._recorder.returned(member, grants.taken)
        # The youngest first: each then joins what came back before it.
        for item in reversed(state.held_by(member)):
            self._bring_back(item, death or item == opened)
        self._replies.drop(member)
        if known:
            self._recorder.gone(member)

    def _bring_back(self, item: int, death: bool) -> None:
        state = self._state
        batch = state.held[item].batch
        deaths = state.deaths(item) + (1 if death else 0)
        if death and deaths >= batch.max_attempts:
            reason = f"{deaths} consumers died holding it"
            self._replies.keep_lost(batch, item, reason)
            self._recorder.failed(item, reason.encode())
        else:
            self._recorder.requeue(item, state.attempt(item) + 1, deaths)
