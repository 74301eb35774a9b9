"""
A disk behind a page cache, both of which a test can see: the files are the cache, `Platter` is what is on the disk.

It fails as Linux file systems do: where a write-back fails the page is marked clean, one sync reports the error, and
the next one succeeds without writing the page. A clean page may be evicted at any time; what is then read is the disk.
And it fails as ext4 does where blocks were allocated and never written: a page of them that failed stays `stuck` until
it is evicted. Writing it again and syncing that succeeds, and the disk still reads as zeros.
"""

from __future__ import annotations

import errno
import os
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from groupqueue.system import disk, segments

PAGE = 4096


class Platter:
    """See the module. `failing`: how many of the pages that are written back do not arrive, 0 to 1."""

    def __init__(self, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.chosen = random.Random(1)
        self.failing = 0.0
        self.syncs = 0
        self._folder = folder
        self._disk: dict[int, dict[int, bytes]] = defaultdict(dict)
        self._dirty: dict[int, set[int]] = defaultdict(set)
        self._stuck: dict[int, set[int]] = defaultdict(set)
        self._written: dict[int, set[int]] = defaultdict(set)
        self._unreported: set[int] = set()
        monkeypatch.setattr(segments, "os", self)
        monkeypatch.setattr(disk, "sync_file", self.sync_file)
        monkeypatch.setattr(disk, "sync_folder", self.sync_folder)
        monkeypatch.setattr(disk, "drop_cache", self.drop_cache)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    # What the journal calls

    def pwritev(self, fd: int, parts: Any, offset: int) -> int:
        return self.pwrite(fd, b"".join(parts), offset)

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        length = os.pwrite(fd, data, offset)
        pages = range(offset // PAGE, -(-(offset + length) // PAGE))
        number = os.fstat(fd).st_ino
        self._dirty[number].update(pages)
        self._written[number].update(pages)
        return length

    def unlink(self, path: str) -> None:
        self._forget(path)
        os.unlink(path)

    def rename(self, old: str, new: str) -> None:
        if os.path.exists(new):
            self._forget(new)
        os.rename(old, new)

    def _forget(self, path: str) -> None:
        for known in (self._disk, self._dirty, self._stuck, self._written):
            known.pop(os.stat(path).st_ino, None)
        self._unreported.discard(os.stat(path).st_ino)

    def sync_file(self, fd: int) -> None:
        self.syncs += 1
        number = os.fstat(fd).st_ino
        for page in sorted(self._dirty[number]):
            self._write_back(fd, number, page)
        if number in self._unreported:
            self._unreported.discard(number)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def sync_folder(self, path: str) -> None:
        if self.failing == 1:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    # What the kernel does

    def _write_back(self, fd: int, number: int, page: int) -> None:
        self._dirty[number].discard(page)
        if self.chosen.random() < self.failing:
            self._unreported.add(number)
            if page not in self._disk[number]:
                self._stuck[number].add(page)
        elif page not in self._stuck[number]:
            self._disk[number][page] = os.pread(fd, PAGE, page * PAGE)

    def write_back_some(self) -> None:
        """What the kernel does every few seconds."""
        for number, fd in self._files():
            for page in sorted(self._dirty[number]):
                if self.chosen.random() < 0.5:
                    self._write_back(fd, number, page)

    def evict(self, prefix: str = "") -> None:
        """Every clean page of these files is read from the disk again."""
        for _, fd in self._files(prefix):
            self.drop_cache(fd)

    def drop_cache(self, fd: int) -> None:
        number = os.fstat(fd).st_ino
        for page in self._written[number] - self._dirty[number]:
            self._stuck[number].discard(page)
            if page * PAGE < os.fstat(fd).st_size:
                os.pwrite(fd, self._disk[number].get(page, bytes(PAGE)), page * PAGE)

    def lose_power(self) -> None:
        """The cache is gone. (Names are kept, as a file system with a journal of its own keeps most.)"""
        self._dirty.clear()
        self._unreported.clear()
        self.evict()

    def _files(self, prefix: str = "") -> Iterator[tuple[int, int]]:
        """(inode, descriptor) of each."""
        for name in sorted(os.listdir(self._folder)):
            if name.startswith(prefix):
                fd = os.open(os.path.join(self._folder, name), os.O_RDWR)
                try:
                    yield os.fstat(fd).st_ino, fd
                finally:
                    os.close(fd)
