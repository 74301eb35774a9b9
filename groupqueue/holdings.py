"""What the threads of one handle have got and not finished: the ledger behind `task_done`."""

from __future__ import annotations

from collections import deque

from groupqueue.core.inbox import Item


class Unfinished:
    """Items by the thread that got them, and in the order in which the handle got them.

    Every step is one call of a built-in container, so threads, signal handlers and finalisers need no lock here.
    """

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
