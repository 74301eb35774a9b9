"""Who holds up others is asked to return what it has not taken, and nobody waits for ever."""

from __future__ import annotations

import pytest

from groupqueue.core import messages as m
from groupqueue.core.inbox import ATTENTION
from groupqueue.core.recalls import GRACE, LOOK, PATIENCE
from tests.core.fakes import Group, numbered

# Recalls


def test_who_holds_others_up_is_asked_to_return_after_patience(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(4)
    d.want()
    assert c.all(m.Recall) == []
    assert group.broker.deadline == pytest.approx(group.now + PATIENCE)
    group.wait(0.9 * PATIENCE)
    assert c.all(m.Recall) == []
    group.wait(0.2 * PATIENCE)
    assert c.all(m.Recall) == [m.Recall(m.RECALL_ITEMS)]
    assert c.file.words[ATTENTION] == 2


def test_what_is_returned_goes_to_who_waits_and_in_order(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(3)
    c.take()
    d.want(4)
    group.wait(PATIENCE)
    c.give_back()
    assert d.payloads == numbered(3, 1)
    assert c.file.words[ATTENTION] == 0


def test_a_recall_is_sent_once(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(4)
    d.want()
    group.wait(3 * GRACE)
    assert len(c.all(m.Recall)) == 1


def test_nobody_is_asked_to_return_while_nobody_waits(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(4))
    c.want(4)
    group.wait(10.0)
    assert c.all(m.Recall) == []
    assert group.broker.deadline is None


def test_nobody_is_asked_to_return_when_there_is_something_else(group: Group) -> None:
    p, q, c, d = (group.member() for _ in range(4))
    p.put(*numbered(4))
    q.put(b"q")
    c.want(4)
    d.want()
    group.wait(1.0)
    assert d.payloads == [b"q"]
    assert c.all(m.Recall) == []


def test_who_returns_is_granted_what_it_was_able_to_take(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(100))
    c.want(50)
    for _ in range(7):
        c.take()
    d.want()
    group.wait(PATIENCE)
    c.give_back()
    while d.granted:
        d.take()
    d.want(0)
    c.want(1)
    assert len(c.granted) == 7


def test_who_returns_all_is_granted_one(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(100))
    c.want(50)
    c.give_back()
    c.want(1)
    assert len(c.granted) == 1


def test_a_return_of_nothing_is_not_on_record_and_costs_nobody_its_pace(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(100))
    c.get()
    c.give_back()
    assert "RETURN" not in group.journal.kinds()
    c.want(spent=0.0)
    assert len(c.granted) == 8


def test_each_grant_says_how_many_returns_came_before_it(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(4))
    for returns in range(3):
        c.want(2)
        assert c.last(m.Grant).returns == returns  # type: ignore[union-attr]
        c.give_back()


def test_who_waits_for_more_is_not_asked_to_make_room_for_itself(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.want()
    c.want(2)
    group.wait(1.0)
    assert c.all(m.Recall) == []


def test_all_who_hold_others_up_are_asked_also_behind_one_who_does_not(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(3))
    c.get()
    c.want(0)
    d.want(2)
    c.want()
    group.wait(PATIENCE)
    assert d.all(m.Recall) == [m.Recall(m.RECALL_ITEMS)]


def test_what_was_asked_for_is_looked_for_until_it_comes(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(2))
    c.want(2)
    d.want()
    assert group.broker.deadline == pytest.approx(group.now + PATIENCE)
    group.wake()
    assert c.all(m.Recall) == [m.Recall(m.RECALL_ITEMS)]
    assert group.broker.deadline == pytest.approx(group.now + LOOK)


def test_a_ticket_waits_for_who_does_not_answer_until_grace_is_over_and_not_longer(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(2))
    c.want(2)
    d.want(0, ticket=5)
    group.wake()
    asked = group.now
    while not d.all(m.Nothing):
        group.wake()
    assert group.now == asked + GRACE


def test_who_does_not_answer_within_grace_loses_the_lane(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(2)
    d.want()
    group.wait(PATIENCE + 0.9 * GRACE)
    assert d.payloads == []
    group.wait(0.2 * GRACE)
    assert d.payloads == [b"2"]
    assert c.payloads == numbered(2)


def test_who_answers_late_gets_its_old_place_back(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(5))
    c.want(2)
    d.want()
    group.wait(PATIENCE + 2 * GRACE)
    c.give_back()
    d.take()
    assert [d.get().payload for _ in range(4)] == [b"0", b"1", b"3", b"4"]


def test_a_member_that_took_all_need_not_answer(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(3))
    c.want(2)
    d.want()
    group.wait(PATIENCE)
    c.take()
    c.take()
    group.wait(LOOK)
    assert d.payloads == [b"2"]


def test_a_recalled_member_that_wants_again_is_not_held_for_stuck(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(2))
    c.want(2)
    d.want()
    group.wait(PATIENCE)
    c.give_back()
    d.take()
    d.want(0)
    c.want()
    d.want()
    group.wait(0.5 * PATIENCE)
    assert c.payloads == [b"1"]
    assert c.peer.recalled_at is None


def test_a_grant_that_crosses_a_return_goes_back_with_it(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(2)
    c.take()
    c.take()
    crossed = m.Return(2)
    group.broker.receive(c.peer, m.Want(1, 0, 0), group.now)
    group.broker.pump(group.now)
    ((_, grant),) = group.broker.finish_step()
    assert isinstance(grant, m.Grant)
    assert (grant.position, grant.returns) == (2, 0)
    c.returns += 1
    c.say(crossed)
    d.want(2)
    assert d.payloads == numbered(2, 2)
    d.give_back()
    c.want(2)
    assert c.payloads == numbered(2, 2)


# Members that are not connected


def test_the_lane_of_a_disconnected_member_is_kept_for_grace(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(2)
    c.disconnect()
    d.want()
    group.wait(0.9 * GRACE)
    assert d.payloads == []
    group.wait(0.2 * GRACE)
    assert d.payloads == [b"2"]


def test_a_ticket_waits_for_who_is_away_until_grace_is_over_and_not_longer(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(2)
    c.disconnect()
    left = group.now
    d.want(0, ticket=5)
    while not d.granted:
        assert d.all(m.Nothing) == []
        group.wake()
    assert (d.payloads, group.now) == ([b"2"], left + GRACE)


def test_nobody_waits_for_who_is_neither_here_nor_known_to_live(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(2)
    del group.cursors.files[c.member]
    group.lead()
    d.hello()
    d.want()
    assert d.payloads == [b"2"]


def test_the_next_leader_waits_grace_for_who_does_not_come(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(2)
    group.lead()
    d.hello()
    d.want()
    group.wait(0.9 * GRACE)
    assert d.payloads == []
    group.wait(0.2 * GRACE)
    assert d.payloads == [b"2"]
