"""
A queue as a command holds it: opened as gently as the command allows, and closed however the command ends.

Who only looks or operates joins as a client while somebody leads, and stands in as the leader where nobody does:
without one there is nothing to ask. Who puts or takes is a member as any program's. Either may come to lead, and a
leader that is stopped stops everybody: so Ctrl-Z stops a command only while it does not lead.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from groupqueue.cli import Problem
from groupqueue.cli.items import LENIENT
from groupqueue.cli.look import find
from groupqueue.message import Message
from groupqueue.queues import GroupQueue
from groupqueue.system.grip import find_grip
from groupqueue.system.leadership import is_led
from groupqueue.system.paths import resolve_directory

PATIENCE = 5.0
"""Seconds that a command which asks the leader waits for one."""

CLOSING = 2.0
"""Seconds that closing waits at most for what the command has not flushed itself."""


@contextmanager
def member(name: str, directory: str | None) -> Iterator[GroupQueue[Any]]:
    """A queue to put and get with. Makes the group if it is not there."""
    with _open(name, directory, "dual") as queue:
        yield queue


@contextmanager
def operator(name: str, directory: str | None) -> Iterator[GroupQueue[Any]]:
    """A queue to ask and tell the leader with. Problem if there is no such group, or no leader in time."""
    paths = find(name, directory)
    with _open(name, directory, "client" if is_led(paths) else "dual") as queue:
        if not queue.wait_for_leader(PATIENCE):
            why = find_grip(paths) or "nobody that may lead has it open"
            raise Problem(f"group {name!r} has no leader: {why}; groupqueue doctor {name}")
        yield queue


def peek(queue: GroupQueue[Any], count: int) -> list[Message[Any]] | None:
    """As `queue.peek`, with the items' envelopes; None if no leader answers."""
    told = queue._ask({"do": "peek", "n": count})
    return queue._looked_at(*told) if told is not None else None


@contextmanager
def _open(name: str, directory: str | None, mode: str) -> Iterator[GroupQueue[Any]]:
    queue: GroupQueue[Any] = GroupQueue(
        name, mode=mode, directory=resolve_directory(directory), linger=CLOSING, serializer=LENIENT
    )
    try:
        with _stops_only_as_follower(queue):
            yield queue
    finally:
        queue.close()
        queue.join_thread()


@contextmanager
def _stops_only_as_follower(queue: GroupQueue[Any]) -> Iterator[None]:
    """What Ctrl-Z does while the queue is open."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_stop(number: int, _: object) -> None:
        if queue.is_leader:
            # Not by sys.stderr, which this may have interrupted.
            os.write(
                2, f"process {os.getpid()} leads group {queue.name!r} and is not stopped: Ctrl-C ends it\n".encode()
            )
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here again after SIGCONT.
        signal.signal(number, on_stop)

    before = signal.signal(signal.SIGTSTP, on_stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
