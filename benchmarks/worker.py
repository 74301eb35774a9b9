"""
One process of a trial: what runs in it, and how it talks to the conductor.

It runs one task, a function named `module:function`, which gets a `Talk` and its arguments. It is told in lines and
answers in lines of JSON, over two pipes of its own. It never outlives its deadline: an alarm that nobody has to
remember kills it, even if the conductor is killed first.

It imports nothing that a task does not ask for, since what it imports is part of what is measured.
"""

from __future__ import annotations

import faulthandler
import importlib
import json
import os
import signal
import sys
from typing import Any


class Talk:
    """The worker's end of the conversation."""

    def __init__(self, read: int, write: int) -> None:
        self._lines = os.fdopen(read, "rb")
        self._write = write

    def hear(self) -> str:
        """The conductor's next line; the process ends with the conductor."""
        line = self._lines.readline()
        if not line:
            os._exit(70)
        return line.decode().rstrip("\n")

    def wait_for(self, word: str) -> None:
        heard = self.hear()
        if heard != word:
            raise RuntimeError(f"the conductor said {heard!r} instead of {word!r}")

    def say(self, value: Any) -> None:
        data = json.dumps(value).encode() + b"\n"
        while data:
            data = data[os.write(self._write, data) :]


def run(read: int, write: int, task: str, arguments: dict[str, Any], alarm: int, cpus: list[int] | None) -> None:
    """Runs the task in this process."""
    signal.alarm(alarm)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if cpus:
        os.sched_setaffinity(0, cpus)
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    module, _, name = task.partition(":")
    getattr(importlib.import_module(module), name)(Talk(read, write), **arguments)


def run_forked(errors: str, *rest: Any) -> None:
    """The same in a child that multiprocessing has forked."""
    with open(errors, "ab", buffering=0) as file:
        os.dup2(file.fileno(), 2)
    run(*rest)


if __name__ == "__main__":
    job = json.loads(sys.argv[3])
    run(int(sys.argv[1]), int(sys.argv[2]), job["task"], job["arguments"], job["alarm"], job["cpus"])
