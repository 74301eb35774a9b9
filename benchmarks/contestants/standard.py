"""The standard library's queues: forked, their best case, and behind a manager, which unrelated scripts can use."""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import multiprocessing
import multiprocessing.managers
import queue
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.contestants.base import Contestant, Plan, Receiver, Sender, unsupported
from benchmarks.crew import Crew
from benchmarks.worker import Talk


@dataclass
class Standard(Contestant):
    """`kind`: "Queue", "SimpleQueue" or "JoinableQueue"."""

    kind: str = "Queue"

    forked = True
    pace = 120_000.0

    def _make(self, capacity: int = 0) -> Any:
        context = multiprocessing.get_context("fork")
        return context.SimpleQueue() if self.kind == "SimpleQueue" else getattr(context, self.kind)(capacity)

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        return {"queue": self._make(plan.capacity), "replies": [self._make() for _ in range(plan.senders)]}

    def sender(self, address: dict[str, Any], index: int) -> Sender:
        jobs = address["queue"]
        return Sender(jobs.put, join=getattr(jobs, "join", unsupported))

    def receiver(self, address: dict[str, Any], index: int) -> Receiver:
        jobs = address["queue"]
        return Receiver(jobs.get, task_done=getattr(jobs, "task_done", unsupported))

    def callers(self, address: dict[str, Any], first: int, count: int) -> list[Callable[[int], int]]:
        put = address["queue"].put

        def caller(number: int) -> Callable[[int], int]:
            get = address["replies"][number].get

            def call(question: int) -> int:
                put((number, question))
                return get()  # type: ignore[no-any-return]

            return call

        return [caller(first + i) for i in range(count)]

    def respond(self, address: dict[str, Any], opened: Callable[[], None]) -> None:
        get = address["queue"].get
        puts = [replies.put for replies in address["replies"]]
        opened()
        while True:
            number, question = get()
            puts[number](question + 1)


class Manager(multiprocessing.managers.BaseManager):
    """A server process with one queue.Queue."""


class Managed(Contestant):
    """`queue.Queue` in a server process, over a Unix socket."""

    pace = 12_000.0

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        path = str(crew.directory / "manager")
        crew.start("benchmarks.contestants.standard:serve", path=path, capacity=plan.capacity).hear()
        return {"path": path}

    def _connect(self, address: dict[str, Any]) -> Any:
        Manager.register("jobs")
        manager = Manager(address["path"], b"benchmarks")
        manager.connect()
        return manager.jobs()  # type: ignore[attr-defined]

    def sender(self, address: dict[str, Any], index: int) -> Sender:
        return Sender(self._connect(address).put)

    def receiver(self, address: dict[str, Any], index: int) -> Receiver:
        return Receiver(self._connect(address).get)


def serve(talk: Talk, path: str, capacity: int) -> None:
    """The manager's process."""
    jobs: queue.Queue[Any] = queue.Queue(capacity)
    Manager.register("jobs", callable=lambda: jobs)
    server = Manager(path, b"benchmarks").get_server()
    talk.say("ready")
    server.serve_forever()
