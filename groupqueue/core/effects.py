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

POSTPONED = 0.002
"""Seconds that an acknowledgement waits for a reply that would tell the same."""


class Effects:
    """See the module.

    `confirming`: who has an `ack` or a `settled` coming, one of each to a step. `unsynced`: something durable was
    written. `deadline`: when somebody wants to decide again, at the latest. `postponing`: who has an `ack` coming by
    when, if nothing tells it before.
    """

    def __init__(self, journal: JournalPort) -> None:
        self.outbox: list[tuple[int, m.Message]] = []
        self.confirming: set[Peer] = set()
        self.postponing: dict[Peer, float] = {}
        self.unsynced = False
        self.deadline: float | None = None
        self._journal = journal

    def send(self, peer: Peer, message: m.Message) -> None:
        self.outbox.append((peer.member, message))

    def postpone(self, peer: Peer, ack: int, now: float) -> None:
        """A reply will tell the same, and most come soon: a message less for both."""
        peer.postponed = ack
        self.postponing.setdefault(peer, now + POSTPONED)

    def pump(self, now: float) -> None:
        """What was postponed for long enough is said."""
        for peer, due in list(self.postponing.items()):
            if due <= now:
                peer.ack = max(peer.ack, peer.postponed)
                self.confirming.add(peer)
            else:
                self.wake_at(due)

    def forget(self, peer: Peer) -> None:
        self.confirming.discard(peer)
        self.postponing.pop(peer, None)

    def wake_at(self, when: float) -> None:
        if self.deadline is None or when < self.deadline:
            self.deadline = when

    def has_told(self, peer: Peer, seq: int) -> None:
        """The member hears that everything up to `seq` is accepted."""
        if peer.postponed and seq >= peer.postponed:
            peer.postponed = 0
            self.postponing.pop(peer, None)

    def finish(self) -> list[tuple[int, m.Message]]:
        """What is to be sent now that the step is over. Everything in it is in the journal, synced where promised."""
        if self.unsynced:
            self._journal.sync()
            self.unsynced = False
        outbox = self.outbox
        for peer in self.confirming:
            if peer.ack:
                outbox.append((peer.member, m.Ack(peer.ack)))
                self.has_told(peer, peer.ack)
                peer.ack = 0
            if peer.settled:
                outbox.append((peer.member, m.Settled(peer.settled)))
                peer.settled = 0
        self.confirming.clear()
        self.outbox = []
        return outbox
