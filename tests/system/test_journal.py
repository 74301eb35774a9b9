"""
The journal on disk.

A process that is killed leaves its files as they are, so each of its deaths can be had without killing anybody: the
test reads the directory with a second Journal, while the first has not closed it, or stops the first at a system call.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groupqueue.core import messages as m
from groupqueue.core import records
from groupqueue.core.broker import Broker
from groupqueue.core.ports import NoRoom
from groupqueue.core.records import Kind, SegmentHeader, SegmentKind
from groupqueue.core.state import State
from groupqueue.exceptions import GroupVersionError
from groupqueue.system import journal as module
from groupqueue.system.journal import BASE_SIZE, LEDGER_SIZE, Journal, Segment
from tests.core import fakes
from tests.core.fakes import Group, Killed, check, picture
from tests.core.lives import A, B, Life, P, Q, payload, payloads_of, random_moves
from tests.helpers import disk_usage

SMALL = 64 * 1024
"""The smallest segment there is."""


@pytest.fixture
def folder(directory: str) -> str:
    path = os.path.join(directory, "journal")
    os.mkdir(path, 0o700)
    return path


@pytest.fixture
def journals() -> Iterator[list[Journal]]:
    """What is opened in a test is closed when it ends."""
    opened: list[Journal] = []
    yield opened
    for journal in opened:
        journal.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments, ledgers and spares are as small as they can be, so that a short life fills many."""
    monkeypatch.setattr(module, "BASE_SIZE", SMALL)
    monkeypatch.setattr(module, "SPARE_BYTES", 2 * SMALL)
    monkeypatch.setattr(module, "LEDGER_SIZE", 4096)
    monkeypatch.setattr(module, "_LEAST_LEDGER", 4096)


class Home:
    """A journal's directory: `lead` opens it as the next leader does, `told` as whoever looks after a kill."""

    def __init__(self, folder: str, opened: list[Journal]) -> None:
        self.folder = folder
        self._opened = opened

    def open(self) -> Journal:
        journal = Journal(self.folder, "jobs")
        self._opened.append(journal)
        return journal

    def lead(self) -> Life:
        journal = self.open()
        journal.recover()
        check(journal.state)
        journal.begin(journal.last_epoch + 1, 4242)
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

    def path(self, name: str) -> Path:
        return Path(self.folder, name)

    def copy(self, target: str) -> Home:
        shutil.copytree(self.folder, target)
        return Home(target, self._opened)


@pytest.fixture
def home(folder: str, journals: list[Journal]) -> Home:
    return Home(folder, journals)


def flip(path: Path, at: int, with_: int = 0xFF) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ with_]))


# Recovery


def test_an_empty_directory_is_an_empty_group(home: Home) -> None:
    assert home.told() == picture(State())
    life = home.lead()
    assert life.state.epoch == 1
    assert home.names() == ["ledger-0", "ledger-1"]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_was_appended_is_there_at_once(home: Home, seed: int) -> None:
    life = home.lead()
    life.after = lambda: assert_equal(home.told(), picture(life.state))
    random_moves(life, random.Random(seed), 60)


def assert_equal(told: dict[str, Any], lived: dict[str, Any]) -> None:
    assert told == lived


@pytest.mark.parametrize("seed", range(3))
def test_each_leader_goes_on_where_the_last_one_stopped(home: Home, seed: int) -> None:
    chosen = random.Random(seed)
    lived = picture(State())
    for epoch in range(1, 6):
        life = home.lead()
        assert picture(life.state) == lived | {"epoch": epoch}
        random_moves(life, chosen, 40)
        lived = picture(life.state)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(4))
def test_segments_written_over_and_ledgers_rolled_lose_nothing(home: Home, seed: int) -> None:
    chosen = random.Random(seed)
    seen = set()
    for _ in range(4):
        life = home.lead()
        random_moves(life, chosen, 120, size=3000)
        drain(life)
        random_moves(life, chosen, 40, size=9000)
        assert home.told() == picture(life.state)
        seen |= set(home.names("items-"))
    assert len(seen) > 4


