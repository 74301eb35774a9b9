"""
Bad guests of a living leader: whatever comes through its socket, the other members notice nothing, its memory stays
bounded, and it never unpickles.
"""

from __future__ import annotations

import json
import os
import pickle
import random
import socket
import struct
import time
from pathlib import Path
from zlib import crc32

import pytest

from groupqueue.core import messages as m
from groupqueue.core.wire import HEADER, encode
from tests.helpers import disk_usage, eventually, linux_only, open_leader, open_member, root_only, run_script

MIB = 1 << 20


class Guests:
    """Connections to the leader, closed at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.open: list[socket.socket] = []

    def connect(self, hello: bool = False) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(10)
        sock.connect(str(self.path))
        self.open.append(sock)
        if hello:
            member = random.getrandbits(63)
            send(sock, m.Hello(m.VERSION, member, os.getpid(), 0, 0, b'{"mode": "dual"}'))
            assert sock.recv(1 << 16)
        return sock


@pytest.fixture
def guests(directory, group):
    guests = Guests(Path(directory, group, "socket"))
    yield guests
    for sock in guests.open:
        sock.close()


def send(sock, *messages):
    sock.sendall(b"".join(b"".join(encode(message)) for message in messages))


def is_dropped(sock):
    """Whether the leader hangs up; what it still says is passed over."""
    try:
        while sock.recv(1 << 16):
            pass
    except ConnectionError:
        pass
    return True


def resident(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


class Group:
    """A leader and a member that put and get, in processes of their own."""

    def __init__(self, group):
        self.leader = open_leader(group)
        self.member = open_member(group, mode="client")
        self.epoch = self.leader.do("q.stats().epoch")
        self.count = 0

    def goes_on(self):
        """Both are served, in good time, by the same leader as ever."""
        for _ in range(3):
            self.count += 1
            began = time.monotonic()
            self.member.do(f"q.put({self.count}); q.flush(10)")
            assert self.member.do("q.get(timeout=10)") == self.count
            assert time.monotonic() - began < 2
        assert self.leader.do("(q.is_leader, q.stats().epoch)") == (True, self.epoch)
        assert "crashed" not in self.leader.stderr


@pytest.fixture
def served(group):
    return Group(group)


def test_random_bytes_and_half_frames_disturb_nobody(served, guests):
    chosen = random.Random(5)
    whole = b"".join(encode(m.Hello(m.VERSION, 5, 1, 0, 0, b"{}")))
    for round_ in range(60):
        sock = guests.connect(hello=round_ % 3 == 0)
        data = chosen.randbytes(chosen.randint(1, 2000)) if round_ % 2 else whole[: chosen.randrange(len(whole))]
        sock.sendall(data)
        if round_ % 4 == 0:
            sock.close()
        if round_ % 10 == 0:
            served.goes_on()
    served.goes_on()


@pytest.mark.parametrize("kind", [1, 6, 19, 25])
@linux_only
def test_a_frame_that_says_it_is_huge_takes_no_more_than_what_came_of_it(served, guests, kind):
    before = resident(served.leader.pid)
    socks = [guests.connect(hello=True) for _ in range(20)]
    for sock in socks:
        sock.sendall(HEADER.pack(kind, 0, 5, 0, 1 << 33) + bytes(40) + bytes(100_000))
    served.goes_on()
    assert resident(served.leader.pid) - before < 40 * MIB
    beyond = guests.connect()
    beyond.sendall(HEADER.pack(kind, 0, 5, 0, (1 << 33) + 1))
    assert is_dropped(beyond)


@linux_only
def test_five_hundred_idle_connections_disturb_nobody(served, guests):
    before = resident(served.leader.pid)
    for index in range(500):
        guests.connect(hello=index % 2 == 0)
    served.goes_on()
    assert served.leader.do("len(q.stats().members)") == 2 + 250
    assert resident(served.leader.pid) - before < 50 * MIB
    for sock in guests.open:
        sock.close()
    eventually(lambda: served.leader.do("len(q.stats().members)") == 2)
    served.goes_on()


@linux_only
def test_who_asks_and_never_reads_gets_no_more_than_the_queue_holds(served, guests):
    served.leader.do("[q.put(bytes(1 << 20)) for _ in range(8)]; q.flush(10)")
    before = resident(served.leader.pid)
    sock = guests.connect(hello=True)
    sock.settimeout(0.5)
    ask = b"".join(b"".join(encode(m.Request(n, b'{"do": "peek", "n": 9}'))) for n in range(1, 3000))
    with pytest.raises(TimeoutError):
        sock.sendall(100 * ask)
    for _ in range(3):
        served.member.do("q.stats(); len(q.get(timeout=10))")
    assert resident(served.leader.pid) - before < 200 * MIB
    sock.close()
    served.leader.do("q.clear()")
    served.goes_on()


@pytest.mark.parametrize(
    "message",
    [
        m.Request(1, b'{"do": ' + b"[" * 9000 + b"]" * 9000 + b"}"),
        m.Items(2**64 - 2, 2, 0, 3, 0, (struct.pack("<2I", 0, 0),)),
        m.Hello(m.VERSION, 1, 1, 0, 0, b"{}"),
        m.Welcome(m.VERSION, 1, 1, 0, 0, 0),
        m.Bye(),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_makes_no_sense_ends_that_connection_alone(served, guests, message):
    sock = guests.connect(hello=True)
    send(sock, message)
    assert is_dropped(sock)
    served.goes_on()


@root_only
def test_another_user_is_not_listened_to(served, guests, directory, group):
    """Not even where somebody has opened the folders and the socket to all."""
    for path in (directory, Path(directory, group), guests.path):
        os.chmod(path, 0o777)
    stranger = run_script(
        """
        # is another user
        import os, socket, sys
        from groupqueue.core import messages as m
        from groupqueue.core.wire import encode
        frame = b"".join(encode(m.Hello(m.VERSION, 5, 1, 0, 0, b"{}")))
        os.setgid(65534), os.setuid(65534)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(10)
        sock.connect(sys.argv[1])
        try:
            sock.sendall(frame)
            heard = sock.recv(100)
        except ConnectionError:
            heard = b""
        say("heard", len(heard))
        """,
        guests.path,
    )
    assert stranger.expect("heard") == "0"
    for path in (directory, Path(directory, group)):
        os.chmod(path, 0o700)
    assert served.leader.do("len(q.stats().members)") == 2
    served.goes_on()


# Pickles


class Bomb:
    """Says, when it is unpickled, by whom."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return exec, (f"import os\nwith open({self.path!r}, 'a') as file: file.write(f'{{os.getpid()}} ')",)


