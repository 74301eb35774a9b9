"""
Everything that groupqueue raises of its own, in one tree.

    GroupQueueError
    |-- GroupMismatchError (ValueError)      the group already has another maxsize
    |-- GroupBusyError                       unlink of a group that has living members
    |-- GroupDirectoryError (OSError)        the directory cannot hold a group: owner, mode, symlink, file system
    |-- GroupVersionError                    another version of the wire or of the journal
    |-- PicklingError (pickle.PicklingError) the object cannot travel; nothing was queued
    |-- DecodeError                          the item cannot be rebuilt in this process
    |-- ReplyTimeout (TimeoutError)          put_wait: no reply in time
    |-- ConsumerLost                         put_wait: every consumer that took the item died
    `-- RemoteError                          put_wait: the consumer's exception, where it cannot travel itself

Of the standard library: `queue.Full`, `queue.Empty`, `queue.ShutDown` (ours on Pythons that lack it) and `ValueError`
for a wrong argument, a put on a master and any call on a closed queue.

Operating-system errors are translated where they are met, with the original as `__cause__`.
"""

from __future__ import annotations

import pickle
import queue
from queue import Empty, Full

__all__ = [
    "ConsumerLost",
    "DecodeError",
    "Empty",
    "Full",
    "GroupBusyError",
    "GroupDirectoryError",
    "GroupMismatchError",
    "GroupQueueError",
    "GroupVersionError",
    "PicklingError",
    "RemoteError",
    "ReplyTimeout",
    "ShutDown",
]

if hasattr(queue, "ShutDown"):
    ShutDown: type[Exception] = queue.ShutDown
else:

    class _ShutDown(Exception):
        """The group was shut down: every put raises it, and a get once the queue is drained.

        It is `queue.ShutDown` from Python 3.13 on.

            try:
                q.put(job)
            except ShutDown:
                print("no more")
        """

    _ShutDown.__name__ = _ShutDown.__qualname__ = "ShutDown"
    ShutDown = _ShutDown


class GroupQueueError(Exception):
    """The base of every error that is groupqueue's own.

    `queue.Empty`, `queue.Full`, `queue.ShutDown` and ValueError are not among them, for code that knows no groups.

        try:
            q.put(job)
        except GroupQueueError as error:
            print(error)
    """


class ClosedError(ValueError, OSError):
    """`empty` on a closed queue: `multiprocessing` raises an OSError there, where its other calls raise ValueError."""


class GroupMismatchError(GroupQueueError, ValueError):
    """The group has living members and another `maxsize` than the one asked for.

    The constructor raises it, and names both. None takes what the group has.

        try:
            q = GroupQueue("jobs", maxsize=10)
        except GroupMismatchError:
            q = GroupQueue("jobs")
    """


class GroupBusyError(GroupQueueError):
    """The group has living members and cannot be removed.

    `GroupQueue.unlink` raises it.

        try:
            GroupQueue.unlink("jobs")
        except GroupBusyError as error:
            print(error)
    """


class GroupDirectoryError(GroupQueueError, OSError):
    """The directory is not one that groups can safely live in: owner, mode, symbolic link, file system.

    The constructor raises it, and says which.

        try:
            q = GroupQueue("jobs", directory="/tmp")
        except GroupDirectoryError as error:
            print(error)
    """


class GroupVersionError(GroupQueueError):
    """The group, or its leader, speaks another version of the journal or of the wire.

    A member meets it in the background, where it is logged; a look at a group without a leader raises it.

        try:
            print(q.stats())
        except GroupVersionError as error:
            print(error)
    """


class PicklingError(GroupQueueError, pickle.PicklingError):
    """The object cannot travel to another process; the message names the path to the part that cannot.

    Every put raises it, and `reply`, in the calling thread; nothing was queued.

        try:
            q.put({"rows": (row for row in "abc")})
        except PicklingError as error:
            print(error)
    """


class DecodeError(GroupQueueError):
    """An item arrived that this process cannot rebuild; it is on the group's failed list. Or the reply to a put_wait.

    `payload` is what arrived (bytes), `sender_pid` the process that put it (0 where unknown).

        try:
            job = q.get(timeout=5)
        except DecodeError as error:
            print(f"process {error.sender_pid} put {len(error.payload)} bytes that cannot be read here")
    """

    def __init__(self, message: str, payload: bytes = b"", sender_pid: int = 0) -> None:
        super().__init__(message, payload, sender_pid)
        self.payload = payload
        self.sender_pid = sender_pid

    def __str__(self) -> str:
        return str(self.args[0])


class ReplyTimeout(GroupQueueError, TimeoutError):
    """No reply came in time.

    `put_wait` raises it. The item was withdrawn, unless a consumer had already got it.

        try:
            answer = q.put_wait({"id": 2}, timeout=5)
        except ReplyTimeout:
            answer = None
    """


class ConsumerLost(GroupQueueError):
    """No reply will come.

    `put_wait` raises it: the item took `max_attempts` consumers with it and is on the failed list, or it was cleared.

        try:
            answer = q.put_wait({"id": 2}, timeout=5)
        except ConsumerLost as error:
            print(error)
    """


class RemoteError(GroupQueueError):
    """The consumer failed with an exception that cannot travel itself.

    It is also the `__cause__` of an exception that can, and tells where in the consumer that was raised.
    `type_name` is its qualified type name, `text` its str(), `traceback` the consumer's formatted traceback.

        try:
            answer = q.put_wait({"id": 2}, timeout=5)
        except RemoteError as error:
            print(error.type_name, error.text)
    """

    def __init__(self, type_name: str, text: str, traceback: str = "") -> None:
        super().__init__(type_name, text, traceback)
        self.type_name = type_name
        self.text = text
        self.traceback = traceback

    def __str__(self) -> str:
        head = f"{self.type_name}: {self.text}"
        return f"{head}\n\n{self.traceback}" if self.traceback else head
