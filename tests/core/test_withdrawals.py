"""An item whose caller gave up is taken back, unless somebody has it."""

from __future__ import annotations

from groupqueue.core import messages as m
from tests.core.fakes import Group


def test_a_ready_item_is_withdrawn(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", b"c", reply=True)
    p.say(m.Withdraw(2))
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 1)]
    assert [c.get().payload, c.get().payload] == [b"a", b"c"]
    c.want(0)
    assert group.state.unfinished == 2


def test_a_withdrawn_item_stays_withdrawn_for_the_next_leader(group: Group) -> None:
    p = group.member()
    p.put(b"a", b"b", reply=True)
    p.say(m.Withdraw(1))
    group.lead()
    c = group.member()
    assert c.get().payload == b"b"
    assert group.state.lanes.ready == 0


def test_an_item_that_comes_behind_its_withdrawal_is_granted_to_nobody(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want(2)
    p.say(m.Withdraw(2))
    assert p.all(m.Withdrawn) == []
    p.put(b"a", b"b", b"c", reply=True)
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 1)]
    assert [c.take().payload, c.get().payload] == [b"a", b"c"]


def test_a_withdrawal_without_its_item_ends_with_the_connection(group: Group) -> None:
    p, c = group.member(), group.member()
    p.say(m.Withdraw(1))
    p.disconnect()
    p.hello()
    p.put(b"a", reply=True)
    assert c.get().payload == b"a"


def test_a_granted_item_is_asked_for_at_once_and_withdrawn_when_it_returns(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", reply=True)
    c.want(2)
    p.say(m.Withdraw(2))
    assert c.all(m.Recall) == [m.Recall(m.RECALL_ITEMS)]
    assert p.all(m.Withdrawn) == []
    c.take()
    c.give_back()
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 1)]
    assert group.state.queued == 0


def test_an_item_that_is_taken_before_it_returns_is_not_withdrawn(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", reply=True)
    c.want(2)
    p.say(m.Withdraw(2))
    c.take()
    item = c.take()
    c.give_back()
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 0)]
    c.answer(item)
    assert [reply.seq for reply in p.all(m.Reply)] == [2]


def test_a_taken_item_is_not_withdrawn(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    item = c.get()
    p.say(m.Withdraw(1))
    assert p.all(m.Withdrawn) == [m.Withdrawn(1, 0)]
    c.answer(item)
    p.say(m.Withdraw(1))
    assert p.all(m.Withdrawn)[1:] == [m.Withdrawn(1, 0)]


def test_nobody_withdraws_what_another_has_put(group: Group) -> None:
    p, q = group.member(), group.member()
    q.put(b"a", reply=True)
    p.say(m.Withdraw(1))
    assert p.all(m.Withdrawn) == []
    assert group.state.queued == 1
    p.put(b"b", reply=True)
    assert p.all(m.Withdrawn) == [m.Withdrawn(1, 1)]
    assert q.get().payload == b"a"


def test_an_item_that_waits_for_another_attempt_is_withdrawn(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    c.requeue(c.get())
    p.say(m.Withdraw(1))
    assert p.all(m.Withdrawn) == [m.Withdrawn(1, 1)]
    assert group.state.unfinished == 0


def test_an_item_is_withdrawn_when_its_holder_dies_with_it_untaken(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    c.want()
    p.say(m.Withdraw(1))
    c.die()
    assert p.all(m.Withdrawn) == [m.Withdrawn(1, 1)]


def test_an_item_is_withdrawn_also_when_its_producer_is_gone_by_then(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    c.want()
    p.say(m.Withdraw(1))
    p.disconnect()
    c.give_back()
    assert group.state.queued == 0


def test_each_is_answered_as_soon_as_it_can_be(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", reply=True)
    c.want()
    p.say(m.Withdraw(1))
    p.say(m.Withdraw(2))
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 1)]
    c.give_back()
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 1), m.Withdrawn(1, 1)]


def test_an_item_next_to_one_that_is_ready_is_asked_for(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", reply=True)
    c.want(2)
    c.requeue(c.take())
    p.say(m.Withdraw(2))
    assert p.all(m.Withdrawn) == []
    assert c.take().payload == b"b"
    c.want(0)
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 0)]


def test_an_item_is_found_between_those_of_others(group: Group) -> None:
    p, q, c = group.member(), group.member(), group.member()
    p.put(b"a", reply=True)
    q.put(b"q")
    p.put(b"b", reply=True)
    p.say(m.Withdraw(2))
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 1)]
    assert [c.get().payload, c.get().payload] == [b"a", b"q"]


def test_a_withdrawal_that_came_first_is_answered_once(group: Group) -> None:
    p, c = group.member(), group.member()
    p.say(m.Withdraw(1))
    p.put(b"a", reply=True)
    c.want()
    c.want(0)
    assert p.all(m.Withdrawn) == [m.Withdrawn(1, 1)]


def test_an_item_is_found_behind_one_that_the_journal_lost(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    group.journal.begin()
    p.put(b"b", reply=True)
    c.want(2)
    group.journal.segments = [found for found in group.journal.segments if all(place.words[1] != 1 for place in found)]
    group.journal.damaged = True
    group.lead()
    p.hello()
    c.hello()
    p.say(m.Withdraw(2))
    c.give_back()
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 1)]
