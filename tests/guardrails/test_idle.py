"""Who has nothing to do sleeps: how often the kernel had to wake the threads of idle members, by its own count."""

from __future__ import annotations

import time
from pathlib import Path

from tests.helpers import linux_only, open_leader, open_member

SECONDS = 2.0
WAKES = 8
"""In these seconds; the bar is 25 in one."""


def wakes(pid: int) -> int:
    """How often threads of a process have gone to sleep, hence been woken."""
    texts = [(task / "status").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    lines = [line for text in texts for line in text.splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


@linux_only
def test_an_idle_group_is_woken_at_most_four_times_a_second(group):
    members = {"leader": open_leader(group), "member": open_member(group), "waits in get": open_member(group)}
    members["member"].do("q.wait_for_leader()")
    members["waits in get"].begin("q.get()")
    members["leader"].do("q.wait_for_leader()")
    time.sleep(0.5)
    before = {name: wakes(member.pid) for name, member in members.items()}
    time.sleep(SECONDS)
    woken = {name: wakes(member.pid) - before[name] for name, member in members.items()}
    assert max(woken.values()) <= WAKES, woken
