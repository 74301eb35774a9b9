"""
What all parts of the awaited face share: which loop a handle belongs to, and who the caller is.

A handle belongs to the loop in which it first waits, as an `asyncio.Queue` does, until that loop is closed; in a forked
child it is free again. The owner of what was got is the task that called the method, not the one that runs it:
`wait_for` (before 3.12), `gather` and `create_task` run a coroutine in a task of its own. So the getting methods are
plain functions that note their caller and return the coroutine.
"""

from __future__ import annotations

import asyncio
from typing import Any

from groupqueue.aio.exceptions import QueueShutDown
from groupqueue.aio.member import LoopMember
from groupqueue.aio.waits import Waits
from groupqueue.face.handle import Handle, T
from groupqueue.system.deadline import Deadline

Owner = asyncio.Task[Any] | None
"""None is whoever calls from no task."""


def caller() -> Owner:
    """The task that runs now."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


class Awaiting(Handle[T]):
    """A handle whose callers are coroutines."""

    _shut_down = QueueShutDown
    _member: LoopMember
    _waits: Waits | None

    async def wait_for_leader(self, timeout: float | None = None) -> bool:
        """True once this handle is served by a leader, itself or another.

        False if that takes longer than `timeout` seconds.

            assert await q.wait_for_leader(5)
        """
        member = self._member
        await self._here().until(lambda: member.is_connected or member.closing, Deadline(timeout))
        return member.is_connected

    def _here(self) -> Waits:
        """The waits of the running loop. RuntimeError in a loop that is not the handle's."""
        loop = asyncio.get_running_loop()
        waits = self._waits
        if waits is None or waits.loop is not loop or waits.driver is not self._member.driver:
            waits = self._waits = self._bind(waits, loop)
        return waits

    def _waits_or_none(self) -> Waits | None:
        """`_here` for a plain function, which may be called where no loop runs."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return None
        return self._here()

    def _bind(self, before: Waits | None, loop: asyncio.AbstractEventLoop) -> Waits:
        # A forked child has another driver: there is nothing to abandon of what the parent's was told.
        if before is not None and before.driver is self._member.driver:
            if not before.loop.is_closed():
                raise RuntimeError(f"{self!r} is bound to a different event loop")
            before.abandon()
        return Waits(self._member, loop)
