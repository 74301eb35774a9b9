"""
Members that are not connected: each is looked after, at growing intervals, until it is back or known to be dead.

A member that lives may be reconnecting, stopped or busy, and what it was granted stays its own. One whose flock can be
had is dead, and what it had goes to others.
"""

from __future__ import annotations

from math import inf

from groupqueue.core.broker import Broker
from groupqueue.system.cursors import Cursors

FIRST_LOOK = 0.001
LAST_LOOK = 0.5


class Departed:
    """See the module. `due` is when somebody is to be looked after next, `inf` while all are here."""

    def __init__(self, broker: Broker, cursors: Cursors) -> None:
        self.due = inf
        self._broker = broker
        self._cursors = cursors
        self._looks: dict[int, tuple[float, float]] = {}

    def __contains__(self, member: int) -> bool:
        return member in self._looks

    def add(self, member: int, due: float) -> None:
        """The member has a file and no connection."""
        self._looks[member] = (due, FIRST_LOOK)
        self._plan()

    def discard(self, member: int) -> None:
        """The member is back."""
        if self._looks.pop(member, None) is not None:
            self._plan()

    def look(self, time: float) -> None:
        """Buries those who are found dead."""
        for member, (due, interval) in list(self._looks.items()):
            if time < due:
                continue
            if self._cursors.is_dead(member):
                del self._looks[member]
                self.bury(member)
            else:
                interval = min(2 * interval, LAST_LOOK)
                self._looks[member] = (time + interval, interval)
        self._plan()

    def bury(self, member: int) -> None:
        """Nobody has the member's lock: what it had goes to others, and its file is removed."""
        self._broker.dead(member)
        self._cursors.remove(member)

    def part(self, member: int) -> None:
        """The member has said goodbye."""
        self._broker.bye(member)
        self._cursors.remove(member)

    def _plan(self) -> None:
        self.due = min((due for due, _ in self._looks.values()), default=inf)
