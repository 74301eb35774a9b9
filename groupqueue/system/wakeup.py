"""A descriptor that wakes a poll from another thread or a signal handler."""

from __future__ import annotations

import os


class Wakeup:
    """Readable between `set` and `clear`. `set` never blocks."""

    def __init__(self) -> None:
        self._closing = -1
        if hasattr(os, "eventfd"):
            self.fd = self._write_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        else:
            self.fd, self._write_fd = os.pipe()
            os.set_blocking(self.fd, False)
            os.set_blocking(self._write_fd, False)

    def set(self) -> None:
        try:
            os.write(self._write_fd, b"\1\0\0\0\0\0\0\0")
        except (BlockingIOError, OSError):
            pass

    def clear(self) -> None:
        try:
            os.read(self.fd, 4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Also in a forked child: the parent's descriptors are its own."""
        if self.fd >= 0:
            os.close(self.fd)
            if self._write_fd != self.fd:
                os.close(self._write_fd)
            self.fd = self._write_fd = -1
