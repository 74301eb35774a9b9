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
        """Raised by put and get of a queue that has been shut down (`queue.ShutDown` from Python 3.13 on)."""

    _ShutDown.__name__ = _ShutDown.__qualname__ = "ShutDown"
    ShutDown = _ShutDown


class GroupQueueError(Exception):
    """The base of every error that is groupqueue's own."""


class ClosedError(ValueError, OSError):
    """`empty` on a closed queue: `multiprocessing` raises an OSError there, where its other calls raise ValueError."""


class GroupMismatchError(GroupQueueError, ValueError):
    """The group has living members and another `maxsize` than the one asked for."""


class GroupBusyError(GroupQueueError):
    """The group has living members and cannot be removed."""


class GroupDirectoryError(GroupQueueError, OSError):
    """The directory is not one that groups can safely live in."""


class GroupVersionError(GroupQueueError):
    """The group, or its leader, speaks another version of the journal or of the wire."""


class PicklingError(GroupQueueError, pickle.PicklingError):
    """The object cannot travel to another process; the message names the path to the part that cannot."""


class DecodeError(GroupQueueError):
    """An item arrived that this process cannot rebuild; it is on the group's failed list.

    `payload` is the item as it travelled (bytes), `sender_pid` the process that put it (0 where unknown).
    """

    def __init__(self, message: str, payload: bytes = b"", sender_pid: int = 0) -> None:
        super().__init__(message, payload, sender_pid)
        self.payload = payload
        self.sender_pid = sender_pid

    def __str__(self) -> str:
        return str(self.args[0])


class ReplyTimeout(GroupQueueError, TimeoutError):
    """No reply came in time. The item was withdrawn, unless a consumer had already got it."""


class ConsumerLost(GroupQueueError):
    """The item took `max_attempts` consumers with it; it is on the group's failed list."""


class RemoteError(GroupQueueError):
    """The consumer failed with an exception that cannot travel itself.

    `type_name` is its qualified type name, `text` its str(), `traceback` the consumer's formatted traceback.
    """

    def __init__(self, type_name: str, text: str, traceback: str = "") -> None:
        super().__init__(type_name, text, traceback)
        self.type_name = type_name
        self.text = text
        self.traceback = traceback

    def __str__(self) -> str:
        head = f"{self.type_name}: {self.text}"
        return f"{head}\n\n{self.traceback}" if self.traceback else head
