"""
What happened when, in several processes: each writes a line to one file, with the time of the clock that all share.

`watch_leader` and `watch_roles` wrap functions of the process that calls them, since the product has no hook for it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Mark(NamedTuple):
    time: float
    """Milliseconds."""
    pid: int
    what: str


def mark(what: str, time_ns: int | None = None) -> None:
    """One line, whole or not at all, also of a process that is killed right after."""
    line = json.dumps([time.monotonic_ns() if time_ns is None else time_ns, os.getpid(), what]) + "\n"
    fd = os.open(os.environ["GROUPQUEUE_MARKS"], os.O_WRONLY | os.O_APPEND)
    os.write(fd, line.encode())
    os.close(fd)


def read(path: Path) -> list[Mark]:
    """In the order of their times."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return sorted(Mark(time_ns / 1e6, pid, what) for time_ns, pid, what in found)


def wait_for(path: Path, condition: Callable[[list[Mark]], Any], patience: float = 20.0) -> list[Mark]:
    """Until the marks satisfy it."""
    deadline = time.monotonic() + patience
    while True:
        found = read(path)
        if condition(found):
            return found
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {patience:g} s; there is {found[-20:]}")
        time.sleep(0.005)


def start(script: str, role: str, directory: str, marks: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "GROUPQUEUE_DIR": directory, "GROUPQUEUE_MARKS": str(marks)}
    return subprocess.Popen([sys.executable, script, role], env=environment)


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _wrap(owner: type, name: str, before: str = "", after: str = "", unless_none: bool = False) -> None:
    original = getattr(owner, name)
    inner = original.__func__ if hasattr(original, "__func__") else original

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if before:
            mark(before)
        result = inner(*args, **kwargs)
        if after and not (unless_none and result is None):
            mark(after)
        return result

    setattr(owner, name, classmethod(wrapped) if hasattr(original, "__func__") else wrapped)


def watch_roles() -> None:
    """A mark at each step by which a member becomes what it is."""
    from groupqueue.core import messages as m
    from groupqueue.core.session import Session
    from groupqueue.leader import Leader
    from groupqueue.standing import Standing
    from groupqueue.system.journal import Journal
    from groupqueue.system.leadership import Leadership

    _wrap(Standing, "become_candidate", before="end of file")
    _wrap(Leadership, "try_take", after="lock", unless_none=True)
    _wrap(Journal, "recover", after="journal read")
    _wrap(Leader, "__init__", after="listens")
    receive = Session.receive

    def received(self: Session, message: Any, now: float) -> None:
        receive(self, message, now)
        if type(message) is m.Welcome:
            mark("welcome")

    Session.receive = received  # type: ignore[method-assign]


def watch_records() -> None:
    """A mark at each record of the journal."""
    from groupqueue.core.records import Kind
    from groupqueue.system.segments import Segment

    append = Segment.append

    def appended(self: Segment, kind: int, *args: Any) -> int:
        found = append(self, kind, *args)
        mark(Kind(kind).name)
        return found

    Segment.append = appended  # type: ignore[method-assign]
