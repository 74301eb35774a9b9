"""
The putting half: objects become bytes in the loop's thread, and are the member's once there is room.

What is put is sent by the background thread, so that a large object, or a leader that does not read, never holds up the
loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from groupqueue.aio.exceptions import QueueFull
from groupqueue.aio.handle import Awaiting
from groupqueue.aio.lines import NEVER
from groupqueue.aio.waits import Waits
from groupqueue.core.calls import Call
from groupqueue.core.outbox import Entry
from groupqueue.face.handle import T
from groupqueue.face.outgoing import Outgoing
from groupqueue.face.putting import WITHDRAW_GRACE
from groupqueue.system.deadline import Deadline


class Putting(Outgoing[T], Awaiting[T]):
    """See the module."""

    async def put(self, obj: T) -> None:
        """Puts the object; it is serialised at once, and what changes in it later changes nothing.

        Waits for room in a bounded group, or while too much is unsent, in order with other puts of this handle.
        Cancelled, it has put nothing. Raises PicklingError, QueueShutDown; ValueError if the item is too large, the
        mode is "master" or the queue is closed; RuntimeError in another event loop than the handle's.

            await q.put({"id": 1})
        """
        self._check_put("put")
        entry = (self._payload(obj), None)
        await self._enter(self._here(), entry, "put")

    def put_nowait(self, obj: T) -> None:
        """Puts the object if there is room that this handle knows of and nobody waits for. A plain function.

        Raises QueueFull: nothing was put, and the leader is asked for room in the background, so that a later call may
        find it. Otherwise as put. An unbounded group has room until too much is unsent.

            q.put_nowait({"id": 1})
        """
        self._check_put("put")
        entry = (self._payload(obj), None)
        waits = self._waits_or_none()
        if (waits is not None and waits.putters) or not self._enter_now(entry, "put"):
            if waits is not None:
                waits.ask_for_room()
            raise QueueFull

    async def put_many(self, iterable: Iterable[T]) -> None:
        """Puts every object of the iterable, in order.

        Raises as put does. If it raises, or is cancelled, what came before is put.

            await q.put_many({"id": n} for n in range(1000))
        """
        self._check_put("put_many")
        waits = self._here()
        for obj in iterable:
            await self._enter(waits, (self._payload(obj), None), "put_many")

    async def put_wait(self, obj: T, timeout: float | None = None) -> Any:
        """Puts the object, waits for the consumer's reply and returns it.

        Cancelled, or after `timeout` seconds, the item is withdrawn, unless a consumer's call had already returned it.
        Raises the consumer's exception if it failed with one (caused by a RemoteError that has its traceback; or that
        RemoteError, where it cannot travel), ConsumerLost if it took `max_attempts` consumers with it, ReplyTimeout,
        DecodeError for a reply that cannot be rebuilt here. And as put does.

            answer = await q.put_wait({"id": 2}, timeout=5)
        """
        deadline = Deadline(timeout)
        self._check_put("put_wait")
        payload = self._payload(obj)
        waits = self._here()
        with waits.askers.join() as place:
            call = Call(lambda _: waits.tell(place.wake))
            entry = (payload, call)
            try:
                await self._enter(waits, entry, "put_wait", deadline)
            except TimeoutError:
                raise self._reply_timeout(timeout) from None
            try:
                while call.answer is None and not waits.is_over():
                    await place.wait(deadline)
            except TimeoutError:
                await self._withdraw(waits, call)
            except BaseException:
                self._member.soon(partial(self._member.session.withdraw, call))
                raise
        return self._result(call, timeout)

    async def flush(self, timeout: float | None = None) -> None:
        """Returns when the leader has everything that this handle has put.

        Raises TimeoutError if that takes longer than `timeout` seconds.

            await q.put(item)
            await q.flush()
        """
        member = self._member
        member.push()
        if not await self._here().until(lambda: member.is_flushed() or member.is_closed, Deadline(timeout)):
            raise TimeoutError(
                f"group {self._label!r}: {member.outbox.waiting} item(s) not confirmed by a leader within {timeout} s"
            )

    # Beneath

    async def _enter(self, waits: Waits, entry: Entry, what: str, deadline: Deadline = NEVER) -> None:
        """Waits for room, if there is none, and puts. TimeoutError, and nothing is put, at the deadline."""
        rest = waits.needs_breath()
        if not rest and not waits.putters and self._enter_now(entry, what):
            return
        with waits.putters.join() as place:
            while True:
                await place.turn(deadline, rest)
                rest = False
                self._check_put(what)
                if self._enter_now(entry, what):
                    return

    def _enter_now(self, entry: Entry, what: str) -> bool:
        """Puts if there is room; False if there is none."""
        member = self._member
        if member.backed_up:
            return False
        if member.is_bounded:
            with member.put_lock:
                if member.session.credit <= 0:
                    return False
                member.outbox.pending.append(entry)
        else:
            member.outbox.pending.append(entry)
        if member.session.shutdown or member.closing:
            self._take_back(entry, what)
        member.push()
        return True

    async def _withdraw(self, waits: Waits, call: Call) -> None:
        """Gives up, but for a moment: if a consumer has the item, its answer may be on its way."""
        self._member.soon(partial(self._member.session.withdraw, call))
        await waits.until(lambda: call.gone is not None or call.answer is not None, Deadline(WITHDRAW_GRACE))
