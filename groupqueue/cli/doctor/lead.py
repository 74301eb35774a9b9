"""
Who leads, or why nobody does.

First the facts, gathered until they are plain or patience is over, for a failover takes a moment; then what they mean,
decided by the facts alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

from groupqueue.cli.doctor.findings import Finding, note, processes, wrong
from groupqueue.cli.doctor.ring import Contact, ring
from groupqueue.system import process
from groupqueue.system.deadline import Deadline
from groupqueue.system.grip import Grip, find_grip
from groupqueue.system.holders import find_holders
from groupqueue.system.locks import try_lock
from groupqueue.system.paths import GroupPaths

PATIENCE = 1.5
"""Seconds in which somebody takes over and serves, if anybody can."""

ANSWER = 1.0
PAUSE = 0.1


class Facts(NamedTuple):
    """What is seen of a group's processes.

    `grip`: who has the leader's lock. `folder_pids`: who holds the lock on the folder. `member_pids`: who has the group
    open; `living` and `dead` count the members' files by whether somebody holds them. `states`: of the members' pids.
    """

    contact: Contact
    grip: Grip | None
    folder_pids: list[int]
    member_pids: list[int]
    living: int
    dead: int
    states: dict[int, str]

    @property
    def stopped(self) -> list[int]:
        return [pid for pid in self.member_pids if self.states[pid].startswith("stopped")]

    @property
    def is_plain(self) -> bool:
        """Whether waiting would change nothing."""
        if self.contact is Contact.ANSWERS:
            return True
        if self.grip is not None:
            # Not if a child holds the lock: it may be about to let go, as forks of Python do at once.
            return self.grip.is_stopped
        return not (self.folder_pids or self.living or self.member_pids)


def gather(paths: GroupPaths) -> Facts:
    """The facts once they are plain, or after `PATIENCE` seconds."""
    deadline = Deadline(PATIENCE)
    while True:
        facts = _look(paths)
        if facts.is_plain or deadline.expired:
            return facts
        time.sleep(PAUSE)


def examine_leader(facts: Facts, paths: GroupPaths) -> Iterator[Finding]:
    """What the facts mean."""
    if facts.contact is Contact.ANSWERS:
        pass
    elif facts.grip is not None:
        yield _why_silent(facts.grip, facts.contact, paths)
    elif facts.folder_pids:
        yield wrong(
            "folder-locked",
            f"{processes(facts.folder_pids)} holds a lock on {paths.folder} without being the leader: nobody can lead",
            "end it, or have it let go; members need that lock for themselves",
        )
    elif facts.living or facts.member_pids:
        yield _why_nobody(facts, paths)
    else:
        yield note("nobody", "nobody has the group open; items wait for the next process that does")
    for pid in facts.stopped:
        if facts.grip is None or pid != facts.grip.pid:
            yield note("member-stopped", f"{processes([pid])}, a member, is {facts.states[pid]}", f"kill -CONT {pid}")
    if facts.dead:
        yield note(
            "dead-members",
            f"{facts.dead} member(s) died, or left unheard; what they had goes to others as soon as somebody leads",
        )


def _look(paths: GroupPaths) -> Facts:
    contact = ring(paths.socket, ANSWER)
    files = _member_files(paths)
    holders = find_holders([paths.lock, paths.folder, paths.group, *files])
    living = sum(1 for path in files if holders[path] or _is_held(path))
    members = sorted({holder.pid for path in (paths.group, *files) for holder in holders[path]})
    return Facts(
        contact=contact,
        grip=find_grip(paths, holders[paths.lock]),
        folder_pids=[holder.pid for holder in holders[paths.folder]],
        member_pids=members,
        living=living,
        dead=len(files) - living,
        states={pid: process.state_of(pid) for pid in members},
    )


def _member_files(paths: GroupPaths) -> list[str]:
    try:
        names = os.listdir(paths.members)
    except OSError:
        return []
    return [os.path.join(paths.members, name) for name in names if not name.startswith("~")]


def _is_held(path: str) -> bool:
    """Whether a process that cannot be seen from here holds the file's lock."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not try_lock(fd, shared=True)
    except OSError:
        return False
    finally:
        os.close(fd)


# What it means


def _why_silent(grip: Grip, contact: Contact, paths: GroupPaths) -> Finding:
    pid, state = grip.pid, grip.state
    who = f"process {pid}, which leads,"
    if grip.heirs:
        return wrong(
            "orphaned-lock",
            f"process {pid}, which led, is dead, but {processes(grip.heirs)}, which it forked, still "
            f"{'holds' if len(grip.heirs) == 1 else 'hold'} the group's lock: nobody can lead",
            f"end it: kill {' '.join(map(str, grip.heirs))}",
        )
    if not grip.is_seen:
        return wrong(
            "hidden-leader",
            f"{grip}: it is in another container, or another user's",
            f"look there, or on the host: groupqueue doctor {paths.name}, fuser {paths.lock}",
        )
    if grip.is_stopped:
        return wrong(
            "leader-stopped",
            f"{who} is {state}: everybody waits, and nobody takes over while it holds the lock",
            f"kill -CONT {pid}, or end it: kill -KILL {pid}",
        )
    if contact is Contact.FOREIGN:
        return wrong("foreign-socket", f"{paths.socket} is another user's", f"end process {pid}, remove the socket")
    if contact is Contact.NO_SOCKET:
        return wrong(
            "no-socket",
            f"{who} is {state}, but its socket {paths.socket} is not there: nobody else gets in",
            f"if somebody has removed it, end the process, and another member takes over: kill {pid}",
        )
    if contact is Contact.NOBODY_LISTENS:
        return wrong(
            "not-serving",
            f"{who} is {state}, holds the lock and does not listen",
            "if it is recovering a large backlog, wait: half a millisecond to each MiB; what else keeps it from "
            "serving, the logger groupqueue says there",
        )
    return wrong(
        "leader-silent",
        f"{who} is {state} and does not answer",
        "a process that computes without letting go of the GIL should open the group with mode='client', and "
        f"`groupqueue serve {paths.name}` lead; if it hangs, end it and another takes over: kill {pid}",
    )


def _why_nobody(facts: Facts, paths: GroupPaths) -> Finding:
    who = processes(facts.member_pids) if facts.member_pids else f"{facts.living} process(es) that cannot be seen here"
    has = "have" if len(facts.member_pids) != 1 else "has"
    if facts.stopped:
        return wrong(
            "no-leader",
            f"{who} {has} the group open, but {processes(facts.stopped)} {'is' if len(facts.stopped) == 1 else 'are'} "
            "stopped and nobody else may lead",
            f"kill -CONT {' '.join(map(str, facts.stopped))}, or: groupqueue serve {paths.name}",
        )
    return wrong(
        "no-leader",
        f"{who} {has} the group open, but only with mode='client', or cannot lead: nobody serves it",
        f"groupqueue serve {paths.name}; if a member should lead, its logger groupqueue says why it cannot",
    )
