"""`maxsize` is of the whole group, and strict."""

from __future__ import annotations

import pytest

from groupqueue import Empty, Full
from tests.helpers import Clock, Raised, eventually, open_leader, open_member


def test_processes_that_race_for_the_last_places_put_exactly_maxsize_items(group, open_queue):
    open_leader(group, maxsize=10)
    racers = [open_member(group) for _ in range(4)]
    for member in racers:
        assert member.do("q.wait_for_leader(5)")
    for number, member in enumerate(racers):
        member.begin(f"""
            accepted = []
            for n in range(50):
                try: q.put_nowait(({number}, n))
                except Full: pass
                else: accepted.append(({number}, n))
        """)
    accepted = []
    for member in racers:
        member.result()
        accepted += member.do("accepted")
    assert len(accepted) == 10
    queue = open_queue(group)
    assert queue.wait_for_leader(5)
    assert queue.qsize() == 10
    assert queue.full()
    assert sorted(queue.get(timeout=5) for _ in range(10)) == sorted(accepted)
    with pytest.raises(Empty):
        queue.get(timeout=0.3)


def test_the_bound_holds_at_every_moment(group, open_queue):
    open_leader(group, maxsize=7)
    producers = [open_member(group, begin="[q.put(n) for n in range(500)]; q.flush()") for _ in range(3)]
    consumer = open_member(group, mode="client")
    consumer.begin("[q.get(timeout=20) for _ in range(1500)]; None")
    observer = open_queue(group, mode="client")
    assert observer.wait_for_leader(5)
    for _ in range(200):
        assert observer.stats().ready <= 7
        assert observer.qsize() <= 7
    for member in producers:
        member.result()
    consumer.result()
    assert observer.qsize() == 0


def test_a_put_that_raised_full_has_put_nothing_also_later(group, open_queue):
    open_leader(group, maxsize=2)
    queue = open_queue(group)
    queue.put("a")
    queue.put("b")
    with Clock() as clock, pytest.raises(Full):
        queue.put("never", timeout=0.3)
    assert 0.25 < clock.elapsed < 1.3
    for attempt in (lambda: queue.put_nowait("never"), lambda: queue.put("never", block=False)):
        with Clock() as clock, pytest.raises(Full):
            attempt()
        assert clock.elapsed < 0.5
    assert [queue.get(timeout=5), queue.get(timeout=5)] == ["a", "b"]
    with pytest.raises(Empty):
        queue.get(timeout=0.3)


def test_a_refused_put_has_put_nothing_though_the_leader_dies(group):
    leader = open_leader(group, maxsize=2)
    heir = open_member(group)
    producer = open_member(group, mode="client")
    producer.do("q.put('a'); q.put('b'); q.flush()")
    producer.begin("q.put('never', timeout=0.3)")
    eventually(lambda: heir.do("q.stats().waiting_putters") == 1)
    leader.kill()
    with pytest.raises(Raised, match="Full"):
        producer.result()
    assert heir.do("[q.get(timeout=5), q.get(timeout=5)]") == ["a", "b"]
    with pytest.raises(Raised, match="Empty"):
        heir.do("q.get(timeout=0.3)")


def test_a_blocked_put_goes_on_when_there_is_room_also_after_a_failover(group):
    leader = open_leader(group, maxsize=1)
    heir = open_member(group)
    producer = open_member(group, mode="client")
    producer.do("q.put('first')")
    producer.begin("q.put('second')")
    eventually(lambda: heir.do("q.stats().waiting_putters") == 1)
    leader.kill()
    assert heir.do("q.get(timeout=5)") == "first"
    producer.result()
    assert heir.do("q.get(timeout=5)") == "second"


def test_blocked_puts_of_many_processes_all_come_through(group):
    leader = open_leader(group, maxsize=1)
    producers = [open_member(group, begin=f"[q.put(({n}, k)) for k in range(20)]; q.flush()") for n in range(4)]
    items = leader.do("[q.get(timeout=10) for _ in range(80)]")
    for producer in producers:
        producer.result()
    for n in range(4):
        assert [k for who, k in items if who == n] == list(range(20))


def test_a_killed_putter_leaves_its_place_to_others(group):
    leader = open_leader(group, maxsize=1)
    leader.do("q.put('first')")
    victim = open_member(group, begin="q.put('victim')")
    eventually(lambda: leader.do("q.stats().waiting_putters") == 1)
    victim.kill()
    other = open_member(group, begin="q.put('other')")
    assert leader.do("q.get(timeout=5)") == "first"
    second = leader.do("q.get(timeout=5)")
    other.result()
    assert second == "other" or (second == "victim" and leader.do("q.get(timeout=5)") == "other")


def test_a_batch_larger_than_the_bound_blocks_and_passes(group):
    leader = open_leader(group, maxsize=3)
    producer = open_member(group, begin="q.put_many(range(20))")
    assert leader.do("[q.get(timeout=5) for _ in range(20)]") == list(range(20))
    producer.result()


@pytest.mark.parametrize("unbounded", [0, -1])
def test_zero_and_less_are_no_bound(group, open_queue, unbounded):
    queue = open_queue(group, maxsize=unbounded)
    queue.put_many(range(5000))
    assert not queue.full()
    assert queue.qsize() == 5000
    assert queue.maxsize <= 0


def test_items_that_were_got_make_room_at_once(group, open_queue):
    open_leader(group, maxsize=1)
    queue = open_queue(group)
    assert queue.wait_for_leader(5)
    for n in range(100):
        queue.put(n, timeout=5)
        assert queue.get(timeout=5) == n
