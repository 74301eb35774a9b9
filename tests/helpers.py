"""
Processes for the tests: unrelated ones, started as a user starts a script.

They talk in lines. No test sleeps and hopes: it waits for a line, an exit or a condition, and each wait has a deadline.
Whatever a test has started is killed when it ends (conftest.py), and what it said is in the report of a failure.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 20.0
"""Seconds that a wait lasts if it does not say otherwise: far more than anything takes, so only a hang meets it."""

LAST_WORDS = 1.0
SOAK = max(1.0, float(os.environ.get("GROUPQUEUE_SOAK", "1")))
"""How many times the usual number of kills and rounds a soak makes."""

started: list[Script] = []
"""What the running test has started; conftest.py ends it."""

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: chown, setuid or mount")


def scaled(count: int) -> int:
    return int(count * SOAK)


def within(seconds: float) -> pytest.MarkDecorator:
    """The deadline of a whole test, stretched in a soak."""
    return pytest.mark.timeout(seconds * SOAK)


def eventually(condition: Callable[[], Any], timeout: float = PATIENCE, what: str = "") -> Any:
    """Waits for something that has no event to wait for; returns what the condition returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            pytest.fail(f"not within {timeout:g} s: {what or condition}")
        time.sleep(0.002)


def stays(condition: Callable[[], Any], seconds: float, what: str = "") -> None:
    """Something that must not change: looked at all the time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not condition():
            pytest.fail(f"did not last {seconds:g} s: {what or condition}")
        time.sleep(0.005)


class Clock:
    """`with Clock() as clock: ...` and then `clock.elapsed`."""

    def __enter__(self) -> Clock:
        self._start = time.monotonic()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.elapsed = time.monotonic() - self._start


class Script:
    """One process, the leader of a process group of its own."""

    def __init__(
        self,
        command: list[str],
        *,
        label: str,
        env: dict[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1"}
        for name, value in (env or {}).items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        self.label = label
        self.lines: list[str] = []
        self._heard = 0
        self._ended = False
        self._changed = threading.Condition()
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  # closed by end()
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environment,
            cwd=cwd,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read_lines, name=f"reads {label}", daemon=True)
        self._reader.start()
        started.append(self)

    def __repr__(self) -> str:
        return f"<{self.label} pid={self.pid} status={self._process.poll()} lines={len(self.lines)}>"

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                with self._changed:
                    self.lines.append(line.decode(errors="replace").rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    # Talking

    def expect(self, word: str, timeout: float = PATIENCE) -> str:
        """Waits for the next line that begins with `word`; returns the rest of it. Lines before it are passed over."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                while self._heard < len(self.lines):
                    line = self.lines[self._heard]
                    self._heard += 1
                    first, _, rest = line.partition(" ")
                    if first == word:
                        return rest
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._changed.wait(left)
        why = "it ended" if self._ended else f"nothing came in {timeout:g} s"
        if not self._ended:
            self.ask_for_stacks()
        return pytest.fail(f"{self!r} did not say {word!r}: {why}")

    def send(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def hang_up(self) -> None:
        """Nothing more is sent."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def ask_for_stacks(self) -> None:
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGUSR1)
            time.sleep(0.3)

    @property
    def stderr(self) -> str:
        """What it has written there so far."""
        return os.pread(self._stderr.fileno(), 1 << 24, 0).decode(errors="replace")

    # Living and dying

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and it is dead when this returns. What it forked lives on."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def stop(self) -> None:
        """SIGSTOP, and it is stopped when this returns."""
        self.signal(signal.SIGSTOP)
        eventually(lambda: process_state(self.pid) == "T", what=f"{self!r} stopped")

    def cont(self) -> None:
        self.signal(signal.SIGCONT)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit status; by then `lines` has all that it said, unless a child of its own still has the pipe."""
        try:
            status = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.ask_for_stacks()
            return pytest.fail(f"{self!r} did not end in {timeout:g} s")
        self._reader.join(LAST_WORDS)
        return status

    def end(self) -> None:
        """Kills it and everything it has started, and closes what the test holds of it."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if self.is_alive:
            self._process.kill()
        self._process.wait(PATIENCE)
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._reader.join(PATIENCE)
        self._stderr.close()

    def report(self) -> str:
        said = "\n".join(self.lines[-40:])
        return f"status: {self._process.poll()}\nlast lines:\n{said}\nstderr:\n{self.stderr[-8000:]}"


class Raised(Exception):
    """What a piece of Python raised in another process: `Type/Base/...: text`."""


class Member(Script):
    """A process with `q` open, which does what it is told (shell.py)."""

    def begin(self, piece: str) -> None:
        """Starts a piece of Python there; `result` waits for its end."""
        self.send(json.dumps(textwrap.dedent(piece).strip()))

    def result(self, timeout: float = PATIENCE) -> Any:
        """What the oldest piece that has not been asked for came to, or `Raised`."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                while self._heard < len(self.lines):
                    line = self.lines[self._heard]
                    self._heard += 1
                    if line.startswith("! "):
                        raise Raised(line[2:])
                    if line.startswith("= "):
                        return literal(line[2:])
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    break
                self._changed.wait(left)
        if not self._ended:
            self.ask_for_stacks()
        return pytest.fail(f"{self!r} did not answer in {timeout:g} s")

    def do(self, piece: str, timeout: float = PATIENCE) -> Any:
        self.begin(piece)
        return self.result(timeout)


def literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def run_script(source: str | Path, *args: object, **how: Any) -> Script:
    """Starts a script: a file, or a source that is written to one and has `say` and `hear` (talk.py)."""
    if isinstance(source, Path):
        path = str(source)
        label = source.stem
    else:
        text = "from tests.talk import hear, say\n" + textwrap.dedent(source)
        handle, path = tempfile.mkstemp(suffix=".py", prefix="script-", dir=os.environ["GROUPQUEUE_TEST_SCRIPTS"])
        with open(handle, "w") as file:
            file.write(text)
        label = next((line.strip("# ") for line in source.strip().splitlines()), "script")
    return Script([sys.executable, "-u", path, *map(str, args)], label=label, **how)


def open_member(
    name: str | None = None,
    *,
    kind: str = "GroupQueue",
    env: dict[str, str | None] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    begin: str = "",
    **options: Any,
) -> Member:
    """A process that has opened the group. `begin` is a piece of Python that it starts with."""
    command = [sys.executable, "-u", str(ROOT / "tests" / "shell.py"), kind, repr(name), repr(options)]
    member = Member(command, label=f"member {options.get('mode', 'dual')}", env=env, cwd=cwd)
    member.expect("open")
    if begin:
        member.begin(begin)
    return member


def open_leader(name: str | None = None, *, begin: str = "", **options: Any) -> Member:
    """A process that has opened the group, and leads it."""
    member = open_member(name, **options)
    eventually(lambda: member.do("q.is_leader"), what="the first member to lead")
    if begin:
        member.begin(begin)
    return member


# What the system knows


def process_state(pid: int) -> str:
    """R running, S sleeping, T stopped, Z dead and not waited for, "" gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return ""
    except ProcessLookupError:
        return ""
    shown = subprocess.run(["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True).stdout
    return shown.strip()[:1]


def cpu_seconds(pid: int) -> float:
    """How long a process has computed."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def lock_holder(directory: str | Path, group: str) -> int | None:
    """The pid that holds the group's flock, as the kernel tells it: exact also while nobody serves."""
    try:
        inode = str(os.stat(Path(directory, group, "lock")).st_ino)
    except FileNotFoundError:
        return None
    with open("/proc/locks") as file:
        for line in file:
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5].rpartition(":")[2] == inode:
                return int(fields[4])
    return None


def disk_usage(folder: str | Path) -> int:
    """Bytes that a folder takes on disk."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in [".", *names]:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
    return total


def remove_tree(folder: str | Path) -> None:
    """Removes a folder in which a queue of this process may still be closing, and making or removing files itself."""
    deadline = time.monotonic() + 5
    while os.path.lexists(folder) and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)
        if os.path.lexists(folder):
            time.sleep(0.01)
