"""
The command line: `python -m groupqueue`, and `groupqueue` where the package is installed.

It only parses; what a command does is in `groupqueue.cli`. Exit status: 0 fine, 1 something is wrong or failed, 2 the
command line itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from groupqueue.cli import Problem
from groupqueue.exceptions import GroupDirectoryError, GroupQueueError
from groupqueue.system.paths import check_name, default_directory

EXIT_STATUS = "exit status: 0 fine, 1 something is wrong or failed, 2 wrong usage"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; argparse itself exits with 2."""
    arguments = vars(parser().parse_args(argv))
    command = arguments.pop("command")
    try:
        status = _run(command, arguments)
        sys.stdout.flush()
    except Problem as problem:
        print(f"groupqueue {command}: {problem}", file=sys.stderr)
        return 1
    except (GroupQueueError, OSError, ValueError) as error:
        if isinstance(error, BrokenPipeError):
            return _reader_is_gone()
        text = error.strerror if isinstance(error, GroupDirectoryError) else error
        print(f"groupqueue {command}: {text}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return status


def _run(command: str, arguments: dict[str, Any]) -> int:
    if command == "demo":
        from groupqueue.cli.demo.conductor import demo

        return demo(**arguments)
    if command == "serve":
        from groupqueue.cli.serve import serve

        return serve(**arguments)
    from groupqueue.cli import look

    return look.stats(**arguments) if command == "stats" else look.ls(**arguments)


def parser() -> argparse.ArgumentParser:
    """The commands and their arguments, named as the parameters of the functions that run them."""
    top = argparse.ArgumentParser(
        prog="groupqueue",
        description="A multiprocessing.Queue that unrelated processes open by name.",
        epilog=EXIT_STATUS,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    add = _command(
        commands,
        "demo",
        "hash every file below a folder in separate processes, while the leader is killed again and again",
        "where its temporary directory is made (default: /tmp)",
    )
    add.add_argument("folder", nargs="?", type=_folder, help="default: the Python standard library")

    add = _command(commands, "serve", "a member that only leads; SIGTERM or SIGINT hands over", "where the group lives")
    add.add_argument("name", type=_name)
    add.add_argument("--maxsize", type=int, help="the bound of the group (default: what it has, else none)")

    add = _command(commands, "stats", "what a group looks like now; it need not have a leader", "where the group lives")
    add.add_argument("name", type=_name)
    add.add_argument("--json", action="store_true", dest="as_json", help="one JSON object")

    add = _command(commands, "ls", "the groups of a directory", "which")
    add.add_argument("--json", action="store_true", dest="as_json", help="one JSON list")
    return top


def _command(commands: Any, name: str, text: str, directory: str) -> argparse.ArgumentParser:
    found: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text, epilog=EXIT_STATUS)
    if name != "demo":
        directory = f"{directory} (default: $GROUPQUEUE_DIR, here {default_directory()})".replace("%", "%%")
    found.add_argument("--directory", metavar="DIR", help=directory)
    return found


def _name(text: str) -> str:
    try:
        return check_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _folder(text: str) -> str:
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return text


def _reader_is_gone() -> int:
    """`groupqueue ls | head`: nobody reads on, and the interpreter must not complain when it flushes."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
