"""
Who has the leader's lock: the leader, somebody who is about to lead, or what a dead leader left.

The lock file names who led last. Where the system tells who took the lock that name is not needed, and not believed: a
leader writes it only once it has recovered.
"""

from __future__ import annotations

from typing import NamedTuple

from groupqueue.system import process
from groupqueue.system.holders import Holder, find_holders
from groupqueue.system.leadership import is_led, read_note
from groupqueue.system.paths import GroupPaths

DEAD = ("gone", "a zombie", "dead")


class Grip(NamedTuple):
    """`pid` took the lock, 0 if that is not known, and is in `state`. `heirs` hold it in the place of a dead one that
    forked them. `is_seen`: whether whoever holds it can be seen from here.
    """

    pid: int
    state: str
    heirs: list[int]
    is_seen: bool

    @property
    def is_stopped(self) -> bool:
        return not self.heirs and self.state.startswith("stopped")

    def __str__(self) -> str:
        """Why nobody answers, if nobody does."""
        if self.heirs or self.state in DEAD:
            return f"process {self.pid}, which led, is gone, but a child that it forked still holds the group's lock"
        return f"process {self.pid}, which leads, is {self.state} and does not answer"


def find_grip(paths: GroupPaths, holders: list[Holder] | None = None) -> Grip | None:
    """None if the lock is free. `holders`, if they are known already, are those of the lock file."""
    if holders is None:
        holders = find_holders([paths.lock])[paths.lock]
    note = read_note(paths)
    noted = note.pid if note is not None else 0
    if not holders:
        return Grip(noted, process.state_of(noted) if noted else "unknown", [], False) if _is_led(paths) else None
    pids = [holder.pid for holder in holders]
    taken_by = holders[0].taken_by
    if taken_by in pids:
        return Grip(taken_by, process.state_of(taken_by), [], True)
    return Grip(taken_by or noted, "gone", pids, True)


def _is_led(paths: GroupPaths) -> bool:
    try:
        return is_led(paths)
    except OSError:
        # A file system that cannot lock.
        return False
