"""
Groups for one test: where they live, what is left of them, and that it goes.

Who is still there is told by the lock that every member holds on its group, and that a forked child shares: exact also
under SIGKILL, and nobody is asked.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import suppress
from typing import Any, TypeVar

from groupqueue.queues import GroupQueue, JoinableGroupQueue
from groupqueue.system import forking, holders
from groupqueue.system.locks import try_lock
from groupqueue.system.paths import GroupPaths

__all__ = ["TestGroups"]

Q = TypeVar("Q", bound=GroupQueue[Any])

GRACE = 2.0
"""Seconds that a process has to end, and a handle to close, before it counts as left behind."""

STEP = 0.01


class TestGroups:
    """Opens queues in a directory of their own; `end` closes them, and removes it.

    What the fixture `group_queue` is.

        q = group_queue("jobs", maxsize=10)
    """

    __test__ = False

    def __init__(self) -> None:
        # Not below pytest's own: the path of a Unix socket is short.
        self._directory = tempfile.mkdtemp(prefix="gq-", dir="/tmp")
        self._opened: list[GroupQueue[Any]] = []
        self._children = set(_children())

    @property
    def directory(self) -> str:
        """Where they live.

        `$GROUPQUEUE_DIR` names it while the test runs.

            print(group_queue.directory)
        """
        return self._directory

    def __call__(self, name: str | None = "test", maxsize: int | None = None, **options: Any) -> GroupQueue[Any]:
        """A queue in this directory, closed at the end of the test.

        Arguments and errors are those of GroupQueue.

            q = group_queue()
        """
        return self._keep(GroupQueue(name, maxsize, directory=self._directory, **options))

    def joinable(
        self, name: str | None = "test", maxsize: int | None = None, **options: Any
    ) -> JoinableGroupQueue[Any]:
        """The same, as a JoinableGroupQueue.

        Raises as that does.

            q = group_queue.joinable("tasks")
        """
        return self._keep(JoinableGroupQueue(name, maxsize, directory=self._directory, **options))

    def _keep(self, queue: Q) -> Q:
        self._opened.append(queue)
        return queue

    def end(self) -> list[str]:
        """Closes what was opened here, waits `GRACE` for the rest, ends it, and says what it was: a line each."""
        for queue in self._opened:
            # What nobody has taken by now nobody wants: closing waits for no leader.
            queue.cancel_join_thread()
            queue.close()
        for queue in self._opened:
            queue.join_thread()
        self._opened.clear()
        try:
            return self._end_the_rest()
        finally:
            shutil.rmtree(self._directory, ignore_errors=True)

    def _end_the_rest(self) -> list[str]:
        deadline = time.monotonic() + GRACE
        left = self._find_left()
        while left and time.monotonic() < deadline:
            # A handle that nobody has any more closes when it is collected.
            gc.collect()
            time.sleep(STEP)
            left = self._find_left()
        told = [f"{_who(pid)} {why}" for pid, why in sorted(left.items())]
        for pid in left:
            if pid == os.getpid():
                self._close_ours()
            elif pid:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        return told

    def _close_ours(self) -> None:
        """A member whose directory goes would make it anew."""
        for member in forking.participants():
            if member.paths.directory == self._directory:
                member.cancel_flush()
                member.finish_closing(GRACE)

    def _find_left(self) -> dict[int, str]:
        """To each process why it should not be there; 0 is one that the system does not name."""
        left: dict[int, str] = {}
        for pid in set(_children()) - self._children:
            left[pid] = "still runs; join it"
        groups = {GroupPaths(self._directory, name).group: name for name in _names(self._directory)}
        groups = {path: name for path, name in groups.items() if _is_held(path)}
        found = holders.find_holders(groups)
        for path, name in groups.items():
            for pid in {holder.pid for holder in found[path]} or {0}:
                left[pid] = f"still has group {name!r} open; close it"
        return left


def _names(directory: str) -> list[str]:
    """What is in the directory: nothing, if the test itself has removed it."""
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


def _children() -> list[int]:
    """The children that multiprocessing knows; importing it, where nobody has, would tell of none."""
    module = sys.modules.get("multiprocessing")
    return [child.pid for child in module.active_children() if child.pid] if module is not None else []


def _is_held(path: str) -> bool:
    """Whether a member lives: each holds a shared lock on this file for as long."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not try_lock(fd)
    finally:
        os.close(fd)


def _who(pid: int) -> str:
    if pid == 0:
        return "a process"
    if pid == os.getpid():
        return "this process"
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        words = ""
    return f"process {pid} ({words[:200]})" if words else f"process {pid}"
