"""Whether a group can live where it lives: its folders' owner and mode, their file system, room on the disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from groupqueue.cli.doctor.findings import Finding, note, wrong
from groupqueue.system.locks import try_lock
from groupqueue.system.paths import GroupPaths, find_fault

LEAST_FREE = 512 * 1024
"""Bytes: one segment of the usual size."""

STALE = 60.0


def examine_place(paths: GroupPaths) -> Iterator[Finding]:
    """All of it. FileNotFoundError if there is no such group."""
    for path in (paths.directory, paths.folder):
        fault = find_fault(path)
        if fault is not None:
            yield wrong("directory", f"{path} {fault.problem}", fault.remedy)
    yield from _examine_owners(paths)
    if os.path.isdir(paths.members):
        yield from _examine_locking(paths)
    yield from _examine_disk(paths)
    yield from _examine_leftovers(paths)


def is_readable(paths: GroupPaths) -> bool:
    """Whether the group is this user's, so that the rest can be looked at."""
    return os.path.isdir(paths.folder) and all(
        os.stat(path).st_uid == os.geteuid() for path in (paths.directory, paths.folder)
    )


def free_bytes(paths: GroupPaths) -> int:
    """What this user may still write to the group's file system."""
    found = os.statvfs(paths.folder)
    blocks = found.f_bfree if os.geteuid() == 0 else found.f_bavail
    return blocks * found.f_frsize


def _examine_owners(paths: GroupPaths) -> Iterator[Finding]:
    owner = os.lstat(paths.folder).st_uid
    for path in (paths.group, paths.lock, paths.members, paths.journal):
        try:
            found = os.lstat(path)
        except OSError:
            continue
        if found.st_uid != owner:
            yield wrong(
                "owner",
                f"{path} belongs to user {found.st_uid}, its folder to {owner}",
                f"chown -R {owner} {paths.folder}",
            )


def _examine_locking(paths: GroupPaths) -> Iterator[Finding]:
    # Nobody else ever locks this folder, so it can be tried without disturbing anyone.
    fd = os.open(paths.members, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        try_lock(fd, shared=True)
    except OSError as error:
        yield wrong(
            "locks",
            f"the file system of {paths.folder} cannot lock: {error.strerror or error}",
            "move the groups to a local one: GROUPQUEUE_DIR or directory=, the same in every process",
        )
    finally:
        os.close(fd)


def _examine_disk(paths: GroupPaths) -> Iterator[Finding]:
    found = os.statvfs(paths.folder)
    if found.f_flag & os.ST_RDONLY:
        yield wrong("read-only", f"the file system of {paths.folder} is mounted read-only", "mount it for writing")
    free = free_bytes(paths)
    if free < LEAST_FREE:
        yield wrong(
            "disk-full",
            f"the disk is full: {free:,} bytes are left for {paths.folder}; puts wait or raise Full, gets go on",
            "make room there, or get items: what they took is given back",
        )
    elif found.f_files and not found.f_favail:
        yield wrong("disk-full", f"the file system of {paths.folder} has no inode left", "remove files there")


def _examine_leftovers(paths: GroupPaths) -> Iterator[Finding]:
    old = time.time() - STALE
    left = [*_older(paths.members, "~", old), *_older(paths.journal, "new-", old)]
    if left:
        yield note(
            "stale", f"left by a process that was killed while it made them: {', '.join(left)}", "a leader removes them"
        )
    left = [*_older(paths.directory, ".new-", old), *_older(paths.directory, ".gone-", old)]
    if left:
        yield note("stale", f"left half-made or half-removed: {', '.join(left)}", "whoever opens a group removes them")


def _older(folder: str, prefix: str, time_: float) -> Iterator[str]:
    try:
        names = sorted(name for name in os.listdir(folder) if name.startswith(prefix))
    except OSError:
        return
    for name in names:
        path = os.path.join(folder, name)
        try:
            if os.lstat(path).st_mtime < time_:
                yield path
        except OSError:
            continue
