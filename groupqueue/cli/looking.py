"""`groupqueue peek`, `tail` and `failed`: items shown and left where they are."""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from typing import Any

import click

from groupqueue.cli import DONE, FAILED, Problem, parameters, say
from groupqueue.cli.items import in_one_line, plain, shown
from groupqueue.cli.look import find
from groupqueue.cli.opening import operator
from groupqueue.cli.opening import peek as peek_at
from groupqueue.cli.viewer import Viewer
from groupqueue.message import Message
from groupqueue.stats import Stats

MOST_BYTES = 16 * 1024 * 1024
"""About so much is asked of the leader in one look, which has to copy it."""

REMEMBERED = 100_000


@parameters.command("groupqueue peek jobs", "groupqueue peek jobs -n 100 --json | jq .item")
@parameters.on_group
@click.option("-n", "count", type=click.IntRange(min=1), default=10, metavar="COUNT", help="At most so many. [10]")
@parameters.in_a_form
def peek(name: str, directory: str | None, count: int, form: str) -> int:
    """Show the next items without taking them, the oldest first.

    With --json each line is an object: item, sender_pid, attempt, wants_reply. The exit status is 1 if there is none.
    """
    with operator(name, directory) as queue:
        messages = peek_at(queue, _affordable(count, queue.stats()))
    if messages is None:
        raise Problem(f"group {name!r} has no leader that answers any more")
    for message in messages:
        _show(message, form)
    return DONE if messages else FAILED


@parameters.command("groupqueue tail jobs", "groupqueue tail jobs --json | jq .item.id")
@parameters.on_group
@parameters.interval(0.2)
@click.option(
    "--window", type=click.IntRange(min=1), default=100, metavar="COUNT", help="How many items a look sees. [100]"
)
@parameters.in_a_form
def tail(name: str, directory: str | None, interval: float, window: int, form: str) -> int:
    """Show items as they come, without taking them, until Ctrl-C.

    It looks at the front of the queue every so often and shows each item that it sees there for the first time. So an
    item that is put and taken between two looks is not shown, and one that is put behind more than COUNT others is
    shown when it comes near the front. To see every item, be a consumer.
    """
    seen = _Seen()
    counted: tuple[int, ...] = ()
    with Viewer(find(name, directory)) as viewer:
        while True:
            found = viewer.look().stats
            now = (found.total_put, found.total_finished, found.ready, found.in_flight, found.failed)
            if viewer.queue is not None and found.leader_pid is not None and found.ready and now != counted:
                for message in peek_at(viewer.queue, _affordable(window, found)) or ():
                    if seen.is_new(message._id):
                        _show(message, form)
            counted = now
            time.sleep(interval)


@parameters.command("groupqueue failed jobs", "groupqueue failed jobs --json | jq -r .reason")
@parameters.on_group
@parameters.in_a_form
def failed(name: str, directory: str | None, form: str) -> int:
    """Show the failed list: items that `max_attempts` consumers died of, that failed, or could not be decoded.

    With --json each line is an object: item, reason, sender_pid, attempt, wants_reply.
    """
    with operator(name, directory) as queue:
        messages = queue.failed()
    for message in messages:
        about = f"{in_one_line(message.reason)}; attempt {message.attempt}, from process {message.sender_pid}"
        _show(message, form, f"  ({about})")
    return DONE


def _show(message: Message[Any], form: str, about: str = "") -> None:
    if form != "json":
        say(shown(message.obj, form, message.sender_pid) + about)
        return
    told = {"item": plain(message.obj, message.sender_pid), "sender_pid": message.sender_pid}
    told |= {"attempt": message.attempt, "wants_reply": message.wants_reply}
    if message.reason:
        told["reason"] = message.reason
    say(json.dumps(told))


def _affordable(count: int, found: Stats) -> int:
    """So many items that the leader need not copy too much for us."""
    items = max(found.ready + found.in_flight + found.failed, 1)
    return max(1, min(count, found.ready, MOST_BYTES * items // max(found.bytes, 1)))


class _Seen:
    """The items that were shown, the latest of them."""

    def __init__(self) -> None:
        self._ids: OrderedDict[int, None] = OrderedDict()

    def is_new(self, item: int) -> bool:
        if item in self._ids:
            self._ids.move_to_end(item)
            return False
        self._ids[item] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)
        return True
