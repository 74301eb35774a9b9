"""A `multiprocessing` context whose queues are ours, for libraries that take a context."""

from __future__ import annotations

from typing import Any

from groupqueue.exceptions import ClosedError
from groupqueue.queues import GroupQueue, JoinableGroupQueue


class SimpleGroupQueue(GroupQueue[Any]):
    """What a context makes for `SimpleQueue`: a group queue whose `empty` raises once it is closed, used or not."""

    def empty(self) -> bool:
        if self._member.closing:
            raise ClosedError(f"empty: queue {self._label!r} is closed")
        return super().empty()


class _Queues:
    """Replaces the queues of a multiprocessing context; the groups are anonymous."""

    def Queue(self, maxsize: int = 0) -> GroupQueue[Any]:
        return GroupQueue(maxsize=maxsize)

    def JoinableQueue(self, maxsize: int = 0) -> JoinableGroupQueue[Any]:
        return JoinableGroupQueue(maxsize=maxsize)

    def Pool(self, *args: Any, **kwargs: Any) -> Any:
        """The method's own pool: it talks through the pipes inside its queues, which ours do not have."""
        import multiprocessing

        return multiprocessing.get_context(self.get_start_method()).Pool(*args, **kwargs)  # type: ignore[attr-defined]

    def SimpleQueue(self) -> SimpleGroupQueue:
        return SimpleGroupQueue(maxsize=0)


def get_context(method: str | None = None) -> Any:
    """A multiprocessing context ("fork", "spawn", "forkserver", None for the default) with our queues.

    Its `Queue`, `JoinableQueue` and `SimpleQueue` return anonymous group queues; everything else is the method's own.
    Raises ValueError for a method that the platform does not have.
    """
    import multiprocessing

    if method is None:
        method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    base = type(multiprocessing.get_context(method))
    return type(f"Group{base.__name__}", (_Queues, base), {})()
