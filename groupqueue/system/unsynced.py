"""What was written to a journal's segments and may not be on the disk yet: which files, and whether their names too."""

from __future__ import annotations

from collections.abc import Iterable

from groupqueue.system import disk
from groupqueue.system.segments import Segment


class Unsynced:
    """`segments` are those with something new in them, `names` tells whether some got theirs since the last sync."""

    def __init__(self, path: str) -> None:
        self.segments: set[Segment] = set()
        self.names = False
        self._path = path

    def sync(self) -> None:
        """Everything written so far survives the death of the machine."""
        for segment in self.segments:
            if segment.fd >= 0:
                disk.sync_file(segment.fd)
        self.segments.clear()
        if self.names:
            disk.sync_folder(self._path)
            self.names = False

    def distrust(self, segments: Iterable[Segment]) -> None:
        """What earlier leaders wrote to these is to be synced as well."""
        self.segments.update(segments)
        self.names = True
