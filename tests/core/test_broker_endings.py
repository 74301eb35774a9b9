"""How an item ends: finished, answered, failed, requeued; and what becomes of it when it is its holder that ends."""

from __future__ import annotations

import pytest

from groupqueue.core import broker as b
from groupqueue.core import messages as m
from groupqueue.core.inbox import OPENED
from groupqueue.core.records import Kind
from tests.core.fakes import FakeJournal, Group, picture


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


# Done


def test_what_is_done_is_finished_and_settled(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(3))
    c.want(3)
    items = [c.take(hold=True) for _ in range(3)]
    c.done(items[0], items[2], number=4)
    assert list(group.state.held) == [items[1].id]
    assert c.all(m.Settled) == [m.Settled(4)]


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


# Replies


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


# Deaths


def test_what_the_dead_had_not_taken_goes_to_others_in_order(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(6))
    c.want(4)
    c.take()
    c.take()
    c.die()
    got = [d.get() for _ in range(4)]
    assert [item.payload for item in got] == numbered(4, 2)
    assert [item.attempt for item in got] == [1] * 4


def test_a_plain_item_that_the_dead_had_got_is_gone(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.get()
    c.die()
    assert group.state.unfinished == 0


def test_what_the_dead_held_is_delivered_again_at_its_place(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(3)
    c.take()
    c.take(hold=True)
    c.die()
    got = [d.get() for _ in range(3)]
    assert [(item.payload, item.attempt) for item in got] == [(b"1", 2), (b"2", 1), (b"3", 1)]


def test_who_dies_takes_no_more_with_it_than_its_cursor_says(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(30))
    for taken in range(5):
        c.want(3)
        for _ in range(taken % 3):
            c.take()
    c.die()
    first = int(d.get().payload)
    assert first == 0 + 0 + 1 + 2 + 0 + 1


def test_an_item_that_kills_max_attempts_consumers_fails(group: Group) -> None:
    p = group.member()
    p.put(b"poison", max_attempts=3)
    for attempt in (1, 2, 3):
        c = group.member()
        item = c.get(hold=True)
        assert item.attempt == attempt
        c.die()
    assert [failed.reason for failed in group.state.failed.values()] == ["3 consumers died holding it"]
    assert group.state.unfinished == 0


def test_max_attempts_of_one_is_one_death(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"poison", max_attempts=1)
    c.get(hold=True)
    c.die()
    assert len(group.state.failed) == 1


def test_who_waits_for_a_lost_item_is_told_so(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"poison", reply=True, max_attempts=1)
    c.get()
    c.die()
    (reply,) = p.all(m.Reply)
    assert (reply.seq, reply.status) == (1, m.REPLY_LOST)
    assert b"1 consumers died" in bytes(reply.body)


def test_who_has_had_its_reply_is_told_nothing_more(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True, max_attempts=1)
    c.answer(c.get(), finish=False)
    c.die()
    assert [reply.status for reply in p.all(m.Reply)] == [m.REPLY_VALUE]
    assert len(group.state.failed) == 1


def test_requeues_do_not_count_against_max_attempts_but_deaths_do(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", max_attempts=2)
    for _ in range(5):
        c.requeue(c.get(hold=True))
    c.get(hold=True)
    c.die()
    assert group.state.failed == {}
    d = group.member()
    assert d.get(hold=True).attempt == 7
    d.die()
    assert len(group.state.failed) == 1


def test_who_closes_gives_everything_back_and_nobody_has_died(group: Group) -> None:
    p = group.member()
    p.put(b"held", b"untaken", max_attempts=1)
    for attempt in range(1, 6):
        c = group.member()
        c.want(2)
        assert c.take(hold=True).attempt == attempt
        c.bye()
    assert group.state.failed == {}
    c = group.member()
    assert [c.get().payload, c.get().payload] == [b"held", b"untaken"]


def test_death_is_found_by_the_next_leader(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(3)
    c.take()
    c.take(hold=True)
    group.lead()
    c.die()
    d.hello()
    got = [d.get() for _ in range(3)]
    assert [(item.payload, item.attempt) for item in got] == [(b"1", 2), (b"2", 1), (b"3", 1)]


def test_deaths_are_counted_across_leaders(group: Group) -> None:
    p = group.member()
    p.put(b"poison", max_attempts=3)
    for _ in range(3):
        c = group.member()
        c.get(hold=True)
        group.lead()
        c.die()
        group.lead()
    assert len(group.state.failed) == 1


def test_the_death_of_an_unknown_member_is_no_event(group: Group) -> None:
    appended = group.journal.appended
    group.broker.dead(12345)
    group.broker.bye(12346)
    assert group.journal.appended == appended


def test_a_verdict_of_the_dead_that_did_arrive_counts(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b")
    c.want(2)
    first, _ = c.take(hold=True), c.take(hold=True)
    c.done(first)
    c.die()
    d = group.member()
    assert d.get().payload == b"b"
    d.want(0)
    assert group.state.unfinished == 0


# A full disk, and many


def test_a_death_is_no_catastrophe_without_room(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"poison", reply=True, max_attempts=1)
    c.get()
    group.journal.full = True
    c.die()
    assert group.state.held == {}


def test_a_caller_may_die_with_any_number_of_replies_unheard(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "MAX_IDS", 10)
    p, c = group.member(), group.member()
    p.put(*numbered(25), reply=True)
    for _ in range(25):
        c.answer(c.get())
    p.die()
    assert group.state.replies == {}
    assert [len(entry.words) for entry in group.journal.ledger if entry.kind == Kind.HEARD] == [10, 10, 5]


# An item whose decoding its consumer does not survive


def test_who_dies_decoding_an_item_dies_holding_it(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"deadly", b"plain")
    c.want(2)
    c.file.words[OPENED] = 1
    c.die()
    d.want(2)
    assert [(item.payload, item.attempt) for item in (d.take(), d.take())] == [(b"deadly", 2), (b"plain", 1)]
