"""
`groupqueue put`: puts what is typed or read.

What was typed is read as a whole before anything is put, so a typing error puts nothing; lines are put as they are
read. It is done when the leader has everything.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import click

from groupqueue.cli import DONE, LATE, Problem, parameters, say
from groupqueue.cli.items import Unreadable, shown
from groupqueue.cli.opening import member
from groupqueue.cli.progress import Progress
from groupqueue.exceptions import (
    ConsumerLost,
    Full,
    GroupQueueError,
    PicklingError,
    RemoteError,
    ReplyTimeout,
    ShutDown,
)
from groupqueue.queues import GroupQueue
from groupqueue.system.deadline import Deadline


@parameters.command(
    "groupqueue put jobs hello world",
    "groupqueue put jobs --json '{\"id\": 1}' '[1, 2]'",
    "groupqueue put jobs --lines urls.txt",
    "producer | groupqueue put jobs --json --lines -",
    "groupqueue put jobs - < letter.txt",
    "groupqueue put jobs --json --reply --timeout 5 '{\"id\": 2}'",
)
@parameters.on_group
@click.argument("items", nargs=-1, metavar="[ITEM]...")
@click.option("--json", "as_json", is_flag=True, help="Items are JSON, and become what Python makes of it.")
@click.option("--text", "as_text", is_flag=True, help="Items are text, and become str. The default.")
@click.option("--lines", type=click.File("rb"), metavar="FILE", help="Each line is an item; - is standard input.")
@click.option("--reply", is_flag=True, help="Wait for each item's reply and print it, before the next is put.")
@parameters.seconds("--timeout", help="For all of it. Default: as long as it takes.")
def put(
    name: str,
    directory: str | None,
    items: tuple[str, ...],
    as_json: bool,
    as_text: bool,
    lines: BinaryIO | None,
    reply: bool,
    timeout: float | None,
) -> int:
    """Put items: each ITEM is one, - is all of standard input as one, --lines puts every line of a file.

    Without --reply nothing is printed, and the command ends when the leader has everything: it is in the journal then.
    At a terminal, long input shows a progress bar on standard error.
    """
    if as_json and as_text:
        raise click.UsageError("--json and --text exclude each other")
    if bool(items) == bool(lines):
        raise click.UsageError("nothing to put: give items, or --lines FILE" if not items else "give items or --lines")
    deadline = Deadline(timeout)
    if lines is None:
        typed = _typed(items, as_json)
        with member(name, directory) as queue:
            _hand_in(queue, typed, deadline, reply, as_json)
    else:
        with Progress(lines) as progress, member(name, directory) as queue:
            _hand_in(queue, _read(progress, as_json), deadline, reply, as_json)
    return DONE


def _hand_in(queue: GroupQueue[Any], objects: Iterable[Any], deadline: Deadline, reply: bool, as_json: bool) -> None:
    """Puts them all, and is not done before the leader has them. Problem otherwise, which tells how far it came."""
    # So that a group that is shut down says so before anything is put.
    if not queue.wait_for_leader(deadline.remaining()):
        raise Problem(f"no leader answers, nothing was put; groupqueue doctor {queue.name}", LATE)
    counted = _Counted(objects)
    try:
        if reply:
            for obj in counted:
                say(shown(_ask(queue, obj, deadline), "json" if as_json else "plain"))
        else:
            queue.put_many(counted, timeout=deadline.remaining())
            queue.flush(deadline.remaining())
    except ReplyTimeout:
        raise Problem("no reply in time; the item is withdrawn unless somebody has got it", LATE) from None
    except (Full, TimeoutError) as error:
        if isinstance(error, Full) and queue.maxsize:
            raise Problem(f"there is no room for more; {error.args[0]} item(s) were put", LATE) from None
        # The time is over: closing must not wait as well.
        queue.cancel_join_thread()
        text = f"no leader has confirmed all {counted.count} item(s) in time; groupqueue doctor {queue.name}"
        raise Problem(text, LATE) from None
    except (NotRead, PicklingError, ValueError) as error:
        queue.flush(deadline.remaining())
        # What could not travel was counted when it was drawn; a line that could not be read was not.
        before = counted.count if isinstance(error, NotRead) else counted.count - 1
        raise Problem(f"{error}; {before} item(s) before it were put") from None


def _ask(queue: GroupQueue[Any], obj: Any, deadline: Deadline) -> Any:
    """The reply. Problem if the consumer failed."""
    try:
        return queue.put_wait(obj, timeout=deadline.remaining())
    except (ReplyTimeout, ShutDown, ConsumerLost):
        raise
    except Unreadable as error:
        raise Problem(f"the consumer failed: {error}") from None
    except RemoteError as error:
        raise Problem(f"the consumer failed: {error.type_name}: {error.text}") from None
    except GroupQueueError:
        raise
    except Exception as error:  # noqa: BLE001 - the consumer's own
        raise Problem(f"the consumer failed: {type(error).__name__}: {error}") from None


class NotRead(Exception):
    """What cannot be read as an item, and where."""


class _Counted:
    """Goes over objects and counts those that it has handed out."""

    def __init__(self, objects: Iterable[Any]) -> None:
        self.count = 0
        self._objects = objects

    def __iter__(self) -> Iterator[Any]:
        for obj in self._objects:
            self.count += 1
            yield obj


def _typed(items: tuple[str, ...], as_json: bool) -> list[Any]:
    objects = []
    for item in items:
        text = item
        if item == "-":
            try:
                text = sys.stdin.buffer.read().decode()
            except UnicodeDecodeError as error:
                raise Problem(f"standard input is not UTF-8: {error}") from None
        try:
            objects.append(json.loads(text) if as_json else text)
        except (ValueError, RecursionError) as error:
            raise click.UsageError(f"{item!r} is not JSON: {error}") from None
    return objects


def _read(lines: Progress, as_json: bool) -> Iterator[Any]:
    """The objects of a file's lines. NotRead at the first that is none."""
    for number, line in enumerate(lines, 1):
        if line.endswith(b"\n"):
            line = line[: -2 if line.endswith(b"\r\n") else -1]
        if as_json and not line.strip():
            continue
        try:
            text = line.decode()
            yield json.loads(text) if as_json else text
        except UnicodeDecodeError:
            raise NotRead(f"line {number} of {lines.name} is not UTF-8") from None
        except (ValueError, RecursionError) as error:
            raise NotRead(f"line {number} of {lines.name} is not JSON: {error}") from None