def drain(life: Life) -> None:
    """Everything that is ready is got by a new consumer."""
    state = life.state
    member = 1000 + state.next_id
    for lane in list(state.lanes.values()):
        for run in list(lane.ready):
            life.grant(member, (run.first, run.count))
    if member in state.grants:
        life.taken(member, state.grants[member].end)


def test_looking_changes_nothing(home: Home) -> None:
    life = home.lead()
    random_moves(life, random.Random(3), 50)
    before = {name: (home.path(name).read_bytes(), home.path(name).stat().st_mtime_ns) for name in home.names()}
    home.told()
    after = {name: (home.path(name).read_bytes(), home.path(name).stat().st_mtime_ns) for name in home.names()}
    assert after == before


def test_a_leader_carries_the_next_epoch(home: Home) -> None:
    assert [home.lead().state.epoch for _ in range(3)] == [1, 2, 3]


def test_a_body_is_read_from_where_it_was_put(home: Home) -> None:
    life = home.lead()
    for count in (1, 3, 1):
        life.put(P, count, size=1000)
    assert payloads_of(life.journal, life.state) == {item: payload(item, 1000) for item in range(1, 6)}
    again = home.look()
    assert payloads_of(again, again.state) == payloads_of(life.journal, life.state)


def test_what_was_read_stays_readable_while_somebody_has_it(home: Home) -> None:
    life = home.lead()
    life.put(P, 1, size=1000)
    view = life.journal.read(life.state.batches[1].location)
    life.journal.close()
    assert bytes(view[4:]) == payload(1, 1000)


def test_a_batch_in_any_number_of_parts_is_one_body(home: Home) -> None:
    life = home.lead()
    life.put(P, 3000)
    assert len(payloads_of(life.journal, life.state)) == 3000
    assert home.told() == picture(life.state)


def test_an_item_larger_than_a_segment_has_one_of_its_own(home: Home) -> None:
    life = home.lead()
    life.put(P, 1, size=3 * BASE_SIZE)
    life.put(P, 1)
    assert home.told() == picture(life.state)


def test_a_file_that_is_not_ours_is_left_alone_and_named(home: Home) -> None:
    life = home.lead()
    life.put(P, 1)
    home.path("items-backup").write_bytes(b"what is this")
    home.path("items-00000000deadbeef").write_bytes(b"short")
    home.path("README").write_bytes(b"hello")
    again = home.lead()
    assert picture(again.state)["ready"] == {P: [1]}
    assert len(again.journal.notes) == 2
    assert home.path("items-backup").exists()
    assert home.path("README").exists()


def test_a_segment_that_stands_there_twice_counts_once(home: Home) -> None:
    life = home.lead()
    life.put(P, 2)
    (name,) = home.names("items-")
    shutil.copy(home.path(name), home.path("items-0000000000000001"))
    again = home.look()
    assert picture(again.state)["ready"] == {P: [1, 2]}
    assert len(again.notes) == 1


# Torn tails


def last_record(path: Path) -> tuple[int, int]:
    """Where the last record of a segment begins, and where its bytes end."""
    data = path.read_bytes()
    header = records.unpack_segment_header(data)
    assert header is not None
    record = list(records.read_records(memoryview(data), header.number))[-1]
    assert isinstance(record, records.Record)
    return record.offset, record.offset + records.HEADER.size + 8 * len(record.words) + len(record.body)


@pytest.mark.parametrize("over", [b"\0", b"\xa5"])
def test_a_batch_that_was_torn_anywhere_was_never_put(home: Home, over: bytes) -> None:
    life = home.lead()
    life.put(P, 2)
    life.grant(A, (1, 1))
    before = picture(life.state)
    life.put(Q, 2)
    tear_anywhere(home, home.names("items-")[0], before, over)


