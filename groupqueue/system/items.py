"""
The items segments: what was put and what was answered, until it is of no more use.

One of them is active and takes what comes. A segment in which nothing is of use any more is written over, kept as a
spare, or removed; what it alone could tell, the last seq of each producer in it, goes to the ledger before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from groupqueue.core import records
from groupqueue.core.messages import DURABLE, Buffer
from groupqueue.core.ports import NoRoom
from groupqueue.core.records import Kind, SegmentHeader, SegmentKind
from groupqueue.core.state import State
from groupqueue.system import disk, settling
from groupqueue.system.ledger import Ledger
from groupqueue.system.segments import Location, Segment, first_number
from groupqueue.system.unsynced import Unsynced, told

BASE_SIZE = 512 * 1024
LARGEST_SIZE = 256 * 1024 * 1024
SPARE_BYTES = 8 * 1024 * 1024
_MOST_PRODUCERS = 10_000


class ItemSegments:
    """See the module. `used` are the segments that hold something, by number; `spares` those that wait for use."""

    def __init__(self, path: str, unsynced: Unsynced, ledger: Ledger) -> None:
        self.used: dict[int, Segment] = {}
        self.spares: list[Segment] = []
        self._path = path
        self._unsynced = unsynced
        self._ledger = ledger
        self._journal = 0
        self._epoch = 0
        self._number = 0
        self._state = State()
        self._active: Segment | None = None

    def adopt(self, journal: int, epoch: int, state: State, used: dict[int, Segment]) -> None:
        """Takes over what earlier leaders left, and removes what they were in the midst of making."""
        self._journal = journal
        self._epoch = epoch
        self._number = first_number(epoch)
        self._state = state
        self.used = used
        for name in os.listdir(self._path):
            path = os.path.join(self._path, name)
            if name.startswith("spare-"):
                spare = Segment.open(path, 0)
                if spare.size >= BASE_SIZE and spare.size + self._spare_bytes() <= SPARE_BYTES:
                    self.spares.append(spare)
                else:
                    spare.remove()
            elif name.startswith("new-"):
                os.unlink(path)

    def settle(self) -> None:
        """See settling.py. Raises SyncError, PagesLost."""
        bodies = settling.in_doubt(self._state)
        if not bodies:
            return
        with told():
            self._number += 1
            try:
                copied = self._allocate(records.SEGMENT_HEADER_SIZE + settling.room_for(bodies), self._number)
            except NoRoom:
                settling.settle_in_place({body.location.segment for body in bodies})
                return
            try:
                places = settling.copy(bodies, self._start(copied, self._number), self._epoch)
                copied.note_syncing()
                disk.sync_file(copied.fd)
                disk.sync_folder(self._path)
                copied.note_synced()
            except BaseException:
                self.used.pop(copied.number, None)
                self._active = None
                copied.remove()
                raise
        settling.move(bodies, places)

    def begin(self) -> None:
        """Goes on in the youngest segment that is of use and above suspicion. Requires that the ledger has begun."""
        for segment in sorted(self.used.values(), key=lambda found: found.number):
            if not segment.live:
                self._recycle(segment)
            elif not segment.damaged and not segment.suspect:
                self._active = segment

    def append_data(
        self, kind: Kind, words: Sequence[int], parts: Sequence[Buffer], length: int, check: int
    ) -> Location:
        self._ledger.reserve()
        size = records.record_size(len(words), length)
        segment = self._active
        if segment is None or segment.tail + size > segment.size:
            segment = self._next_segment(size)
        try:
            start = self._append(segment, kind, words, parts, length, check)
        except NoRoom:
            # Whoever made the segment may write more than this process may.
            segment = self._next_segment(size)
            start = self._append(segment, kind, words, parts, length, check)
        segment.live += 1
        if kind == Kind.ITEMS:
            segment.producers[words[0]] = words[2] + words[3] - 1
            if words[4] & DURABLE:
                segment.durable = True
        self._unsynced.segments.add(segment)
        return Location(segment, start, length)

    def _append(
        self, segment: Segment, kind: Kind, words: Sequence[int], parts: Sequence[Buffer], length: int, check: int
    ) -> int:
        try:
            return segment.append(kind, words, parts, length, check, self._epoch)
        except OSError as error:
            if disk.is_full(error):
                raise NoRoom(str(error)) from error
            raise

    def release(self, location: Location) -> None:
        segment = location.segment
        segment.live -= 1
        if not segment.live and segment is not self._active:
            self._recycle(segment)

    def tidy(self) -> None:
        """Gives room back that the group has not needed lately."""
        active = self._active
        if active is not None and not active.live and active.size > BASE_SIZE:
            self._active = None
            self._recycle(active)
        while self.spares and self._spare_bytes() > BASE_SIZE:
            self.spares.pop(0).remove()

    def _spare_bytes(self) -> int:
        return sum(spare.size for spare in self.spares)

    def _next_segment(self, size: int) -> Segment:
        # So what is durable and unsynced is in one segment: recovery sees what is missing before it.
        self._unsynced.sync_promises()
        needed = size + records.SEGMENT_HEADER_SIZE
        used = self._active
        self._number += 1
        number = self._number
        if used is not None and not used.live and used.size >= needed and not used.damaged:
            self._note_end(used)
            del self.used[used.number]
            return self._begin_segment(used, number)
        for index, spare in enumerate(self.spares):
            if spare.size >= needed:
                return self._begin_segment(self.spares.pop(index), number)
        segment = self._allocate(needed, number)
        if used is not None and not used.live:
            self._active = None
            self._recycle(used)
        self._unsynced.names = True
        return self._begin_segment(segment, number)

    def _begin_segment(self, segment: Segment, number: int) -> Segment:
        """From here on it is missed if it is not there: noted once it is, and before anything is in it."""
        self._start(segment, number)
        self._state.segments.add(number)
        self._ledger.append(Kind.BEGUN, (number,))
        return segment

    def _start(self, segment: Segment, number: int) -> Segment:
        name = f"items-{number:016x}"
        segment.restart(SegmentHeader(SegmentKind.ITEMS, number, self._epoch, self._journal))
        if segment.name != name:
            segment.rename(name)
            self._unsynced.names = True
        self.used[number] = segment
        self._active = segment
        return segment

    def _allocate(self, needed: int, number: int) -> Segment:
        path = os.path.join(self._path, f"new-{number:016x}")
        least = -(-needed // 65536) * 65536
        several = min(4 * least, SPARE_BYTES) if needed > BASE_SIZE else 0
        size = max(BASE_SIZE, several, min(LARGEST_SIZE, _power_of_two(self._state.bytes // 4)))
        while True:
            size = max(size, least)
            try:
                return Segment.create(path, size, number)
            except NoRoom:
                if self.spares:
                    self.spares.pop().remove()
                elif size == least:
                    raise
                else:
                    size //= 2

    def _recycle(self, segment: Segment) -> None:
        """Requires that nothing in the segment is of use."""
        self._note_end(segment)
        self._unsynced.segments.discard(segment)
        self.used.pop(segment.number, None)
        if segment.damaged:
            segment.set_aside()
        elif not segment.suspect and segment.size + self._spare_bytes() <= SPARE_BYTES:
            self.spares.append(segment)
            segment.restart(SegmentHeader(SegmentKind.ITEMS, segment.number, self._epoch, self._journal))
            segment.rename(f"spare-{segment.number:016x}")
        else:
            segment.remove()

    def _note_end(self, segment: Segment) -> None:
        """Before it goes: what it alone could tell, and, with the last of that, that it is not missed."""
        state = self._state
        pairs = [pair for pair in segment.producers.items() if pair[0] in state.last_seq]
        for start in range(0, max(len(pairs), 1), _MOST_PRODUCERS):
            part = pairs[start : start + _MOST_PRODUCERS]
            words = [state.next_id, state.total_put, *(word for pair in part for word in pair)]
            is_last = start + _MOST_PRODUCERS >= len(pairs)
            self._ledger.append(Kind.PRODUCERS, words, segment.number.to_bytes(8, "little") if is_last else b"")
        state.segments.discard(segment.number)


def _power_of_two(value: int) -> int:
    return 1 << max(value - 1, 0).bit_length()
