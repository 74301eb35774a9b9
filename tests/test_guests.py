"""A leader's connections, with a real socket to each and fakes for those who decide."""

from __future__ import annotations

import errno
import os
import select
import selectors
import socket
import struct
from collections.abc import Iterator
from typing import Any
from zlib import crc32

import pytest

from groupqueue.core import messages as m
from groupqueue.core.peer import Peer
from groupqueue.core.ports import NoRoom
from groupqueue.guests import QUESTIONS_PER_TURN, QUEUE_LIMIT, Guests
from groupqueue.system.deadline import now
from groupqueue.system.transport import Closed, Connection, Listener, connect


class FakeBroker:
    """Takes everything but Welcome; while `full`, no items."""

    def __init__(self) -> None:
        self.full = False
        self.heard: list[m.Message] = []
        self.gone: list[int] = []
        self.looked_after: list[int] = []

    def hello(self, hello: m.Hello) -> Peer:
        return Peer(hello.member, hello.pid, "dual", "follower")

    def understands(self, message: m.Message) -> bool:
        return not isinstance(message, m.Welcome)

    def look_after(self, peer: Peer, time: float) -> None:
        self.looked_after.append(peer.member)

    def receive(self, peer: Peer, message: m.Message, time: float) -> None:
        if self.full and isinstance(message, m.Items):
            raise NoRoom
        self.heard.append(message)

    def lost(self, member: int, time: float) -> None:
        self.gone.append(member)


class FakeDeparted:
    """Notes who said goodbye."""

    def __init__(self) -> None:
        self.parted: list[int] = []

    def part(self, member: int) -> None:
        self.parted.append(member)

    def add(self, member: int, due: float) -> None:
        pass

    def discard(self, member: int) -> None:
        pass


