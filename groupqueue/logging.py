"""
Log records through a group: many processes log, one listener, or several, write.

`logging.handlers.QueueHandler` and `QueueListener` work with a `GroupQueue` as they are, but that listener is ended by
a None in its queue, which in a group is anybody's to get. The classes here are for groups: nothing that another process
puts ends this listener, and `logging.config.dictConfig` can make both on every Python. `groupqueue` itself does not
import this module.
"""

from __future__ import annotations

import copy
import logging
import logging.handlers
import os
import threading
import traceback
from collections.abc import Mapping, Sequence
from queue import Empty
from typing import Any

from groupqueue.exceptions import DecodeError, ShutDown
from groupqueue.queues import GroupQueue
from groupqueue.system import forking
from groupqueue.system.deadline import Deadline

__all__ = ["GroupQueueHandler", "GroupQueueListener"]

PATIENCE = 5.0
"""Seconds that `stop` spends at most on what is left."""

STEP = 0.05
"""Seconds between two looks at whether others have taken what is left."""

Source = GroupQueue[Any] | str | Mapping[str, Any]
"""A queue, the name of a group, or the arguments of a GroupQueue, as a configuration file can say them."""

logger = logging.getLogger("groupqueue")


def _open(source: Source) -> GroupQueue[Any]:
    """A handle of ours on the group: what it puts, gets and closes is not the caller's."""
    if isinstance(source, GroupQueue):
        return copy.copy(source)
    if isinstance(source, str):
        return GroupQueue(source)
    if isinstance(source, Mapping):
        return GroupQueue(**source)
    raise TypeError(f"a GroupQueue, the name of a group or a GroupQueue's arguments, not {type(source).__name__}")


def _delivery(source: Source) -> object:
    if isinstance(source, GroupQueue):
        return source._options.delivery
    return source.get("delivery") if isinstance(source, Mapping) else "shared"


