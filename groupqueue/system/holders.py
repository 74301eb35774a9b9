"""
Who holds a file's flock, as Linux tells it: no lock is taken to find out.

A flock belongs to an open file, which a forked child shares, and `fdinfo` names the locks of the open file behind every
descriptor. So a child that keeps the lock of a dead parent is found too, which /proc/locks would tell under the
parent's pid, or in a container not at all. Only processes that this one may look into are seen: those of the same
user, in the same pid namespace or one below.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple


class Holder(NamedTuple):
    """A process that holds a lock, and who took it: another one, if this one inherited it; 0 where that is not told."""

    pid: int
    taken_by: int


def are_told() -> bool:
    """Whether the system tells at all."""
    return os.path.isdir("/proc/self/fdinfo")


def find_holders(paths: Iterable[str]) -> dict[str, list[Holder]]:
    """To each path who holds its flock, in the order of the pids, as far as they can be seen from here."""
    found: dict[str, list[Holder]] = {path: [] for path in paths}
    wanted: dict[tuple[int, int], str] = {}
    for path in found:
        try:
            there = os.stat(path, follow_symlinks=False)
        except OSError:
            continue
        wanted[there.st_dev, there.st_ino] = path
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return found
    for pid in sorted(pids):
        for path, taken_by in _held_by(pid, wanted).items():
            found[path].append(Holder(pid, taken_by))
    return found


def _held_by(pid: int, wanted: dict[tuple[int, int], str]) -> dict[str, int]:
    held: dict[str, int] = {}
    folder = f"/proc/{pid}/fd"
    bases = {os.path.basename(path) for path in wanted.values()}
    try:
        names = os.listdir(folder)
    except OSError:
        return held
    for name in names:
        try:
            # Most descriptors lead elsewhere, and to look there could hang, on a network file system that is gone.
            if os.path.basename(os.readlink(f"{folder}/{name}")) not in bases:
                continue
            there = os.stat(f"{folder}/{name}")
            path = wanted.get((there.st_dev, there.st_ino))
            if path is not None and path not in held:
                taken_by = _taker(pid, name)
                if taken_by is not None:
                    held[path] = taken_by
        except (OSError, ValueError):
            continue
    return held


def _taker(pid: int, fd: str) -> int | None:
    """Who took the flock that is held by this descriptor; None if none is."""
    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii", errors="replace") as lines:
        for line in lines:
            fields = line.split()
            if fields[:1] == ["lock:"] and fields[2] == "FLOCK":
                return int(fields[5])
    return None
