"""Being one of a group: what its members agree on, and who may remove what."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

from groupqueue.exceptions import GroupBusyError, GroupDirectoryError, GroupMismatchError
from groupqueue.system import membership as module
from groupqueue.system.membership import Membership, Terms, create_anonymous, read_terms, remove_group, sweep
from groupqueue.system.paths import GroupPaths
from tests.helpers import Clock, run_script
from tests.system.children import Child, in_child


@pytest.fixture
def paths(directory: str) -> GroupPaths:
    return GroupPaths(directory, "jobs")


class Joiner:
    """Joins, and leaves at the end what has not left."""

    def __init__(self, paths: GroupPaths) -> None:
        self.paths = paths
        self.joined: list[Membership] = []

    def __call__(self, maxsize: int | None = None, **how: Any) -> Membership:
        self.joined.append(Membership.join(self.paths, maxsize, **how))
        return self.joined[-1]


@pytest.fixture
def join(paths: GroupPaths) -> Iterator[Joiner]:
    joiner = Joiner(paths)
    yield joiner
    for membership in joiner.joined:
        membership.abandon()


def folders(directory: str) -> list[str]:
    return sorted(os.listdir(directory))


# Joining


def test_the_first_to_join_makes_the_group(join: Joiner, paths: GroupPaths) -> None:
    membership = join()
    assert membership.terms == Terms(0, 1)
    assert sorted(os.listdir(paths.folder)) == ["group", "journal", "members"]
    for folder in (paths.folder, paths.members, paths.journal):
        assert os.stat(folder).st_mode & 0o7777 == 0o700
    assert os.stat(paths.group).st_mode & 0o7777 == 0o600


def test_who_must_not_make_the_group_finds_none(join: Joiner, paths: GroupPaths) -> None:
    with pytest.raises(FileNotFoundError):
        join(create=False)
    assert not os.path.exists(paths.folder)
    join()
    join(create=False)


def test_who_joins_the_living_takes_what_the_group_has(join: Joiner) -> None:
    assert join(10).terms == Terms(10, 1)
    assert join().terms == Terms(10, 1)
    assert join(10).terms == Terms(10, 1)


@pytest.mark.parametrize(("has", "asks"), [(10, 20), (10, 0), (0, 10), (None, 10), (10, -1)])
def test_another_bound_than_the_living_have_is_refused_naming_both(join: Joiner, has: int | None, asks: int) -> None:
    join(has)
    with pytest.raises(GroupMismatchError) as caught:
        join(asks)
    told = str(caught.value)
    for bound in (has or 0, asks):
        assert f"maxsize={bound if bound > 0 else '0 (unbounded)'}" in told
    assert isinstance(caught.value, ValueError)
    assert join().terms.maxsize == (has or 0)


@pytest.mark.parametrize(("has", "asks"), [(0, -1), (-1, 0), (-5, None), (None, 0), (None, -1)])
def test_unbounded_is_unbounded_however_it_is_said(join: Joiner, has: int | None, asks: int | None) -> None:
    join(has)
    assert join(asks).terms.maxsize == 0


def test_with_nobody_alive_another_bound_replaces_the_old_one(join: Joiner) -> None:
    join(10).leave()
    assert join(20).terms == Terms(20, 2)


def test_with_nobody_alive_no_bound_keeps_the_old_one(join: Joiner) -> None:
    join(10).leave()
    assert join().terms == Terms(10, 2)


def test_with_nobody_alive_unbounded_replaces_a_bound(join: Joiner) -> None:
    join(10).leave()
    assert join(0).terms == Terms(0, 2)


def test_a_generation_is_a_life_of_the_group(join: Joiner) -> None:
    first, second = join(), join()
    first.leave()
    assert join().terms.generation == 1
    second.leave()
    join.joined[2].leave()
    assert join().terms.generation == 2


def test_a_shorter_text_leaves_nothing_of_the_longer_one(join: Joiner) -> None:
    join(123456789).leave()
    assert join(1).terms == Terms(1, 2)


def test_terms_that_cannot_be_read_are_those_of_a_new_group(join: Joiner, paths: GroupPaths) -> None:
    join(10).leave()
    with open(paths.group, "w") as file:
        file.write("{garbage")
    assert join().terms == Terms(0, 1)


def test_terms_are_read_without_joining(join: Joiner, paths: GroupPaths) -> None:
    join(10)
    fd = os.open(paths.group, os.O_RDONLY)
    try:
        assert read_terms(fd) == Terms(10, 1)
    finally:
        os.close(fd)


def test_who_dies_has_left(join: Joiner, paths: GroupPaths) -> None:
    script = run_script(
        """
        # joins and waits to be killed
        import sys
        from groupqueue.system.membership import Membership
        from groupqueue.system.paths import GroupPaths
        membership = Membership.join(GroupPaths(sys.argv[1], "jobs"), 10)
        say("joined")
        hear()
        """,
        paths.directory,
    )
    script.expect("joined")
    with pytest.raises(GroupMismatchError):
        join(20)
    script.kill()
    assert join(20).terms == Terms(20, 2)


def test_a_forked_child_keeps_the_group_alive_until_it_lets_go(join: Joiner) -> None:
    read, write = os.pipe()
    membership = join(10)

    def hold() -> None:
        os.close(write)
        os.read(read, 1)

    child = Child(hold)
    membership.leave()
    with pytest.raises(GroupMismatchError):
        join(20)
    os.close(write)
    child.result()
    os.close(read)
    assert join(20).terms.generation == 2


def test_a_forked_child_that_abandons_its_copy_leaves_its_parents_place_alone(join: Joiner) -> None:
    membership = join(10)
    in_child(membership.abandon)
    assert membership.is_intact()
    with pytest.raises(GroupMismatchError):
        join(20)


def test_a_folder_of_the_group_that_is_not_safe_is_refused(join: Joiner, paths: GroupPaths) -> None:
    os.mkdir(paths.folder, 0o755)
    os.chmod(paths.folder, 0o755)
    with pytest.raises(GroupDirectoryError, match="mode 0755"):
        join()


def test_a_group_file_that_is_a_symbolic_link_is_not_followed(join: Joiner, paths: GroupPaths, directory: str) -> None:
    join().leave()
    elsewhere = os.path.join(directory, "elsewhere")
    os.rename(paths.group, elsewhere)
    os.symlink(elsewhere, paths.group)
    with pytest.raises(OSError, match="symbolic"):
        join()


def test_who_stands_in_between_for_too_long_is_named(
    join: Joiner, paths: GroupPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    join().leave()
    monkeypatch.setattr(module, "_PATIENCE", 0.05)
    fd = os.open(paths.group, os.O_RDWR)
    assert module.try_lock(fd)
    try:
        with Clock() as clock, pytest.raises(GroupBusyError, match="opening or removing"):
            join()
    finally:
        os.close(fd)
    assert clock.elapsed < 2
    join()


def test_who_is_removed_in_between_begins_again(
    join: Joiner, paths: GroupPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.p.make_directory
    removals = [1, 2, 3]

    def make_and_lose(path: str, group: str) -> None:
        real(path, group)
        if removals:
            removals.pop()
            os.rmdir(path)

    monkeypatch.setattr(module.p, "make_directory", make_and_lose)
    membership = join()
    assert membership.is_intact()
    assert os.stat(paths.folder).st_mode & 0o7777 == 0o700
    membership.leave()
    join()


def test_a_place_is_intact_until_the_group_is_removed_or_made_anew(join: Joiner, paths: GroupPaths) -> None:
    membership = join()
    assert membership.is_intact()
    os.rename(paths.folder, paths.folder + ".old")
    assert not membership.is_intact()
    join()
    assert not membership.is_intact()
    membership.leave()
    assert not membership.is_intact()


def test_to_leave_twice_is_to_leave(join: Joiner) -> None:
    membership = join()
    membership.leave()
    membership.leave()
    membership.abandon()


def test_a_named_group_outlives_its_members(join: Joiner, paths: GroupPaths) -> None:
    join().leave()
    assert os.path.exists(paths.group)


# Removing


def test_a_group_is_removed_when_nobody_is_there(join: Joiner, paths: GroupPaths) -> None:
    join(10).leave()
    with open(os.path.join(paths.journal, "something"), "w"):
        pass
    remove_group(paths)
    assert folders(paths.directory) == []
    assert join().terms == Terms(0, 1)


def test_a_group_with_a_living_member_is_not_removed(join: Joiner, paths: GroupPaths) -> None:
    join()
    with pytest.raises(GroupBusyError, match=r"'jobs'.*living members"):
        remove_group(paths)
    assert os.path.exists(paths.group)
    join()


def test_a_group_that_is_not_there_cannot_be_removed(paths: GroupPaths) -> None:
    with pytest.raises(FileNotFoundError):
        remove_group(paths)


def test_a_group_whose_file_was_never_written_can_be_removed(paths: GroupPaths) -> None:
    os.makedirs(paths.journal, 0o700)
    os.chmod(paths.folder, 0o700)
    remove_group(paths)
    assert folders(paths.directory) == []


def test_a_group_is_gone_in_one_step(join: Joiner, paths: GroupPaths, monkeypatch: pytest.MonkeyPatch) -> None:
    join().leave()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *args, **kwargs: None)
        remove_group(paths)
    (left,) = folders(paths.directory)
    assert left.startswith(".gone-")
    assert join().terms.generation == 1


# Anonymous groups


def test_an_anonymous_group_goes_with_its_last_member(directory: str) -> None:
    first = create_anonymous(directory, 5)
    (name,) = folders(directory)
    assert (first.paths.name, first.terms) == (name, Terms(5, 1))
    assert name.startswith(".anon-")
    second = Membership.join(first.paths, None, create=False)
    assert second.terms == first.terms
    first.leave()
    assert folders(directory) == [name]
    second.leave()
    assert folders(directory) == []


def test_each_anonymous_group_is_another(directory: str) -> None:
    groups = [create_anonymous(directory, None) for _ in range(3)]
    assert len(folders(directory)) == 3
    for group in groups:
        group.leave()
    assert folders(directory) == []


def test_an_anonymous_group_stays_while_a_forked_child_is_on_its_way(directory: str) -> None:
    group = create_anonymous(directory, None)
    paths = group.paths
    go_read, go_write = os.pipe()

    def join() -> bool:
        os.close(go_write)
        os.read(go_read, 1)
        mine = Membership.join(paths, None, create=False)
        group.abandon()
        alive = mine.is_intact()
        mine.leave()
        return alive

    child = Child(join)
    other = Membership.join(paths, None, create=False)
    group.abandon()
    os.close(go_write)
    assert child.result()
    os.close(go_read)
    assert folders(directory) == [paths.name]
    other.leave()
    assert folders(directory) == []


def test_an_anonymous_group_that_is_gone_is_not_made_anew(directory: str) -> None:
    group = create_anonymous(directory, None)
    group.leave()
    with pytest.raises(FileNotFoundError):
        Membership.join(group.paths, None, create=False)
    assert folders(directory) == []


# Sweeping


def test_what_the_killed_left_behind_is_swept(directory: str) -> None:
    script = run_script(
        """
        # makes an anonymous group and waits to be killed
        import sys
        from groupqueue.system.membership import create_anonymous
        membership = create_anonymous(sys.argv[1], None)
        say("made", membership.paths.name)
        hear()
        """,
        directory,
    )
    name = script.expect("made")
    sweep(directory)
    assert folders(directory) == [name]
    script.kill()
    assert folders(directory) == [name]
    sweep(directory)
    assert folders(directory) == []


def test_the_living_are_not_swept(directory: str) -> None:
    group = create_anonymous(directory, None)
    sweep(directory)
    assert group.is_intact()
    group.leave()


def test_named_groups_are_not_swept(join: Joiner, paths: GroupPaths) -> None:
    join().leave()
    os.mkdir(os.path.join(paths.directory, ".other"), 0o700)
    sweep(paths.directory)
    assert folders(paths.directory) == [".other", "jobs"]


def test_what_is_half_removed_is_swept(directory: str) -> None:
    os.makedirs(os.path.join(directory, ".gone-0123", "journal"))
    sweep(directory)
    assert folders(directory) == []


def test_what_is_half_made_is_swept_once_it_is_old(directory: str) -> None:
    path = os.path.join(directory, ".new-0123")
    os.mkdir(path, 0o700)
    sweep(directory)
    assert folders(directory) == [".new-0123"]
    old = time.time() - 120
    os.utime(path, (old, old))
    sweep(directory)
    assert folders(directory) == []


def test_what_cannot_be_swept_is_left(directory: str) -> None:
    path = os.path.join(directory, ".anon-0123456789abcdef")
    os.mkdir(path)
    os.chmod(path, 0o755)
    sweep(directory)
    assert folders(directory) == [os.path.basename(path)]
    sweep(os.path.join(directory, "nowhere"))
