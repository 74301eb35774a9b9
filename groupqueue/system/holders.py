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


def find_holders(paths: Iterable[str]) -> dict[str, list[int]]:
    """To each path the pids of the processes that hold its flock, as far as they can be seen from here."""
    found: dict[str, list[int]] = {path: [] for path in paths}
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
        for path in _held_by(pid, wanted):
            found[path].append(pid)
    return found


def _held_by(pid: int, wanted: dict[tuple[int, int], str]) -> set[str]:
    held: set[str] = set()
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:
        return held
    for name in names:
        try:
            there = os.stat(f"{folder}/{name}")
            path = wanted.get((there.st_dev, there.st_ino))
            if path is not None and path not in held and _has_flock(pid, name):
                held.add(path)
        except OSError:
            continue
    return held


def _has_flock(pid: int, fd: str) -> bool:
    with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii", errors="replace") as lines:
        return any(line.startswith("lock:") and " FLOCK " in line for line in lines)
