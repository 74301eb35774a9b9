"""What is put is accepted once, whole, and in order."""

from __future__ import annotations

import pytest

from groupqueue.core import messages as m
from groupqueue.core.effects import POSTPONED
from groupqueue.core.ports import NoRoom
from groupqueue.core.records import Kind
from tests.core.fakes import FakeJournal, Group, picture


def test_what_is_put_is_acknowledged(group: Group) -> None:
    p = group.member()
    p.put(b"a", b"b")
    assert p.all(m.Ack) == [m.Ack(2)]
    assert group.state.queued == 2
    p.put(b"c")
    assert p.all(m.Ack) == [m.Ack(2), m.Ack(3)]


# Nothing is acknowledged before it is in the journal


def test_without_room_nothing_is_done_and_it_can_be_tried_again(group: Group) -> None:
    p, q = group.member(), group.member()
    p.put(b"a")
    before = picture(group.state)
    batch = p.batch(b"b", b"c")
    group.journal.full = True
    with pytest.raises(NoRoom):
        group.broker.receive(p.peer, batch, group.now)
    group.step()
    assert picture(group.state) == before
    assert p.all(m.Ack) == [m.Ack(1)]
    group.journal.full = False
    p.say(batch)
    assert p.all(m.Ack) == [m.Ack(1), m.Ack(3)]
    assert q.get().payload == b"a"


def test_gets_go_on_without_room(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", b"c")
    group.journal.full = True
    assert [c.get().payload, c.get(hold=True).payload] == [b"a", b"b"]
    c.done(c.get(hold=True))
    assert c.last(m.Settled) == m.Settled(1)


# Once


def test_what_a_reply_acknowledges_is_not_acknowledged_besides(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want()
    p.put(b"a", reply=True)
    c.answer(c.get())
    group.wait(1)
    assert (p.all(m.Ack), p.all(m.Reply)) == ([], [m.Reply(1, m.REPLY_VALUE, b"yes")])


def test_a_batch_that_wants_replies_is_acknowledged_when_they_take_long(group: Group) -> None:
    p = group.member()
    p.put(b"a", reply=True)
    group.wait(POSTPONED / 2)
    p.put(b"b", reply=True)
    assert p.all(m.Ack) == []
    group.wait(POSTPONED / 2)
    assert p.all(m.Ack) == [m.Ack(2)]
    group.wait(1)
    assert p.all(m.Ack) == [m.Ack(2)]


def test_a_postponed_acknowledgement_goes_with_that_of_what_is_put_after(group: Group) -> None:
    p = group.member()
    p.put(b"a", reply=True)
    p.put(b"b")
    group.wait(1)
    assert p.all(m.Ack) == [m.Ack(2)]
    assert group.broker.deadline is None


def test_a_reply_to_an_earlier_item_does_not_acknowledge_a_later_one(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    p.put(b"b", reply=True)
    c.answer(c.get())
    assert p.all(m.Ack) == []
    group.wait(POSTPONED)
    assert p.all(m.Ack) == [m.Ack(2)]


def test_who_has_gone_is_told_nothing(group: Group) -> None:
    p = group.member()
    p.put(b"a", reply=True)
    p.disconnect()
    group.wait(1)
    assert p.all(m.Ack) == []


def test_a_resent_batch_is_dropped_and_acknowledged(group: Group) -> None:
    p = group.member()
    batch = p.batch(b"a", b"b")
    p.say(batch)
    p.say(batch)
    assert group.state.queued == 2
    assert p.all(m.Ack) == [m.Ack(2), m.Ack(2)]


def test_a_resent_batch_is_known_to_the_next_leader(group: Group) -> None:
    p = group.member()
    batch = p.batch(b"a", b"b")
    p.say(batch)
    group.lead()
    p.hello()
    assert p.last(m.Welcome).last_seq == 2  # type: ignore[union-attr]
    p.say(batch)
    p.put(b"c")
    assert group.state.queued == 3


def test_a_resent_batch_is_known_also_when_nothing_of_it_is_left() -> None:
    group = Group(journal=FakeJournal(segment_records=1))
    p, c = group.member(), group.member()
    batch = p.batch(b"a")
    p.say(batch)
    c.get()
    c.want(0)
    for _ in range(3):
        c.put(b"x")
    assert not any(place.words[0] == p.member for segment in group.journal.segments for place in segment)
    group.lead()
    p.hello()
    p.say(batch)
    assert group.state.queued == 3


def test_a_resent_batch_is_known_after_a_checkpoint() -> None:
    group = Group(journal=FakeJournal(ledger_records=2))
    p, c = group.member(), group.member()
    batch = p.batch(b"a", b"b")
    p.say(batch)
    for _ in range(2):
        c.get()
    c.want(0)
    assert group.journal.checkpoint is not None
    group.lead()
    p.hello()
    p.say(batch)
    assert group.state.queued == 0


def test_each_producer_has_numbers_of_its_own(group: Group) -> None:
    p, q = group.member(), group.member()
    p.put(b"a")
    q.put(b"b")
    p.put(b"c")
    assert group.state.last_seq == {p.member: 2, q.member: 1}
    assert group.state.queued == 3


# In order


def test_items_come_out_in_the_order_they_were_put(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"1", b"2")
    p.put(b"3")
    p.put(b"4", b"5", b"6")
    assert [c.get().payload for _ in range(6)] == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_items_outlive_their_producer(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    p.die()
    q = group.member()
    q.put(b"b")
    q.bye()
    assert [c.get().payload, c.get().payload] == [b"a", b"b"]


def test_an_item_tells_who_put_it(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    item = c.get()
    assert (item.pid, item.attempt, item.flags) == (p.peer.pid, 1, m.WANTS_REPLY)


# What the journal looks like


def test_a_batch_is_one_record(group: Group) -> None:
    p = group.member()
    p.put(*[b"x"] * 1000)
    (place,) = group.journal.segments[-1]
    assert place.kind == Kind.ITEMS
    assert place.words == (p.member, 1, 1, 1000, 0, 3, p.peer.pid)
