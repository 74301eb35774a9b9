"""
The leader's half of a group: the locks, the journal, the broker and everybody's connections, as one thing.

It comes into being by recovery, in a straight line, and goes by `drop`, whatever the reason: there is no other way out,
and nothing to put in order, because the next leader recovers from the journal in any case. Requires the member's lock.
"""

from __future__ import annotations

import logging
import os
import selectors
from collections import deque
from collections.abc import Callable

from groupqueue.core import messages as m
from groupqueue.core.broker import Broker, Peer
from groupqueue.core.ports import NoRoom
from groupqueue.core.session import Session
from groupqueue.core.wire import WireError
from groupqueue.system.cursors import Cursors
from groupqueue.system.deadline import now
from groupqueue.system.journal import Journal
from groupqueue.system.leadership import Leadership, read_note
from groupqueue.system.membership import Terms
from groupqueue.system.paths import GroupPaths
from groupqueue.system.transport import SCRATCH, Closed, Connection, Listener

HOUSEKEEPING = 2.0
RETRY_FULL = 0.05
RETRY_ACCEPT = 0.1
FIRST_LOOK = 0.001
LAST_LOOK = 0.5
READS_PER_TURN = 8
QUEUE_LIMIT = 16 * 1024 * 1024


class SteppedDown(Exception):
    """The paths no longer lead to what this leader has locked."""


class Guest:
    """A connection to the leader; `peer` once it has said Hello. `backlog`: what the journal had no room for."""

    __slots__ = ("backlog", "connection", "interest", "peer")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.peer: Peer | None = None
        self.backlog: deque[m.Message] = deque()
        self.interest = selectors.EVENT_READ


