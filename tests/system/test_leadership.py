"""Being the one leader: two locks, and what they are worth when somebody removes a file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

from groupqueue.system.leadership import LeaderNote, Leadership, is_led, read_note
from groupqueue.system.paths import GroupPaths
from tests.helpers import run_script
from tests.system.children import in_child


@pytest.fixture
def paths(directory: str) -> GroupPaths:
    paths = GroupPaths(directory, "jobs")
    os.mkdir(paths.folder, 0o700)
    return paths


@pytest.fixture
def leader(paths: GroupPaths) -> Iterator[Leadership]:
    leader = Leadership.try_take(paths)
    assert leader is not None
    yield leader
    leader.close()


def take(paths: GroupPaths) -> bool:
    """Whether the leadership could be had; it is not kept."""
    found = Leadership.try_take(paths)
    if found is None:
        return False
    found.close()
    return True


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd" if os.path.exists("/proc/self/fd") else "/dev/fd"))


def test_there_is_one_leader(paths: GroupPaths, leader: Leadership) -> None:
    assert not take(paths)
    assert in_child(lambda: take(paths)) is False
    leader.close()
    assert take(paths)


def test_who_does_not_become_leader_keeps_nothing_open(paths: GroupPaths, leader: Leadership) -> None:
    before = descriptors()
    for _ in range(3):
        assert Leadership.try_take(paths) is None
    assert descriptors() == before


def test_who_dies_leads_no_more(paths: GroupPaths) -> None:
    script = run_script(
        """
        # leads and waits to be killed
        import sys
        from groupqueue.system.leadership import Leadership
        from groupqueue.system.paths import GroupPaths
        leader = Leadership.try_take(GroupPaths(sys.argv[1], "jobs"))
        say("leads")
        hear()
        """,
        paths.directory,
    )
    script.expect("leads")
    assert not take(paths)
    script.kill()
    assert take(paths)


def test_a_removed_lock_file_makes_no_second_leader(paths: GroupPaths, leader: Leadership) -> None:
    os.unlink(paths.lock)
    assert not take(paths)
    assert not leader.is_intact()
    leader.close()
    assert take(paths)


def test_a_replaced_lock_file_makes_no_second_leader(paths: GroupPaths, leader: Leadership) -> None:
    os.rename(paths.lock, paths.lock + ".old")
    with open(paths.lock, "w"):
        pass
    assert not take(paths)
    assert not leader.is_intact()


def test_in_a_folder_made_anew_there_is_another_leader_and_the_old_one_knows(
    paths: GroupPaths, leader: Leadership
) -> None:
    os.rename(paths.folder, paths.folder + ".old")
    assert not leader.is_intact()
    os.mkdir(paths.folder, 0o700)
    assert take(paths)
    assert not leader.is_intact()


def test_in_a_folder_that_is_gone_nobody_leads(paths: GroupPaths) -> None:
    os.rmdir(paths.folder)
    before = descriptors()
    with pytest.raises(FileNotFoundError):
        Leadership.try_take(paths)
    assert descriptors() == before
    assert not is_led(paths)


def test_a_lock_that_was_replaced_while_it_was_taken_is_none(
    paths: GroupPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    from groupqueue.system import leadership as module

    real = module.try_lock

    def replaced(fd: int, **how: bool) -> bool:
        os.rename(paths.lock, paths.lock + ".old")
        return real(fd, **how)

    monkeypatch.setattr(module, "try_lock", replaced)
    before = descriptors()
    assert Leadership.try_take(paths) is None
    assert descriptors() == before
    monkeypatch.undo()
    assert take(paths)


def test_the_lock_file_is_never_removed(paths: GroupPaths, leader: Leadership) -> None:
    inode = os.stat(paths.lock).st_ino
    leader.close()
    assert take(paths)
    assert os.stat(paths.lock).st_ino == inode


def test_a_leader_is_intact_while_its_paths_lead_to_its_locks(paths: GroupPaths, leader: Leadership) -> None:
    assert leader.is_intact()
    leader.close()
    leader.close()


def test_a_forked_child_that_closes_its_copy_takes_nothing_from_its_parent(
    paths: GroupPaths, leader: Leadership
) -> None:
    in_child(leader.close)
    assert not take(paths)
    assert leader.is_intact()


# Notes


def test_a_leader_writes_down_who_it_is(paths: GroupPaths, leader: Leadership) -> None:
    assert read_note(paths) is None
    leader.note(123456, 78)
    assert read_note(paths) == LeaderNote(123456, 78)
    leader.note(1, 79)
    assert read_note(paths) == LeaderNote(1, 79)
    with open(paths.lock) as file:
        assert file.read().endswith("\n")


def test_a_note_outlives_its_leader(paths: GroupPaths, leader: Leadership) -> None:
    leader.note(1, 2)
    leader.close()
    assert read_note(paths) == LeaderNote(1, 2)
    assert not is_led(paths)


@pytest.mark.parametrize("text", ["", "garbage", "{}", "[1, 2]", '{"pid": "x", "epoch": 1}', "\0" * 64])
def test_a_note_that_cannot_be_read_is_none(paths: GroupPaths, text: str) -> None:
    with open(paths.lock, "w") as file:
        file.write(text)
    assert read_note(paths) is None


def test_the_last_note_is_read_without_another_descriptor(
    paths: GroupPaths, leader: Leadership, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is none its epoch would be used again."""
    leader.note(12, 34)

    def refuse(*args: object, **how: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(os, "open", refuse)
    assert leader.last_note() == LeaderNote(12, 34)


# Asking


def test_one_can_see_whether_somebody_leads(paths: GroupPaths, leader: Leadership) -> None:
    assert is_led(paths)
    leader.close()
    assert not is_led(paths)


def test_to_see_whether_somebody_leads_makes_no_file(paths: GroupPaths) -> None:
    assert not is_led(paths)
    assert os.listdir(paths.folder) == []


def test_those_who_look_do_not_stand_in_each_others_way(paths: GroupPaths, leader: Leadership) -> None:
    leader.close()
    fd = os.open(paths.lock, os.O_RDWR)
    try:
        from groupqueue.system.locks import try_lock

        assert try_lock(fd, shared=True)
        assert not is_led(paths)
    finally:
        os.close(fd)
