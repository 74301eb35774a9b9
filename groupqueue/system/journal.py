"""
The journal on disk: segments of one directory, written by one leader at a time.

`items-N` segments hold ITEMS and REPLY records, `ledger-0` and `ledger-1` in turn what became of them; which of the two
counts is told by the generation in their headers. The ledger never needs new room to go on: a full one is replaced by a
checkpoint in the other. A segment in which nothing is of use any more is written over, or removed.

Records are written with one `pwritev` and read through a read-only mapping. A write to the page cache outlives the
process as a store to mapped memory does, but on a full or failing disk it is an OSError and not a SIGBUS, and a fresh
page costs a quarter of what a write fault costs (docs/design.md has the figures).
"""

from __future__ import annotations

import errno
import json
import mmap
import os
from collections.abc import Sequence
from typing import Any, NamedTuple
from zlib import crc32

from groupqueue.core import records
from groupqueue.core.messages import REPLY_LOST, Buffer
from groupqueue.core.ports import NoRoom
from groupqueue.core.records import Kind, SegmentHeader, SegmentKind
from groupqueue.core.state import Rebuild, Reply, State
from groupqueue.exceptions import GroupVersionError

BASE_SIZE = 512 * 1024
LARGEST_SIZE = 256 * 1024 * 1024
LEDGER_SIZE = 256 * 1024
SPARE_BYTES = 8 * 1024 * 1024
_IOV_MAX = 1000
_MOST_PRODUCERS = 10_000

# A checkpoint leaves at least this much of its ledger free; an entry of it takes about so many bytes.
_LEAST_LEDGER = 64 * 1024
_ENTRY_BYTES = 48

# A segment's number is its leader's epoch and a counter: never used twice, so old bytes are never taken for new ones.
_COUNTER_BITS = 32


class Location(NamedTuple):
    """A body in a segment."""

    segment: Segment
    start: int
    length: int


