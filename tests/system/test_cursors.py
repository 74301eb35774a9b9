"""The members' files: how far each one got, as a leader reads it after its death."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from groupqueue.core.inbox import ATTENTION, CREDITED, RING, SETTLED, TAKEN
from groupqueue.system.cursors import Cursors, MemberFile
from tests.helpers import run_script
from tests.system.children import in_child


@pytest.fixture
def folder(directory: str) -> str:
    path = os.path.join(directory, "members")
    os.mkdir(path, 0o700)
    return path


@pytest.fixture
def file(folder: str) -> Iterator[MemberFile]:
    file = MemberFile(folder)
    yield file
    file.abandon()


@pytest.fixture
def cursors(folder: str) -> Iterator[Cursors]:
    cursors = Cursors(folder)
    yield cursors
    cursors.close()


# The member's side


def test_a_member_has_a_file_named_by_its_id(file: MemberFile, folder: str) -> None:
    assert 0 < file.member < 2**63
    assert os.listdir(folder) == [f"{file.member:016x}"]
    status = os.stat(file.path)
    assert status.st_mode & 0o7777 == 0o600
    assert status.st_blocks * 512 >= status.st_size
    assert not any(file.words)
    assert not any(file.ring)
    assert len(file.ring) == RING


def test_each_member_is_another(folder: str) -> None:
    files = [MemberFile(folder) for _ in range(5)]
    assert len({file.member for file in files}) == 5
    for file in files:
        file.remove()
    assert os.listdir(folder) == []


def test_a_file_that_cannot_be_made_leaves_nothing(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from groupqueue.system import cursors as module

    def full(fd: int, size: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "allocate", full)
    with pytest.raises(OSError, match="No space left"):
        MemberFile(folder)
    assert os.listdir(folder) == []


@pytest.mark.parametrize("call", ["os.rename", "mmap.mmap"])
def test_a_file_whose_making_is_interrupted_at_its_end_leaves_nothing(
    folder: str, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    from groupqueue.system import cursors as module

    library, _, name = call.partition(".")
    owner = getattr(module, library)
    real = getattr(owner, name)

    def interrupted(*args: Any) -> None:
        real(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(owner, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        MemberFile(folder)
    assert os.listdir(folder) == []


def test_a_removed_file_is_gone_and_removed_once(file: MemberFile, folder: str) -> None:
    file.remove()
    file.remove()
    file.abandon()
    assert os.listdir(folder) == []


def test_an_abandoned_file_is_as_a_dead_members(file: MemberFile, cursors: Cursors) -> None:
    file.words[TAKEN] = 7
    assert not cursors.is_dead(file.member)
    file.abandon()
    assert cursors.is_dead(file.member)
    assert cursors.taken(file.member) == 7


# The leader's side


def test_the_leader_reads_what_the_member_writes(file: MemberFile, cursors: Cursors) -> None:
    for taken in (0, 1, 5, 2**40):
        file.words[TAKEN] = taken
        assert cursors.taken(file.member) == taken


def test_the_cursor_of_a_killed_member_is_exact(folder: str, cursors: Cursors) -> None:
    script = run_script(
        """
        # takes 12345 items, holds every thousandth, and waits to be killed
        import sys
        from groupqueue.system.cursors import MemberFile
        file = MemberFile(sys.argv[1])
        for position in range(12345):
            file.ring[position % 4096] = position % 1000 == 0
            file.words[0] = position + 1
        say("took", file.member)
        hear()
        """,
        folder,
    )
    member = int(script.expect("took"))
    assert not cursors.is_dead(member)
    script.kill()
    assert cursors.is_dead(member)
    assert cursors.taken(member) == 12345
    assert cursors.held(member, 9000, 12345) == [9000, 10000, 11000, 12000]


def test_the_leader_asks_through_the_word(file: MemberFile, cursors: Cursors) -> None:
    cursors.attend(file.member, 2)
    assert file.words[ATTENTION] == 2
    cursors.attend(file.member, 0)
    assert file.words[ATTENTION] == 0


def test_whatever_a_member_wrote_into_its_file_it_can_be_given_credit(file: MemberFile, cursors: Cursors) -> None:
    """An error here would be the leader's end, and that of each leader after it."""
    file.words[CREDITED] = 2**64 - 1
    cursors.credit(file.member, 3)
    assert file.words[CREDITED] == 2
    file.words[SETTLED] = 2**64 - 1
    assert cursors.claimed(file.member) == 0


