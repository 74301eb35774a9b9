"""`top` in a real terminal: what it shows, through failovers, and how it leaves the terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from groupqueue import GroupQueue
from groupqueue.__main__ import main
from tests.cli.terminal import Terminal
from tests.helpers import ROOT, eventually, linux_only, open_leader, open_member, process_state

ALTERNATE, ORDINARY = "\x1b[?1049h", "\x1b[?1049l"


def top(group: str, **how: object) -> Terminal:
    return Terminal("top", group, "--interval", "0.1", **how)  # type: ignore[arg-type]


def test_it_shows_the_group_and_q_ends_it(group, directory):
    leader = open_leader(group, maxsize=5000)
    client = open_member(group, mode="client")
    leader.do("q.put_many(range(1234)); q.flush(); m = q.get_message()")
    screen = top(group)
    screen.expect(f"{group} in {directory}")
    screen.expect(f"leader +process {leader.pid}")
    screen.expect("epoch +1, no failover seen")
    screen.expect("1,233 of 5,000 ready, 1 in flight, 0 failed")
    screen.expect("depth +█+")
    screen.expect(f"{leader.pid} +dual +leader")
    screen.expect(f"{client.pid} +client +follower")
    assert screen.raw.count(ALTERNATE) == 1
    screen.type("q")
    assert screen.wait() == 0
    assert screen.raw.rstrip().endswith(ORDINARY) or ORDINARY in screen.raw
    assert screen.attributes() == screen.before
    assert "Traceback" not in screen.text


def test_rates_while_work_is_done(group):
    leader = open_leader(group)
    leader.begin("""
        until = time.monotonic() + 15
        while time.monotonic() < until:
            q.put(1); q.get(); time.sleep(0.001)
    """)
    screen = top(group)
    screen.expect(r"rates +[1-9][\d,]* put/s, [1-9][\d,]* finished/s")
    screen.type("Q")
    assert screen.wait() == 0


def test_ctrl_c_ends_it_and_puts_the_terminal_back(group):
    open_leader(group)
    screen = top(group)
    screen.expect("q ends")
    screen.type("\x03")
    assert screen.wait() == 130
    assert ORDINARY in screen.raw
    assert screen.attributes() == screen.before
    assert "Traceback" not in screen.text


def test_a_failover_before_its_eyes(group):
    leader = open_leader(group)
    heirs = [open_member(group) for _ in range(2)]
    leader.do("q.put_many(range(50)); q.flush()")
    screen = top(group)
    screen.expect(f"leader +process {leader.pid}")
    leader.kill()
    following = int(screen.expect(rf"leader +process (?!{leader.pid}\b)(\d+)")[1])
    assert following in [heir.pid for heir in heirs]
    screen.expect(r"epoch +2, 1 failover\(s\) seen")
    screen.expect("50 ready")
    next(heir for heir in heirs if heir.pid == following).kill()
    (last,) = (heir for heir in heirs if heir.pid != following)
    screen.expect(f"leader +process {last.pid}")
    screen.expect(r"epoch +3, 2 failover\(s\) seen")
    screen.type("q")
    assert screen.wait() == 0
    assert "Traceback" not in screen.text


@linux_only
def test_a_stopped_leader_is_named_and_goes_on(group):
    leader = open_leader(group)
    leader.do("q.put(1); q.flush()")
    screen = top(group)
    screen.expect(f"leader +process {leader.pid}")
    leader.stop()
    screen.expect(f"none: process {leader.pid}, which leads, is stopped and does not answer")
    screen.expect("1 ready")
    leader.cont()
    screen.expect(f"leader +process {leader.pid}")
    screen.type("q")
    assert screen.wait() == 0


def test_without_a_leader_it_shows_the_directory_and_is_no_member(group):
    with GroupQueue(group) as queue:
        queue.put_many(range(3))
        queue.shutdown()
    screen = top(group)
    screen.expect("leader +none")
    screen.expect("3 ready")
    screen.expect("the group is shut down")
    GroupQueue.unlink(group)
    assert screen.wait() == 1
    screen.expect(f"there is no group {group!r}")
    assert screen.attributes() == screen.before


def test_a_small_terminal_and_one_without_unicode(group):
    leader = open_leader(group)
    leader.do("q.put_many(range(9)); q.flush()")
    for _ in range(5):
        open_member(group, mode="client")
    screen = top(group, size=(16, 50), env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0"})
    screen.expect("9 ready")
    screen.expect("depth +#+")
    screen.expect("and 3 more")
    screen.type("q")
    assert screen.wait() == 0


def test_ctrl_z_does_not_stop_it_in_the_midst_of_a_picture(group):
    open_leader(group)
    screen = top(group)
    screen.expect("q ends")
    screen.type("\x1a")
    screen.expect("q ends")
    assert process_state(screen.pid) != "T"
    screen.type("q")
    assert screen.wait() == 0


def test_a_terminal_that_goes_away_ends_it(group):
    leader = open_leader(group)
    screen = top(group)
    screen.expect("q ends")
    screen.signal(signal.SIGHUP)
    eventually(lambda: not screen.is_alive)
    eventually(lambda: leader.do("len(q.stats().members)") == 1)


def test_what_is_no_terminal_is_refused_in_one_line(group, directory, capsys):
    found = subprocess.run(
        [sys.executable, "-m", "groupqueue", "top", group], capture_output=True, text=True, cwd=ROOT, timeout=30
    )
    assert found.returncode == 2
    assert found.stdout == ""
    assert "needs a terminal" in found.stderr
    assert found.stderr.count("\n") == 1
    assert os.listdir(directory) == []


def test_a_terminal_that_cannot_move_its_cursor_is_refused_in_one_line(group):
    open_leader(group)
    screen = top(group, env={"TERM": "dumb"})
    assert screen.wait() == 2
    screen.expect("needs a terminal that can move its cursor; for anything else: groupqueue stats jobs --watch\n")


@pytest.mark.parametrize("command", ["top", "tail", "peek", "failed", "requeue", "clear", "unlink", "stats", "doctor"])
def test_a_group_that_is_not_there_is_not_made(command, directory, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert main([command, "nobody"]) == 1
    said = capsys.readouterr()
    assert "there is no group 'nobody'" in said.err
    assert said.err.count("\n") == 1
    assert os.listdir(directory) == []
