"""The commands of the extra as click has them: found by name, run, and completed in a shell."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Sequence

import click
import rich  # noqa: F401  # wanted by some commands: all of the extra is there, or none

from groupqueue.cli import DONE, INTERRUPTED, extra
from groupqueue.cli.arguments import Parser
from groupqueue.cli.parameters import complete_group


class App(click.Group):
    """Imports a command's module when the command is wanted. Knows the standard ones too, to complete them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*extra.COMMANDS, *Parser().standard])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in extra.COMMANDS:
            module = importlib.import_module(f"groupqueue.cli.{extra.COMMANDS[cmd_name][0]}")
            found: click.Command = getattr(module, cmd_name)
            return found
        standard = Parser().standard.get(cmd_name)
        return _to_complete(cmd_name, standard) if standard is not None else None


def run(words: Sequence[str]) -> int:
    """Runs the command that the first word names. KeyboardInterrupt and the command's own errors pass through."""
    app = App("groupqueue")
    try:
        with app.make_context("groupqueue", list(words)) as context:
            status = app.invoke(context)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    return DONE if status is None else int(status)


def complete() -> None:
    """Answers a shell that wants a word completed, or the script that teaches it to; does not return."""
    App("groupqueue").main([], prog_name="groupqueue", complete_var=extra.COMPLETE)


def _to_complete(name: str, parser: argparse.ArgumentParser) -> click.Command:
    """A standard command's arguments in click's words. It is never run: argparse reads them."""
    parameters: list[click.Parameter] = []
    for action in parser._actions:
        if action.option_strings and action.dest != "help":
            names = [*action.option_strings, action.dest]
            kind = click.Path(file_okay=False) if action.dest == "directory" else None
            parameters.append(click.Option(names, is_flag=action.nargs == 0, type=kind, help=action.help))
        elif action.dest == "name":
            parameters.append(click.Argument(["name"], shell_complete=complete_group))
        elif action.dest == "folder":
            parameters.append(click.Argument(["folder"], required=False, type=click.Path(file_okay=False)))
    return click.Command(name, params=parameters, help=parser.description)
