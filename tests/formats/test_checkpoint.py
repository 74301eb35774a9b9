"""A state that is rebuilt from a checkpoint, the segments and the later records is the state that was lived."""

from __future__ import annotations

import json
import random

import pytest

from groupqueue.core import messages as m
from groupqueue.core.checkpoint import FORMAT, Rebuild, to_json
from groupqueue.core.records import Kind
from groupqueue.core.state import State
from tests.core.fakes import FakeJournal, check, picture
from tests.core.lives import A, B, Life, P, Q, random_moves

# Grants


def test_a_place_without_an_item_stays_one_in_the_checkpoint() -> None:
    life = Life(FakeJournal(segment_records=1000))
    life.put(P, 2)
    life.grant(A, (1, 2))
    life.grant(B, (1, 2))
    life.grant(B, position=9)
    life.journal.roll()
    again = life.journal.replay()
    check(again)
    assert picture(again) == picture(life.state)


# Recovery


def test_items_are_rebuilt_in_any_order_of_their_segments() -> None:
    life = Life(FakeJournal(segment_records=1))
    for producer in (P, Q, P, Q, P):
        life.put(producer, 2)
    life.grant(A, (1, 2), (3, 2))
    expected = picture(life.state)
    for seed in range(10):
        random.Random(seed).shuffle(life.journal.segments)
        assert picture(life.journal.replay()) == expected


def test_an_item_that_the_journal_lost_counts_as_lost() -> None:
    life = Life(FakeJournal(segment_records=1))
    life.put(P, 2)
    life.put(P, 3)
    life.put(P, 1)
    life.grant(A, (1, 2), (3, 2))
    life.journal.roll()
    del life.journal.segments[1]
    life.journal.damaged = True
    again = life.journal.replay()
    check(again)
    assert again.lost == 3
    assert picture(again)["granted"][A] == (0, 4, [1, 2, None, None])
    assert picture(again)["ready"] == {P: [6]}


def test_so_does_the_very_oldest() -> None:
    life = Life(FakeJournal(segment_records=1))
    life.put(P, 2)
    life.put(Q, 3)
    life.journal.roll()
    del life.journal.segments[0]
    life.journal.damaged = True
    again = life.journal.replay()
    check(again)
    assert again.lost == 2
    assert picture(again)["ready"] == {Q: [3, 4, 5]}


def test_a_position_of_a_lost_item_is_still_a_position() -> None:
    life = Life(FakeJournal(segment_records=1))
    life.put(P, 2)
    life.put(P, 2)
    life.grant(A, (1, 2), (3, 2))
    del life.journal.segments[0]
    life.journal.damaged = True
    again = life.journal.replay()
    assert picture(again)["granted"][A] == (0, 4, [None, None, 3, 4])
    assert list(again.grants[A].positions(0, 9))[2:] == [(2, 3), (3, 4)]


def test_what_is_younger_than_the_checkpoint_is_ready() -> None:
    life = Life(FakeJournal(segment_records=1000))
    life.put(P, 2)
    life.grant(A, (1, 2))
    life.journal.roll()
    life.put(P, 2)
    life.put(Q, 1)
    again = life.journal.replay()
    check(again)
    assert picture(again) == picture(life.state)
    assert picture(again)["ready"] == {P: [3, 4], Q: [5]}


def test_a_batch_finished_before_the_checkpoint_stays_finished() -> None:
    life = Life(FakeJournal(segment_records=1000))
    life.put(P, 2)
    life.finish((1, 2))
    life.journal.roll()
    again = life.journal.replay()
    assert again.batches == {}
    assert [place.words[1] for place in again.released] == [1]


def test_a_reply_heard_before_the_checkpoint_stays_heard() -> None:
    life = Life(FakeJournal(segment_records=1000))
    life.put(P, 2, m.WANTS_REPLY)
    life.grant(A, (1, 2))
    life.taken(A, 2, 1, 2)
    first, second = life.reply(1), life.reply(2)
    life.heard(first)
    life.journal.roll()
    again = life.journal.replay()
    assert list(again.replies) == [second]
    assert [place.words[0] for place in again.released if place.kind == Kind.REPLY] == [first]
    check(again)


def test_a_state_without_a_journal_is_empty() -> None:
    rebuild = Rebuild(None)
    rebuild.settle()
    assert picture(rebuild.finish()) == picture(State())


def test_a_checkpoint_is_plain_json() -> None:
    life = Life(FakeJournal())
    random_moves(life, random.Random(1), 200)
    state = life.state
    assert to_json(state)["format"] == FORMAT
    text = json.dumps(to_json(state))
    assert json.loads(text) == json.loads(json.dumps(to_json(state)))


@pytest.mark.parametrize("seed", range(12))
def test_a_whole_life_replayed_is_the_life_that_was_lived(seed: int) -> None:
    life = Life(FakeJournal(segment_records=1000))
    random_moves(life, random.Random(seed), 150)
    assert picture(life.journal.replay()) == picture(life.state)


@pytest.mark.parametrize("seed", range(12))
def test_segments_that_are_written_over_take_nothing_with_them(seed: int) -> None:
    life = Life(FakeJournal(segment_records=1 + seed % 3, ledger_records=20 if seed % 2 else None))
    random_moves(life, random.Random(seed), 150)
    assert picture(life.journal.replay()) == picture(life.state)


@pytest.mark.parametrize("seed", range(12))
def test_checkpoints_in_between_change_nothing(seed: int) -> None:
    life = Life(FakeJournal(segment_records=1000, ledger_records=1 + 3 * seed))
    random_moves(life, random.Random(seed), 150)
    assert life.journal.checkpoint is not None
    assert picture(life.journal.replay()) == picture(life.state)