def test_the_leader_never_unpickles(served, guests, directory, group):
    """An item, a reply, and the answers to questions go through it as bytes; also where the next one recovers."""
    path = os.path.join(directory, "unpickled")
    bomb = pickle.dumps(Bomb(path))
    Path(path).touch()
    size = struct.pack("<I", len(bomb))
    body = size + bomb
    producer = guests.connect(hello=True)
    send(producer, m.Items(1, 1, m.WANTS_REPLY, 3, crc32(body), (body,)), m.Items(2, 1, 0, 3, crc32(body), (body,)))
    for number, do in enumerate(("peek", "stats", "failed", "count"), 1):
        send(producer, m.Request(number, json.dumps({"do": do, "n": 5}).encode()))
    eventually(lambda: served.leader.do("q.qsize()") == 2)
    member = open_member(group, mode="client")
    member.do("message = q.get_message(timeout=10)")
    member.do(f"""
        class Bomb:
            def __reduce__(self):
                return exec, ("import os; open({path!r}, 'a').write('replied ')",)
        message.reply(Bomb())
    """)
    member.do("other = q.get_message(timeout=10); other.fail(ValueError('so'))")
    eventually(lambda: served.member.do("q.stats().failed") == 1)
    send(producer, m.Request(9, b'{"do": "failed"}'), m.Request(10, b'{"do": "requeue_failed"}'))
    eventually(lambda: served.leader.do("q.qsize()") == 1)
    heir = open_member(group)
    served.leader.kill()
    eventually(lambda: heir.do("q.is_leader"))
    eventually(lambda: heir.do("q.stats().ready") == 1)
    unpickled = set(Path(path).read_text().split())
    assert unpickled == {str(member.pid)}
    assert str(served.leader.pid) not in unpickled


@pytest.mark.parametrize(
    "nonsense",
    [
        m.Placed(1, 1, 0, 3, 0, 17, 64, 100),
        m.Placed(1, 0, 0, 3, 0, 0, 0, 0),
        m.Placed(1 << 63, 1 << 63, 0, 3, 1 << 63, 1 << 63, 1 << 63, 1 << 63),
        m.Repaid(17),
        m.Repaid(2**64 - 1),
        m.Loan(17, 4096),
    ],
    ids=str,
)
def test_who_places_what_is_not_there_is_dropped(group, guests, nonsense):
    served = Group(group)
    sock = guests.connect(hello=True)
    send(sock, nonsense)
    assert is_dropped(sock)
    served.goes_on()


@pytest.mark.parametrize("check", [m.NO_CHECK, 2**64 - 1])
def test_who_sends_a_batch_without_a_check_leaves_that_to_the_leader(group, guests, check):
    leader = open_leader(group)
    payload = pickle.dumps("good")
    body = struct.pack("<I", len(payload)) + payload
    send(guests.connect(hello=True), m.Items(1, 1, 0, 3, check, (body,)))
    eventually(lambda: leader.do("q.qsize()") == 1)
    leader.kill()
    assert open_member(group).do("q.get(timeout=5)") == "good"


def test_who_asks_for_more_loans_than_there_are_gets_a_few(directory, group, guests):
    served = Group(group)
    sock = guests.connect(hello=True)
    send(sock, *[m.Borrow(size) for size in (0, 1 << 40, 2**64 - 1, *[1000] * 50)])
    served.goes_on()
    assert disk_usage(directory) < 16 * MIB
