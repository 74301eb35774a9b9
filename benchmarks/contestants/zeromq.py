"""pyzmq over ipc: each receiver binds a PULL, each sender's PUSH connects to all; REQ and REP for round trips."""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.contestants import module_missing
from benchmarks.contestants.base import Contestant, Plan, Receiver, Sender
from benchmarks.crew import Crew


class ZeroMQ(Contestant):
    """`send_pyobj` and `recv_pyobj` with pickle's highest protocol and the library's own limits.

    No sender closes before all has been received, not even with an endless linger: a receiver that lags behind loses
    what the kernel still holds of a connection that was closed.
    """

    pace = 250_000.0
    bandwidth = 400e6

    def missing(self) -> str | None:
        return module_missing("zmq")

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        return {"receivers": [f"ipc://{crew.directory}/{i}.ipc" for i in range(plan.receivers)]}

    def sender(self, address: dict[str, Any], index: int) -> Sender:
        import zmq

        push = zmq.Context().socket(zmq.PUSH)
        for where in address["receivers"]:
            push.connect(where)
        return Sender(partial(push.send_pyobj, protocol=pickle.HIGHEST_PROTOCOL))

    def receiver(self, address: dict[str, Any], index: int) -> Receiver:
        import zmq

        pull = zmq.Context().socket(zmq.PULL)
        pull.bind(address["receivers"][index])
        return Receiver(pull.recv_pyobj)

    def callers(self, address: dict[str, Any], first: int, count: int) -> list[Callable[[int], int]]:
        import zmq

        context = zmq.Context()

        def caller() -> Callable[[int], int]:
            request = context.socket(zmq.REQ)
            request.connect(address["receivers"][0])
            send, receive = request.send_pyobj, request.recv_pyobj

            def call(question: int) -> int:
                send(question)
                return receive()  # type: ignore[no-any-return]

            return call

        return [caller() for _ in range(count)]

    def respond(self, address: dict[str, Any], opened: Callable[[], None]) -> None:
        import zmq

        reply = zmq.Context().socket(zmq.REP)
        reply.bind(address["receivers"][0])
        opened()
        while True:
            reply.send_pyobj(reply.recv_pyobj() + 1)
