"""A handle travels: by fork, by pickle, through a queue, into threads. An anonymous group lives as long as these."""

from __future__ import annotations

import os
import pickle

import pytest

from groupqueue import GroupQueue, JoinableGroupQueue
from tests.helpers import eventually, open_leader, open_member, run_script


def groups_in(directory):
    return [entry.name for entry in os.scandir(directory) if entry.is_dir()]


def test_a_pickled_handle_opens_the_same_group_with_the_same_options(group, open_queue):
    queue = open_queue(group, maxsize=9, mode="client", max_attempts=5)
    copy = pickle.loads(pickle.dumps(queue))
    try:
        assert (copy.name, copy.maxsize, copy.mode, copy.directory) == (group, 9, "client", queue.directory)
        assert type(copy) is GroupQueue
    finally:
        copy.cancel_join_thread()
        copy.close()


def test_a_joinable_handle_stays_joinable(group, open_queue):
    copy = pickle.loads(pickle.dumps(open_queue(group, kind="JoinableGroupQueue")))
    try:
        assert type(copy) is JoinableGroupQueue
    finally:
        copy.close()


def test_a_handle_goes_through_a_queue(open_queue):
    letters, replies = open_queue("letters"), open_queue("replies")
    letters.put(("please answer here", replies))
    other = open_member("letters")
    other.do("text, back = q.get(timeout=5); back.put(text.upper()); back.flush()")
    assert replies.get(timeout=5) == "PLEASE ANSWER HERE"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("anonymous", [True, False], ids=["anonymous", "named"])
def test_a_child_uses_the_handle_of_its_parent(directory, group, method, anonymous):
    script = run_script(
        """
        # passes its queue on
        import multiprocessing, sys
        from groupqueue import GroupQueue

        def double(q):
            q.put(q.get(timeout=10) * 2)
            q.put("done")

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[2])
            q = GroupQueue(sys.argv[1] or None)
            q.put(21)
            q.flush()
            child = context.Process(target=double, args=(q,))
            child.start()
            child.join()
            say("got", q.get(timeout=5), q.get(timeout=5), child.exitcode)
        """,
        "" if anonymous else group,
        method,
    )
    assert script.expect("got") == "42 done 0"
    assert script.wait() == 0
    if anonymous:
        assert groups_in(directory) == []


def test_threads_share_a_handle(group):
    member = open_leader(group)
    other = open_member(group)
    work = """
        got, errors = [], []
        def put(who):
            for n in range(1000):
                q.put((who, n))
        def get():
            for _ in range(1000):
                got.append(q.get(timeout=30))
        threads = [threading.Thread(target=put, args=((os.getpid(), n),)) for n in range(8)]
        threads += [threading.Thread(target=get) for _ in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    """
    for each in (member, other):
        each.begin(work)
    for each in (member, other):
        each.result(timeout=50)
    everything = "sorted((pid, who, n) for (pid, who), n in got)"
    items = sorted(member.do(everything) + other.do(everything))
    assert items == sorted((pid, who, n) for pid in (member.pid, other.pid) for who in range(8) for n in range(1000))


def test_several_handles_of_one_group_in_one_process(group, open_queue):
    queues = [open_queue(group) for _ in range(4)]
    for number, queue in enumerate(queues):
        queue.put(number)
        queue.flush(timeout=5)
    assert [queue.get(timeout=5) for queue in reversed(queues)] == [0, 1, 2, 3]
    assert sum(queue.is_leader for queue in queues) <= 1


def test_an_anonymous_group_is_another_each_time(open_queue):
    first, second = open_queue(), open_queue()
    first.put("first")
    first.flush(timeout=5)
    assert second.empty()
    assert first.name != second.name


def test_an_anonymous_group_is_gone_with_its_last_member(directory):
    member = open_leader()
    member.do("""
        child = os.fork()
        if child == 0:
            q.put("x")
            q.close()
            q.join_thread()
            os._exit(0)
        os.waitpid(child, 0)
    """)
    assert len(groups_in(directory)) == 1
    assert member.do("q.get(timeout=5)") == "x"
    member.do("q.put('left over'); q.close(); q.join_thread()")
    eventually(lambda: groups_in(directory) == [], timeout=5)


def test_an_anonymous_group_is_gone_when_its_process_exits_without_closing(directory):
    script = run_script("# forgets to close\nfrom groupqueue import GroupQueue\nq = GroupQueue()\nq.put(1)\n")
    assert script.wait() == 0
    assert groups_in(directory) == []


def test_what_a_killed_process_left_of_an_anonymous_group_the_next_opener_sweeps(directory, group):
    alive = open_leader()
    alive.do("q.put('alive'); q.flush()")
    dead = open_leader()
    dead.do("q.put('dead'); q.flush()")
    assert len(groups_in(directory)) == 2
    dead.kill()
    named = open_member(group)
    eventually(lambda: len(groups_in(directory)) == 2, timeout=5, what="the dead group to be swept")
    assert alive.do("q.get(timeout=5)") == "alive"
    named.kill()
    alive.kill()
    open_member("another")
    eventually(lambda: sorted(groups_in(directory)) == ["another", group], timeout=5)


def test_repr_shows_state_and_counts(group, open_queue):
    queue = open_queue(group)
    assert queue.wait_for_leader(5)
    queue.put(1)
    shown = repr(queue)
    assert "GroupQueue" in shown
    assert group in shown
    assert GroupQueue[int] is not None
    queue.close()
    assert "clos" in repr(queue)
