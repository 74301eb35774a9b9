"""
Replies to `put_wait`, from the journal to whoever waits for one.

A reply is in the journal before it is sent, and is kept until its caller has heard it or is gone: after each reconnect
it is sent again. An item has one reply at most, and none if nobody waits for it any more. Where none will come, the
caller is told so in its place.
"""

from __future__ import annotations

from collections.abc import Mapping

from groupqueue.core import messages as m
from groupqueue.core.effects import Effects
from groupqueue.core.items import Batch, Reply
from groupqueue.core.peer import Peer
from groupqueue.core.ports import CursorsPort, JournalPort
from groupqueue.core.recorder import Recorder
from groupqueue.core.records import Kind
from groupqueue.core.state import State


class Replies:
    """See the module."""

    def __init__(
        self,
        state: State,
        journal: JournalPort,
        peers: Mapping[int, Peer],
        cursors: CursorsPort,
        recorder: Recorder,
        effects: Effects,
    ) -> None:
        self._state = state
        self._journal = journal
        self._peers = peers
        self._cursors = cursors
        self._recorder = recorder
        self._effects = effects

    def on_heard(self, peer: Peer, heard: m.Heard, now: float) -> None:
        reply_id = self._state.reply_to(peer.member, heard.seq)
        if reply_id is not None:
            self._recorder.heard([reply_id])

    def keep(self, batch: Batch, answer: m.Answer) -> None:
        """Journals and sends the reply to a held item, if somebody still wants one."""
        item = answer.id
        if not self._is_awaited(item, batch):
            return
        seq = batch.first_seq + item - batch.first_id
        words = (self._state.next_id, item, batch.producer, seq, answer.status, int(answer.finish != 0))
        length = len(answer.body)
        location = self._journal.append_data(Kind.REPLY, words, [answer.body], length, answer.check)
        self._announce(batch, Reply(item, batch.producer, seq, answer.status, length, location))

    def keep_lost(self, batch: Batch, item: int, reason: str) -> None:
        """As `keep`, but says that no reply will come. It needs no new room."""
        if not self._is_awaited(item, batch):
            return
        seq = batch.first_seq + item - batch.first_id
        self._journal.append(Kind.LOST, (self._state.next_id, item, batch.producer, seq), reason.encode())
        self._announce(batch, Reply(item, batch.producer, seq, m.REPLY_LOST, 0, None, reason))

    def repeat(self, peer: Peer) -> None:
        """Sends the member again what it has not confirmed."""
        for reply in self._state.replies.values():
            if reply.producer == peer.member:
                self._send(peer, reply)

    def drop(self, member: int) -> None:
        """The member is gone, and hears of no reply any more."""
        self._recorder.heard([number for number, reply in self._state.replies.items() if reply.producer == member])

    def _is_awaited(self, item: int, batch: Batch) -> bool:
        if not batch.flags & m.WANTS_REPLY or item in self._state.answered:
            return False
        return batch.producer in self._peers or self._cursors.taken(batch.producer) is not None

    def _announce(self, batch: Batch, reply: Reply) -> None:
        self._state.apply_reply(self._state.next_id, reply)
        if batch.flags & m.DURABLE:
            self._effects.unsynced = True
        peer = self._peers.get(batch.producer)
        if peer is not None:
            self._send(peer, reply)

    def _send(self, peer: Peer, reply: Reply) -> None:
        # From the journal, also if it is new: what it came in is written over before the step is over.
        body = self._journal.read(reply.location) if reply.location is not None else reply.text.encode()
        self._effects.send(peer, m.Reply(reply.seq, reply.status, body))
        self._effects.has_told(peer, reply.seq)
