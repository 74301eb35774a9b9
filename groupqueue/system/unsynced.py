"""
What was written to a journal and may not be on the disk yet.

A sync that fails proves nothing, and neither does the next one: the kernel may have marked the pages clean, and report
success without having written them. So a journal that failed to sync never syncs again. Each segment says that a sync
of it has begun, and then up to where it is on the disk; by that whoever recovers knows what not to trust (settling.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from groupqueue.system import disk
from groupqueue.system.segments import Segment


class SyncError(OSError):
    """What was written is not known to be on the disk."""


class Unsynced:
    """`segments` of items and the `ledger` that have something new in them; `names`: some file is new, or renamed."""

    def __init__(self, path: str) -> None:
        self.segments: set[Segment] = set()
        self.ledger: Segment | None = None
        self.names = False
        self._path = path
        self._failed = ""

    def sync(self) -> None:
        """Everything written so far survives the death of the machine. Raises SyncError, and ever after."""
        if self._failed:
            raise SyncError(self._failed)
        try:
            with told():
                for segment in self.segments:
                    segment.note_syncing()
                for segment in self.segments:
                    disk.sync_file(segment.fd)
                if self.ledger is not None:
                    disk.sync_file(self.ledger.fd)
                if self.names:
                    disk.sync_folder(self._path)
        except BaseException as error:
            self._failed = str(error) or repr(error)
            raise
        for segment in self.segments:
            segment.note_synced()
        self.segments.clear()
        self.ledger = None
        self.names = False

    def sync_promises(self) -> None:
        """The same, if there is anything among it that must be on the disk before it counts."""
        if any(segment.is_in_doubt for segment in self.segments):
            self.sync()


@contextmanager
def told() -> Iterator[None]:
    """The operating system's errors, by what they mean here."""
    try:
        yield
    except OSError as error:
        raise SyncError(*error.args) from error