class Leader:
    """See the module. `deliver` hands a message to this process's own session."""

    def __init__(
        self,
        leadership: Leadership,
        paths: GroupPaths,
        terms: Terms,
        selector: selectors.BaseSelector,
        session: Session,
        deliver: Callable[[m.Message], None],
        log: Callable[[int, str], None],
    ) -> None:
        self._leadership = leadership
        self._paths = paths
        self._selector = selector
        self._session = session
        self._deliver = deliver
        self._log = log
        self._scratch = bytearray(SCRATCH)
        self._guests: dict[int, Guest] = {}
        self._members: dict[int, Guest] = {}
        self._departed: dict[int, tuple[float, float]] = {}
        self._stalled: list[Guest] = []
        self._retry_at = 0.0
        self._accept_at: float | None = None
        self._housekeeping_at = now() + HOUSEKEEPING
        self._listener: Listener | None = None
        self._local: Peer | None = None
        self._local_backlog: deque[m.Message] = deque()
        self._cursors = Cursors(paths.members)
        self._journal = Journal(paths.journal, paths.name)
        try:
            self._recover(terms)
        except BaseException:
            self.drop()
            raise

    @property
    def epoch(self) -> int:
        return self._journal.state.epoch

    def _recover(self, terms: Terms) -> None:
        state = self._journal.recover()
        note = read_note(self._paths)
        self._journal.begin(max(self._journal.last_epoch, note.epoch if note is not None else 0) + 1, os.getpid())
        self._leadership.note(os.getpid(), state.epoch)
        for damage in self._journal.notes:
            self._log(logging.ERROR, f"the journal is damaged, the rest is delivered: {damage}")
        if any(batch.flags & m.DURABLE for batch in state.batches.values()):
            # The dead leader may have died between the write and the sync; we are about to call it accepted.
            self._journal.sync_all()
        self._broker = Broker(state, self._journal, self._cursors, terms.maxsize, terms.generation, os.getpid())
        time = now()
        known = set(self._cursors.members()) | set(state.grants) | {held.member for held in state.held.values()}
        for member in known:
            if member == self._session.member:
                continue
            if self._cursors.is_dead(member):
                self._bury(member)
            else:
                self._broker.expect(member, time)
                self._departed[member] = (time + FIRST_LOOK, FIRST_LOOK)
        self._local = self._broker.hello(self._session.hello(), role="leader")
        self._listener = Listener(self._paths.socket)
        self._selector.register(self._listener, selectors.EVENT_READ, self._on_listener)

    # Turns

    def next_timer(self) -> float:
        """When `on_timer` is due at the latest."""
        due = self._housekeeping_at
        if self._broker.deadline is not None:
            due = min(due, self._broker.deadline)
        if self._stalled or self._local_backlog:
            due = min(due, self._retry_at)
        if self._accept_at is not None:
            due = min(due, self._accept_at)
        for when, _ in self._departed.values():
            due = min(due, when)
        return due

    def on_timer(self) -> None:
        """What is due by now. Raises SteppedDown if the locked paths are gone."""
        time = now()
        if self._departed:
            self._look_for_departed(time)
        if (self._stalled or self._local_backlog) and time >= self._retry_at:
            self._retry_stalled(time)
        if self._accept_at is not None and time >= self._accept_at and self._listener is not None:
            self._accept_at = None
            self._selector.register(self._listener, selectors.EVENT_READ, self._on_listener)
        if time >= self._housekeeping_at:
            self._housekeeping_at = time + HOUSEKEEPING
            self._keep_house(time)

    def say(self, messages: list[m.Message]) -> None:
        """What this process's own session says."""
        time = now()
        for message in messages:
            self._hear_local(message, time)

    def finish(self) -> None:
        """Ends a step: decides, and sends what was decided."""
        broker = self._broker
        while True:
            time = now()
            broker.pump(time)
            answered = False
            for member, message in broker.finish_step():
                if self._local is not None and member == self._local.member:
                    self._deliver(message)
                    answered = True
                else:
                    guest = self._members.get(member)
                    if guest is not None:
                        self._send(guest, message)
            if not answered:
                return
            self.say(self._session.collect(time))

    def goodbye(self) -> None:
        """This process's own member leaves: what it holds goes to others."""
        member = self._session.member
        self._local = None
        self._broker.bye(member)
        self._cursors.remove(member)
        self.finish()

    def drop(self) -> None:
        """The end of this leader. Also in a forked child, where it ends the copy."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for guest in list(self._guests.values()):
            guest.connection.close()
        self._guests.clear()
        self._members.clear()
        self._journal.close()
        self._cursors.close()
        self._leadership.close()

    # Connections

    def _on_listener(self, mask: int) -> None:
        assert self._listener is not None
        for _ in range(64):
            try:
                connection = self._listener.accept()
            except OSError as error:
                self._log(logging.WARNING, f"cannot accept a member: {error}; trying again")
                self._selector.unregister(self._listener)
                self._accept_at = now() + RETRY_ACCEPT
                return
            if connection is None:
                return
            guest = Guest(connection)
            self._guests[connection.fileno()] = guest
            self._selector.register(
                connection.sock, guest.interest, lambda mask, guest=guest: self._on_guest(guest, mask)
            )

    def _on_guest(self, guest: Guest, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                guest.connection.flush()
            if mask & selectors.EVENT_READ:
                self._read(guest)
            self._watch(guest)
        except Closed:
            self._lose(guest)
        except WireError as error:
            pid = guest.peer.pid if guest.peer is not None else 0
            self._log(logging.ERROR, f"dropped a connection (process {pid or 'unknown'}): {error}")
            self._lose(guest)

    def _read(self, guest: Guest) -> None:
        time = now()
        connection = guest.connection
        for _ in range(READS_PER_TURN):
            seen = False
            for message in connection.receive(self._scratch, keep=False):
                seen = True
                self._hear(guest, message, time)
                if connection.sock.fileno() < 0:
                    return
            if not seen or guest.backlog:
                return

    def _watch(self, guest: Guest) -> None:
        """Reads from who can be served, and writes to whom something is kept for."""
        connection = guest.connection
        if connection.sock.fileno() < 0:
            return
        wanted = selectors.EVENT_WRITE if connection.queued else 0
        if not guest.backlog and connection.queued < QUEUE_LIMIT:
            wanted |= selectors.EVENT_READ
        wanted = wanted or selectors.EVENT_WRITE
        if guest.backlog and not connection.queued:
            wanted = 0
        if wanted == guest.interest:
            return
        if not wanted:
            self._selector.unregister(connection.sock)
        else:
            callback = lambda mask, guest=guest: self._on_guest(guest, mask)  # noqa: E731
            if guest.interest:
                self._selector.modify(connection.sock, wanted, callback)
            else:
                self._selector.register(connection.sock, wanted, callback)
        guest.interest = wanted

    def _hear(self, guest: Guest, message: m.Message, time: float) -> None:
        peer = guest.peer
        if guest.backlog:
            guest.backlog.append(_own(message))
        elif peer is None:
            self._welcome(guest, message)
        elif type(message) is m.Bye:
            self._broker.bye(peer.member)
            self._cursors.remove(peer.member)
            self._members.pop(peer.member, None)
            guest.peer = None
            self._close(guest)
        else:
            try:
                self._receive(peer, message, time)
            except NoRoom:
                guest.backlog.append(_own(message))
                self._stall(guest)

    def _receive(self, peer: Peer, message: m.Message, time: float) -> None:
        if not self._broker.understands(message):
            raise WireError(f"a member sent a {type(message).__name__} frame")
        self._broker.receive(peer, message, time)

    def _welcome(self, guest: Guest, message: m.Message) -> None:
        if type(message) is not m.Hello:
            raise WireError(f"the first frame is {type(message).__name__}, not Hello")
        assert isinstance(message, m.Hello)
        if message.version != m.VERSION:
            reason = (
                f"process {message.pid} speaks version {message.version} of the wire, the leader, process "
                f"{os.getpid()}, version {m.VERSION}: run one version of groupqueue in all processes of the group"
            )
            guest.connection.send(m.Refused(reason.encode()))
            self._close(guest)
            return
        previous = self._members.pop(message.member, None)
        if previous is not None:
            previous.peer = None
            self._close(previous)
        self._departed.pop(message.member, None)
        guest.peer = self._broker.hello(message)
        self._members[message.member] = guest

    def _send(self, guest: Guest, message: m.Message) -> None:
        try:
            guest.connection.send(message)
            if guest.connection.queued:
                self._watch(guest)
        except Closed:
            self._lose(guest)

    def _lose(self, guest: Guest) -> None:
        peer = guest.peer
        self._close(guest)
        if peer is not None and self._members.get(peer.member) is guest:
            del self._members[peer.member]
            time = now()
            self._broker.lost(peer.member, time)
            self._departed[peer.member] = (time, FIRST_LOOK)

    def _close(self, guest: Guest) -> None:
        connection = guest.connection
        fd = connection.sock.fileno()
        if fd >= 0:
            if guest.interest:
                self._selector.unregister(connection.sock)
                guest.interest = 0
            self._guests.pop(fd, None)
            connection.close()
        if guest in self._stalled:
            self._stalled.remove(guest)

    # A full disk

    def _hear_local(self, message: m.Message, time: float) -> None:
        if self._local is None:
            return
        if self._local_backlog:
            self._local_backlog.append(message)
            return
        try:
            self._broker.receive(self._local, message, time)
        except NoRoom:
            self._local_backlog.append(message)
            self._retry_at = time + RETRY_FULL

    def _stall(self, guest: Guest) -> None:
        if guest not in self._stalled:
            if not self._stalled:
                self._log(logging.WARNING, "the disk is full: puts wait until there is room again")
            self._stalled.append(guest)
        self._retry_at = now() + RETRY_FULL

    def _retry_stalled(self, time: float) -> None:
        self._retry_at = time + RETRY_FULL
        backlog = self._local_backlog
        try:
            while backlog and self._local is not None:
                self._broker.receive(self._local, backlog[0], time)
                backlog.popleft()
        except NoRoom:
            pass
        for guest in list(self._stalled):
            try:
                while guest.backlog and guest.peer is not None:
                    self._broker.receive(guest.peer, guest.backlog[0], time)
                    guest.backlog.popleft()
            except NoRoom:
                continue
            self._stalled.remove(guest)
            self._watch(guest)

    # Members that come and go

    def _look_for_departed(self, time: float) -> None:
        for member, (due, interval) in list(self._departed.items()):
            if time < due:
                continue
            if self._cursors.is_dead(member):
                del self._departed[member]
                self._bury(member)
            else:
                interval = min(2 * interval, LAST_LOOK)
                self._departed[member] = (time + interval, interval)

    def _bury(self, member: int) -> None:
        self._broker.dead(member)
        self._cursors.remove(member)

    def _keep_house(self, time: float) -> None:
        if not self._leadership.is_intact():
            raise SteppedDown(f"{self._paths.lock} or {self._paths.folder} was removed or replaced")
        self._broker.advance_all()
        self._journal.tidy()
        for member in self._cursors.members():
            if member not in self._members and member not in self._departed and member != self._session.member:
                self._departed[member] = (time, FIRST_LOOK)


def _own(message: m.Message) -> m.Message:
    """The message with memory of its own."""
    if isinstance(message, m.Items):
        return message._replace(body=(b"".join(message.body),))
    if isinstance(message, (m.Answer, m.Fail, m.Done, m.Request)):
        return message._replace(body=bytes(message.body))
    return message
