"""
Accepting what is put: a batch becomes a record, and is ready.

Each producer counts its items, and the state knows the last of them: so a batch that was sent again after a change of
leader is acknowledged and not taken twice. A batch is taken whole or not at all; without room for it the journal
raises, and nothing has happened. After a shutdown at once, what still arrives is acknowledged and dropped. A large body
may have been written to its place by its producer.
"""

from __future__ import annotations

from groupqueue.core import messages as m
from groupqueue.core.effects import Effects
from groupqueue.core.lending import Lending
from groupqueue.core.outbox import check_of
from groupqueue.core.peer import Peer
from groupqueue.core.ports import JournalPort
from groupqueue.core.records import Kind
from groupqueue.core.state import State


class Accepting:
    """See the module."""

    def __init__(self, state: State, journal: JournalPort, lending: Lending, effects: Effects) -> None:
        self._state = state
        self._journal = journal
        self._lending = lending
        self._effects = effects

    def on_items(self, peer: Peer, items: m.Items, now: float) -> None:
        state = self._state
        last = items.first_seq + items.count - 1
        if last > state.last_seq.get(peer.member, 0) and state.shutdown < 2:
            first_id = state.next_id
            words = (
                peer.member, first_id, items.first_seq, items.count, items.flags, items.max_attempts, peer.pid,
            )  # fmt: skip
            length = sum(map(len, items.body))
            location = self._journal.append_data(Kind.ITEMS, words, items.body, length, check_of(items))
            state.apply_items(*words, length, location)
            if items.flags & m.DURABLE:
                self._effects.unsynced = True
            if self._is_told_later(peer, items.count, items.flags, last, now):
                return
        peer.ack = max(peer.ack, last)
        self._effects.confirming.add(peer)

    def on_placed(self, peer: Peer, placed: m.Placed, now: float) -> None:
        state = self._state
        last = placed.first_seq + placed.count - 1
        if last > state.last_seq.get(peer.member, 0) and state.shutdown < 2:
            loan = self._lending.loan_of(peer, placed)
            words = (
                peer.member, state.next_id, placed.first_seq, placed.count, placed.flags, placed.max_attempts, peer.pid,
            )  # fmt: skip
            check = placed.check if placed.check < m.NO_CHECK else None
            location = self._journal.append_placed(loan, words, placed.length, check)
            state.apply_items(*words, placed.length, location)
            if self._is_told_later(peer, placed.count, placed.flags, last, now):
                return
        peer.ack = max(peer.ack, last)
        self._effects.confirming.add(peer)

    def _is_told_later(self, peer: Peer, count: int, flags: int, last: int, now: float) -> bool:
        """The batch is accepted. Whether its acknowledgement waits for a reply."""
        if peer.credit:
            peer.credit = max(peer.credit - count, 0)
        if flags & m.WANTS_REPLY:
            self._effects.postpone(peer, last, now)
            return True
        return False
