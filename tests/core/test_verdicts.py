"""What consumers say of items that they hold counts once, for the attempt that it is said of."""

from __future__ import annotations

from groupqueue.core import messages as m
from groupqueue.core.records import Kind
from tests.core.fakes import Group, numbered, picture

# Done


def test_what_is_done_is_finished_and_settled(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(3))
    c.want(3)
    items = [c.take(hold=True) for _ in range(3)]
    c.done(items[0], items[2], number=4)
    assert list(group.state.held) == [items[1].id]
    assert p.all(m.Ack) == [m.Ack(3)]
    p.done(number=1)
    assert (p.all(m.Ack), p.all(m.Settled)) == ([m.Ack(3)], [m.Settled(1)])
    p.put(b"more")
    assert p.all(m.Settled) == [m.Settled(1)]
    assert c.all(m.Settled) == [m.Settled(4)]


def test_what_is_done_in_any_order_is_on_record_in_runs(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(8))
    c.want(8)
    items = [c.take(hold=True) for _ in range(8)]
    c.done(*(items[index] for index in (6, 2, 0, 5, 1)))
    assert [entry.words for entry in group.journal.ledger if entry.kind == Kind.FINISH] == [(1, 3, 6, 2)]
    assert list(group.state.held) == [4, 5, 8]


def test_a_verdict_may_come_before_the_take_is_known(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.done(c.get(hold=True))
    assert group.state.unfinished == 0


def test_a_resent_verdict_is_settled_and_changes_nothing(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b")
    item = c.get(hold=True)
    c.done(item, number=1)
    before = picture(group.state)
    c.done(item, number=1)
    assert picture(group.state) == before
    assert c.all(m.Settled) == [m.Settled(1), m.Settled(1)]


def test_a_verdict_on_an_earlier_attempt_is_settled_and_changes_nothing(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    first = c.get(hold=True)
    c.requeue(first)
    second = c.get(hold=True)
    for say in (c.done, c.answer, c.fail, c.requeue):
        say(first, number=9)
    assert list(group.state.held) == [second.id]
    assert group.state.attempt(second.id) == 2
    assert c.last(m.Settled) == m.Settled(9)


def test_a_verdict_on_what_another_holds_changes_nothing(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"a")
    item = c.get(hold=True)
    c.want(0)
    for say in (d.done, d.answer, d.fail, d.requeue):
        say(item)
    assert {number: held.member for number, held in group.state.held.items()} == {item.id: c.member}


def test_verdicts_of_one_step_are_settled_together(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b")
    c.want(2)
    first, second = c.take(hold=True), c.take(hold=True)
    group.broker.receive(c.peer, m.Requeue(1, first.id, first.attempt), group.now)
    group.broker.receive(c.peer, m.Fail(2, second.id, second.attempt, b"why"), group.now)
    group.step()
    assert c.all(m.Settled) == [m.Settled(2)]


# Requeue


def test_a_requeued_item_keeps_its_place_and_counts_the_attempt(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(3))
    c.want(2)
    first = c.take(hold=True)
    c.take()
    c.requeue(first)
    assert [(d.get().payload, d.peer.member) for _ in range(2)] == [(b"0", d.member), (b"2", d.member)]


def test_a_requeued_item_is_another_attempt_and_nobodys_death(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", max_attempts=2)
    for attempt in range(1, 10):
        item = c.get(hold=True)
        assert item.attempt == attempt
        c.requeue(item)
    assert group.state.failed == {}


def test_a_requeue_does_not_make_up_for_a_death(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"a", max_attempts=2)
    c.get(hold=True)
    c.die()
    d.requeue(d.get(hold=True))
    d.get(hold=True)
    d.die()
    assert len(group.state.failed) == 1


# Failures


def test_a_failed_item_is_on_the_failed_list_with_its_reason(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b")
    c.fail(c.get(hold=True), "zu heiß".encode())
    assert [failed.reason for failed in group.state.failed.values()] == ["zu heiß"]
    assert c.get().payload == b"b"


def test_a_reason_that_is_no_text_is_taken_as_it_is(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.fail(c.get(hold=True), b"\xff\xfe")
    assert len(group.state.failed) == 1