@pytest.mark.parametrize("over", [b"\0", b"\xa5"])
def test_a_ledger_record_that_was_torn_anywhere_was_never_written(home: Home, over: bytes) -> None:
    life = home.lead()
    life.put(P, 4)
    life.grant(A, (1, 2))
    before = picture(life.state)
    life.taken(A, 2, 1)
    tear_anywhere(home, "ledger-0", before, over)


def tear_anywhere(home: Home, name: str, before: dict[str, Any], over: bytes) -> None:
    path = home.path(name)
    whole = path.read_bytes()
    start, end = last_record(path)
    for at in range(start, end):
        torn = whole[:at] + over * (end - at) + whole[end:]
        if torn != whole:
            path.write_bytes(torn)
            assert home.told() == before, f"torn at byte {at - start}"


@pytest.mark.parametrize("kept", [0, 10, 41, 60])
def test_the_next_leader_writes_over_what_was_torn(home: Home, kept: int) -> None:
    life = home.lead()
    life.put(P, 2, size=100)
    before = picture(life.state)
    life.put(P, 3, size=1000)
    path = home.path(home.names("items-")[0])
    start, end = last_record(path)
    data = path.read_bytes()
    path.write_bytes(data[: start + kept] + bytes(end - start - kept) + data[end:])
    again = home.lead()
    assert picture(again.state) == before | {"epoch": 2}
    again.put(P, 1)
    again.put(Q, 1)
    assert home.names("items-") == [path.name]
    assert home.told() == picture(again.state)


# Killed at a system call


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
        life.journal._roll()


@pytest.mark.usefixtures("small")
def test_a_leader_may_die_at_any_system_call(home: Home, monkeypatch: pytest.MonkeyPatch, directory: str) -> None:
    reference = home.copy(os.path.join(directory, "reference")).lead()
    lived = [picture(reference.state)]
    reference.after = lambda: lived.append(picture(reference.state))
    eventful(reference)
    calls = 0
    while True:
        calls += 1
        here = home.copy(os.path.join(directory, f"home-{calls}"))
        life = here.lead()
        applied = [0]

        def count(applied: list[int] = applied) -> None:
            applied[0] += 1

        life.after = count
        monkeypatch.setattr(module, "os", Doomed(calls))
        try:
            eventful(life)
        except Killed:
            pass
        else:
            break
        finally:
            monkeypatch.setattr(module, "os", os)
        told = here.told()
        assert told in lived[applied[0] : applied[0] + 2], f"killed at call {calls}"
        following = here.lead()
        assert picture(following.state) == told | {"epoch": 2}
        drain(following)
        eventful(following)
        assert here.told() == picture(following.state)
        for journal in (life.journal, following.journal):
            journal.close()
        shutil.rmtree(here.folder)
    assert calls > 40


@pytest.mark.usefixtures("small")
def test_a_leader_may_die_at_any_system_call_of_its_recovery(
    home: Home, monkeypatch: pytest.MonkeyPatch, directory: str
) -> None:
    life = home.lead()
    eventful(life)
    life.put(P, 2, size=9000)
    life.finish((life.state.next_id - 2, 2))
    lived = picture(life.state)
    life.journal.close()
    calls = 0
    while True:
        calls += 1
        here = home.copy(os.path.join(directory, f"home-{calls}"))
        monkeypatch.setattr(module, "os", Doomed(calls))
        try:
            here.lead()
        except Killed:
            pass
        else:
            break
        finally:
            monkeypatch.setattr(module, "os", os)
        told = here.told()
        assert told | {"epoch": 1} == lived | {"epoch": 1}, f"killed at call {calls}"
        following = here.lead()
        assert picture(following.state) | {"epoch": 1} == lived | {"epoch": 1}
        following.journal.close()
        shutil.rmtree(here.folder)
    assert calls > 5


# A full disk


