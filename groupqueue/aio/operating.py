"""The operators' half: what the leader is asked and told about the group as a whole, which takes a moment: awaited."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupqueue.aio.handle import Awaiting
from groupqueue.aio.lines import NEVER
from groupqueue.exceptions import ClosedError
from groupqueue.face.handle import NO_LEADER, T
from groupqueue.face.looking import Looking
from groupqueue.message import Message
from groupqueue.stats import Stats
from groupqueue.system.deadline import Deadline

if TYPE_CHECKING:
    from groupqueue.system.offline import Reading


class Operating(Looking[T], Awaiting[T]):
    """See the module."""

    async def qsize(self) -> int:
        """How many items a get could still return.

        With no leader: what the directory and this handle tell, within about a second.

            print(await q.qsize())
        """
        told = await self._ask({"do": "count"})
        if told is not None:
            return int(told[0]["queued"])
        return self._queued(await self._look_offline())

    async def empty(self) -> bool:
        """Whether there is nothing to get: `qsize() == 0`.

        Raises ClosedError, a ValueError, on a queue that was used and is closed.

            if await q.empty():
                ...
        """
        if self._member.closing and self._member.is_used:
            raise ClosedError(f"empty: queue {self._label!r} is closed")
        return await self.qsize() == 0

    async def full(self) -> bool:
        """Whether a bounded group has no room.

        An unbounded one always has.

            if await q.full():
                ...
        """
        return 0 < self.maxsize <= await self.qsize()

    async def clear(self) -> int:
        """Removes every item that nobody has got; returns how many. A put_wait for one of them raises ConsumerLost.

        Waits until somebody leads. Raises ValueError on a closed queue.

            removed = await q.clear()
        """
        return int((await self._ask_leader({"do": "clear"}))["count"])

    async def peek(self, n: int = 1) -> list[T]:
        """The next `n` objects, without taking them; a DecodeError in place of one that cannot be rebuilt here.

        Raises TimeoutError if there is no leader within a second, ValueError for a negative `n` or on a closed queue.

            print(await q.peek(3))
        """
        return [message.obj for message in await self._look("peek", n)]

    async def stats(self) -> Stats:
        """The operators' view.

        With no leader: what the directory tells, `leader_pid` None, within about a second.

            print((await q.stats()).ready)
        """
        told = await self._ask({"do": "stats"})
        if told is None:
            return Stats.from_reply(self.name, None, self.maxsize, (await self._look_offline()).fields)
        return Stats.from_reply(self.name, self._member.leader_pid, self.maxsize, told[0])

    async def failed(self) -> list[Message[T]]:
        """The failed list: items that `max_attempts` consumers died of, or could not decode, or failed.

        Raises TimeoutError if there is no leader within a second, ValueError on a closed queue.

            for message in await q.failed():
                print(message.obj, message.reason)
        """
        return await self._look("failed", None)

    async def requeue_failed(self) -> int:
        """Puts every item of the failed list back to its place; returns how many.

        Waits until somebody leads. Raises ValueError on a closed queue.

            count = await q.requeue_failed()
        """
        return int((await self._ask_leader({"do": "requeue_failed"}))["count"])

    async def shutdown(self, immediate: bool = False) -> None:
        """Shuts the whole group down: puts raise QueueShutDown everywhere, gets do once the queue is drained.

        With `immediate` what is queued is dropped and gets raise at once. The group revives when it is opened with no
        member alive. Waits until somebody leads. Raises ValueError on a closed queue.

            await q.shutdown()
        """
        await self._ask_leader({"do": "shutdown", "immediate": bool(immediate)})

    # Beneath

    async def _look(self, do: str, limit: int | None) -> list[Message[T]]:
        pages = self._pages(do, limit)
        answer = None
        while True:
            try:
                request = pages.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answer = await self._ask(request)

    async def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], memoryview] | None:
        """The leader's answer, None if there is no leader to be had within a second."""
        member = self._member
        if member.closing:
            return None
        waits = self._here()
        deadline = Deadline(NO_LEADER)
        if not await waits.until(lambda: member.is_connected or member.closing, deadline):
            return None
        return await waits.for_answer(request, deadline if request["do"] in ("count", "stats") else NEVER)

    async def _ask_leader(self, request: dict[str, Any]) -> dict[str, Any]:
        """The leader's answer, however long it takes."""
        if self._member.closing:
            self._closed(str(request["do"]))
        told = await self._here().for_answer(request)
        if told is None:
            self._closed(str(request["do"]))
        return told[0]

    async def _look_offline(self) -> Reading:
        """Reads the whole journal, so in a thread of the loop's executor."""
        return await self._here().loop.run_in_executor(None, self._offline)
