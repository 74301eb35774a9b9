"""
The command line: `python -m groupqueue`, and `groupqueue` where the package is installed.

It chooses who reads the arguments, and turns whatever a command ends with into an exit status and at most one line on
standard error, never a traceback; what a command does is in `groupqueue.cli`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from groupqueue.cli import DONE, FAILED, INTERRUPTED, Problem, arguments, extra
from groupqueue.exceptions import GroupDirectoryError, GroupQueueError, ShutDown


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; argparse itself exits with 2."""
    words = list(sys.argv[1:] if argv is None else argv)
    command = words[0] if words else ""
    try:
        is_extra = command in extra.COMMANDS or extra.is_completing()
        status = extra.run(words) if is_extra else arguments.run(words)
        sys.stdout.flush()
    except Problem as problem:
        return _complain(command, problem, problem.status)
    except BrokenPipeError:
        return _reader_is_gone()
    except GroupDirectoryError as error:
        return _complain(command, error.strerror)
    except ShutDown as error:
        return _complain(command, error)
    except (GroupQueueError, OSError, ValueError) as error:
        return _complain(command, error)
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def _complain(command: str, what: object, status: int = FAILED) -> int:
    print(f"groupqueue {command}: {what}" if command else f"groupqueue: {what}", file=sys.stderr)
    return status


def _reader_is_gone() -> int:
    """`groupqueue ls | head`: nobody reads on, and the interpreter must not complain when it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DONE


if __name__ == "__main__":
    sys.exit(main())
