"""
The command line: `python -m groupqueue`, and `groupqueue` where the package is installed.

It chooses who reads the arguments, and turns whatever a command ends with into an exit status and at most one line on
standard error, never a traceback; what a command does is in `groupqueue.cli`. The same where a standard stream is
closed or its disk is full.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from groupqueue.cli import DONE, FAILED, INTERRUPTED, Problem, arguments, extra
from groupqueue.exceptions import GroupDirectoryError, GroupQueueError, ShutDown
from groupqueue.system.descriptors import occupy_standard


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; argparse itself exits with 2."""
    words = list(sys.argv[1:] if argv is None else argv)
    command = words[0] if words else ""
    _mend_streams()
    try:
        return _run(words, command)
    except Problem as problem:
        return _complain(command, problem, problem.status)
    except BrokenPipeError:
        _write_off(sys.stdout)
        return DONE
    except GroupDirectoryError as error:
        return _complain(command, error.strerror)
    except ShutDown as error:
        return _complain(command, error)
    except (GroupQueueError, OSError, ValueError) as error:
        _write_off_if_broken(sys.stdout)
        return _complain(command, error)
    except KeyboardInterrupt:
        _write_off(sys.stdout)
        return INTERRUPTED


def _run(words: Sequence[str], command: str) -> int:
    is_extra = command in extra.COMMANDS or extra.is_completing()
    try:
        status = extra.run(words) if is_extra else arguments.run(words)
    except SystemExit:
        # argparse has shown its help or what is wrong, or click a completion.
        _write_off_if_broken(sys.stderr)
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return status


def _complain(command: str, what: object, status: int = FAILED) -> int:
    try:
        print(f"groupqueue {command}: {what}" if command else f"groupqueue: {what}", file=sys.stderr, flush=True)
    except OSError:
        _write_off(sys.stderr)
    return status


def _mend_streams() -> None:
    """A stream that the process was started without is there, and fails like one that cannot be written."""
    occupy_standard()
    for fd, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, errors="backslashreplace", closefd=False))  # noqa: SIM115  # for good


def _write_off_if_broken(stream: TextIO) -> None:
    try:
        stream.flush()
    except OSError:
        _write_off(stream)


def _write_off(stream: TextIO) -> None:
    """What is unwritten stays so: the interpreter would try again, and say so again, and exit with 120."""
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


if __name__ == "__main__":
    sys.exit(main())
