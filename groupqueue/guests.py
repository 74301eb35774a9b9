"""
The connections of a leader.

A guest is a member once it has said Hello; what it says from then on goes to the broker. While the disk has no room for
what it says, that and all it says after it is kept back, in order, and nothing more is read from it: so a full disk is
backpressure. Whether it waits to get is then seen in its file. Requires the member's lock.
"""

from __future__ import annotations

import logging
import os
import selectors
from collections import deque
from collections.abc import Callable
from math import inf

from groupqueue.core import messages as m
from groupqueue.core.broker import Broker
from groupqueue.core.peer import Peer
from groupqueue.core.ports import NoRoom
from groupqueue.core.wire import WireError
from groupqueue.departed import Departed
from groupqueue.system.deadline import now
from groupqueue.system.shortage import remedy_of
from groupqueue.system.transport import SCRATCH, Closed, Connection, Listener

RETRY_FULL = 0.05
DISK_FULL = "the disk is full: puts wait until there is room again"
RETRY_ACCEPT = 0.1
READS_PER_TURN = 8
QUEUE_LIMIT = 16 * 1024 * 1024
# An answer may have some 4 MiB, and a question thirty bytes.
QUESTIONS_PER_TURN = 16


class _Later(Exception):
    """The guest has asked enough for this turn; nothing was done of this question."""


class Guest:
    """A connection to the leader; `peer` once it has said Hello.

    `backlog`: what it said and was not heard yet, in order. `questions`: how many it has asked in this turn.
    """

    __slots__ = ("backlog", "connection", "interest", "peer", "questions")

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.peer: Peer | None = None
        self.backlog: deque[m.Message] = deque()
        self.questions = 0
        self.interest = selectors.EVENT_READ


