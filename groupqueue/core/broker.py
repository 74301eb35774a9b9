"""
What the leader decides.

A message comes in, records go to the journal, the state changes by them, and messages go to the outbox; whoever runs
the broker sends them when the step is over. Each kind of message has one part of the broker that hears it, and what
cannot be decided at once is decided by the parts' pumps, at the end of every step and when `deadline` has come.

The parts know the state, the journal, the cursors and those parts on which they build, and none of them knows the
broker. What the broker itself keeps is who is connected. Time comes in as an argument.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from groupqueue.core import messages as m
from groupqueue.core.accepting import Accepting
from groupqueue.core.credit import Credit
from groupqueue.core.departures import Departures
from groupqueue.core.draining import Draining
from groupqueue.core.effects import Effects
from groupqueue.core.entries import Entries
from groupqueue.core.granting import Granting
from groupqueue.core.lending import Lending
from groupqueue.core.operators import Operators
from groupqueue.core.peer import Peer
from groupqueue.core.ports import CursorsPort, JournalPort
from groupqueue.core.progress import Progress
from groupqueue.core.recalls import Recalls
from groupqueue.core.recorder import Recorder
from groupqueue.core.replies import Replies
from groupqueue.core.sealing import Sealing
from groupqueue.core.state import State
from groupqueue.core.verdicts import Verdicts
from groupqueue.core.views import Views
from groupqueue.core.withdrawals import Withdrawals


class Broker:
    """See the module. `maxsize` of 0 is unbounded; `generation` tells one life of the group from the next."""

    def __init__(
        self, state: State, journal: JournalPort, cursors: CursorsPort, maxsize: int, generation: int, pid: int
    ) -> None:
        self.state = state
        self.peers: dict[int, Peer] = {}
        self._pid = pid
        peers = self.peers
        effects = self.effects = Effects(journal)
        recorder = self._recorder = Recorder(state, journal)
        progress = self._progress = Progress(state, cursors, recorder)
        entries = Entries(state, journal)
        recalls = self._recalls = Recalls(state, peers, cursors, progress, effects)
        replies = self._replies = Replies(state, journal, peers, cursors, recorder, effects)
        self._departures = Departures(state, recorder, progress, replies)
        self._lending = Lending(journal, effects)
        self._accepting = Accepting(state, journal, self._lending, effects)
        sealing = self._sealing = Sealing(state, peers, recalls, effects)
        self._granting = Granting(state, journal, recorder, progress, recalls, sealing, entries, effects)
        self._credit = Credit(maxsize, state, peers, cursors, progress, recalls, effects)
        self._verdicts = Verdicts(state, recorder, progress, replies, effects)
        self._withdrawals = Withdrawals(state, peers, recorder, progress, recalls, effects)
        self._draining = Draining(state, peers, recorder, progress, recalls, replies, effects)
        views = Views(state, peers, progress, entries, self._granting, self._credit)
        self._operators = Operators(generation, state, peers, recorder, views, self._draining, effects)
        self._handlers = self._who_hears_what()
        recorder.finish_unrecorded()
        self._operators.revive()

    def _who_hears_what(self) -> dict[type[Any], Callable[[Peer, Any, float], None]]:
        return {
            m.Items: self._accepting.on_items,
            m.Placed: self._accepting.on_placed,
            m.Borrow: self._lending.on_borrow,
            m.Repaid: self._lending.on_repaid,
            m.Want: self._granting.on_want,
            m.Return: self._granting.on_return,
            m.Taken: self._progress.on_taken,
            m.Done: self._verdicts.on_done,
            m.Answer: self._verdicts.on_answer,
            m.Fail: self._verdicts.on_fail,
            m.Requeue: self._verdicts.on_requeue,
            m.Withdraw: self._withdrawals.on_withdraw,
            m.Heard: self._replies.on_heard,
            m.WantCredit: self._credit.on_want_credit,
            m.ReturnCredit: self._credit.on_return_credit,
            m.Request: self._operators.on_request,
            m.Sealed: self._sealing.on_sealed,
        }

    @property
    def deadline(self) -> float | None:
        """When the broker wants to be pumped again at the latest."""
        return self.effects.deadline

    # Members

    def expect(self, member: int, now: float) -> None:
        """A living member that is not connected: the room that it may be using, and its lanes, stay set aside."""
        self._recalls.expect(member, now)
        self._credit.expect(member)

    def hello(self, hello: m.Hello, role: str = "follower") -> Peer:
        """A member has connected, for the first time or again."""
        member = hello.member
        about = json.loads(bytes(hello.body))
        peer = Peer(member, hello.pid, str(about.get("mode", "")), role)
        self._forget(member)
        self.peers[member] = peer
        state = self.state
        position = 0
        grants = state.grants.get(member)
        if grants is not None:
            self._progress.advance(member)
            if grants.end > hello.received:
                self._recorder.returned(member, max(hello.received, grants.taken))
            position = grants.end
        last_seq = state.last_seq.get(member, 0)
        peer.credit = int(about.get("credit", 0)) + max(int(about.get("last_seq", 0)) - last_seq, 0)
        self.effects.send(peer, m.Welcome(m.VERSION, state.epoch, self._pid, last_seq, position, state.shutdown))
        self._replies.repeat(peer)
        return peer

    def lost(self, member: int, now: float) -> None:
        """The member's connection is gone. It may come back; what it was granted stays its own."""
        if member in self.peers:
            self._forget(member)
            self.expect(member, now)

    def dead(self, member: int) -> None:
        """Nobody has the member's lock any more: what it had goes to others."""
        self._forget(member)
        self._departures.depart(member, death=True)

    def bye(self, member: int) -> None:
        """The member has closed."""
        self._forget(member)
        self._departures.depart(member, death=False)

    def _forget(self, member: int) -> None:
        peer = self.peers.pop(member, None)
        if peer is not None:
            self.effects.forget(peer)
            self._lending.forget(peer)
        self._granting.forget(member)
        self._credit.forget(member)
        self._recalls.forget(member)
        self._draining.forget(member)
        self._withdrawals.forget(member)

    # Steps

    def understands(self, message: m.Message) -> bool:
        """Whether a member may say this."""
        return type(message) in self._handlers

    def receive(self, peer: Peer, message: m.Message, now: float) -> None:
        """One message of a connected member. NoRoom: nothing of it was done, and it can be tried again."""
        self._handlers[type(message)](peer, message, now)

    def look_after(self, peer: Peer, now: float) -> None:
        """A member whose messages wait for room, and with them that it wants items: gets are what makes room."""
        self._granting.look(peer, now)

    def pump(self, now: float) -> None:
        """Decides what can be decided, and asks for what is needed for the rest. Called when a step is over."""
        self.effects.deadline = None
        if self.effects.postponing:
            self.effects.pump(now)
        if self._withdrawals.open or self._withdrawals.early:
            self._withdrawals.pump(now)
        if self._sealing.has_drained:
            self._sealing.pump()
        if self._granting.wanting:
            self._granting.pump(now)
        if self._credit.wanting:
            self._credit.pump(now)
        if self._draining.pending:
            self._draining.pump(now)

    def finish_step(self) -> list[tuple[int, m.Message]]:
        """What is to be sent now that the step is over. Everything in it is in the journal, synced where promised."""
        return self.effects.finish()

    def keep_house(self) -> None:
        """Now and then: what was taken takes no more room, and what was lent and is not used is asked back."""
        self._progress.advance_all()
        self._lending.recall_idle()
