"""Nobody's timeouts, and nobody's lead, hang by the wall clock: it may jump by days, back and forth."""

from __future__ import annotations

import ast

import pytest

from tests.helpers import ROOT, Clock, Raised, eventually, linux_only, lock_holder, open_member

WALL_CLOCKS = {"time", "time_ns", "ctime", "gmtime", "localtime"}

TELL_FOR_PEOPLE_OR_OF_LITTER = {
    "groupqueue/cli/doctor/place.py",
    "groupqueue/cli/look.py",
    "groupqueue/system/cursors.py",
    "groupqueue/system/membership.py",
}
"""Who may read the wall clock: what it tells goes to people, or is compared with the times of files."""

# Each look at the clock shows another day. What the queue warns of is kept.
LIVE_WITH_A_JUMPING_CLOCK = """
    import itertools, logging
    real, jumps = time.time, itertools.cycle((0, 3 * 86400, -5 * 86400, 3600, -400 * 86400))
    time.time = lambda: real() + next(jumps)
    time.time_ns = lambda: int(1e9 * time.time())
    warnings = []
    class Keep(logging.Handler):
        def emit(self, record):
            warnings.append(record.getMessage())
    logging.getLogger("groupqueue").addHandler(Keep(logging.WARNING))
    q.close()
    q = GroupQueue("jobs")
"""


@linux_only
def test_processes_whose_clocks_jump_by_days_notice_nothing(directory):
    leader = open_member("jobs")
    leader.do(LIVE_WITH_A_JUMPING_CLOCK)
    eventually(lambda: leader.do("q.is_leader"))
    producer, consumer = open_member("jobs"), open_member("jobs")
    for member in (producer, consumer):
        member.do(LIVE_WITH_A_JUMPING_CLOCK)

    producer.begin("for n in range(2000): q.put(n)\nq.flush(timeout=10)")
    assert consumer.do("[q.get(timeout=10) for _ in range(2000)] == list(range(2000))")
    producer.result()

    with Clock() as clock, pytest.raises(Raised, match="Empty"):
        consumer.do("q.get(timeout=0.3)")
    assert 0.3 <= clock.elapsed < 1.5
    with Clock() as clock, pytest.raises(Raised, match="ReplyTimeout"):
        producer.do("q.put_wait('nobody answers', timeout=0.3)")
    assert 0.3 <= clock.elapsed < 1.5
    consumer.begin("q.reply(q.get(timeout=10) + 1)")
    assert producer.do("q.put_wait(1, timeout=10)") == 2
    consumer.result()

    leader.kill()
    with Clock() as clock:
        producer.do("q.put('to the next leader'); q.flush(timeout=10)")
        assert consumer.do("q.get(timeout=10)") == "to the next leader"
    assert clock.elapsed < 2
    assert lock_holder(directory, "jobs") in {producer.pid, consumer.pid}
    assert producer.do("warnings") == consumer.do("warnings") == []


def test_no_wait_looks_at_the_wall_clock():
    found = set()
    for path in sorted((ROOT / "groupqueue").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            of_time = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "time"
            imported = isinstance(node, ast.ImportFrom) and node.module in {"time", "datetime"}
            if (of_time and node.attr in WALL_CLOCKS) or imported:
                found.add(path.relative_to(ROOT).as_posix())
    assert found == TELL_FOR_PEOPLE_OR_OF_LITTER
