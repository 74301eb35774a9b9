"""Leaders are killed, again and again, under load: nothing lost, nothing twice, order kept."""

from __future__ import annotations

import ast
import os
import signal
import time

import pytest

from tests.helpers import (
    Clock,
    eventually,
    linux_only,
    lock_holder,
    open_leader,
    open_member,
    run_script,
    scaled,
    within,
)
from tests.scenarios.chaos import Herd

pytestmark = linux_only


@within(120)
def test_fifty_kills_of_the_leader_when_every_process_is_dual(directory, group, open_queue):
    observer = open_queue(group, mode="client", maxsize=20_000)
    herd = Herd(directory, group)
    herd.start(producers=3, consumers=3)
    herd.kill_leaders(scaled(50))
    tally = herd.finish()
    assert tally.duplicated == []
    assert len(tally.lost) <= herd.killed["consumer"], tally.lost
    assert tally.worst_disorder <= herd.killed["consumer"]
    assert tally.flushed > 1000
    assert observer.maxsize == 20_000


@within(120)
def test_kills_of_leaders_that_consume_nothing_lose_not_one_item_and_keep_the_order(directory, group, open_queue):
    open_queue(group, mode="client", maxsize=20_000)
    herd = Herd(directory, group)
    herd.start(producers=4, consumers=3, consumer_mode="client")
    herd.kill_leaders(scaled(25))
    tally = herd.finish()
    assert herd.killed["consumer"] == 0
    assert tally.duplicated == []
    assert tally.lost == []
    assert tally.worst_disorder == 0
    assert tally.idle == []


@within(120)
def test_fifty_kills_of_anyone(directory, group, open_queue):
    open_queue(group, mode="client", maxsize=20_000)
    herd = Herd(directory, group)
    herd.start(producers=3, consumers=3)
    herd.kill_anyone(scaled(50))
    tally = herd.finish()
    assert tally.duplicated == []
    assert len(tally.lost) <= herd.killed["consumer"], tally.lost
    assert tally.worst_disorder <= herd.killed["consumer"]
    assert tally.flushed > 1000


@within(60)
def test_kills_with_a_durable_group(directory, group, open_queue):
    open_queue(group, mode="client", maxsize=5_000, durable=True)
    herd = Herd(directory, group, durable=True)
    herd.start(producers=2, consumers=2)
    herd.kill_leaders(scaled(6))
    tally = herd.finish()
    assert tally.duplicated == []
    assert len(tally.lost) <= herd.killed["consumer"]


@within(60)
def test_leaders_killed_one_after_the_other_as_soon_as_they_have_the_lock(directory, group):
    """A backlog makes recovery long enough to be hit in the middle of it."""
    count = 30_000
    producer = open_leader(group)
    producer.do(f"q.put_many((n, 'x' * 50) for n in range({count})); q.flush()", timeout=60)
    candidates = [open_member(group) for _ in range(3)]
    producer.kill()
    pids = {member.pid: member for member in candidates}
    for _ in range(scaled(15)):
        pid = eventually(lambda: (found := lock_holder(directory, group)) in pids and found, what="a leader")
        pids.pop(pid).kill()
        newcomer = open_member(group)
        pids[newcomer.pid] = newcomer
    consumer = open_member(group, begin=f"items = [q.get(timeout=20)[0] for _ in range({count})]")
    consumer.result(timeout=40)
    assert consumer.do(f"items == list(range({count}))")
    with pytest.raises(Exception, match="Empty"):
        consumer.do("q.get(timeout=0.2)")


def test_a_failover_is_a_pause_and_no_exception(directory, group):
    leader = open_leader(group)
    standby = open_member(group)
    producer = open_member(group, mode="client")
    consumer = open_member(group, mode="client", begin="got = [q.get() for _ in range(2000)]")
    producer.begin("""
        worst = 0
        for n in range(2000):
            start = time.monotonic()
            q.put(n)
            q.flush()
            worst = max(worst, time.monotonic() - start)
    """)
    time.sleep(0.05)
    leader.kill()
    producer.result()
    consumer.result()
    assert consumer.do("got == list(range(2000))")
    assert producer.do("worst") < 1
    assert standby.do("q.is_leader")


def test_a_standby_leads_within_a_second_also_from_deep_sleep(directory, group):
    leader = open_leader(group)
    standby = open_member(group)
    leader.do("q.put(1); q.flush()")
    leader.kill()
    with Clock() as clock:
        eventually(lambda: lock_holder(directory, group) == standby.pid, timeout=5)
        assert standby.do("q.get(timeout=5)") == 1
    assert clock.elapsed < 1


