"""
The items segments: what was put and what was answered, until it is of no more use.

One of them is active and takes what comes; others are lent to producers, who write large bodies there. A segment in
which nothing is of use any more is written over, kept as a spare, or removed; what it alone could tell, the last seq of
each producer in it, goes to the ledger before. What somebody else may still write to is only ever removed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from zlib import crc32

from groupqueue.core import records
from groupqueue.core.messages import DURABLE, Buffer
from groupqueue.core.ports import NoRoom
from groupqueue.core.records import Kind, SegmentHeader, SegmentKind
from groupqueue.core.state import State
from groupqueue.system import disk, settling
from groupqueue.system.boot import this_boot
from groupqueue.system.ledger import Ledger
from groupqueue.system.segments import Location, Segment, first_number
from groupqueue.system.unsynced import Unsynced, told

BASE_SIZE = 512 * 1024
LARGEST_SIZE = 256 * 1024 * 1024
SPARE_BYTES = 8 * 1024 * 1024
LOAN_SIZE = 2 * 1024 * 1024
LARGEST_LOAN = 4 * 1024 * 1024
MOST_LENT = 64 * 1024 * 1024
"""Bytes of all loans together."""
MOST_USED = 16
"""Segments in use, beyond which nothing is lent: each takes two descriptors of whoever leads."""
MOST_UNCHECKED = 64 * 1024 * 1024
"""Bytes of bodies that have no check yet, beyond which each is checked at once."""
_MOST_PRODUCERS = 10_000


class ItemSegments:
    """See the module. `used` are the segments that hold something, by number; `spares` those that wait for use.
    `unchecked`: bodies whose check is to be made up for.
    """

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
        self._lent: set[Segment] = set()
        self._lends = True
        self.unchecked: dict[Location, None] = {}
        self._unchecked_bytes = 0

    def adopt(
        self, journal: int, epoch: int, state: State, used: dict[int, Segment], unchecked: Iterable[Location]
    ) -> None:
        """Takes over what earlier leaders left, and removes what they were in the midst of making."""
        # Known before it is needed: there may be no descriptor then.
        this_boot()
        self._journal = journal
        self._epoch = epoch
        self._number = first_number(epoch)
        self._state = state
        self.used = used
        self.unchecked.update(dict.fromkeys(unchecked))
        self._unchecked_bytes = sum(location.length for location in self.unchecked)
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
                self._start(copied, self._number, SegmentKind.ITEMS)
                places = settling.copy(bodies, copied, self._epoch)
                copied.note_syncing()
                disk.sync_file(copied.fd)
                disk.sync_folder(self._path)
                copied.note_synced()
            except BaseException:
                self.used.pop(copied.number, None)
                self._active = None
                copied.remove()
                raise
        self._active = copied
        settling.move(bodies, places)

    def begin(self) -> None:
        """Goes on in the youngest segment that is of use and above suspicion. Requires that the ledger has begun."""
        for segment in sorted(self.used.values(), key=lambda found: found.number):
            if not segment.live:
                self._recycle(segment)
            elif not segment.damaged and not segment.suspect and not segment.lent:
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
        if location in self.unchecked:
            self._forget_unchecked(location)
        if not segment.live and segment is not self._active and segment not in self._lent:
            self._recycle(segment)

    # Loans

    def lend(self, size: int) -> Segment | None:
        segment = self._to_lend(size + records.SEGMENT_HEADER_SIZE)
        if segment is None:
            return None
        self._start(segment, self._number, SegmentKind.LENT)
        self._lent.add(segment)
        self._unsynced.segments.add(segment)
        self._note_begin(segment)
        return segment

    def _to_lend(self, needed: int) -> Segment | None:
        """A segment for it, mapped, if there is more than enough of everything."""
        if not self._lends or len(self.used) >= MOST_USED:
            return None
        least = max(needed, min(8 * needed, LARGEST_LOAN), LOAN_SIZE, self._by_backlog())
        lent = sum(segment.size for segment in self._lent)
        segment = next((spare for spare in self.spares if spare.size >= max(needed, LOAN_SIZE)), None)
        size = segment.size if segment is not None else -(-least // 65536) * 65536
        if lent + size > MOST_LENT or not disk.has_plenty(self._path, size):
            return None
        self._number += 1
        try:
            if segment is None:
                segment = Segment.create(self._new_path(self._number), size, self._number)
            else:
                self.spares.remove(segment)
            segment.view()
        except (NoRoom, OSError):
            # Without a descriptor too. Nobody needs a loan.
            if segment is not None:
                segment.remove()
            return None
        return segment

    def placed(self, loan: Segment, offset: int, length: int) -> memoryview | None:
        start = offset + records.HEADER.size + 8 * records.ITEMS_WORDS
        if offset != loan.tail or length > loan.size - start:
            return None
        return loan.view()[start : start + length]

    def append_placed(self, loan: Segment, words: Sequence[int], length: int, check: int | None) -> Location:
        self._ledger.reserve()
        try:
            start = loan.append_head(Kind.ITEMS, words, length, check, self._epoch)
        except OSError as error:
            if not disk.is_full(error):
                raise
            return self._append_copy(loan, words, length, check)
        loan.live += 1
        loan.producers[words[0]] = words[2] + words[3] - 1
        self._unsynced.segments.add(loan)
        location = Location(loan, start, length)
        if check is None:
            self.unchecked[location] = None
            self._unchecked_bytes += length
            if self._unchecked_bytes > MOST_UNCHECKED:
                self.check_late(length)
        return location

    def _append_copy(self, loan: Segment, words: Sequence[int], length: int, check: int | None) -> Location:
        """Where others may write and this process may not (ulimit -f), as in all that follows there. No more loans."""
        self._lends = False
        start = loan.tail + records.HEADER.size + 8 * len(words)
        body = loan.view()[start : start + length]
        location = self.append_data(Kind.ITEMS, words, [body], length, crc32(body) if check is None else check)
        loan.tail += records.record_size(len(words), length)
        return location

    def end_loan(self, loan: Segment, *, is_back: bool) -> None:
        self._lent.discard(loan)
        if is_back:
            loan.lent = False
        if not loan.live:
            self._recycle(loan)
        elif loan.tail < loan.size // 2:
            # Also where its borrower may still write: what it writes behind the tail is nothing.
            loan.resize(loan.tail)

    def check_late(self, most: int) -> bool:
        """Makes up for checks, of about so many bytes in all; False if there are none left to make."""
        unchecked = self.unchecked
        while unchecked and most > 0:
            location = next(iter(unchecked))
            self._forget_unchecked(location)
            try:
                location.segment.check_late(Kind.ITEMS, records.ITEMS_WORDS, location.start, location.length)
            except OSError as error:
                if not disk.is_full(error):
                    raise
            most -= location.length
        return bool(unchecked)

    def _forget_unchecked(self, location: Location) -> None:
        del self.unchecked[location]
        self._unchecked_bytes -= location.length

    # Segments

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
        self._start(segment, number, SegmentKind.ITEMS)
        self._active = segment
        self._note_begin(segment)
        return segment

    def _start(self, segment: Segment, number: int, kind: SegmentKind) -> Segment:
        name = f"items-{number:016x}"
        segment.restart(SegmentHeader(kind, number, self._epoch, self._journal))
        if segment.name != name:
            segment.rename(name)
            self._unsynced.names = True
        self.used[number] = segment
        return segment

    def _note_begin(self, segment: Segment) -> None:
        """From here on it is missed if it is not there: noted once it is, and before anything is in it."""
        self._state.segments.add(segment.number)
        self._ledger.append(Kind.BEGUN, (segment.number,))

    def _allocate(self, needed: int, number: int) -> Segment:
        path = self._new_path(number)
        least = -(-needed // 65536) * 65536
        several = min(4 * least, SPARE_BYTES) if needed > BASE_SIZE else 0
        size = max(BASE_SIZE, several, self._by_backlog())
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

    def _by_backlog(self) -> int:
        """How large a new segment is at least, so that they do not become too many."""
        return min(LARGEST_SIZE, _power_of_two(self._state.bytes // 4))

    def _new_path(self, number: int) -> str:
        return os.path.join(self._path, f"new-{number:016x}")

    def _recycle(self, segment: Segment) -> None:
        """Requires that nothing in the segment is of use."""
        self._note_end(segment)
        self._unsynced.segments.discard(segment)
        self.used.pop(segment.number, None)
        if segment.damaged:
            segment.set_aside()
        elif segment.suspect or segment.lent or segment.size < BASE_SIZE:
            segment.remove()
        elif segment.size + self._spare_bytes() <= SPARE_BYTES:
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
