"""Segments that are filled, written over, kept and given back."""

from __future__ import annotations

import errno
import os
from typing import Any

import pytest

from groupqueue.core.ports import NoRoom
from groupqueue.core.records import Kind
from groupqueue.system.items import BASE_SIZE
from groupqueue.system.segments import Segment
from tests.core.fakes import picture
from tests.core.lives import P, Q
from tests.helpers import disk_usage
from tests.system.homes import SMALL, Home, Shop, assert_equal, drain, wipe_last_record


def test_an_item_larger_than_a_segment_has_one_of_its_own(home: Home) -> None:
    life = home.lead()
    life.put(P, 1, size=3 * BASE_SIZE)
    life.put(P, 1)
    assert home.told() == picture(life.state)


def test_segments_grow_with_the_backlog(home: Home) -> None:
    life = home.lead()
    for _ in range(400):
        life.put(P, 1, size=100_000)
    assert len(home.names("items-")) < 40


@pytest.mark.parametrize("failures", [1, 2])
def test_where_this_process_may_not_write_it_looks_for_another_place(
    home: Home, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    """RLIMIT_FSIZE may be smaller than a segment that somebody else has made."""
    life = home.lead()
    life.put(P, 2)
    left = [failures]
    real = Segment.append

    def limited(segment: Segment, kind: int, *args: Any) -> int:
        if kind == Kind.ITEMS and left[0]:
            left[0] -= 1
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return real(segment, kind, *args)

    monkeypatch.setattr(Segment, "append", limited)
    if failures > 1:
        with pytest.raises(NoRoom):
            life.put(P, 1)
    life.put(P, 1)
    assert picture(life.state)["ready"] == {P: [1, 2, 3]}
    assert home.told() == picture(life.state)


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


def test_a_half_made_segment_is_removed_by_the_next_leader(home: Home) -> None:
    home.path("new-0000000100000001").write_bytes(bytes(1000))
    home.lead()
    assert home.names("new-") == []


def test_what_a_removed_segment_told_is_still_known(home: Home) -> None:
    life = home.lead()
    for _ in range(3):
        life.put(P, 1, size=400_000)
        drain(life)
    life.put(Q, 1)
    again = home.look()
    assert again.state.last_seq == {P: 3, Q: 1}
    assert again.state.total_put == 4


@pytest.mark.usefixtures("small")
def test_a_removed_segment_tells_only_of_what_was_in_it(home: Home) -> None:
    life = home.lead()
    for _ in range(2):
        life.put(P, 1, size=SMALL // 2)
    life.finish((1, 1))
    wipe_last_record(home.items_path())
    assert home.look().state.last_seq == {P: 1}


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
