"""
The commands of the extra `cli`: their names, and where they are. Imports click only once one of them is wanted.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from groupqueue.cli import USAGE, Problem

REMEDY = "pip install 'groupqueue[cli]'"
NEEDS = ("click", "rich")
COMPLETE = "_GROUPQUEUE_COMPLETE"
"""What a shell sets when it wants a word completed (docs/cli.md)."""

COMMANDS = {
    "top": ("top", "watch a group live: leader, members, rates, depth"),
    "put": ("putting", "put items: arguments, lines of a file, or standard input"),
    "get": ("getting", "take items and print them"),
    "peek": ("looking", "show the next items without taking them"),
    "tail": ("looking", "show items as they come, without taking them"),
    "failed": ("looking", "show the failed list, and why each item is on it"),
    "requeue": ("operating", "put the failed list back into the queue"),
    "clear": ("operating", "remove every item that nobody has got"),
    "unlink": ("operating", "remove a group that nobody has open, and its items"),
    "bench": ("bench", "compare with multiprocessing.Queue on this machine"),
}
"""To each command its module here and what it does. The module has the command under its name."""


def is_completing() -> bool:
    return COMPLETE in os.environ


def run(words: Sequence[str]) -> int:
    """Runs the command, or completes one."""
    try:
        from groupqueue.cli import app
    except ModuleNotFoundError as error:
        if error.name not in NEEDS:
            raise
        raise Problem(f"needs click and rich: {REMEDY}", USAGE) from None
    if is_completing():
        app.complete()
    return app.run(words)
