"""
The room of a bounded group.

A put needs credit, which is room set aside: the items of the group and all credit together never exceed the bound, so
a put without credit has put nothing. Credit that is given to a member is noted in its file before it is sent; of a
member that is not connected the file tells how much it may be using. Credit that lies idle while others wait is asked
back.
"""

from __future__ import annotations

from collections.abc import Mapping

from groupqueue.core import messages as m
from groupqueue.core.effects import Effects
from groupqueue.core.peer import Peer
from groupqueue.core.ports import CursorsPort
from groupqueue.core.progress import Progress
from groupqueue.core.recalls import GRACE, Recalls
from groupqueue.core.state import State

MOST_CREDIT = 1024


class Credit:
    """See the module. `wanting`: the members that wait for room, in the order in which they asked."""

    def __init__(
        self,
        maxsize: int,
        state: State,
        peers: Mapping[int, Peer],
        cursors: CursorsPort,
        progress: Progress,
        recalls: Recalls,
        effects: Effects,
    ) -> None:
        self.wanting: dict[int, Peer] = {}
        self._maxsize = maxsize
        self._state = state
        self._peers = peers
        self._cursors = cursors
        self._progress = progress
        self._recalls = recalls
        self._effects = effects
        self._claims: dict[int, int] = {}

    @property
    def waiting(self) -> int:
        """How many puts wait for room."""
        return sum(peer.credit_waiting for peer in self.wanting.values())

    def expect(self, member: int) -> None:
        """The member lives and is not connected: what it may be using stays set aside."""
        claim = self._cursors.claimed(member)
        if claim:
            self._claims[member] = claim

    def forget(self, member: int) -> None:
        self.wanting.pop(member, None)
        self._claims.pop(member, None)

    # What members say

    def on_want_credit(self, peer: Peer, want: m.WantCredit, now: float) -> None:
        peer.credit_waiting = want.waiting
        if want.ticket:
            peer.credit_ticket = want.ticket
        if want.waiting or peer.credit_ticket:
            self.wanting[peer.member] = peer
        else:
            self.wanting.pop(peer.member, None)

    def on_return_credit(self, peer: Peer, message: m.ReturnCredit, now: float) -> None:
        peer.credit_recalled_at = None
        peer.credit = max(peer.credit - message.count, 0)
        peer.credit_allowance = 1

    # Decisions

    def pump(self, now: float) -> None:
        """Gives what room there is, and asks others for the rest."""
        if self._state.shutdown:
            return
        lanes = self._state.lanes
        room = self._room()
        if room < len(self.wanting) and lanes.untaken:
            self._progress.advance_all()
            room = self._room()
        for peer in list(self.wanting.values()):
            if room > 0:
                room -= self._give(peer, room)
            elif self._awaits_room(peer, now):
                continue
            elif peer.credit_ticket:
                self._effects.send(peer, m.Nothing(peer.credit_ticket))
                peer.credit_ticket = 0
                if not peer.credit_waiting:
                    del self.wanting[peer.member]
        if self.wanting and lanes.untaken:
            self._recalls.watch(now)

    def _room(self) -> int:
        out = sum(peer.credit for peer in self._peers.values()) + sum(self._claims.values())
        return self._maxsize - self._state.queued - out

    def _give(self, peer: Peer, room: int) -> int:
        others = len(self.wanting) - 1
        extra = 0 if others else min(peer.credit_allowance, room // 2)
        count = min(room, peer.credit_waiting + bool(peer.credit_ticket) + extra)
        peer.credit_allowance = min(2 * peer.credit_allowance, MOST_CREDIT)
        peer.credit += count
        self._cursors.credit(peer.member, count)
        peer.credit_ticket = 0
        del self.wanting[peer.member]
        self._effects.send(peer, m.Credit(count))
        return count

    def _awaits_room(self, peer: Peer, now: float) -> bool:
        """Asks others for the credit they do not use; True if some may come back."""
        if self._maxsize - self._state.queued <= 0:
            return False
        awaited = False
        for other in self._peers.values():
            if other is peer or not other.credit:
                continue
            if other.credit_recalled_at is None:
                other.credit_recalled_at = now
                self._effects.send(other, m.Recall(m.RECALL_CREDIT))
            if now < other.credit_recalled_at + GRACE:
                awaited = True
                self._effects.wake_at(other.credit_recalled_at + GRACE)
        return awaited
