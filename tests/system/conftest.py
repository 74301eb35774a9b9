"""Journals for the tests of what writes them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from groupqueue.system import disk as disk_module
from groupqueue.system import items, ledger
from groupqueue.system.journal import Journal
from tests.system.homes import SMALL, Disk, Home, Shop
from tests.system.platter import Platter


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
    monkeypatch.setattr(items, "BASE_SIZE", SMALL)
    monkeypatch.setattr(items, "SPARE_BYTES", 2 * SMALL)
    monkeypatch.setattr(ledger, "LEDGER_SIZE", 4096)
    monkeypatch.setattr(ledger, "LEAST_FREE", 4096)


@pytest.fixture
def plain_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A leader's first segment has the number 1 of its epoch, so that a test knows its name."""
    for module in (items, ledger):
        monkeypatch.setattr(module, "first_number", lambda epoch: epoch << 32)


@pytest.fixture
def home(folder: str, journals: list[Journal]) -> Home:
    return Home(folder, journals)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


@pytest.fixture
def shop(home: Home, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(home, monkeypatch)


@pytest.fixture
def platter(folder: str, monkeypatch: pytest.MonkeyPatch) -> Platter:
    return Platter(folder, monkeypatch)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of what is synced, in order."""
    names: list[str] = []
    real = disk_module.sync_file

    def sync_file(fd: int) -> None:
        names.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
        real(fd)

    monkeypatch.setattr(disk_module, "sync_file", sync_file)
    monkeypatch.setattr(disk_module, "sync_folder", lambda path: names.append(os.path.basename(path)))
    return names
