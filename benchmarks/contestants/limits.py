"""
What pickle and one Unix socket allow: the least that any queue between two processes must do.

Throughput: pickles in large batches through one stream socket, arrays out of band and straight into their place.
Round trips: eight bytes there and back. No journal, no acknowledgement, no other process: one sender, one receiver.
And the same with what a `put_wait` cannot do without: see `Journaled`.
"""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import io
import os
import pickle
import select
import selectors
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any
from zlib import crc32

from benchmarks.contestants.base import Contestant, Plan, Receiver, Sender
from benchmarks.crew import Crew

BATCH = 1000
BATCH_BYTES = 1 << 18
BIG = 1 << 18
BUFFER = 1 << 20
HEAD = struct.Struct("<III")
"""Pickles in the batch, bytes of them all, bytes of a buffer behind them. No pickles: a large one follows."""
WORD = struct.Struct("<q")
FRAME = struct.Struct("<7Q")
RECORD = struct.Struct("<9Q")
JOURNAL = 1 << 20
PAGE = 1 << 12


class Socket(Contestant):
    """Not a queue: the limit."""

    pace = 500_000.0
    bandwidth = 2e9

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        return {"path": str(crew.directory / "socket"), "callers": plan.senders, "size": plan.size}

    def sender(self, address: dict[str, Any], index: int) -> Sender:
        stream = _connect(address)
        if address["size"] > BIG:
            return Sender(_big_putter(stream))
        batch: list[bytes] = []
        dumps = pickle.dumps
        most = max(1, min(BATCH, BATCH_BYTES // address["size"]))

        def flush() -> None:
            if batch:
                sizes = struct.pack(f"<{len(batch)}I", *map(len, batch))
                stream.sendall(b"".join((HEAD.pack(len(batch), sum(map(len, batch)), 0), sizes, *batch)))
                batch.clear()

        def put(obj: Any) -> None:
            batch.append(dumps(obj, 5))
            if len(batch) >= most:
                flush()

        return Sender(put, flush=flush)

    def receiver(self, address: dict[str, Any], index: int) -> Receiver:
        return Receiver(_objects(_listen(address)).__next__)

    def callers(self, address: dict[str, Any], first: int, count: int) -> list[Callable[[int], int]]:
        def caller() -> Callable[[int], int]:
            stream = _connect(address)
            send, receive, pack, unpack = stream.send, stream.recv, WORD.pack, WORD.unpack

            def call(question: int) -> int:
                send(pack(question))
                return unpack(receive(64))[0]  # type: ignore[no-any-return]

            return call

        return [caller() for _ in range(count)]

    def respond(self, address: dict[str, Any], opened: Callable[[], None]) -> None:
        listener = _listen(address)
        opened()
        if address["callers"] == 1:
            stream = listener.accept()[0]
            while data := stream.recv(64):
                stream.send(WORD.pack(WORD.unpack(data)[0] + 1))
            return
        selector = selectors.DefaultSelector()
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is listener:
                    selector.register(listener.accept()[0], selectors.EVENT_READ)
                    continue
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(64)
                if data:
                    key.fileobj.send(WORD.pack(WORD.unpack(data)[0] + 1))
                else:
                    selector.unregister(key.fileobj)


class Journaled(Contestant):
    """Not a queue either: the system calls, pickles and sums of a `put_wait` that survives a kill, and no decision.

    A question is pickled, sent, written down before it is granted, that it is granted as well, unpickled; the answer is
    pickled, written down before it is sent, and unpickled. Each record and frame has a check. One caller at a time.
    """

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        return {"path": str(crew.directory / "socket")}

    def callers(self, address: dict[str, Any], first: int, count: int) -> list[Callable[[int], int]]:
        stream = _connect(address)
        stream.setblocking(False)
        ready = _poll(stream)
        room = bytearray(1 << 16)
        dumps, loads = pickle.dumps, pickle.loads

        def call(question: int) -> int:
            stream.sendmsg(_frame(dumps(question, 5)))
            ready()
            return loads(memoryview(room)[FRAME.size : stream.recv_into(room)])  # type: ignore[no-any-return]

        return [call]

    def respond(self, address: dict[str, Any], opened: Callable[[], None]) -> None:
        listener = _listen(address)
        folder = os.path.dirname(address["path"])
        items, ledger = (os.open(os.path.join(folder, name), os.O_RDWR | os.O_CREAT) for name in ("items", "ledger"))
        for file in (items, ledger):
            os.posix_fallocate(file, 0, JOURNAL)
        opened()
        stream = listener.accept()[0]
        stream.setblocking(False)
        ready = _poll(stream)
        room = bytearray(1 << 16)
        at = 0
        while True:
            ready()
            size = stream.recv_into(room)
            if not size:
                return
            question = bytes(memoryview(room)[FRAME.size : size])
            os.pwritev(items, _record(question), at)
            os.pwritev(ledger, _record(b""), at)
            answer = pickle.dumps(pickle.loads(question) + 1, 5)
            os.pwritev(items, _record(answer), at + PAGE // 2)
            stream.sendmsg(_frame(answer))
            at = (at + PAGE) % JOURNAL


def _poll(stream: socket.socket) -> Callable[[], object]:
    """What waits until there is something to read."""
    if hasattr(select, "epoll"):
        waiting = select.epoll()
        waiting.register(stream.fileno(), select.EPOLLIN)
        return waiting.poll
    plain = select.poll()
    plain.register(stream.fileno(), select.POLLIN)
    return plain.poll


def _frame(body: bytes) -> list[bytes]:
    return [FRAME.pack(1, len(body), 1, 1, 0, 3, crc32(body)), body]


def _record(body: bytes) -> list[bytes]:
    head = RECORD.pack(len(body), crc32(body), 1, 2, 3, 4, 5, 6, 7)
    return [crc32(head).to_bytes(4, "little"), head, body]


def _listen(address: dict[str, Any]) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address["path"])
    listener.listen(128)
    return listener


def _connect(address: dict[str, Any]) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX)
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    stream.connect(address["path"])
    return stream


def _big_putter(stream: socket.socket) -> Callable[[Any], None]:
    """Bytes go from their object into the socket, arrays from their buffer: nothing is copied but by the kernel."""
    file = stream.makefile("wb", 1 << 12)

    def put(obj: Any) -> None:
        if isinstance(obj, bytes):
            file.write(HEAD.pack(0, 0, 0))
            pickle.Pickler(file, 5).dump(obj)
        else:
            buffers: list[pickle.PickleBuffer] = []
            data = pickle.dumps(obj, 5, buffer_callback=buffers.append)
            raw = buffers[0].raw()
            file.write(HEAD.pack(1, len(data), len(raw)) + struct.pack("<I", len(data)) + data)
            file.write(raw)
        file.flush()

    return put


def _objects(listener: socket.socket) -> Iterator[Any]:
    stream = listener.accept()[0]
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    file = io.BufferedReader(socket.SocketIO(stream, "r"), BATCH_BYTES)
    loads = pickle.loads
    while True:
        count, total, beside = HEAD.unpack(file.read(HEAD.size))
        if not count:
            yield pickle.Unpickler(file).load()
            continue
        sizes = struct.unpack(f"<{count}I", file.read(4 * count))
        body = memoryview(file.read(total))
        if beside:
            buffer = bytearray(beside)
            file.readinto(buffer)
            yield loads(body, buffers=[buffer])
            continue
        start = 0
        for size in sizes:
            yield loads(body[start : start + size])
            start += size