class Disk:
    """Allocations succeed until `free` bytes are used."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int = 1 << 40) -> None:
        self.free = free
        self._real = module.allocate
        monkeypatch.setattr(module, "allocate", self.allocate)

    def allocate(self, fd: int, size: int) -> None:
        more = size - os.fstat(fd).st_size
        if more > self.free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.free -= more
        self._real(fd, size)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def fill(life: Life, size: int = 10_000) -> None:
    """Puts until there is no room."""
    while True:
        try:
            life.put(P, 1, size=size)
        except NoRoom:
            return


def test_a_full_disk_is_no_room_and_nothing_is_written(home: Home, disk: Disk) -> None:
    life = home.lead()
    disk.free = BASE_SIZE
    fill(life)
    before, names = picture(life.state), home.names()
    for _ in range(3):
        with pytest.raises(NoRoom):
            life.put(P, 1, size=10_000)
    assert picture(life.state) == before == home.told()
    assert home.names() == names


def test_a_quota_is_a_full_disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    life = home.lead()

    def over_quota(fd: int, size: int) -> None:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(module, "allocate", over_quota)
    with pytest.raises(NoRoom):
        life.put(P)


def test_another_error_is_not_a_full_disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    life = home.lead()

    def broken(fd: int, size: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(module, "allocate", broken)
    with pytest.raises(OSError, match="Input/output error"):
        life.put(P)
    assert home.names("new-") == []


def test_what_is_got_makes_room_on_a_full_disk(home: Home, disk: Disk) -> None:
    life = home.lead()
    disk.free = 3 * BASE_SIZE
    fill(life)
    for _ in range(10):
        drain(life)
        fill(life)
    assert home.told() == picture(life.state)


def test_a_smaller_item_may_still_fit(home: Home, disk: Disk) -> None:
    life = home.lead()
    disk.free = BASE_SIZE
    fill(life, size=100_000)
    life.put(P, 1, size=10)
    assert home.told() == picture(life.state)


def test_spares_are_given_up_before_there_is_no_room(home: Home, disk: Disk) -> None:
    life = home.lead()
    disk.free = 4 * BASE_SIZE
    fill(life)
    drain(life)
    assert len(home.names("spare-")) >= 2

    real = os.unlink

    def unlink(path: str) -> None:
        disk.free += os.stat(path).st_size
        real(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "unlink", unlink)
        life.put(P, 1, size=2 * BASE_SIZE)
    assert home.told() == picture(life.state)


def test_the_ledger_goes_on_when_the_disk_is_full(home: Home, disk: Disk) -> None:
    life = home.lead()
    life.put(P, 2)
    life.grant(A, (1, 2))
    disk.free = 0
    for _ in range(4 * LEDGER_SIZE // 64):
        life.journal.append(Kind.TAKEN, (A, 1))
    life.taken(A, 1)
    assert home.told() == picture(life.state)


def test_the_next_leader_begins_when_the_disk_is_full(home: Home, disk: Disk) -> None:
    life = home.lead()
    disk.free = BASE_SIZE
    fill(life)
    lived = picture(life.state)
    disk.free = 0
    for epoch in range(2, 5):
        life = home.lead()
        assert picture(life.state) == lived | {"epoch": epoch}
    drain(life)
    assert home.told() == picture(life.state)


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


@pytest.fixture
def shop(home: Home, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(home, monkeypatch)


def test_gets_work_on_a_full_disk_one_by_one_to_the_last(shop: Shop, disk: Disk) -> None:
    p, c = shop.group.member(), shop.group.member()
    disk.free = BASE_SIZE
    put = 0
    with contextlib.suppress(NoRoom):
        while True:
            shop.group.broker.receive(p.peer, p.batch(*[b"%50d" % number for number in range(put, put + 5)]), 0.0)
            put += 5
    disk.free = 0
    for number in range(put):
        c.want(spent=1.0)
        item = c.take(hold=number % 10 == 0)
        assert int(item.payload) == number
        if number % 10 == 0:
            c.requeue(item)
            c.want(spent=1.0)
            c.done(c.take(hold=True))
        if number % 3000 == 2000:
            shop.lead()
    c.want(0)
    assert shop.group.state.unfinished == 0
    assert put > 5000


def test_failures_with_reasons_do_not_stop_the_gets_on_a_full_disk(shop: Shop, disk: Disk) -> None:
    p, c, d = shop.group.member(), shop.group.member(), shop.group.member()
    p.put(*[b"x"] * 2000)
    p.put(*[b"y"] * 100)
    disk.free = 0
    reason = b"ValueError: " + bytes(500)
    for _ in range(2000):
        c.want(spent=1.0)
        item = c.take(hold=True)
        try:
            c.fail(item, reason)
        except NoRoom:
            break
    c.bye()
    for _ in range(100):
        d.get()
    d.want(0)


# Room that is given back


def test_an_idle_group_takes_less_than_two_mebibytes(home: Home) -> None:
    life = home.lead()
    life.put(P, 10)
    drain(life)
    life.journal.tidy()
    assert disk_usage(home.folder) < 2 << 20


def test_what_a_backlog_took_is_given_back(home: Home) -> None:
    life = home.lead()
    for _ in range(200):
        life.put(P, 1, size=100_000)
    assert disk_usage(home.folder) > 20 << 20
    drain(life)
    life.journal.tidy()
    assert disk_usage(home.folder) < 2 << 20
    assert life.journal.disk_bytes < 2 << 20
    assert home.told() == picture(life.state)


def test_what_a_backlog_of_many_batches_took_is_given_back(shop: Shop) -> None:
    p, c = shop.group.member(), shop.group.member()
    for _ in range(15_000):
        shop.group.broker.receive(p.peer, p.batch(b"x"), 0.0)
    c.want(2048)
    while c.granted:
        while c.granted:
            c.take()
        c.want(2048)
    c.want(0)
    shop.group.journal.tidy()  # type: ignore[attr-defined]
    assert disk_usage(shop.home.folder) < 2 << 20
    shop.lead()
    shop.group.journal.tidy()  # type: ignore[attr-defined]
    assert disk_usage(shop.home.folder) < 2 << 20


def test_what_a_dead_leaders_backlog_took_is_given_back(home: Home) -> None:
    life = home.lead()
    for _ in range(200):
        life.put(P, 1, size=100_000)
    drain(life)
    again = home.lead()
    again.journal.tidy()
    assert disk_usage(home.folder) < 2 << 20


def test_segments_grow_with_the_backlog(home: Home) -> None:
    life = home.lead()
    for _ in range(400):
        life.put(P, 1, size=100_000)
    assert len(home.names("items-")) < 40


def test_a_half_made_segment_is_removed_by_the_next_leader(home: Home) -> None:
    home.path("new-0000000100000001").write_bytes(bytes(1000))
    home.lead()
    assert home.names("new-") == []


def test_a_spare_is_used_again(home: Home) -> None:
    life = home.lead()
    for _ in range(12):
        life.put(P, 1, size=100_000)
    drain(life)
    life = home.lead()
    spares = {home.path(name).stat().st_ino for name in home.names("spare-")}
    assert spares
    for _ in range(6):
        life.put(P, 1, size=100_000)
    used = {home.path(name).stat().st_ino for name in home.names("items-")}
    assert used & spares


# Segments written over


def test_stale_records_are_never_read(home: Home) -> None:
    life = home.lead()
    for _ in range(8):
        life.put(P, 50, size=1000)
        drain(life)
    old = {home.path(name).stat().st_ino for name in home.names("items-")}
    life.after = lambda: assert_equal(home.told(), picture(life.state))
    for _ in range(12):
        life.put(Q, 7, size=6789)
    assert {home.path(name).stat().st_ino for name in home.names("items-")} & old


def test_stale_records_are_not_read_behind_a_torn_one(home: Home) -> None:
    life = home.lead()
    for _ in range(9):
        life.put(P, 50, size=1000)
    drain(life)
    life = home.lead()
    life.put(Q, 1, size=500)
    (name,) = home.names("items-")
    path = home.path(name)
    assert b"50." in path.read_bytes()
    start, end = last_record(path)
    for at in range(start, end, 7):
        flip(path, at)
        assert home.told()["ready"] == {}
        flip(path, at)


@pytest.mark.parametrize("at", [3, 70])
def test_numbers_never_repeat_though_the_ledgers_are_lost(home: Home, at: int) -> None:
    life = home.lead()
    for _ in range(20):
        life.put(P, 1, size=20_000)
    drain(life)
    life = home.lead()
    life.journal.close()
    assert home.names("items-") == []
    for name in home.names("ledger-"):
        flip(home.path(name), at)
    again = home.lead()
    for _ in range(12):
        again.put(Q, 1, size=500)
        assert picture(home.look().state)["ready"] == {Q: list(range(1, again.state.next_id))}


def test_what_a_removed_segment_told_is_still_known(home: Home) -> None:
    life = home.lead()
    for _ in range(3):
        life.put(P, 1, size=400_000)
        drain(life)
    life.put(Q, 1)
    again = home.look()
    assert again.state.last_seq == {P: 3, Q: 1}
    assert again.state.total_put == 4


# The ledger


def test_a_roll_keeps_everything(home: Home) -> None:
    life = home.lead()
    random_moves(life, random.Random(5), 120)
    for _ in range(3):
        life.journal._roll()
        assert home.told() == picture(life.state)
    random_moves(life, random.Random(6), 60)
    assert home.told() == picture(life.state)


def test_a_full_ledger_rolls_by_itself(home: Home) -> None:
    life = home.lead()
    life.put(P, 1)
    for number in range(3 * LEDGER_SIZE // 56):
        life.journal.append(Kind.SHUTDOWN, (0, number))
    life.state.apply_shutdown(0, number)
    told = home.told()
    assert told["shutdown"] == (0, number)
    assert told["ready"] == {P: [1]}
    assert disk_usage(home.folder) < 2 << 20


@pytest.mark.parametrize("rolls", [0, 1, 2])
def test_a_roll_that_was_killed_before_its_header_counts_for_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, rolls: int
) -> None:
    life = home.lead()
    life.put(P, 3)
    for _ in range(rolls):
        life.journal._roll()
    life.grant(A, (1, 2))

    def die(header: SegmentHeader) -> bytes:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(records, "pack_segment_header", die)
        with pytest.raises(Killed):
            life.journal._roll()
    assert home.told() == picture(life.state)
    again = home.lead()
    assert again.journal.notes == []
    assert home.told() == picture(life.state) | {"epoch": 2}


def test_a_checkpoint_larger_than_a_ledger_is_kept(home: Home) -> None:
    life = home.lead()
    life.put(P, 2)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.failed(1, "because " * 50_000)
    life.journal._roll()
    assert max(home.path(name).stat().st_size for name in home.names("ledger-")) > LEDGER_SIZE
    assert home.told() == picture(life.state)


def test_a_ledger_that_had_grown_shrinks(home: Home) -> None:
    life = home.lead()
    life.put(P, 1)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.failed(1, "because " * 200_000)
    for _ in range(2):
        life.journal._roll()
    assert disk_usage(home.folder) > 3 << 20
    life.finish((1, 1))
    for _ in range(3):
        life.journal._roll()
    assert disk_usage(home.folder) < 2 << 20
    assert home.told() == picture(life.state)


# Damage


def scarred(home: Home) -> tuple[Life, Path, list[tuple[int, int]]]:
    """A life with three batches in one segment, its path, and where its records are."""
    life = home.lead()
    for _ in range(3):
        life.put(P, 2, size=100)
    path = home.path(home.names("items-")[0])
    data = path.read_bytes()
    places = [(record.offset, record.end) for record in records.read_records(memoryview(data), int(path.name[6:], 16))]
    return life, path, places


def test_damage_in_a_segment_costs_what_it_hit_and_is_noted(home: Home) -> None:
    _, path, places = scarred(home)
    flip(path, places[1][0] + 100)
    again = home.lead()
    assert picture(again.state)["ready"] == {P: [1, 2, 5, 6]}
    assert again.journal.notes == [f"{path.name}: bytes {places[1][0]} to {places[1][1]} are damaged"]


def test_a_damaged_segment_is_not_written_to_and_set_aside_when_it_is_drained(home: Home) -> None:
    _, path, places = scarred(home)
    flip(path, places[1][0] + 100)
    broken = path.read_bytes()
    again = home.lead()
    again.put(Q, 1)
    assert path.read_bytes() == broken
    drain(again)
    again = home.lead()
    assert home.path("damaged-" + path.name).read_bytes() == broken
    assert not path.exists()
    assert home.told() == picture(again.state)


def test_a_segment_whose_header_is_damaged_is_still_read(home: Home) -> None:
    life, path, _ = scarred(home)
    flip(path, 3)
    again = home.lead()
    assert picture(again.state) == picture(life.state) | {"epoch": 2}
    assert again.journal.notes == [f"{path.name}: its header is damaged"]


def test_damage_in_the_ledger_costs_what_it_hit_and_the_ledger_is_set_aside(home: Home) -> None:
    life = home.lead()
    life.put(P, 6)
    for first in (1, 3, 5):
        life.grant(A, (first, 2))
    path = home.path("ledger-0")
    data = path.read_bytes()
    found = list(records.read_records(memoryview(data), (1 << 32) + 1))
    grants = [record for record in found if isinstance(record, records.Record) and record.kind == Kind.GRANT]
    flip(path, grants[1].offset + 50)
    broken = path.read_bytes()
    again = home.lead()
    assert len(again.journal.notes) == 1
    assert picture(again.state)["ready"] == {P: [3, 4]}
    assert picture(again.state)["granted"] == {A: (0, 6, [1, 2, None, None, 5, 6])}
    assert home.path("damaged-ledger-0").read_bytes() == broken
    following = home.lead()
    assert following.journal.notes == []
    assert picture(following.state) == picture(again.state) | {"epoch": 3}


def test_without_a_readable_ledger_all_items_are_delivered_and_it_is_noted(home: Home) -> None:
    life = home.lead()
    life.put(P, 3)
    life.grant(A, (1, 2))
    for name in home.names("ledger-"):
        flip(home.path(name), 70)
    again = home.lead()
    assert picture(again.state)["ready"] == {P: [1, 2, 3]}
    assert again.journal.notes == ["ledger-0 has no checkpoint that can be read"]
    assert again.state.last_seq == {P: 3}


def test_a_ledger_that_cannot_be_read_is_kept(home: Home) -> None:
    life = home.lead()
    life.put(P, 3)
    path = home.path("ledger-0")
    flip(path, 70)
    broken = path.read_bytes()
    life = home.lead()
    for _ in range(3):
        life.journal._roll()
    assert broken in [home.path(name).read_bytes() for name in home.names()]


def test_the_older_ledger_serves_when_the_newer_cannot_be_read(home: Home) -> None:
    life = home.lead()
    life.put(P, 3)
    life.journal._roll()
    life.put(P, 1)
    flip(home.path("ledger-1"), 70)
    again = home.lead()
    assert picture(again.state)["ready"] == {P: [1, 2, 3, 4]}
    assert again.journal.notes == ["ledger-1 has no checkpoint that can be read"]


def test_damage_is_noted_once(home: Home) -> None:
    life = home.lead()
    life.put(P, 3)
    life.journal._roll()
    flip(home.path("ledger-1"), 70)
    assert len(home.lead().journal.notes) == 1
    assert home.lead().journal.notes == []


@pytest.mark.parametrize("name", ["ledger-0", "items-0000000100000001"])
def test_a_flipped_byte_anywhere_is_survived(home: Home, name: str) -> None:
    life = home.lead()
    life.put(P, 2)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.put(Q, 1)
    path = home.path(name)
    end = last_record(path)[1]
    for at in range(0, end, 3):
        flip(path, at)
        journal = home.look()
        check(journal.state)
        for item, body in payloads_of(journal, journal.state).items():
            assert body == payload(item)
        journal.close()
        flip(path, at)
    assert home.told() == picture(life.state)


# Versions


@pytest.mark.parametrize("name", ["ledger-0", "items-0000000100000001"])
def test_another_version_is_an_error_that_names_both(home: Home, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    life = home.lead()
    life.put(P, 1)
    kind = SegmentKind.LEDGER if name.startswith("ledger") else SegmentKind.ITEMS
    monkeypatch.setattr(records, "VERSION", 2)
    header = records.pack_segment_header(SegmentHeader(kind, (1 << 32) + 1, 1))
    monkeypatch.undo()
    with open(home.path(name), "r+b") as file:
        file.write(header)
    with pytest.raises(GroupVersionError, match=r"'jobs'.*version 2.*version 1"):
        home.look()


# Power


def test_everything_is_synced_that_was_written(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    life = home.lead()
    synced: list[str] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    life.put(P, 1)
    life.grant(A, (1, 1))
    life.journal.sync()
    assert sorted(synced) == ["items-0000000100000001", "journal", "ledger-0"]
    synced.clear()
    life.journal.sync()
    assert synced == []
    life.put(P, 1)
    life.journal.sync()
    assert synced == ["items-0000000100000001"]


def test_a_removed_segment_is_not_synced(home: Home) -> None:
    life = home.lead()
    for _ in range(200):
        life.put(P, 1, size=100_000)
    drain(life)
    life.journal.tidy()
    life.journal.sync()


def test_what_earlier_leaders_wrote_is_synced_when_it_is_asked_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.lead().put(P, 1)
    life = home.lead()
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}"))))
    life.journal.sync_all()
    assert {"items-0000000100000001", "journal", "ledger-0"} <= set(synced)


# Segments


def test_a_segment_is_allocated_and_not_sparse(folder: str) -> None:
    segment = Segment.create(os.path.join(folder, "s"), SMALL, 1)
    assert os.stat(segment.path).st_blocks * 512 >= SMALL
    assert os.stat(segment.path).st_mode & 0o7777 == 0o600
    segment.close()
    segment.close()
    assert segment.fd == -1


@pytest.mark.parametrize("has_fallocate", [True, False])
def test_allocation_makes_a_file_of_that_size_however_the_system_does_it(
    folder: str, monkeypatch: pytest.MonkeyPatch, has_fallocate: bool
) -> None:
    if not has_fallocate:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    fd = os.open(os.path.join(folder, "s"), os.O_RDWR | os.O_CREAT)
    try:
        os.pwrite(fd, b"already here", 0)
        module.allocate(fd, 3_000_000)
        assert os.fstat(fd).st_size == 3_000_000
        assert os.fstat(fd).st_blocks * 512 >= 3_000_000
        assert os.pread(fd, 12, 0) == b"already here"
    finally:
        os.close(fd)


def test_what_the_system_writes_in_part_is_written_whole(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Segment.create(os.path.join(folder, "s"), SMALL, 1)
    monkeypatch.setattr(os, "pwritev", lambda fd, parts, offset: os.pwrite(fd, b"".join(parts)[:7], offset))
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, bytes(data)[:5], offset))
    segment.write([b"hello ", b"wide ", b"world"], 16, 100)
    assert bytes(segment.view()[100:116]) == b"hello wide world"
    segment.close()


def test_a_segment_is_not_a_symbolic_link(folder: str) -> None:
    os.symlink("/dev/null", os.path.join(folder, "link"))
    for act in (lambda p: Segment.create(p, SMALL, 1), lambda p: Segment.open(p, 1)):
        with pytest.raises(OSError, match="symbolic"):
            act(os.path.join(folder, "link"))
