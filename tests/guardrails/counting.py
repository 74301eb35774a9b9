"""
What the guard rails count inside the process that is watched: calls, those of them that reach the kernel, and memory.

Counts do not depend on how fast or how busy a machine is, as long as what is counted does not. Batches do: how many
items share one is a matter of time. So what is asserted of a single call is the median of many, which no batch touches,
and what is asserted of batches is counted where they are cut by number.
"""

from __future__ import annotations

import gc
import statistics
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

KERNEL = frozenset(
    """
    open close read write pread pwrite preadv pwritev readv writev lseek fsync fdatasync ftruncate posix_fallocate
    stat lstat fstat listdir scandir mkdir unlink remove rename replace rmdir link flock lockf fcntl sleep pipe pipe2
    mmap.flush mmap.resize mmap.madvise select poll.poll epoll.poll epoll.register epoll.modify epoll.unregister
    kqueue.control eventfd_read eventfd_write socket.send socket.sendall socket.sendmsg socket.recv socket.recv_into
    socket.recvmsg socket.recvmsg_into socket._accept socket.connect socket.getsockopt socket.setsockopt socket.close
    """.split()  # noqa: SIM905  # a table
)
"""Builtins with a system call behind each, by their qualified names."""


class Counts:
    """`with Counts() as counts: ...`: what this thread has called meanwhile."""

    def __enter__(self) -> Counts:
        self.calls = -2  # leaving: __exit__ and setprofile
        self.kernel = 0
        sys.setprofile(self._profile)
        return self

    def __exit__(self, *exc_info: object) -> None:
        sys.setprofile(None)

    def _profile(self, frame: Any, event: str, what: Any) -> None:
        if event == "call":
            self.calls += 1
        elif event == "c_call":
            self.calls += 1
            if getattr(what, "__qualname__", "") in KERNEL:
                self.kernel += 1


def each(action: Callable[[], object], times: int) -> tuple[float, float]:
    """(calls, kernel calls) of one action: the medians of many."""
    for _ in range(20):
        action()
    counted = []
    for _ in range(times):
        with Counts() as counts:
            action()
        counted.append(counts)
    return statistics.median(c.calls for c in counted), statistics.median(c.kernel for c in counted)


def together(action: Callable[[], object], items: int) -> tuple[float, float]:
    """(calls, kernel calls) of one action for each of its items."""
    with Counts() as counts:
        action()
    return counts.calls / items, counts.kernel / items


class Growth:
    """How much more memory Python holds than at the last `mark`. Only what was allocated after its making is known."""

    def __init__(self) -> None:
        tracemalloc.start()
        self.mark()

    def mark(self) -> None:
        self._before = self._held()

    def _held(self) -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    def bytes(self) -> int:
        return self._held() - self._before
