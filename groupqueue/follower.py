"""
The follower's half of a group: its connection to the leader.

Requires the member's lock. Whoever is told `Closed` or `WireError` drops it; there is nothing to put in order.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable

from groupqueue.core import messages as m
from groupqueue.system.transport import SCRATCH, Closed, Connection

GOODBYE = 0.5


class Follower:
    """See the module. `on_ready(mask)` is called when the connection can be served, `deliver` with each message."""

    def __init__(
        self,
        connection: Connection,
        selector: selectors.BaseSelector,
        on_ready: Callable[[int], None],
        deliver: Callable[[m.Message], None],
    ) -> None:
        self._connection = connection
        self._selector = selector
        self._on_ready = on_ready
        self._deliver = deliver
        self._scratch = bytearray(SCRATCH)
        self._interest = selectors.EVENT_READ
        selector.register(connection.sock, self._interest, on_ready)

    def say(self, messages: list[m.Message]) -> None:
        """Raises Closed."""
        connection = self._connection
        for message in messages:
            connection.send(message)
        self._set_interest()

    def serve(self, mask: int) -> None:
        """What the connection is ready for. Raises Closed, WireError."""
        connection = self._connection
        if mask & selectors.EVENT_WRITE:
            connection.flush()
        if mask & selectors.EVENT_READ:
            deliver = self._deliver
            for message in connection.receive(self._scratch, keep=True):
                deliver(message)
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

    def _set_interest(self) -> None:
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._connection.queued else 0)
        if wanted != self._interest and self._connection.fileno() >= 0:
            self._selector.modify(self._connection.sock, wanted, self._on_ready)
            self._interest = wanted
