"""Who gets what: no item waits for a slow consumer, and with `delivery="leader"` one member is served."""

from __future__ import annotations

import pytest

from tests.helpers import Raised, eventually, open_leader, open_member, run_script

WORK = """
    # works a fifth of a second on each item
    import sys, time
    from groupqueue import GroupQueue, Empty
    q = GroupQueue(sys.argv[1])
    q.wait_for_leader()
    say("ready")
    done = 0
    while True:
        item = q.get()
        if item is None:
            break
        time.sleep(0.2)
        done += 1
        say("worked", item)
        if done == 1 and "pauses" in sys.argv:
            hear()
    say("count", done)
"""


def test_ten_items_for_two_workers_are_five_each(group):
    producer = open_leader(group)
    workers = [run_script(WORK, group) for _ in range(2)]
    for worker in workers:
        worker.expect("ready")
    eventually(lambda: producer.do("q.stats().waiting_getters") == 2)
    producer.do("[q.put(n) for n in range(10)]; q.put(None); q.put(None)")
    assert [worker.expect("count") for worker in workers] == ["5", "5"]


def test_a_worker_that_comes_later_shares_the_backlog(group):
    producer = open_leader(group)
    producer.do("q.put_many(range(12)); q.flush()")
    first = run_script(WORK, group, "pauses")
    first.expect("worked")
    second = run_script(WORK, group)
    second.expect("ready")
    first.send("go on")
    producer.do("q.put(None); q.put(None); q.flush()")
    counts = [int(worker.expect("count")) for worker in (first, second)]
    assert sum(counts) == 12
    assert counts[1] >= 4


def test_an_item_never_waits_for_a_consumer_that_is_busy(group):
    leader = open_leader(group)
    busy, idle = open_member(group), open_member(group)
    leader.do("q.put_many(range(3)); q.flush()")
    assert busy.do("q.get(timeout=5)") == 0
    assert idle.do("[q.get(timeout=5), q.get(timeout=5)]") == [1, 2]


def test_many_consumers_all_get_something(group):
    leader = open_leader(group)
    consumers = [open_member(group, begin="q.get(timeout=10)") for _ in range(6)]
    eventually(lambda: leader.do("q.stats().waiting_getters") == 6)
    leader.do("q.put_many(range(6))")
    assert sorted(consumer.result() for consumer in consumers) == list(range(6))


def test_a_get_many_takes_what_is_there_and_waits_for_the_first_only(group):
    leader = open_leader(group)
    member = open_member(group, begin="q.get_many(10)")
    leader.do("q.put('only')")
    assert member.result() == ["only"]
    leader.do("q.put_many(range(100)); q.flush()")
    assert member.do("q.get_many(10)") == list(range(10))
    items = []
    while len(items) < 90:
        items += member.do("q.get_many(1000)")
    assert items == list(range(10, 100))
    with pytest.raises(Raised, match="Empty"):
        member.do("q.get_many(10, timeout=0.2)")
    with pytest.raises(Raised, match="Empty"):
        member.do("q.get_many(10, block=False)")


# Leader delivery


def test_with_leader_delivery_only_the_leader_is_served_and_a_standby_takes_over(group):
    active = open_leader(group, delivery="leader")
    standby = open_member(group, delivery="leader")
    producer = open_member(group, mode="client")
    standby.begin("q.get(timeout=20)")
    producer.do("q.put_many(range(10)); q.flush()")
    assert active.do("[q.get(timeout=5) for _ in range(4)]") == [0, 1, 2, 3]
    assert active.do("q.qsize()") == 6
    active.kill()
    assert standby.result() == 4
    assert standby.do("[q.get(timeout=5) for _ in range(5)]") == list(range(5, 10))


def test_a_standby_s_timeout_holds(group):
    active = open_leader(group, delivery="leader")
    standby = open_member(group, delivery="leader")
    active.do("q.put(1); q.flush()")
    with pytest.raises(Raised, match="Empty"):
        standby.do("q.get(timeout=0.3)")
    with pytest.raises(Raised, match="Empty"):
        standby.do("q.get_nowait()")
    assert active.do("q.get(timeout=5)") == 1


def test_a_standby_can_put(group):
    active = open_leader(group, delivery="leader")
    standby = open_member(group, delivery="leader")
    assert standby.do("q.wait_for_leader(5)")
    standby.do("q.put('from the standby'); q.flush()")
    assert active.do("q.get(timeout=5)") == "from the standby"


def test_what_the_dead_leader_held_the_standby_gets_again(group):
    active = open_leader(group, delivery="leader")
    standby = open_member(group, delivery="leader")
    active.do("q.put('work'); q.flush(); m = q.get_message(timeout=5)")
    standby.begin("m = q.get_message(timeout=10)")
    active.kill()
    standby.result()
    assert standby.do("(m.obj, m.attempt)") == ("work", 2)
