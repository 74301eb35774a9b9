"""
What a producer writes to the journal itself: the bodies of large batches, where the leader has lent it room.

A copy less for both, and none of their system calls has to move it: what is sent is where the body stands. Nothing
depends on a loan. What cannot be written there goes through the socket; and whoever leads next hears of the item by its
batch, which is kept until it is acknowledged.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Sequence
from io import FileIO

from groupqueue.core import messages as m
from groupqueue.core import records

_IOV_MAX = 512
_FLAGS = os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
BESIDE = 32 * 1024
"""Bytes of a batch: with less, to write them costs more than it saves."""
AHEAD = 4 * 1024 * 1024
"""Bytes of room: with less, another loan is asked for."""
REFUSED = 100
"""Batches that go through the socket before it is asked again."""


def goes_beside(items: m.Items) -> bool:
    """Whether the batch is to be written to a loan, if there is one."""
    return sum(map(len, items.body)) >= BESIDE and not items.flags & m.DURABLE


class _Loan:
    """`tail`: where the next record goes."""

    __slots__ = ("file", "number", "size", "tail")

    def __init__(self, path: str, number: int, size: int) -> None:
        # No bare descriptor: what an interruption leaves behind is closed all the same.
        self.file = FileIO(path, "r+b", opener=lambda path, _: os.open(path, _FLAGS))
        self.number = number
        self.size = size
        self.tail = records.SEGMENT_HEADER_SIZE

    @property
    def room(self) -> int:
        return self.size - self.tail

    def write(self, parts: Sequence[m.Buffer]) -> bool:
        """Writes the body of the next record; False, and there is none, if that fails."""
        at = self.tail + records.HEADER.size + 8 * records.ITEMS_WORDS
        try:
            written = os.pwritev(self.file.fileno(), parts if len(parts) <= _IOV_MAX else [b"".join(parts)], at)
        except OSError:
            return False
        return written == sum(map(len, parts))


class Loans:
    """The loans of one connection. `said` is what is to be told to the leader."""

    def __init__(self, folder: str) -> None:
        self.said: list[m.Message] = []
        self._folder = folder
        self._open: deque[_Loan] = deque()
        self._is_asked = False
        self._is_late = False
        self._refused = 0

    def is_awaited(self, items: m.Items) -> bool:
        """Whether there is no room for this batch, and an answer is to come that may bring some and is worth a wait."""
        is_large = items.check == m.NO_CHECK
        return is_large and self._is_asked and not self._is_late and self._room() < _size_of(items)

    def give_up(self) -> None:
        """The answer does not come soon: it is not waited for any more."""
        self._is_late = True

    def place(self, items: m.Items) -> m.Placed | None:
        """Writes the body of a batch to a loan; None if there is no room, or it cannot be written."""
        size = _size_of(items)
        if size > m.LARGEST_PLACED:
            return None
        loan = self._with_room(size)
        placed = None
        if loan is not None and loan.write(items.body):
            length = sum(map(len, items.body))
            placed = m.Placed(*items[:-1], loan.number, loan.tail, length)
            loan.tail += size
        elif loan is not None:
            self._repay(loan)
        self._ask(size)
        return placed

    def add(self, loan: m.Loan) -> None:
        """The leader's answer."""
        self._is_asked = False
        self._is_late = False
        if not loan.number:
            self._refused = REFUSED
            return
        try:
            path = os.path.join(self._folder, f"items-{loan.number:016x}")
            self._open.append(_Loan(path, loan.number, loan.size))
        except OSError:
            # Without a descriptor, or from where the folder has another name.
            self._refused = REFUSED
            self.said.append(m.Repaid(loan.number))

    def repay(self) -> None:
        """All of them are given back."""
        while self._open:
            self._repay(self._open[0])

    def close(self) -> None:
        """The connection has ended, and what was lent with it. Also in a forked child."""
        while self._open:
            self._open.popleft().file.close()

    def _with_room(self, size: int) -> _Loan | None:
        while self._open:
            loan = self._open[0]
            if size <= loan.room:
                return loan
            self._repay(loan)
        return None

    def _room(self) -> int:
        return sum(loan.room for loan in self._open)

    def _repay(self, loan: _Loan) -> None:
        self._open.remove(loan)
        loan.file.close()
        self.said.append(m.Repaid(loan.number))

    def _ask(self, size: int) -> None:
        """Asks for another before the last is full; after a refusal not for some time."""
        if self._refused:
            self._refused -= 1
        if not self._is_asked and not self._refused and self._room() < max(2 * size, AHEAD):
            self._is_asked = True
            self.said.append(m.Borrow(size))


def _size_of(items: m.Items) -> int:
    return records.record_size(records.ITEMS_WORDS, sum(map(len, items.body)))
