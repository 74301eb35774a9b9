"""
How far each member got: what its cursor tells, taken over into the state.

A take is no message, so the state is always a little behind. Whoever is about to decide by what is untaken or held
takes over first what the cursors tell; then it is on record before anything follows from it.
"""

from __future__ import annotations

from groupqueue.core import messages as m
from groupqueue.core.peer import Peer
from groupqueue.core.ports import CursorsPort
from groupqueue.core.recorder import Recorder
from groupqueue.core.state import State


class Progress:
    """See the module."""

    def __init__(self, state: State, cursors: CursorsPort, recorder: Recorder) -> None:
        self._state = state
        self._cursors = cursors
        self._recorder = recorder

    def on_taken(self, peer: Peer, message: m.Taken, now: float) -> None:
        """The member says that there is something to see."""
        self.advance(peer.member)

    def advance(self, member: int) -> None:
        """Takes over what the member's cursor tells."""
        grants = self._state.grants.get(member)
        if grants is None:
            return
        taken = self._cursors.taken(member)
        if taken is None or taken <= grants.taken:
            return
        start = grants.taken
        taken = min(taken, grants.end)
        marked = self._cursors.held(member, start, taken)
        held: list[int] = []
        if marked:
            wanted = set(marked)
            held = [item for position, item in grants.positions(start, taken) if position in wanted]
        self._recorder.taken(member, taken, held)

    def waiting(self, member: int) -> int:
        """How many threads of the member waited for items when it last spoke, by its file."""
        return self._cursors.waiting(member)

    def advance_all(self) -> None:
        """Takes over what every cursor tells, so that what was taken takes no more room."""
        for member, grants in list(self._state.grants.items()):
            if grants.end > grants.taken:
                self.advance(member)

    def hold_opened(self, member: int) -> int | None:
        """The item, if any, whose decoding its consumer has begun and not ended: it is held from here on.

        Items that are got together are all taken when the last of them is decoded: those before it are still untaken.
        """
        grants = self._state.grants[member]
        position = self._cursors.opened(member) - 1
        if not grants.taken <= position < grants.end:
            return None
        ((_, item),) = grants.positions(position, position + 1)
        if position > grants.taken:
            if self._state.find(item) is None:
                return None
            self._recorder.keep_only(member, grants.taken, item)
        self._recorder.taken(member, grants.taken + 1, [item])
        return item
