"""flock, as everything else here relies on it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import portalocker
import pytest

from groupqueue.system.locks import is_same_file, try_lock
from tests.system.children import Child, in_child


@pytest.fixture
def path(directory: str) -> str:
    return os.path.join(directory, "lock")


class Opened:
    """Descriptors of one file, each opened anew, which is what makes flocks meet."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.fds: list[int] = []

    def __call__(self) -> int:
        self.fds.append(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        return self.fds[-1]

    def close(self, fd: int) -> None:
        self.fds.remove(fd)
        os.close(fd)


@pytest.fixture
def opened(path: str) -> Iterator[Opened]:
    found = Opened(path)
    yield found
    for fd in found.fds:
        os.close(fd)


# Locks


def test_one_descriptor_at_a_time(opened: Opened) -> None:
    first, second = opened(), opened()
    assert try_lock(first)
    assert not try_lock(second)
    assert try_lock(first)


def test_a_lock_is_free_when_its_descriptor_is_closed(opened: Opened) -> None:
    first, second = opened(), opened()
    assert try_lock(first)
    opened.close(first)
    assert try_lock(second)


def test_many_may_share(opened: Opened) -> None:
    first, second, third = opened(), opened(), opened()
    assert try_lock(first, shared=True)
    assert try_lock(second, shared=True)
    assert not try_lock(third)
    opened.close(first)
    assert not try_lock(third)
    opened.close(second)
    assert try_lock(third)


def test_what_is_locked_alone_is_not_shared(opened: Opened) -> None:
    first, second = opened(), opened()
    assert try_lock(first)
    assert not try_lock(second, shared=True)


def test_a_lock_alone_becomes_a_shared_one(opened: Opened) -> None:
    first, second = opened(), opened()
    assert try_lock(first)
    assert try_lock(first, shared=True)
    assert try_lock(second, shared=True)


def test_a_shared_lock_becomes_one_alone_when_nobody_shares_it(opened: Opened) -> None:
    first, second = opened(), opened()
    assert try_lock(first, shared=True)
    assert try_lock(second, shared=True)
    assert not try_lock(first)
    opened.close(second)
    assert try_lock(first)


def test_a_copy_of_a_descriptor_keeps_the_lock(opened: Opened) -> None:
    first, second = opened(), opened()
    assert try_lock(first)
    copy = os.dup(first)
    opened.close(first)
    assert not try_lock(second)
    os.close(copy)
    assert try_lock(second)


# Forks


def test_a_forked_child_that_closes_its_copy_does_not_release_the_lock(opened: Opened) -> None:
    first, second = opened(), opened()
    assert try_lock(first)
    in_child(lambda: os.close(first))
    assert not try_lock(second)


def test_a_forked_child_that_ends_does_not_release_the_lock(opened: Opened) -> None:
    first, second = opened(), opened()
    assert try_lock(first)
    in_child(lambda: None)
    assert not try_lock(second)


def test_a_forked_child_that_keeps_its_copy_keeps_the_lock(opened: Opened) -> None:
    first, second = opened(), opened()
    hold_read, hold_write = os.pipe()
    assert try_lock(first)

    def hold() -> None:
        os.close(hold_write)
        os.read(hold_read, 1)

    child = Child(hold)
    opened.close(first)
    assert not try_lock(second)
    os.close(hold_write)
    child.result()
    os.close(hold_read)
    assert try_lock(second)


def test_a_forked_child_does_not_get_what_its_parent_has(opened: Opened) -> None:
    first = opened()
    assert try_lock(first)
    assert in_child(lambda: try_lock(opened())) is False


# Errors


def test_a_closed_descriptor_is_an_error_and_not_a_lock_that_somebody_has(path: str) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.close(fd)
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        try_lock(fd)
    assert caught.value.errno == errno.EBADF


def test_a_file_system_without_locks_is_an_error(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(file: object, flags: object) -> None:
        try:
            raise OSError(errno.ENOLCK, "No locks available")
        except OSError as error:
            raise portalocker.LockException(str(error)) from error

    monkeypatch.setattr(portalocker, "lock", no_locks)
    with pytest.raises(OSError, match="No locks available") as caught:
        try_lock(opened())
    assert caught.value.errno == errno.ENOLCK


def test_a_lock_that_somebody_has_is_none_in_whatever_words_it_is_said(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(file: object, flags: object) -> None:
        try:
            raise BlockingIOError(errno.EWOULDBLOCK, "busy")
        except OSError as error:
            raise portalocker.LockException(str(error)) from error

    monkeypatch.setattr(portalocker, "lock", busy)
    assert try_lock(opened()) is False


# The same file


def test_a_path_leads_to_the_open_file_until_it_is_removed_or_replaced(opened: Opened, path: str) -> None:
    fd = opened()
    assert is_same_file(fd, path)
    os.rename(path, path + ".moved")
    assert not is_same_file(fd, path)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    assert not is_same_file(fd, path)
    os.rename(path + ".moved", path)
    assert is_same_file(fd, path)


def test_a_symbolic_link_to_the_file_is_not_the_file(opened: Opened, path: str) -> None:
    fd = opened()
    os.rename(path, path + ".moved")
    os.symlink(path + ".moved", path)
    assert not is_same_file(fd, path)


def test_a_folder_is_compared_as_a_file_is(directory: str) -> None:
    folder = os.path.join(directory, "folder")
    os.mkdir(folder)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert is_same_file(fd, folder)
        os.rmdir(folder)
        assert not is_same_file(fd, folder)
        os.mkdir(folder)
        assert not is_same_file(fd, folder)
    finally:
        os.close(fd)
