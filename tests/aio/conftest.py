"""Queues of `groupqueue.aio`, in each kind of loop."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from groupqueue import aio
from tests.aio import loops


@pytest.fixture(params=loops.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return str(request.param)


@pytest.fixture
def run(kind: str) -> Callable[..., Any]:
    """`asyncio.run` in a loop of this kind."""
    return functools.partial(loops.run, kind=kind)


@pytest.fixture
def open_queue() -> Iterator[Callable[..., Any]]:
    """Opens queues in this process, and closes them at the end; what is unsent then is dropped."""
    opened: list[Any] = []

    def open_queue(name: str | None = None, *, kind: str = "GroupQueue", **options: Any) -> Any:
        queue = getattr(aio, kind)(name, **options)
        opened.append(queue)
        return queue

    yield open_queue
    for queue in opened:
        queue._member.cancel_flush()
        queue._member.close()
