"""
The awaited face: `asyncio.Queue` by name.

Here it is opened, closed and walked over. Everything of the sync face that does not wait is shared with it; what waits
is in this folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any

from groupqueue import serializers
from groupqueue.aio.getting import Getting
from groupqueue.aio.handle import Owner, caller
from groupqueue.aio.member import LoopMember
from groupqueue.aio.operating import Operating
from groupqueue.aio.putting import Putting
from groupqueue.closing import LINGER_WARNING
from groupqueue.exceptions import ShutDown
from groupqueue.face.handle import T
from groupqueue.face.opening import Opening
from groupqueue.options import Options
from groupqueue.system.deadline import Deadline

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["GroupQueue", "JoinableGroupQueue"]


class GroupQueue(Putting[T], Getting[T], Operating[T], Opening[T]):
    """An `asyncio.Queue` that unrelated processes open by name; its group is that of every `groupqueue.GroupQueue`.

    The arguments are those of `groupqueue.GroupQueue`, and raise as there. It can be made outside of a loop, is
    picklable, and works in a forked child, which is a new member. It belongs to the event loop in which it first waits,
    until that is closed: another gets a RuntimeError. One background thread does the I/O, however many coroutines wait.
    It is not thread-safe: use it in its loop's thread only, and open another in another thread.

        async with GroupQueue("jobs") as q:
            await q.put({"id": 1})
            print(await q.get())
    """

    _member_type = LoopMember

    def _open(
        self,
        name: str | None,
        directory: str,
        serializer: serializers.Serializer | None,
        options: Options,
        create: bool,
    ) -> None:
        super()._open(name, directory, serializer, options, create)
        self._plain_get = not self._joinable and options.delivery == "shared"
        self._waits = None
        self._watched: set[asyncio.Task[Any]] = set()

    def close(self) -> Coroutine[Any, Any, None]:
        """No more puts and gets here (ValueError, also in those that wait); returns when everything put is flushed.

        What this handle was granted or holds goes to others. It waits at most `linger` seconds, which is for ever by
        default; cancelled, it goes on in the background, and an exiting process waits for it.

            await q.close()
        """
        return self._close(caller())

    async def _close(self, owner: Owner) -> None:
        waits = self._here()
        member = self._member
        if not member.closing:
            self._end_current(owner or caller())
            member.close()
        while not await waits.until(lambda: member.is_closed, Deadline(LINGER_WARNING)):
            member.warn_of_lingering()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> Self:
        """Objects until the group is shut down or this handle closed.

        Raises as get does, but for QueueShutDown, which ends it.

            async for job in q:
                await work(job)
        """
        return self

    def __anext__(self) -> Coroutine[Any, Any, T]:
        return self._next(caller())

    async def _next(self, owner: Owner) -> T:
        try:
            return await self._get(owner)
        except ShutDown:
            raise StopAsyncIteration from None
        except ValueError:
            if self._member.closing:
                raise StopAsyncIteration from None
            raise


class JoinableGroupQueue(GroupQueue[T]):
    """A GroupQueue in which every item got is unfinished until `task_done`, as in `asyncio.Queue`.

    An item whose holder dies or closes before it calls task_done goes to another consumer.

        q = JoinableGroupQueue("jobs")
        async for job in q:
            await work(job)
            q.task_done()
    """

    _joinable = True

    def task_done(self) -> None:
        """Finishes the calling task's oldest unfinished item, or, if it has none, the handle's. A plain function.

        Raises ValueError if the handle holds none.

            job = await q.get()
            q.task_done()
        """
        self._finish(caller())

    async def join(self) -> None:
        """Waits until every item of the group has been got and finished.

        Raises ValueError on a closed queue.

            await q.join()
        """
        await self._ask_leader({"do": "join"})
