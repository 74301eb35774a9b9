"""What the system tells about another process."""

from __future__ import annotations

import os

_STATES = {
    "R": "running",
    "S": "sleeping",
    "D": "in uninterruptible sleep",
    "T": "stopped",
    "t": "stopped by a debugger",
    "Z": "a zombie",
    "X": "dead",
}


def state_of(pid: int) -> str:
    """The state of a process in words: 'stopped', 'running' ...; 'gone' if there is none, 'alive' if that is all one
    sees.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            letter = file.read().rpartition(b")")[2].split()[0].decode()
        return _STATES.get(letter, letter)
    except (OSError, IndexError):
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return "gone"
    except OSError:
        pass
    return "alive"


def is_stopped(pid: int) -> bool:
    return state_of(pid).startswith("stopped")
