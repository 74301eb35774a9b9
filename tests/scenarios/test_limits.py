"""At the edges of the system: no descriptors left, little memory, many members."""

from __future__ import annotations

import os
import socket
import time

from tests.helpers import (
    cpu_seconds,
    eventually,
    linux_only,
    lock_holder,
    open_leader,
    open_member,
    run_script,
    within,
)

MIB = 1 << 20


def resident(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@linux_only
def test_a_leader_without_descriptors_neither_spins_nor_dies(directory, group):
    leader = open_leader(group)
    member = open_member(group, mode="client")
    member.do("q.put('before'); q.flush()")
    leader.do("""
        import resource
        used = max(int(name) for name in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 10, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    """)
    path = os.path.join(directory, group, "socket")
    crowd = []
    try:
        for _ in range(60):
            stranger = socket.socket(socket.AF_UNIX)
            stranger.setblocking(False)
            crowd.append(stranger)
            try:
                stranger.connect(path)
            except BlockingIOError:
                break
        before = cpu_seconds(leader.pid)
        time.sleep(1)
        assert cpu_seconds(leader.pid) - before < 0.3
        member.do("q.put('during'); q.flush(timeout=10)")
        assert member.do("[q.get(timeout=5), q.get(timeout=5)]") == ["before", "during"]
    finally:
        for stranger in crowd:
            stranger.close()
    newcomer = open_member(group, mode="client")
    newcomer.do("q.put('after'); q.flush(timeout=10)")
    assert leader.do("q.get(timeout=5)") == "after"


@linux_only
def test_an_idle_group_computes_nothing(group):
    members = [open_leader(group), open_member(group), open_member(group, mode="client")]
    members[1].do("q.put(1); q.flush()")
    assert members[2].do("q.get(timeout=5)") == 1
    waiting = open_member(group, begin="q.get()")
    members.append(waiting)
    eventually(lambda: members[0].do("q.stats().waiting_getters") == 1)
    before = [cpu_seconds(member.pid) for member in members]
    time.sleep(2)
    used = [cpu_seconds(member.pid) - start for member, start in zip(members, before, strict=True)]
    assert max(used) <= 0.05, used


@linux_only
def test_an_idle_member_takes_less_than_25_mib_above_the_bare_interpreter(group):
    bare = run_script("# does nothing\nsay('ready')\nhear()\n")
    bare.expect("ready")
    script = """
        # is a member
        import sys
        from groupqueue import GroupQueue
        q = GroupQueue(sys.argv[1])
        q.wait_for_leader(5)
        q.put(1)
        q.get()
        say("ready")
        hear()
    """
    for _ in range(2):
        member = run_script(script, group)
        member.expect("ready")
        assert resident(member.pid) - resident(bare.pid) < 25 * MIB


def test_forty_members(group):
    leader = open_leader(group)
    scripts = [
        run_script(
            """
            # one of many
            import sys
            from groupqueue import GroupQueue
            q = GroupQueue(sys.argv[1])
            q.put(q.get())
            q.flush()
            say("done")
            """,
            group,
        )
        for _ in range(40)
    ]
    eventually(lambda: leader.do("q.stats().waiting_getters") == 40, timeout=40)
    leader.do("q.put_many(range(40)); q.flush()")
    for script in scripts:
        script.expect("done")
    assert sorted(leader.do("[q.get(timeout=10) for _ in range(40)]")) == list(range(40))


def test_a_leader_that_computes_serves_all_the_same(group):
    leader = open_leader(group)
    member = open_member(group, mode="client")
    leader.begin("end = time.monotonic() + 3\nwhile time.monotonic() < end: sum(range(1000))")
    start = time.monotonic()
    member.do("[q.put_many(range(100)) or q.flush() for _ in range(10)]; [q.get(timeout=5) for _ in range(1000)]; None")
    assert time.monotonic() - start < 2.5
    leader.result()


@linux_only
@within(90)
def test_two_hundred_processes_open_a_group_at_once(directory, group, open_queue):
    """Forked children of one process, each of which opens the group for itself."""
    herd = run_script(
        """
        # two hundred open a group at once
        import os, sys
        from groupqueue import GroupQueue
        with GroupQueue("another") as q:  # what the first use imports, the children have
            q.put(q.name)
            q.get()
        go, gate = os.pipe()
        for n in range(200):
            if os.fork() == 0:
                os.close(gate)
                os.read(go, 1)
                q = GroupQueue(sys.argv[1])
                q.put(n)
                q.flush(timeout=60)
                say("in", n)
                hear()
        os.close(gate)
        hear()
        """,
        group,
    )
    for _ in range(200):
        herd.expect("in", timeout=60)
    q = open_queue(group, mode="client")
    assert q.wait_for_leader(20)
    stats = q.stats()
    assert [member.role for member in stats.members].count("leader") == 1
    assert lock_holder(directory, group) == stats.leader_pid
    eventually(lambda: len(q.stats().members) == 201)
    assert sorted(q.get(timeout=10) for _ in range(200)) == list(range(200))
    assert q.qsize() == 0


@linux_only
def test_a_group_whose_members_may_have_thirty_two_descriptors_each(group):
    allowed = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))"
    leader = open_leader(group)
    leader.do(allowed)
    producer, consumer = open_member(group), open_member(group)
    for member in (producer, consumer):
        member.do(allowed)
    for sent in range(2):
        producer.begin("for n in range(2000): q.put((n, bytes(100)))\nq.flush(timeout=20)")
        assert consumer.do("[q.get(timeout=10)[0] for _ in range(2000)] == list(range(2000))")
        producer.result()
        consumer.begin("q.reply(q.get(timeout=10) + 1)")
        assert producer.do(f"q.put_wait({sent}, timeout=10)") == sent + 1
        consumer.result()
        producer.do("q.put('kept'); q.flush(timeout=10)")
        if leader.is_alive:
            leader.kill()
        assert consumer.do("q.get(timeout=10)") == "kept"
