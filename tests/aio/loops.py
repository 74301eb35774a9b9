"""Running coroutines in a test: in asyncio's own loop, and in uvloop's where it is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest

from tests.helpers import PATIENCE

KINDS = ("asyncio", "uvloop")


def new_loop(kind: str) -> asyncio.AbstractEventLoop:
    if kind == "uvloop":
        return pytest.importorskip("uvloop").new_event_loop()
    return asyncio.new_event_loop()


def run(main: Coroutine[Any, Any, Any], kind: str = "asyncio", timeout: float = PATIENCE) -> Any:
    """`asyncio.run` with a loop of this kind, on every Python, and with a deadline."""
    loop = new_loop(kind)
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(asyncio.wait_for(main, timeout))
    finally:
        try:
            end_tasks(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))


async def until(condition: Callable[[], Any], timeout: float = PATIENCE, what: str = "") -> Any:
    """As `eventually`: for what has no event to wait for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        if loop.time() > deadline:
            pytest.fail(f"not within {timeout:g} s: {what or condition}")
        await asyncio.sleep(0.002)


async def rounds(count: int = 10) -> None:
    """Lets everything that can run do so: for what must not happen."""
    for _ in range(count):
        await asyncio.sleep(0)


def waiting(queue: Any) -> int:
    """How many coroutines wait in get, once the session, which asks the leader, knows it too."""
    return _in_line(queue, "getters")


def putting(queue: Any) -> int:
    """How many coroutines wait for room."""
    return _in_line(queue, "putters")


def _in_line(queue: Any, name: str) -> int:
    if queue._waits is None:
        return 0
    count = len(getattr(queue._waits, name))
    return count if count == len(getattr(queue._member.session, name)) else -1


async def start(queue: Any, count: int, call: Callable[[], Coroutine[Any, Any, Any]]) -> list[asyncio.Task[Any]]:
    """Tasks that wait in get when this returns, in this order."""
    tasks = [asyncio.ensure_future(call()) for _ in range(count)]
    await until(lambda: waiting(queue) == count, what=f"{count} coroutines to wait")
    return tasks
