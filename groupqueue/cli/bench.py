"""
`groupqueue bench`: this package beside multiprocessing.Queue, between two processes on this machine.

Both do the same work in the same processes, turn by turn, so that what else the machine does meets both; what is shown
is the median. The group lives in a directory of its own, which is removed.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import click

from groupqueue.cli import DONE, parameters, say
from groupqueue.queues import GroupQueue

ROUNDS = 3
ITEM = {"id": 1, "name": "a small object", "tags": ["x", "y"]}
PATIENCE = 60.0


class Result(NamedTuple):
    """Per second: the median of our rounds and of theirs."""

    what: str
    ours: float
    theirs: float


@parameters.command("groupqueue bench", "groupqueue bench --items 100000 --json")
@click.option("--items", type=click.IntRange(min=1), default=20_000, metavar="COUNT", help="To put and get. [20000]")
@click.option("--directory", type=click.Path(), metavar="DIR", help="Where its directory is made (default: /tmp).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def bench(items: int, directory: str | None, as_json: bool) -> int:
    """Compare with multiprocessing.Queue: put and get of a small dict, and put_wait beside there and back.

    Each is measured between two processes, turn by turn; the ratio is ours by theirs, above 1 is faster.
    """
    home = directory or ("/tmp" if os.path.isdir("/tmp") else None)
    with tempfile.TemporaryDirectory(prefix="gq-bench-", dir=home, ignore_cleanup_errors=True) as place:
        found = [
            _compare("put and get", items, lambda count: _stream(_group(place), count), _stream_theirs),
            _compare("put_wait", max(items // 20, 1), lambda count: _ask(_group(place), count), _ask_theirs),
        ]
    if as_json:
        say(json.dumps({one.what: {**one._asdict(), "ratio": one.ours / one.theirs} for one in found}))
        return DONE
    say(f"{'a second':<12} {'groupqueue':>12} {'multiprocessing':>16} {'ratio':>7}")
    for what, ours, theirs in found:
        say(f"{what:<12} {ours:>12,.0f} {theirs:>16,.0f} {ours / theirs:>6.2f}x")
    return DONE


def _compare(what: str, count: int, ours: Callable[[int], float], theirs: Callable[[int], float]) -> Result:
    times: list[tuple[float, float]] = [(ours(count), theirs(count)) for _ in range(ROUNDS)]
    mine, others = (statistics.median(column) for column in zip(*times))
    return Result(what, count / mine, count / others)


def _group(place: str) -> GroupQueue[Any]:
    return GroupQueue("bench", directory=place)


_SPAWN = multiprocessing.get_context("spawn")


def _stream(queue: GroupQueue[Any], count: int) -> float:
    with queue, queue.__class__("done", directory=queue.directory) as done:
        return _time(consume, (queue, done, count), done, lambda: _put(queue, count))


def _stream_theirs(count: int) -> float:
    queue, done = _SPAWN.Queue(), _SPAWN.Queue()
    return _time(consume, (queue, done, count), done, lambda: _put(queue, count))


def _put(queue: Any, count: int) -> None:
    for _ in range(count):
        queue.put(ITEM)


def _ask(queue: GroupQueue[Any], count: int) -> float:
    with queue, queue.__class__("done", directory=queue.directory) as done:
        return _time(answer, (queue, done, count), done, lambda: [queue.put_wait(ITEM) for _ in range(count)])


def _ask_theirs(count: int) -> float:
    there, back, done = _SPAWN.Queue(), _SPAWN.Queue(), _SPAWN.Queue()

    def ask() -> None:
        for _ in range(count):
            there.put(ITEM)
            back.get()

    return _time(answer_theirs, (there, back, done, count), done, ask)


def _time(target: Callable[..., None], arguments: tuple[Any, ...], done: Any, work: Callable[[], object]) -> float:
    """Seconds from the first put until the other process says that it has everything."""
    other = _SPAWN.Process(target=target, args=arguments, daemon=True)
    other.start()
    try:
        done.get(timeout=PATIENCE)
        start = time.perf_counter()
        work()
        done.get(timeout=PATIENCE)
        return time.perf_counter() - start
    finally:
        other.terminate()
        other.join()


def consume(queue: Any, done: Any, count: int) -> None:
    done.put("ready")
    for _ in range(count):
        queue.get()
    _say_done(done)


def answer(queue: Any, done: Any, count: int) -> None:
    done.put("ready")
    for _ in range(count):
        queue.get()
        queue.reply(None)
    _say_done(done)


def answer_theirs(there: Any, back: Any, done: Any, count: int) -> None:
    done.put("ready")
    for _ in range(count):
        back.put(there.get())
    _say_done(done)


def _say_done(done: Any) -> None:
    """And stay until we are ended: closing is not what is measured."""
    done.put("done")
    time.sleep(PATIENCE)
