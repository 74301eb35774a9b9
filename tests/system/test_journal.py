"""
A journal as its leaders and those who look see it: whatever one did, the next one finds.

A process that is killed leaves its files as they are, so each of its deaths can be had without killing anybody: the
test reads the directory with a second Journal, while the first has not closed it, or stops the first at a system call.
"""

from __future__ import annotations

import os
import random
import shutil

import pytest

from groupqueue.core import records
from groupqueue.core.state import State
from tests.core.fakes import Killed, picture
from tests.core.lives import P, Q, payload, payloads_of, random_moves
from tests.system.homes import Home, assert_equal, doomed, drain, eventful, flip


def test_an_empty_directory_is_an_empty_group(home: Home) -> None:
    assert home.told() == picture(State())
    life = home.lead()
    assert life.state.epoch == 1
    assert home.names() == ["ledger-0", "ledger-1"]


@pytest.mark.parametrize("seed", range(4))
def test_whatever_was_appended_is_there_at_once(home: Home, seed: int) -> None:
    life = home.lead()
    life.after = lambda: assert_equal(home.told(), picture(life.state))
    random_moves(life, random.Random(seed), 60)


@pytest.mark.parametrize("seed", range(3))
def test_each_leader_goes_on_where_the_last_one_stopped(home: Home, seed: int) -> None:
    chosen = random.Random(seed)
    lived = picture(State())
    for epoch in range(1, 6):
        life = home.lead()
        assert picture(life.state) == lived | {"epoch": epoch}
        random_moves(life, chosen, 40)
        lived = picture(life.state)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(4))
def test_segments_written_over_and_ledgers_rolled_lose_nothing(home: Home, seed: int) -> None:
    chosen = random.Random(seed)
    seen = set()
    for _ in range(4):
        life = home.lead()
        random_moves(life, chosen, 120, size=3000)
        drain(life)
        random_moves(life, chosen, 40, size=9000)
        assert home.told() == picture(life.state)
        seen |= set(home.names("items-"))
    assert len(seen) > 4


def test_a_leader_carries_the_next_epoch(home: Home) -> None:
    assert [home.lead().state.epoch for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("at", [3, 70])
def test_numbers_never_repeat_though_the_ledgers_are_lost(home: Home, at: int) -> None:
    life = home.lead()
    for _ in range(20):
        life.put(P, 1, size=20_000)
    drain(life)
    life = home.lead()
    life.journal.close()
    assert home.names("items-") == []
    for name in home.names("ledger-"):
        flip(home.path(name), at)
    again = home.lead()
    for _ in range(12):
        again.put(Q, 1, size=500)
        assert picture(home.look().state)["ready"] == {Q: list(range(1, again.state.next_id))}


def test_a_leader_of_the_same_epoch_in_another_life_gives_other_numbers(home: Home, directory: str) -> None:
    """Where the power went, nothing may be left of the first life but some of its pages."""
    other = home.copy(os.path.join(directory, "other"))
    numbers = []
    for life in (home.lead(), other.lead()):
        assert life.state.epoch == 1
        life.put(P, 1)
    for folder in (home, other):
        for path in (folder.items_path(), folder.path("ledger-0")):
            header = records.unpack_segment_header(path.read_bytes())
            assert header is not None
            numbers.append(header.number)
    assert len(set(numbers)) == 4


def test_a_body_is_read_from_where_it_was_put(home: Home) -> None:
    life = home.lead()
    for count in (1, 3, 1):
        life.put(P, count, size=1000)
    assert payloads_of(life.journal, life.state) == {item: payload(item, 1000) for item in range(1, 6)}
    again = home.look()
    assert payloads_of(again, again.state) == payloads_of(life.journal, life.state)


def test_what_was_read_stays_readable_while_somebody_has_it(home: Home) -> None:
    life = home.lead()
    life.put(P, 1, size=1000)
    view = life.journal.read(life.state.batches[1].location)
    life.journal.close()
    assert bytes(view[4:]) == payload(1, 1000)


# Killed at a system call


@pytest.mark.usefixtures("small")
def test_a_leader_may_die_at_any_system_call(home: Home, directory: str) -> None:
    reference = home.copy(os.path.join(directory, "reference")).lead()
    lived = [picture(reference.state)]
    reference.after = lambda: lived.append(picture(reference.state))
    eventful(reference)
    calls = 0
    while True:
        calls += 1
        here = home.copy(os.path.join(directory, f"home-{calls}"))
        life = here.lead()
        applied = [0]

        def count(applied: list[int] = applied) -> None:
            applied[0] += 1

        life.after = count
        try:
            with doomed(calls):
                eventful(life)
        except Killed:
            pass
        else:
            break
        told = here.told()
        assert told in lived[applied[0] : applied[0] + 2], f"killed at call {calls}"
        following = here.lead()
        assert picture(following.state) == told | {"epoch": 2}
        drain(following)
        eventful(following)
        assert here.told() == picture(following.state)
        for journal in (life.journal, following.journal):
            journal.close()
        shutil.rmtree(here.folder)
    assert calls > 40


@pytest.mark.usefixtures("small")
def test_a_leader_may_die_at_any_system_call_of_its_recovery(home: Home, directory: str) -> None:
    life = home.lead()
    eventful(life)
    life.put(P, 2, size=9000)
    life.finish((life.state.next_id - 2, 2))
    lived = picture(life.state)
    life.journal.close()
    calls = 0
    while True:
        calls += 1
        here = home.copy(os.path.join(directory, f"home-{calls}"))
        try:
            with doomed(calls):
                here.lead()
        except Killed:
            pass
        else:
            break
        told = here.told()
        assert told | {"epoch": 1} == lived | {"epoch": 1}, f"killed at call {calls}"
        following = here.lead()
        assert picture(following.state) | {"epoch": 1} == lived | {"epoch": 1}
        following.journal.close()
        shutil.rmtree(here.folder)
    assert calls > 5
