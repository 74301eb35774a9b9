"""Questions that wait: clear, for what is granted; join, for what is unfinished."""

from __future__ import annotations

import pytest

from groupqueue.core import messages as m
from groupqueue.core import recorder
from groupqueue.core.inbox import ATTENTION
from groupqueue.core.recalls import GRACE, LOOK
from groupqueue.core.records import Kind
from tests.core.fakes import Group, numbered

# Clear


def test_clear_drops_what_nobody_has_got(group: Group) -> None:
    p, q, c = group.member(), group.member(), group.member()
    p.put(*numbered(3))
    q.put(b"q")
    held = c.get(hold=True)
    assert p.ask("clear") == {"count": 3}
    assert (group.state.queued, list(group.state.held)) == (0, [held.id])
    group.lead()
    assert group.state.queued == 0


def test_clear_first_asks_back_what_is_granted(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(5))
    c.want(3)
    ticket = len(p.heard) + 1
    assert p.ask("clear") is None
    assert c.all(m.Recall) == [m.Recall(m.RECALL_ITEMS)]
    c.take()
    c.give_back()
    assert p.answer_to(ticket) == {"count": 4}


def test_clear_does_not_wait_for_who_does_not_answer(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(5))
    c.want(3)
    ticket = len(p.heard) + 1
    p.ask("clear")
    group.wait(GRACE)
    assert p.answer_to(ticket) == {"count": 2}
    assert c.payloads == numbered(3)


def test_clear_does_not_wait_longer_for_who_is_granted_more_meanwhile(group: Group) -> None:
    p, c, stuck = group.member(), group.member(), group.member()
    p.put(b"a")
    stuck.want()
    ticket = len(p.heard) + 1
    p.ask("clear")
    end = group.now + GRACE
    group.now += GRACE / 2
    c.put(b"b")
    c.want()
    assert c.payloads == [b"b"]
    group.now = end
    group.step()
    assert p.answer_to(ticket) == {"count": 0}


def test_who_waits_for_a_cleared_item_is_told_so(group: Group) -> None:
    p = group.member()
    p.put(b"a", b"b", reply=True)
    p.put(b"c")
    assert p.ask("clear") == {"count": 3}
    assert p.all(m.Reply) == [m.Reply(seq, m.REPLY_LOST, b"the queue was cleared") for seq in (1, 2)]


def test_clear_takes_any_number_of_batches(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_IDS", 4)
    p = group.member()
    for payload in numbered(9):
        group.broker.receive(p.peer, p.batch(payload), group.now)
    assert p.ask("clear") == {"count": 9}
    assert [len(entry.words) for entry in group.journal.ledger if entry.kind == Kind.FINISH] == [8, 8, 2]
    assert group.state.queued == 0


def test_the_failed_list_is_not_cleared(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.fail(c.get(hold=True))
    assert p.ask("clear") == {"count": 0}
    assert len(group.state.failed) == 1


def test_clear_makes_room_where_there_is_none(group: Group) -> None:
    p = group.member()
    p.put(b"a", reply=True)
    group.journal.full = True
    assert p.ask("clear") == {"count": 1}


# Join


def test_join_with_nothing_unfinished_is_answered_at_once(group: Group) -> None:
    assert group.member().ask("join") == {"count": 0}


def test_join_waits_until_all_is_got_and_finished(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b")
    assert p.ask("join") is None
    ticket = 2 + 1
    first = c.get(hold=True)
    second = c.get(hold=True)
    c.done(first)
    assert p.last(m.Result) is None
    c.done(second)
    assert p.answer_to(ticket) == {"count": 0}


def test_join_hears_of_a_plain_take(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.want()
    p.ask("join")
    assert c.file.words[ATTENTION] == 1
    c.take()
    c.say(m.Taken(1))
    assert p.last(m.Result) is not None


def test_join_sees_a_take_that_nobody_told(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.want()
    p.ask("join")
    c.take()
    group.wait(LOOK)
    assert p.last(m.Result) is not None


def test_join_does_not_wait_for_what_failed(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    p.ask("join")
    c.fail(c.get(hold=True))
    assert p.last(m.Result) is not None


def test_join_waits_for_what_comes_back_from_the_dead(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"a")
    p.ask("join")
    c.get(hold=True)
    c.die()
    assert p.last(m.Result) is None
    d.done(d.get(hold=True))
    assert p.last(m.Result) is not None


def test_who_joined_and_went_is_not_answered(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    p.ask("join")
    p.disconnect()
    c.get()
    c.want(0)
    p.hello()
    assert p.all(m.Result) == []
