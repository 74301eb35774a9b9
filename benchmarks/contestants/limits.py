"""
What pickle and one Unix socket allow: the least that any queue between two processes must do.

Throughput: pickles in large batches through one stream socket, arrays out of band and straight into their place.
Round trips: eight bytes there and back. No journal, no acknowledgement, no other process: one sender, one receiver.
"""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import pickle
import selectors
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.contestants.base import Contestant, Plan, Receiver, Sender
from benchmarks.crew import Crew

BATCH = 1000
BIG = 1 << 15
BUFFER = 1 << 20
HEAD = struct.Struct("<III")
"""Sizes in the batch, bytes of them all, bytes of out-of-band buffers behind them."""
WORD = struct.Struct("<q")


class Socket(Contestant):
    """Not a queue: the limit."""

    pace = 500_000.0
    bandwidth = 2e9

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        return {"path": str(crew.directory / "socket"), "callers": plan.senders, "size": plan.size}

    def sender(self, address: dict[str, Any], index: int) -> Sender:
        stream = _connect(address)
        batch: list[bytes] = []
        dumps = pickle.dumps

        def push() -> None:
            sizes = struct.pack(f"<{len(batch)}I", *map(len, batch))
            total = sum(map(len, batch))
            stream.sendall(b"".join((HEAD.pack(len(batch), total, 0), sizes, *batch)))
            batch.clear()

        def put(obj: Any) -> None:
            batch.append(dumps(obj, 5))
            if len(batch) >= BATCH:
                push()

        def put_big(obj: Any) -> None:
            buffers: list[pickle.PickleBuffer] = []
            data = dumps(obj, 5, buffer_callback=buffers.append)
            raw = [buffer.raw() for buffer in buffers]
            stream.sendall(HEAD.pack(1, len(data), sum(map(len, raw))) + WORD.pack(len(data))[:4])
            stream.sendall(data)
            for piece in raw:
                stream.sendall(piece)

        def flush() -> None:
            if batch:
                push()

        return Sender(put_big if address["size"] > BIG else put, flush=flush)

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


def _objects(listener: socket.socket) -> Iterator[Any]:
    stream = listener.accept()[0]
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    loads = pickle.loads
    scratch = memoryview(bytearray(4 * BUFFER))
    while True:
        count, total, beside = HEAD.unpack(_read(stream, scratch[: HEAD.size]))
        sizes = struct.unpack(f"<{count}I", _read(stream, scratch[: 4 * count]))
        body = _read(stream, scratch[:total])
        if beside:
            yield loads(body, buffers=[_read(stream, memoryview(bytearray(beside)))])
            continue
        start = 0
        for size in sizes:
            yield loads(body[start : start + size])
            start += size


def _read(stream: socket.socket, view: memoryview) -> memoryview:
    rest = view
    while rest:
        got = stream.recv_into(rest)
        if not got:
            raise EOFError
        rest = rest[got:]
    return view
