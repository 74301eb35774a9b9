"""
What pickle and one Unix socket allow: the least that any queue between two processes must do.

Throughput: pickles in large batches through one stream socket, arrays out of band and straight into their place.
Round trips: eight bytes there and back. No journal, no acknowledgement, no other process: one sender, one receiver.
"""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import io
import pickle
import selectors
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.contestants.base import Contestant, Plan, Receiver, Sender
from benchmarks.crew import Crew

BATCH = 1000
BATCH_BYTES = 1 << 18
BIG = 1 << 18
BUFFER = 1 << 20
HEAD = struct.Struct("<III")
"""Pickles in the batch, bytes of them all, bytes of a buffer behind them. No pickles: a large one follows."""
WORD = struct.Struct("<q")


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
