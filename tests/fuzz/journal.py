"""
A journal's directory after somebody was at it.

`check_journal`: the input says what is done to a sample journal: bytes flipped and zeroed, pieces moved, files cut,
removed, swapped, doubled, replaced by older ones and by those of another group. Reading it raises nothing, every
payload is what was put under that id, every lane is in order; a leader takes over and goes on, and whoever looks after
it finds the same.
"""

from __future__ import annotations

import atexit
import os
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from unittest import mock

from groupqueue.core import messages as m
from groupqueue.core import records
from groupqueue.exceptions import GroupVersionError
from groupqueue.system import items, ledger
from groupqueue.system.journal import Journal
from tests.core import lives
from tests.core.fakes import check, picture
from tests.core.lives import A, B, Life, P, Q, payload, payloads_of

SMALL = 64 * 1024
Files = dict[str, bytes]


# The samples


class Sample:
    """A journal as it was at several moments, the last one first; `batches` of it by id, as they were put."""

    def __init__(self, moments: list[Files], batches: dict[int, tuple[int, ...]]) -> None:
        self.moments = moments
        self.batches = batches


@contextmanager
def small_segments(first: int = 0) -> Iterator[None]:
    """Everything is as small as it can be, and numbers are the same each time, beginning with `first`."""
    with (
        mock.patch.multiple(items, BASE_SIZE=SMALL, SPARE_BYTES=SMALL),
        mock.patch.multiple(ledger, LEDGER_SIZE=4096, LEAST_FREE=4096),
        mock.patch.object(items, "first_number", lambda epoch: (epoch << 32) + first),
        mock.patch.object(ledger, "first_number", lambda epoch: (epoch << 32) + first + 50),
    ):
        yield


@contextmanager
def journal_in(folder: str) -> Iterator[Journal]:
    journal = Journal(folder, "jobs")
    try:
        yield journal
    finally:
        journal.close()


def lead(journal: Journal) -> Life:
    journal.recover()
    epoch = journal.last_epoch + 1
    journal.settle(epoch)
    journal.begin(epoch, 4242)
    return Life(journal)


def read_files(folder: str) -> Files:
    """The files, without the zeros at their ends."""
    found = {}
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name), "rb") as file:
            data = file.read().rstrip(b"\0")
        found[name] = data + bytes(-len(data) % 64 + 64)
    return found


def write_files(folder: str, files: Files) -> None:
    for name in os.listdir(folder):
        os.unlink(os.path.join(folder, name))
    for name, data in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)


def simple(life: Life) -> Iterator[None]:
    """A ledger and a segment."""
    life.put(P, 2)
    life.put(Q, 1, m.WANTS_REPLY)
    life.grant(A, (1, 2))
    yield
    life.taken(A, 1, 1)
    life.put(P, 3)
    life.grant(B, (3, 1))
    life.taken(B, 1, 3)
    yield
    life.reply(3)
    life.failed(1)
    life.put(Q, 2, size=100)


def rolled(life: Life) -> Iterator[None]:
    """Both ledgers, two segments, and a spare."""
    life.put(P, 1, size=40_000)
    life.put(P, 1, size=40_000)
    life.grant(A, (1, 1))
    life.taken(A, 1)
    yield
    life.put(Q, 3)
    life.journal._ledger.roll()
    life.grant(A, (2, 1), (3, 2))
    life.taken(A, 2, 2)
    yield
    life.requeue(2)
    life.put(P, 2)
    life.give_back(A, 2)


def durable(life: Life) -> Iterator[None]:
    """What is on the disk, and something in doubt."""
    life.put(P, 2, m.DURABLE)
    life.journal.sync()
    life.put(Q, 2, m.DURABLE)
    life.journal.sync()
    yield
    life.grant(A, (3, 1))
    life.put(P, 1, m.DURABLE)
    life.put(Q, 1, m.DURABLE | m.WANTS_REPLY)


STORIES: tuple[Callable[[Life], Iterator[None]], ...] = (simple, rolled, durable)


OURS, FOREIGN = 33, 35


def foreign_payload(item: int, size: int | None = None) -> bytes:
    return payload(item, size).replace(b".", b"!")


def make_sample(story: Callable[[Life], Iterator[None]], folder: str, is_foreign: bool = False) -> Sample:
    """`is_foreign`: another group's journal, with other payloads under the same ids."""
    moments = []
    carried = foreign_payload if is_foreign else payload
    with mock.patch.object(lives, "payload", carried), small_segments(100 * is_foreign), journal_in(folder) as journal:
        # The same journal each time: an input means the same in every run.
        with mock.patch.object(os, "urandom", lambda size: (FOREIGN if is_foreign else OURS).to_bytes(size, "little")):
            life = lead(journal)
        for _ in story(life):
            moments.insert(0, read_files(folder))
        moments.insert(0, read_files(folder))
        batches = {
            first: (batch.producer, batch.first_seq, batch.count, batch.flags)
            for first, batch in life.state.batches.items()
        }
    shutil.rmtree(folder)
    return Sample(moments, batches)


@lru_cache(maxsize=1)
def samples() -> list[Sample]:
    with tempfile.TemporaryDirectory(prefix="gq-samples-") as folder:
        made = []
        for story in STORIES:
            for is_foreign in (False, True):
                os.mkdir(os.path.join(folder, "journal"))
                made.append(make_sample(story, os.path.join(folder, "journal"), is_foreign))
        return made


