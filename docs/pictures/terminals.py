"""
Puts what two terminals show during a failover into docs/cli.md. `python docs/pictures/terminals.py`

`groupqueue serve jobs` leads, one process puts and two get; the leader is killed while `groupqueue top` and `groupqueue
stats --watch` look on, each in a terminal of its own. Of what they show only the directory is changed, to what it is by
default.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

from groupqueue import GroupQueue

PAGE = Path(__file__).resolve().parent.parent / "cli.md"
CONTROL = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[()][A-Z0-9]|[=>])|\r")
HOME = "\x1b[H"
IN_ITS_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)


class Terminal:
    """A process in a terminal of 24 lines and 80 columns; `raw` is all that it wrote."""

    def __init__(self, *argv: str) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = [sys.executable, "-c", IN_ITS_TERMINAL, sys.executable, "-m", "groupqueue", *argv]
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONUTF8": "1"}
        self.process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True
        )
        os.close(slave)
        self.raw = ""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                self.raw += os.read(self._master, 65536).decode("utf-8", "replace")
            except OSError:
                return

    def text(self) -> str:
        return CONTROL.sub("", self.raw)

    def screen(self) -> str:
        """The last picture that is whole: each begins at the upper left corner."""
        shown = self.raw.split(HOME)[-2:][0]
        return "\n".join(line.rstrip() for line in CONTROL.sub("", shown).splitlines()).strip("\n")


def consume() -> None:
    """Gets, a few hundred items a second."""
    with GroupQueue("jobs") as q:
        for _ in q:
            time.sleep(0.004)


def produce() -> None:
    """Puts somewhat more than that, in waves."""
    with GroupQueue("jobs", mode="client") as q:
        for number in range(1_000_000):
            q.put({"id": number})
            time.sleep(0.0015 if number // 700 % 2 else 0.003)


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within 30 s: {what}")
        time.sleep(0.05)


def capture() -> tuple[str, str]:
    """What `top` and `stats --watch` show."""
    shows: list[Terminal] = []
    others: list[subprocess.Popen[bytes]] = []
    leader = subprocess.Popen([sys.executable, "-m", "groupqueue", "serve", "jobs"], stderr=subprocess.DEVNULL)
    try:
        with GroupQueue("jobs", mode="client") as q:
            until(lambda: q.stats().leader_pid == leader.pid, "the leader leads")
        others = [subprocess.Popen([sys.executable, __file__, role]) for role in ("consume", "consume", "produce")]
        time.sleep(8)
        shows = [Terminal("top", "jobs"), Terminal("stats", "jobs", "--watch")]
        top, stats = shows
        time.sleep(4)
        leader.send_signal(signal.SIGKILL)
        leader.wait()
        until(lambda: "1 failover(s) seen, the last 3 s ago" in top.screen(), "top shows the failover")
        return top.screen(), stats.text()
    finally:
        for process in (leader, *others, *(show.process for show in shows)):
            process.kill()
            process.wait()


def lines_around_the_change(stats: str) -> str:
    """The heading, and two lines on either side of the failover."""
    heading, *rows = [line.rstrip() for line in stats.splitlines() if line.strip()]
    leaders = [row.split()[1] for row in rows]
    change = next(index for index in range(1, len(rows)) if leaders[index] != leaders[index - 1])
    return "\n".join([heading, *rows[max(change - 2, 0) : change + 2]])


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="gq-", dir="/tmp") as directory:
        os.environ["GROUPQUEUE_DIR"] = directory
        top, stats = capture()
    top = top.replace(directory, "/tmp/groupqueue-1000")
    page = PAGE.read_text(encoding="utf-8")
    at = page.index("## Watching")
    blocks = iter((top, lines_around_the_change(stats)))
    new = re.sub(r"```text\n.*?```", lambda _: f"```text\n{next(blocks)}\n```", page[at:], flags=re.DOTALL)
    PAGE.write_text(page[:at] + new, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        {"consume": consume, "produce": produce}[sys.argv[1]]()
    else:
        main()
