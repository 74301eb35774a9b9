"""When a group that is shut down is at its end: what was put before still comes, and what comes back is told of."""

from __future__ import annotations

from groupqueue.core import messages as m
from groupqueue.core.recalls import GRACE
from tests.core.fakes import FakeMember, Group


def slow(group: Group) -> FakeMember:
    """A member that does not answer the shutdown by itself."""
    member = group.member()
    member.seals = False
    return member


def test_getters_wait_for_what_was_put_before_the_shutdown(group: Group) -> None:
    p, c = slow(group), group.member()
    c.want()
    c.ask("shutdown")
    assert c.all(m.Nothing) == []
    p.put(b"before")
    p.say(m.Sealed())
    assert c.payloads == [b"before"]
    c.take()
    c.want()
    assert c.last(m.Nothing) == m.Nothing(0)


def test_so_do_those_who_ask_now_or_never(group: Group) -> None:
    p, c = slow(group), group.member()
    c.ask("shutdown")
    c.want(0, ticket=7)
    assert c.all(m.Nothing) == []
    p.say(m.Sealed())
    assert c.last(m.Nothing) == m.Nothing(7)


def test_nobody_waits_longer_for_a_member_that_is_stopped(group: Group) -> None:
    p, c = slow(group), group.member()
    c.want()
    p.ask("shutdown")
    assert group.broker.deadline == group.now + GRACE
    group.wait(GRACE / 2)
    assert c.all(m.Nothing) == []
    group.wake()
    assert c.all(m.Nothing) == [m.Nothing(0)]


def test_nor_for_one_that_is_dead(group: Group) -> None:
    p, c = slow(group), group.member()
    c.want()
    c.ask("shutdown")
    p.die()
    assert c.all(m.Nothing) == [m.Nothing(0)]


def test_the_next_leader_waits_for_those_who_come_back(group: Group) -> None:
    p, c = group.member(), group.member()
    c.ask("shutdown")
    group.lead()
    c.hello()
    c.want()
    assert c.all(m.Nothing) == []
    p.seals = False
    p.hello()
    assert c.all(m.Nothing) == []
    p.put(b"before")
    assert c.payloads == [b"before"]


def test_the_next_leader_waits_no_longer_for_those_who_do_not(group: Group) -> None:
    group.member()
    c = group.member()
    c.ask("shutdown")
    group.lead()
    c.hello()
    c.want()
    assert group.broker.deadline == group.now + GRACE
    group.wake()
    assert c.all(m.Nothing) == [m.Nothing(0)]


def test_nobody_waits_for_who_was_away_and_is_back(group: Group) -> None:
    p, c = group.member(), group.member()
    p.disconnect()
    p.hello()
    c.ask("shutdown")
    c.want()
    assert c.all(m.Nothing) == [m.Nothing(0)]


def test_a_shutdown_at_once_waits_for_nobody(group: Group) -> None:
    slow(group)
    c = group.member()
    c.want()
    c.ask("shutdown", immediate=True)
    assert c.all(m.Nothing) == [m.Nothing(0)]


def test_what_comes_late_is_told_to_those_who_were_told_that_all_was_over(group: Group) -> None:
    p, c, other = slow(group), group.member(), group.member()
    c.want()
    c.ask("shutdown")
    group.wait(2 * GRACE)
    assert len(c.all(m.Shutdown)) == 1
    p.put(b"late")
    assert (c.all(m.Shutdown), other.all(m.Shutdown)) == ([m.Shutdown(1)] * 2, [m.Shutdown(1)])
    assert c.get().payload == b"late"


def test_each_is_told_once_of_what_comes_late(group: Group) -> None:
    p, c, d = slow(group), group.member(), group.member()
    c.want()
    d.want()
    c.ask("shutdown")
    group.wait(2 * GRACE)
    p.put(b"late")
    assert c.get().payload == b"late"
    c.want()
    p.put(b"later")
    assert (len(c.all(m.Shutdown)), len(d.all(m.Shutdown))) == (3, 2)


def test_so_is_what_a_dead_consumer_held(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"a")
    c.get(hold=True)
    p.ask("shutdown")
    d.want()
    assert d.all(m.Nothing) == [m.Nothing(0)]
    c.die()
    assert len(d.all(m.Shutdown)) == 2
    assert d.get().payload == b"a"
