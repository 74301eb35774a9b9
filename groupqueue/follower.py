"""
The follower's half of a group: its connection to the leader, and what it writes to the journal itself.

Requires the member's lock. Whoever is told `Closed` or `WireError` drops it; there is nothing to put in order.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable

from groupqueue.core import messages as m
from groupqueue.core.outbox import checked
from groupqueue.system.deadline import Deadline
from groupqueue.system.loans import Loans, goes_beside
from groupqueue.system.transport import SCRATCH, Closed, Connection

GOODBYE = 0.5
AWAITED = 0.005
"""Seconds."""


class Follower:
    """See the module. `on_ready(mask)` is called when the connection can be served, `deliver` with each message that
    then comes, and `keep` with each that comes while something is being sent.
    """

    def __init__(
        self,
        connection: Connection,
        selector: selectors.BaseSelector,
        on_ready: Callable[[int], None],
        deliver: Callable[[m.Message], None],
        keep: Callable[[m.Message], None],
        journal: str,
    ) -> None:
        self._connection = connection
        self._loans = Loans(journal)
        self._selector = selector
        self._on_ready = on_ready
        self._deliver = deliver
        self._keep = keep
        self._scratch = bytearray(SCRATCH)
        self._interest = selectors.EVENT_READ
        selector.register(connection.sock, self._interest, on_ready)

    def say(self, messages: list[m.Message]) -> None:
        """Raises Closed, WireError."""
        connection = self._connection
        for message in messages:
            if type(message) is m.Items and goes_beside(message):
                self._send_large(message)
            else:
                connection.send(message)
        self._set_interest()

    def serve(self, mask: int) -> None:
        """What the connection is ready for. Raises Closed, WireError."""
        connection = self._connection
        if mask & selectors.EVENT_WRITE:
            connection.flush()
        if mask & selectors.EVENT_READ:
            self._hear(self._deliver)
            self._tell_of_loans()
        self._set_interest()

    def goodbye(self) -> None:
        """Tells the leader that this member leaves, if it can be told soon."""
        connection = self._connection
        try:
            connection.send(m.Bye())
            connection.sock.setblocking(True)
            connection.sock.settimeout(GOODBYE)
            connection.flush()
        except (Closed, OSError):
            pass

    def drop(self) -> None:
        """The end of this connection. Also in a forked child, where it ends the copy."""
        self._connection.close()
        self._loans.close()

    def _send_large(self, items: m.Items) -> None:
        loans = self._loans
        # What was acknowledged gives its memory back, and what was lent can be used.
        self._hear(self._keep)
        if loans.is_awaited(items):
            self._await_loan(items)
        self._connection.send(loans.place(items) or checked(items))
        self._tell_of_loans()

    def _await_loan(self, items: m.Items) -> None:
        """For a moment: beside the socket is so much faster that it may be waited for."""
        deadline = Deadline(AWAITED)
        connection = self._connection
        while self._loans.is_awaited(items):
            # The question itself may wait behind what did not go at once.
            if not connection.await_ready(deadline.remaining() or 0.0):
                self._loans.give_up()
                return
            connection.flush()
            self._hear(self._keep)

    def _hear(self, deliver: Callable[[m.Message], None]) -> None:
        for message in self._connection.receive(self._scratch, keep=True):
            if type(message) is m.Loan:
                self._loans.add(message)
            elif type(message) is m.Recall and message.what & m.RECALL_LOANS:
                self._loans.repay()
            else:
                deliver(message)

    def _tell_of_loans(self) -> None:
        said = self._loans.said
        if said:
            self._loans.said = []
            for message in said:
                self._connection.send(message)

    def _set_interest(self) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._connection.queued else 0)
        if wanted != self._interest and self._connection.fileno() >= 0:
            self._selector.modify(self._connection.sock, wanted, self._on_ready)
            self._interest = wanted
