"""
One segment: a preallocated file of records, and its read-only mapping.

Records are written with one `pwritev` and read through the mapping. A write to the page cache outlives the process as a
store to mapped memory does, but on a full or failing disk it is an OSError and not a SIGBUS, and a fresh page costs a
quarter of what a write fault costs (docs/design.md has the figures).

A segment's number is its leader's epoch and a counter: never used twice, so old bytes are never taken for new ones.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from typing import NamedTuple

from groupqueue.core import records
from groupqueue.core.messages import Buffer
from groupqueue.core.ports import NoRoom
from groupqueue.core.records import SegmentHeader
from groupqueue.system import disk

COUNTER_BITS = 32
_IOV_MAX = 1000


class Location(NamedTuple):
    """A body in a segment."""

    segment: Segment
    start: int
    length: int


class Segment:
    """See the module. `tail` is where the next record goes, `live` how many of its bodies are of use."""

    __slots__ = ("damaged", "fd", "live", "map", "number", "path", "producers", "size", "tail")

    def __init__(self, path: str, fd: int, size: int, number: int) -> None:
        self.path = path
        self.fd = fd
        self.size = size
        self.number = number
        self.tail = records.SEGMENT_HEADER_SIZE
        self.live = 0
        self.producers: set[int] = set()
        self.damaged = False
        self.map: mmap.mmap | bytes | None = None

    @classmethod
    def create(cls, path: str, size: int, number: int) -> Segment:
        """A new file of this size, all of it allocated; NoRoom, and no file, if the disk is full."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            disk.allocate(fd, size)
        except BaseException as error:
            os.close(fd)
            os.unlink(path)
            if isinstance(error, OSError) and disk.is_full(error):
                raise NoRoom(str(error)) from error
            raise
        return cls(path, fd, size, number)

    @classmethod
    def open(cls, path: str, number: int) -> Segment:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        return cls(path, fd, os.fstat(fd).st_size, number)

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    # Reading

    def view(self) -> memoryview:
        """All of the file, read-only."""
        if self.map is None:
            self.map = mmap.mmap(self.fd, self.size, prot=mmap.PROT_READ)
        return memoryview(self.map)

    def load(self) -> None:
        """Has `view` show a copy: another process may cut the file short, and what is mapped then ends this one."""
        self.map = os.pread(self.fd, self.size, 0)
        self.size = len(self.map)

    # Writing

    def write(self, parts: Sequence[Buffer], length: int, offset: int) -> None:
        """Writes all of the parts; on an OSError the place holds no whole record."""
        written = os.pwritev(self.fd, parts, offset) if len(parts) <= _IOV_MAX else 0
        if written != length:
            data = memoryview(b"".join(parts))
            while written < length:
                written += os.pwrite(self.fd, data[written:], offset + written)

    def append(
        self, kind: int, words: Sequence[int], parts: Sequence[Buffer], length: int, check: int, epoch: int
    ) -> int:
        """Writes a record at the tail and returns where its body starts. Requires that it fits."""
        head = records.pack_head(kind, words, length, check, epoch, self.number, self.tail)
        start = self.tail + len(head)
        self.write([head, *parts], len(head) + length, self.tail)
        self.tail += records.record_size(len(words), length)
        return start

    def write_header(self, header: SegmentHeader) -> None:
        self.write([records.pack_segment_header(header)], records.SEGMENT_HEADER_SIZE, 0)

    def restart(self, header: SegmentHeader) -> None:
        """Makes the segment an empty one: what it held can no longer be read as its own."""
        self.write_header(header)
        self.number = header.number
        self.tail = records.SEGMENT_HEADER_SIZE
        self.live = 0
        self.producers = set()
        self.damaged = False

    # The file

    def resize(self, size: int) -> None:
        """Changes the size of the file; NoRoom if the disk is full, and it is as it was."""
        try:
            if size > self.size:
                disk.allocate(self.fd, size)
            else:
                os.ftruncate(self.fd, size)
        except OSError as error:
            if disk.is_full(error):
                raise NoRoom(str(error)) from error
            raise
        self.map = None
        self.size = size

    def rename(self, name: str) -> None:
        path = os.path.join(os.path.dirname(self.path), name)
        os.rename(self.path, path)
        self.path = path

    def set_aside(self) -> None:
        """Leaves a damaged file to people."""
        self.rename("damaged-" + self.name)
        self.close()

    def remove(self) -> None:
        os.unlink(self.path)
        self.close()

    def close(self) -> None:
        """Views that are still in use keep the mapping alive until they go."""
        self.map = None
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
