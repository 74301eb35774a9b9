"""At the edges of the system: no descriptors left, little memory, many members."""

from __future__ import annotations

import os
import socket
import time

from tests.helpers import cpu_seconds, eventually, linux_only, open_leader, open_member, run_script

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
