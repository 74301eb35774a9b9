"""The operators' half: what the leader is asked and told about the group as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupqueue.exceptions import ClosedError
from groupqueue.face.handle import NO_LEADER, Blocking, T
from groupqueue.face.looking import Looking
from groupqueue.message import Message
from groupqueue.system.deadline import Deadline

if TYPE_CHECKING:
    from groupqueue.stats import Stats


class Operating(Looking[T], Blocking[T]):
    """See the module."""

    def qsize(self) -> int:
        """How many items a get could still return.

        With no leader: what the directory and this handle tell, within about a second.

            print(q.qsize())
        """
        told = self._ask({"do": "count"})
        if told is not None:
            return int(told[0]["queued"])
        return self._queued(self._offline())

    def empty(self) -> bool:
        """Whether there is nothing to get: `qsize() == 0`.

        Raises ClosedError, a ValueError, on a queue that was used and is closed.

            if not q.empty():
                job = q.get()
        """
        if self._member.closing and self._member.is_used:
            raise ClosedError(f"empty: queue {self._label!r} is closed")
        return self.qsize() == 0

    def full(self) -> bool:
        """Whether a bounded group has no room.

        An unbounded one always has.

            if q.full():
                print("as many as there may be")
        """
        return 0 < self.maxsize <= self.qsize()

    def clear(self) -> int:
        """Removes every item that nobody has got; returns how many. A put_wait for one of them raises ConsumerLost.

        Waits until somebody leads. Raises ValueError on a closed queue.

            removed = q.clear()
        """
        return int(self._ask_leader({"do": "clear"})["count"])

    def peek(self, n: int = 1) -> list[T]:
        """The next `n` objects, without taking them; a DecodeError in place of one that cannot be rebuilt here.

        Raises TimeoutError if there is no leader within a second, ValueError for a negative `n` or on a closed queue.

            print(q.peek(3))
        """
        return [message.obj for message in self._look("peek", n)]

    def stats(self) -> Stats:
        """The operators' view.

        With no leader: what the directory tells, `leader_pid` None, within about a second.

            print(q.stats().ready)
        """
        from groupqueue.stats import Stats

        told = self._ask({"do": "stats"})
        if told is None:
            return Stats.from_reply(self.name, None, self.maxsize, self._offline().fields)
        return Stats.from_reply(self.name, self._member.leader_pid, self.maxsize, told[0])

    def failed(self) -> list[Message[T]]:
        """The failed list: items that `max_attempts` consumers died of, or could not decode, or failed.

        Raises TimeoutError if there is no leader within a second, ValueError on a closed queue.

            for message in q.failed():
                print(message.obj, message.reason)
        """
        return self._look("failed", None)

    def requeue_failed(self) -> int:
        """Puts every item of the failed list back to its place; returns how many.

        Waits until somebody leads. Raises ValueError on a closed queue.

            count = q.requeue_failed()
        """
        return int(self._ask_leader({"do": "requeue_failed"})["count"])

    def shutdown(self, immediate: bool = False) -> None:
        """Shuts the whole group down: puts raise ShutDown everywhere, gets do once the queue is drained.

        With `immediate` what is queued is dropped and gets raise at once. The group revives when it is opened with no
        member alive. Waits until somebody leads. Raises ValueError on a closed queue.

            q.shutdown()
        """
        self._ask_leader({"do": "shutdown", "immediate": bool(immediate)})

    # Beneath

    def _look(self, do: str, limit: int | None) -> list[Message[T]]:
        pages = self._pages(do, limit)
        answer = None
        while True:
            try:
                answer = self._ask(pages.send(answer))
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    def _ask(self, request: dict[str, Any]) -> tuple[dict[str, Any], memoryview] | None:
        """The leader's answer, None if there is no leader to be had within a second."""
        member = self._member
        if member.closing:
            return None
        deadline = Deadline(NO_LEADER)
        if not member.wait(lambda: member.is_connected or member.closing, deadline):
            return None
        return self._waits.for_answer(request, deadline if request["do"] in ("count", "stats") else Deadline(None))

    def _ask_leader(self, request: dict[str, Any]) -> dict[str, Any]:
        """The leader's answer, however long it takes."""
        if self._member.closing:
            self._closed(str(request["do"]))
        told = self._waits.for_answer(request, Deadline(None))
        if told is None:
            self._closed(str(request["do"]))
        return told[0]
