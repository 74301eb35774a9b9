"""
A process in a terminal of its own: a pseudo-terminal that is its controlling one, so that Ctrl-C and Ctrl-Z are typed.

What it shows is kept as text, without the control sequences that move the cursor and paint; nothing else of a terminal
is emulated, so a test looks for words, and not for where they stand.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from typing import Any

import pytest

from tests import helpers
from tests.helpers import PATIENCE, ROOT

CONTROL = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|[=>])|\r")
IN_ITS_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """One process, as `Script` is, but in a terminal. `raw` is all that it wrote."""

    def __init__(
        self, *argv: str, shell: str = "", size: tuple[int, int] = (40, 120), env: dict[str, str] | None = None
    ) -> None:
        """Runs `groupqueue` with these arguments, or what a shell makes of `shell`."""
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.before = termios.tcgetattr(slave)
        self._slave = slave
        self.raw = ""
        self._heard = 0
        self._ended = False
        self._changed = threading.Condition()
        self.label = shell or " ".join(argv)
        command = ["/bin/bash", "-c", shell] if shell else [sys.executable, "-m", "groupqueue", *argv]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", **(env or {})}
        # Of the terminal in which the tests run.
        for name in ("COLUMNS", "LINES"):
            environment.pop(name, None)
        self._process = subprocess.Popen(
            [sys.executable, "-c", IN_ITS_TERMINAL, *command],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, name=f"reads {self.label}", daemon=True)
        self._reader.start()
        helpers.started.append(self)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<terminal {self.label!r} pid={self.pid} status={self._process.poll()}>"

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:
                data = b""
            with self._changed:
                self.raw += data.decode("utf-8", "replace")
                self._ended = not data
                self._changed.notify_all()
            if not data:
                return

    @property
    def text(self) -> str:
        return CONTROL.sub("", self.raw)

    def expect(self, pattern: str, timeout: float = PATIENCE) -> re.Match[str]:
        """Waits until it shows the pattern, after what was expected before."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                text = self.text
                found = re.compile(pattern).search(text, self._heard)
                if found:
                    self._heard = found.end()
                    return found
                left = deadline - time.monotonic()
                if self._ended or left <= 0:
                    return pytest.fail(f"{self!r} did not show {pattern!r}; it showed {text[self._heard :][-3000:]!r}")
                self._changed.wait(left)

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def attributes(self) -> list[Any]:
        """How the terminal is set now."""
        return termios.tcgetattr(self._slave)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def ends_within(self, seconds: float) -> bool:
        """Whether the process has ended by then."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def wait(self, timeout: float = PATIENCE) -> int:
        """Its exit status."""
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return pytest.fail(f"{self!r} did not end; it showed {self.text[-3000:]!r}")

    # As conftest.py ends and reports a script

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def stderr(self) -> str:
        return ""

    def report(self) -> str:
        return f"status: {self._process.poll()}\nlast shown:\n{self.text[-4000:]}"

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        if self.is_alive:
            self._process.kill()
        self._process.wait(PATIENCE)
        os.close(self._slave)
        self._reader.join(PATIENCE)
        os.close(self._master)
