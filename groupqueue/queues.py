"""
The face: `multiprocessing.Queue` by name.

It turns objects into bytes and back, keeps what each thread holds, and raises what users expect; everything between
processes is the member's. It knows no socket, file or lock of the system.
"""

from __future__ import annotations

import json
import os
import traceback
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from threading import get_ident
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeVar

from groupqueue import serializers
from groupqueue.core import messages as m
from groupqueue.core.calls import Call
from groupqueue.core.inbox import ATTENTION, Item
from groupqueue.core.outbox import Verdict
from groupqueue.exceptions import (
    ConsumerLost,
    DecodeError,
    Empty,
    Full,
    PicklingError,
    RemoteError,
    ReplyTimeout,
    ShutDown,
)
from groupqueue.member import BATCH, BIG, MAX_PENDING, NO_LEADER, PUSH_INTERVAL, Member, Options
from groupqueue.message import Message
from groupqueue.stats import Stats
from groupqueue.system import forking, offline, paths
from groupqueue.system.deadline import Deadline, now
from groupqueue.system.membership import remove_group, sweep

__all__ = ["GroupQueue", "JoinableGroupQueue"]

T = TypeVar("T")

MODES = ("dual", "client", "master")
DELIVERIES = ("shared", "leader")
MAX_ITEM_BYTES = 1 << 30
LARGEST_ITEM_BYTES = (1 << 32) - 1
WITHDRAW_GRACE = 0.3
CHUNK = 1000


class ClosedError(ValueError, OSError):
    """`empty` on a closed queue: `multiprocessing` raises an OSError there, where its other calls raise ValueError."""


