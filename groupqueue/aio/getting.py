"""
The getting half: coroutines wait in line, and what a task holds is ended when it gets again, or ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Hashable
from threading import get_ident
from typing import Any, TypeVar, cast

from groupqueue.aio.exceptions import QueueEmpty
from groupqueue.aio.handle import Awaiting, Owner, caller
from groupqueue.aio.waits import BREATH, Waits
from groupqueue.core import messages as m
from groupqueue.core.inbox import ATTENTION, Item
from groupqueue.core.outbox import Verdict
from groupqueue.exceptions import DecodeError, ShutDown
from groupqueue.face.failures import encode_exception
from groupqueue.face.handle import T
from groupqueue.face.incoming import Incoming, check_count
from groupqueue.message import Message

logger = logging.getLogger("groupqueue")

Got = TypeVar("Got")

PLAIN = Item(None, 0, 1, 0, 0, False, None, b"")
"""Stands for a plain item, in the only respect that matters of it: there is nothing to answer or to finish."""


class Getting(Incoming[T], Awaiting[T]):
    """See the module."""

    _owner = "task"
    _plain_get: bool
    _watched: set[asyncio.Task[Any]]

    def get(self) -> Coroutine[Any, Any, T]:
        """Waits for the next item and returns its object. Coroutines that wait are served in order.

        Cancelled, or timed out by `asyncio.wait_for` or `asyncio.timeout`, it has taken nothing. Raises QueueShutDown,
        DecodeError for an item that cannot be rebuilt here (it is then on the failed list, and the queue goes on),
        ValueError on a closed queue, RuntimeError in another event loop than the handle's.

            job = await q.get()
            job = await asyncio.wait_for(q.get(), 5)
        """
        return self._get(caller())

    def get_nowait(self) -> T:
        """Takes an item that is here and that nobody waits for. A plain function, which asks nobody.

        Raises QueueEmpty if there is none: the leader is then asked for one in the background, so that a later call
        finds it. Otherwise as get.

            try:
                job = q.get_nowait()
            except asyncio.QueueEmpty:
                job = None
        """
        owner = caller()
        self._end_current(owner)
        self._member.holdings.raise_deferred()
        waits = self._waits_or_none()
        if waits is None or not waits.getters:
            item = self._take_and_keep(owner)
            if item is not None:
                return cast(T, item.obj)
        if waits is not None:
            waits.ask_for_item()
        raise QueueEmpty

    def get_many(self, max_items: int) -> Coroutine[Any, Any, list[T]]:
        """A list of up to `max_items` objects: waits for the first, and takes what has come with it.

        An item that a `put_wait` waits for is the last of its list: `reply` answers it. One behind the first that
        cannot be decoded ends the list; the next get raises its DecodeError. Raises ValueError for less than one item,
        and as get does.

            for job in await q.get_many(100):
                ...
        """
        check_count(max_items)
        return self._get_many(caller(), max_items)

    def get_message(self) -> Coroutine[Any, Any, Message[T]]:
        """As get, but the item stays this consumer's until one of the message's four endings is called, in any task.

        They are plain functions that return at once. If this process dies first, or the message's block is cancelled,
        the item goes to another consumer, with `attempt` + 1. Raises as get does.

            with await q.get_message() as message:
                await work(message.obj)
        """
        return self._get_message(caller())

    def reply(self, value: Any) -> None:
        """Answers the item that the calling task last got; nothing happens if nobody waits for that, or no longer.

        A plain function. A task that gets again, calls task_done, or ends without having answered has answered None;
        one that ends by an exception answers with it, and what a cancelled one has not answered goes to another
        consumer. Raises ValueError if this task has got nothing, or has answered (another task may answer what came by
        get_message); PicklingError if the value cannot travel.

            question = await q.get()
            q.reply(await answer(question))
        """
        self._reply(caller(), value)

    def task_done(self) -> None:
        """Does nothing but end the item that the calling task last got: here get finishes an item.

        So code that calls it as for an `asyncio.Queue` works.

            job = await q.get()
            q.task_done()
        """
        self._end_current(caller())

    # Beneath

    async def _get(self, owner: Owner) -> T:
        owner = owner or caller()
        waits = self._here()
        member = self._member
        hurdles = member.closing or member.holdings.owing or waits.getters or waits.unbroken >= BREATH
        if self._plain_get and not hurdles:
            # The common case, written out: a plain item that is here costs half of what `_receive` takes for it.
            try:
                with member.inbox_lock:
                    obj = member.inbox.take_plain(self._loads)
            except LookupError:
                pass
            else:
                if member.inbox.words[ATTENTION]:
                    member.answer_attention()
                self._note(owner, PLAIN)
                waits.unbroken += 1
                return cast(T, obj)
        item = await self._receive(owner, lambda: self._take_and_keep(owner))
        return cast(T, item.obj)

    async def _get_many(self, owner: Owner, max_items: int) -> list[T]:
        owner = owner or caller()
        session = self._member.session
        session.wanted = min(max_items, m.WINDOW)
        try:
            item: Item | None = await self._receive(owner, lambda: self._take_and_keep(owner))
        finally:
            session.wanted = 1
        # No await from here on: a cancellation would lose what has been taken.
        found: list[T] = []
        while item is not None:
            found.append(item.obj)
            if len(found) == max_items or self._is_asked(owner):
                break
            try:
                item = self._take_and_keep(owner)
            except ShutDown:
                break
            except DecodeError as error:
                self._member.holdings.defer(error)
                break
        return found

    async def _get_message(self, owner: Owner) -> Message[T]:
        return await self._receive(owner or caller(), self._take_message)

    async def _receive(self, owner: Owner, take: Callable[[], Got | None]) -> Got:
        """What `take` takes, as soon as it is this coroutine's turn and it does."""
        waits = self._here()
        self._end_current(owner)
        self._member.holdings.raise_deferred()
        rest = waits.needs_breath()
        if not rest and not waits.getters:
            got = take()
            if got is not None:
                return got
        with waits.getters.join() as place:
            while True:
                await place.turn(rest=rest)
                rest = False
                got = take()
                if got is not None:
                    return got

    def _take_and_keep(self, owner: Owner) -> Item | None:
        """The next item, if one is here, as the owner's."""
        try:
            item = self._take_now(self._joinable)
            if item is not None:
                self._end_current(owner)
                self._keep(owner, item)
        except BaseException:
            self._member.drop_hand()
            raise
        return item

    def _take_message(self) -> Message[T] | None:
        member = self._member
        try:
            item = self._take_now(hold=True)
            if item is None:
                return None
            message = self._message(item)
            member.inbox.in_hand.pop(get_ident(), None)
        except BaseException:
            member.drop_hand()
            raise
        return message

    # Tasks that end

    def _bind(self, before: Waits | None, loop: asyncio.AbstractEventLoop) -> Waits:
        waits = super()._bind(before, loop)
        for task in list(self._watched):
            self._on_end(task)
        return waits

    def _note(self, owner: Hashable, item: Item) -> None:
        super()._note(owner, item)
        if owner not in self._watched and isinstance(owner, asyncio.Task):
            self._watched.add(owner)
            owner.add_done_callback(self._on_end)

    def _on_end(self, task: asyncio.Task[Any]) -> None:
        """The task has ended, or its loop is closed: it will not answer what it has not answered."""
        self._watched.discard(task)
        member = self._member
        holdings = member.holdings
        item = self._let_go(task)
        if item is not None and not member.closing:
            error = task.exception() if task.done() and not task.cancelled() else asyncio.CancelledError()
            self._answer_for(task, item, error)
        holdings.unfinished.disown(task)

    def _answer_for(self, task: asyncio.Task[Any], item: Item, error: BaseException | None) -> None:
        member = self._member
        finish = not self._joinable
        if error is None:
            self._answer(item.id, item.attempt, None, finish)
        elif isinstance(error, Exception):
            # Asked for its exception, the task will not report it itself.
            text = "group %r: %r ended without an answer to what it got; who asked gets its exception"
            logger.error(text, self._label, task, exc_info=error)
            status, body = encode_exception(error, self._dumps)
            member.say(Verdict(m.Answer, item.id, item.attempt, status, finish, body))
        else:
            if self._joinable:
                member.holdings.unfinished.remove(task, item)
            member.say(Verdict(m.Requeue, item.id, item.attempt))
