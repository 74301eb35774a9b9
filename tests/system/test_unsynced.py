"""What is synced, when, and what a leader does that cannot."""

from __future__ import annotations

import os

import pytest

from groupqueue.core import records
from groupqueue.core.messages import DURABLE
from groupqueue.system.unsynced import SyncError
from tests.core.lives import A, P
from tests.system.homes import SMALL, Home, drain, roll
from tests.system.platter import Platter


@pytest.mark.usefixtures("plain_numbers")
def test_everything_is_synced_that_was_written(home: Home, synced: list[str]) -> None:
    life = home.lead()
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


def test_what_need_not_be_on_the_disk_is_never_synced(home: Home, synced: list[str]) -> None:
    life = home.lead()
    for _ in range(20):
        life.put(P, 1, size=100_000)
        roll(life)
    home.lead()
    assert synced == []


@pytest.mark.usefixtures("small")
def test_a_segment_is_synced_before_the_next_one_is_begun(home: Home, synced: list[str]) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE, size=SMALL // 2)
    first = home.items_path().name
    assert first not in synced
    life.put(P, 1, DURABLE, size=SMALL // 2)
    assert synced.count(first) == 1


def test_a_checkpoint_tells_only_of_what_is_on_the_disk(home: Home, synced: list[str]) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE)
    roll(life)
    assert home.items_path().name in synced


def test_a_sync_that_failed_is_not_tried_again(home: Home, platter: Platter) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE)
    platter.failing = 1
    for failing in (1, 0):
        platter.failing = failing
        with pytest.raises(SyncError, match="Input/output error"):
            life.journal.sync()


def test_each_segment_notes_that_a_sync_of_it_begins_and_up_to_where_it_succeeded(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE)
    path = home.items_path()
    number = int(path.name[6:], 16)

    def noted() -> tuple[int, bool] | None:
        return records.unpack_synced(path.read_bytes(), number)

    seen = []
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append(noted()))
    assert noted() is None
    life.journal.sync()
    assert seen[0] == (records.SEGMENT_HEADER_SIZE, True)
    assert noted() == (first := life.state.batches[1].location.segment.tail, False)
    life.put(P, 1)
    life.journal.sync()
    assert seen[-1] == (first, True)
