"""Questions that a member has put and that are not answered yet, as plain values that somebody waits for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from groupqueue.core.messages import Buffer


class Call:
    """A `put_wait` under way. `seq` is 0 until the item is in a batch; `answer` is (status, body) once it is there.

    `gone` is what the leader says to a withdrawal. `callback` is called without any lock once there is an answer.
    """

    __slots__ = ("answer", "callback", "gone", "seq", "withdrawn")

    def __init__(self, callback: Callable[[Call], None] | None = None) -> None:
        self.seq = 0
        self.answer: tuple[int, Buffer] | None = None
        self.withdrawn = False
        self.gone: bool | None = None
        self.callback = callback


class Question:
    """Something asked of the leader: `answer` is its JSON and payloads once they are there."""

    __slots__ = ("answer", "asked", "request")

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.asked = False
        self.answer: tuple[dict[str, Any], memoryview] | None = None
