"""A `multiprocessing` context whose queues are ours, for libraries that take a context."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from groupqueue.exceptions import ClosedError
from groupqueue.queues import GroupQueue, JoinableGroupQueue

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext
    from multiprocessing.process import BaseProcess

    class GroupContext(BaseContext):
        """What `get_context` returns, for type checkers."""

        Process: type[BaseProcess]

        def Queue(self, maxsize: int = 0) -> GroupQueue[Any]: ...  # type: ignore[override]
        def JoinableQueue(self, maxsize: int = 0) -> JoinableGroupQueue[Any]: ...  # type: ignore[override]
        def SimpleQueue(self) -> SimpleGroupQueue: ...  # type: ignore[override]


MACHINERY = frozenset(("concurrent.futures.process", "multiprocessing.pool"))
"""What is built on the pipe inside a SimpleQueue, between itself and the workers that it starts."""


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

    def get_context(self, method: str | None = None) -> Any:
        """Of another method, with our queues too."""
        return self if method is None else get_context(method)

    def __reduce__(self) -> Any:
        return get_context, (self.get_start_method(),)  # type: ignore[attr-defined]

    def SimpleQueue(self) -> Any:
        """Ours; but a pool and an executor, which wait on the pipe inside beside their workers, get what they know."""
        if sys._getframe(1).f_globals.get("__name__") in MACHINERY:
            return super().SimpleQueue()  # type: ignore[misc]
        return SimpleGroupQueue(maxsize=0)


def get_context(method: str | None = None) -> GroupContext:
    """A multiprocessing context ("fork", "spawn", "forkserver", None for the default) with our queues.

    Its `Queue`, `JoinableQueue` and `SimpleQueue` return anonymous group queues; everything else is the method's own.
    A `Pool` and a `concurrent.futures.ProcessPoolExecutor` of this context work; what they say to their own workers
    goes through pipes, as ever. Raises ValueError for a method that the platform does not have.

        context = get_context("spawn")
        jobs = context.Queue()
    """
    import multiprocessing

    if method is None:
        method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    base = type(multiprocessing.get_context(method))
    made: GroupContext = type(f"Group{base.__name__}", (_Queues, base), {})()
    return made
