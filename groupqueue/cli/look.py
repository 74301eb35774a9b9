"""
`groupqueue stats NAME` and `groupqueue ls`: looking at groups without disturbing them.

A group that is led is asked, as a client. One that is not is read from its directory and not joined: opening makes a
group that is not there, and revives one that was shut down.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from typing import Any, NamedTuple

from groupqueue.cli import Problem, say
from groupqueue.queues import GroupQueue
from groupqueue.stats import Stats
from groupqueue.system import offline, process
from groupqueue.system.leadership import is_led, read_note
from groupqueue.system.membership import read_terms
from groupqueue.system.paths import GroupPaths, check_directory, resolve_directory


class Sight(NamedTuple):
    """A group as seen from outside. `silent`: why a leader that holds the lock does not answer, '' if it does."""

    stats: Stats
    silent: str


def stats(name: str, directory: str | None, as_json: bool) -> int:
    """Prints what `look` sees; 1 if a process holds the lock and does not serve."""
    paths = GroupPaths(resolve_directory(directory), name)
    try:
        check_directory(paths.directory, name)
        sight = look(paths)
    except FileNotFoundError:
        raise Problem(f"there is no group {name!r} in {paths.directory}") from None
    if as_json:
        say(json.dumps(as_plain(sight, paths.directory), indent=2))
    else:
        for label, value in _rows(sight, paths.directory):
            say(f"{label:<10} {value}")
    return 1 if sight.silent else 0


def ls(directory: str | None, as_json: bool) -> int:
    """Prints one line to a group."""
    where = resolve_directory(directory)
    sights = look_at_all(where)
    if as_json:
        say(json.dumps([as_plain(sight, where) for sight in sights], indent=2))
        return 0
    if not sights:
        sys.stderr.write(f"no groups in {where}\n")
        return 0
    width = max(5, *(len(sight.stats.name) for sight in sights))
    say(f"{'group':<{width}}  {'leader':>7}  {'epoch':>5}  {'ready':>8}  {'in flight':>9}  {'failed':>6}")
    for found, silent in sights:
        leader = str(found.leader_pid or ("silent" if silent else "-"))
        say(
            f"{found.name:<{width}}  {leader:>7}  {found.epoch:>5}  {found.ready:>8}  {found.in_flight:>9}"
            f"  {found.failed:>6}"
        )
    return 0


def look(paths: GroupPaths) -> Sight:
    """FileNotFoundError if there is no such group, GroupDirectoryError if its folder is not one of ours."""
    check_directory(paths.folder, paths.name)
    with open(paths.group, "rb") as file:
        terms = read_terms(file.fileno())
    if not is_led(paths):
        return Sight(Stats.from_reply(paths.name, None, terms.maxsize, offline.inspect(paths)), "")
    with GroupQueue[Any](paths.name, mode="client", directory=paths.directory, linger=0) as queue:
        found = queue.stats()
    return Sight(found, "" if found.leader_pid else _why_silent(paths))


def look_at_all(directory: str) -> list[Sight]:
    """Every group of a directory that has a name, in the order of the names; none if there is no directory."""
    try:
        check_directory(directory, "(all)")
        names = sorted(entry.name for entry in os.scandir(directory) if not entry.name.startswith("."))
    except FileNotFoundError:
        return []
    sights = []
    for name in names:
        with contextlib.suppress(OSError):
            sights.append(look(GroupPaths(directory, name)))
    return sights


def as_plain(sight: Sight, directory: str) -> dict[str, Any]:
    """What JSON can say: the fields of `Stats`, the members without the one that asked."""
    found = sight.stats
    plain = {name: getattr(found, name) for name in found.__dataclass_fields__}
    plain["members"] = [member._asdict() for member in found.members if member.pid != os.getpid()]
    return {**plain, "directory": directory, "problem": sight.silent}


def _why_silent(paths: GroupPaths) -> str:
    note = read_note(paths)
    if note is None or not is_led(paths):
        return ""
    state = process.state_of(note.pid)
    if state == "gone":
        return f"process {note.pid}, which led, is gone, but a child that it forked still holds the group's lock"
    return f"process {note.pid}, which leads, is {state} and does not answer"


def _rows(sight: Sight, directory: str) -> list[tuple[str, str]]:
    found = sight.stats
    if found.leader_pid:
        leader = f"process {found.leader_pid}, epoch {found.epoch}"
    else:
        leader = f"none: {sight.silent}" if sight.silent else f"none; the last epoch was {found.epoch}"
    rows = [
        ("group", found.name),
        ("directory", directory),
        ("leader", leader),
        ("maxsize", str(found.maxsize) if found.maxsize else "unbounded"),
        ("ready", f"{found.ready:,}"),
        ("in flight", f"{found.in_flight:,}"),
        ("failed", f"{found.failed:,}"),
        ("bytes", f"{found.bytes:,}"),
        ("totals", f"{found.total_put:,} put, {found.total_finished:,} finished"),
    ]
    if found.lost:
        rows.append(("lost", f"{found.lost:,} to a damaged journal"))
    if found.is_shut_down:
        rows.append(("shut down", "yes"))
    if found.leader_pid:
        rows.append(("waiting", f"{found.waiting_getters} in get, {found.waiting_putters} in put"))
        others = [member for member in found.members if member.pid != os.getpid()]
        rows += [
            ("members" if not index else "", f"process {member.pid}, {member.mode}, {member.role}")
            for index, member in enumerate(others)
        ]
    return rows
