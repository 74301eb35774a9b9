"""What a record of the ledger does to the state that recovery builds, as far as a leader's own moves do not show it."""

from __future__ import annotations

import pytest

from groupqueue.core import replay as r
from groupqueue.core.checkpoint import Rebuild, to_json
from groupqueue.core.records import Kind, Record
from groupqueue.core.state import State
from tests.core.fakes import FakeJournal, check, picture
from tests.core.lives import A, Life, P, Q


def record(kind: int, *words: int, body: bytes = b"") -> Record:
    return Record(kind, words, memoryview(body), 64, 128, 1)


def replayed(*records: Record) -> State:
    rebuild = Rebuild(None)
    rebuild.settle()
    for found in records:
        r.replay(rebuild, found)
    return rebuild.finish()


# Segments


def test_an_epoch_lists_the_segments_begun_adds_and_producers_takes_away() -> None:
    epoch = record(Kind.EPOCH, 3, 4242, 7, 300)
    assert replayed(epoch).segments == {7, 300}
    assert replayed(epoch, record(Kind.BEGUN, 8)).segments == {7, 8, 300}
    ended = record(Kind.PRODUCERS, 1, 0, body=(300).to_bytes(8, "little"))
    assert replayed(epoch, ended).segments == {7}
    assert replayed(epoch, record(Kind.EPOCH, 4, 4242)).segments == set()


def test_a_checkpoint_lists_them_too_but_for_an_older_one() -> None:
    saved = to_json(State())
    saved["segments"] = [7, 300]
    for told, expected in ((saved, {7, 300}), ({**saved, "segments": []}, set())):
        rebuild = Rebuild(told)
        rebuild.settle()
        assert rebuild.finish().segments == expected
    del saved["segments"]
    rebuild = Rebuild(saved)
    rebuild.settle()
    assert rebuild.finish().segments == set()


def test_producers_tells_the_next_id_and_who_had_come_how_far() -> None:
    state = replayed(record(Kind.PRODUCERS, 40, 38, P, 5, Q, 33))
    assert (state.next_id, state.last_seq) == (40, {P: 5, Q: 33})


# Runs


def test_of_a_run_that_is_longer_than_any_what_is_there_is_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(r, "MOST_AT_ONCE", 6)
    for runs, left in {(2, 7): [1, 9], (1, 6): [7, 8, 9], (1, 1 << 40): [], (3, 1 << 40): [1, 2]}.items():
        life = Life(FakeJournal(segment_records=1000))
        for count in (2, 4, 3):
            life.put(P, count)
        life.journal.append(Kind.FINISH, runs)
        again = life.journal.replay()
        check(again)
        assert again.lanes.ready == len(left)
        assert picture(again)["ready"] == ({P: left} if left else {})


def test_who_is_gone_has_nothing_granted_whatever_came_before() -> None:
    life = Life(FakeJournal(segment_records=1000))
    life.put(P, 3)
    life.grant(A, (1, 3))
    life.taken(A, 1)
    life.journal.append(Kind.GONE, (A,))
    again = life.journal.replay()
    check(again)
    assert picture(again)["ready"] == {P: [2, 3]}


# What is lost


def test_what_was_taken_of_lost_items_is_lost_only_where_it_was_held() -> None:
    life = Life(FakeJournal(segment_records=1))
    life.put(P, 3)
    life.put(P, 2)
    life.grant(A, (1, 3), (4, 2))
    life.journal.roll()
    life.taken(A, 2, 1)
    life.taken(A, 4)
    life.journal.segments.clear()
    life.journal.segments.append([])
    life.journal.damaged = True
    assert life.journal.replay().lost == 2, "item 1, which is held, and 5, which was not taken"


def test_of_items_that_were_taken_by_several_records_those_are_lost_that_are_held() -> None:
    life = Life(FakeJournal(segment_records=1))
    life.put(P, 5)
    life.grant(A, (1, 5))
    life.journal.roll()
    life.taken(A, 3, 1, 3)
    life.taken(A, 5, 5)
    del life.journal.segments[0]
    life.journal.damaged = True
    assert life.journal.replay().lost == 3
