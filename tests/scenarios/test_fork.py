"""
A forked child shares every descriptor of its parent; it must neither keep its lock nor lose it.

The child is a member of its own: when its parent is killed, it may be the one that leads.
"""

from __future__ import annotations

import os
import signal

import pytest

from tests.helpers import Clock, eventually, linux_only, lock_holder, open_leader, open_member, run_script, scaled

pytestmark = linux_only

FORK_A_CHILD_THAT = {
    "sleeps": "time.sleep(600)",
    "uses the queue": "q.put('from the child'); q.flush()\n    time.sleep(600)",
    "runs a thread": "threading.Thread(target=time.sleep, args=(600,)).start()\n    time.sleep(600)",
}

A_CHILD_THAT = {
    "exits": "sys.exit(0)",
    "leaves by os._exit": "os._exit(0)",
    "closes its copy": "q.close(); q.join_thread(); os._exit(0)",
    "drops its copy": "del q; gc.collect(); os._exit(0)",
    "puts and closes": "q.put('from the child'); q.close(); q.join_thread(); os._exit(0)",
    "is killed": "os.kill(os.getpid(), 9)",
    "execs": "os.execv('/bin/true', ['true'])",
}


@pytest.mark.parametrize("does", FORK_A_CHILD_THAT)
def test_the_lock_of_a_killed_leader_is_free_though_its_child_lives(directory, group, does):
    leader = open_leader(group)
    standby = open_member(group)
    leader.do("q.put('kept'); q.flush()")
    leader.do(f"child = os.fork()\nif child == 0:\n    {FORK_A_CHILD_THAT[does]}")
    child = leader.do("child")
    observer = open_member(group, mode="client")
    if "uses" in does:
        eventually(lambda: observer.do("q.qsize()") == 2)
    leader.kill()
    with Clock() as clock:
        eventually(lambda: lock_holder(directory, group) in {standby.pid, child}, timeout=5)
        assert observer.do("q.get(timeout=5)") == "kept"
    assert clock.elapsed < 1
    os.kill(child, 0)
    os.kill(child, signal.SIGKILL)


def test_the_lock_is_free_though_a_multiprocessing_child_and_a_subprocess_live(directory, group):
    leader = open_leader(group)
    standby = open_member(group)
    leader.do("""
        import multiprocessing, subprocess
        children = [multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,)) for _ in range(2)]
        [child.start() for child in children]
        other = subprocess.Popen(["sleep", "600"], close_fds=False)
    """)
    leader.do("q.put('kept'); q.flush()")
    members = {standby.pid, *leader.do("[child.pid for child in children]")}
    leader.kill()
    with Clock() as clock:
        eventually(lambda: lock_holder(directory, group) in members, timeout=5)
        assert standby.do("q.get(timeout=5)") == "kept"
    assert clock.elapsed < 1


@pytest.mark.parametrize("does", A_CHILD_THAT)
def test_the_leader_leads_on_whatever_its_child_does(directory, group, does):
    leader = open_leader(group)
    standby = open_member(group)
    leader.do("q.put('kept'); q.flush()")
    for _ in range(3):
        status = leader.do(
            f"child = os.fork()\nif child == 0:\n    {A_CHILD_THAT[does]}\nstatus = os.waitpid(child, 0)[1]"
        )
        status = leader.do("status")
        assert status == (signal.SIGKILL if does == "is killed" else 0)
        assert lock_holder(directory, group) == leader.pid
    assert leader.do("q.is_leader")
    assert standby.do("q.is_leader") is False
    assert standby.do("q.get(timeout=5)") == "kept"
    count = 3 if does.startswith("puts") else 0
    assert standby.do(f"[q.get(timeout=5) for _ in range({count})]") == ["from the child"] * count
    assert standby.do("q.stats().leader_pid") == leader.pid


def test_a_child_is_a_member_of_its_own(group):
    leader = open_leader(group)
    leader.do("q.put(1); q.flush(); child = os.fork()\nif child == 0:\n    q.get()\n    time.sleep(600)")
    child = leader.do("child")
    eventually(lambda: child in leader.do("[m.pid for m in q.stats().members]"))
    assert leader.do("sorted({m.pid for m in q.stats().members})") == sorted({leader.pid, child})


def test_what_the_parent_had_not_sent_is_put_once(group):
    """The child inherits a copy of the parent's batch; only the parent sends it."""
    parent = open_member(group, mode="client")
    parent.do("""
        [q.put(n) for n in range(20)]
        child = os.fork()
        if child == 0:
            q.put("child")
            q.close()
            q.join_thread()
            os._exit(0)
    """)
    leader = open_leader(group)
    parent.do("q.flush(timeout=10); os.waitpid(child, 0)")
    items = leader.do("[q.get(timeout=5) for _ in range(21)]")
    assert sorted(map(str, items)) == sorted([*map(str, range(20)), "child"])
    assert leader.do("q.qsize()") == 0


def test_what_was_granted_to_the_parent_is_not_the_child_s(group):
    leader = open_leader(group)
    leader.do("q.put_many(range(50)); q.flush()")
    parent = open_member(group)
    parent.do("""
        first = [q.get(timeout=5) for _ in range(5)]
        readable, writable = os.pipe()
        child = os.fork()
        if child == 0:
            mine = [q.get(timeout=5) for _ in range(20)]
            os.write(writable, repr(mine).encode())
            os._exit(0)
        os.waitpid(child, 0)
        childs = eval(os.read(readable, 10000))
        rest = [q.get(timeout=5) for _ in range(25)]
    """)
    first, childs, rest = parent.do("(first, childs, rest)")
    assert sorted([*first, *childs, *rest]) == list(range(50))


