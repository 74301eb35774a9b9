"""What a process that has closed its queue must not have any more: descriptors, threads, children."""

from __future__ import annotations

import os
import threading


class Leftovers:
    """Made before the queue is opened; `found` afterwards names what has come since and not gone."""

    def __init__(self) -> None:
        self._descriptors = _descriptors()

    def found(self) -> str:
        """'' if all is as it was."""
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join(5)
        new = _descriptors().items() - self._descriptors.items()
        threads = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
        return " ".join([*(f"{fd}->{target}" for fd, target in sorted(new)), *threads])


def _descriptors() -> dict[int, str]:
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue
    return found
