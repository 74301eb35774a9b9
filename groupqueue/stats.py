"""What a group looks like at a moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple


class MemberInfo(NamedTuple):
    """One member of a group, as `Stats.members` has it.

    Its process, its mode, and whether it is 'leader' or 'follower'.

        leaders = [member.pid for member in q.stats().members if member.role == "leader"]
    """

    pid: int
    mode: str
    role: str


@dataclass(frozen=True)
class Stats:
    """The operators' view, as `GroupQueue.stats()` returns it.

    `leader_pid` is None when no leader answered, and the rest is what the directory tells; `members` is empty then.
    `epoch` counts the leaders that there have been. `ready` counts the items that a get could still return, `in_flight`
    those held by a consumer and unfinished, `failed` those on the failed list; `bytes` is the payload of all of them
    and of replies under way. `total_put` and `total_finished` count from the group's beginning, `lost` the items that a
    damaged journal lost.

        stats = q.stats()
        print(f"{stats.ready} wait, {stats.in_flight} are worked on, {len(stats.members)} members")
    """

    name: str
    leader_pid: int | None
    epoch: int
    maxsize: int
    members: tuple[MemberInfo, ...] = field(default=())
    ready: int = 0
    in_flight: int = 0
    waiting_getters: int = 0
    waiting_putters: int = 0
    failed: int = 0
    bytes: int = 0
    total_put: int = 0
    total_finished: int = 0
    lost: int = 0
    is_shut_down: bool = False

    @classmethod
    def from_reply(cls, name: str, leader_pid: int | None, maxsize: int, told: dict[str, Any]) -> Stats:
        """From what the leader, or the journal, tells."""
        plain = dict(told)
        members = tuple(MemberInfo(*found) for found in plain.pop("members", ()))
        shut_down = bool(plain.pop("shutdown", 0))
        return cls(name=name, leader_pid=leader_pid, maxsize=maxsize, members=members, is_shut_down=shut_down, **plain)
