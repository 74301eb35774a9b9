"""
One segment: a preallocated file of records, and its read-only mapping.

Records are written with one `pwritev` and read through the mapping. A write to the page cache outlives the process as a
store to mapped memory does, but on a full or failing disk it is an OSError and not a SIGBUS, and a fresh page costs a
quarter of what a write fault costs (docs/design.md has the figures).

A segment's number is its leader's epoch and a counter: never used twice, so old bytes are never taken for new ones. An
epoch can be: where the power went before anything of it was on the disk. So the counter begins anywhere.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Sequence
from typing import NamedTuple
from zlib import crc32

from groupqueue.core import records
from groupqueue.core.messages import Buffer
from groupqueue.core.ports import NoRoom
from groupqueue.core.records import SegmentHeader, SegmentKind
from groupqueue.system import disk
from groupqueue.system.boot import this_boot
from groupqueue.system.paths import open_private, open_to_look, set_aside

_COUNTER_BITS = 32
_IOV_MAX = 1000
_NOTE_SIZE = 12


def first_number(epoch: int) -> int:
    """The numbers of this leader's segments come after this one."""
    return (epoch << _COUNTER_BITS) + (int.from_bytes(os.urandom(4), "little") >> 1)


def epoch_of(number: int) -> int:
    """The leader who made the segment."""
    return number >> _COUNTER_BITS


class Location(NamedTuple):
    """A body in a segment."""

    segment: Segment
    start: int
    length: int


class Segment:
    """See the module. `tail` is where the next record goes, `live` how many of its bodies are of use.

    `durable`: something in it must be on the disk before it counts; `synced`: everything before that is there.
    `suspect`: a sync of it may have failed, so that what is written to it may never reach the disk. `lent`: somebody
    else may be writing behind the tail.
    """

    __slots__ = (
        "damaged", "durable", "fd", "lent", "live", "map", "number", "path", "producers", "size", "suspect", "synced",
        "tail",
    )  # fmt: skip

    def __init__(self, path: str, fd: int, size: int, number: int) -> None:
        self.path = path
        self.fd = fd
        self.size = size
        self.number = number
        self.tail = records.SEGMENT_HEADER_SIZE
        self.live = 0
        self.producers: dict[int, int] = {}
        self.damaged = False
        self.suspect = False
        self.lent = False
        self.durable = False
        self.synced = records.SEGMENT_HEADER_SIZE
        self.map: mmap.mmap | bytes | None = None

    @classmethod
    def create(cls, path: str, size: int, number: int) -> Segment:
        """A new file of this size, all of it allocated; NoRoom, and no file, if the disk is full."""
        fd = open_private(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
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
        fd, _ = open_to_look(path)
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

    def append_head(self, kind: int, words: Sequence[int], length: int, check: int | None, epoch: int) -> int:
        """Makes a body that stands where it belongs that of the record at the tail; returns where it starts.

        Without a check it is checked late, if a body that was not checked can be told from one of another boot.
        """
        boot = this_boot() if check is None else records.NO_BOOT
        start = self.tail + records.HEADER.size + 8 * len(words)
        if boot.number:
            head = records.pack_unchecked_head(kind, words, length, boot, epoch, self.number, self.tail)
        else:
            if check is None:
                check = crc32(self.view()[start : start + length])
            head = records.pack_head(kind, words, length, check, epoch, self.number, self.tail)
        self.write([head], len(head), self.tail)
        self.tail += records.record_size(len(words), length)
        return start

    def check_late(self, kind: int, words: int, start: int, length: int) -> None:
        """Makes up for the check of a body that was adopted."""
        check = crc32(self.view()[start : start + length])
        offset = start - 8 * words - records.HEADER.size
        late = records.pack_late_check(kind, words, check)
        self.write([late], len(late), records.late_check_at(offset))

    def write_header(self, header: SegmentHeader) -> None:
        self.write([records.pack_segment_header(header)], records.SEGMENT_HEADER_SIZE, 0)

    def restart(self, header: SegmentHeader) -> None:
        """Makes the segment an empty one: what it held can no longer be read as its own."""
        self.write_header(header)
        self.number = header.number
        self.tail = records.SEGMENT_HEADER_SIZE
        self.live = 0
        self.producers = {}
        self.damaged = False
        self.suspect = False
        self.lent = header.kind == SegmentKind.LENT
        self.durable = False
        self.synced = records.SEGMENT_HEADER_SIZE

    # Being on the disk

    @property
    def is_in_doubt(self) -> bool:
        """Whether something that must be on the disk may not be there."""
        return self.durable and self.tail > self.synced

    def note_syncing(self) -> None:
        """A sync begins. Whoever leads next knows by this that it may have failed."""
        self.durable = True
        self._note(True)

    def note_synced(self) -> None:
        """Everything up to the tail is on the disk."""
        self.synced = self.tail
        self._note(False)

    def read_note(self) -> None:
        """Takes over what earlier leaders noted."""
        noted = records.unpack_synced(self.view(), self.number)
        if noted is not None:
            self.durable = True
            self.synced, self.suspect = noted

    def _note(self, has_begun: bool) -> None:
        """Notes are for the next leader, who reads the page cache, as it reads the rest: they need not be synced."""
        self.write([records.pack_synced(self.synced, has_begun, self.number)], _NOTE_SIZE, records.SYNCED_AT)

    def is_whole(self) -> bool:
        """Whether what is in doubt consists of whole records, as far as can be read now."""
        view = self.view()
        at = self.synced
        while at < self.tail:
            record = records.read_record(view, at, self.number, boot=this_boot())
            if record is None:
                return False
            at = record.end
        return True

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
        """Leaves the file to people, and what was left to them before as well."""
        self.path = set_aside(self.path)
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
