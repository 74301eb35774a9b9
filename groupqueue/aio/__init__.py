"""
`groupqueue` for asyncio: the same queues, awaited.

    from groupqueue.aio import GroupQueue

    async def main():
        async with GroupQueue("jobs") as q:
            await q.put({"id": 1})
            print(await q.get())

They are `asyncio.Queue` between unrelated processes. What both have is called as in asyncio; what only groupqueue has
is named as in `groupqueue.GroupQueue`. docs/asyncio.md has the differences in a table. Nothing else in the package
imports asyncio.
"""

from __future__ import annotations

from groupqueue.aio.exceptions import QueueEmpty, QueueFull, QueueShutDown
from groupqueue.aio.queues import GroupQueue, JoinableGroupQueue

__all__ = ["GroupQueue", "JoinableGroupQueue", "QueueEmpty", "QueueFull", "QueueShutDown"]
