"""A bounded group: room is set aside before an item is put, and items and credit together never exceed the bound."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from groupqueue.core import messages as m
from groupqueue.core.inbox import ATTENTION
from groupqueue.core.recalls import GRACE, LOOK, PATIENCE
from tests.core.fakes import FakeMember, Group, picture


@pytest.fixture
def group() -> Iterator[Group]:
    group = Group(maxsize=4)
    yield group
    assert picture(group.journal.replay()) == picture(group.state)


def given(member: FakeMember) -> int:
    """All the credit that the member was ever given."""
    return sum(credit.count for credit in member.all(m.Credit))


def fill(group: Group) -> FakeMember:
    """A member that has put as much as there is room for."""
    p = group.member()
    p.want_credit(group.maxsize)
    p.put(*[b"x"] * group.maxsize)
    p.use_credit(group.maxsize)
    return p


# Credit


def test_credit_is_given_while_there_is_room(group: Group) -> None:
    p = group.member()
    p.want_credit(3)
    assert 3 <= given(p) <= 4
    p.want_credit(3)
    assert given(p) == 4


def test_of_two_that_want_all_both_together_get_the_bound(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(3)
    q.want_credit(3)
    group.wait(GRACE / 2)
    assert given(p) + given(q) == 4


def test_items_and_credit_together_never_exceed_the_bound(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(2)
    p.put(b"a", b"b")
    p.use_credit(2)
    q.want_credit(9)
    assert given(p) + given(q) <= 4
    assert group.state.queued + given(q) <= 4


def test_what_was_got_makes_room(group: Group) -> None:
    p = fill(group)
    c = group.member()
    p.want_credit(1)
    assert given(p) == 4
    c.get()
    c.want(0)
    assert given(p) == 5


def test_what_is_held_makes_room(group: Group) -> None:
    p = fill(group)
    c = group.member()
    p.want_credit(1)
    c.get(hold=True)
    c.want(0)
    assert given(p) == 5


def test_who_waits_for_room_hears_of_it_when_an_item_is_taken(group: Group) -> None:
    p = fill(group)
    c = group.member()
    c.want(2)
    p.want_credit(1)
    assert c.file.words[ATTENTION] == 1
    assert group.broker.deadline == pytest.approx(group.now + LOOK)
    c.take()
    c.say(m.Taken(1))
    assert given(p) == 5


def test_who_waits_for_room_sees_a_take_that_nobody_told(group: Group) -> None:
    p = fill(group)
    c = group.member()
    c.want(2)
    p.want_credit(1)
    c.take()
    group.wait(LOOK)
    assert given(p) == 5


def test_one_that_waits_alone_is_given_a_little_more_each_time() -> None:
    group = Group(maxsize=1000)
    p = group.member()
    counts = []
    for _ in range(5):
        before = given(p)
        p.want_credit(1)
        counts.append(given(p) - before)
        p.put(*[b"x"] * counts[-1])
        p.use_credit(counts[-1])
    assert counts == [2, 3, 5, 9, 17]


def test_while_others_wait_the_first_is_given_no_more_than_it_asked_for(group: Group) -> None:
    p, q, c = fill(group), group.member(), group.member()
    p.want_credit(1)
    q.want_credit(1)
    c.want(3)
    for _ in range(3):
        c.take()
    c.say(m.Taken(3))
    assert given(p) == 4 + 1
    assert given(q) >= 1


def test_with_others_waiting_nobody_is_given_more_than_it_asked_for(group: Group) -> None:
    p, q, r, c = fill(group), group.member(), group.member(), group.member()
    for member in (p, q, r):
        member.want_credit(1)
    before = [given(member) for member in (p, q, r)]
    for _ in range(2):
        c.get()
    c.want(0)
    assert [given(member) - was for member, was in zip((p, q, r), before)] == [1, 1, 0]


def test_who_waits_no_longer_is_given_nothing(group: Group) -> None:
    p, c = fill(group), group.member()
    p.want_credit(1)
    p.want_credit(0)
    for _ in range(3):
        c.get()
    c.want(0)
    assert len(p.all(m.Credit)) == 1


def test_who_never_waited_need_not_take_it_back(group: Group) -> None:
    p = group.member()
    p.want_credit(0)
    assert p.heard[1:] == []


def test_nobody_is_asked_to_make_room_for_itself(group: Group) -> None:
    p = group.member()
    p.want_credit(3)
    p.want_credit(1)
    group.wait(GRACE)
    assert p.all(m.Recall) == []


def test_what_is_given_adds_up_to_the_bound() -> None:
    group = Group(maxsize=10)
    p, q = group.member(), group.member()
    p.want_credit(2)
    p.want_credit(2)
    q.want_credit(9)
    assert given(p) + given(q) == 10


@pytest.mark.parametrize(("room", "count"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (9, 3)])
def test_the_little_more_is_at_most_half_of_the_room(room: int, count: int) -> None:
    group = Group(maxsize=12)
    p, q = group.member(), group.member()
    p.want_credit(1)
    p.put(b"x", b"x")
    p.use_credit(2)
    q.put(*[b"x"] * (10 - room))
    assert given(p) == 2
    p.want_credit(1)
    assert given(p) == 2 + count
    assert all(type(credit.count) is int for credit in p.all(m.Credit))


def test_while_there_is_room_nobody_is_asked_to_tell_what_it_takes() -> None:
    group = Group(maxsize=10)
    p, c = group.member(), group.member()
    p.put(b"a", b"b")
    c.want(2)
    p.want_credit(1)
    assert given(p) > 0
    assert c.file.words[ATTENTION] == 0


def test_who_has_nothing_untaken_is_not_asked_to_tell_when_it_takes(group: Group) -> None:
    p, c, d = fill(group), group.member(), group.member()
    c.get()
    c.want(0)
    d.want()
    p.want_credit(1)
    p.want_credit(1)
    assert [member.file.words[ATTENTION] for member in (c, d)] == [0, 1]


def test_who_is_asked_to_return_the_rest_is_not_asked_for_less(group: Group) -> None:
    p, c, d = fill(group), group.member(), group.member()
    c.want(2)
    d.want()
    group.wait(PATIENCE)
    assert c.file.words[ATTENTION] == 2
    p.want_credit(1)
    assert c.file.words[ATTENTION] == 2


def test_who_waits_for_room_looks_also_at_those_who_are_away(group: Group) -> None:
    p, c = fill(group), group.member()
    c.want(2)
    c.disconnect()
    p.want_credit(1)
    assert given(p) == 4
    c.take()
    group.wait(LOOK)
    assert given(p) == 5


def test_a_take_in_the_very_moment_of_asking_is_not_overlooked(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    p, c = fill(group), group.member()
    c.want(2)
    attend = group.cursors.attend

    def take_meanwhile(member: int, state: int) -> None:
        if c.granted:
            c.take()
        attend(member, state)

    monkeypatch.setattr(group.cursors, "attend", take_meanwhile)
    p.want_credit(1)
    assert group.broker.deadline == group.now
    group.wake()
    assert given(p) == 5


# Now or never


def test_who_asks_with_a_ticket_hears_that_there_is_no_room(group: Group) -> None:
    p = fill(group)
    p.want_credit(0, ticket=7)
    assert p.all(m.Nothing) == [m.Nothing(7)]
    group.member().get()
    assert given(p) == 4


def test_a_ticket_is_answered_once_and_its_owner_waits_on_with_the_rest(group: Group) -> None:
    p, c = fill(group), group.member()
    p.want_credit(1, ticket=7)
    group.wait(1.0)
    assert p.all(m.Nothing) == [m.Nothing(7)]
    c.get()
    c.want(0)
    assert given(p) == 5


def test_who_only_had_a_ticket_is_given_nothing_later(group: Group) -> None:
    p, c = fill(group), group.member()
    p.want_credit(0, ticket=7)
    for _ in range(3):
        c.get()
    c.want(0)
    assert given(p) == 4
    assert p.ask("stats")["waiting_putters"] == 0


def test_who_asks_with_a_ticket_is_given_room(group: Group) -> None:
    p = group.member()
    p.want_credit(0, ticket=7)
    assert given(p) >= 1
    assert p.all(m.Nothing) == []


def test_a_ticket_is_answered_after_a_look_at_the_cursors(group: Group) -> None:
    p, c = fill(group), group.member()
    c.get()
    p.want_credit(0, ticket=7)
    assert given(p) == 5


def test_a_ticket_waits_for_credit_that_another_does_not_use(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(4)
    q.want_credit(0, ticket=7)
    assert p.all(m.Recall) == [m.Recall(m.RECALL_CREDIT)]
    assert q.all(m.Nothing) == []
    p.use_credit(4)
    p.say(m.ReturnCredit(4))
    assert given(q) >= 1


def test_what_is_given_back_is_given_to_others_to_the_last(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(4)
    q.want_credit(4)
    p.use_credit(4)
    p.say(m.ReturnCredit(4))
    assert given(q) == 4


def test_who_gave_back_is_asked_again_when_it_has_more_and_begins_with_little(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(1)
    p.want_credit(1)
    q.want_credit(1)
    p.use_credit(given(p))
    p.say(m.ReturnCredit(given(p)))
    before = given(p)
    p.want_credit(1)
    assert given(p) - before == 2
    q.want_credit(4)
    assert len(p.all(m.Recall)) == 2


def test_behind_who_has_nothing_to_give_back_others_are_asked(group: Group) -> None:
    q, poor, p = group.member(), group.member(), group.member()
    p.want_credit(4)
    q.want_credit(0, ticket=7)
    assert p.all(m.Recall) == [m.Recall(m.RECALL_CREDIT)]
    assert poor.all(m.Recall) == []


def test_where_items_fill_the_group_nobody_is_asked_for_credit(group: Group) -> None:
    p, c, q = fill(group), group.member(), group.member()
    held = [c.get(hold=True), c.get(hold=True)]
    c.want(0)
    p.want_credit(2)
    for item in held:
        c.requeue(item)
    assert (group.state.queued, p.peer.credit) == (4, 2)
    q.want_credit(0, ticket=7)
    assert q.all(m.Nothing) == [m.Nothing(7)]
    assert p.all(m.Recall) == []


def test_the_last_place_is_asked_for_too(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(3)
    p.put(*[b"x"] * 3)
    p.use_credit(3)
    assert (group.state.queued, p.peer.credit) == (3, 1)
    q.want_credit(1)
    assert p.all(m.Recall) == [m.Recall(m.RECALL_CREDIT)]


def test_who_need_not_wait_is_answered_also_behind_who_must(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(4)
    q.want_credit(0, ticket=7)
    p.want_credit(0, ticket=8)
    assert p.all(m.Nothing) == [m.Nothing(8)]
    assert q.all(m.Nothing) == []


def test_a_ticket_is_answered_when_the_credit_is_in_use(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(4)
    q.want_credit(0, ticket=7)
    p.put(*[b"x"] * 4)
    p.say(m.ReturnCredit(0))
    assert q.all(m.Nothing) == [m.Nothing(7)]


def test_a_ticket_does_not_wait_for_who_does_not_answer(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(4)
    q.want_credit(0, ticket=7)
    assert group.broker.deadline == group.now + GRACE
    group.wait(0.9 * GRACE)
    assert q.all(m.Nothing) == []
    group.wake()
    assert q.all(m.Nothing) == [m.Nothing(7)]
    assert given(q) == 0


def test_unused_credit_is_asked_for_once(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(4)
    q.want_credit(1)
    group.wait(3 * GRACE)
    assert len(p.all(m.Recall)) == 1


# Who comes and goes


def test_the_room_of_a_dead_member_is_free(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(4)
    p.die()
    q.want_credit(4)
    assert given(q) == 4


def test_the_room_of_a_disconnected_member_stays_set_aside(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(3)
    p.disconnect()
    q.want_credit(4)
    group.wait(10 * GRACE)
    assert given(p) + given(q) == 4


def test_the_room_of_a_member_stays_set_aside_when_the_leader_changes(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(3)
    group.lead()
    q.hello()
    q.want_credit(4)
    assert given(p) + given(q) == 4
    p.hello(credit=given(p))
    q.want_credit(4)
    assert given(p) + given(q) == 4


def test_who_comes_back_tells_what_it_still_has(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(3)
    p.disconnect()
    p.use_credit(given(p) - 1)
    p.hello(credit=1)
    q.want_credit(9)
    assert given(q) == 3


def test_what_the_leader_has_accepted_is_not_counted_again_for_who_comes_back(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(2)
    p.put(*[b"x"] * given(p))
    p.use_credit(given(p))
    p.disconnect()
    p.hello(credit=0)
    q.want_credit(9)
    assert given(p) + given(q) == 4


def test_who_went_away_waiting_is_given_nothing(group: Group) -> None:
    p, c = fill(group), group.member()
    p.want_credit(1)
    p.disconnect()
    c.get()
    c.want(0)
    assert given(p) == 4


def test_what_was_put_and_not_yet_sent_has_its_room(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(3)
    batches = [p.batch(b"a"), p.batch(b"b", b"c")]
    group.lead()
    p.hello(credit=given(p) - 3)
    q.hello()
    q.want_credit(9)
    for batch in batches:
        p.say(batch)
    assert group.state.queued == 3
    assert group.state.queued + given(q) <= 4


def test_what_the_journal_has_of_the_unconfirmed_does_not_count_twice(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(3)
    batch = p.batch(b"a", b"b", b"c")
    p.say(batch)
    group.lead()
    p.hello(credit=given(p) - 3)
    p.say(batch)
    q.hello()
    q.want_credit(9)
    assert group.state.queued == 3
    assert given(q) == 4 - 3 - (given(p) - 3)


def test_credit_on_its_way_when_the_leader_dies_is_still_set_aside(group: Group) -> None:
    p, q = group.member(), group.member()
    p.want_credit(4)
    on_its_way = given(p)
    group.lead()
    q.hello()
    q.want_credit(4)
    assert given(q) == 4 - on_its_way
    # Only now does p read what was in its socket; then it puts, and comes back.
    batch = p.batch(*[b"p"] * on_its_way)
    p.hello(credit=0)
    p.say(batch)
    assert group.state.queued + given(q) <= 4


def test_credit_is_noted_before_it_is_sent(group: Group) -> None:
    p = group.member()
    group.broker.receive(p.peer, m.WantCredit(4, 0), group.now)
    group.broker.pump(group.now)
    assert group.cursors.claimed(p.member) == 4
    assert given(p) == 0


def test_what_comes_back_from_its_holder_may_exceed_the_bound_and_then_nothing_is_given(group: Group) -> None:
    p, c = fill(group), group.member()
    held = [c.get(hold=True) for _ in range(4)]
    c.want(0)
    p.want_credit(4)
    p.put(*[b"y"] * 4)
    p.use_credit(4)
    for item in held:
        c.requeue(item)
    assert group.state.queued == 8
    p.want_credit(1)
    d = group.member()
    for left in (7, 6, 5, 4):
        d.get()
        d.want(0)
        assert group.state.queued == left
        assert given(p) == 8
    d.get()
    d.want(0)
    assert given(p) == 9
