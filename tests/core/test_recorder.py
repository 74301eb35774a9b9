"""A record that is a list of ids is as many records as they need."""

from __future__ import annotations

import pytest

from groupqueue.core import recorder
from groupqueue.core.records import Kind
from tests.core.fakes import Group, numbered

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
