"""What an operator sees and does: stats, peek, clear, failed, shutdown, unlink."""

from __future__ import annotations

import dataclasses
import os

import pytest

from groupqueue import Empty, GroupBusyError, GroupQueue, ShutDown, Stats
from tests.helpers import Clock, Raised, eventually, open_leader, open_member


def test_stats_tell_who_is_there_and_what_is_waiting(group, open_queue):
    leader = open_leader(group)
    client = open_queue(group, mode="client")
    assert client.wait_for_leader(5)
    client.put_many(range(10))
    client.flush(timeout=5)
    leader.do("m = q.get_message(timeout=5)")
    stats = client.stats()
    assert isinstance(stats, Stats)
    assert dataclasses.is_dataclass(stats)
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.ready = 0
    assert stats.leader_pid == leader.pid
    assert stats.epoch >= 1
    assert {(member.pid, member.mode) for member in stats.members} == {(leader.pid, "dual"), (os.getpid(), "client")}
    assert {member.role for member in stats.members if member.pid == leader.pid} == {"leader"}
    assert (stats.ready, stats.in_flight, stats.failed) == (9, 1, 0)
    assert (stats.waiting_getters, stats.waiting_putters) == (0, 0)
    assert stats.bytes > 0
    leader.do("m.done(); [q.get() for _ in range(9)]")
    eventually(lambda: (client.stats().ready, client.stats().in_flight) == (0, 0))


def test_stats_count_who_waits(group, open_queue):
    leader = open_leader(group, maxsize=1)
    observer = open_queue(group, mode="client")
    getter = open_member(group, begin="q.get()")
    eventually(lambda: observer.stats().waiting_getters == 1)
    leader.do("q.put(1)")
    getter.result()
    leader.do("q.put(2)")
    putter = open_member(group, begin="q.put(3)")
    eventually(lambda: observer.stats().waiting_putters == 1)
    assert observer.stats().waiting_getters == 0
    assert leader.do("[q.get(timeout=5), q.get(timeout=5)]") == [2, 3]
    putter.result()


def test_an_epoch_is_a_leader_s_and_grows(group, open_queue):
    observer = open_queue(group, mode="client")
    epochs = []
    for _ in range(3):
        leader = open_leader(group)
        epochs.append(leader.do("q.stats().epoch"))
        leader.kill()
    assert epochs == sorted(set(epochs))
    assert observer.is_leader is False


def test_stats_without_a_leader_come_within_a_second(group, open_queue):
    dead = open_leader(group)
    dead.do("q.put_many(range(5)); q.flush()")
    dead.kill()
    observer = open_queue(group, mode="client")
    with Clock() as clock:
        stats = observer.stats()
    assert clock.elapsed < 1.2
    assert stats.leader_pid is None


def test_stats_with_a_stopped_leader_come_within_a_second(group, open_queue):
    leader = open_leader(group)
    observer = open_queue(group, mode="client")
    assert observer.wait_for_leader(5)
    leader.stop()
    with Clock() as clock:
        observer.stats()
    assert clock.elapsed < 1.5


def test_peek_shows_and_leaves(group, open_queue):
    queue = open_queue(group)
    queue.put_many(range(5))
    assert [getattr(item, "obj", item) for item in queue.peek()] == [0]
    assert [getattr(item, "obj", item) for item in queue.peek(3)] == [0, 1, 2]
    assert [getattr(item, "obj", item) for item in queue.peek(100)] == [0, 1, 2, 3, 4]
    assert queue.peek(0) == []
    with pytest.raises(ValueError, match="0 or more"):
        queue.peek(-1)
    with pytest.raises(TypeError, match="an int"):
        queue.peek(1.5)
    assert [queue.get(timeout=5) for _ in range(5)] == list(range(5))
    assert list(queue.peek()) == []


def test_with_no_leader_an_item_that_was_not_confirmed_yet_counts_once(group, open_queue, monkeypatch):
    leader = open_leader(group)
    queue = open_queue(group, mode="client")
    monkeypatch.setattr(queue._member.outbox, "ack", lambda seq: 0)
    queue.put_many(range(3))
    eventually(lambda: leader.do("q.qsize()") == 3)
    leader.kill()
    assert queue.qsize() == 3
    queue.put(3)
    assert queue.qsize() == 4


def test_clear_empties_the_group(group, open_queue):
    leader = open_leader(group, maxsize=50)
    queue = open_queue(group)
    leader.do("q.put_many(range(50)); q.flush()")
    queue.clear()
    assert queue.qsize() == 0
    with pytest.raises(Empty):
        queue.get(timeout=0.2)
    queue.put("next", timeout=5)
    assert leader.do("q.get(timeout=5)") == "next"


def test_a_cleared_item_does_not_come_back_with_the_next_leader(group):
    leader = open_leader(group)
    heir = open_member(group)
    leader.do("q.put_many(range(50)); q.flush(); q.clear(); q.put('next'); q.flush()")
    leader.kill()
    assert heir.do("q.get(timeout=5)") == "next"
    with pytest.raises(Raised, match="Empty"):
        heir.do("q.get(timeout=0.2)")


def test_failed_items_survive_the_leader_and_come_back_when_asked(group):
    leader = open_leader(group, max_attempts=1)
    heir = open_member(group, max_attempts=1)
    victim = open_member(group, max_attempts=1)
    leader.do("q.put({'id': 7}); q.flush()")
    victim.do("m = q.get_message(timeout=5)")
    victim.kill()
    eventually(lambda: leader.do("q.stats().failed") == 1)
    leader.kill()
    assert heir.do("[(m.obj, m.sender_pid) for m in q.failed()]") == [({"id": 7}, leader.pid)]
    heir.do("q.requeue_failed()")
    assert heir.do("q.get(timeout=5)") == {"id": 7}
    assert heir.do("(q.failed(), q.stats().failed)") == ([], 0)


