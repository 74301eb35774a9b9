"""Each example does what its docstring says to try, in real processes."""

from __future__ import annotations

import ast
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, Script, eventually, lock_holder, run_script

EXAMPLES = ROOT / "examples"


def start(name: str) -> Script:
    return run_script(EXAMPLES / name)


def line_with(script: Script, pattern: str) -> re.Match[str]:
    """Waits for a line of the script that the pattern is found in, from where the last was found."""
    at = getattr(script, "found_at", 0)

    def search() -> re.Match[str] | None:
        for number, line in enumerate(script.lines[at:], at + 1):
            found = re.search(pattern, line)
            if found:
                script.found_at = number
                return found
        assert script.is_alive, f"{script!r} ended without a line like {pattern!r}"
        return None

    return eventually(search, what=f"a line of {script!r} like {pattern!r}")


def interrupt(script: Script) -> None:
    """Ctrl-C: it ends at once, without a traceback."""
    script.signal(signal.SIGINT)
    assert script.wait() == 0
    assert "Traceback" not in script.stderr, script.stderr


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_each_says_what_to_try(path: Path) -> None:
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert said is not None
    assert len(said.splitlines()) >= 3


def test_groupecho_alone_answers_itself():
    alone = start("groupecho.py")
    line_with(
        alone, rf"process {alone.pid} \(leads\): it is \d\d:\d\d:\d\d in process {alone.pid}, process {alone.pid}$"
    )
    line_with(alone, "it is")
    interrupt(alone)


def test_groupecho_carries_on_when_any_is_killed(directory):
    copies = [start("groupecho.py") for _ in range(3)]
    for copy in copies:
        line_with(copy, rf"it is .*, process {copy.pid}$")
    leader = lock_holder(directory, "echo")
    assert leader in {copy.pid for copy in copies}
    (victim,) = [copy for copy in copies if copy.pid == leader]
    victim.kill()
    survivors = [copy for copy in copies if copy is not victim]
    for _ in range(2):
        for copy in survivors:
            line_with(copy, rf"it is .*, process {copy.pid}$")
    answering = {copy.pid: " ".join(copy.lines[-2:]) for copy in survivors}
    assert not any(f"in process {victim.pid}," in lines for lines in answering.values())
    for copy in survivors:
        interrupt(copy)


def test_producer_exits_and_consumer_gets_its_jobs_later():
    producer = start("producer.py")
    assert producer.wait() == 0
    assert producer.lines == ["put 10 jobs; 10 wait for a consumer"]
    consumer = start("consumer.py")
    line_with(consumer, "waiting for jobs")
    for number in range(3):
        line_with(consumer, rf"got .*'number': {number}, 'from': {producer.pid}\}}$")
    interrupt(consumer)


def test_a_job_of_a_killed_consumer_goes_to_the_next():
    assert start("producer.py").wait() == 0
    first = start("consumer.py")
    line_with(first, "'number': 0,")
    first.kill()
    second = start("consumer.py")
    line_with(second, "'number': 0,.* again$")
    line_with(second, r"'number': 1, 'from': \d+\}$")


def test_drop_in_prints_what_it_printed_before(tmp_path):
    text = (EXAMPLES / "drop_in.py").read_text(encoding="utf-8")
    changed = "from multiprocessing import Process\n\nfrom groupqueue import GroupQueue as Queue\n"
    assert changed in text
    before = tmp_path / "before.py"
    before.write_text(text.replace(changed, "from multiprocessing import Process, Queue\n"), encoding="utf-8")
    scripts = [run_script(before), start("drop_in.py")]
    assert [script.wait() for script in scripts] == [0, 0]
    assert scripts[0].lines == scripts[1].lines
    assert scripts[1].lines[0].endswith("9*9 = 81")
    assert scripts[1].stderr == ""


def test_a_standby_goes_on_when_the_active_consumer_is_killed():
    active = start("standby.py")
    line_with(active, "is active$")
    line_with(active, rf"got tick 1 of process {active.pid}$")
    standby = start("standby.py")
    line_with(standby, "stands by$")
    line_with(active, rf"got tick 1 of process {standby.pid}$")
    assert not any("got" in line for line in standby.lines)
    active.kill()
    line_with(standby, rf"process {standby.pid} got tick \d+ of process {standby.pid}$")
    interrupt(standby)


def test_kill_the_leader_answers_every_question(directory):
    found = subprocess.run(
        [sys.executable, EXAMPLES / "kill_the_leader.py"], capture_output=True, text=True, timeout=45, cwd=ROOT
    )
    # On a busy machine a new process may take longer to come than anybody waits in silence.
    said = [line for line in found.stderr.splitlines() if "waits for a leader" not in line]
    assert (found.returncode, said) == (0, [])
    killed = re.findall(r"^killed (\d+), .* says (\d+), \d+ ms later$", found.stdout, re.MULTILINE)
    assert len(killed) == 5
    assert all(victim != witness for victim, witness in killed)
    assert list(Path(directory).iterdir()) == []
