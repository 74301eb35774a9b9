"""A process without a file descriptor left says so and lets others lead, and goes on once it has some again."""

from __future__ import annotations

import os

import pytest

from tests.helpers import cpu_seconds, eventually, linux_only, lock_holder, open_leader, open_member, stays

pytestmark = linux_only

MOST_ROUNDS = 5

# Takes every descriptor that there is, and each that is let go; `let_go()` gives all of them back.
HOARD = """
    import resource

    kept, full, enough = [], threading.Event(), threading.Event()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 2, hard))

    def hoard():
        while not enough.is_set():
            try:
                kept.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                full.set()
                enough.wait(0.002)

    def let_go():
        enough.set()
        hoarder.join()
        for fd in kept:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    hoarder = threading.Thread(target=hoard)
    hoarder.start()
    full.wait()
"""

# It needs a segment of its own, so a file more.
BIG = "q.put(bytes(700_000))"


def told(group: str, member) -> bool:
    text = f"group '{group}': this process has no file descriptor left"
    return text in member.stderr and "raise the limit of this process (ulimit -n" in member.stderr


def test_a_leader_that_runs_out_lets_another_lead(directory, group):
    leader = open_leader(group)
    heir = open_member(group)
    leader.do("q.put('before'); q.flush()")
    leader.do(HOARD)
    leader.do(BIG)
    eventually(lambda: heir.do("q.is_leader"), what="the other to lead")
    eventually(lambda: told(group, leader))
    assert lock_holder(directory, group) == heir.pid
    heir.do("q.put('meanwhile'); q.flush(timeout=5)")
    assert heir.do("[q.get(timeout=5), q.get(timeout=5)]") == ["before", "meanwhile"]
    leader.do("let_go()")
    leader.do("q.flush(timeout=15)")
    assert heir.do("len(q.get(timeout=5))") == 700_000
    assert "crashed" not in leader.stderr


def test_one_that_is_alone_waits_without_the_lock_and_goes_on(directory, group):
    leader = open_leader(group)
    leader.do("q.put('before'); q.flush()")
    leader.do(HOARD)
    leader.do(BIG)
    eventually(lambda: told(group, leader))
    eventually(lambda: lock_holder(directory, group) is None)
    before = cpu_seconds(leader.pid)
    stays(lambda: lock_holder(directory, group) is None, 1.0, "nobody has the lock")
    assert cpu_seconds(leader.pid) - before < 0.3
    assert leader.stderr.count("no file descriptor") <= MOST_ROUNDS
    assert "crashed" not in leader.stderr
    leader.do("let_go()")
    assert leader.do("[q.get(timeout=15), len(q.get(timeout=15))]") == ["before", 700_000]


@pytest.fixture
def scattered(directory, group):
    """A group of twenty items in as many segments, with nobody there."""
    member = open_leader(group)
    for number in range(20):
        member.do(f"q.put(({number}, bytes(600_000))); q.flush()")
        member.do("m = q.get_message(); m.requeue()" if number == 0 else "None")
    journal = os.path.join(directory, group, "journal")
    assert sum(name.startswith("items-") for name in os.listdir(journal)) > 4
    return member


def test_one_that_cannot_open_all_of_the_journal_leaves_it_to_another(directory, group, scattered):
    short = open_member(group)
    short.do("""
        import resource
        used = max(map(int, os.listdir("/proc/self/fd")))
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (used + 5, limits[1]))
    """)
    scattered.kill()
    eventually(lambda: told(group, short))
    eventually(lambda: lock_holder(directory, group) is None)
    before = len(os.listdir(f"/proc/{short.pid}/fd"))
    heir = open_member(group)
    eventually(lambda: heir.do("q.is_leader"), what="the other to lead")
    assert short.do("q.get(timeout=15)[0]") == 0
    heir.kill()
    eventually(lambda: short.stderr.count("no file descriptor") > 1)
    eventually(lambda: len(os.listdir(f"/proc/{short.pid}/fd")) <= before, what="nothing of the attempts to stay open")
    assert "crashed" not in short.stderr
    short.do("resource.setrlimit(resource.RLIMIT_NOFILE, limits)")
    assert short.do("[q.get(timeout=15)[0] for _ in range(19)]") == list(range(1, 20))


def test_a_leader_that_can_accept_nobody_lets_another_lead(directory, group):
    leader = open_leader(group)
    leader.do("q.put('before'); q.flush()")
    leader.do(HOARD)
    heir = open_member(group)
    eventually(lambda: heir.do("q.is_leader"), what="the other to lead")
    eventually(lambda: told(group, leader))
    assert heir.do("q.get(timeout=5)") == "before"
    leader.do("let_go()")
    leader.do("q.put('after'); q.flush(timeout=15)")
    assert heir.do("q.get(timeout=5)") == "after"
