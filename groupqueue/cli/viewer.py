"""
Looking at one group again and again without disturbing it.

A group that is led is asked, as a client, over one connection for as long as it lasts. One that is not is read from its
directory and not joined: opening revives a group that was shut down, and a member, even one that never leads, keeps a
group from being removed or bounded anew.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, NamedTuple

from groupqueue.cli import Problem
from groupqueue.cli.items import LENIENT
from groupqueue.exceptions import GroupVersionError
from groupqueue.queues import GroupQueue
from groupqueue.stats import Stats
from groupqueue.system import offline
from groupqueue.system.grip import find_grip
from groupqueue.system.leadership import is_led
from groupqueue.system.membership import read_terms
from groupqueue.system.paths import GroupPaths, check_directory


class Sight(NamedTuple):
    """A group as seen from outside. `problem`: why a leader that holds the lock does not answer, or what keeps anybody
    from leading; '' if nothing is wrong.
    """

    stats: Stats
    problem: str


class Viewer:
    """See the module. `queue` is the client while the group is led, else None."""

    def __init__(self, paths: GroupPaths) -> None:
        self._paths = paths
        self.queue: GroupQueue[Any] | None = None

    def look(self) -> Sight:
        """What there is to see now, within about a second.

        Problem if there is no such group, GroupDirectoryError if its folder is not one of ours.
        """
        paths = self._paths
        try:
            check_directory(paths.folder, paths.name)
            with open(paths.group, "rb") as file:
                terms = read_terms(file.fileno())
        except FileNotFoundError:
            raise Problem(f"there is no group {paths.name!r} in {paths.directory}") from None
        try:
            return self._look(terms.maxsize)
        except GroupVersionError as error:
            return Sight(Stats(paths.name, None, 0, terms.maxsize), str(error))

    def _look(self, maxsize: int) -> Sight:
        paths = self._paths
        if self.queue is None:
            if not is_led(paths):
                return Sight(Stats.from_reply(paths.name, None, maxsize, offline.read(paths).fields), "")
            self.queue = GroupQueue(paths.name, mode="client", directory=paths.directory, linger=0, serializer=LENIENT)
        found = self.queue.stats()
        if found.leader_pid is not None:
            return Sight(found, "")
        grip = find_grip(paths)
        if grip is None:
            self.leave()
            return Sight(found, "")
        return Sight(found, str(grip))

    def leave(self) -> None:
        """Is a member no longer."""
        queue, self.queue = self.queue, None
        if queue is not None:
            queue.close()
            queue.join_thread()

    def __enter__(self) -> Viewer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()


def others(stats: Stats) -> list[dict[str, Any]]:
    """The members without the one that asked. (In containers of their own others may have its number too.)"""
    members = [member._asdict() for member in stats.members]
    for index, member in enumerate(members):
        if member["pid"] == os.getpid() and member["mode"] == "client":
            del members[index]
            break
    return members
