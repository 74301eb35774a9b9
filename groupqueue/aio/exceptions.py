"""
What asyncio's queues raise and what ours raise, in one: whoever catches either catches these.

    QueueEmpty     asyncio.QueueEmpty, groupqueue.Empty
    QueueFull      asyncio.QueueFull, groupqueue.Full
    QueueShutDown  asyncio.QueueShutDown where Python has it (3.13), groupqueue.ShutDown
"""

from __future__ import annotations

import asyncio

from groupqueue.exceptions import Empty, Full, ShutDown

__all__ = ["QueueEmpty", "QueueFull", "QueueShutDown"]


class QueueEmpty(asyncio.QueueEmpty, Empty):
    """`get_nowait`: no item is here.

    The group may have some, for which the leader is then asked.

        try:
            item = q.get_nowait()
        except asyncio.QueueEmpty:
            item = None
    """


class QueueFull(asyncio.QueueFull, Full):
    """`put_nowait`: there is no room that this handle knows of.

    Nothing was put, also later; the leader is asked for room.

        try:
            q.put_nowait(item)
        except asyncio.QueueFull:
            dropped += 1
    """


_bases = tuple(dict.fromkeys((getattr(asyncio, "QueueShutDown", ShutDown), ShutDown)))


class QueueShutDown(*_bases):  # type: ignore[misc]
    """The group was shut down.

    A put raises it, and a get once the queue is drained.

        try:
            await q.put(item)
        except groupqueue.ShutDown:
            return
    """
