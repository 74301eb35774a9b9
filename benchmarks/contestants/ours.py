"""groupqueue, between scripts that know nothing of each other but the name."""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.contestants.base import Contestant, Plan, Receiver, Sender, unsupported
from benchmarks.crew import Crew

PATIENCE = 30.0


@dataclass
class Ours(Contestant):
    """`leader`: "consumer", the receiver that opens first, or "third", a process that only leads."""

    leader: str = "consumer"
    joinable: bool = False
    durable: bool = False

    pace = 250_000.0
    bandwidth = 800e6

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        address = {"name": "jobs", "maxsize": plan.capacity or None}
        if self.leader == "third":
            command = [sys.executable, "-m", "groupqueue", "serve", "jobs"]
            server = crew.serve([*command, "--maxsize", str(plan.capacity)] if plan.capacity else command)
            assert server.stdout is not None
            line = server.stdout.readline()
            if b"leads" not in line:
                raise RuntimeError(f"groupqueue serve said {line!r}")
        return address

    def open(self, address: dict[str, Any]) -> Any:
        import groupqueue

        kind = groupqueue.JoinableGroupQueue if self.joinable else groupqueue.GroupQueue
        mode = "client" if self.leader == "third" else "dual"
        queue: Any = kind(address["name"], address["maxsize"], mode=mode, durable=self.durable)
        if not queue.wait_for_leader(PATIENCE):
            raise RuntimeError("no leader")
        return queue

    def sender(self, address: dict[str, Any], index: int) -> Sender:
        queue = self.open(address)
        join = queue.join if self.joinable else unsupported
        return Sender(queue.put, put_many=queue.put_many, join=join, flush=queue.flush)

    def receiver(self, address: dict[str, Any], index: int) -> Receiver:
        queue = self.open(address)
        if queue.is_leader != (index == 0 and self.leader == "consumer"):
            raise RuntimeError(f"the wrong process leads: {queue!r}")
        return Receiver(queue.get, get_many=queue.get_many, get_message=queue.get_message, task_done=queue.task_done)

    def callers(self, address: dict[str, Any], first: int, count: int) -> list[Callable[[int], int]]:
        queue = self.open(address)
        return [queue.put_wait] * count

    def respond(self, address: dict[str, Any], opened: Callable[[], None]) -> None:
        queue = self.open(address)
        opened()
        while True:
            queue.reply(queue.get() + 1)
