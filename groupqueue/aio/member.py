"""
A member whose caller is an event loop.

The loop's thread takes what has been granted and appends what is put, in memory. It never waits for the member's lock
nor touches a socket or the journal, for a step may be long: a recovery, an fsync, a gigabyte to check. What needs the
lock is an errand, which the background thread does at the beginning of its next step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from groupqueue.member import Member
from groupqueue.system.membership import Membership


class LoopMember(Member):
    """See the module. Errands are done in order, each before anything is said to the leader, and raise nothing."""

    def _open(self, membership: Membership) -> None:
        self._errands: deque[Callable[[], object]] = deque()
        super()._open(membership)

    def soon(self, errand: Callable[[], object]) -> None:
        """Has it done under the lock by another thread, at once."""
        self._errands.append(errand)
        self.push()

    def later(self, errand: Callable[[], object]) -> None:
        """As `soon`, but nobody is woken for it."""
        self._errands.append(errand)

    def push(self, wait: bool = False) -> None:  # noqa: ARG002  # there is nothing to wait for
        """Has what is pending sent by another thread, at once."""
        if not self.armed:
            self.wake()

    def answer_attention(self) -> None:
        self.soon(self._answer_attention)

    def _idle(self) -> None:
        if self._errands or self.outbox.pending or self.outbox.verdicts:
            self._run(self._send_pending)

    def _step(self, events: Any) -> None:
        self._do_errands()
        super()._step(events)

    def _send_pending(self) -> None:
        self._do_errands()
        super()._send_pending()

    def _do_errands(self) -> None:
        """Requires the lock and `_busy`."""
        # First, so that whoever adds an errand from now on rings again.
        self.armed = False
        errands = self._errands
        while errands:
            errands.popleft()()
