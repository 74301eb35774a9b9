"""Who is granted what: as much as is likely to be taken at once, a lane to one member at a time."""

from __future__ import annotations

import pytest

from groupqueue.core import granting
from groupqueue.core import messages as m
from groupqueue.core.granting import HOLD
from groupqueue.core.inbox import ATTENTION, WAITING
from groupqueue.core.recalls import LOOK, PATIENCE
from tests.core.fakes import Group, numbered

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
    p.put(*numbered(585 + 3 * m.WINDOW))
    c.want()
    sizes = []
    while len(c.all(m.Grant)) < 7:
        sizes.append(len(c.granted))
        while c.granted:
            c.take()
        c.want(spent=0.0)
    assert sizes == [1, 8, 64, 512, m.WINDOW, m.WINDOW]


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


def test_only_the_want_that_follows_a_grant_tells_how_quick_the_consumer_is(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(100))
    c.get()
    c.want(spent=0.0)
    while c.granted:
        c.take()
    c.want(0, spent=0.0)
    c.want(1, spent=60.0)
    assert len(c.granted) == 64


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
    monkeypatch.setattr(granting, "MAX_GRANT_BYTES", 20)
    p, c = group.member(), group.member()
    p.put(bytes(8), bytes(8), bytes(8), bytes(8))
    c.want(4)
    assert len(c.granted) == 2


def test_a_grant_may_be_as_large_as_its_bytes(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "MAX_GRANT_BYTES", 20)
    p, c = group.member(), group.member()
    p.put(bytes(4), bytes(8), bytes(8), bytes(20))
    c.want(4)
    assert [len(item) for item in c.payloads] == [4, 8, 8]


def test_an_item_beyond_a_grants_bytes_is_granted_alone(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "MAX_GRANT_BYTES", 20)
    p, c = group.member(), group.member()
    p.put(b"a")
    p.put(bytes(100))
    p.put(b"b")
    sizes = []
    while group.state.lanes.ready:
        c.want(3)
        sizes.append([len(item) for item in c.payloads])
        while c.granted:
            c.take()
    assert sizes == [[1], [100], [1]]


def test_a_grant_has_a_limit_of_entries(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(granting, "MAX_ENTRIES", 3)
    p, c = group.member(), group.member()
    for payload in numbered(5):
        p.put(payload)
    c.want(5)
    assert c.payloads == numbered(3)


def test_no_more_is_untaken_than_the_window(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(m.WINDOW + 100))
    c.want(m.WINDOW + 100)
    assert len(c.granted) == m.WINDOW
    c.want(1)
    assert len(c.granted) == m.WINDOW
    c.take()
    c.want(1)
    assert len(c.granted) == m.WINDOW


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


def test_who_has_the_lane_may_be_granted_more_though_others_wait_for_it(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(*numbered(4))
    c.want(1)
    d.want(1)
    c.want(1)
    assert (c.payloads, d.payloads) == (numbered(2), [])


def test_a_grant_ends_where_the_other_lanes_are_closed(group: Group) -> None:
    p, q, c, d = (group.member() for _ in range(4))
    q.put(b"q1", b"q2")
    d.want(1)
    p.put(b"p")
    c.want(3)
    assert c.payloads == [b"p"]


def test_all_who_wait_are_served_in_one_step(group: Group) -> None:
    p, q, c, d = (group.member() for _ in range(4))
    c.want()
    d.want()
    group.broker.receive(p.peer, p.batch(b"p"), group.now)
    group.broker.receive(q.peer, q.batch(b"q"), group.now)
    group.step()
    assert (c.payloads, d.payloads) == ([b"p"], [b"q"])


def test_two_that_wait_share(group: Group) -> None:
    p, fast, other = group.member(), group.member(), group.member()
    p.put(b"first")
    fast.get()
    fast.want(spent=0.0)
    other.want()
    group.broker.receive(p.peer, p.batch(*numbered(3)), group.now)
    group.broker.receive(p.peer, p.batch(*numbered(3, 3)), group.now)
    group.step()
    assert len(fast.granted) == 3


def test_a_pace_is_that_of_all_batches_of_a_grant(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    p.put(b"b")
    c.want(2)
    p.put(*numbered(100))
    c.take()
    c.take()
    c.want(spent=0.0)
    assert len(c.granted) == 16


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


# In order


def test_of_several_producers_the_oldest_item_comes_first(group: Group) -> None:
    p, q, c = group.member(), group.member(), group.member()
    p.put(b"p1")
    q.put(b"q1")
    p.put(b"p2")
    q.put(b"q2")
    assert [c.get().payload for _ in range(4)] == [b"p1", b"q1", b"p2", b"q2"]


# What the journal looks like


def test_a_grant_of_a_batch_is_one_record(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*[b"x"] * 1000)
    before = group.journal.appended
    c.want(1000)
    assert group.journal.appended == before + 1
    assert len(c.granted) == 1000


# A member that cannot be heard


def test_who_waits_is_seen_in_its_file_where_its_messages_wait_for_room(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(3))
    group.broker.look_after(c.peer, group.now)
    group.step()
    assert c.payloads == []
    c.file.words[WAITING] = 1
    group.broker.look_after(c.peer, group.now)
    group.step()
    assert c.payloads == numbered(1)


def test_who_has_items_that_it_has_not_taken_is_granted_no_more_by_a_look(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(3))
    c.file.words[WAITING] = 1
    for _ in range(3):
        group.broker.look_after(c.peer, group.now)
        group.step()
    assert c.payloads == numbered(1)
    c.take()
    group.broker.look_after(c.peer, group.now)
    group.step()
    assert c.payloads == numbered(2, 1)


def test_a_look_is_no_question_that_wants_an_answer(group: Group) -> None:
    c = group.member()
    c.file.words[WAITING] = 1
    group.broker.look_after(c.peer, group.now)
    group.step()
    assert c.all(m.Nothing) == []


def test_any_number_in_the_file_is_at_most_a_window(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(3))
    c.file.words[WAITING] = 2**64 - 1
    group.broker.look_after(c.peer, group.now)
    group.step()
    assert c.payloads == numbered(3)
