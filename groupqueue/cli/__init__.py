"""
The commands of `groupqueue`. They use the package as any program does; nothing imports them but `__main__`.

`demo`, `serve`, `stats`, `ls` and `doctor` need the standard library only, and argparse reads their arguments. The
others need click and rich, the extra `cli`; a module that imports those is imported by nothing that does without.
"""

from __future__ import annotations

import sys

DONE = 0
FAILED = 1
"""Also: there was nothing there."""
USAGE = 2
LATE = 124
"""A --timeout was over; as timeout(1) does it."""
INTERRUPTED = 130

LONGEST = 1_000_000_000
"""Seconds that can be waited for."""

EXIT_STATUS = "exit status: 0 fine, 1 something is wrong, failed or not there, 2 wrong usage, 124 not in time"


class Problem(Exception):
    """What a command found wrong, in words for the user, and the exit status for it."""

    def __init__(self, text: str, status: int = FAILED) -> None:
        super().__init__(text)
        self.status = status


def say(text: str = "") -> None:
    """One line on standard output, at once. What its encoding cannot show is shown with backslashes."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()
