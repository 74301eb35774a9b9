"""
The putting half: objects become bytes in the calling thread, and are the member's from then on.

`put` and `put_many` are the hot paths of a producer: what they could share as functions is written out in both, for a
call costs as much as all the rest of a put.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from groupqueue.core.calls import Call
from groupqueue.core.outbox import Entry, Payload, size_of
from groupqueue.exceptions import Full, ShutDown
from groupqueue.face.handle import NO_LEADER, Blocking, T
from groupqueue.face.outgoing import Outgoing
from groupqueue.member import BATCH, PUSH_INTERVAL
from groupqueue.system.deadline import Deadline, now

if TYPE_CHECKING:
    from concurrent.futures import Future

WITHDRAW_GRACE = 0.3
CHUNK = 1000
MAX_PENDING = 1024
BIG = 64 * 1024


class Putting(Outgoing[T], Blocking[T]):
    """See the module."""

    _plain_put: bool

    def put(self, obj: T, block: bool = True, timeout: float | None = None) -> None:
        """Puts the object; it is serialised now, and what changes in it later changes nothing.

        In a bounded group waits for room, at most `timeout` seconds; without a leader puts are buffered, up to a bound.
        Raises Full (nothing was put, also later), PicklingError, ShutDown; ValueError if the item is too large, the
        mode is "master" or the queue is closed.

            q.put({"id": 1})
            q.put({"id": 2}, timeout=5)
        """
        member = self._member
        session = member.session
        if member.closing or not self._plain_put or session.shutdown or member.backed_up:
            self._check_put("put")
            self._wait_for_room(block, timeout)
            session = member.session
        payload = self._pack(obj)
        entry: Entry
        if type(payload) is bytes:
            size = len(payload)
            entry = payload
        else:
            size = size_of(payload)
            entry = (payload, None)
        if size > self._max_item_bytes:
            self._too_large(size)
        pending = member.outbox.pending
        if session.is_bounded:
            self._put_bounded(entry, block, timeout)
        else:
            pending.append(entry)
        if session.shutdown or member.closing:
            self._take_back(entry, "put")
        if len(pending) >= BATCH or size >= BIG:
            member.push(wait=size >= BIG or len(pending) >= MAX_PENDING)
        elif not member.armed:
            if now() - member.pushed_at > PUSH_INTERVAL:
                member.push()
            else:
                member.arm()
        if member.revived:
            member.at_exit()

    def put_nowait(self, obj: T) -> None:
        """As `put(obj, block=False)`.

        Raises Full if there is no room, and as put does.

            try:
                q.put_nowait({"id": 1})
            except Full:
                pass
        """
        self.put(obj, False)

    def put_many(self, iterable: Iterable[T], block: bool = True, timeout: float | None = None) -> None:
        """Puts every object of the iterable, in order, in few steps. Raises as put does.

        If it raises, the objects before the one that could not be put are put; a Full carries their number as
        ``args[0]``.

            q.put_many({"id": n} for n in range(1000))
        """
        self._check_put("put_many")
        deadline = Deadline(timeout)
        member = self._member
        session = member.session
        pending = member.outbox.pending
        pack = self._pack
        small = min(BIG - 1, self._max_item_bytes)
        count = 0
        try:
            for obj in iterable:
                payload = pack(obj)
                if type(payload) is bytes and len(payload) <= small and not (session.is_bounded or member.backed_up):
                    pending.append(payload)
                    if session.shutdown or member.closing:
                        self._take_back(payload, "put_many")
                    count += 1
                    if count % CHUNK == 0:
                        member.push(wait=True)
                    continue
                size = self._put_with_care(payload, block, deadline)
                count += 1
                if count % CHUNK == 0 or size >= BIG:
                    member.push(wait=True)
        except Full:
            raise Full(count) from None
        finally:
            member.push()
            if member.revived:
                member.at_exit()

    def _put_with_care(self, payload: Payload, block: bool, deadline: Deadline) -> int:
        """One of `put_many` that may be too large, or has to wait. Returns its size in bytes."""
        size = size_of(payload)
        if size > self._max_item_bytes:
            self._too_large(size)
        entry: Entry = payload if type(payload) is bytes else (payload, None)
        member = self._member
        if member.backed_up:
            self._wait_for_room(block, deadline.remaining())
        if member.is_bounded:
            self._put_bounded(entry, block, deadline.remaining())
        else:
            member.outbox.pending.append(entry)
        if member.session.shutdown or member.closing:
            self._take_back(entry, "put_many")
        return size

    def put_wait(self, obj: T, timeout: float | None = None) -> Any:
        """Puts the object, waits for the consumer's reply and returns it.

        Raises the consumer's exception if it failed with one (caused by a RemoteError that has its traceback; or that
        RemoteError, where it cannot travel), ConsumerLost if it took `max_attempts` consumers with it, ReplyTimeout
        after `timeout` seconds: the item is then withdrawn, unless a consumer's call had already returned it.
        DecodeError for a reply that cannot be rebuilt here. And as put does.

            answer = q.put_wait({"id": 2}, timeout=5)
        """
        deadline = Deadline(timeout)
        call = Call()
        try:
            self._put_call(obj, call, deadline, "put_wait")
        except Full:
            raise self._reply_timeout(timeout) from None
        try:
            answered = self._waits.for_reply(call, deadline)
        except BaseException:
            self._waits.withdraw(call, 0.0)
            raise
        if not answered:
            self._waits.withdraw(call, WITHDRAW_GRACE)
        return self._result(call, timeout)

    def put_future(self, obj: T) -> Future[Any]:
        """As put_wait, but returns a `concurrent.futures.Future`; cancelling it withdraws the item.

        What put_wait would raise for the consumer, the future does. Waits for room as put does, and raises as put does.

            futures = [q.put_future(n) for n in range(10)]
            answers = [future.result(timeout=5) for future in futures]
        """
        from concurrent.futures import Future

        future: Future[Any] = Future()

        def complete(call: Call) -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(self._result(call, None))
            except BaseException as error:
                future.set_exception(error)

        call = Call(complete)

        def cancelled(done: Future[Any]) -> None:
            if done.cancelled() and call.answer is None:
                self._waits.withdraw(call, 0.0)

        self._put_call(obj, call, Deadline(None), "put_future")
        future.add_done_callback(cancelled)
        return future

    def flush(self, timeout: float | None = None) -> None:
        """Returns when the leader has everything that this handle has put.

        Raises TimeoutError if that takes longer than `timeout` seconds; ShutDown if the group was shut down at once,
        and what was on its way is dropped with the rest.

            q.put({"id": 1})
            q.flush(timeout=5)
        """
        member = self._member
        member.push()
        if not member.wait(lambda: member.is_flushed() or member.is_closed, Deadline(timeout)):
            raise TimeoutError(
                f"group {self._label!r}: {member.outbox.waiting} item(s) not confirmed by a leader within {timeout} s"
            )
        if not member.is_flushed():
            raise TimeoutError(f"group {self._label!r}: closed with {member.outbox.waiting} item(s) not confirmed")
        if member.session.dropped:
            member.session.dropped = False
            raise ShutDown(f"flush: group {self._label!r} was shut down, and what was on its way is dropped")

    # Beneath

    def _put_bounded(self, entry: Entry, block: bool, timeout: float | None) -> None:
        waits = block and (timeout is None or timeout > 0)
        deadline = Deadline(timeout if waits else NO_LEADER)
        if not self._waits.put(entry, waits, deadline):
            self._check_put("put")
            raise Full

    def _wait_for_room(self, block: bool, timeout: float | None) -> None:
        """Backpressure: waits while too much is unconfirmed; Full if it still is in the end."""
        member = self._member
        if member.backed_up and not member.is_beneath:
            member.push()
            if not member.wait(lambda: not member.backed_up or member.closing, Deadline(timeout if block else 0.0)):
                raise Full
            if member.closing:
                self._closed("put")

    def _put_call(self, obj: T, call: Call, deadline: Deadline, what: str) -> None:
        self._check_put(what)
        member = self._member
        payload = self._payload(obj)
        self._wait_for_room(True, deadline.remaining())
        entry = (payload, call)
        if member.is_bounded:
            self._put_bounded(entry, True, deadline.remaining())
        else:
            member.outbox.pending.append(entry)
        if member.session.shutdown or member.closing:
            self._take_back(entry, what)
        member.push()
