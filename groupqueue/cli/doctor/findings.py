"""What the doctor says: one thing found, and what to do about it."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """`name` is for programs, `text` and `remedy` for people. `wrong`: the group is not healthy while it stands."""

    name: str
    wrong: bool
    text: str
    remedy: str = ""


def wrong(name: str, text: str, remedy: str) -> Finding:
    """Something that keeps the group, or a part of it, from working."""
    return Finding(name, True, text, remedy)


def note(name: str, text: str, remedy: str = "") -> Finding:
    """Something to know."""
    return Finding(name, False, text, remedy)


def processes(pids: list[int]) -> str:
    """'process 12', 'processes 12 and 15' ..."""
    words = [str(pid) for pid in pids]
    if len(words) == 1:
        return f"process {words[0]}"
    return f"processes {', '.join(words[:-1])} and {words[-1]}"
