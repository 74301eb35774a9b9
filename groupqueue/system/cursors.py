"""
The members' files: `members/<id>`, flocked by its owner for life, mapped by its owner and by the leader.

Words (u64, native): taken, settled, attention, credited, opened, waiting. The leader writes attention and credited, the
owner the others.
From byte 4096 on a ring of 4096 bytes, one to a position modulo 4096: 1 if the item was taken to be held. The owner
writes the ring before `taken`; the leader grants no position whose byte in the ring it has not read.
"""

from __future__ import annotations

import mmap
import os
import re
import stat
import time
from contextlib import suppress

from groupqueue.core.inbox import ATTENTION, CREDITED, OPENED, RING, SETTLED, TAKEN, WAITING
from groupqueue.system.disk import allocate, is_full, remedy_of
from groupqueue.system.locks import try_lock
from groupqueue.system.paths import open_private, open_to_look

_RING_AT = 4096
_SIZE = _RING_AT + RING
_MOST = (1 << 64) - 1
_STALE_NEW = 60.0
_NAME = re.compile("[0-9a-f]{16}")


class MemberFile:
    """This process's own file. Its lock and its mapping are let go together."""

    def __init__(self, folder: str) -> None:
        self.member = 0
        while not self.member:
            self.member = int.from_bytes(os.urandom(8), "little") >> 1
        self.path = os.path.join(folder, f"{self.member:016x}")
        new = os.path.join(folder, f"~{self.member:016x}")
        self._fd = open_private(new, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        try:
            allocate(self._fd, _SIZE)
            if not try_lock(self._fd):
                raise OSError(f"cannot lock {new}, which this process has just made")
            os.rename(new, self.path)
            self._map: mmap.mmap | None = mmap.mmap(self._fd, _SIZE)
        except BaseException as error:
            os.close(self._fd)
            for path in (new, self.path):
                with suppress(FileNotFoundError):
                    os.unlink(path)
            if isinstance(error, OSError) and is_full(error):
                text = f"cannot make a member's file in {folder}: {error.strerror}; {remedy_of(error)}"
                raise OSError(error.errno, text) from error
            raise
        self.words = memoryview(self._map)[:_RING_AT].cast("Q")
        self.ring = memoryview(self._map)[_RING_AT:]

    @property
    def is_abandoned(self) -> bool:
        return self._map is None

    def remove(self) -> None:
        """The member is gone, and the leader knows."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        self.abandon()

    def abandon(self) -> None:
        """Lets go of the file as a death would; in a forked child, of the copy. Nobody may use the words any more."""
        if self._map is not None:
            self.words.release()
            self.ring.release()
            self._map.close()
            self._map = None
            os.close(self._fd)
            self._fd = -1


class Cursors:
    """The leader's view of all members' files. Implements `CursorsPort`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._open: dict[int, tuple[mmap.mmap, memoryview]] = {}

    def taken(self, member: int) -> int | None:
        words = self._words(member)
        return None if words is None else int(words[TAKEN])

    def opened(self, member: int) -> int:
        words = self._words(member)
        return 0 if words is None else int(words[OPENED])

    def waiting(self, member: int) -> int:
        words = self._words(member)
        return 0 if words is None else int(words[WAITING])

    def claimed(self, member: int) -> int:
        words = self._words(member)
        return 0 if words is None else max(int(words[CREDITED]) - int(words[SETTLED]), 0)

    def credit(self, member: int, count: int) -> None:
        words = self._words(member)
        if words is not None:
            # What stands there may be anything, if its owner is out of its mind.
            words[CREDITED] = (words[CREDITED] + count) & _MOST

    def attend(self, member: int, state: int) -> None:
        words = self._words(member)
        if words is not None:
            words[ATTENTION] = state

    def held(self, member: int, start: int, end: int) -> list[int]:
        if self._words(member) is None:
            return []
        mapped = self._open[member][0]
        first, last = start % RING, end % RING
        if first < last:
            marks = mapped[_RING_AT + first : _RING_AT + last]
        else:
            marks = mapped[_RING_AT + first : _RING_AT + RING] + mapped[_RING_AT : _RING_AT + last]
        if not any(marks):
            return []
        return [start + index for index, mark in enumerate(marks) if mark]

    def members(self) -> list[int]:
        """Every member that has a file."""
        found = []
        for name in os.listdir(self._folder):
            if name.startswith("~"):
                self._sweep(name)
                continue
            # A folder or a link there is nobody's: no member, and nothing to be looked after.
            if _NAME.fullmatch(name) and _is_file(os.path.join(self._folder, name)):
                found.append(int(name, 16))
        return found

    def _sweep(self, name: str) -> None:
        """A file that its owner died in the midst of making."""
        path = os.path.join(self._folder, name)
        try:
            if time.time() - os.stat(path).st_mtime > _STALE_NEW:
                os.unlink(path)
        except OSError:
            pass

    def is_dead(self, member: int) -> bool:
        """Whether nobody holds the member's lock."""
        found = self._open_file(member)
        if found is None:
            return True
        fd, _ = found
        try:
            return try_lock(fd)
        finally:
            os.close(fd)

    def remove(self, member: int) -> None:
        """Forgets a dead member."""
        self._close(member)
        try:
            os.unlink(self._path(member))
        except (FileNotFoundError, IsADirectoryError, PermissionError):
            pass

    def close(self) -> None:
        for member in list(self._open):
            self._close(member)

    def _close(self, member: int) -> None:
        opened = self._open.pop(member, None)
        if opened is not None:
            mapped, words = opened
            words.release()
            mapped.close()

    def _open_file(self, member: int) -> tuple[int, bool] | None:
        """None if there is none, or something that no member has made."""
        path = self._path(member)
        try:
            return open_to_look(path)
        except OSError:
            if _is_file(path):
                raise
            return None

    def _path(self, member: int) -> str:
        return os.path.join(self._folder, f"{member:016x}")

    def _words(self, member: int) -> memoryview | None:
        opened = self._open.get(member)
        if opened is None:
            found = self._open_file(member)
            if found is None:
                return None
            fd, may_write = found
            try:
                if os.fstat(fd).st_size < _SIZE:
                    return None
                mapped = mmap.mmap(fd, _SIZE, prot=mmap.PROT_READ | (mmap.PROT_WRITE if may_write else 0))
            finally:
                os.close(fd)
            opened = self._open[member] = (mapped, memoryview(mapped)[:_RING_AT].cast("Q"))
        return opened[1]


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False
