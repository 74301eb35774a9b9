"""groupqueue: a multiprocessing.Queue that unrelated processes open by name, and that no kill -9 can break."""

from __future__ import annotations

from groupqueue.contexts import get_context
from groupqueue.exceptions import (
    ConsumerLost,
    DecodeError,
    Empty,
    Full,
    GroupBusyError,
    GroupDirectoryError,
    GroupMismatchError,
    GroupQueueError,
    GroupVersionError,
    PicklingError,
    RemoteError,
    ReplyTimeout,
    ShutDown,
)
from groupqueue.message import Message
from groupqueue.queues import GroupQueue, JoinableGroupQueue
from groupqueue.stats import Stats

__all__ = [
    "ConsumerLost",
    "DecodeError",
    "Empty",
    "Full",
    "GroupBusyError",
    "GroupDirectoryError",
    "GroupMismatchError",
    "GroupQueue",
    "GroupQueueError",
    "GroupVersionError",
    "JoinableGroupQueue",
    "Message",
    "PicklingError",
    "RemoteError",
    "ReplyTimeout",
    "ShutDown",
    "Stats",
    "get_context",
]
