"""The commands of `groupqueue`. They use the package as any program does; nothing imports them but `__main__`."""

from __future__ import annotations

import sys


class Problem(Exception):
    """What a command found wrong, in words for the user; the exit status is 1."""


def say(text: str = "") -> None:
    """One line on standard output, at once. Names of files that are no text are shown with backslashes."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()
