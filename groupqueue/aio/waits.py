"""
What a coroutine waits for: an item, room, a reply, an answer, a change; as `groupqueue.waits` for threads.

One object to each handle and loop. The background thread drives; whatever it changes it tells the lines here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from groupqueue.aio.lines import NEVER, Line
from groupqueue.aio.member import LoopMember
from groupqueue.core.calls import Question
from groupqueue.system.deadline import Deadline

ALL = sys.maxsize
NO_TICKET = -1
BREATH = 100
"""Calls that go through without waiting before the loop may run something else."""


class _Putters:
    """The session's `putters` ask the leader for room. In an unbounded group there is nothing to ask for."""

    def __init__(self, member: LoopMember) -> None:
        self._member = member
        self._putters = member.session.putters

    def add(self, place: object) -> None:
        if self._member.is_bounded:
            self._putters.add(place)

    def discard(self, place: object) -> None:
        self._putters.discard(place)


class Waits:
    """See the module. `getters` wait for an item, `putters` for room, `askers` for a reply."""

    def __init__(self, member: LoopMember, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.driver = member.driver
        self._member = member
        self._session = member.session
        self.unbroken = 0
        self._item_ticket = self._room_ticket = NO_TICKET
        self.getters = Line(member, loop, self._items, self._session.getters)
        self.putters = Line(member, loop, self._room, _Putters(member))
        self.askers = Line(member, loop, self._end)
        self._lines = (self.getters, self.putters, self.askers)
        self.driver.listeners += self._lines

    def abandon(self) -> None:
        """The loop is closed, another will be used."""
        for line in self._lines:
            line.abandon()
            self.driver.listeners.remove(line)

    def needs_breath(self) -> bool:
        """Whether this call, which might go through without waiting, is to let others run first."""
        self.unbroken += 1
        if self.unbroken <= BREATH:
            return False
        self.unbroken = 0
        return True

    def is_over(self) -> bool:
        """Whether no reply will come any more, here."""
        return self._end() > 0

    def tell(self, act: Callable[[], None]) -> None:
        """Has it done in the loop's thread. In any thread."""
        try:
            self.loop.call_soon_threadsafe(act)
        except RuntimeError:
            # The loop is closed: nobody waits for this any more.
            pass

    async def until(self, ready: Callable[[], bool], deadline: Deadline = NEVER) -> bool:
        """Until `ready()`, which any thread may ask; False at the deadline."""
        if ready():
            return True
        line = Line(self._member, self.loop, ready)
        self.driver.listeners.append(line)
        try:
            with line.join() as place:
                while not ready():
                    await place.turn(deadline)
        except TimeoutError:
            return False
        finally:
            self.driver.listeners.remove(line)
        return True

    async def for_answer(
        self, request: dict[str, Any], deadline: Deadline = NEVER
    ) -> tuple[dict[str, Any], memoryview] | None:
        """The leader's answer to an operator's question; None if there is none in time."""
        member = self._member
        session = self._session
        asked: list[Question] = []

        def ask() -> None:
            asked.append(session.ask(request))

        def forget() -> None:
            for question in asked:
                session.forget(question)

        member.soon(ask)
        try:
            await self.until(lambda: bool(asked and asked[0].answer) or member.is_closed, deadline)
            return asked[0].answer if asked else None
        finally:
            member.soon(forget)

    def ask_for_item(self) -> None:
        """Has an item come here, if there is one, though nobody waits for it."""
        self._member.soon(self._ask_for_item)

    def ask_for_room(self) -> None:
        """Has room set aside for a put, if there is some, though nobody waits for it."""
        self._member.soon(self._ask_for_room)

    def _ask_for_item(self) -> None:
        session = self._session
        if session.inbox.count <= 0 and session.is_answered(self._item_ticket):
            self._item_ticket = session.ask_for_item()

    def _ask_for_room(self) -> None:
        session = self._session
        if self._member.is_bounded and session.credit <= 0 and session.is_answered(self._room_ticket):
            self._room_ticket = session.ask_for_credit()

    # What the lines wait for

    def _items(self) -> int:
        member = self._member
        if member.closing:
            return ALL
        if member.options.delivery == "leader" and not member.is_leader:
            return 0
        count = member.inbox.count
        if count > 0:
            return count
        return ALL if self._session.drained or self._session.shutdown == 2 else 0

    def _room(self) -> int:
        member = self._member
        if member.closing or self._session.shutdown:
            return ALL
        if member.backed_up:
            return 0
        return max(self._session.credit, 0) if member.is_bounded else ALL

    def _end(self) -> int:
        return ALL if self._member.is_closed or self._session.shutdown == 2 else 0
