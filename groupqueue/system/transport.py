"""
A connection: frames over a non-blocking Unix stream socket, between processes of one user.

Header and body always leave in one `sendmsg`. What the socket does not take is kept and sent by `flush`. Both ends
check the other's uid before they read or send anything.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from groupqueue.core import messages as m
from groupqueue.core.wire import FrameReader, encode
from groupqueue.system.paths import SOCKET_PATH_LIMIT, by_descriptor, set_aside

SOCKET_BUFFER = 1024 * 1024
# Room for the largest item (4 GiB) in a grant. A member's own max_item_bytes bounds what it puts, not what it meets.
FRAME_LIMIT = 1 << 33
SCRATCH = 256 * 1024
_IOV_MAX = 512
# A program may have given SIGPIPE its default back; that a leader dies is not to end it.
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_RETRY_CONNECT = frozenset((errno.EAGAIN, errno.ECONNREFUSED, errno.ENOENT, errno.EINPROGRESS, errno.ECONNRESET))


class Closed(Exception):
    """The other end is gone."""


class Connection:
    """One end. `queued` is how many bytes wait for the socket; `is_drained`: the last read found less than it had room
    for.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.queued = 0
        self.is_drained = False
        self._out: deque[memoryview] = deque()
        self._reader = FrameReader(FRAME_LIMIT)

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, message: m.Message) -> None:
        """Sends what goes at once and keeps the rest. Raises Closed."""
        parts = encode(message)
        if self._out:
            self._keep(parts, 0)
            return
        sent = 0
        try:
            sent = self.sock.sendmsg(parts if len(parts) <= _IOV_MAX else [b"".join(parts)], (), _NO_SIGNAL)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            raise Closed(str(error)) from error
        if sent < sum(map(len, parts)):
            self._keep(parts, sent)

    def _keep(self, parts: list[m.Buffer], sent: int) -> None:
        for part in parts:
            length = len(part)
            if sent >= length:
                sent -= length
                continue
            view = memoryview(part)[sent:]
            sent = 0
            self._out.append(view)
            self.queued += len(view)

    def flush(self) -> bool:
        """Sends what was kept; True if nothing is left. Raises Closed."""
        out = self._out
        while out:
            parts = [out[index] for index in range(min(len(out), _IOV_MAX))]
            try:
                sent = self.sock.sendmsg(parts, (), _NO_SIGNAL)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                raise Closed(str(error)) from error
            self.queued -= sent
            while sent:
                view = out[0]
                if sent < len(view):
                    out[0] = view[sent:]
                    break
                sent -= len(view)
                out.popleft()
        return True

    def receive(self, scratch: bytearray, *, keep: bool) -> Iterator[m.Message]:
        """The whole messages that one read brings. Raises Closed, WireError.

        With `keep` they own their memory; without, it is good until the scratch buffer is used again.
        """
        room = self._reader.room
        place = scratch if room is None else room
        try:
            count = self.sock.recv_into(place)
        except (BlockingIOError, InterruptedError):
            return iter(())
        except OSError as error:
            raise Closed(str(error)) from error
        if not count:
            raise Closed("end of file")
        self.is_drained = count < len(place)
        if room is not None:
            room.release()
            return self._reader.filled(count, keep=keep)
        data = memoryview(scratch)[:count]
        return self._reader.feed(memoryview(bytes(data)) if keep else data)

    def await_ready(self, timeout: float) -> bool:
        """Whether something has come, or more can go, within so many seconds."""
        if not hasattr(select, "poll"):
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN | (select.POLLOUT if self._out else 0))
        return timeout > 0 and bool(poll.poll(1e3 * timeout))

    def end_sending(self) -> None:
        """Nothing more is sent; the other end, if it is there, comes to the end of the file. Reading goes on."""
        self._drop_unsent()
        with suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._drop_unsent()
        self.sock.close()

    def _drop_unsent(self) -> None:
        self._out.clear()
        self.queued = 0


def peer_uid(sock: socket.socket) -> int:
    """The user on the other end, as the kernel knows it."""
    if hasattr(socket, "SO_PEERCRED"):
        _, uid, _ = struct.unpack("iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    else:
        # struct xucred of the BSDs and macOS, by LOCAL_PEERCRED at level SOL_LOCAL.
        _, uid = struct.unpack_from("II", sock.getsockopt(0, 1, 76))
    return int(uid)


def prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER)
    except OSError:
        pass
    if not _NO_SIGNAL and hasattr(socket, "SO_NOSIGPIPE"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_NOSIGPIPE, 1)


@contextmanager
def _address(path: str) -> Iterator[str]:
    """The path, or one to the same place that is short enough for a socket."""
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT or not by_descriptor():
        yield path
        return
    folder, name = os.path.split(path)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def _clear_folder(path: str) -> None:
    """Moves a folder away that stands where the socket is to be, or removes it if there is nothing in it."""
    if not os.path.islink(path) and os.path.isdir(path):
        try:
            os.rmdir(path)
        except OSError:
            set_aside(path)


def connect(path: str) -> Connection | None:
    """A connection to whoever listens there; None if nobody does now. PermissionError if it is another user."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        prepare(sock)
        with _address(path) as address:
            sock.connect(address)
        uid = peer_uid(sock)
        if uid != os.geteuid():
            raise PermissionError(errno.EPERM, f"the process behind {path} runs as user {uid}")
    except OSError as error:
        sock.close()
        if error.errno in _RETRY_CONNECT:
            return None
        raise
    except BaseException:
        sock.close()
        raise
    return Connection(sock)


class Listener:
    """The leader's socket, bound under a temporary name and renamed over the old one. Requires the leader's lock."""

    def __init__(self, path: str) -> None:
        temporary = path + "~"
        for folder in (path, temporary):
            _clear_folder(folder)
        try:
            os.unlink(temporary)
        except FileNotFoundError:
            pass
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.sock.setblocking(False)
            with _address(temporary) as address:
                self.sock.bind(address)
            os.chmod(temporary, 0o600)
            self.sock.listen(1024)
            os.rename(temporary, path)
        except BaseException:
            self.sock.close()
            raise

    def fileno(self) -> int:
        return self.sock.fileno()

    def accept(self) -> Connection | None:
        """The next connection of this user's; None if none waits. OSError when descriptors have run out."""
        while True:
            try:
                sock, _ = self.sock.accept()
            except (BlockingIOError, InterruptedError):
                return None
            except OSError as error:
                if error.errno == errno.ECONNABORTED:
                    continue
                raise
            try:
                if peer_uid(sock) == os.geteuid():
                    prepare(sock)
                    return Connection(sock)
            except OSError:
                pass
            sock.close()

    def close(self) -> None:
        self.sock.close()
