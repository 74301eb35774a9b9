"""`groupqueue clear`, `requeue` and `unlink`: what an operator does to a group."""

from __future__ import annotations

import sys

import click

from groupqueue.cli import DONE, USAGE, Problem, parameters, say
from groupqueue.cli.look import find
from groupqueue.cli.opening import operator
from groupqueue.cli.viewer import Viewer
from groupqueue.queues import GroupQueue


@parameters.command("groupqueue clear jobs", "groupqueue clear jobs --yes")
@parameters.on_group
@click.option("--yes", is_flag=True, help="Do not ask.")
def clear(name: str, directory: str | None, yes: bool) -> int:
    """Remove every item that nobody has got. Who waits for a reply to one is told that none will come."""
    with operator(name, directory) as queue:
        if not yes:
            _confirm(f"Remove {queue.qsize():,} item(s) from group {name!r} in {queue.directory}?")
        say(f"{queue.clear():,} item(s) removed")
    return DONE


@parameters.command("groupqueue requeue jobs", "groupqueue failed jobs && groupqueue requeue jobs")
@parameters.on_group
def requeue(name: str, directory: str | None) -> int:
    """Put every item of the failed list back into the queue, at its original place."""
    with operator(name, directory) as queue:
        say(f"{queue.requeue_failed():,} item(s) put back")
    return DONE


@parameters.command("groupqueue unlink jobs", "groupqueue unlink jobs --yes")
@parameters.on_group
@click.option("--yes", is_flag=True, help="Do not ask, even if it still has items.")
def unlink(name: str, directory: str | None, yes: bool) -> int:
    """Remove a group and its items. Refused while any process has it open; asks first if it still has items."""
    paths = find(name, directory)
    with Viewer(paths) as viewer:
        found, problem = viewer.look()
    if found.leader_pid is not None:
        raise Problem(f"group {name!r} has living members, process {found.leader_pid} leads; close them first")
    left = found.ready + found.in_flight + found.failed
    if (left or problem) and not yes:
        items = "whose items cannot be counted" if problem else f"with {left:,} item(s)"
        _confirm(f"Remove group {name!r} in {paths.directory} {items}?")
    GroupQueue.unlink(name, paths.directory)
    return DONE


def _confirm(question: str) -> None:
    """Returns if the user says yes; Problem otherwise."""
    if not sys.stdin.isatty():
        raise Problem(f"{question} Nobody can be asked here: --yes", USAGE)
    if not click.confirm(question, err=True):
        raise Problem("nothing was removed")
