"""What the commands of the extra take in common, and how their help is laid out."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from groupqueue.cli import EXIT_STATUS, LONGEST, USAGE, Problem
from groupqueue.cli.look import group_names
from groupqueue.system.paths import check_name, default_directory, resolve_directory

SHORTEST = 0.02

F = TypeVar("F", bound=Callable[..., Any])


def check_group(_: click.Context, __: click.Parameter, value: str) -> str:
    """The name, if it is one of a group; else Problem."""
    try:
        return check_name(value)
    except ValueError as error:
        raise Problem(str(error), USAGE) from None


def complete_group(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The groups that are there."""
    try:
        names = group_names(resolve_directory(ctx.params.get("directory")))
    except OSError:
        return []
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def command(*examples: str, **settings: Any) -> Callable[[Callable[..., Any]], click.Command]:
    """`click.command`, with examples and the exit status below the help."""
    shown = "\n".join(f"  {example}" for example in examples)
    return click.command(epilog=f"\b\nExamples:\n{shown}\n\n{EXIT_STATUS}", **settings)


def on_group(function: F) -> F:
    """NAME and --directory."""
    default = default_directory()
    directory = click.option(
        "--directory",
        type=click.Path(),
        metavar="DIR",
        is_eager=True,
        help=f"Where groups live (default: $GROUPQUEUE_DIR, here {default}).",
    )
    return click.argument("name", callback=check_group, shell_complete=complete_group)(directory(function))


def seconds(*declaration: str, **settings: Any) -> Callable[[F], F]:
    """An option that is a number of seconds, 0 or more."""
    return click.option(*declaration, type=float, callback=_check_seconds, metavar="SECONDS", **settings)


def interval(default: float) -> Callable[[F], F]:
    """--interval, between two looks: never so short that looking is all that is done."""

    def check(ctx: click.Context, param: click.Parameter, value: float) -> float:
        return max(_check_seconds(ctx, param, value) or 0.0, SHORTEST)

    text = f"Between two looks. [{default:g}]"
    return click.option("--interval", type=float, default=default, callback=check, metavar="SECONDS", help=text)


def _check_seconds(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and not 0 <= value <= LONGEST:
        raise click.BadParameter(f"{value} is not a number of seconds from 0 to {LONGEST:,}")
    return value


def in_a_form(function: Callable[..., Any]) -> Callable[..., Any]:
    """How items are printed: at most one of three flags, `form` to the function."""

    @functools.wraps(function)
    def with_form(*args: Any, as_json: bool, as_text: bool, as_repr: bool, **kwargs: Any) -> Any:
        chosen = [form for form, wanted in (("json", as_json), ("text", as_text), ("repr", as_repr)) if wanted]
        if len(chosen) > 1:
            raise click.UsageError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
        return function(*args, form=chosen[0] if chosen else "plain", **kwargs)

    for name, text in (
        ("repr", "Everything as Python shows it."),
        ("text", "Text as it is, line breaks too; the rest as Python shows it."),
        ("json", "JSON, one value a line; what JSON cannot say is described by an object."),
    ):
        with_form = click.option(f"--{name}", f"as_{name}", is_flag=True, help=text)(with_form)
    return with_form
