"""
`groupqueue get`: takes items and prints them.

Each is held until it is written, so that it goes to another if this process dies before; an item that cannot be written
goes back to its place, one that cannot be rebuilt here goes to the failed list, as from any consumer.
"""

from __future__ import annotations

from typing import Any

import click

from groupqueue.cli import DONE, FAILED, LATE, Problem, parameters, say
from groupqueue.cli.items import Unreadable, shown
from groupqueue.cli.opening import CLOSING, member
from groupqueue.exceptions import DecodeError, Empty, ShutDown
from groupqueue.message import Message
from groupqueue.queues import GroupQueue


@parameters.command(
    "groupqueue get jobs",
    "groupqueue get jobs --json --timeout 5 | jq .id",
    "groupqueue get jobs -n 0 --timeout 0 > drained.txt",
    'groupqueue get jobs -n 0 | while read -r job; do work "$job"; done',
)
@parameters.on_group
@click.option("-n", "count", type=click.IntRange(min=0), default=1, metavar="COUNT", help="How many; 0: without end.")
@parameters.seconds("--timeout", help="How long to wait for each. Default: as long as it takes; 0: not at all.")
@parameters.in_a_form
def get(name: str, directory: str | None, count: int, timeout: float | None, form: str) -> int:
    """Take items and print them, one a line.

    An item is gone once it is written and flushed, to a pipe too: what a reader of the pipe does not read is lost. One
    that cannot be written goes back to its place. Somebody who waits for a reply to it is answered None.

    Text is printed as it is if it is a single line, everything else as Python shows it. What cannot be rebuilt here is
    described by type, size and sender and goes to the failed list; the exit status then is 1.

    With -n 0 the end of the timeout is no failure if something was printed.
    """
    got = bad = 0
    with member(name, directory) as queue:
        while not count or got < count:
            try:
                message = queue.get_message(timeout=timeout)
            except Empty:
                if got and not count:
                    break
                return LATE if timeout else FAILED
            except ShutDown:
                if got and not count:
                    break
                raise
            bad += not _hand_over(message, form)
            got += 1
            # At once, not with the next few as other consumers do: of a killed one at most this item comes again.
            queue._member.push(wait=True)
        _settle(queue)
    return FAILED if bad else DONE


def _hand_over(message: Message[Any], form: str) -> bool:
    """Prints the item and ends it; False if it is one that cannot be rebuilt."""
    obj = message.obj
    try:
        say(shown(obj, form, message.sender_pid))
    except BaseException:
        message.requeue()
        raise
    if isinstance(obj, Unreadable):
        message.fail(DecodeError(obj.described(message.sender_pid), obj.payload, message.sender_pid))
        return False
    message.done()
    return True


def _settle(queue: GroupQueue[Any]) -> None:
    """What was printed must not come again."""
    try:
        queue.flush(CLOSING)
    except TimeoutError:
        raise Problem("no leader has confirmed the last items: they may be delivered again", LATE) from None
