"""
What the threads of one handle have got and not ended.

Every step is one call of a built-in container or one store, so threads, signal handlers and finalisers need no lock
here.
"""

from __future__ import annotations

from collections import deque

from groupqueue.core.inbox import Item


class Holdings:
    """`current`: by thread, the item that its `reply` would answer, or None once it has. `owing` counts what a get has
    to see to first: items that wait for a reply, and errors that were deferred.
    """

    def __init__(self) -> None:
        self.current: dict[int, Item | None] = {}
        self.unfinished = Unfinished()
        self.owing = 0
        self._deferred: deque[Exception] = deque()

    def defer(self, error: Exception) -> None:
        """An error that a later get shall raise."""
        self._deferred.append(error)
        self.owing += 1

    def raise_deferred(self) -> None:
        """Raises the oldest deferred error, if there is one."""
        try:
            error = self._deferred.popleft()
        except IndexError:
            return
        self.owing -= 1
        raise error


class Unfinished:
    """The ledger behind `task_done`: items by the thread that got them, in the order in which the handle got them."""

    def __init__(self) -> None:
        self._by_thread: dict[int, deque[tuple[int, Item]]] = {}

    def push(self, thread: int, item: Item) -> None:
        """The thread has got the item."""
        self._by_thread.setdefault(thread, deque()).append((thread, item))

    def pop(self, thread: int) -> tuple[int, Item]:
        """The thread's oldest item, or, if it has none, the handle's; ValueError if there is none."""
        own = self._by_thread.get(thread)
        if own:
            try:
                return own.popleft()
            except IndexError:
                pass
        while True:
            held = [mine for mine in list(self._by_thread.values()) if mine]
            if not held:
                raise ValueError("task_done() called too many times")
            try:
                return min(held, key=lambda mine: mine[0][1].id).popleft()
            except IndexError:
                continue