# Damage


class Reader:
    """Takes an input apart; what is not there is zero."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        return self._at >= len(self._data)

    def number(self, size: int) -> int:
        found = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(found, "little")

    def bytes(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        self._at += size
        return found


def damage(files: Files, reader: Reader, others: list[Files]) -> None:
    """Does to the files what the input says, 8 bytes to a deed."""
    deeds = 0
    while not reader.is_empty and deeds < 12:
        deeds += 1
        deed, which, other, value = (reader.number(1) for _ in range(4))
        at, length = reader.number(2), reader.number(2)
        name = pick(sorted(files), which)
        if name is None:
            return
        data = files[name]
        at = at % (len(data) + 1)
        length = length % 256 + 1
        if deed % 12 < 3:
            files[name] = data[:at] + bytes(byte ^ (value or 255) for byte in data[at : at + 1]) + data[at + 1 :]
        elif deed % 12 == 3:
            files[name] = data[:at] + bytes([value]) * len(data[at : at + length]) + data[at + length :]
        elif deed % 12 == 4:
            files[name] = data[:at]
        elif deed % 12 == 5:
            files[name] = data[:at] + data[length * 8 : length * 16] + data[at:]
        elif deed % 12 == 6:
            del files[name]
        elif deed % 12 == 7:
            swapped = pick(sorted(files), other)
            assert swapped is not None
            files[name], files[swapped] = files[swapped], files[name]
        elif deed % 12 == 8:
            files[f"items-{at:016x}"] = data
        elif deed % 12 == 9:
            older = pick(others, value)
            chosen = pick(sorted(older or {}), other)
            if older and chosen is not None:
                files[name] = older[chosen]
        elif deed % 12 == 10:
            older = pick(others, value)
            chosen = pick(sorted(older or {}), other)
            if older and chosen is not None:
                files[chosen] = older[chosen]
        else:
            files[name] = data[:at] + data[at:].rjust(len(data) - at + (value % 8 + 1) * 8, b"\0")


def pick(found: list[Any], which: int) -> Any:
    return found[which % len(found)] if found else None


def check_journal(data: bytes) -> None:
    """The target: AssertionError, or whatever is raised, is a finding."""
    reader = Reader(data)
    story = reader.number(1) % len(STORIES)
    sample = samples()[2 * story]
    others = [*sample.moments[1:], *samples()[2 * story + 1].moments]
    files = dict(sample.moments[0])
    damage(files, reader, others)
    # Nothing tells whose a segment is that has no header.
    is_mixed = any(name.startswith("items-") and unpack_header(data) is None for name, data in files.items())
    with in_folder(files) as folder:
        try:
            look(folder, sample, is_mixed)
        except GroupVersionError:
            return
        # No number is ever used again: the real ones are random.
        with small_segments(1000), journal_in(folder) as journal:
            life = lead(journal)
            assert_sound(journal, sample, is_mixed)
            with mock.patch.object(lives, "payload", payload_of(journal)):
                life.put(P, 1)
            after = picture(life.state)
        # How much was lost is told by whoever meets the loss.
        assert look(folder, None, is_mixed) | {"totals": 0} == after | {"totals": 0}, (
            "the next one reads something else"
        )


def unpack_header(data: bytes) -> records.SegmentHeader | None:
    try:
        return records.unpack_segment_header(data)
    except records.FormatError:
        return None


@contextmanager
def in_folder(files: Files) -> Iterator[str]:
    folder = work_folder()
    write_files(folder, files)
    yield folder


@lru_cache(maxsize=1)
def work_folder() -> str:
    """One for the process, in memory if there is a file system for that."""
    folder = tempfile.mkdtemp(prefix=f"gq-fuzzed-{os.getpid()}-", dir=work_base())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def work_base() -> str:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()


def look(folder: str, sample: Sample | None, is_mixed: bool) -> dict[str, Any]:
    with journal_in(folder) as journal:
        journal.recover(read_only=True)
        assert_sound(journal, sample, is_mixed)
        return picture(journal.state)


def payload_of(journal: Journal) -> Callable[..., bytes]:
    """Where most of the files are another group's it is that group's journal, and must be that one whole."""
    return foreign_payload if journal._found.journal == FOREIGN else payload


def assert_sound(journal: Journal, sample: Sample | None, is_mixed: bool) -> None:
    """Whatever is left is what was put, each item in one place and each lane in order."""
    state = journal.state
    check(state)
    carried = {payload_of(journal)}
    if is_mixed:
        carried = {payload, foreign_payload}
    for item, body in payloads_of(journal, state).items():
        assert body.rstrip(b"-") in {carry(item) for carry in carried}, f"item {item} is {body[:20]!r}"
    for first, batch in state.batches.items():
        if sample is not None and first in sample.batches:
            found = (batch.producer, batch.first_seq, batch.count, batch.flags)
            assert found == sample.batches[first], f"batch {first} is {found}"


def seeds() -> dict[str, bytes]:
    found = {}
    for story in range(len(STORIES)):
        for deed in range(12):
            for which in range(3):
                chosen = bytes([story, deed, which, deed + which, which])
                found[f"deed-{story}-{deed}-{which}"] = chosen + struct.pack("<HH", 100 * which + 70 * deed, 32)
    return found
