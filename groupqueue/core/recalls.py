"""
What those are asked who were granted items and have not taken them: to return them, or to tell when they take one.

Who holds up others longer than `PATIENCE` is asked to return the rest. Who does not answer that within `GRACE` is
stuck: nobody waits for it any more. A member that lives and is not connected cannot be asked, and has the same time to
come back. `LOOK` is how often cursors are read where others wait for what they tell.
"""

from __future__ import annotations

from collections.abc import Mapping

from groupqueue.core import messages as m
from groupqueue.core.effects import Effects
from groupqueue.core.peer import Peer
from groupqueue.core.ports import CursorsPort
from groupqueue.core.progress import Progress
from groupqueue.core.state import State

PATIENCE = 0.002
GRACE = 0.25
LOOK = 0.01


class Recalls:
    """See the module."""

    def __init__(
        self, state: State, peers: Mapping[int, Peer], cursors: CursorsPort, progress: Progress, effects: Effects
    ) -> None:
        self._state = state
        self._peers = peers
        self._cursors = cursors
        self._progress = progress
        self._effects = effects
        self._absent: dict[int, float] = {}

    def expect(self, member: int, now: float) -> None:
        """The member lives and is not connected: from now on it has `GRACE`."""
        self._absent[member] = now

    def forget(self, member: int) -> None:
        """The member is back, or gone."""
        self._absent.pop(member, None)

    def awaits_absent(self, now: float) -> bool:
        """Whether a member that lives and is not connected may still come back in time."""
        if not self._absent:
            return False
        until = max(self._absent.values()) + GRACE
        if now >= until:
            return False
        self._effects.wake_at(until)
        return True

    def ask(self, member: int, now: float, at_once: bool = False) -> bool:
        """Asks a member to return what it has not taken; False if it does not answer."""
        peer = self._peers.get(member)
        if peer is None:
            until = self._absent.get(member, 0.0) + GRACE
        else:
            if peer.recalled_at is None:
                due = peer.granted_at + PATIENCE
                if now < due and not at_once:
                    self._effects.wake_at(due)
                    return True
                peer.recalled_at = now
                self._cursors.attend(member, 2)
                self._effects.send(peer, m.Recall(m.RECALL_ITEMS))
            until = peer.recalled_at + GRACE
            peer.stuck = now >= until
        if now >= until:
            return False
        self._effects.wake_at(min(until, now + LOOK))
        return True

    def ask_others(self, member: int, now: float) -> bool:
        """Asks those who hold up this member; True if one of them may still answer."""
        blocked = False
        for other, grants in list(self._state.grants.items()):
            if other == member or grants.end == grants.taken:
                continue
            self._progress.advance(other)
            if grants.end > grants.taken and self.ask(other, now):
                blocked = True
        return blocked

    def ask_all(self, now: float) -> bool:
        """Asks everybody at once, as far as the state knows them; True if one may still answer."""
        waits = False
        for member, grants in list(self._state.grants.items()):
            if grants.end > grants.taken and self.ask(member, now, at_once=True):
                waits = True
        return waits

    def answered(self, peer: Peer) -> None:
        """The member has returned what it had, or is granted something new: nothing is asked of it."""
        peer.recalled_at = None
        peer.stuck = False
        self._cursors.attend(peer.member, 0)

    def is_stuck(self, member: int, now: float) -> bool:
        """Whether the member has been asked for `GRACE`, or away for as long."""
        peer = self._peers.get(member)
        return peer.stuck if peer is not None else now >= self._absent.get(member, 0.0) + GRACE

    def watch(self, now: float) -> None:
        """Has everybody who holds untaken items tell when they take one."""
        for member, grants in list(self._state.grants.items()):
            if grants.end > grants.taken:
                peer = self._peers.get(member)
                if peer is not None and peer.recalled_at is None:
                    self._cursors.attend(member, 1)
                taken = self._cursors.taken(member)
                if taken is not None and taken > grants.taken:
                    self._effects.wake_at(now)
        self._effects.wake_at(now + LOOK)