class Guests:
    """See the module. `members` are those who said Hello; `due` is when `on_timer` is, or `inf`."""

    def __init__(
        self,
        listener: Listener,
        selector: selectors.BaseSelector,
        broker: Broker,
        departed: Departed,
        log: Callable[[int, str], None],
    ) -> None:
        self.members: dict[int, Guest] = {}
        self.due = inf
        self._listener = listener
        self._selector = selector
        self._broker = broker
        self._departed = departed
        self._log = log
        self._scratch = bytearray(SCRATCH)
        self._all: dict[int, Guest] = {}
        self._stalled: list[Guest] = []
        self._asking: list[Guest] = []
        self._retry_at = inf
        self._accept_at = inf
        self._is_short = False
        selector.register(listener, selectors.EVENT_READ, self._on_listener)

    def on_timer(self, time: float) -> None:
        if time >= self._retry_at:
            self._retry_stalled(time)
        for guest in list(self._asking):
            self._go_on(guest, time)
        if time >= self._accept_at:
            self._accept_at = inf
            self._selector.register(self._listener, selectors.EVENT_READ, self._on_listener)
        self._plan()

    def send(self, guest: Guest, message: m.Message) -> None:
        try:
            guest.connection.send(message)
            if guest.connection.queued:
                self._watch(guest)
        except Closed:
            self._give_up_writing(guest)

    def close(self) -> None:
        self._listener.close()
        for guest in list(self._all.values()):
            guest.connection.close()
        self._all.clear()
        self.members.clear()

    def _plan(self) -> None:
        self.due = min(self._retry_at, self._accept_at)
        if any(guest.connection.queued < QUEUE_LIMIT for guest in self._asking):
            self.due = 0.0

    # Reading

    def _on_listener(self, mask: int) -> None:
        for _ in range(64):
            try:
                connection = self._listener.accept()
            except OSError as error:
                if self._listener.fileno() < 0:
                    # Another thread's poll found this before the role ended.
                    return
                if remedy_of(error) and not self.members:
                    # Nobody is served, and who waits to be may lead instead.
                    raise
                if not self._is_short:
                    self._is_short = True
                    what = remedy_of(error) or "trying again"
                    self._log(logging.WARNING, f"cannot accept a member: {error}; {what}")
                self._selector.unregister(self._listener)
                self._accept_at = now() + RETRY_ACCEPT
                self._plan()
                return
            if connection is None:
                return
            self._is_short = False
            guest = Guest(connection)
            self._all[connection.fileno()] = guest
            self._selector.register(
                connection.sock, guest.interest, lambda mask, guest=guest: self._on_guest(guest, mask)
            )

    def _on_guest(self, guest: Guest, mask: int) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                self._flush(guest)
            if mask & selectors.EVENT_READ:
                self._read(guest)
            self._watch(guest)
        except Closed:
            self._lose(guest)
        except WireError as error:
            self._refuse(guest, error)

    def _flush(self, guest: Guest) -> None:
        try:
            guest.connection.flush()
        except Closed:
            self._give_up_writing(guest)
        if guest in self._asking:
            self._plan()

    def _give_up_writing(self, guest: Guest) -> None:
        """What it said before is heard all the same. It is told that this is the end, and so reading comes to one."""
        if guest.backlog:
            self._lose(guest)
            return
        guest.connection.end_sending()
        self._watch(guest)

    def _read(self, guest: Guest) -> None:
        time = now()
        connection = guest.connection
        guest.questions = 0
        for _ in range(READS_PER_TURN):
            seen = False
            for message in connection.receive(self._scratch, keep=False):
                seen = True
                self._hear(guest, message, time)
                if connection.sock.fileno() < 0:
                    return
            if not seen or guest.backlog or connection.is_drained:
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

    # Hearing

    def _hear(self, guest: Guest, message: m.Message, time: float) -> None:
        peer = guest.peer
        if guest.backlog:
            guest.backlog.append(_own(message))
        elif peer is None:
            self._welcome(guest, message)
        else:
            try:
                self._receive(guest, peer, message, time)
            except NoRoom:
                guest.backlog.append(_own(message))
                self._stall(guest)
            except _Later:
                guest.backlog.append(_own(message))
                self._asking.append(guest)
                self._plan()

    def _receive(self, guest: Guest, peer: Peer, message: m.Message, time: float) -> None:
        if type(message) is m.Bye:
            self._departed.part(peer.member)
            self.members.pop(peer.member, None)
            guest.peer = None
            self._close(guest)
        elif self._broker.understands(message):
            if type(message) is m.Request:
                if guest.questions >= QUESTIONS_PER_TURN:
                    raise _Later
                guest.questions += 1
            self._broker.receive(peer, message, time)
        else:
            raise WireError(f"a member sent a {type(message).__name__} frame")

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
        previous = self.members.pop(message.member, None)
        if previous is not None:
            previous.peer = None
            self._close(previous)
        self._departed.discard(message.member)
        guest.peer = self._broker.hello(message)
        self.members[message.member] = guest

    def _stall(self, guest: Guest) -> None:
        if guest not in self._stalled:
            if not self._stalled:
                self._log(logging.WARNING, DISK_FULL)
            self._stalled.append(guest)
        self._retry_at = now() + RETRY_FULL
        self._plan()

    def _retry_stalled(self, time: float) -> None:
        for guest in list(self._stalled):
            try:
                self._catch_up(guest, time)
            except NoRoom:
                if guest.peer is not None:
                    self._broker.look_after(guest.peer, time)
                continue
            except _Later:
                self._asking.append(guest)
            if guest in self._stalled:
                self._stalled.remove(guest)
                self._watch(guest)
        self._retry_at = time + RETRY_FULL if self._stalled else inf

    def _go_on(self, guest: Guest, time: float) -> None:
        """Hears what a guest said behind many questions, as far as it reads the answers."""
        if guest.connection.queued >= QUEUE_LIMIT:
            return
        try:
            self._catch_up(guest, time)
        except _Later:
            return
        except NoRoom:
            self._stall(guest)
        if guest in self._asking:
            self._asking.remove(guest)
            self._watch(guest)

    def _catch_up(self, guest: Guest, time: float) -> None:
        """Hears what waits, in order. Raises NoRoom or _Later before what has to wait on."""
        guest.questions = 0
        try:
            while guest.backlog and guest.peer is not None:
                self._receive(guest, guest.peer, guest.backlog[0], time)
                guest.backlog.popleft()
        except WireError as error:
            self._refuse(guest, error)

    # Ends

    def _refuse(self, guest: Guest, error: WireError) -> None:
        pid = guest.peer.pid if guest.peer is not None else 0
        self._log(logging.ERROR, f"dropped a connection (process {pid or 'unknown'}): {error}")
        self._lose(guest)

    def _lose(self, guest: Guest) -> None:
        peer = guest.peer
        self._close(guest)
        if peer is not None and self.members.get(peer.member) is guest:
            del self.members[peer.member]
            time = now()
            self._broker.lost(peer.member, time)
            self._departed.add(peer.member, time)

    def _close(self, guest: Guest) -> None:
        connection = guest.connection
        fd = connection.sock.fileno()
        if fd >= 0:
            if guest.interest:
                self._selector.unregister(connection.sock)
                guest.interest = 0
            self._all.pop(fd, None)
            connection.close()
        for waiting in (self._stalled, self._asking):
            if guest in waiting:
                waiting.remove(guest)


def _own(message: m.Message) -> m.Message:
    """The message with memory of its own."""
    if isinstance(message, m.Items):
        return message._replace(body=(b"".join(message.body),))
    if isinstance(message, (m.Answer, m.Fail, m.Done, m.Request)):
        return message._replace(body=bytes(message.body))
    return message
