"""What becomes of a member's things when it goes: its items go to others, its blame to the item."""

from __future__ import annotations

import pytest

from groupqueue.core import messages as m
from groupqueue.core.inbox import OPENED, TAKEN
from groupqueue.core.records import Kind
from tests.core.fakes import FakeJournal, Group, Killed, numbered

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


def test_closing_counts_as_no_death_of_the_item_either_when_somebody_dies_of_it_later(group: Group) -> None:
    p = group.member()
    p.put(b"a", max_attempts=2)
    for leaves in ("bye", "bye", "die"):
        c = group.member()
        c.get(hold=True)
        getattr(c, leaves)()
    assert group.state.failed == {}
    assert group.member().get().attempt == 4


def test_who_is_gone_is_forgotten_whatever_it_did(group: Group) -> None:
    producer, consumer = group.member(), group.member()
    producer.put(b"a")
    consumer.get()
    producer.die()
    consumer.bye()
    assert group.state.last_seq == {}
    assert group.state.grants == {}
    assert group.broker.peers == {}


def test_of_who_leaves_nothing_behind_no_return_is_on_record(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.get()
    c.bye()
    assert "RETURN" not in group.journal.kinds()


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


# An item whose decoding its consumer does not survive


def test_who_dies_decoding_an_item_dies_holding_it(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"deadly", b"plain")
    c.want(2)
    c.file.words[OPENED] = 1
    c.die()
    d.want(2)
    assert [(item.payload, item.attempt) for item in (d.take(), d.take())] == [(b"deadly", 2), (b"plain", 1)]


def test_who_closes_while_it_decodes_has_died_of_the_item(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"deadly", b"plain", max_attempts=1)
    c.want(2)
    c.file.words[OPENED] = 1
    c.bye()
    assert [failed.reason for failed in group.state.failed.values()] == ["1 consumers died holding it"]
    assert group.member().get().payload == b"plain"


def test_who_dies_decoding_many_dies_holding_the_one_that_it_decoded(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(5))
    for _ in range(5):
        c.get()
    p.put(b"a", b"b", b"deadly", b"c")
    c.want(4)
    c.file.words[OPENED] = c.file.words[TAKEN] + 3
    c.die()
    d.want(4)
    assert [(item.payload, item.attempt) for item in (d.get() for _ in range(4))] == [
        (b"a", 1),
        (b"b", 1),
        (b"deadly", 2),
        (b"c", 1),
    ]


@pytest.mark.parametrize("after", range(4))
def test_what_a_leader_that_dies_burying_it_has_begun_the_next_one_ends(after: int) -> None:
    group = Group(journal=FakeJournal(segment_records=1000))
    p, c = group.member(), group.member()
    p.put(b"a", b"deadly", b"c")
    c.want(3)
    assert len(c.granted) == 3
    c.file.words[OPENED] = 2
    group.journal.kill_in = after
    with pytest.raises(Killed):
        c.die()
    group.lead()
    p.hello()
    group.broker.dead(c.member)
    del group.cursors.files[c.member]
    group.step()
    d = group.member()
    found = [d.get() for _ in range(3)]
    assert [item.payload for item in found] == [b"a", b"deadly", b"c"]
    assert [item.attempt for item in found] == [1, (2, 1, 1, 2)[after], 1]


def test_who_had_decoded_all_that_it_was_granted_dies_of_none_of_it(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.get()
    c.file.words[OPENED] = 2
    c.die()
    assert [entry.words for entry in group.journal.ledger if entry.kind == Kind.TAKEN] == [(c.member, 1)]


def test_a_member_whose_file_is_gone_has_taken_no_more_than_is_on_record(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b")
    c.want(2)
    c.take()
    c.want(0)
    c.take()
    del group.cursors.files[c.member]
    group.broker.dead(c.member)
    assert group.member().get().payload == b"b"
