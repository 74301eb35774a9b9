"""A descriptor that wakes a poll: with an eventfd, and where there is none with a pipe."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterator

import pytest

from groupqueue.system.wakeup import Wakeup


@pytest.fixture(params=["eventfd", "pipe"])
def wakeup(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wakeup]:
    if request.param == "pipe":
        monkeypatch.delattr(os, "eventfd", raising=False)
    found = Wakeup()
    yield found
    found.close()


def is_set(wakeup: Wakeup) -> bool:
    return bool(select.select([wakeup.fd], [], [], 0)[0])


def test_it_is_readable_between_set_and_clear(wakeup: Wakeup) -> None:
    assert not is_set(wakeup)
    wakeup.set()
    assert is_set(wakeup)
    assert is_set(wakeup)
    wakeup.clear()
    assert not is_set(wakeup)
    wakeup.set()
    assert is_set(wakeup)


def test_set_often_is_set_once(wakeup: Wakeup) -> None:
    for _ in range(3):
        wakeup.set()
    wakeup.clear()
    assert not is_set(wakeup)


def test_clear_without_set_does_not_block(wakeup: Wakeup) -> None:
    wakeup.clear()
    assert not is_set(wakeup)


def test_set_never_blocks_however_often(wakeup: Wakeup) -> None:
    for _ in range(20_000):
        wakeup.set()
    assert is_set(wakeup)


def test_it_wakes_a_poll_from_another_thread(wakeup: Wakeup) -> None:
    thread = threading.Thread(target=wakeup.set)
    thread.start()
    assert select.select([wakeup.fd], [], [], 10)[0] == [wakeup.fd]
    thread.join()


def test_it_wakes_a_poll_from_a_signal_handler(wakeup: Wakeup) -> None:
    before = signal.signal(signal.SIGALRM, lambda number, frame: wakeup.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert select.select([wakeup.fd], [], [], 10)[0] == [wakeup.fd]
    finally:
        signal.signal(signal.SIGALRM, before)


def test_after_close_nothing_is_open_and_nothing_raises(wakeup: Wakeup) -> None:
    fd = wakeup.fd
    wakeup.close()
    assert wakeup.fd == -1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    wakeup.close()
    wakeup.set()


def test_it_is_not_inherited_by_other_programs(wakeup: Wakeup) -> None:
    assert not os.get_inheritable(wakeup.fd)
