"""
What the owners of one handle have got and not ended. An owner is a thread, or a task of an event loop.

Every step is one call of a built-in container or one store, so threads, signal handlers and finalisers need no lock
here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable
from typing import Any

from groupqueue.core.inbox import Item


class Holdings:
    """`current`: by owner, the item that its `reply` would answer, or None once it has. `owing` counts what a get has
    to see to first: items that wait for a reply or have had it, and errors that were deferred.
    """

    def __init__(self) -> None:
        self.current: dict[Hashable, Item | None] = {}
        self.unfinished = Unfinished()
        self.owing = 0
        self._deferred: deque[Exception] = deque()
        self._dropped: deque[Any] = deque()

    def defer(self, error: Exception) -> None:
        """An error that a later get shall raise."""
        self._deferred.append(error)
        self.owing += 1

    def put_aside(self, objects: Iterable[Any]) -> None:
        """What an interrupted call had taken, and never returned: a later get shall."""
        for obj in objects:
            self._dropped.append(obj)
            self.owing += 1

    def pick_up(self) -> Any:
        """The oldest object that was put aside; LookupError if there is none."""
        obj = self._dropped.popleft()
        self.owing -= 1
        return obj

    def raise_deferred(self) -> None:
        """Raises the oldest deferred error, if there is one."""
        try:
            error = self._deferred.popleft()
        except IndexError:
            return
        self.owing -= 1
        raise error


class Unfinished:
    """The ledger behind `task_done`: items by the owner that got them, in the order in which the handle got them."""

    def __init__(self) -> None:
        self._by_owner: dict[Hashable, deque[tuple[Hashable, Item]]] = {}

    def push(self, owner: Hashable, item: Item) -> None:
        """The owner has got the item."""
        self._by_owner.setdefault(owner, deque()).append((owner, item))

    def pop(self, owner: Hashable) -> tuple[Hashable, Item]:
        """The owner's oldest item, or, if it has none, the handle's; ValueError if there is none."""
        own = self._by_owner.get(owner)
        if own:
            try:
                return own.popleft()
            except IndexError:
                pass
        while True:
            held = [mine for mine in list(self._by_owner.values()) if mine]
            if not held:
                raise ValueError("task_done() called too many times")
            try:
                return min(held, key=lambda mine: mine[0][1].id).popleft()
            except IndexError:
                continue

    def remove(self, owner: Hashable, item: Item) -> None:
        """The owner's item need not be finished any more."""
        own = self._by_owner.get(owner)
        if own:
            own.remove((owner, item))

    def disown(self, owner: Hashable) -> None:
        """The owner has ended: what it has not finished anybody may."""
        left = self._by_owner.pop(owner, None)
        if left:
            self._by_owner.setdefault(None, deque()).extend((None, item) for _, item in left)
