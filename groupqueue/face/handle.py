"""
What all parts of a queue's face share: the member behind it, how objects travel, and what the handle tells of itself.

`Handle`, `Opening`, `Incoming`, `Outgoing` and `Looking` never wait, so `groupqueue.aio` is made of them too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from groupqueue.core.outbox import Payload
from groupqueue.exceptions import ShutDown
from groupqueue.member import Member
from groupqueue.options import Options
from groupqueue.system.deadline import Deadline
from groupqueue.waits import Waits

T = TypeVar("T")

NO_LEADER = 1.0
"""Seconds that a call which must not block waits for a leader."""


class Handle(Generic[T]):
    """One opened queue of one process. `Opening._open` sets everything."""

    _joinable = False
    _shut_down: type[Exception] = ShutDown
    _member: Member
    _options: Options
    _dumps: Callable[[Any], bytes]
    _pack: Callable[[Any], Payload]
    _loads: Callable[[Any], Any]

    @property
    def name(self) -> str:
        """The group's name.

        That of an anonymous group begins with a dot.

            print(q.name)
        """
        return self._member.paths.name

    @property
    def mode(self) -> str:
        """What this handle does.

        "dual": puts, gets, stands for election. "client": never leads. "master": never puts.

            print(q.mode)
        """
        return self._options.mode

    @property
    def maxsize(self) -> int:
        """The bound of the group.

        0 if there is none.

            room = q.maxsize - q.qsize() if q.maxsize else None
        """
        return self._member.maxsize

    @property
    def directory(self) -> str:
        """Where the group lives.

        An absolute path; the group is the folder of its name in it.

            print(q.directory)
        """
        return self._member.paths.directory

    @property
    def is_leader(self) -> bool:
        """Whether this handle leads the group at this moment.

        It may have changed by the time it is looked at. With `delivery="leader"` nobody else gets.

            if q.is_leader:
                print("leads")
        """
        return self._member.is_leader

    @property
    def _label(self) -> str:
        return self._member.paths.name

    def _closed(self, what: str) -> NoReturn:
        raise ValueError(f"{what}: queue {self._label!r} is closed")


class Blocking(Handle[T]):
    """A handle whose callers' threads wait."""

    _waits: Waits

    def wait_for_leader(self, timeout: float | None = None) -> bool:
        """True once this handle is served by a leader, itself or another.

        False if that takes longer than `timeout` seconds.

            assert q.wait_for_leader(5)
        """
        member = self._member
        member.wait(lambda: member.is_connected or member.closing, Deadline(timeout))
        return member.is_connected
