"""A disk that is full, and what is allocated on one that is not."""

from __future__ import annotations

import contextlib
import errno
import os

import pytest

from groupqueue.core.ports import NoRoom
from groupqueue.core.records import Kind
from groupqueue.system import disk as module
from groupqueue.system.items import BASE_SIZE
from groupqueue.system.ledger import LEDGER_SIZE
from tests.core.fakes import picture
from tests.core.lives import A, P
from tests.system.homes import Disk, Home, Shop, drain, fill


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


# Allocating


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
