"""
Coroutines that wait for the same thing, first come, first served.

Nothing is ever handed to a waiting coroutine. It is woken, keeps its place in the line while it has not run, and then
takes by itself, in its own thread and step. So a coroutine that is cancelled, however late, has taken nothing, and
leaves the thing to the next; one that finds nothing after all still has its place.

A line is a listener of the driver: another thread asks `ready` and calls `wake`. The rest is the loop's thread's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Protocol

from groupqueue.aio.member import LoopMember
from groupqueue.system.deadline import Deadline

NEVER = Deadline(None)


class Register(Protocol):
    """Where the session keeps who waits. Requires the member's lock."""

    def add(self, place: object, /) -> None: ...

    def discard(self, place: object, /) -> None: ...


class Line:
    """See the module. `room` tells, in any thread, how many may go on now; the leader hears of who is in `register`."""

    def __init__(
        self,
        member: LoopMember,
        loop: asyncio.AbstractEventLoop,
        room: Callable[[], int],
        register: Register | None = None,
    ) -> None:
        self.loop = loop
        self._member = member
        self._room = room
        self._register = register
        self._places: dict[Place, None] = {}
        self._told = False

    def __len__(self) -> int:
        return len(self._places)

    def join(self) -> Place:
        """A place at the end, to be used by `with`."""
        return Place(self)

    def ready(self) -> bool:
        return bool(self._places) and (not self._told or self.loop.is_closed()) and self._room() > 0

    def wake(self) -> None:
        self._told = True
        try:
            self.loop.call_soon_threadsafe(self.serve)
        except RuntimeError:
            self.abandon()

    def serve_soon(self) -> None:
        """`serve`, once everybody else in the loop who can run has run."""
        if not self._told:
            self._told = True
            self.loop.call_soon(self.serve)

    def serve(self) -> None:
        """Wakes as many as may go on, the first first."""
        self._told = False
        left = self._room()
        if left <= 0 or self.loop.is_closed():
            return
        for place in self._places:
            place.wake()
            left -= 1
            if not left:
                return

    def is_first(self, place: Place) -> bool:
        return next(iter(self._places), None) is place

    def is_turn_of(self, place: Place) -> bool:
        """Whether it is among those who may go on now: something may have been taken away since it was woken."""
        left = self._room()
        for other in self._places:
            if left <= 0:
                break
            if other is place:
                return True
            left -= 1
        return False

    def abandon(self) -> None:
        """The loop is closed: whoever waits in it will never run again. In any thread."""
        for place in list(self._places):
            self.leave(place, gone_on=False)

    def enter(self, place: Place) -> None:
        self._places[place] = None
        if self._register is not None:
            self._member.soon(partial(self._register.add, place))

    def leave(self, place: Place, gone_on: bool) -> None:
        """`gone_on`: it has what it waited for. Otherwise the next may have it."""
        self._places.pop(place, None)
        if self._register is not None:
            forget = partial(self._register.discard, place)
            if gone_on and (not self._places or self._room() > 0):
                self._member.later(forget)
            else:
                # The leader must hear that nobody waits any more, or that the rest still do.
                self._member.soon(forget)
        if not gone_on:
            self.serve()


class Place:
    """One coroutine's place, which it leaves with the block: by an exception without having gone on."""

    __slots__ = ("_future", "_line")

    def __init__(self, line: Line) -> None:
        self._line = line
        self._future: asyncio.Future[bool] | None = None

    def __enter__(self) -> Place:
        self._line.enter(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._line.leave(self, gone_on=kind is None)

    async def turn(self, deadline: Deadline = NEVER, rest: bool = False) -> None:
        """Returns when this coroutine may try to go on; TimeoutError at the deadline.

        With `rest` it lets others run in any case, and has its place meanwhile.
        """
        while True:
            await self.wait(deadline, rest)
            if self._line.is_turn_of(self):
                return
            rest = False

    async def wait(self, deadline: Deadline, rest: bool = False) -> None:
        """Returns when `wake` was called; TimeoutError at the deadline."""
        line = self._line
        future = self._future = line.loop.create_future()
        if rest or not line.is_first(self):
            # Woken at once, it would run before those ahead of it, whose turn it may be too.
            line.serve_soon()
        else:
            line.serve()
        left = deadline.remaining()
        timer = line.loop.call_later(left, self._resolve, False) if left is not None else None
        try:
            if not await future:
                raise TimeoutError
        finally:
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        self._resolve(True)

    def _resolve(self, in_time: bool) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(in_time)
