"""How far the reading of a file is: a bar on standard error, if that is a terminal and it takes long enough to see."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import BinaryIO

import rich.progress
from rich.console import Console

DELAY = 0.5
"""Seconds before the bar is there."""

STEP = 0.1


class Progress:
    """Goes over the lines of a file; as a context manager it takes its bar away again."""

    def __init__(self, file: BinaryIO) -> None:
        self.name = getattr(file, "name", "<stdin>")
        self._file = file
        self._total = _size(file)
        self._bytes = 0
        self._lines = 0
        self._due = time.monotonic() + DELAY if sys.stderr.isatty() else float("inf")
        self._bar: rich.progress.Progress | None = None

    def __iter__(self) -> Iterator[bytes]:
        for line in self._file:
            self._bytes += len(line)
            self._lines += 1
            if time.monotonic() >= self._due:
                self._show()
            yield line

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._show()
            self._bar.stop()

    def _show(self) -> None:
        self._due = time.monotonic() + STEP
        if self._bar is None:
            self._bar = rich.progress.Progress(
                rich.progress.TextColumn("{task.fields[lines]:,} items"),
                rich.progress.BarColumn(),
                rich.progress.TaskProgressColumn(),
                rich.progress.DownloadColumn(),
                rich.progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                auto_refresh=False,
            )
            self._bar.add_task("put", total=self._total, lines=0)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=self._bytes, lines=self._lines, refresh=True)


def _size(file: BinaryIO) -> int | None:
    """Bytes of a regular file, None of a pipe or the like."""
    try:
        found = os.fstat(file.fileno())
    except (OSError, ValueError):
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None