def test_credit_is_claimed_from_when_it_is_noted_to_when_it_is_settled(file: MemberFile, cursors: Cursors) -> None:
    assert cursors.claimed(file.member) == 0
    cursors.credit(file.member, 5)
    cursors.credit(file.member, 2)
    assert (file.words[CREDITED], cursors.claimed(file.member)) == (7, 7)
    file.words[SETTLED] += 3
    assert cursors.claimed(file.member) == 4
    file.words[SETTLED] += 9
    assert cursors.claimed(file.member) == 0


def test_the_next_leader_sees_the_same(file: MemberFile, cursors: Cursors, folder: str) -> None:
    file.words[TAKEN] = 3
    cursors.credit(file.member, 4)
    cursors.close()
    following = Cursors(folder)
    assert (following.taken(file.member), following.claimed(file.member)) == (3, 4)
    following.close()


@pytest.mark.parametrize(
    ("start", "end"), [(0, 0), (0, 10), (5, 6), (4090, 4096), (4096, 4100), (4090, 4102), (8000, 8200), (0, 4095)]
)
def test_what_is_held_is_read_from_the_ring_wherever_it_turns(
    file: MemberFile, cursors: Cursors, start: int, end: int
) -> None:
    expected = []
    for position in range(start, end):
        held = position % 3 == 0 or position in (4095, 4096)
        file.ring[position % RING] = held
        if held:
            expected.append(position)
    assert cursors.held(file.member, start, end) == expected


def test_of_an_unknown_member_there_is_nothing_to_tell(cursors: Cursors) -> None:
    assert cursors.taken(99) is None
    assert cursors.claimed(99) == 0
    assert cursors.held(99, 0, 10) == []
    cursors.attend(99, 2)
    cursors.credit(99, 1)
    assert cursors.is_dead(99)
    cursors.remove(99)


def test_a_file_that_is_too_short_tells_nothing(cursors: Cursors, folder: str) -> None:
    with open(os.path.join(folder, f"{99:016x}"), "wb") as file:
        file.write(bytes(100))
    assert cursors.taken(99) is None


def test_all_members_are_listed_and_nothing_else(folder: str, cursors: Cursors) -> None:
    files = [MemberFile(folder) for _ in range(3)]
    with open(os.path.join(folder, "~0123456789abcdef"), "w"), open(os.path.join(folder, "README"), "w"):
        pass
    files[0].abandon()
    assert sorted(cursors.members()) == sorted(file.member for file in files)
    for file in files:
        file.abandon()


def test_a_removed_member_is_forgotten(file: MemberFile, cursors: Cursors) -> None:
    assert cursors.taken(file.member) == 0
    file.abandon()
    cursors.remove(file.member)
    assert cursors.taken(file.member) is None
    assert cursors.members() == []


# Life and death


def test_a_member_lives_while_it_has_its_lock(file: MemberFile, cursors: Cursors) -> None:
    for _ in range(3):
        assert not cursors.is_dead(file.member)


def test_to_look_whether_a_member_lives_does_not_make_it_live(file: MemberFile, cursors: Cursors) -> None:
    file.abandon()
    cursors.taken(file.member)
    assert cursors.is_dead(file.member)
    assert cursors.is_dead(file.member)


def test_a_mapping_of_the_leaders_keeps_no_lock(file: MemberFile, cursors: Cursors) -> None:
    assert cursors.taken(file.member) == 0
    assert in_child(lambda: cursors.is_dead(file.member)) is False
    file.abandon()
    assert cursors.is_dead(file.member)


def test_a_forked_child_that_lets_its_copy_go_leaves_its_parent_alive(file: MemberFile, cursors: Cursors) -> None:
    in_child(file.abandon)
    assert not cursors.is_dead(file.member)
    file.words[TAKEN] = 1
    assert cursors.taken(file.member) == 1


def test_the_lock_and_the_mapping_go_together(file: MemberFile, cursors: Cursors) -> None:
    file.abandon()
    assert cursors.is_dead(file.member)
    with pytest.raises(ValueError, match="released"):
        file.words[TAKEN] = 1
