"""
Who is granted what.

A member asks when one of its threads waits in get, and is granted what it is likely to take within `HOLD` seconds, by
the pace of its last grant: one item at first, or if it is slow. With others waiting it gets its share.

A lane is granted to one member at a time. So whatever comes back from a member is older than anything that others have
seen of that producer, and per-producer order survives every death. Others who hold up a waiting member are asked to
return the rest; who does not answer loses the lane: order yields to progress.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from groupqueue.core import messages as m
from groupqueue.core.effects import Effects
from groupqueue.core.entries import Entries
from groupqueue.core.items import Lane, Run
from groupqueue.core.peer import Peer
from groupqueue.core.ports import JournalPort
from groupqueue.core.progress import Progress
from groupqueue.core.recalls import Recalls
from groupqueue.core.recorder import Recorder
from groupqueue.core.records import Kind
from groupqueue.core.sealing import Sealing
from groupqueue.core.state import State

HOLD = 0.005
MAX_ENTRIES = 400
MAX_GRANT_BYTES = 4 * 1024 * 1024


class Granting:
    """See the module. `wanting`: the members that wait for items, in the order in which they asked."""

    def __init__(
        self,
        state: State,
        journal: JournalPort,
        recorder: Recorder,
        progress: Progress,
        recalls: Recalls,
        sealing: Sealing,
        entries: Entries,
        effects: Effects,
    ) -> None:
        self.wanting: dict[int, Peer] = {}
        self._state = state
        self._journal = journal
        self._recorder = recorder
        self._progress = progress
        self._recalls = recalls
        self._sealing = sealing
        self._entries = entries
        self._effects = effects

    @property
    def waiting(self) -> int:
        """How many threads wait for items."""
        return sum(peer.waiting for peer in self.wanting.values())

    def forget(self, member: int) -> None:
        self.wanting.pop(member, None)

    # What members say

    def on_want(self, peer: Peer, want: m.Want, now: float) -> None:
        member = peer.member
        grants = self._state.grants.get(member)
        if grants is not None:
            self._progress.advance(member)
            if peer.granted and grants.taken == grants.end:
                self._set_allowance(peer, want.spent)
        peer.waiting = want.waiting
        if want.ticket:
            peer.ticket = want.ticket
        if peer.waiting or peer.ticket:
            self.wanting[member] = peer
        else:
            self.wanting.pop(member, None)

    def look(self, peer: Peer, now: float) -> None:
        """As `on_want`, for a member that cannot be heard: its file tells whether anybody waits."""
        member = peer.member
        self._progress.advance(member)
        waiting = self._progress.waiting(member)
        grants = self._state.grants.get(member)
        if waiting and (grants is None or grants.taken == grants.end):
            self.on_want(peer, m.Want(min(waiting, m.WINDOW), 0, 0), now)

    def on_return(self, peer: Peer, message: m.Return, now: float) -> None:
        self._recalls.answered(peer)
        peer.returns += 1
        grants = self._state.grants.get(peer.member)
        if grants is not None:
            self._progress.advance(peer.member)
            if grants.end > message.position:
                peer.allowance = max(1, peer.granted - (grants.end - message.position))
                peer.granted = 0
                self._recorder.returned(peer.member, max(message.position, grants.taken))

    def _set_allowance(self, peer: Peer, spent: int) -> None:
        pace = max(spent, 1) / 1e6 / peer.granted
        peer.allowance = max(1, min(int(HOLD / pace), 8 * peer.granted))
        peer.granted = 0

    # Decisions

    def pump(self, now: float) -> None:
        """Grants what can be granted, and asks others for the rest."""
        state = self._state
        lanes = state.lanes
        for peer in list(self.wanting.values()):
            if lanes.ready and self._grant(peer, now):
                continue
            if lanes.untaken:
                if self._recalls.ask_others(peer.member, now):
                    continue
                if lanes.ready and self._grant(peer, now):
                    continue
            over = state.shutdown and not lanes.ready
            if over:
                if self._sealing.awaits(now):
                    continue
                self._sealing.drained(peer)
            if peer.ticket or over:
                self._effects.send(peer, m.Nothing(peer.ticket))
                peer.ticket = 0
                if not peer.waiting or state.shutdown:
                    self.wanting.pop(peer.member, None)

    def _grant(self, peer: Peer, now: float) -> bool:
        """Grants the member what it may have now; False if that is nothing."""
        state = self._state
        member = peer.member
        grants = state.grants.get(member)
        first = position = grants.end if grants is not None else 0
        want = self._share(peer, first - grants.taken if grants is not None else 0)
        runs: list[Run] = []
        entries: list[m.Entry] = []
        room = MAX_GRANT_BYTES
        while want > 0 and state.lanes.ready and len(runs) < MAX_ENTRIES and room > 0:
            lane = self._next_lane(member, now)
            if lane is None:
                break
            head = lane.ready[0]
            assert head.batch is not None
            count = min(head.count, want)
            size = head.batch.size
            if size > room:
                count, size = self._entries.fit(head, count, room, bool(runs))
                if not count:
                    break
            run = Run(head.first, count, head.batch)
            entries += self._entries.of(run)
            # Applied at once, because the next choice depends on it; on record as one grant when all are chosen.
            state.apply_grant(member, position, (run,))
            runs.append(run)
            position += count
            want -= count
            room -= size
        if not runs:
            return False
        self._record_grant(peer, first, runs)
        del self.wanting[member]
        peer.ticket = 0
        peer.granted_at = now
        self._recalls.answered(peer)
        self._effects.send(peer, m.Grant(first, peer.returns, entries))
        return True

    def _record_grant(self, peer: Peer, position: int, runs: Sequence[Run]) -> None:
        words = [peer.member, position]
        peer.granted = 0
        for run in runs:
            words += (run.first, run.count)
            peer.granted += run.count
        self._journal.append(Kind.GRANT, words)

    def _share(self, peer: Peer, untaken: int) -> int:
        """How many items the member may have now that has so many untaken ones, if no lane is closed to it."""
        least = max(peer.waiting, 1)
        share = max(least, peer.allowance)
        wanting = len(self.wanting)
        if wanting > 1:
            share = min(share, max(least, -(-self._state.lanes.ready // wanting)))
        return min(share, m.WINDOW - untaken)

    def _next_lane(self, member: int, now: float) -> Lane | None:
        """The lane with the oldest item that this member may be granted."""
        best: Lane | None = None
        for lane in self._state.lanes.with_ready.values():
            untaken = lane.untaken
            if untaken and (len(untaken) > 1 or member not in untaken) and not self._is_waived(untaken, member, now):
                continue
            if best is None or lane.ready[0].first < best.ready[0].first:
                best = lane
        return best

    def _is_waived(self, untaken: Iterable[int], member: int, now: float) -> bool:
        return all(other == member or self._recalls.is_stuck(other, now) for other in untaken)
