"""
The journal on disk: one directory of segments, read by `recover` and then written by one leader.

`items-N` segments hold what was put and answered, `ledger-0` and `ledger-1` in turn what became of it. See
docs/journal-format.md.
"""

from __future__ import annotations

import os

from groupqueue.core.state import State
from groupqueue.system.items import ItemSegments
from groupqueue.system.ledger import Ledger
from groupqueue.system.paths import set_aside
from groupqueue.system.recovery import Recovery
from groupqueue.system.segments import Location, Segment, epoch_of
from groupqueue.system.unsynced import Unsynced


class Journal:
    """See the module. Implements `JournalPort` for the broker; `state` is what its records amount to."""

    def __init__(self, path: str, group: str) -> None:
        self.state = State()
        self._found = Recovery(path, group)
        self._is_adopted = False
        self._number = 0
        self._unsynced = Unsynced(path)
        self._ledger = Ledger(path, self._unsynced)
        self._items = ItemSegments(path, self._unsynced, self._ledger)
        # Bound and not called through: a call less for each record.
        self.append = self._ledger.append
        self.append_data = self._items.append_data
        self.release = self._items.release
        self.lend = self._items.lend
        self.placed = self._items.placed
        self.append_placed = self._items.append_placed
        self.end_loan = self._items.end_loan
        self.check_late = self._items.check_late
        self.unchecked = self._items.unchecked
        self.sync = self._unsynced.sync

    def recover(self, read_only: bool = False) -> State:
        """Reads every segment, and returns the state they amount to. Writes nothing.

        `read_only`: without the leader's lock, so that there may be a leader who writes.
        Raises GroupVersionError for a journal of another version. `notes` then names what was damaged.
        """
        self.state = self._found.read(read_only=read_only)
        return self.state

    @property
    def notes(self) -> list[str]:
        return self._found.notes

    @property
    def last_epoch(self) -> int:
        """The highest epoch of which anything is left."""
        return max(self.state.epoch, epoch_of(self._found.last_number))

    def settle(self, epoch: int) -> None:
        """Brings to the disk what is to be there and may not be. Raises SyncError: try again later; PagesLost.

        Until it succeeds nobody may hear of what was recovered. `epoch` is as for `begin`.
        """
        self._adopt(epoch)
        self._items.settle()

    def begin(self, epoch: int, pid: int) -> None:
        """Makes the journal this leader's to write: the records from here on carry its epoch.

        `epoch` must be above `last_epoch`, and above any that is known from elsewhere.
        """
        self._adopt(epoch)
        found = self._found
        for segment in found.unreadable:
            segment.set_aside()
        other = found.other if found.other not in found.unreadable else None
        self.state.segments = set(self._items.used)
        self._ledger.begin(self._number, epoch, pid, self.state, found.ledger, other)
        if found.has_losses:
            # Or the next leader finds them missing once more.
            self._ledger.forget()
        if any(segment.suspect for segment in self._items.used.values()):
            # They were synced together.
            self._ledger.renew()
        self._items.begin()

    def _adopt(self, epoch: int) -> None:
        if not self._is_adopted:
            self._is_adopted = True
            self.state.epoch = epoch
            for path in self._found.irregular:
                set_aside(path)
            for segment in (*self._found.foreign, *self._found.surplus):
                segment.set_aside()
            # What is copied here from another group says by this that it is not of this one.
            self._number = self._found.journal or int.from_bytes(os.urandom(8), "little") | 1
            self._items.adopt(self._number, epoch, self.state, self._found.items, self._found.unchecked)

    def read(self, location: Location) -> memoryview:
        return location.segment.view()[location.start : location.start + location.length]

    def tidy(self) -> None:
        """Gives room back that the group has not needed lately."""
        self._items.tidy()
        self._ledger.trim()

    @property
    def disk_bytes(self) -> int:
        """What the segments take on disk."""
        return sum(segment.size for segment in self._segments())

    def close(self) -> None:
        for segment in self._segments():
            segment.close()
        self._found.close()

    def _segments(self) -> list[Segment]:
        return [*self._items.used.values(), *self._items.spares, *self._ledger.segments]
