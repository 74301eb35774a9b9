"""An item with its envelope: what `get_message` returns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Endings(Protocol):
    """How a message's owner tells the leader what became of the item."""

    def answer(self, item_id: int, attempt: int, value: object) -> None: ...

    def raise_to_caller(self, item_id: int, attempt: int, error: BaseException) -> None: ...

    def finish(self, item_id: int, attempt: int) -> None: ...

    def fail(self, item_id: int, attempt: int, error: BaseException) -> None: ...

    def requeue(self, item_id: int, attempt: int) -> None: ...


class Message(Generic[T]):
    """An item that stays its consumer's until `reply`, `fail`, `done` or `requeue` is called, from any thread.

    `obj` is the object; `wants_reply` whether a `put_wait` waits for it; `attempt` which delivery this is, from 1;
    `sender_pid` the process that put it; `reason` why it is on the failed list, '' otherwise.

    As a context manager it ends itself: done when the block is left, failed when the block raises an Exception, and put
    back to its place when the process is told to end (KeyboardInterrupt, SystemExit): another does the work then::

        with q.get_message() as message:
            work(message.obj)

    A second ending raises ValueError, and so does one after the handle was closed, when the item has gone to another.
    """

    __slots__ = ("_ended", "_endings", "_id", "_lock", "attempt", "obj", "reason", "sender_pid", "wants_reply")

    def __init__(
        self,
        obj: T,
        *,
        item_id: int,
        attempt: int,
        sender_pid: int,
        wants_reply: bool,
        endings: Endings | None,
        reason: str = "",
    ) -> None:
        self.obj = obj
        self.wants_reply = wants_reply
        self.attempt = attempt
        self.sender_pid = sender_pid
        self.reason = reason
        self._id = item_id
        self._endings = endings
        self._ended = "" if endings is not None else "only looked at"
        self._lock = threading.RLock()

    @property
    def is_ended(self) -> bool:
        """Whether one of the four endings has been called.

        True, too, of what `failed` returns: those were only looked at.

            if not message.is_ended:
                message.done()
        """
        return bool(self._ended)

    def reply(self, value: object) -> None:
        """Answers a waiting `put_wait` with the value, and finishes the item.

        Raises PicklingError if the value cannot travel; the message is then not ended. ValueError as all endings.

            message.reply(work(message.obj))
        """
        self._end("answered", lambda ends: ends.answer(self._id, self.attempt, value))

    def fail(self, error: BaseException) -> None:
        """Raises the error in a waiting `put_wait`; without one, moves the item to the failed list.

        Raises TypeError for what is no exception, ValueError as all endings.

            message.fail(LookupError("no such order"))
        """
        if self.wants_reply:
            self._end("failed", lambda ends: ends.raise_to_caller(self._id, self.attempt, error))
        else:
            self._end("failed", lambda ends: ends.fail(self._id, self.attempt, error))

    def done(self) -> None:
        """Finishes the item; a waiting `put_wait` returns None.

        Raises ValueError as all endings.

            message.done()
        """
        if self.wants_reply:
            self._end("done", lambda ends: ends.answer(self._id, self.attempt, None))
        else:
            self._end("done", lambda ends: ends.finish(self._id, self.attempt))

    def requeue(self) -> None:
        """Puts the item back to its original place; the next delivery is another attempt.

        Raises ValueError as all endings.

            message.requeue()
        """
        self._end("requeued", lambda ends: ends.requeue(self._id, self.attempt))

    def _end(self, how: str, act: Callable[[Endings], None]) -> None:
        with self._lock:
            if self._ended:
                raise ValueError(f"this message has been {self._ended} already")
            assert self._endings is not None
            # Before the act, for a signal handler on top of it may end the message too.
            self._ended = how
            try:
                act(self._endings)
            except BaseException:
                self._ended = ""
                raise

    def __enter__(self) -> Message[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._ended:
            if error is None:
                self.done()
            elif isinstance(error, Exception):
                self.fail(error)
            else:
                self.requeue()

    def __del__(self) -> None:
        # Nobody can end it any more, so nobody must wait for that.
        if not getattr(self, "_ended", "never made"):
            assert self._endings is not None
            self._ended = "dropped"
            try:
                self._endings.requeue(self._id, self.attempt)
            except ValueError:
                pass

    def __repr__(self) -> str:
        state = self._ended or ("waits for a reply" if self.wants_reply else "held")
        return f"<Message {self.obj!r} attempt={self.attempt} sender_pid={self.sender_pid} {state}>"
