"""
System calls of a whole process, all threads of it, as strace sees them.

Waiting for a lock (futex) is not among them: how often two threads meet at one is the machine's doing. How many batches
carry a run of puts is partly so, hence the wide bounds there; one call to each item would exceed them tenfold. The
others are one and a half times what was counted.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, Member, eventually, open_leader, open_member

STRACE = ["strace", "-f", "-qq", "-e", "trace=!futex"]


def can_trace() -> bool:
    """Not everybody may: containers often forbid it."""
    if not shutil.which("strace"):
        return False
    return subprocess.run([*STRACE, "-o", "/dev/null", "true"], capture_output=True, timeout=20).returncode == 0


pytestmark = pytest.mark.skipif(not can_trace(), reason="strace is not here, or may not trace")


class Traced(Member):
    """A member whose system calls are counted."""

    def __init__(self, group: str, log: Path) -> None:
        self._log = log
        shell = [sys.executable, "-u", str(ROOT / "tests" / "shell.py"), "GroupQueue", repr(group), "{}"]
        super().__init__([*STRACE, "-o", str(log), *shell], label="traced member")
        self.expect("open")

    def begin_counting(self, piece: str) -> None:
        self.begin(f"say('begins')\n{piece}\nsay('ends')")

    def counted(self) -> int:
        """The calls of the piece that was begun last."""
        assert self.result() is None
        text = self._log.read_text().rpartition('"begins\\n"')[2].partition('"ends\\n"')[0]
        return len(re.findall(r"^\d+ +\w+\(", text, re.MULTILINE))

    def count(self, piece: str) -> int:
        self.begin_counting(piece)
        return self.counted()


def test_of_a_member(group, tmp_path):
    leader = open_leader(group)
    member = Traced(group, tmp_path / "log")
    member.do("q.wait_for_leader()")
    assert member.count("for n in range(4000): q.put(n)\nq.flush()") <= 4000 * 0.05, "is a thread woken for each batch?"
    assert member.count("for _ in range(4000): q.get()") <= 4000 * 0.05
    assert member.count("q.put_many(range(4000)); q.flush()") <= 4000 * 0.01
    assert member.count("for _ in range(4): q.get_many(1000)") <= 4000 * 0.02
    leader.begin("for _ in range(200): q.reply(q.get())")
    assert member.count("for n in range(200): q.put_wait(n)") <= 200 * 8
    leader.result()
    leader.begin("for n in range(200): q.put_wait(n)")
    assert member.count("for _ in range(200): q.reply(q.get())") <= 200 * 8
    leader.result()


def test_of_a_leader_that_is_asked(group, tmp_path):
    leader = Traced(group, tmp_path / "log")
    eventually(lambda: leader.do("q.is_leader"))
    member = open_member(group)
    leader.begin_counting("for _ in range(200): q.reply(q.get())")
    member.do("for n in range(200): q.put_wait(n)")
    assert leader.counted() <= 200 * 19
