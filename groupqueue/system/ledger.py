"""
The ledger: what became of the items, in two files that take turns.

It never needs new room to go on: a full ledger is replaced by a checkpoint of the state in the other, whose header,
with the higher number, is written last and says that it counts. Room for the checkpoint that will tell of an item is
taken before the item is accepted, so gets go on when the disk is full.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from zlib import crc32

from groupqueue.core import records
from groupqueue.core.checkpoint import to_json
from groupqueue.core.ports import NoRoom
from groupqueue.core.records import Kind, SegmentHeader, SegmentKind
from groupqueue.core.state import State
from groupqueue.system.segments import Segment, first_number
from groupqueue.system.unsynced import SyncError, Unsynced

LEDGER_SIZE = 256 * 1024

# A checkpoint leaves at least this much of its ledger free; an entry of it takes about so many bytes.
LEAST_FREE = 64 * 1024
_ENTRY_BYTES = 48

# So many are told in one record at most; who has more of them open is told of the youngest only.
_MOST_SEGMENTS = 4000


class Ledger:
    """See the module. `segments` are the file that counts and the next one, as far as they are there."""

    def __init__(self, path: str, unsynced: Unsynced) -> None:
        self._path = path
        self._unsynced = unsynced
        self._journal = 0
        self._epoch = 0
        self._number = 0
        self._state = State()
        self._current: Segment | None = None
        self._other: Segment | None = None

    def begin(
        self, journal: int, epoch: int, pid: int, state: State, current: Segment | None, other: Segment | None
    ) -> None:
        """Goes on in `current`, if there is one, and notes who leads from here on. `state` is what checkpoints tell."""
        self._journal = journal
        self._epoch = epoch
        self._number = first_number(epoch)
        self._state = state
        self._current = current
        self._other = other
        if current is None:
            self.roll()
            self._prepare_other()
        elif current.damaged:
            self._leave_damaged()
        else:
            if other is None:
                self._prepare_other()
            self.append(Kind.EPOCH, (self._epoch, pid, *sorted(state.segments)[-_MOST_SEGMENTS:]))

    def append(self, kind: Kind, words: Sequence[int], body: bytes = b"") -> None:
        ledger = self._current
        assert ledger is not None
        if ledger.tail + records.record_size(len(words), len(body)) > ledger.size:
            ledger = self.roll()
        ledger.append(kind, words, [body] if body else (), len(body), crc32(body), self._epoch)
        self._unsynced.ledger = ledger

    def roll(self) -> Segment:
        """Goes on in the other file, with a checkpoint. It counts once its header is written."""
        # A checkpoint tells how far each producer is: it must not tell of what a failing disk may lose.
        self._unsynced.sync_promises()
        body = self._checkpoint()
        needed = records.SEGMENT_HEADER_SIZE + records.record_size(0, len(body))
        if self._other is None:
            self._prepare_other()
        other = self._other
        assert other is not None
        if other.size > 2 * _size_for(needed):
            other.resize(_size_for(needed))
        elif other.size < needed + LEAST_FREE:
            try:
                other.resize(_size_for(needed))
            except NoRoom:
                # Rather without the reasons of failures than not at all: gets must go on.
                body = self._checkpoint(reasons=False)
                needed = records.SEGMENT_HEADER_SIZE + records.record_size(0, len(body))
                if other.size < needed + LEAST_FREE:
                    raise
        self._number += 1
        other.number = self._number
        other.tail = records.SEGMENT_HEADER_SIZE
        other.append(Kind.CHECKPOINT, (), [body], len(body), crc32(body), self._epoch)
        other.write_header(SegmentHeader(SegmentKind.LEDGER, other.number, self._epoch, self._journal))
        self._other, self._current = self._current, other
        self._unsynced.ledger = other
        return other

    def forget(self) -> None:
        """Goes on without what was told of items that are lost, if there is room for that."""
        try:
            self.roll()
        except NoRoom:
            pass

    def renew(self) -> None:
        """Goes on in new files, if there is room for them: what is written to these may never reach the disk."""
        try:
            self._replace_other()
            self.roll()
            # Before that, the old file is all that the disk has. Whoever fails here fails at the first promise, too.
            self._unsynced.sync()
            self._replace_other()
        except (NoRoom, SyncError):
            pass

    def reserve(self) -> None:
        """Nothing new is accepted without room for the checkpoint that will tell of it: NoRoom if there is none."""
        needed = self._checkpoint_size()
        if self._other is not None and self._other.size < needed + LEAST_FREE:
            self._other.resize(_size_for(2 * needed))

    def trim(self) -> None:
        """Gives room back that the checkpoints no longer need."""
        enough = _size_for(2 * self._checkpoint_size())
        if self._current is not None and self._current.size > enough:
            self.roll()
        if self._other is not None and self._other.size > enough:
            self._other.resize(enough)

    @property
    def segments(self) -> list[Segment]:
        return [segment for segment in (self._current, self._other) if segment is not None]

    def _checkpoint(self, *, reasons: bool = True) -> bytes:
        return json.dumps(to_json(self._state, reasons=reasons), separators=(",", ":")).encode()

    def _checkpoint_size(self) -> int:
        state = self._state
        entries = len(state.batches) + 2 * len(state.held) + 4 * len(state.failed) + len(state.last_seq)
        entries += len(state.segments)
        return _ENTRY_BYTES * (entries + len(state.attempts) + len(state.replies))

    def _prepare_other(self) -> None:
        """Makes the file that the next checkpoint goes to: on a full disk it is too late for that."""
        index = 1 if self._current is not None and self._current.path.endswith("0") else 0
        self._other = Segment.create(os.path.join(self._path, f"ledger-{index}"), _size_for(0), 0)
        self._unsynced.names = True

    def _replace_other(self) -> None:
        assert self._other is not None
        old = self._other
        fresh = Segment.create(os.path.join(self._path, f"new-{old.name}"), max(old.size, _size_for(0)), 0)
        fresh.rename(old.name)
        old.close()
        self._other = fresh
        self._unsynced.names = True

    def _leave_damaged(self) -> None:
        self.roll()
        damaged = self._other
        assert damaged is not None
        self._other = None
        damaged.set_aside()
        self._prepare_other()


def _size_for(needed: int) -> int:
    return max(LEDGER_SIZE, -(-(needed + LEDGER_SIZE // 2) // 65536) * 65536)