class GroupQueueHandler(logging.Handler):
    """Puts each record into a group, formatted as far as it must be to travel, and returns at once.

    `queue`: a GroupQueue, the name of a group, or a mapping of GroupQueue's arguments.
    `handlers`: with any, `listener` is a GroupQueueListener of theirs on the same group, to be started by the caller.
    `respect_handler_level`: as of QueueListener.

    A record that cannot be put (what it carries cannot travel, a bounded group is full, 100,000 records wait and nobody
    leads) goes to `handleError`, as in every handler of `logging`. A queue that the handler opened is closed with it.
    Raises as GroupQueue does.

        handlers={"group": {"class": "groupqueue.logging.GroupQueueHandler", "queue": "logs"}}
    """

    listener: GroupQueueListener | None = None

    def __init__(
        self, queue: Source, *, handlers: Sequence[logging.Handler] = (), respect_handler_level: bool = False
    ) -> None:
        # A list of dictConfig resolves `cfg://` where it is indexed, not where it is walked over.
        targets = [handlers[index] for index in range(len(handlers))]
        for target in targets:
            if not isinstance(target, logging.Handler):
                raise ValueError(
                    f"{target!r} is no handler, or none yet: dictConfig makes handlers in the order of their names, "
                    "and this one's must come behind those that it names"
                )
        self._owns = not isinstance(queue, GroupQueue)
        self.queue: GroupQueue[Any] = queue if isinstance(queue, GroupQueue) else _open(queue)
        if targets:
            self.listener = GroupQueueListener(self.queue, *targets, respect_handler_level=respect_handler_level)
        # Last: from here on `logging` knows it, and closes it.
        super().__init__()

    def createLock(self) -> None:
        """None: a queue needs no lock around it, and whoever closes this handler must not hold up who logs."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> Any:
        """As every handler's, without the lock. From Python 3.12 on a filter may return another record."""
        passed: Any = self.filter(record)
        if passed:
            self.emit(passed if isinstance(passed, logging.LogRecord) else record)
        return passed

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """A copy that can travel: the message is made, a traceback is in it as text. As of QueueHandler."""
        message = self.format(record)
        record = copy.copy(record)
        record.message = record.msg = message
        record.args = record.exc_info = record.exc_text = record.stack_info = None
        return record

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.queue.put_nowait(self.prepare(record))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Lets go of a queue that it opened. Its listener is told to end and not waited for: what that has not handled
        is in the group for the next.
        """
        if self.listener is not None:
            self.listener.abandon()
        if self._owns:
            self.queue.close()
        super().close()


class GroupQueueListener(logging.handlers.QueueListener):
    """Gets the records of a group and has its handlers handle them, in a thread of its own.

    `queue`: a GroupQueue, the name of a group, or a mapping of GroupQueue's arguments. The listener opens the group
    anew, so what the process does with its own queue goes on undisturbed. ValueError for ``delivery="leader"``.

    Several may listen to a group: each record goes to one. It ends by `stop`, or when the group is shut down. A None in
    the queue, the end of some QueueListener elsewhere, is passed over; so is an item that cannot be rebuilt here, which
    is logged and on the failed list. A handler that raises is reported as `logging` does, and the listener goes on.

        with GroupQueueListener("logs", logging.StreamHandler()):
            ...
    """

    def __init__(self, queue: Source, *handlers: logging.Handler, respect_handler_level: bool = False) -> None:
        if _delivery(queue) == "leader":
            raise ValueError(
                'delivery="leader": a listener has a handle of its own, which need not be the one that leads'
            )
        super().__init__(queue, *handlers, respect_handler_level=respect_handler_level)  # type: ignore[arg-type]
        self._source = queue
        self._reader: GroupQueue[Any] | None = None
        self._listening: threading.Thread | None = None

    def start(self) -> None:
        """Opens the group and begins to listen.

        Raises RuntimeError if it has begun already, and as GroupQueue does.

            listener.start()
        """
        if self._listening is not None:
            raise RuntimeError("this listener has been started already")
        self._reader = _open(self._source)
        self._listening = threading.Thread(
            target=self._listen, args=(self._reader,), name=f"listens to {self._reader.name}", daemon=True
        )
        self._listening.start()

    def stop(self) -> None:
        """Ends the thread, then handles what was put before this call and nobody else takes, for at most 5 s.

        What is left then, or comes later, waits in the group for the next listener. Nothing happens if it is not
        started.

            listener.stop()
        """
        thread, reader = self._listening, self._reader
        if thread is None or reader is None:
            return
        is_served = _flush(os.path.join(reader.directory, reader.name))
        with copy.copy(reader) as rest:
            reader.close()
            thread.join()
            reader.join_thread()
            if is_served:
                self._handle_rest(rest)
        self._listening = self._reader = None

    def abandon(self) -> None:
        """Tells the thread to end after the record at hand, and does not wait for it: safe under any lock."""
        if self._reader is not None:
            self._reader.close()

    def enqueue_sentinel(self) -> None:
        """Nothing: a sentinel in a group would end somebody else."""

    def __enter__(self) -> GroupQueueListener:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # The thread

    def _listen(self, reader: GroupQueue[Any]) -> None:
        while True:
            try:
                self._handle_next(reader, None)
            except (ShutDown, ValueError):
                return

    def _handle_next(self, reader: GroupQueue[Any], timeout: float | None) -> None:
        """Requires that nobody else handles. Raises Empty, ShutDown, and ValueError on a closed queue."""
        try:
            record = reader.get(timeout=timeout)
        except DecodeError as error:
            logger.error("group %r: a log record is lost here: %s", reader.name, error)
            return
        if record is not None:
            try:
                self.handle(record)
            except Exception:
                if logging.raiseExceptions:
                    traceback.print_exc()
        reader.task_done()

    def _handle_rest(self, rest: GroupQueue[Any]) -> None:
        deadline = Deadline(PATIENCE)
        if not rest.wait_for_leader(deadline.remaining()):
            return
        left = rest.qsize()
        while left and not deadline.expired:
            try:
                self._handle_next(rest, STEP)
                left -= 1
            except Empty:
                left = min(left, rest.qsize())
            except ShutDown:
                return


def _flush(folder: str) -> bool:
    """What this process has logged by now, through whichever handle, is what `stop` is to handle.

    False if no leader took it in time: then nobody gives anything out either.
    """
    deadline = Deadline(PATIENCE)
    for member in forking.participants():
        if member.paths.folder == folder and not member.closing:
            member.push()
            if not member.wait(lambda found=member: found.is_flushed() or found.is_closed, deadline):
                return False
    return True