class GroupQueue(Generic[T]):
    """A `multiprocessing.Queue` that unrelated processes open by name.

    Every process that opens the name is a member of the group; one of them leads and keeps the items, and when it dies
    another does. Items live until they are got, cleared or unlinked, also while no process runs.

    `name`: 1 to 128 of ``A-Z a-z 0-9 . _ -``, no dot in front; None is an anonymous group, passed on by fork or pickle.
    `maxsize`: the bound of the whole group in items; 0 or less is unbounded, None takes what the group has.
    `mode`: "dual" puts, gets and stands for election; "client" never leads; "master" never puts.
    `delivery`: "shared" competes for every item; "leader" gets only while this member leads.
    `directory`: where groups live; default ``$GROUPQUEUE_DIR``, else ``/tmp/groupqueue-<uid>``.
    `serializer`: an object with ``dumps(obj) -> bytes`` and ``loads(bytes-like) -> obj``.
    `max_item_bytes`: a larger item is a ValueError in put.
    `linger`: seconds that closing or exiting waits for unsent items; None is as long as it takes.
    `max_attempts`: how many consumers may die holding an item of ours before it goes to the failed list.
    `durable`: what this handle puts also survives power loss, for an fsync per batch.

    Raises ValueError or TypeError for a wrong argument, GroupMismatchError if the group lives with another maxsize,
    GroupDirectoryError if the directory is not safe to use.

        >>> q = GroupQueue("jobs")
        >>> q.put({"id": 1})
        >>> q.get()
        {'id': 1}
    """

    _joinable = False

    def __init__(
        self,
        name: str | None = None,
        maxsize: int | None = None,
        *,
        mode: str = "dual",
        delivery: str = "shared",
        directory: str | os.PathLike[str] | None = None,
        serializer: serializers.Serializer | None = None,
        max_item_bytes: int = MAX_ITEM_BYTES,
        linger: float | None = None,
        max_attempts: int = 3,
        durable: bool = False,
    ) -> None:
        _check_arguments(mode, delivery, maxsize, max_item_bytes, linger, max_attempts)
        if name is not None:
            paths.check_name(name)
        self._open(
            name,
            paths.resolve_directory(directory),
            serializer,
            max_item_bytes,
            Options(mode, delivery, maxsize, linger, max_attempts, bool(durable)),
            create=True,
        )

    def _open(
        self,
        name: str | None,
        directory: str,
        serializer: serializers.Serializer | None,
        max_item_bytes: int,
        options: Options,
        create: bool,
    ) -> None:
        group = None
        if name is not None:
            group = paths.GroupPaths(directory, name)
            paths.check_socket_path(group)
        paths.make_directory(directory, name or "(anonymous)")
        sweep(directory)
        self._custom = serializer
        chosen = serializer if serializer is not None else serializers.default_serializer()
        self._dumps: Callable[[Any], bytes] = chosen.dumps
        self._loads: Callable[[Any], Any] = chosen.loads
        self._max_item_bytes = max_item_bytes
        self._options = options
        self._plain_get = not self._joinable and options.delivery == "shared"
        self._plain_put = options.mode != "master"
        self._member = Member(group, directory, options, create)
        self._finalizer = weakref.finalize(self, self._member.close)
        self._finalizer.atexit = False

    # Putting

    def put(self, obj: T, block: bool = True, timeout: float | None = None) -> None:
        """Puts the object; it is serialised now, and what changes in it later changes nothing.

        In a bounded group waits for room, at most `timeout` seconds; without a leader puts are buffered, up to a bound.
        Raises Full (nothing was put, also later), PicklingError, ShutDown; ValueError if the item is too large, the
        mode is "master" or the queue is closed.
        """
        member = self._member
        if member.closing or not self._plain_put or member.session.shutdown or member.backed_up:
            self._check_put("put")
            self._wait_for_room(block, timeout)
        payload = self._dumps(obj)
        size = len(payload)
        if size > self._max_item_bytes:
            self._too_large(size)
        pending = member.outbox.pending
        if member.is_bounded:
            self._put_bounded((payload, None), block, timeout)
        else:
            pending.append((payload, None))
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
        """`put(obj, block=False)`."""
        self.put(obj, False)

    def put_many(self, iterable: Iterable[T], block: bool = True, timeout: float | None = None) -> None:
        """Puts every object of the iterable, in order, in few steps. Raises as put does.

        If it raises, the objects before the one that could not be put are put; a Full carries their number as
        ``args[0]``.
        """
        self._check_put("put_many")
        deadline = Deadline(timeout)
        member = self._member
        pending = member.outbox.pending
        count = 0
        try:
            for obj in iterable:
                payload = self._dumps(obj)
                if len(payload) > self._max_item_bytes:
                    self._too_large(len(payload))
                if member.backed_up:
                    self._wait_for_room(block, deadline.remaining())
                if member.is_bounded:
                    self._put_bounded((payload, None), block, deadline.remaining())
                else:
                    pending.append((payload, None))
                count += 1
                if count % CHUNK == 0 or len(payload) >= BIG:
                    member.push(wait=True)
        except Full:
            raise Full(count) from None
        finally:
            member.push()
            if member.revived:
                member.at_exit()

    def put_wait(self, obj: T, timeout: float | None = None) -> Any:
        """Puts the object, waits for the consumer's reply and returns it.

        Raises the consumer's exception if it failed with one (RemoteError where that cannot travel), ConsumerLost if it
        took `max_attempts` consumers with it, ReplyTimeout after `timeout` seconds: the item is then withdrawn,
        unless a consumer's call had already returned it. And as put does.

            answer = q.put_wait({"id": 2}, timeout=5)
        """
        deadline = Deadline(timeout)
        call = Call()
        try:
            self._put_call(obj, call, deadline, "put_wait")
        except Full:
            raise self._reply_timeout(timeout) from None
        member = self._member
        try:
            answered = member.wait(
                lambda: call.answer is not None or member.is_closed or member.session.shutdown == 2, deadline
            )
        except BaseException:
            member.withdraw(call, 0.0)
            raise
        if not answered:
            member.withdraw(call, WITHDRAW_GRACE)
        return self._result(call, timeout)

    def put_future(self, obj: T) -> Future[Any]:
        """As put_wait, but returns a `concurrent.futures.Future` at once; cancelling it withdraws the item."""
        future: Future[Any] = Future()
        member = self._member

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
                member.withdraw(call, 0.0)

        self._put_call(obj, call, Deadline(None), "put_future")
        future.add_done_callback(cancelled)
        return future

    def flush(self, timeout: float | None = None) -> None:
        """Returns when the leader has everything that this handle has put; TimeoutError if not within `timeout` s."""
        member = self._member
        member.push()
        if not member.wait(lambda: member.is_flushed() or member.is_closed, Deadline(timeout)):
            raise TimeoutError(
                f"group {self._label!r}: {member.outbox.waiting} item(s) not confirmed by a leader within {timeout} s"
            )

    # Getting

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Takes the next item and returns its object.

        Raises Empty if there is none (in time), ShutDown, DecodeError for an item that cannot be rebuilt here (it is
        then on the failed list, and the queue goes on), ValueError on a closed queue.
        """
        member = self._member
        if self._plain_get and not member.closing and not member.owing:
            try:
                with member.inbox_lock:
                    obj: T = member.inbox.take_plain(self._loads)
            except LookupError:
                pass
            else:
                if member.words[ATTENTION]:
                    member.answer_attention()
                return obj
        return self._receive(block, timeout)  # type: ignore[no-any-return]

    def get_nowait(self) -> T:
        """`get(block=False)`."""
        return self.get(False)

    def get_many(self, max_items: int, block: bool = True, timeout: float | None = None) -> list[T]:
        """A list of up to `max_items` objects; waits for the first only. Raises as get does, if there is no first.

        An item behind the first that cannot be decoded ends the list; the next get raises its DecodeError.
        """
        if max_items < 1:
            raise ValueError(f"max_items must be at least 1, not {max_items!r}")
        member = self._member
        member.session.wanted = max_items
        try:
            found = [self._receive(block, timeout)]
            while len(found) < max_items:
                try:
                    found.append(self._receive(False, None, patient=False))
                except (Empty, ShutDown):
                    break
                except DecodeError as error:
                    member.defer(error)
                    break
        finally:
            member.session.wanted = 1
        return found

    def get_message(self, block: bool = True, timeout: float | None = None) -> Message[T]:
        """As get, but the item stays this consumer's until one of the message's four endings is called.

        If this process dies first, the item goes to another consumer, with `attempt` + 1.
        """
        self._end_current()
        try:
            message = self._message(self._take(block, timeout, hold=True))
            self._member.inbox.in_hand.pop(get_ident(), None)
            return message
        except BaseException:
            self._member.drop_hand()
            raise

    def reply(self, value: Any) -> None:
        """Answers the item that the calling thread last got; nothing happens if nobody waits for that, or no longer.

        Raises ValueError if this thread has got nothing, or has answered; PicklingError if the value cannot travel.
        """
        member = self._member
        item = member.current.get(get_ident())
        if item is None:
            raise ValueError(
                f"group {self._label!r}: reply() answers the item that this thread last got, and there is none "
                "that has not been answered"
            )
        if item.flags & m.WANTS_REPLY:
            self._answer(item.id, item.attempt, value, finish=not self._joinable)
            member.owing -= 1
        member.current[get_ident()] = None

    def task_done(self) -> None:
        """Does nothing but end the item that the calling thread last got: here get finishes an item."""
        self._end_current()

    # Looking and operating

    def qsize(self) -> int:
        """How many items a get could still return. With no leader: what the directory and this handle tell."""
        told = self._ask({"do": "count"})
        if told is not None:
            return int(told[0]["queued"])
        return self._offline()["ready"] + self._member.outbox.waiting  # type: ignore[no-any-return]

    def empty(self) -> bool:
        """`qsize() == 0`. ClosedError, a ValueError, on a queue that was used and is closed."""
        if self._member.closing and self._member.is_used:
            raise ClosedError(f"empty: queue {self._label!r} is closed")
        return self.qsize() == 0

    def full(self) -> bool:
        """Whether a bounded group has no room."""
        return 0 < self.maxsize <= self.qsize()

    def clear(self) -> int:
        """Removes every item that nobody has got; returns how many. A put_wait for one of them raises ConsumerLost."""
        return int(self._ask_leader({"do": "clear"})["count"])

    def peek(self, n: int = 1) -> list[T]:
        """The next `n` objects, without taking them; a DecodeError in place of one that cannot be rebuilt here."""
        told = self._ask({"do": "peek", "n": n})
        if told is None:
            self._no_leader("peek")
        return [message.obj for message in self._looked_at(*told)]

    def stats(self) -> Stats:
        """The operators' view. With no leader: what the directory tells, `leader_pid` None, within about a second."""
        told = self._ask({"do": "stats"})
        if told is None:
            return Stats.from_reply(self.name, None, self.maxsize, self._offline())
        return Stats.from_reply(self.name, self._member.leader_pid, self.maxsize, told[0])

    def failed(self) -> list[Message[T]]:
        """The failed list: items that `max_attempts` consumers died of, or could not decode, or failed."""
        told = self._ask({"do": "failed"})
        if told is None:
            self._no_leader("failed")
        return self._looked_at(*told)

    def requeue_failed(self) -> int:
        """Puts every item of the failed list back to its place; returns how many."""
        return int(self._ask_leader({"do": "requeue_failed"})["count"])

    def shutdown(self, immediate: bool = False) -> None:
        """Shuts the whole group down: puts raise ShutDown everywhere, gets do once the queue is drained.

        With `immediate` what is queued is dropped and gets raise at once. The group revives when it is opened with no
        member alive.
        """
        self._ask_leader({"do": "shutdown", "immediate": bool(immediate)})

    def wait_for_leader(self, timeout: float | None = None) -> bool:
        """True once this handle is served by a leader, itself or another; False after `timeout` seconds."""
        member = self._member
        member.wait(lambda: member.is_connected or member.closing, Deadline(timeout))
        return member.is_connected

    @property
    def name(self) -> str:
        """The group's name; that of an anonymous group begins with a dot."""
        return self._member.paths.name

    @property
    def mode(self) -> str:
        return self._options.mode

    @property
    def maxsize(self) -> int:
        """The bound of the group, 0 if there is none."""
        return self._member.maxsize

    @property
    def directory(self) -> str:
        return self._member.paths.directory

    @property
    def is_leader(self) -> bool:
        """Whether this handle leads the group at this moment."""
        return self._member.is_leader

    @classmethod
    def unlink(cls, name: str, directory: str | os.PathLike[str] | None = None) -> None:
        """Removes the group and its items. GroupBusyError while a member lives, FileNotFoundError if there is none."""
        remove_group(paths.GroupPaths(paths.resolve_directory(directory), paths.check_name(name)))

    # Closing

    def close(self) -> None:
        """No more puts and gets here (ValueError); what was put is flushed in the background.

        What this handle was granted or holds goes to others. At exit the process waits for the flush, up to `linger`.
        """
        if not self._member.closing:
            self._end_current()
            self._member.close()

    def join_thread(self) -> None:
        """Waits until a closed queue has flushed. AssertionError if it has not been closed."""
        if not self._member.closing:
            raise AssertionError(f"group {self._label!r}: join_thread() before close()")
        self._member.finish_closing(None)

    def cancel_join_thread(self) -> None:
        """Neither close nor exit wait for unsent items from now on: they may be lost."""
        self._member.cancel_flush()

    def __enter__(self) -> GroupQueue[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self.join_thread()

    def __iter__(self) -> Iterator[T]:
        """Objects until the group is shut down or this handle closed."""
        while True:
            try:
                obj = self.get()
            except ShutDown:
                return
            except ValueError:
                if self._member.closing:
                    return
                raise
            yield obj

    def __reduce__(self) -> Any:
        options = self._options
        arguments = {
            "mode": options.mode,
            "delivery": options.delivery,
            "maxsize": options.maxsize,
            "max_item_bytes": self._max_item_bytes,
            "linger": options.linger,
            "max_attempts": options.max_attempts,
            "durable": options.durable,
        }
        return _reopen, (type(self), self.name, self.directory, self._custom, arguments)

    def __repr__(self) -> str:
        member = self._member
        state = member.role.value
        if state == "follower":
            state = f"follower of {member.leader_pid}" if member.is_connected else "connecting"
        elif member.closing and state != "closed":
            state = f"closing, {state}"
        return (
            f"<{type(self).__name__} {self.name!r} {self.mode}, {state}, "
            f"{member.outbox.waiting} unsent, {max(member.inbox.count, 0)} granted>"
        )

    # Beneath

    @property
    def _label(self) -> str:
        return self._member.paths.name

    def _closed(self, what: str) -> NoReturn:
        raise ValueError(f"{what}: queue {self._label!r} is closed")

    def _check_put(self, what: str) -> None:
        if self._options.mode == "master":
            raise ValueError(f'{what}: group {self._label!r} was opened with mode="master", which never puts')
        member = self._member
        if member.closing:
            if not (forking.is_exiting() and member.closed_by_exit):
                self._closed(what)
            member.revive()
        if member.session.shutdown:
            raise ShutDown(f"{what}: group {self._label!r} is shut down")

    def _too_large(self, size: int) -> NoReturn:
        raise ValueError(
            f"group {self._label!r}: the item has {size} bytes, max_item_bytes is {self._max_item_bytes}; "
            "nothing was queued"
        )

    def _put_bounded(self, entry: tuple[bytes, Call | None], block: bool, timeout: float | None) -> None:
        member = self._member
        waits = block and (timeout is None or timeout > 0)
        deadline = Deadline(timeout if waits else NO_LEADER)
        if not member.put_bounded(entry, waits, deadline):
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
        payload = self._dumps(obj)
        if len(payload) > self._max_item_bytes:
            self._too_large(len(payload))
        self._wait_for_room(True, deadline.remaining())
        if member.is_bounded:
            self._put_bounded((payload, call), True, deadline.remaining())
        else:
            member.outbox.pending.append((payload, call))
        member.push()

    def _reply_timeout(self, timeout: float | None) -> ReplyTimeout:
        return ReplyTimeout(f"group {self._label!r}: no reply within {timeout} s")

    def _result(self, call: Call, timeout: float | None) -> Any:
        if call.answer is None:
            if self._member.session.shutdown == 2:
                raise ShutDown(f"put_wait: group {self._label!r} was shut down")
            if self._member.is_closed:
                self._closed("put_wait")
            raise self._reply_timeout(timeout)
        status, body = call.answer
        if status == m.REPLY_VALUE:
            return self._loads(body)
        if status == m.REPLY_EXCEPTION:
            raise self._loads(body)
        if status == m.REPLY_TEXT:
            raise RemoteError(**json.loads(bytes(body)))
        if self._member.session.shutdown == 2:
            raise ShutDown(f"put_wait: group {self._label!r} was shut down")
        raise ConsumerLost(f"group {self._label!r}: no reply will come: {bytes(body).decode()}")

    def _receive(self, block: bool, timeout: float | None, patient: bool = True) -> Any:
        self._end_current()
        if self._member.deferred:
            self._member.raise_deferred()
        member = self._member
        me = get_ident()
        try:
            item = self._take(block, timeout, self._joinable, patient)
            member.current[me] = item
            if item.flags & m.WANTS_REPLY:
                member.owing += 1
            if self._joinable:
                member.unfinished.push(me, item)
            member.inbox.in_hand.pop(me, None)
        except BaseException:
            member.drop_hand()
            raise
        return item.obj

    def _take(self, block: bool, timeout: float | None, hold: bool, patient: bool = True) -> Item:
        deadline = Deadline(timeout)
        waits = block and (timeout is None or timeout > 0)
        member = self._member
        asked = False
        while True:
            if member.closing:
                self._closed("get")
            if self._options.delivery == "shared" or member.is_leader:
                with member.inbox_lock:
                    item = member.inbox.take(self._loads, hold, get_ident())
                if member.words[ATTENTION]:
                    member.answer_attention()
                if item is not None:
                    break
            session = member.session
            if session.shutdown == 2 or session.drained:
                raise ShutDown(f"get: group {self._label!r} is shut down")
            if waits:
                if not member.wait_for_item(deadline):
                    raise Empty
            elif asked or (self._options.delivery == "leader" and not member.is_leader):
                raise Empty
            else:
                asked = True
                if patient:
                    self.wait_for_leader(NO_LEADER)
                if not member.is_connected:
                    raise Empty
                member.poll_item(Deadline(NO_LEADER))
        if item.error is not None:
            self._cannot_decode(item)
        return item

    def _cannot_decode(self, item: Item) -> NoReturn:
        text = f"{type(item.error).__name__}: {item.error}"
        self._member.inbox.in_hand.pop(get_ident(), None)
        if item.flags & m.WANTS_REPLY:
            body = json.dumps({"type_name": "groupqueue.DecodeError", "text": text}).encode()
            self._member.say(Verdict(m.Answer, item.id, item.attempt, m.REPLY_TEXT, False, body))
        self._member.say(Verdict(m.Fail, item.id, item.attempt, body=f"cannot be decoded: {text}".encode()))
        raise DecodeError(
            f"group {self._label!r}: an item of {len(item.payload)} bytes from process {item.pid} cannot be rebuilt in "
            f"this process ({text}); it is on the failed list",
            item.payload,
            item.pid,
        ) from item.error

    def _end_current(self) -> None:
        """Who gets again, or closes, without having answered has answered None."""
        member = self._member
        item = member.current.pop(get_ident(), None)
        if item is not None and item.flags & m.WANTS_REPLY:
            member.owing -= 1
            self._answer(item.id, item.attempt, None, finish=not self._joinable)

    def _answer(self, item_id: int, attempt: int, value: Any, finish: bool) -> None:
        body = self._dumps(value)
        self._member.say(Verdict(m.Answer, item_id, attempt, m.REPLY_VALUE, finish, body))

    def _message(self, item: Item) -> Message[T]:
        return Message(
            item.obj,
            item_id=item.id,
            attempt=item.attempt,
            sender_pid=item.pid,
            wants_reply=bool(item.flags & m.WANTS_REPLY),
            endings=_Endings(self._member, self._dumps),
        )

    def _looked_at(self, told: dict[str, Any], payloads: memoryview) -> list[Message[T]]:
        found: list[Message[T]] = []
        start = 0
        for about in told["items"]:
            payload = payloads[start : start + about["size"]]
            start += about["size"]
            try:
                obj = self._loads(payload)
            except Exception as error:
                obj = DecodeError(f"cannot be rebuilt in this process: {error}", bytes(payload), about["pid"])
            found.append(
                Message(
                    obj,
                    item_id=about["id"],
                    attempt=about["attempt"],
                    sender_pid=about["pid"],
                    wants_reply=about["wants_reply"],
                    endings=None,
                    reason=about.get("reason", ""),
                )
            )
        return found

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], memoryview] | None:
        """The leader's answer, None if there is no leader to be had within a second."""
        member = self._member
        if member.closing:
            return None
        deadline = Deadline(NO_LEADER)
        if not member.wait(lambda: member.is_connected or member.closing, deadline):
            return None
        return member.ask(request, deadline if request["do"] in ("count", "stats") else Deadline(None))

    def _ask_leader(self, request: dict[str, Any]) -> dict[str, Any]:
        """The leader's answer, however long it takes."""
        if self._member.closing:
            self._closed(str(request["do"]))
        told = self._member.ask(request, Deadline(None))
        if told is None:
            self._closed(str(request["do"]))
        return told[0]

    def _no_leader(self, what: str) -> NoReturn:
        if self._member.closing:
            self._closed(what)
        raise TimeoutError(f"{what}: group {self._label!r} has no leader now")

    def _offline(self) -> dict[str, Any]:
        return offline.inspect(self._member.paths)