# shutdown


def test_shutdown_is_group_wide_and_drains_first(group):
    leader = open_leader(group)
    getter = open_member(group)
    leader.do("q.put_many(range(3)); q.flush(); q.shutdown()")
    with pytest.raises(Raised, match="ShutDown"):
        leader.do("q.put(4)")
    assert getter.do("[q.get(timeout=5) for _ in range(3)]") == [0, 1, 2]
    for call in ("q.get()", "q.get(timeout=5)", "q.get_nowait()", "q.put(1)", "q.put_nowait(1)", "q.put_wait(1)"):
        with pytest.raises(Raised, match="ShutDown"):
            getter.do(call)


def test_shutdown_wakes_whoever_waits(group):
    leader = open_leader(group, maxsize=1)
    getters = [open_member("other"), open_member("other")]
    for member in getters:
        member.begin("q.get()")
    putter = open_member(group)
    leader.do("q.put('full')")
    putter.begin("q.put('waiting')")
    eventually(lambda: leader.do("q.stats().waiting_putters") == 1)
    leader.do("q.shutdown()")
    with pytest.raises(Raised, match="ShutDown"):
        putter.result()
    open_member("other").do("q.shutdown()")
    for member in getters:
        with pytest.raises(Raised, match="ShutDown"):
            member.result()


def test_an_immediate_shutdown_drops_what_is_there(group):
    leader = open_leader(group, kind="JoinableGroupQueue")
    other = open_member(group, kind="JoinableGroupQueue")
    leader.do("q.put_many(range(3)); q.flush()")
    other.begin("q.join()")
    leader.do("q.shutdown(immediate=True)")
    other.result()
    with pytest.raises(Raised, match="ShutDown"):
        other.do("q.get()")


def test_a_shutdown_outlives_its_leader_and_ends_with_the_last_member(group):
    leader = open_leader(group)
    member = open_member(group)
    leader.do("q.put('left'); q.flush(); q.shutdown()")
    leader.kill()
    assert member.do("q.get(timeout=5)") == "left"
    with pytest.raises(Raised, match="ShutDown"):
        member.do("q.put(1)")
    with pytest.raises(Raised, match="ShutDown"):
        member.do("q.get(timeout=5)")
    newcomer = open_member(group)
    with pytest.raises(Raised, match="ShutDown"):
        newcomer.do("q.get(timeout=5)")
    newcomer.kill()
    member.kill()
    revived = open_member(group)
    revived.do("q.put('again')")
    assert revived.do("q.get(timeout=5)") == "again"


def test_every_put_that_returned_before_a_shutdown_comes_out_before_the_getters_end(group):
    leader = open_leader(group, maxsize=100)
    putting = """
        count = 0
        try:
            while True:
                q.put(count)
                count += 1
        except groupqueue.ShutDown:
            pass
    """
    getting = "count = sum(1 for _ in q)"
    getters = [open_member(group, begin=getting) for _ in range(2)]
    putters = [open_member(group, begin=putting) for _ in range(2)]
    eventually(lambda: leader.do("q.stats().total_put") > 1000)
    leader.do("q.shutdown()")
    for member in putters + getters:
        member.result()
    put, got = (sum(member.do("count") for member in members) for members in (putters, getters))
    assert (got, leader.do("q.stats().ready")) == (put, 0)


def test_iteration_ends_at_shutdown(group):
    leader = open_leader(group)
    reader = open_member(group, begin="items = [item for item in q]")
    leader.do("q.put_many(range(5)); q.flush(); q.shutdown()")
    reader.result()
    assert reader.do("items") == list(range(5))


def test_iteration_ends_at_close(group):
    member = open_leader(group)
    member.do("""
        items = []
        def read():
            for item in q:
                items.append(item)
        t = threading.Thread(target=read)
        t.start()
        q.put(1)
    """)
    eventually(lambda: member.do("items") == [1])
    member.do("q.close(); t.join(5)")
    assert member.do("t.is_alive()") is False


def test_shutdown_in_this_process_raises_the_public_name(group, open_queue):
    queue = open_queue(group)
    queue.shutdown()
    with pytest.raises(ShutDown):
        queue.get()


# unlink


def test_a_group_with_members_cannot_be_unlinked(group):
    member = open_leader(group)
    member.do("q.put(1); q.flush()")
    with pytest.raises(GroupBusyError, match=group):
        GroupQueue.unlink(group)
    assert member.do("q.get(timeout=5)") == 1


@pytest.mark.parametrize("killed", [True, False])
def test_unlink_removes_a_group_and_its_items(directory, group, open_queue, killed):
    member = open_leader(group)
    member.do("q.put(1); q.flush()")
    if killed:
        member.kill()
    else:
        member.do("q.close(); q.join_thread()")
    GroupQueue.unlink(group)
    assert not os.path.exists(os.path.join(directory, group))
    queue = open_queue(group)
    with pytest.raises(Empty):
        queue.get(timeout=0.3)


def test_members_of_other_groups_do_not_count(group, directory):
    other = open_leader("other")
    dead = open_leader(group)
    dead.kill()
    GroupQueue.unlink(group, directory=directory)
    other.do("q.put(1)")
    assert other.do("q.get(timeout=5)") == 1