class House:
    """The guests of a leader, and what becomes of what they say."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.broker: Any = FakeBroker()
        self.departed: Any = FakeDeparted()
        self.logged: list[str] = []
        self.selector = selectors.DefaultSelector()
        self.guests = Guests(Listener(path), self.selector, self.broker, self.departed, self.log)
        self._connections: list[Connection] = []

    def log(self, level: int, text: str) -> None:
        self.logged.append(text)

    def guest(self, member: int = 7) -> Connection:
        connection = connect(self.path)
        assert connection is not None
        self._connections.append(connection)
        connection.send(m.Hello(m.VERSION, member, os.getpid(), 0, 0, b"{}"))
        self.turn()
        return connection

    def turn(self) -> None:
        """Reads what there is, until there is nothing."""
        while events := self.selector.select(0):
            for key, mask in events:
                key.data(mask)

    def close(self) -> None:
        for connection in self._connections:
            connection.close()
        self.guests.close()
        self.selector.close()


@pytest.fixture
def house(directory: str) -> Iterator[House]:
    house = House(os.path.join(directory, "socket"))
    yield house
    house.close()


def items(seq: int) -> m.Items:
    body = struct.pack("<I", 1) + b"x"
    return m.Items(seq, 1, 0, 3, crc32(body), (body,))


def test_what_there_is_no_room_for_waits_in_order_and_so_does_all_after_it(house: House) -> None:
    guest = house.guest()
    house.broker.full = True
    for message in (items(1), m.Heard(5), items(2)):
        guest.send(message)
    house.turn()
    assert house.broker.heard == []
    assert house.logged == ["the disk is full: puts wait until there is room again"]
    house.guests.on_timer(now() + 1)
    assert house.broker.heard == []
    assert house.broker.looked_after == [7]
    house.broker.full = False
    assert house.guests.due < now() + 2
    house.guests.on_timer(now() + 2)
    assert [type(message) for message in house.broker.heard] == [m.Items, m.Heard, m.Items]
    guest.send(m.Heard(6))
    house.turn()
    assert house.broker.heard[-1] == m.Heard(6)


def test_a_goodbye_that_had_to_wait_is_one(house: House) -> None:
    guest = house.guest()
    house.broker.full = True
    guest.send(items(1))
    guest.send(m.Bye())
    house.turn()
    assert house.departed.parted == []
    house.broker.full = False
    house.guests.on_timer(now() + 1)
    assert len(house.broker.heard) == 1
    assert house.departed.parted == [7]
    assert house.guests.members == {}


def test_nonsense_that_had_to_wait_ends_its_connection_and_no_other(house: House) -> None:
    guest, other = house.guest(7), house.guest(8)
    house.broker.full = True
    guest.send(items(1))
    guest.send(m.Welcome(m.VERSION, 1, 1, 0, 0, 0))
    other.send(items(1))
    house.turn()
    house.broker.full = False
    house.guests.on_timer(now() + 1)
    assert house.broker.gone == [7]
    assert list(house.guests.members) == [8]
    assert house.logged[-1].endswith("a member sent a Welcome frame")
    assert len(house.broker.heard) == 2


def test_who_hangs_up_is_lost(house: House) -> None:
    guest = house.guest()
    guest.sock.shutdown(socket.SHUT_RDWR)
    house.turn()
    assert house.broker.gone == [7]
    assert house.guests.members == {}


def test_what_somebody_said_who_is_gone_is_heard_though_nothing_can_be_sent_to_it(house: House) -> None:
    guest = house.guest()
    for number in range(1, 101):
        guest.send(m.Heard(number))
    guest.close()
    for _ in range(3):
        house.guests.send(house.guests.members[7], m.Result(1, b"answer"))
    assert house.broker.gone == []
    house.turn()
    assert house.broker.heard == [m.Heard(number) for number in range(1, 101)]
    assert house.broker.gone == [7]
    assert house.guests.members == {}


def test_who_is_there_and_cannot_be_sent_to_comes_to_the_end_of_the_file(house: House) -> None:
    guest = house.guest()
    served = house.guests.members[7]
    sock = served.connection.sock

    class Broken:
        """A socket on which sending fails, though the other end is there."""

        def sendmsg(self, *args: Any) -> int:
            raise OSError("no buffer space")

        def __getattr__(self, name: str) -> Any:
            return getattr(sock, name)

    served.connection.sock = Broken()  # type: ignore[assignment]
    guest.send(m.Heard(1))
    house.guests.send(served, m.Result(1, b"answer"))
    heard: list[m.Message] = []

    def read_to_the_end() -> None:
        while select.select([guest.sock], [], [], 10)[0]:
            heard.extend(guest.receive(bytearray(4096), keep=True))

    with pytest.raises(Closed):
        read_to_the_end()
    assert heard == []
    house.turn()
    assert house.broker.heard == [m.Heard(1)]
    guest.close()
    house.turn()
    assert house.broker.gone == [7]


def test_what_somebody_said_for_whom_too_much_was_kept_is_heard_once_it_is_gone(house: House) -> None:
    guest = house.guest()
    served = house.guests.members[7]
    while served.connection.queued < QUEUE_LIMIT:
        house.guests.send(served, m.Result(1, bytes(4 << 20)))
    house.turn()
    guest.send(m.Heard(5))
    house.turn()
    assert house.broker.heard == []
    guest.close()
    house.turn()
    assert house.broker.heard == [m.Heard(5)]
    assert house.broker.gone == [7]


# Those who ask more than they read


def test_many_questions_are_heard_a_few_in_a_turn_and_in_order(house: House) -> None:
    guest, other = house.guest(7), house.guest(8)
    for ticket in range(1, 101):
        guest.send(m.Request(ticket, b'{"do": "peek"}'))
    guest.send(m.Heard(5))
    guest.send(m.Bye())
    house.turn()
    assert len(house.broker.heard) == QUESTIONS_PER_TURN
    other.send(m.Heard(6))
    house.turn()
    assert house.broker.heard[-1] == m.Heard(6)
    turns = 0
    while house.guests.due <= now():
        house.guests.on_timer(now())
        turns += 1
    asked = [message.ticket for message in house.broker.heard if isinstance(message, m.Request)]
    assert asked == list(range(1, 101))
    assert turns == 100 // QUESTIONS_PER_TURN
    assert house.broker.heard[-1] == m.Heard(5)
    assert house.departed.parted == [7]


def test_who_does_not_read_the_answers_is_asked_for_no_more_questions(house: House) -> None:
    guest = house.guest()
    page = m.Result(1, bytes(4 << 20))
    for ticket in range(1, 1001):
        guest.send(m.Request(ticket, b'{"do": "peek"}'))
    answered = 0
    served = house.guests.members[7]
    for _ in range(50):
        house.turn()
        house.guests.on_timer(now())
        for _ in range(len(house.broker.heard) - answered):
            house.guests.send(served, page)
        answered = len(house.broker.heard)
    assert served.connection.queued < QUEUE_LIMIT + 2 * QUESTIONS_PER_TURN * len(page.body)
    assert house.guests.due > now(), "the leader does not turn in vain"
    guest.sock.shutdown(socket.SHUT_RDWR)
    house.turn()
    assert house.broker.gone == [7]
    assert house.guests.due > now()


# Without a descriptor


class Short:
    """A listener that can accept nobody, as it is where descriptors have run out."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch) -> None:
        self._patch = monkeypatch
        self._listener = house.guests._listener

    def __enter__(self) -> None:
        def accept() -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

        self._patch.setattr(self._listener, "accept", accept)

    def __exit__(self, *exc_info: object) -> None:
        self._patch.undo()


def test_who_can_accept_nobody_goes_on_for_its_guests_and_says_so_once(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = house.guest()
    with Short(house, monkeypatch):
        house.guest(8)
        for later in range(1, 4):
            house.guests.on_timer(now() + later)
            house.turn()
        guest.send(m.Heard(5))
        house.turn()
        assert house.broker.heard == [m.Heard(5)]
        (said,) = house.logged
        assert "cannot accept a member" in said
        assert "ulimit -n" in said
    house.guests.on_timer(now() + 5)
    house.turn()
    assert sorted(house.guests.members) == [7, 8]


def test_who_can_accept_nobody_and_has_no_guests_lets_go(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with Short(house, monkeypatch), pytest.raises(OSError, match="Too many open files"):
        house.guest()


def test_what_was_seen_of_a_listener_that_is_closed_by_now_is_nothing(house: House) -> None:
    """As after a poll in one thread, while another ends the role."""
    house.guests.close()
    house.guests._on_listener(selectors.EVENT_READ)
    assert house.logged == []