def test_all_dead_at_once_the_next_opener_finds_every_flushed_item(group):
    members = [open_member(group) for _ in range(4)]
    for number, member in enumerate(members):
        member.do(f"[q.put(({number}, n)) for n in range(500)]; q.flush()")
    for member in members:
        member.signal(9)
    for member in members:
        member.wait()
    last = open_member(group)
    last.do("items = [q.get(timeout=5) for _ in range(2000)]")
    for number in range(4):
        assert last.do(f"[n for who, n in items if who == {number}] == list(range(500))")


def test_fifty_members_that_die_at_once_take_nothing_with_them(group, tmp_path):
    """Forked children of one process, killed with it; the leader is one of them, and three others go on."""
    herd = run_script(
        """
        # fifty of them die at once
        import os, sys, time
        from groupqueue import GroupQueue
        logs = sys.argv[2]
        with GroupQueue("another") as q:  # what the first use imports, the children have
            q.put(q.name)
            q.get()
        for n in range(50):
            if os.fork() == 0:
                q = GroupQueue(sys.argv[1])
                log = os.open(f"{logs}/{n}", os.O_CREAT | os.O_WRONLY)
                said = False
                number = 0
                while True:
                    if n % 2:
                        q.put((n, number))
                        q.flush()
                        os.write(log, f"({n}, {number}),".encode())
                        number += 1
                        time.sleep(0.05)
                    else:
                        message = q.get_message()
                        os.write(log, f"{message.obj},".encode())
                        message.done()
                    if not said:
                        said = True
                        say("works")
        hear()
        """,
        group,
        tmp_path,
    )
    for _ in range(50):
        herd.expect("works")
    survivors = [open_member(group) for _ in range(3)]
    survivors[0].begin("for n in range(500): q.put(('survivor', n)); time.sleep(0.001)\nq.flush()")
    time.sleep(0.3)
    os.killpg(herd.pid, signal.SIGKILL)
    survivors[0].result()
    drain = """
        rest = []
        while True:
            try: message = q.get_message(timeout=1)
            except Empty: break
            rest.append((message.obj, message.attempt))
            message.done()
    """
    for member in survivors[1:]:
        member.begin(drain)
    for member in survivors[1:]:
        member.result()
    rest = [found for member in survivors[1:] for found in member.do("rest")]
    put, got = set(), []
    for n in range(50):
        # The last one may have been cut off in the midst of being written down.
        whole = (tmp_path / str(n)).read_text().rpartition(",")[0]
        told = list(ast.literal_eval(f"[{whole}]"))
        if n % 2:
            put.update(told)
        else:
            got += told
    put.update(("survivor", n) for n in range(500))
    drained = [item for item, _ in rest]
    assert len(put) > 600
    assert put <= {*got, *drained}
    assert len(drained) == len(set(drained))
    assert len(got) == len(set(got))
    assert {item for item, attempt in rest if attempt == 1}.isdisjoint(got)
    assert survivors[0].do("(q.stats().ready, q.stats().in_flight, q.stats().failed)") == (0, 0, 0)


def test_the_dead_leader_s_own_items_and_those_granted_to_it_go_to_others(group):
    leader = open_leader(group)
    other = open_member(group, mode="client")
    other.do("q.put_many(range(100)); q.flush()")
    assert leader.do("[q.get(timeout=5) for _ in range(10)]") == list(range(10))
    leader.do("q.put('mine'); q.flush()")
    leader.kill()
    open_member(group)
    assert other.do("[q.get(timeout=5) for _ in range(91)]") == [*range(10, 100), "mine"]


def test_a_lock_file_that_was_removed_ends_in_one_leader_and_no_loss(directory, group):
    leader = open_leader(group)
    other = open_member(group)
    leader.do("q.put_many(range(50)); q.flush()")
    path = os.path.join(directory, group, "lock")
    os.unlink(path)
    eventually(lambda: lock_holder(directory, group), timeout=20, what="somebody to lock a lock file that exists")
    holder = lock_holder(directory, group)
    assert holder in {leader.pid, other.pid}
    assert other.do("[q.get(timeout=10) for _ in range(50)]", timeout=30) == list(range(50))
    assert [leader.do("q.is_leader"), other.do("q.is_leader")].count(True) == 1
