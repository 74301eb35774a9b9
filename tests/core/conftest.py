"""The core is pure, and so are its tests: nothing on disk, no process, no thread, no time but what they pass in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.fakes import FakeJournal, Group, check, picture
from tests.core.lives import Life


@pytest.fixture(autouse=True, scope="package")
def directory() -> None:
    """No test here has a directory."""


@pytest.fixture(autouse=True, scope="package")
def _scripts() -> None:
    """Nor processes."""


@pytest.fixture(autouse=True, scope="package")
def _no_world() -> Iterator[None]:
    def refuse(*args: Any, **kwargs: Any) -> None:
        pytest.fail("a test of the core waits, or starts a thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", refuse)
        patch.setattr(threading.Thread, "start", refuse)
        yield


@pytest.fixture
def group() -> Iterator[Group]:
    group = Group()
    yield group
    assert picture(group.journal.replay()) == picture(group.state), "the journal does not amount to what was decided"


@pytest.fixture
def life() -> Iterator[Life]:
    life = Life(FakeJournal(segment_records=1000))
    yield life
    assert picture(life.journal.replay()) == picture(life.state), "the journal does not amount to what was lived"
    life.journal.roll()
    again = life.journal.replay()
    check(again)
    assert picture(again) == picture(life.state), "the checkpoint does not amount to what was lived"