def test_forks_in_the_middle_of_other_threads_puts_and_gets(group):
    """Locks that are held at the moment of the fork are nobody's in the child."""
    count = scaled(20)
    open_leader(group)
    busy = open_member(group)
    busy.do("""
        over = threading.Event()
        def put():
            while not over.is_set():
                q.put("noise")
        def get():
            while not over.is_set():
                try: q.get(timeout=0.05)
                except Empty: pass
        threads = [threading.Thread(target=target) for target in (put, put, get, get)]
        [t.start() for t in threads]
    """)
    busy.do(
        f"""
        done = GroupQueue("done")
        statuses = []
        for n in range({count}):
            child = os.fork()
            if child == 0:
                signal.alarm(20)
                q.put("from a child")
                q.flush()
                done.put(n)
                done.flush()
                os._exit(0)
            statuses.append(os.waitpid(child, 0)[1])
        over.set()
        [t.join() for t in threads]
        """,
        timeout=50,
    )
    assert busy.do("statuses") == [0] * count
    assert busy.do(f"sorted(done.get(timeout=5) for _ in range({count}))") == list(range(count))


WORK = """
    over = threading.Event()
    sent = [0, 0]
    def work(which):
        while not over.is_set():
            q.put((which, sent[which]))
            sent[which] += 1
            time.sleep(0.0005)
    threads = [threading.Thread(target=work, args=(which,)) for which in range(2)]
    [thread.start() for thread in threads]
"""

FORK_FIVE = """
    children = []
    for n in range(5):
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            own = q if not closing else GroupQueue(q.name)
            own.put(("child", n))
            own.flush()
            os._exit(0)
        children.append(child)
        time.sleep(0.01)
"""


@pytest.mark.parametrize("role", ["candidate", "follower", "leader", "closing"])
def test_forks_in_each_role_while_other_threads_put(group, role):
    """A candidate is one that waits for a leader that is stopped; who closes then waits for it to flush."""
    first = open_leader(group)
    second = open_member(group)
    forks, leads = (first, first) if role == "leader" else (second, first)
    observer = open_member(group, mode="client")
    forks.do("closing = False; q.wait_for_leader(10)")
    forks.do(WORK)
    eventually(lambda: min(forks.do("sent")) > 20)
    if role in {"candidate", "closing"}:
        leads.stop()
    if role == "closing":
        forks.do("""
            closing = True
            over.set()
            [thread.join() for thread in threads]
            closer = threading.Thread(target=lambda: (q.close(), q.join_thread()))
            closer.start()
        """)
    forks.do(FORK_FIVE)
    if role in {"candidate", "closing"}:
        leads.cont()
    assert forks.do("[os.waitpid(child, 0)[1] for child in children]", timeout=40) == [0] * 5
    forks.do("over.set(); [thread.join() for thread in threads]")
    forks.do("closer.join(20)" if role == "closing" else "q.flush(timeout=20)", timeout=30)
    sent = forks.do("sent")
    observer.do(f"got = [q.get(timeout=10) for _ in range({sum(sent) + 5})]", timeout=30)
    for which in range(2):
        assert observer.do(f"[n for who, n in got if who == {which}] == list(range({sent[which]}))")
    assert observer.do("sorted(n for who, n in got if who == 'child')") == list(range(5))
    assert observer.do("q.qsize()") == 0


def test_a_daemon_that_forks_twice_keeps_its_queue(directory, group):
    script = run_script(
        """
        # daemonises
        import os, sys
        from groupqueue import GroupQueue
        q = GroupQueue(sys.argv[1])
        q.put("before")
        q.flush()
        if os.fork():
            os._exit(0)
        os.setsid()
        if os.fork():
            os._exit(0)
        q.put("after")
        say("got", q.get(timeout=10), q.get(timeout=10))
        """,
        group,
    )
    assert script.expect("got") == "before after"


def test_a_fork_in_the_middle_of_taking_the_lead_leaks_no_lock(directory):
    parent = run_script("""
        # forks while its members campaign
        import os, random, time
        from groupqueue import GroupQueue
        queues = []
        for number in range(20):
            queues.append(GroupQueue(f"group{number}"))
            time.sleep(random.random() * 0.002)
            if number % 2 and os.fork() == 0:
                time.sleep(600)
        say("forked")
        hear()
    """)
    parent.expect("forked")
    groups = [f"group{number}" for number in range(20)]
    eventually(lambda: all(lock_holder(directory, group) for group in groups))
    parent.kill()
    survivors = [open_member(group) for group in groups[-1:]]
    eventually(lambda: all(lock_holder(directory, group) not in {None, parent.pid} for group in groups))
    assert survivors


def test_what_the_parent_is_closing_stays_closed_in_the_child(group):
    parent = open_member(group, mode="client")
    parent.do("q.put('once'); q.close()")
    parent.do("""
        import multiprocessing
        def use(q, told):
            try:
                q.put('from the child')
            except ValueError as error:
                told.put(str(error))
        told = multiprocessing.get_context("fork").SimpleQueue()
        child = multiprocessing.get_context("fork").Process(target=use, args=(q, told))
        child.start()
    """)
    assert "closed" in parent.do("told.get()")
    parent.do("child.join(10)")
    assert parent.do("child.exitcode") == 0
    leader = open_leader(group)
    assert leader.do("q.get(timeout=5)") == "once"
    assert leader.do("q.empty()")