class JoinableGroupQueue(GroupQueue[T]):
    """A GroupQueue as `multiprocessing.JoinableQueue`: every item got is unfinished until `task_done`.

    An item whose holder dies or closes before it calls task_done goes to another consumer.
    """

    _joinable = True

    def task_done(self) -> None:
        """Finishes the calling thread's oldest unfinished item, or, if it has none, the handle's.

        Raises ValueError if the handle holds none.
        """
        member = self._member
        me = get_ident()
        thread, item = member.unfinished.pop(me)
        if member.current.get(thread) is item:
            member.current.pop(thread)
            if item.flags & m.WANTS_REPLY:
                member.owing -= 1
                self._answer(item.id, item.attempt, None, finish=True)
                return
        member.say(Verdict(m.Done, item.id, item.attempt))

    def join(self) -> None:
        """Waits until every item of the group has been got and finished."""
        self._ask_leader({"do": "join"})


class _Endings:
    """What a message's endings say to the leader."""

    def __init__(self, member: Member, dumps: Callable[[Any], bytes]) -> None:
        self._member = member
        self._dumps = dumps

    def answer(self, item_id: int, attempt: int, value: object) -> None:
        self._member.say(Verdict(m.Answer, item_id, attempt, m.REPLY_VALUE, True, self._dumps(value)))

    def raise_to_caller(self, item_id: int, attempt: int, error: BaseException) -> None:
        status, body = encode_exception(error, self._dumps)
        self._member.say(Verdict(m.Answer, item_id, attempt, status, True, body))

    def finish(self, item_id: int, attempt: int) -> None:
        self._member.say(Verdict(m.Done, item_id, attempt))

    def fail(self, item_id: int, attempt: int, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        self._member.say(Verdict(m.Fail, item_id, attempt, body=text.encode("utf-8", "replace")))

    def requeue(self, item_id: int, attempt: int) -> None:
        self._member.say(Verdict(m.Requeue, item_id, attempt))


def encode_exception(error: BaseException, dumps: Callable[[Any], bytes]) -> tuple[int, bytes]:
    """(status, body) of a reply that raises: the exception itself if it can travel, else what it says."""
    if not isinstance(error, BaseException):
        raise TypeError(f"fail() takes an exception, not {type(error).__name__}")
    try:
        return m.REPLY_EXCEPTION, dumps(error)
    except PicklingError:
        kind = type(error)
        told = {
            "type_name": f"{kind.__module__}.{kind.__qualname__}",
            "text": str(error),
            "traceback": "".join(traceback.format_exception(kind, error, error.__traceback__)),
        }
        return m.REPLY_TEXT, json.dumps(told).encode()


def _check_arguments(
    mode: object,
    delivery: object,
    maxsize: object,
    max_item_bytes: object,
    linger: object,
    max_attempts: object,
) -> None:
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(map(repr, MODES))}, not {mode!r}")
    if delivery not in DELIVERIES:
        raise ValueError(f"delivery must be one of {', '.join(map(repr, DELIVERIES))}, not {delivery!r}")
    if delivery == "leader" and mode == "client":
        raise ValueError('delivery="leader" gets only while leading, and mode="client" never leads')
    if maxsize is not None and (not isinstance(maxsize, int) or isinstance(maxsize, bool)):
        raise TypeError(f"maxsize must be an int or None, not {type(maxsize).__name__}")
    if not isinstance(max_item_bytes, int) or isinstance(max_item_bytes, bool):
        raise TypeError(f"max_item_bytes must be an int, not {type(max_item_bytes).__name__}")
    if not 1 <= max_item_bytes <= LARGEST_ITEM_BYTES:
        raise ValueError(f"max_item_bytes must be from 1 to {LARGEST_ITEM_BYTES}, not {max_item_bytes}")
    if linger is not None and (not isinstance(linger, (int, float)) or isinstance(linger, bool)):
        raise TypeError(f"linger must be a number of seconds or None, not {type(linger).__name__}")
    if linger is not None and not linger >= 0:
        raise ValueError(f"linger must be 0 or more seconds, not {linger!r}")
    if not isinstance(max_attempts, int) or isinstance(max_attempts, bool):
        raise TypeError(f"max_attempts must be an int, not {type(max_attempts).__name__}")
    if not 1 <= max_attempts <= 0xFFFF:
        raise ValueError(f"max_attempts must be from 1 to 65535, not {max_attempts}")


def _reopen(
    cls: type[GroupQueue[Any]],
    name: str,
    directory: str,
    serializer: serializers.Serializer | None,
    arguments: dict[str, Any],
) -> GroupQueue[Any]:
    """Opens the group of a pickled handle; FileNotFoundError if it was anonymous and is gone."""
    queue = cls.__new__(cls)
    max_item_bytes = arguments.pop("max_item_bytes")
    options = Options(**arguments)
    queue._open(name, directory, serializer, max_item_bytes, options, create=not name.startswith("."))
    return queue
