"""Members connect, for the first time or again, to this leader or the next."""

from __future__ import annotations

from groupqueue.core import messages as m
from groupqueue.core.recalls import LOOK
from tests.core.fakes import Group, numbered

# Greetings


def test_a_member_is_welcomed_with_what_it_must_know(group: Group) -> None:
    p = group.member()
    p.put(b"a", b"b")
    group.lead()
    p.hello()
    assert p.last(m.Welcome) == m.Welcome(m.VERSION, 2, 1000, 2, 0, 0)


def test_each_leader_has_an_epoch_of_its_own(group: Group) -> None:
    epochs = []
    for _ in range(3):
        group.lead()
        epochs.append(group.member().last(m.Welcome).epoch)  # type: ignore[union-attr]
    assert epochs == [2, 3, 4]


def test_a_member_that_connects_twice_is_one_member(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want()
    c.hello()
    p.put(b"a")
    assert c.all(m.Grant) == []
    assert len(group.broker.peers) == 2


def test_who_leads_is_told_apart(group: Group) -> None:
    p = group.member()
    group.broker.hello(m.Hello(m.VERSION, 99, 7099, 0, 0, b'{"mode": "dual"}'), role="leader")
    group.members[99] = p
    assert [7099, "dual", "leader"] in p.ask("stats")["members"]


# Members that are not connected


def test_who_comes_back_keeps_what_it_was_granted(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(2)
    c.disconnect()
    d.want()
    c.hello()
    assert c.last(m.Welcome).position == 2  # type: ignore[union-attr]
    assert [c.take().payload, c.take().payload] == numbered(2)
    group.wait(LOOK)
    assert d.payloads == [b"2"]


def test_a_grant_that_never_arrived_goes_back(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(1)
    c.take()
    c.want(2)
    c.granted.clear()
    c.received = 1
    c.hello()
    assert c.last(m.Welcome).position == 1  # type: ignore[union-attr]
    d.want(3)
    assert d.payloads == numbered(3, 1)


def test_the_next_leader_lets_members_keep_what_they_were_granted(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(2)
    c.take()
    group.lead()
    for member in (p, c, d):
        member.hello()
    d.want(4)
    assert d.payloads == []
    assert c.take().payload == b"1"
    group.wait(LOOK)
    assert d.payloads == numbered(2, 2)


def test_a_member_that_the_journal_does_not_know_is_told_so(group: Group) -> None:
    stranger = group.member()
    stranger.received = 17
    stranger.hello()
    assert stranger.last(m.Welcome).position == 0  # type: ignore[union-attr]


# What may be said


def test_a_member_may_say_what_a_member_says_and_nothing_else(group: Group) -> None:
    assert group.broker.understands(m.Want(1, 0, 0))
    assert not group.broker.understands(m.Ack(1))


def test_who_is_gone_before_the_step_is_over_is_told_nothing(group: Group) -> None:
    p = group.member()
    group.broker.receive(p.peer, p.batch(b"a"), group.now)
    group.broker.lost(p.member, group.now)
    group.broker.pump(group.now)
    assert group.broker.finish_step() == []
