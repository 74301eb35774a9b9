"""How far a member got is read from its cursor and ring, and put on record."""

from __future__ import annotations

from groupqueue.core import messages as m
from groupqueue.core.inbox import RING, TAKEN
from groupqueue.core.records import Kind
from tests.core.fakes import Group, check, numbered

# Takes


def test_a_take_is_seen_without_a_word(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(3))
    c.want(3)
    c.take()
    c.take(hold=True)
    stats = p.ask("stats")
    assert (stats["ready"], stats["in_flight"], stats["total_finished"]) == (1, 1, 1)


def test_what_is_held_is_told_by_the_ring_also_around_its_end(group: Group) -> None:
    p, c = group.member(), group.member()
    total = 0
    held = []
    while total < RING + 1000:
        p.put(*numbered(1000))
        c.want(1000)
        total += 1000
        while c.granted:
            hold = len(c.granted) % 100 == 7
            item = c.take(hold)
            if hold:
                held.append(item.id)
        c.want(0)
    assert sorted(group.state.held) == held
    assert len(held) == total // 100


def test_a_take_is_in_the_journal_with_what_is_held(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(3))
    c.want(3)
    c.take()
    held = c.take(hold=True)
    c.want(0)
    assert group.journal.ledger[-1].kind == Kind.TAKEN
    assert group.journal.ledger[-1].words == (c.member, 2, held.id)


def test_who_says_that_it_took_is_looked_at(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.get()
    c.say(m.Taken(1))
    assert group.state.unfinished == 0


def test_a_cursor_that_has_not_moved_is_not_on_record(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b")
    c.want(2)
    c.take()
    p.ask("count")
    appended = group.journal.appended
    p.ask("count")
    c.say(m.Taken(1))
    assert group.journal.appended == appended


# Members that are not connected


def test_a_cursor_beyond_its_grants_takes_no_more_than_them(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(2))
    c.want(1)
    c.file.words[TAKEN] = 99
    c.want(0)
    assert group.state.queued == 1
    check(group.state)
