"""A record that is a list of ids is as many records as they need."""

from __future__ import annotations

import pytest

from groupqueue.core import recorder
from groupqueue.core.records import Kind
from tests.core.fakes import FakeJournal, Group, numbered

# Counting and looking


def test_any_number_of_failed_items_is_put_back(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_IDS", 10)
    p, c = group.member(), group.member()
    p.put(*numbered(25))
    for _ in range(25):
        c.fail(c.get(hold=True))
    assert p.ask("requeue_failed") == {"count": 25}
    assert [len(entry.words) for entry in group.journal.ledger if entry.kind == Kind.RETRY] == [10, 10, 5]
    assert [c.get().payload for _ in range(25)] == numbered(25)


def test_any_number_of_scattered_items_is_finished(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_IDS", 10)
    p, c = group.member(), group.member()
    p.put(*numbered(50))
    held = [c.get(hold=True) for _ in range(50)]
    c.done(*held[::2])
    assert [len(entry.words) for entry in group.journal.ledger if entry.kind == Kind.FINISH] == [20, 20, 10]
    assert group.state.unfinished == 25


# A full disk, and many


def test_a_caller_may_die_with_any_number_of_replies_unheard(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_IDS", 10)
    p, c = group.member(), group.member()
    p.put(*numbered(25), reply=True)
    for _ in range(25):
        c.answer(c.get())
    p.die()
    assert group.state.replies == {}
    assert [len(entry.words) for entry in group.journal.ledger if entry.kind == Kind.HEARD] == [10, 10, 5]


def test_that_items_are_answered_outlives_any_number_of_their_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_IDS", 2)
    group = Group(journal=FakeJournal(segment_records=1))
    p, q, c = group.member(), group.member(), group.member()
    p.put(*numbered(6), reply=True)
    c.want(6)
    held = [c.take() for _ in range(6)]
    for item in held[:3]:
        c.answer(item, finish=False)
    c.answer(held[3])
    p.die()
    assert [entry.words for entry in group.journal.ledger if entry.kind == Kind.ANSWERED] == [(1, 2), (3,)]
    q.put(b"other")
    group.lead()
    assert group.state.answered == {1, 2, 3}


def test_any_number_of_items_that_recovery_found_finished_is_on_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_IDS", 2)
    journal = FakeJournal()
    state = journal.recover()
    state.unrecorded += [(item, 1) for item in range(1, 6)]
    recorder.Recorder(state, journal).finish_unrecorded()
    assert [entry.words for entry in journal.ledger] == [(1, 1, 2, 1), (3, 1, 4, 1), (5, 1)]
    assert state.unrecorded == []
