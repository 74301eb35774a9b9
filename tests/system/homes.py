"""
A journal's directory for the tests, what one does to it, and a disk that can be full.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from groupqueue.core import messages as m
from groupqueue.core import records
from groupqueue.core.broker import Broker
from groupqueue.core.ports import NoRoom
from groupqueue.system import disk as disk_module
from groupqueue.system import items, ledger, segments
from groupqueue.system import paths as paths_module
from groupqueue.system.journal import Journal
from tests.core import fakes
from tests.core.fakes import Group, Killed, check, picture
from tests.core.lives import A, B, Life, P, Q, payload, payloads_of

SMALL = 64 * 1024
"""The smallest segment there is."""


class Home:
    """A journal's directory: `lead` opens it as the next leader does, `told` as whoever looks after a kill."""

    def __init__(self, folder: str, opened: list[Journal]) -> None:
        self.folder = folder
        self._opened = opened

    def open(self) -> Journal:
        journal = Journal(self.folder, "jobs")
        self._opened.append(journal)
        return journal

    def recover(self) -> Journal:
        """As the next leader has it before it settles and serves."""
        journal = self.open()
        journal.recover()
        check(journal.state)
        return journal

    def lead(self) -> Life:
        journal = self.recover()
        epoch = journal.last_epoch + 1
        journal.settle(epoch)
        journal.begin(epoch, 4242)
        return Life(journal)

    def look(self) -> Journal:
        journal = self.open()
        journal.recover(read_only=True)
        return journal

    def told(self) -> dict[str, Any]:
        """What the directory tells, without a note of damage."""
        journal = self.look()
        assert journal.notes == []
        check(journal.state)
        found = picture(journal.state)
        for item, body in payloads_of(journal, journal.state).items():
            assert body.rstrip(b"-") == payload(item), f"item {item} is not the bytes that were put"
        journal.close()
        return found

    def names(self, prefix: str = "") -> list[str]:
        return sorted(name for name in os.listdir(self.folder) if name.startswith(prefix))

    def items_path(self) -> Path:
        """The youngest items segment."""
        return self.path(self.names("items-")[-1])

    def path(self, name: str) -> Path:
        return Path(self.folder, name)

    def copy(self, target: str) -> Home:
        shutil.copytree(self.folder, target)
        return Home(target, self._opened)


def flip(path: Path, at: int, with_: int = 0xFF) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ with_]))


def drain(life: Life) -> None:
    """Everything that is ready is got by a new consumer."""
    state = life.state
    member = 1000 + state.next_id
    for lane in list(state.lanes.by_producer.values()):
        for run in list(lane.ready):
            life.grant(member, (run.first, run.count))
    if member in state.grants:
        life.taken(member, state.grants[member].end)


def assert_equal(told: dict[str, Any], lived: dict[str, Any]) -> None:
    assert told == lived


def wipe_last_record(path: Path) -> tuple[int, int]:
    """The last record of a segment is gone; where it was."""
    start, end = last_record(path)
    with open(path, "r+b") as file:
        file.seek(start)
        file.write(bytes(end - start))
    return start, end


def last_record(path: Path) -> tuple[int, int]:
    """Where the last record of a segment begins, and where its bytes end."""
    data = path.read_bytes()
    header = records.unpack_segment_header(data)
    assert header is not None
    record = list(records.read_records(memoryview(data), header.number))[-1]
    assert isinstance(record, records.Record)
    return record.offset, record.offset + records.HEADER.size + 8 * len(record.words) + len(record.body)


def eventful(life: Life) -> None:
    """Fills and empties segments, rolls the ledger, and leaves something of everything."""
    state = life.state
    for turn in range(4):
        first = life.put(P, 3, m.WANTS_REPLY, size=9000)
        life.put(Q, 1, size=40_000)
        life.grant(A, (first[0], 3), (first[0] + 3, 1))
        life.taken(A, state.grants[A].taken + 3, first[0], first[1])
        number = life.reply(first[0], body=bytes(9000))
        life.requeue(first[1])
        life.grant(B, (first[1], 1))
        life.heard(number)
        if turn % 2:
            life.taken(B, state.grants[B].end)
            life.give_back(A, state.grants[A].taken)
            life.finish((first[0] + 3, 1))
        roll(life)


def roll(life: Life) -> None:
    """A checkpoint in the other ledger, as when this one is full."""
    life.journal._ledger.roll()


class Doomed:
    """The os module, until the leader dies at a call that changes something.

    A write is torn where a kill can tear one, between two pages; of any other call nothing is done, which is also what
    is left when the leader dies right after the call before.
    """

    WRITES = ("pwrite", "pwritev", "rename", "unlink", "ftruncate", "posix_fallocate", "open", "mkdir")

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        if name not in self.WRITES:
            return real

        def call(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left > 0:
                return real(*args, **kwargs)
            if name.startswith("pwrite") and self.left == 0:
                fd, data, offset = args
                whole = bytes(data) if name == "pwrite" else b"".join(data)
                pages = (offset + len(whole) // 2) // 4096 * 4096
                os.pwrite(fd, whole[: max(pages - offset, 0)], offset)
            raise Killed

        return call


@contextmanager
def doomed(calls: int) -> Iterator[None]:
    """Everything that writes a journal dies at this call."""
    dying = Doomed(calls)
    with pytest.MonkeyPatch.context() as patch:
        for module in (disk_module, items, ledger, paths_module, segments):
            patch.setattr(module, "os", dying)
        yield


class Disk:
    """Allocations succeed until `free` bytes are used."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int = 1 << 40) -> None:
        self.free = free
        self._real = disk_module.allocate
        monkeypatch.setattr(disk_module, "allocate", self.allocate)

    def allocate(self, fd: int, size: int) -> None:
        more = size - os.fstat(fd).st_size
        if more > self.free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.free -= more
        self._real(fd, size)


def fill(life: Life, size: int = 10_000) -> None:
    """Puts until there is no room."""
    while True:
        try:
            life.put(P, 1, size=size)
        except NoRoom:
            return


class Shop:
    """A broker on a real journal."""

    def __init__(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(fakes, "check", lambda state: None)
        self.group = Group()
        self.home = home
        self.lead()

    def lead(self) -> None:
        life = self.home.lead()
        group = self.group
        group.journal = life.journal
        group.broker = Broker(life.state, life.journal, group.cursors, 0, 1, 1)
        for member in group.members.values():
            member.hello()
