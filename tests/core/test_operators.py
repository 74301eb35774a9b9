"""What operators ask to be done: failed items put back, the group shut down."""

from __future__ import annotations

from groupqueue.core import messages as m
from groupqueue.core.recalls import PATIENCE
from tests.core.fakes import Group, numbered

# Counting and looking


def test_what_failed_is_put_back_to_its_place(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(4), reply=True, max_attempts=1)
    c.want(2)
    c.fail(c.take(hold=True))
    c.take()
    c.die()
    assert p.ask("requeue_failed") == {"count": 2}
    d = group.member()
    got = [d.get() for _ in range(4)]
    assert [(item.payload, item.attempt) for item in got] == [(b"0", 1), (b"1", 1), (b"2", 1), (b"3", 1)]
    assert p.ask("requeue_failed") == {"count": 0}


def test_what_was_put_back_may_be_answered_anew(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True, max_attempts=1)
    c.get()
    c.die()
    p.ask("requeue_failed")
    d = group.member()
    d.answer(d.get(), b"at last")
    assert [reply.status for reply in p.all(m.Reply)] == [m.REPLY_LOST, m.REPLY_VALUE]


def test_an_unknown_question_is_answered(group: Group) -> None:
    assert group.member().ask("dance") == {"error": "unknown request 'dance'"}


# Shutdown


def test_everybody_is_told_of_a_shutdown(group: Group) -> None:
    p, c = group.member(), group.member()
    assert p.ask("shutdown") == {"count": 0}
    assert p.all(m.Shutdown) == c.all(m.Shutdown) == [m.Shutdown(1)]


def test_after_a_shutdown_getters_drain_and_then_hear_that_there_is_nothing(group: Group) -> None:
    p, c, waiting = group.member(), group.member(), group.member()
    p.put(b"a", b"b")
    p.ask("shutdown")
    assert c.get().payload == b"a"
    assert c.get().payload == b"b"
    c.want()
    assert c.last(m.Nothing) == m.Nothing(0)
    waiting.want()
    assert waiting.last(m.Nothing) == m.Nothing(0)


def test_who_waits_already_hears_of_the_shutdown_and_that_there_is_nothing(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want()
    p.ask("shutdown")
    kinds = [type(message) for message in c.heard]
    assert kinds.index(m.Shutdown) < kinds.index(m.Nothing)


def test_after_a_shutdown_getters_wait_for_what_may_come_back(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"a", b"b")
    c.want(2)
    p.ask("shutdown")
    d.want()
    group.wait(PATIENCE)
    assert d.all(m.Nothing) == []
    c.give_back()
    assert d.payloads == [b"a"]


def test_what_was_on_its_way_at_a_shutdown_is_accepted(group: Group) -> None:
    p, c = group.member(), group.member()
    c.ask("shutdown")
    p.put(b"a")
    assert p.last(m.Ack) == m.Ack(1)
    assert c.get().payload == b"a"


def test_a_shutdown_at_once_drops_everything(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(3))
    p.put(b"asked", reply=True)
    assert c.ask("shutdown", immediate=True) == {"count": 4}
    assert p.all(m.Shutdown) == c.all(m.Shutdown) == [m.Shutdown(2)]
    assert [reply.status for reply in p.all(m.Reply)] == [m.REPLY_LOST]
    assert group.state.queued == 0


def test_what_was_on_its_way_at_a_shutdown_at_once_is_acknowledged_and_dropped(group: Group) -> None:
    p, c = group.member(), group.member()
    c.ask("shutdown", immediate=True)
    p.put(b"a")
    assert p.last(m.Ack) == m.Ack(1)
    assert group.state.queued == 0


def test_a_shutdown_becomes_one_at_once_and_not_the_other_way_round(group: Group) -> None:
    p = group.member()
    p.ask("shutdown")
    p.ask("shutdown", immediate=True)
    p.ask("shutdown")
    assert p.all(m.Shutdown) == [m.Shutdown(1), m.Shutdown(2), m.Shutdown(2)]
    assert group.journal.kinds().count("SHUTDOWN") == 2


def test_a_shutdown_outlives_the_leader(group: Group) -> None:
    p = group.member()
    p.ask("shutdown")
    group.lead()
    p.hello()
    assert p.last(m.Welcome).shutdown == 1  # type: ignore[union-attr]


def test_the_group_revives_in_its_next_generation(group: Group) -> None:
    p = group.member()
    p.put(b"a")
    p.ask("shutdown")
    p.die()
    group.generation = 2
    group.lead()
    q = group.member()
    assert q.last(m.Welcome).shutdown == 0  # type: ignore[union-attr]
    assert q.get().payload == b"a"
    group.lead()
    assert group.state.shutdown == 0
