"""A reply goes to who asked, once, whoever died in between."""

from __future__ import annotations

import contextlib

import pytest

from groupqueue.core import messages as m
from groupqueue.core.records import Kind
from tests.core.fakes import FakeJournal, Group, Killed


def test_a_reply_goes_to_who_asked_and_to_nobody_else(group: Group) -> None:
    p, q, c = group.member(), group.member(), group.member()
    p.put(b"x")
    p.put(b"a", reply=True)
    q.put(b"b", reply=True)
    for payload in (b"x", b"a", b"b"):
        item = c.get()
        assert item.payload == payload
        if item.flags & m.WANTS_REPLY:
            c.answer(item, b"re: " + payload)
    assert p.all(m.Reply) == [m.Reply(2, m.REPLY_VALUE, b"re: a")]
    assert q.all(m.Reply) == [m.Reply(1, m.REPLY_VALUE, b"re: b")]
    assert group.state.unfinished == 0


def test_an_item_that_wants_a_reply_is_held_however_it_is_got(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    item = c.get(hold=False)
    c.want(0)
    assert list(group.state.held) == [item.id]


def test_a_resent_reply_is_sent_on_once(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    item = c.get()
    c.answer(item)
    c.answer(item)
    assert len(p.all(m.Reply)) == 1


def test_one_reply_to_an_item_however_many_are_given(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    item = c.get()
    c.answer(item, b"first", finish=False)
    c.answer(item, b"second", finish=False)
    c.answer(item, b"third")
    assert [bytes(reply.body) for reply in p.all(m.Reply)] == [b"first"]
    assert group.state.unfinished == 0


def test_a_reply_to_what_wants_none_just_finishes_it(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.answer(c.get(hold=True))
    assert p.all(m.Reply) == []
    assert group.state.unfinished == 0
    assert group.state.replies == {}


def test_an_item_may_be_answered_first_and_finished_later(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    item = c.get()
    c.answer(item, finish=False)
    assert len(p.all(m.Reply)) == 1
    assert list(group.state.held) == [item.id]
    c.done(item, number=2)
    assert group.state.unfinished == 0


def test_a_reply_is_repeated_to_who_comes_back_until_it_is_heard(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    p.disconnect()
    c.answer(c.get(), b"here")
    assert p.all(m.Reply) == []
    for count in (1, 2):
        p.hello()
        assert p.all(m.Reply) == [m.Reply(1, m.REPLY_VALUE, b"here")] * count
    p.say(m.Heard(1))
    p.hello()
    assert len(p.all(m.Reply)) == 2
    assert group.state.replies == {}


def test_a_reply_outlives_the_leader(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    c.answer(c.get(), b"here")
    p.heard.clear()
    group.lead()
    p.hello()
    assert p.all(m.Reply) == [m.Reply(1, m.REPLY_VALUE, b"here")]


def test_a_reply_to_the_dead_is_dropped_and_the_item_is_finished(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    item = c.get()
    p.die()
    c.answer(item)
    assert group.state.replies == {}
    assert group.state.unfinished == 0
    assert c.last(m.Settled) == m.Settled(1)
    assert group.journal.replay().unfinished == 0


def test_replies_that_nobody_heard_go_with_their_caller(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", reply=True)
    c.answer(c.get())
    c.answer(c.get())
    assert len(group.state.replies) == 2
    p.die()
    assert group.state.replies == {}
    assert group.state.bytes == 0


def test_that_no_reply_will_come_is_repeated_until_it_is_heard_by_this_leader_and_the_next(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True, max_attempts=1)
    c.get()
    c.die()
    p.disconnect()
    p.hello()
    group.lead()
    p.hello()
    assert p.all(m.Reply) == [m.Reply(1, m.REPLY_LOST, b"1 consumers died holding it")] * 3
    p.say(m.Heard(1))
    assert group.state.replies == {}


@pytest.mark.parametrize("finish", [False, True])
def test_a_reply_tells_the_next_leader_whether_its_item_is_finished(group: Group, finish: bool) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    item = c.get()
    c.want(0)
    group.journal.kill_in = 1
    with contextlib.suppress(Killed):
        c.answer(item, finish=finish)
    group.lead()
    assert group.state.unfinished == (0 if finish else 1)
    finished = [entry.words for entry in group.journal.ledger if entry.kind == Kind.FINISH]
    assert finished == ([(item.id, 1)] if finish else [])


def test_only_the_reply_to_what_is_durable_waits_for_the_disk(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    c.answer(c.get())
    assert group.journal.synced == 0
    p.put(b"b", reply=True, durable=True)
    before = group.journal.synced
    c.answer(c.get())
    assert group.journal.synced > before > 0
    synced = group.journal.synced
    p.put(b"c")
    assert group.journal.synced == synced


def test_hearing_of_what_is_unknown_is_no_error(group: Group) -> None:
    p = group.member()
    p.say(m.Heard(17))
    assert p.heard[1:] == []


def test_an_answered_item_never_comes_back() -> None:
    group = Group(journal=FakeJournal(segment_records=1))
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"short", b"long", reply=True)
    c.want(2)
    short = c.take()
    c.answer(short)
    p.say(m.Heard(1))
    p.put(b"other")
    group.lead()
    for member in (p, c, d):
        member.hello()
    c.die()
    assert d.get().payload == b"long"
