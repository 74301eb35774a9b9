"""What the commands take that need the standard library only, each argument named as the parameter it becomes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import metadata
from typing import NoReturn

from groupqueue.cli import EXIT_STATUS, LONGEST, USAGE, Problem, extra, say
from groupqueue.core import messages, records
from groupqueue.system.paths import check_name, default_directory


def run(words: Sequence[str]) -> int:
    """Runs the command; SystemExit for --help and wrong usage."""
    given = vars(Parser().parse_args(words))
    command = given.pop("command")
    status: int
    if command == "demo":
        from groupqueue.cli.demo.conductor import demo

        status = demo(**given)
    elif command == "serve":
        from groupqueue.cli.serve import serve

        status = serve(**given)
    elif command == "doctor":
        from groupqueue.cli.doctor.report import doctor

        status = doctor(**given)
    else:
        from groupqueue.cli import look

        status = look.stats(**given) if command == "stats" else look.ls(**given)
    return status


class _Parser(argparse.ArgumentParser):
    """Ends with the same status where nobody can be told of a mistake; not every version of argparse does."""

    def error(self, message: str) -> NoReturn:
        with suppress(OSError):
            self.print_usage(sys.stderr)
        self.exit(2, f"{self.prog}: error: {message}\n")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        with suppress(OSError):
            super().exit(status, message)
        sys.exit(status)


class Parser(_Parser):
    """All commands; of those of the extra it knows no more than that they are there. `standard` are the others."""

    def __init__(self) -> None:
        super().__init__(
            prog="groupqueue",
            description="A multiprocessing.Queue that unrelated processes open by name.",
            epilog=f"{', '.join(sorted(extra.COMMANDS))} need click and rich: {extra.REMEDY}. "
            f"`groupqueue COMMAND --help` shows examples. {EXIT_STATUS}.",
        )
        self.add_argument(
            "--version",
            action=_Version,
            nargs=0,
            default=argparse.SUPPRESS,
            help="this version, and those of the wire and the journal",
        )
        self.standard: dict[str, argparse.ArgumentParser] = {}
        self._commands = self.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
        self._add_demo()
        self._add_standard()
        for name, (_, text) in extra.COMMANDS.items():
            self._commands.add_parser(name, help=text, add_help=False)

    def _add_demo(self) -> None:
        add = self._add(
            "demo",
            "hash every file below a folder in separate processes, while the leader is killed again and again",
            ["groupqueue demo", "groupqueue demo ~/src"],
        )
        add.add_argument("folder", nargs="?", type=_folder, help="default: the Python standard library")
        add.add_argument("--directory", metavar="DIR", help="where its temporary directory is made (default: /tmp)")

    def _add_standard(self) -> None:
        add = self._add_for_name(
            "serve",
            "a member that only leads; SIGTERM or SIGINT hands over. Ready for systemd's Type=notify",
            ["groupqueue serve jobs", "groupqueue serve jobs --maxsize 1000 --directory /var/lib/groupqueue"],
        )
        add.add_argument("--maxsize", type=int, help="the bound of the group (default: what it has, else none)")

        add = self._add_for_name(
            "stats",
            "what a group looks like now; it need not have a leader",
            ["groupqueue stats jobs", "groupqueue stats jobs --json", "groupqueue stats jobs --watch --interval 5"],
        )
        add.add_argument("--json", action="store_true", dest="as_json", help="one JSON object, or one a line (--watch)")
        add.add_argument("--watch", action="store_true", help="a line every so often, until Ctrl-C")
        add.add_argument(
            "--interval", type=_seconds, default=1.0, metavar="SECONDS", help="between two looks (default: 1)"
        )

        add = self._add(
            "ls", "the groups of a directory", ["groupqueue ls", "groupqueue ls --json --directory /var/lib/groupqueue"]
        )
        _add_directory(add)
        add.add_argument("--json", action="store_true", dest="as_json", help="one JSON list")

        add = self._add_for_name(
            "doctor",
            "what is wrong with a group and what to do about it; joins nothing and changes nothing",
            ["groupqueue doctor jobs", "groupqueue doctor jobs --json", "groupqueue doctor jobs || mail -s jobs ops"],
        )
        add.add_argument("--json", action="store_true", dest="as_json", help="one JSON object")

    def _add_for_name(self, command: str, text: str, examples: list[str]) -> argparse.ArgumentParser:
        add = self._add(command, text, examples)
        add.add_argument("name", metavar="NAME", type=_name, help="the group's")
        _add_directory(add)
        return add

    def _add(self, command: str, text: str, examples: list[str]) -> argparse.ArgumentParser:
        shown = "\n".join(f"  {example}" for example in examples)
        found: argparse.ArgumentParser = self._commands.add_parser(
            command,
            help=text,
            description=text,
            epilog=f"examples:\n{shown}\n\n{EXIT_STATUS}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.standard[command] = found
        return found


class _Version(argparse.Action):
    """Says what must be the same in all processes of a group, and exits."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        try:
            version = metadata.version("groupqueue")
        except metadata.PackageNotFoundError:
            version = "(not installed)"
        python = ".".join(map(str, sys.version_info[:3]))
        say(f"groupqueue {version}, wire {messages.VERSION}, journal {records.VERSION}, Python {python}")
        parser.exit()


def _add_directory(parser: argparse.ArgumentParser) -> None:
    default = default_directory().replace("%", "%%")
    parser.add_argument(
        "--directory", metavar="DIR", help=f"where groups live (default: $GROUPQUEUE_DIR, here {default})"
    )


def _name(text: str) -> str:
    try:
        return check_name(text)
    except ValueError as error:
        raise Problem(str(error), USAGE) from None


def _folder(text: str) -> str:
    if not os.path.isdir(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return text


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value
