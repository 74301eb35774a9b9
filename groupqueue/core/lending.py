"""
Loans: segments that a producer writes large bodies to by itself.

What it writes there is nothing until it says so; then the leader puts a head before it, and it is a record like any
other. So nothing travels but that, and a body is written once. A loan ends when its borrower says so, or is no longer
connected: then it may still be writing, and the journal lets nobody else write there.
"""

from __future__ import annotations

from typing import Any

from groupqueue.core import messages as m
from groupqueue.core.effects import Effects
from groupqueue.core.peer import Peer
from groupqueue.core.ports import JournalPort
from groupqueue.core.wire import WireError, check_sizes

MOST_LOANS = 3
"""Of one member: one to write to, and the next ones."""


class Lending:
    """See the module."""

    def __init__(self, journal: JournalPort, effects: Effects) -> None:
        self._journal = journal
        self._effects = effects
        self._loans: dict[Peer, dict[int, Any]] = {}
        self._used: set[Peer] = set()
        self._recalled: set[Peer] = set()

    def on_borrow(self, peer: Peer, borrow: m.Borrow, now: float) -> None:
        loans = self._loans.get(peer, {})
        loan = None
        if len(loans) < MOST_LOANS and 0 < borrow.size <= m.LARGEST_PLACED:
            loan = self._journal.lend(borrow.size)
        if loan is None:
            self._effects.send(peer, m.Loan(0, 0))
            return
        self._loans.setdefault(peer, {})[loan.number] = loan
        self._uses(peer)
        self._effects.send(peer, m.Loan(loan.number, loan.size))

    def on_repaid(self, peer: Peer, repaid: m.Repaid, now: float) -> None:
        loan = self._loans.get(peer, {}).pop(repaid.number, None)
        if loan is None:
            raise WireError(f"a loan is repaid that was not made: {repaid.number}")
        self._journal.end_loan(loan, is_back=True)

    def loan_of(self, peer: Peer, placed: m.Placed) -> Any:
        """The loan in which the body stands, next in order; WireError if it does not."""
        loan = self._loans.get(peer, {}).get(placed.number)
        body = self._journal.placed(loan, placed.offset, placed.length) if loan is not None else None
        if body is None or placed.flags & m.DURABLE:
            raise WireError(f"a batch of {placed.length} bytes is not at byte {placed.offset} of loan {placed.number}")
        check_sizes(placed.count, body)
        self._uses(peer)
        return loan

    def forget(self, peer: Peer) -> None:
        """It is no longer connected."""
        self._used.discard(peer)
        self._recalled.discard(peer)
        for loan in self._loans.pop(peer, {}).values():
            self._journal.end_loan(loan, is_back=False)

    def recall_idle(self) -> None:
        """Asks for the loans of those back who have not used one since the last call."""
        for peer, loans in self._loans.items():
            if loans and peer not in self._used and peer not in self._recalled:
                self._recalled.add(peer)
                self._effects.send(peer, m.Recall(m.RECALL_LOANS))
        self._used.clear()

    def _uses(self, peer: Peer) -> None:
        self._used.add(peer)
        self._recalled.discard(peer)
