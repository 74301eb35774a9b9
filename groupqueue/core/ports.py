"""What the broker needs of the world, as interfaces: a journal that keeps, and cursors that tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from groupqueue.core.messages import Buffer
from groupqueue.core.records import Kind


class NoRoom(Exception):
    """The journal has no room for this now; nothing was written, and there may be room later."""


class JournalPort(Protocol):
    """Keeps records. When a method returns, the record survives the death of the process; after `sync`, of the
    machine.
    """

    def append_data(self, kind: Kind, words: Sequence[int], parts: Sequence[Buffer], length: int, check: int) -> Any:
        """Keeps an ITEMS or REPLY record and returns where its body is; NoRoom if it does not fit now."""

    def lend(self, size: int) -> Any:
        """A segment, with a `number` and a `size` in bytes, to which somebody else may write bodies of records, at
        least one of `size` bytes; None if there is no room to spare for one.
        """

    def placed(self, loan: Any, offset: int, length: int) -> memoryview | None:
        """The body of the loan's next ITEMS record, if it is one that begins there and has so many bytes."""

    def append_placed(self, loan: Any, words: Sequence[int], length: int, check: int | None) -> Any:
        """Keeps that record and returns where its body is; NoRoom as `append_data`. Without a check it is checked some
        time later.
        """

    def end_loan(self, loan: Any, *, is_back: bool) -> None:
        """No more is placed in it. Unless it is back, its borrower may still write to it."""

    def append(self, kind: Kind, words: Sequence[int], body: bytes = b"") -> None:
        """Keeps a ledger record."""

    def read(self, location: Any) -> memoryview:
        """The body at a place that `append_data` returned and that was not released."""

    def release(self, location: Any) -> None:
        """The body at this place is of no more use."""

    def sync(self) -> None:
        """Everything kept so far survives the death of the machine."""


class CursorsPort(Protocol):
    """The mapped words of the members' files."""

    def taken(self, member: int) -> int | None:
        """How many positions the member has taken; None if it has no file."""

    def opened(self, member: int) -> int:
        """Up to which position the member has begun to decode; 0 if it has no file."""

    def waiting(self, member: int) -> int:
        """How many threads of the member waited for items when it last said anything."""

    def held(self, member: int, start: int, end: int) -> list[int]:
        """Which of the positions in [start, end) were taken to be held."""

    def claimed(self, member: int) -> int:
        """How much credit the member has that no journaled item has used."""

    def credit(self, member: int, count: int) -> None:
        """Notes, before it is sent, that the member is given this much credit."""

    def attend(self, member: int, state: int) -> None:
        """Asks the member to speak at its next take: 1, to tell its cursor; 2, also to return the rest."""
