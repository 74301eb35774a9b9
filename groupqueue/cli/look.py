"""`groupqueue stats NAME` and `groupqueue ls`: looking at groups without disturbing them."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import Any

from groupqueue.cli import Problem, say
from groupqueue.cli.viewer import Sight, Viewer, others
from groupqueue.exceptions import GroupDirectoryError
from groupqueue.system.deadline import Deadline
from groupqueue.system.paths import GroupPaths, check_directory, find_fault, resolve_directory

COLUMNS = ("leader", "epoch", "ready", "in flight", "failed", "put", "finished", "members")


def stats(name: str, directory: str | None, as_json: bool, watch: bool, interval: float) -> int:
    """Prints what a `Viewer` sees; 1 if a process holds the lock and does not serve."""
    paths = find(name, directory)
    with Viewer(paths) as viewer:
        sight = viewer.look()
        if watch:
            _watch(viewer, sight, paths.directory, as_json, interval)
        if as_json:
            say(json.dumps(as_plain(sight, paths.directory), indent=2))
        else:
            for label, value in _rows(sight, paths.directory):
                say(f"{label:<10} {value}")
    return 1 if sight.problem else 0


def find(name: str, directory: str | None) -> GroupPaths:
    """Where the group is; Problem if there is none."""
    paths = GroupPaths(resolve_directory(directory), name)
    try:
        check_directory(paths.directory, name)
        check_directory(paths.folder, name)
    except FileNotFoundError:
        raise Problem(f"there is no group {name!r} in {paths.directory}") from None
    return paths


def _watch(viewer: Viewer, sight: Sight, directory: str, as_json: bool, interval: float) -> None:
    """A line to each look, the columns' names above every twentieth; until it is interrupted."""
    count = 0
    while True:
        pause = Deadline(interval)
        if as_json:
            say(json.dumps({"time": time.time(), **as_plain(sight, directory)}))
        else:
            if count % 20 == 0:
                say(f"{'time':>8}" + "".join(f"{name:>10}" for name in COLUMNS))
            say(f"{time.strftime('%H:%M:%S'):>8}" + "".join(f"{value:>10}" for value in _columns(sight)))
        count += 1
        time.sleep(pause.remaining() or 0.0)
        sight = viewer.look()


def _columns(sight: Sight) -> list[str]:
    found = sight.stats
    leader = str(found.leader_pid or ("wrong" if sight.problem else "-"))
    numbers = (found.epoch, found.ready, found.in_flight, found.failed, found.total_put, found.total_finished)
    return [leader, *map(str, numbers), str(len(others(found)))]


def ls(directory: str | None, as_json: bool) -> int:
    """Prints one line to a group; 1 if there is one that cannot be looked at."""
    where = resolve_directory(directory)
    sights, unseen = look_at_all(where)
    for name, error in unseen.items():
        sys.stderr.write(f"groupqueue ls: group {name!r} cannot be looked at: {error}\n")
    status = 1 if unseen else 0
    if as_json:
        say(json.dumps([as_plain(sight, where) for sight in sights], indent=2))
        return status
    if not sights:
        if not unseen:
            sys.stderr.write(f"no groups in {where}\n")
        return status
    width = max(5, *(len(sight.stats.name) for sight in sights))
    say(f"{'group':<{width}}  {'leader':>7}  {'epoch':>5}  {'ready':>8}  {'in flight':>9}  {'failed':>6}")
    for found, problem in sights:
        leader = str(found.leader_pid or ("wrong" if problem else "-"))
        say(
            f"{found.name:<{width}}  {leader:>7}  {found.epoch:>5}  {found.ready:>8}  {found.in_flight:>9}"
            f"  {found.failed:>6}"
        )
    return status


def group_names(directory: str) -> list[str]:
    """The groups of a directory that have a name, in order; none if there is no directory."""
    try:
        fault = find_fault(directory)
        if fault is not None:
            raise GroupDirectoryError(fault.errno, f"the directory {directory} {fault.problem}; {fault.remedy}")
        return sorted(
            entry.name
            for entry in os.scandir(directory)
            if not entry.name.startswith(".") and os.path.exists(os.path.join(entry.path, "group"))
        )
    except FileNotFoundError:
        return []


def look_at_all(directory: str) -> tuple[list[Sight], dict[str, OSError]]:
    """Every group of a directory that has a name, in the order of the names, and why some cannot be looked at."""
    sights = []
    unseen = {}
    for name in group_names(directory):
        # Problem: it has been removed meanwhile.
        with contextlib.suppress(Problem):
            try:
                with Viewer(GroupPaths(directory, name)) as viewer:
                    sights.append(viewer.look())
            except OSError as error:
                unseen[name] = error
    return sights, unseen


def as_plain(sight: Sight, directory: str) -> dict[str, Any]:
    """What JSON can say: the fields of `Stats`, the members without the one that asked."""
    found = sight.stats
    plain = {name: getattr(found, name) for name in found.__dataclass_fields__}
    return {**plain, "members": others(found), "directory": directory, "problem": sight.problem}


def _rows(sight: Sight, directory: str) -> list[tuple[str, str]]:
    found = sight.stats
    if found.leader_pid:
        leader = f"process {found.leader_pid}, epoch {found.epoch}"
    else:
        leader = f"none: {sight.problem}" if sight.problem else f"none; the last epoch was {found.epoch}"
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
        rows += [
            ("" if index else "members", "process {pid}, {mode}, {role}".format(**member))
            for index, member in enumerate(others(found))
        ]
    return rows