class Segment:
    """A preallocated file and its read-only mapping. `tail` is where the next record goes."""

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
            allocate(fd, size)
        except BaseException as error:
            os.close(fd)
            os.unlink(path)
            if isinstance(error, OSError) and is_full(error):
                raise NoRoom(str(error)) from error
            raise
        return cls(path, fd, size, number)

    @classmethod
    def open(cls, path: str, number: int) -> Segment:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        return cls(path, fd, os.fstat(fd).st_size, number)

    def view(self) -> memoryview:
        """All of the file, read-only."""
        if self.map is None:
            self.map = mmap.mmap(self.fd, self.size, prot=mmap.PROT_READ)
        return memoryview(self.map)

    def load(self) -> None:
        """Has `view` show a copy: another process may cut the file short, and what is mapped then ends this one."""
        self.map = os.pread(self.fd, self.size, 0)
        self.size = len(self.map)

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

    def restart(self, header: SegmentHeader) -> None:
        """Makes the segment an empty one: what it held can no longer be read as its own."""
        self.write([records.pack_segment_header(header)], records.SEGMENT_HEADER_SIZE, 0)
        self.number = header.number
        self.tail = records.SEGMENT_HEADER_SIZE
        self.live = 0
        self.producers = set()
        self.damaged = False

    def resize(self, size: int) -> None:
        """Changes the size of the file; NoRoom if the disk is full, and it is as it was."""
        try:
            if size > self.size:
                allocate(self.fd, size)
            else:
                os.ftruncate(self.fd, size)
        except OSError as error:
            if is_full(error):
                raise NoRoom(str(error)) from error
            raise
        self.map = None
        self.size = size

    def close(self) -> None:
        """Views that are still in use keep the mapping alive until they go."""
        self.map = None
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def allocate(fd: int, size: int) -> None:
    """Reserves the blocks, so that a write cannot fail for want of room later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
        return
    zeros = bytes(min(size, 1 << 20))
    done = os.fstat(fd).st_size
    while done < size:
        done += os.pwrite(fd, zeros[: size - done], done)


def is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


class Journal:
    """See the module. Implements `JournalPort` for the broker; `state` is what its records amount to."""

    def __init__(self, path: str, group: str) -> None:
        self.path = path
        self.group = group
        self.state = State()
        self.notes: list[str] = []
        self._epoch = 0
        self._items: dict[int, Segment] = {}
        self._spares: list[Segment] = []
        self._active: Segment | None = None
        self._ledger: Segment | None = None
        self._other: Segment | None = None
        self._dirty: set[Segment] = set()
        self._new_names = False
        self._counter = 0
        self._last_number = 0
        self._headless: list[Segment] = []
        self._unreadable: list[Segment] = []

    @property
    def disk_bytes(self) -> int:
        """What the segments take on disk."""
        held = [*self._items.values(), *self._spares, self._ledger, self._other]
        return sum(segment.size for segment in held if segment is not None)

    # Recovery

    def recover(self, read_only: bool = False) -> State:
        """Reads every segment, and returns the state they amount to. Writes nothing.

        `read_only`: without the leader's lock, so that there may be a leader who writes.
        Raises GroupVersionError for a journal of another version. `notes` then names what was damaged.
        """
        checkpoint, later = self._read_ledger(copy=read_only)
        rebuild = Rebuild(checkpoint)
        for name in sorted(os.listdir(self.path)):
            if name.startswith("items-"):
                self._read_items(name, rebuild)
            elif name.startswith("spare-"):
                spare = Segment.open(os.path.join(self.path, name), 0)
                self._header(spare)
                spare.close()
        rebuild.settle()
        for record in later:
            _replay(rebuild, record)
        self.state = rebuild.finish()
        if not self.notes:
            # An item that the checkpoint names and no segment holds was finished since, and its segment written over.
            self.state.lost = checkpoint["totals"][2] if checkpoint is not None else 0
        if not read_only:
            for batch in self.state.batches.values():
                batch.location.segment.live += 1
            for reply in self.state.replies.values():
                if reply.location is not None:
                    reply.location.segment.live += 1
            self.state.released.clear()
            # A header that was cut short belongs to a segment that was being started anew, and holds nothing of use.
            for segment in self._headless:
                if segment.live:
                    segment.damaged = True
                    self.notes.append(f"{os.path.basename(segment.path)}: its header is damaged")
        return self.state

    def begin(self, epoch: int, pid: int) -> None:
        """Makes the journal this leader's to write: the records from here on carry its epoch.

        `epoch` must be above `last_epoch`, and above any that is known from elsewhere.
        """
        self._epoch = self.state.epoch = epoch
        self._adopt_leftovers()
        for segment in self._unreadable:
            if segment is self._other:
                self._other = None
            self._set_aside(segment)
        if self._ledger is None:
            self._roll()
            self._prepare_other()
        elif self._ledger.damaged:
            self._set_aside_ledger()
        else:
            if self._other is None:
                self._prepare_other()
            self.append(Kind.EPOCH, (epoch, pid))
        for segment in sorted(self._items.values(), key=lambda found: found.number):
            if not segment.live:
                self._recycle(segment)
            elif not segment.damaged:
                self._active = segment

    @property
    def last_epoch(self) -> int:
        """The highest epoch of which anything is left."""
        return max(self.state.epoch, self._last_number >> _COUNTER_BITS)

    def _adopt_leftovers(self) -> None:
        for name in os.listdir(self.path):
            path = os.path.join(self.path, name)
            if name.startswith("spare-"):
                spare = Segment.open(path, 0)
                if spare.size >= BASE_SIZE and spare.size + sum(found.size for found in self._spares) <= SPARE_BYTES:
                    self._spares.append(spare)
                else:
                    self._remove(spare)
            elif name.startswith("new-"):
                os.unlink(path)

    def _read_ledger(self, *, copy: bool) -> tuple[dict[str, Any] | None, list[records.Record]]:
        found = []
        unreadable: list[tuple[int, str]] = []
        segments: dict[str, Segment] = {}
        for index in (0, 1):
            path = os.path.join(self.path, f"ledger-{index}")
            try:
                segment = Segment.open(path, 0)
            except FileNotFoundError:
                continue
            if copy:
                segment.load()
            header = self._header(segment)
            first = None
            if header is not None and header.kind == SegmentKind.LEDGER:
                segment.number = header.number
                first = records.read_record(segment.view(), records.SEGMENT_HEADER_SIZE, segment.number)
            if first is not None and first.kind == Kind.CHECKPOINT:
                found.append((segment.number, segment, first))
            else:
                if header is not None or (segment.size and any(segment.view()[:64])):
                    unreadable.append((segment.number if header is not None else 0, os.path.basename(path)))
                    segments[os.path.basename(path)] = segment
                self._other = segment
        found.sort(key=lambda entry: entry[0])
        # A ledger's header is written last: one that is older than the other may stand over a half-written checkpoint.
        for number, name in unreadable:
            if not found or number > found[-1][0]:
                self.notes.append(f"{name} has no checkpoint that can be read")
                self._unreadable.append(segments[name])
        if not found:
            return None, []
        for _, segment, _ in found[:-1]:
            self._other = segment
        _, self._ledger, first = found[-1]
        checkpoint = json.loads(bytes(first.body))
        later = []
        for record in records.read_records(self._ledger.view(), self._ledger.number):
            if isinstance(record, records.Damage):
                self._ledger.damaged = True
                self.notes.append(
                    f"{os.path.basename(self._ledger.path)}: bytes {record.offset} to {record.end} are damaged"
                )
            else:
                self._ledger.tail = record.end
                later.append(record)
        return checkpoint, later[1:]

    def _read_items(self, name: str, rebuild: Rebuild) -> None:
        path = os.path.join(self.path, name)
        try:
            number = int(name.partition("-")[2], 16)
        except ValueError:
            self.notes.append(f"{name} is not a name of ours; left alone")
            return
        segment = Segment.open(path, number)
        header = self._header(segment)
        if header is not None:
            segment.number = header.number
        if segment.size < records.SEGMENT_HEADER_SIZE or segment.number in self._items:
            self.notes.append(f"{name} is not a whole segment, or stands there twice; left alone")
            segment.close()
            return
        self._items[segment.number] = segment
        for record in records.read_records(segment.view(), segment.number):
            if isinstance(record, records.Damage):
                segment.damaged = True
                self.notes.append(f"{name}: bytes {record.offset} to {record.end} are damaged")
                continue
            segment.tail = record.end
            length = len(record.body)
            location = Location(segment, record.end - _padding(length) - length, length)
            if record.kind == Kind.ITEMS and len(record.words) == 7:
                segment.producers.add(record.words[0])
                rebuild.add_items(record.words, length, location)
            elif record.kind == Kind.REPLY and len(record.words) == 6:
                rebuild.add_reply(record.words, length, location)
        if header is None and segment.tail > records.SEGMENT_HEADER_SIZE:
            self._headless.append(segment)

    def _header(self, segment: Segment) -> SegmentHeader | None:
        if segment.size < records.SEGMENT_HEADER_SIZE:
            return None
        try:
            header = records.unpack_segment_header(segment.view()[: records.SEGMENT_HEADER_SIZE])
            if header is not None:
                self._last_number = max(self._last_number, header.number)
            return header
        except records.FormatError as error:
            raise GroupVersionError(
                f"group {self.group!r}: {segment.path} has {error}; "
                "let the groupqueue that wrote it drain the group, or unlink it"
            ) from error

    # Appending

    def append_data(
        self, kind: Kind, words: Sequence[int], parts: Sequence[Buffer], length: int, check: int
    ) -> Location:
        self._reserve_checkpoint()
        size = records.record_size(len(words), length)
        segment = self._active
        if segment is None or segment.tail + size > segment.size:
            segment = self._next_segment(size)
        start = segment.append(kind, words, parts, length, check, self._epoch)
        segment.live += 1
        if kind == Kind.ITEMS:
            segment.producers.add(words[0])
        self._dirty.add(segment)
        return Location(segment, start, length)

    def append(self, kind: Kind, words: Sequence[int], body: bytes = b"") -> None:
        assert self._ledger is not None
        if self._ledger.tail + records.record_size(len(words), len(body)) > self._ledger.size:
            self._roll()
        ledger = self._ledger
        ledger.append(kind, words, [body] if body else (), len(body), crc32(body), self._epoch)
        self._dirty.add(ledger)

    def read(self, location: Location) -> memoryview:
        return location.segment.view()[location.start : location.start + location.length]

    def release(self, location: Location) -> None:
        segment = location.segment
        segment.live -= 1
        if not segment.live and segment is not self._active:
            self._recycle(segment)

    def sync(self) -> None:
        for segment in self._dirty:
            if segment.fd >= 0:
                os.fsync(segment.fd)
        self._dirty.clear()
        if self._new_names:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            self._new_names = False

    def sync_all(self) -> None:
        """As `sync`, for what earlier leaders wrote as well."""
        self._dirty.update(self._items.values())
        self._dirty.update(found for found in (self._ledger, self._other) if found is not None)
        self._new_names = True
        self.sync()

    def tidy(self) -> None:
        """Gives room back that the group has not needed lately."""
        active = self._active
        if active is not None and not active.live and active.size > BASE_SIZE:
            self._active = None
            self._recycle(active)
        while self._spares and sum(spare.size for spare in self._spares) > BASE_SIZE:
            self._remove(self._spares.pop(0))
        self._trim_ledgers()

    def close(self) -> None:
        for segment in (*self._items.values(), *self._spares, *self._unreadable, self._ledger, self._other):
            if segment is not None:
                segment.close()
        self._items = {}
        self._spares = []
        self._active = self._ledger = self._other = None

    # Segments

    def _next_segment(self, size: int) -> Segment:
        needed = size + records.SEGMENT_HEADER_SIZE
        used = self._active
        self._counter += 1
        number = (self._epoch << _COUNTER_BITS) + self._counter
        if used is not None and not used.live and used.size >= needed and not used.damaged:
            self._note_producers(used)
            del self._items[used.number]
            return self._start(used, number)
        for index, spare in enumerate(self._spares):
            if spare.size >= needed:
                return self._start(self._spares.pop(index), number)
        segment = self._allocate(needed, number)
        if used is not None and not used.live:
            self._active = None
            self._recycle(used)
        self._new_names = True
        return self._start(segment, number)

    def _start(self, segment: Segment, number: int) -> Segment:
        path = os.path.join(self.path, f"items-{number:016x}")
        segment.restart(SegmentHeader(SegmentKind.ITEMS, number, self._epoch))
        if segment.path != path:
            os.rename(segment.path, path)
            segment.path = path
            self._new_names = True
        self._items[number] = segment
        self._active = segment
        return segment

    def _allocate(self, needed: int, number: int) -> Segment:
        path = os.path.join(self.path, f"new-{number:016x}")
        size = max(BASE_SIZE, min(LARGEST_SIZE, _power_of_two(self.state.bytes // 4)))
        least = -(-needed // 65536) * 65536
        while True:
            size = max(size, least)
            try:
                return Segment.create(path, size, number)
            except NoRoom:
                if self._spares:
                    self._remove(self._spares.pop())
                elif size == least:
                    raise
                else:
                    size //= 2

    def _recycle(self, segment: Segment) -> None:
        """Requires that nothing in the segment is of use."""
        self._note_producers(segment)
        self._items.pop(segment.number, None)
        if segment.damaged:
            self._set_aside(segment)
        elif segment.size + sum(spare.size for spare in self._spares) <= SPARE_BYTES:
            self._spares.append(segment)
            segment.restart(SegmentHeader(SegmentKind.ITEMS, segment.number, self._epoch))
            path = os.path.join(self.path, f"spare-{segment.number:016x}")
            os.rename(segment.path, path)
            segment.path = path
        else:
            self._remove(segment)

    def _note_producers(self, segment: Segment) -> None:
        state = self.state
        pairs = [(producer, state.last_seq[producer]) for producer in segment.producers if producer in state.last_seq]
        for start in range(0, max(len(pairs), 1), _MOST_PRODUCERS):
            part = pairs[start : start + _MOST_PRODUCERS]
            self.append(Kind.PRODUCERS, [state.next_id, state.total_put, *(word for pair in part for word in pair)])

    def _set_aside(self, segment: Segment) -> None:
        os.rename(segment.path, os.path.join(self.path, "damaged-" + os.path.basename(segment.path)))
        segment.close()

    def _remove(self, segment: Segment) -> None:
        self._dirty.discard(segment)
        os.unlink(segment.path)
        segment.close()

    def _roll(self) -> None:
        """Starts the other ledger with a checkpoint. It counts once its header is written."""
        body = _to_bytes(self.state.to_json())
        previous = self._ledger.number if self._ledger is not None else 0
        number = max(previous, self._epoch << _COUNTER_BITS) + 1
        needed = records.SEGMENT_HEADER_SIZE + records.record_size(0, len(body))
        if self._other is None:
            self._prepare_other()
        other = self._other
        assert other is not None
        if other.size > 2 * _ledger_size(needed):
            other.resize(_ledger_size(needed))
        elif other.size < needed + _LEAST_LEDGER:
            try:
                other.resize(_ledger_size(needed))
            except NoRoom:
                # Rather without the reasons of failures than not at all: gets must go on.
                body = _to_bytes(self.state.to_json(reasons=False))
                needed = records.SEGMENT_HEADER_SIZE + records.record_size(0, len(body))
                if other.size < needed + _LEAST_LEDGER:
                    raise
        other.number = number
        other.tail = records.SEGMENT_HEADER_SIZE
        other.append(Kind.CHECKPOINT, (), [body], len(body), crc32(body), self._epoch)
        header = SegmentHeader(SegmentKind.LEDGER, number, self._epoch)
        other.write([records.pack_segment_header(header)], records.SEGMENT_HEADER_SIZE, 0)
        self._other, self._ledger = self._ledger, other
        self._dirty.add(other)

    def _prepare_other(self) -> None:
        """Makes the ledger that the next checkpoint goes to: on a full disk it is too late for that."""
        index = 1 if self._ledger is not None and self._ledger.path.endswith("0") else 0
        self._other = Segment.create(os.path.join(self.path, f"ledger-{index}"), _ledger_size(0), 0)
        self._new_names = True

    def _reserve_checkpoint(self) -> None:
        """Nothing new is accepted without room for the checkpoint that will tell of it."""
        needed = self._checkpoint_size()
        if self._other is not None and self._other.size < needed + _LEAST_LEDGER:
            self._other.resize(_ledger_size(2 * needed))

    def _checkpoint_size(self) -> int:
        state = self.state
        entries = len(state.batches) + 2 * len(state.held) + 4 * len(state.failed) + len(state.last_seq)
        return _ENTRY_BYTES * (entries + len(state.attempts) + len(state.replies))

    def _trim_ledgers(self) -> None:
        enough = _ledger_size(2 * self._checkpoint_size())
        if self._ledger is not None and self._ledger.size > enough:
            self._roll()
        if self._other is not None and self._other.size > enough:
            self._other.resize(enough)

    def _set_aside_ledger(self) -> None:
        self._roll()
        damaged = self._other
        assert damaged is not None
        self._other = None
        self._set_aside(damaged)
        self._prepare_other()


def _replay(rebuild: Rebuild, record: records.Record) -> None:
    state = rebuild.state
    words = record.words
    kind = record.kind
    if kind == Kind.GRANT:
        state.apply_grant(words[0], words[1], rebuild.runs(_pairs(words[2:])))
    elif kind == Kind.TAKEN:
        state.apply_taken(words[0], words[1], words[2:])
    elif kind == Kind.RETURN:
        state.apply_return(words[0], words[1])
    elif kind == Kind.FINISH:
        state.apply_finish(_pairs(words))
    elif kind == Kind.FAILED:
        state.apply_failed(words[0], bytes(record.body).decode("utf-8", "replace"))
    elif kind == Kind.REQUEUE:
        state.apply_requeue(words[0], words[1], words[2])
    elif kind == Kind.RETRY:
        state.apply_retry(words)
    elif kind == Kind.GONE:
        state.apply_gone(words[0])
    elif kind == Kind.HEARD:
        state.apply_heard(words)
    elif kind == Kind.PRODUCERS:
        rebuild.count(words[0], words[1])
        state.apply_producers(words[0], _pairs(words[2:]))
    elif kind == Kind.ANSWERED:
        state.answered.update(words)
    elif kind == Kind.LOST:
        text = bytes(record.body).decode("utf-8", "replace")
        state.apply_reply(words[0], Reply(words[1], words[2], words[3], REPLY_LOST, 0, None, text))
    elif kind == Kind.SHUTDOWN:
        state.apply_shutdown(words[0], words[1])
    elif kind == Kind.EPOCH:
        state.epoch = max(state.epoch, words[0])


def _pairs(words: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(words[::2], words[1::2]))


def _ledger_size(needed: int) -> int:
    return max(LEDGER_SIZE, -(-(needed + LEDGER_SIZE // 2) // 65536) * 65536)


def _to_bytes(saved: dict[str, Any]) -> bytes:
    return json.dumps(saved, separators=(",", ":")).encode()


def _padding(length: int) -> int:
    return -length & 7


def _power_of_two(value: int) -> int:
    return 1 << max(value - 1, 0).bit_length()
