"""What is synced, and when."""

from __future__ import annotations

import os

import pytest

from tests.core.lives import A, P
from tests.system.homes import Home, drain


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
