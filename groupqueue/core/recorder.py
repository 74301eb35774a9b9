"""
What becomes of items, put on record: each method appends a ledger record, and then applies it to the state.

In this order, for the journal decides what has happened; and both in one place, for what recovery reads must be what
the leader did. What is of no more use by then is given back to the journal at once. Batches, grants and replies are
recorded by those who make them (`accepting`, `granting`, `replies`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from groupqueue.core.items import Run
from groupqueue.core.ports import JournalPort
from groupqueue.core.records import Kind
from groupqueue.core.state import State

MAX_IDS = 1000


class Recorder:
    """See the module. A list of ids that may be of any length becomes as many records as it needs."""

    def __init__(self, state: State, journal: JournalPort) -> None:
        self._state = state
        self._journal = journal

    def taken(self, member: int, position: int, held: Sequence[int]) -> None:
        """The member took everything before `position`; the ids in `held` it holds."""
        self._journal.append(Kind.TAKEN, (member, position, *held))
        self._state.apply_taken(member, position, held)
        while self._state.released:
            self._journal.release(self._state.released.pop())

    def returned(self, member: int, position: int) -> None:
        """The member's grants from `position` on are ready again."""
        self._journal.append(Kind.RETURN, (member, position))
        self._state.apply_return(member, position)

    def keep_only(self, member: int, position: int, item: int) -> None:
        """Of the member's grants from `position` on it keeps this item, there; the others are ready again."""
        self.returned(member, position)
        self._journal.append(Kind.GRANT, (member, position, item, 1))
        self._state.apply_grant(member, position, [Run(item, 1, self._state.find(item))])

    def finish(self, runs: Sequence[tuple[int, int]]) -> None:
        """These items, as (first id, count), are finished."""
        for start in range(0, len(runs), MAX_IDS):
            part = runs[start : start + MAX_IDS]
            self._journal.append(Kind.FINISH, list(chain.from_iterable(part)))
            self._state.apply_finish(part)
        while self._state.released:
            self._journal.release(self._state.released.pop())

    def finish_unrecorded(self) -> None:
        """What recovery found finished is put on record; the state knows it already."""
        unrecorded = self._state.unrecorded
        for start in range(0, len(unrecorded), MAX_IDS):
            part = unrecorded[start : start + MAX_IDS]
            self._journal.append(Kind.FINISH, list(chain.from_iterable(part)))
        unrecorded.clear()

    def failed(self, item: int, reason: bytes) -> None:
        """The held item goes to the failed list."""
        self._journal.append(Kind.FAILED, (item,), reason)
        self._state.apply_failed(item, reason.decode("utf-8", "replace"))

    def requeue(self, item: int, attempt: int, deaths: int) -> None:
        """The held item is ready again."""
        self._journal.append(Kind.REQUEUE, (item, attempt, deaths))
        self._state.apply_requeue(item, attempt, deaths)

    def retry(self, items: Sequence[int]) -> None:
        """The failed items are ready again, as if never delivered."""
        for start in range(0, len(items), MAX_IDS):
            part = items[start : start + MAX_IDS]
            self._journal.append(Kind.RETRY, part)
            self._state.apply_retry(part)

    def heard(self, reply_ids: Sequence[int]) -> None:
        """Forgets replies; that an item is answered and not finished must not be forgotten with the record of one."""
        state = self._state
        replies = state.replies
        answered = [replies[number].item for number in reply_ids if replies[number].item in state.answered]
        for start in range(0, len(answered), MAX_IDS):
            self._journal.append(Kind.ANSWERED, answered[start : start + MAX_IDS])
        for start in range(0, len(reply_ids), MAX_IDS):
            part = reply_ids[start : start + MAX_IDS]
            self._journal.append(Kind.HEARD, part)
            state.apply_heard(part)
        while state.released:
            self._journal.release(state.released.pop())

    def gone(self, member: int) -> None:
        """The member is no more."""
        self._journal.append(Kind.GONE, (member,))
        self._state.apply_gone(member)

    def shut_down(self, shutdown: int, generation: int) -> None:
        """0: the group is open; 1, getters drain; 2, at once."""
        self._journal.append(Kind.SHUTDOWN, (shutdown, generation))
        self._state.apply_shutdown(shutdown, generation)
