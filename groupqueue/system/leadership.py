"""
Being the one leader: LOCK_EX on `lock` and on the group's folder.

The lock file is never unlinked, for a lock file that is removed and made again is two locks. If somebody does remove
it, the second lock, on the folder itself, still says that there is a leader (and has systemd-tmpfiles pass the folder
over).
"""

from __future__ import annotations

import json
import os
from typing import NamedTuple

from groupqueue.system.locks import is_same_file, try_lock
from groupqueue.system.paths import GroupPaths, open_private

# Of a pid, and of an epoch, which is the upper half of a segment's number.
MOST = 1 << 31

_NOTE_SIZE = 256


class LeaderNote(NamedTuple):
    """What the lock file tells people: who led last, and in which epoch."""

    pid: int
    epoch: int


class Leadership:
    """The two locks. Let go by closing, never by unlocking: a forked child shares them."""

    def __init__(self, paths: GroupPaths, lock_fd: int, folder_fd: int) -> None:
        self._paths = paths
        self._lock_fd = lock_fd
        self._folder_fd = folder_fd

    @classmethod
    def try_take(cls, paths: GroupPaths) -> Leadership | None:
        """The leadership if it is free; FileNotFoundError if the group's folder is gone."""
        lock_fd = open_private(paths.lock, os.O_RDWR | os.O_CREAT)
        folder_fd = -1
        try:
            if try_lock(lock_fd) and is_same_file(lock_fd, paths.lock):
                folder_fd = os.open(paths.folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW)
                if try_lock(folder_fd):
                    return cls(paths, lock_fd, folder_fd)
        except BaseException:
            os.close(lock_fd)
            if folder_fd >= 0:
                os.close(folder_fd)
            raise
        os.close(lock_fd)
        if folder_fd >= 0:
            os.close(folder_fd)
        return None

    def note(self, pid: int, epoch: int) -> None:
        """Writes into the lock file who leads."""
        os.pwrite(self._lock_fd, json.dumps({"pid": pid, "epoch": epoch}).encode().ljust(64) + b"\n", 0)

    def last_note(self) -> LeaderNote | None:
        """Who led before. Needs no descriptor of its own: without one, an epoch would be forgotten."""
        return _parse(os.pread(self._lock_fd, _NOTE_SIZE, 0))

    def is_intact(self) -> bool:
        """Whether the paths still lead to what is locked."""
        return is_same_file(self._lock_fd, self._paths.lock) and is_same_file(self._folder_fd, self._paths.folder)

    def close(self) -> None:
        for fd in (self._lock_fd, self._folder_fd):
            if fd >= 0:
                os.close(fd)
        self._lock_fd = self._folder_fd = -1


def read_note(paths: GroupPaths) -> LeaderNote | None:
    """Who wrote into the lock file last; that process need not live."""
    try:
        with open(paths.lock, "rb") as file:
            return _parse(file.read(_NOTE_SIZE))
    except OSError:
        return None


def _parse(data: bytes) -> LeaderNote | None:
    try:
        found = json.loads(data)
        note = LeaderNote(int(found["pid"]), int(found["epoch"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return note if 0 < note.pid < MOST and 0 <= note.epoch < MOST else None


def is_led(paths: GroupPaths) -> bool:
    """Whether somebody holds the leader's lock."""
    try:
        fd = os.open(paths.lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not try_lock(fd, shared=True)
    finally:
        os.close(fd)
