"""groupqueue: a multiprocessing.Queue that unrelated processes open by name, and that no kill -9 can break."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
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


def __getattr__(name: str) -> Any:
    # Its module brings dataclasses, and that a fifth of what all the rest takes.
    if name == "Stats":
        from groupqueue.stats import Stats

        return Stats
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
