"""faster-fifo: a ring in shared memory and a mutex between processes; not crash-proof, and inherited by fork."""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.contestants import module_missing
from benchmarks.contestants.base import Contestant, Plan, Receiver, Sender
from benchmarks.crew import Crew

FOREVER = 1000.0
CHUNK = 1000


class FasterFifo(Contestant):
    """With its own ring of 1 MB for small objects, and 16 MiB for large ones, which would not fit."""

    forked = True
    pace = 200_000.0
    bandwidth = 800e6

    def missing(self) -> str | None:
        return module_missing("faster_fifo")

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        faster_fifo = importlib.import_module("faster_fifo")  # a C extension without types
        options: dict[str, Any] = {}
        if plan.size > 10_000:
            options["max_size_bytes"] = 16 << 20
        if plan.capacity:
            options["maxsize"] = plan.capacity
        return {"queue": faster_fifo.Queue(**options)}

    def sender(self, address: dict[str, Any], index: int) -> Sender:
        jobs = address["queue"]

        def put(obj: Any) -> None:
            jobs.put(obj, True, FOREVER)

        def put_many(objects: Iterable[Any]) -> None:
            rest = iter(objects)
            while chunk := list(itertools.islice(rest, CHUNK)):
                jobs.put_many(chunk, True, FOREVER)

        return Sender(put, put_many=put_many)

    def receiver(self, address: dict[str, Any], index: int) -> Receiver:
        jobs = address["queue"]

        def get() -> Any:
            return jobs.get(True, FOREVER)

        def get_many(most: int) -> Sequence[Any]:
            return jobs.get_many(True, FOREVER, most)  # type: ignore[no-any-return]

        return Receiver(get, get_many=get_many)
