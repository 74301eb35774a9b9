"""Who is granted what: as much as is likely to be taken at once, a lane to one member at a time, and nobody starves."""

from __future__ import annotations

import pytest

from groupqueue.core import broker as b
from groupqueue.core import messages as m
from groupqueue.core.broker import GRACE, HOLD, LOOK, PATIENCE, WINDOW
from groupqueue.core.inbox import ATTENTION, RING, TAKEN
from groupqueue.core.records import Kind
from tests.core.fakes import Group, check


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


# Asking


def test_who_does_not_ask_is_granted_nothing(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    assert c.all(m.Grant) == []


def test_who_waits_is_granted_what_comes(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want()
    assert c.all(m.Grant) == []
    p.put(b"a")
    assert c.payloads == [b"a"]


def test_a_grant_answers_one_want(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want()
    p.put(b"a")
    c.take()
    p.put(b"b")
    assert c.payloads == []
    c.want()
    assert c.payloads == [b"b"]


def test_who_waits_no_longer_is_granted_nothing(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want()
    c.want(0)
    p.put(b"a")
    assert c.all(m.Grant) == []


def test_who_waits_with_several_threads_is_granted_as_many(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(10))
    c.want(3)
    assert c.payloads == numbered(3)


def test_whoever_asked_first_is_served_first(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    c.want()
    d.want()
    p.put(b"a")
    assert (c.payloads, d.payloads) == ([b"a"], [])
    c.take()
    c.want(0)
    p.put(b"b")
    assert d.payloads == [b"b"]


def test_positions_go_on_from_grant_to_grant(group: Group) -> None:
    p, c = group.member(), group.member()
    for number in range(3):
        p.put(*numbered(2))
        c.want(2)
        assert c.last(m.Grant).position == 2 * number  # type: ignore[union-attr]
        c.take()
        c.take()


# Now or never


def test_who_asks_with_a_ticket_gets_what_is_there(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b")
    c.want(0, ticket=5)
    assert c.payloads == [b"a"]
    assert c.all(m.Nothing) == []


def test_who_asks_with_a_ticket_hears_that_there_is_nothing(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want(0, ticket=5)
    assert c.all(m.Nothing) == [m.Nothing(5)]
    p.put(b"a")
    assert c.all(m.Grant) == []


def test_a_ticket_is_answered_once(group: Group) -> None:
    c = group.member()
    c.want(1, ticket=5)
    group.wait(1.0)
    assert c.all(m.Nothing) == [m.Nothing(5)]


def test_who_also_waits_goes_on_waiting_when_the_ticket_is_answered(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want(1, ticket=5)
    p.put(b"a")
    assert c.payloads == [b"a"]


def test_a_ticket_waits_for_what_others_may_return(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"a", b"b")
    c.want(2)
    d.want(0, ticket=5)
    assert d.heard[1:] == []
    group.wait(PATIENCE)
    c.give_back()
    assert d.payloads == [b"a"]
    assert d.all(m.Nothing) == []


def test_a_ticket_is_answered_with_nothing_when_all_is_taken(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"a")
    c.want()
    d.want(0, ticket=5)
    c.take()
    group.wait(LOOK)
    assert d.all(m.Nothing) == [m.Nothing(5)]


# How much


def test_the_first_grant_is_one_item(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(100))
    c.want()
    assert c.payloads == numbered(1)


def test_who_takes_quickly_is_granted_what_it_takes_within_hold(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(1000))
    pace = HOLD / 50
    c.want()
    for expected in (8, 50, 50):
        count = len(c.granted)
        for _ in range(count):
            c.take()
        c.want(spent=count * pace)
        assert len(c.granted) == expected


def test_a_grant_grows_eightfold_at_most_and_ends_at_the_window(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(10000))
    c.want()
    sizes = []
    while len(c.all(m.Grant)) < 8:
        sizes.append(len(c.granted))
        while c.granted:
            c.take()
        c.want(spent=0.0)
    assert sizes == [1, 8, 64, 512, WINDOW, WINDOW, WINDOW]


@pytest.mark.parametrize("pace", [HOLD, 0.1, 1.0, 3600.0])
def test_a_slow_consumer_is_granted_one_item(group: Group, pace: float) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(10))
    for number in range(10):
        c.want(spent=pace)
        assert c.payloads == numbered(1, number)
        c.take()


def test_a_consumer_that_becomes_slow_is_granted_one_item(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(100))
    c.want()
    c.take()
    c.want(spent=0.0001)
    assert len(c.granted) == 8
    while c.granted:
        c.take()
    c.want(spent=8.0)
    assert len(c.granted) == 1


def test_with_others_waiting_each_gets_its_share(group: Group) -> None:
    p, fast, others = group.member(), group.member(), [group.member() for _ in range(3)]
    p.put(*numbered(1))
    fast.get()
    for _ in range(3):
        p.put(*numbered(fast.peer.allowance))
        fast.want(spent=0.0)
        while fast.granted:
            fast.take()
    for member in (fast, *others):
        member.want(spent=0.0)
    group.broker.receive(p.peer, p.batch(*numbered(12)), group.now)
    group.broker.receive(p.peer, p.batch(*numbered(12, 12)), group.now)
    group.step()
    assert len(fast.granted) == 24 // 4


def test_two_slow_workers_share_ten_items_evenly(group: Group) -> None:
    p, workers = group.member(), [group.member(), group.member()]
    p.put(*numbered(10))
    got: dict[int, int] = {}
    busy = {worker.member: group.now for worker in workers}
    for worker in workers:
        worker.want()
    while group.state.queued:
        for worker in workers:
            if worker.granted and group.now >= busy[worker.member]:
                worker.take()
                got[worker.member] = got.get(worker.member, 0) + 1
                busy[worker.member] = group.now + 1.0
            elif not worker.granted and group.now >= busy[worker.member]:
                worker.want(spent=1.0)
            if worker.file.words[ATTENTION] == 2:
                worker.give_back()
        group.wait(0.01)
    assert list(got.values()) == [5, 5]


def test_a_grant_ends_at_its_bytes(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "MAX_GRANT_BYTES", 20)
    p, c = group.member(), group.member()
    p.put(bytes(8), bytes(8), bytes(8), bytes(8))
    c.want(4)
    assert len(c.granted) == 2


def test_an_item_beyond_a_grants_bytes_is_granted_alone(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "MAX_GRANT_BYTES", 20)
    p, c = group.member(), group.member()
    p.put(b"a")
    p.put(bytes(100))
    p.put(b"b")
    sizes = []
    while group.state.ready:
        c.want(3)
        sizes.append([len(item) for item in c.payloads])
        while c.granted:
            c.take()
    assert sizes == [[1], [100], [1]]


def test_a_grant_has_a_limit_of_entries(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "MAX_ENTRIES", 3)
    p, c = group.member(), group.member()
    for payload in numbered(5):
        p.put(payload)
    c.want(5)
    assert c.payloads == numbered(3)


def test_no_more_is_untaken_than_the_window(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(WINDOW + 100))
    c.want(WINDOW + 100)
    assert len(c.granted) == WINDOW
    c.want(1)
    assert len(c.granted) == WINDOW
    c.take()
    c.want(1)
    assert len(c.granted) == WINDOW


def test_the_parts_of_a_batch_are_the_right_bytes(group: Group) -> None:
    p, c = group.member(), group.member()
    items = [bytes([number]) * number for number in range(40)]
    p.put(*items)
    got = []
    for count in (1, 3, 7, 2, 13, 5, 9):
        c.want(count)
        while c.granted:
            got.append(c.take().payload)
    assert got == items


def test_the_parts_are_the_right_bytes_also_out_of_order(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    items = [bytes([number]) * number for number in range(1, 21)]
    p.put(*items)
    c.want(20)
    held = [c.take(hold=True) for _ in range(20)]
    for index in (12, 3, 19, 0, 7):
        c.requeue(held[index])
    for index in (0, 3, 7, 12, 19):
        item = d.get()
        assert (item.payload, item.id) == (items[index], held[index].id)


def test_items_of_one_grant_tell_their_own_attempts(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(6))
    c.want(6)
    held = [c.take(hold=True) for _ in range(6)]
    for item in held:
        c.requeue(item)
    c.want(2, spent=1.0)
    for _ in range(2):
        c.requeue(c.take(hold=True))
    c.want(6)
    assert [item.attempt for item in c.granted] == [3, 3, 2, 2, 2, 2]
    assert c.payloads == numbered(6)


# One lane, one member


def test_a_lane_is_granted_to_one_member_at_a_time(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(10))
    c.want(2)
    d.want(2)
    assert (c.payloads, d.payloads) == (numbered(2), [])
    c.take()
    c.take()
    c.want(0)
    assert d.payloads == numbered(2, 2)


def test_another_lane_is_free(group: Group) -> None:
    p, q, c, d = (group.member() for _ in range(4))
    p.put(*numbered(3))
    q.put(b"q")
    c.want(1)
    d.want(1)
    assert (c.payloads, d.payloads) == ([b"0"], [b"q"])


def test_who_has_the_lane_may_be_granted_more_of_it(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(4))
    c.want(1)
    c.want(1)
    assert c.payloads == numbered(2)


def test_the_lane_is_free_when_its_member_is_gone(group: Group) -> None:
    p, c, d, e = (group.member() for _ in range(4))
    p.put(*numbered(6))
    c.want(2)
    d.want(2)
    c.die()
    assert d.payloads == numbered(2)
    e.want(2)
    d.bye()
    assert e.payloads == numbered(2)


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


def test_a_member_that_the_journal_does_not_know_is_told_so(group: Group) -> None:
    stranger = group.member()
    stranger.received = 17
    stranger.hello()
    assert stranger.last(m.Welcome).position == 0  # type: ignore[union-attr]


def test_a_cursor_beyond_its_grants_takes_no_more_than_them(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(2))
    c.want(1)
    c.file.words[TAKEN] = 99
    c.want(0)
    assert group.state.queued == 1
    check(group.state)


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
    while total < 3 * RING:
        p.put(*numbered(1500))
        c.want(1500)
        total += 1500
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
