"""Frames over a socket, between processes of one user."""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from groupqueue.core import messages as m
from groupqueue.core.wire import WireError, encode
from groupqueue.system import transport
from groupqueue.system.transport import Closed, Connection, Listener, connect, peer_uid
from tests.helpers import ROOT
from tests.system.children import Child


class Pair:
    """Two connected ends. The near one's buffer is small."""

    def __init__(self) -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        near.setblocking(False)
        far.setblocking(False)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.near = Connection(near)
        self.far = Connection(far)

    def read(self, size: int = 256 * 1024) -> list[Any]:
        """What one read of the far end brings, as values."""
        return [plain(message) for message in self.far.receive(bytearray(size), keep=True)]


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.near.close()
    pair.far.close()


def plain(message: Any) -> Any:
    return message._replace(body=bytes(message.body)) if "body" in message._fields else message


def fail(size: int) -> m.Fail:
    return m.Fail(1, 2, 3, bytes(range(256)) * (size // 256))


# Connections


def test_what_is_sent_arrives(pair: Pair) -> None:
    pair.near.send(m.Ack(1))
    pair.near.send(m.Bye())
    assert pair.near.queued == 0
    assert pair.read() == [m.Ack(1), m.Bye()]
    assert pair.read() == []


def test_what_the_socket_does_not_take_is_kept_and_sent_later(pair: Pair) -> None:
    message = fail(1 << 20)
    length = sum(map(len, encode(message)))
    pair.near.send(message)
    assert 0 < pair.near.queued < length
    got = []
    while not got:
        pair.near.flush()
        got = pair.read(8192)
    assert got == [message]
    assert pair.near.queued == 0
    assert pair.near.flush()


def test_what_comes_behind_what_is_kept_waits_its_turn(pair: Pair) -> None:
    messages = [fail(200 * 1024), m.Ack(1), fail(300 * 1024), m.Ack(2), m.Bye()]
    for message in messages:
        pair.near.send(message)
    got: list[Any] = []
    flushed = False
    while len(got) < len(messages):
        flushed = pair.near.flush()
        got += pair.read(5000)
    assert got == messages
    assert flushed
    assert pair.near.queued == 0


def test_what_is_kept_is_counted_to_the_byte(pair: Pair) -> None:
    message = fail(256 * 1024)
    total = sum(map(len, encode(message)))
    pair.near.send(message)
    received = 0
    while pair.near.queued:
        received += len(pair.far.sock.recv(1 << 20))
        pair.near.flush()
        assert pair.near.queued <= total - received
    received += len(pair.far.sock.recv(1 << 20))
    assert received == total


def test_a_frame_of_more_parts_than_the_system_takes_at_once_is_sent(pair: Pair) -> None:
    entry = m.Entry(1, 1, 0, 1, 7, struct.pack("<I", 3), b"abc")
    grant = m.Grant(0, 0, [entry._replace(first_id=number) for number in range(1000)])
    assert len(encode(grant)) > 1024
    pair.near.send(grant)
    got: list[Any] = []
    while not got:
        pair.near.flush()
        got = pair.read()
    assert [bytes(entry.payload) for entry in got[0].entries] == [b"abc"] * 1000


def test_many_kept_parts_are_flushed(pair: Pair) -> None:
    while not pair.near.queued:
        pair.near.send(fail(64 * 1024))
    for number in range(2000):
        pair.near.send(m.Ack(number))
    got: list[Any] = []
    while m.Ack(1999) not in got:
        pair.near.flush()
        got += pair.read()
    assert [message for message in got if isinstance(message, m.Ack)] == [m.Ack(number) for number in range(2000)]


def test_a_frame_may_come_in_pieces(pair: Pair) -> None:
    data = b"".join(encode(fail(1024))) + b"".join(encode(m.Ack(5)))
    for at in range(0, len(data), 100):
        pair.far.sock.send(data[at : at + 100])
        messages = list(pair.near.receive(bytearray(64), keep=True))
        while True:
            more = list(pair.near.receive(bytearray(64), keep=True))
            if not more and not select.select([pair.near.sock], [], [], 0)[0]:
                break
            messages += more
    assert messages[-1] == m.Ack(5)


def test_messages_that_are_kept_own_their_memory(pair: Pair) -> None:
    scratch = bytearray(4096)
    pair.near.send(m.Fail(1, 2, 3, b"the first"))
    (first,) = pair.far.receive(scratch, keep=True)
    pair.near.send(m.Fail(4, 5, 6, b"a second."))
    (second,) = pair.far.receive(scratch, keep=True)
    scratch[:] = bytes(len(scratch))
    assert (bytes(first.body), bytes(second.body)) == (b"the first", b"a second.")  # type: ignore[union-attr]


def test_the_end_of_the_other_is_told_after_what_it_had_sent(pair: Pair) -> None:
    pair.near.send(m.Ack(1))
    pair.near.close()
    assert pair.read() == [m.Ack(1)]
    with pytest.raises(Closed):
        pair.read()


def test_to_send_to_who_is_gone_is_told(pair: Pair) -> None:
    pair.far.close()
    with pytest.raises(Closed) as caught:
        pair.near.send(m.Ack(1))
    assert isinstance(caught.value.__cause__, OSError)


def test_to_flush_to_who_is_gone_is_told(pair: Pair) -> None:
    pair.near.send(fail(1 << 20))
    assert pair.near.queued
    pair.far.close()
    with pytest.raises(Closed):
        pair.near.flush()


def test_who_does_not_speak_our_protocol_is_refused(pair: Pair) -> None:
    pair.far.sock.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with pytest.raises(WireError):
        list(pair.near.receive(bytearray(4096), keep=False))


def test_a_frame_beyond_the_limit_is_refused(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "FRAME_LIMIT", 1000)
    small = Connection(pair.far.sock)
    pair.near.send(fail(2048))
    with pytest.raises(WireError, match="at most 1000"):
        list(small.receive(bytearray(4096), keep=False))


def test_a_closed_connection_keeps_nothing(pair: Pair) -> None:
    pair.near.send(fail(1 << 20))
    pair.near.close()
    assert (pair.near.queued, pair.near.fileno()) == (0, -1)


# Listening and connecting


@pytest.fixture
def path(directory: str) -> str:
    return os.path.join(directory, "socket")


@pytest.fixture
def listener(path: str) -> Iterator[Listener]:
    listener = Listener(path)
    yield listener
    listener.close()


def test_who_connects_is_accepted_and_they_talk(listener: Listener, path: str) -> None:
    assert listener.accept() is None
    near = connect(path)
    far = listener.accept()
    assert near is not None
    assert far is not None
    assert listener.accept() is None
    near.send(m.Ack(1))
    assert list(far.receive(bytearray(100), keep=True)) == [m.Ack(1)]
    far.send(m.Ack(2))
    assert list(near.receive(bytearray(100), keep=True)) == [m.Ack(2)]
    assert not near.sock.getblocking()
    assert not far.sock.getblocking()
    near.close()
    far.close()


def test_the_socket_is_its_users_alone(listener: Listener, path: str) -> None:
    assert os.stat(path).st_mode & 0o7777 == 0o600
    assert os.listdir(os.path.dirname(path)) == ["socket"]


def test_a_socket_appears_ready(directory: str, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    real = os.rename

    def watched(old: str, new: str) -> None:
        early = connect(old)
        seen.append((os.path.basename(new), os.stat(old).st_mode & 0o7777, early is not None))
        if early is not None:
            early.close()
        real(old, new)

    monkeypatch.setattr(os, "rename", watched)
    listener = Listener(path)
    assert seen == [("socket", 0o600, True)]
    listener.close()


def test_the_sockets_buffers_are_large(listener: Listener, path: str) -> None:
    near = connect(path)
    far = listener.accept()
    assert near is not None
    assert far is not None
    for end in (near, far):
        assert end.sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 128 * 1024
        end.close()


def test_where_nobody_listens_there_is_no_connection(path: str) -> None:
    assert connect(path) is None
    Listener(path).close()
    assert os.path.exists(path)
    assert connect(path) is None


def test_a_new_leader_listens_where_the_old_one_did(listener: Listener, path: str) -> None:
    stale = connect(path)
    with open(path + "~", "w"):
        pass
    following = Listener(path)
    near = connect(path)
    accepted = following.accept()
    assert None not in (stale, near, accepted)
    assert not os.path.exists(path + "~")
    for end in (stale, near, accepted, following):
        end.close()  # type: ignore[union-attr]


def test_a_listener_that_cannot_be_made_leaves_no_descriptor(directory: str) -> None:
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(OSError, match="No such file"):
        Listener(os.path.join(directory, "nowhere", "socket"))
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ECONNREFUSED, errno.ENOENT])
def test_a_full_backlog_is_nobody_for_now(path: str, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    class Busy(socket.socket):
        def connect(self, address: Any) -> None:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(transport.socket, "socket", Busy)
    assert connect(path) is None


def test_another_error_is_an_error(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forbidden(socket.socket):
        def connect(self, address: Any) -> None:
            raise PermissionError(errno.EACCES, "no")

    monkeypatch.setattr(transport.socket, "socket", Forbidden)
    with pytest.raises(PermissionError):
        connect(path)


# Users


def test_the_kernel_tells_who_is_there(pair: Pair) -> None:
    assert peer_uid(pair.near.sock) == os.geteuid()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
def test_the_kernel_tells_who_somebody_else_is(listener: Listener, path: str, directory: str) -> None:
    os.chmod(directory, 0o711)
    os.chmod(path, 0o666)
    hold_read, hold_write = os.pipe()

    def intrude() -> None:
        os.close(hold_write)
        os.setuid(12345)
        stranger = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stranger.connect(path)
        os.read(hold_read, 1)

    child = Child(intrude)
    assert select.select([listener], [], [], 10)[0]
    sock, _ = listener.sock.accept()
    uid = peer_uid(sock)
    sock.close()
    os.close(hold_write)
    os.close(hold_read)
    child.result()
    assert uid == 12345


def test_who_is_another_user_is_not_accepted_and_the_next_is(
    listener: Listener, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = iter([os.geteuid() + 1, os.geteuid()])
    stranger, friend = connect(path), connect(path)
    assert stranger is not None
    assert friend is not None
    monkeypatch.setattr(transport, "peer_uid", lambda sock: next(users))
    accepted = listener.accept()
    assert accepted is not None
    friend.send(m.Bye())
    assert list(accepted.receive(bytearray(100), keep=True)) == [m.Bye()]
    with pytest.raises(Closed):
        stranger.receive(bytearray(100), keep=True)
    for connection in (stranger, friend, accepted):
        connection.close()


def test_who_cannot_be_asked_is_not_accepted(listener: Listener, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(sock: socket.socket) -> int:
        raise OSError(errno.ENOTCONN, "gone")

    near = connect(path)
    assert near is not None
    monkeypatch.setattr(transport, "peer_uid", gone)
    assert listener.accept() is None
    near.close()


def test_a_leader_that_is_another_user_is_told_nothing(
    listener: Listener, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "peer_uid", lambda sock: os.geteuid() + 1)
    with pytest.raises(PermissionError, match=f"runs as user {os.geteuid() + 1}"):
        connect(path)
    monkeypatch.undo()
    accepted = listener.accept()
    assert accepted is not None
    with pytest.raises(Closed):
        accepted.receive(bytearray(100), keep=True)
    accepted.close()


# Running out


class Stub:
    """A listening socket whose accept does as it is told."""

    def __init__(self, *outcomes: Any) -> None:
        self.outcomes = list(outcomes)

    def accept(self) -> Any:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome, None

    def close(self) -> None:
        """As a socket."""


def test_without_descriptors_who_accepts_is_told(listener: Listener) -> None:
    real = listener.sock
    listener.sock = Stub(OSError(errno.EMFILE, "Too many open files"))  # type: ignore[assignment]
    with pytest.raises(OSError, match="Too many open files"):
        listener.accept()
    listener.sock = real


def test_who_hung_up_while_it_waited_is_passed_over(listener: Listener) -> None:
    real = listener.sock
    near, far = socket.socketpair()
    listener.sock = Stub(  # type: ignore[assignment]
        ConnectionAbortedError(errno.ECONNABORTED, "aborted"), near, BlockingIOError()
    )
    accepted = listener.accept()
    assert accepted is not None
    assert listener.accept() is None
    accepted.close()
    far.close()
    listener.sock = real


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the credentials of Linux")
def test_a_user_id_may_be_as_large_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sock:
        def getsockopt(self, *args: Any) -> bytes:
            return struct.pack("iII", 1, 4_000_000_000, 1)

    assert peer_uid(Sock()) == 4_000_000_000  # type: ignore[arg-type]


def test_the_other_end_s_death_is_no_signal() -> None:
    """A program may have given SIGPIPE its default back, as those do whose output goes through a pipe."""
    code = """
import signal, socket
from groupqueue.core import messages as m
from groupqueue.system.transport import Closed, Connection, prepare
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
near, far = socket.socketpair()
prepare(near)
connection = Connection(near)
connection.send(m.Ack(1))
while not connection.queued:
    connection.send(m.Result(1, bytes(100_000)))
far.close()
for send in (connection.flush, lambda: (connection._out.clear(), connection.send(m.Ack(2)))):
    try:
        send()
    except Closed:
        print("closed")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=40)
    assert (done.returncode, done.stdout) == (0, "closed\nclosed\n"), done.stderr
