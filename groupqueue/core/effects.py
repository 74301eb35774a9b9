"""
What comes of a step: messages to send, and when to be called again.

Nothing is acknowledged before it is in the journal: what a step decides waits here until the step is over, and whoever
runs the broker sends it then. What was promised to survive the machine is synced before any of it leaves. A step that
dies half-way has said nothing.
"""

from __future__ import annotations

from groupqueue.core import messages as m
from groupqueue.core.peer import Peer
from groupqueue.core.ports import JournalPort


class Effects:
    """See the module.

    `confirming`: who has an `ack` or a `settled` coming, one of each to a step. `unsynced`: something durable was
    written. `deadline`: when somebody wants to decide again, at the latest.
    """

    def __init__(self, journal: JournalPort) -> None:
        self.outbox: list[tuple[int, m.Message]] = []
        self.confirming: set[Peer] = set()
        self.unsynced = False
        self.deadline: float | None = None
        self._journal = journal

    def send(self, peer: Peer, message: m.Message) -> None:
        self.outbox.append((peer.member, message))

    def wake_at(self, when: float) -> None:
        if self.deadline is None or when < self.deadline:
            self.deadline = when

    def finish(self) -> list[tuple[int, m.Message]]:
        """What is to be sent now that the step is over. Everything in it is in the journal, synced where promised."""
        if self.unsynced:
            self._journal.sync()
            self.unsynced = False
        outbox = self.outbox
        for peer in self.confirming:
            if peer.ack:
                outbox.append((peer.member, m.Ack(peer.ack)))
                peer.ack = 0
            if peer.settled:
                outbox.append((peer.member, m.Settled(peer.settled)))
                peer.settled = 0
        self.confirming.clear()
        self.outbox = []
        return outbox
