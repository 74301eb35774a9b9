"""
The end of a group that is shut down: when nothing more can come, and who has been told so.

A `put` that returned before its member heard of the shutdown counts, so getters may end only when every member has
answered `Shutdown` with `Sealed`. Nobody waits longer than `GRACE` for one that is stopped or away. What comes back
later all the same, from such a member or from a consumer that died, is for whoever gets again.
"""

from __future__ import annotations

from collections.abc import Mapping

from groupqueue.core import messages as m
from groupqueue.core.effects import Effects
from groupqueue.core.peer import Peer
from groupqueue.core.recalls import GRACE, Recalls
from groupqueue.core.state import State


class Sealing:
    """See the module. `has_drained`: somebody was told that there is nothing more."""

    def __init__(self, state: State, peers: Mapping[int, Peer], recalls: Recalls, effects: Effects) -> None:
        self.has_drained = False
        self._state = state
        self._peers = peers
        self._recalls = recalls
        self._effects = effects

    def on_sealed(self, peer: Peer, message: m.Sealed, now: float) -> None:
        peer.sealed = True

    def awaits(self, now: float) -> bool:
        """Whether items that were put before the shutdown may still come."""
        if self._state.shutdown == 2:
            return False
        waits = self._recalls.awaits_absent(now)
        for peer in self._peers.values():
            if not peer.sealed:
                if peer.sealing_since is None:
                    peer.sealing_since = now
                until = peer.sealing_since + GRACE
                if now < until:
                    self._effects.wake_at(until)
                    waits = True
        return waits

    def drained(self, peer: Peer) -> None:
        """The peer is being told that there is nothing more."""
        peer.drained = True
        self.has_drained = True

    def pump(self) -> None:
        """Tells those who were told otherwise that there is something to get after all."""
        if self._state.lanes.ready:
            self.has_drained = False
            for peer in self._peers.values():
                if peer.drained:
                    peer.drained = False
                    self._effects.send(peer, m.Shutdown(self._state.shutdown))
