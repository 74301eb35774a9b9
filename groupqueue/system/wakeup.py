"""A descriptor that wakes a poll from another thread or a signal handler."""

from __future__ import annotations

import os
import threading


class Wakeup:
    """Readable between `set` and `clear`. `set` never blocks.

    Once closed, `set` does nothing: the lock keeps a late one from writing to whatever has the descriptor's number by
    then. It is re-entrant, for a signal handler may set on top of a `set`.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        if hasattr(os, "eventfd"):
            self.fd = self._write_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self.fd, self._write_fd = os.pipe()
            os.set_blocking(self.fd, False)
            os.set_blocking(self._write_fd, False)

    def set(self) -> None:
        with self._lock:
            if self._write_fd >= 0:
                try:
                    os.write(self._write_fd, b"\1\0\0\0\0\0\0\0")
                except BlockingIOError:
                    pass

    def clear(self) -> None:
        try:
            os.read(self.fd, 4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        with self._lock:
            self.abandon()

    def abandon(self) -> None:
        """As `close`, in a forked child, where nobody can release the lock. The parent's descriptors are its own."""
        if self.fd >= 0:
            os.close(self.fd)
            if self._write_fd != self.fd:
                os.close(self._write_fd)
            self.fd = self._write_fd = -1
