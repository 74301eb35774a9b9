"""What the system tells about another process, in words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from groupqueue.system import process
from groupqueue.system.process import is_stopped, state_of
from tests.helpers import eventually, linux_only, run_script


def test_a_process_that_runs_is_running() -> None:
    assert state_of(os.getpid()) in ("running", "alive")


def test_a_process_that_is_gone_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert state_of(child.pid) == "gone"
    assert not is_stopped(child.pid)


@linux_only
def test_a_stopped_process_is_stopped_until_it_goes_on() -> None:
    script = run_script(
        """
        # waits
        say("here")
        hear()
        """
    )
    script.expect("here")
    eventually(lambda: state_of(script.pid) == "sleeping", what="the process to wait")
    script.stop()
    assert state_of(script.pid) == "stopped"
    assert is_stopped(script.pid)
    script.cont()
    eventually(lambda: not is_stopped(script.pid), what="the process to go on")


@linux_only
def test_a_process_that_nobody_waited_for_is_a_zombie() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    eventually(lambda: state_of(child.pid) == "a zombie", what="the child to end")
    child.wait()


def test_where_there_is_no_proc_a_process_is_alive_or_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(process, "open", missing, raising=False)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    assert state_of(child.pid) == "alive"
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert state_of(child.pid) == "gone"


def test_a_process_of_somebody_elses_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError

    def forbidden(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(process, "open", missing, raising=False)
    monkeypatch.setattr(os, "kill", forbidden)
    assert state_of(1) == "alive"
