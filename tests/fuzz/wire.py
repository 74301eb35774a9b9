"""
The bytes of a bad guest, at the decoder and at the leader.

The decoder must give the same messages however the stream is cut, and raise nothing but WireError. What it lets
through a broker hears from a member that has connected, with a member file that says what it likes. An honest member
is there too: its items come out in order and unaltered, each once; and when the guest is gone everything goes on, also
with the next leader.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any
from unittest import mock
from zlib import crc32

from groupqueue.core import messages as m
from groupqueue.core import wire
from groupqueue.core.broker import Broker
from groupqueue.core.inbox import RING, TAKEN
from groupqueue.core.wire import HEADER, FrameReader, WireError, encode
from tests.core.fakes import LEADER_PID, FakeMember, Group, check, picture
from tests.formats.test_wire import MESSAGES, plain

LIMIT = 1 << 16
GUEST = 66
SHUTDOWN_AT_ONCE = 2


def check_wire(data: bytes) -> None:
    """The target: AssertionError, or whatever is raised, is a finding."""
    messages, error = read(data)
    pieces = cuts(data)
    # Long frames are read to their place: here some of these are long.
    with mock.patch.object(wire, "_LONG", 200):
        cut = read(*pieces)
    assert cut == (messages, error), f"cut into {[len(piece) for piece in pieces]} it reads differently"
    for message in messages:
        again, error = read(b"".join(encode(message)))
        assert (again, error) == ([message], ""), "what was decoded cannot be said again"
    Scene(is_slow=len(data) % 2 == 1).play(messages)


def read(*pieces: bytes) -> tuple[list[Any], str]:
    """The messages, and the error that ends them."""
    reader = FrameReader(LIMIT)
    messages = []
    try:
        for piece in pieces:
            for message in receive(reader, memoryview(piece)):
                messages.append(plain(message))  # noqa: PERF401  # those before an error count
    except WireError:
        return messages, "refused"
    assert reader.pending <= LIMIT + HEADER.size + 8 * 0xFFFF
    return messages, ""


def receive(reader: FrameReader, data: memoryview) -> Iterator[m.Message]:
    """As a connection does: one read at a time, to where the reader has room for it."""
    while data:
        room = reader.room
        if room is None:
            yield from reader.feed(data)
            return
        count = min(len(room), len(data))
        room[:count] = data[:count]
        room.release()
        yield from reader.filled(count)
        data = data[count:]


def cuts(data: bytes) -> list[bytes]:
    """The stream as a socket might bring it, in pieces that depend on nothing but the bytes."""
    state = crc32(data) | 1
    pieces = []
    start = 0
    while start < len(data):
        state = state * 1103515245 + 12345 & 0x7FFFFFFF
        length = 1 + (state >> 8) % (7 if state & 0x10 else 90)
        pieces.append(data[start : start + length])
        start += length
    return pieces


class Scene:
    """A leader, an honest producer, an honest consumer, and the guest.

    `is_slow`: time passes, and a guest that does not answer loses its lanes; order then yields to progress.
    """

    def __init__(self, is_slow: bool) -> None:
        self.is_slow = is_slow
        self.group = Group()
        self.producer = self.group.member()
        self.consumer = self.group.member()
        self.guest = FakeMember(self.group, GUEST)
        self.group.members[GUEST] = self.guest
        self.got: list[bytes] = []
        self.were_held: set[int] = set()
        self.put = 0

    def play(self, messages: list[m.Message]) -> None:
        self.put_honestly(3)
        self.guest.peer = self.broker.hello(m.Hello(m.VERSION, GUEST, 1, 0, 0, b"{}"))
        for index, message in enumerate(messages):
            try:
                self.hear(message)
            except WireError:
                break
            self.step()
            if index % 8 == 5:
                self.group.now += 0.3 if self.is_slow else 0.0
                self.get_honestly(1)
        self.end()

    @property
    def broker(self) -> Broker:
        return self.group.broker

    def hear(self, message: m.Message) -> None:
        """As Guests does."""
        if isinstance(message, m.Hello):
            self.guest.peer = self.broker.hello(message._replace(member=GUEST))
            return
        if isinstance(message, m.Bye) or not self.broker.understands(message):
            raise WireError
        if isinstance(message, (m.Items, m.Answer)):
            body = message.body if isinstance(message, m.Answer) else b"".join(message.body)
            # Its own record it may spoil; that is for the journal to find.
            message = message._replace(check=crc32(body))
        if isinstance(message, m.Taken):
            words = self.guest.file.words
            words[TAKEN] = message.position
            for position in range(message.position % 7, RING, 7):
                self.guest.file.ring[position] = message.position & 1
        self.broker.receive(self.guest.peer, message, self.group.now)

    def step(self) -> None:
        self.broker.pump(self.group.now)
        for member, message in self.broker.finish_step():
            assert b"".join(encode(message))
            if member != GUEST:
                self.group.members[member].hear(message)
        for held in self.group.state.held.values():
            if held.batch.producer == self.producer.member:
                self.were_held.add(held.batch.first_seq - 1)

    # The others

    def put_honestly(self, count: int) -> None:
        for _ in range(count):
            batch = self.producer.batch(b"honest %d" % self.put)
            self.broker.receive(self.producer.peer, batch, self.group.now)
            self.put += 1
            self.step()

    def get_honestly(self, count: int) -> None:
        for _ in range(count):
            if not self.consumer.granted:
                self.broker.receive(self.consumer.peer, m.Want(1, 0, 0), self.group.now)
                self.step()
            if not self.consumer.granted:
                return
            payload = self.consumer.take().payload
            if payload.startswith(b"honest "):
                self.got.append(payload)

    def end(self) -> None:
        """The guest is gone, and so is the leader: the next one has what is left, and all goes on."""
        for message in (m.Want(0, 0, 0), m.WantCredit(0, 0)):
            self.broker.receive(self.guest.peer, message, self.group.now)
        self.broker.lost(GUEST, self.group.now)
        self.step()
        self.broker.dead(GUEST)
        del self.group.cursors.files[GUEST]
        self.step()
        check(self.group.state)
        before = picture(self.group.state)
        group = self.group
        state = group.journal.recover()
        check(state)
        assert picture(state) | {"totals": 0} == before | {"totals": 0}
        group.journal.begin()
        group.broker = Broker(state, group.journal, group.cursors, 0, group.generation, LEADER_PID)
        for member in (self.producer, self.consumer):
            member.returns = 0
            about = json.dumps({"mode": "dual", "credit": 0, "last_seq": member.outbox.last_seq}).encode()
            taken = member.file.words[TAKEN]
            hello = m.Hello(m.VERSION, member.member, 1, member.received, taken, about)
            member.peer = group.broker.hello(hello)
            self.step()
        for member in (self.producer, self.consumer):
            if state.shutdown:
                self.broker.receive(member.peer, m.Sealed(), group.now)
        if state.shutdown != SHUTDOWN_AT_ONCE:
            self.put_honestly(1)
            self.get_honestly(10_000)
            assert self.got[-1:] == [b"honest %d" % (self.put - 1)], "an item that was put after all that did not come"
        numbers = [int(payload.split()[1]) for payload in self.got]
        assert len(set(numbers)) == len(numbers), f"an honest member's items came as {numbers}"
        # What was held and comes back is at its place again, and others have gone ahead by then.
        in_order = [number for number in numbers if number not in self.were_held]
        assert self.is_slow or in_order == sorted(in_order), f"an honest member's items came as {numbers}"


def seeds() -> dict[str, bytes]:
    """Every message, and some conversations."""
    found = {f"message-{type(message).__name__}": b"".join(encode(message)) for message in MESSAGES}
    spoken = [message for message in MESSAGES if not isinstance(message, (m.Hello, m.Bye, m.Grant))]
    found["all"] = b"".join(b"".join(encode(message)) for message in spoken)
    body = b"\1\0\0\0\2\0\0\0abc"
    puts = m.Items(1, 2, m.WANTS_REPLY, 3, crc32(body), (body,))
    ask = [m.Request(number, json.dumps({"do": do}).encode()) for number, do in enumerate(DEEDS, 1)]
    for name, talk in {
        "puts": [puts, puts._replace(first_seq=3), m.Heard(1), m.Withdraw(2), m.Withdraw(9)],
        "takes": [m.Want(1, 0, 0), m.Taken(1), m.Want(2, 0, 100), m.Taken(2), m.Return(2), m.Want(1, 7, 9)],
        "holds": [
            puts, m.Want(9, 0, 0), m.Taken(7), m.Requeue(1, 1, 1), m.Fail(2, 2, 1, b"so"),
            m.Answer(3, 3, 1, 0, 1, 0, b"v"), m.Answer(4, 4, 1, 0, 0, 0, b"v"),
            m.Done(5, struct.pack("<4Q", 4, 1, 5, 1)),
        ],
        "asks": ask,
        "asks-of-much": [puts, m.Want(3, 0, 0), *ask],
        "shuts": [m.Request(1, b'{"do":"shutdown"}'), m.Sealed(), m.Want(1, 1, 0), puts],
        "credit": [m.WantCredit(3, 1), m.ReturnCredit(2), m.WantCredit(0, 0)],
        "again": [m.Want(3, 0, 0), m.Hello(m.VERSION, 66, 1, 2, 1, b'{"credit": 5, "last_seq": 9}'), m.Taken(1)],
    }.items():  # fmt: skip
        found[f"talk-{name}"] = b"".join(b"".join(encode(message)) for message in talk)
    return found


DEEDS = ("count", "stats", "peek", "failed", "requeue_failed", "clear", "join", "what")
