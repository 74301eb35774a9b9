"""persist-queue's SQLiteQueue: one file, one transaction for each put and each get."""

# ruff: noqa: ARG002  # an interface has one signature
from __future__ import annotations

import time
from typing import Any

from benchmarks.contestants import module_missing
from benchmarks.contestants.base import Contestant, Plan, Receiver, Sender
from benchmarks.crew import Crew


class PersistQueue(Contestant):
    """Its blocking get looks for what another process has put every ten seconds only; this one looks all the time."""

    pace = 1_000.0
    bandwidth = 50e6

    def missing(self) -> str | None:
        return module_missing("persistqueue")

    def prepare(self, crew: Crew, plan: Plan) -> dict[str, Any]:
        return {"path": str(crew.directory / "persist")}

    def _open(self, address: dict[str, Any]) -> Any:
        import persistqueue

        return persistqueue.SQLiteQueue(address["path"], timeout=60.0)

    def sender(self, address: dict[str, Any], index: int) -> Sender:
        return Sender(self._open(address).put)

    def receiver(self, address: dict[str, Any], index: int) -> Receiver:
        import persistqueue

        jobs = self._open(address)

        def get() -> Any:
            while True:
                try:
                    return jobs.get_nowait()
                except persistqueue.Empty:
                    time.sleep(0.0005)

        return Receiver(get)
