"""Who takes part. Each name leads to a class, imported where it is needed: a worker pays for its own queue only."""

from __future__ import annotations

import importlib
import importlib.util
from dataclasses import dataclass, field
from typing import Any

from benchmarks.contestants.base import Contestant

KINDS = {
    "groupqueue": "ours:Ours",
    "multiprocessing": "standard:Standard",
    "manager": "standard:Managed",
    "pyzmq": "zeromq:ZeroMQ",
    "faster-fifo": "fasterfifo:FasterFifo",
    "redis": "redisserver:Redis",
    "persist-queue": "persist:PersistQueue",
    "socket": "limits:Socket",
    "journaled": "limits:Journaled",
}


@dataclass(frozen=True)
class Who:
    """A contestant by name and options, as it travels to the workers."""

    kind: str
    options: dict[str, Any] = field(default_factory=dict)

    def make(self) -> Contestant:
        module, _, name = KINDS[self.kind].partition(":")
        kind = getattr(importlib.import_module(f"benchmarks.contestants.{module}"), name)
        made = kind(**self.options)
        assert isinstance(made, Contestant)
        return made

    def missing(self) -> str | None:
        """Why it cannot take part here, if it cannot."""
        return self.make().missing()

    def told(self) -> dict[str, Any]:
        return {"kind": self.kind, "options": self.options}


def module_missing(name: str) -> str | None:
    return None if importlib.util.find_spec(name) else f"{name} is not installed"
