"""What to tell a user whose call waits for a leader that does not answer."""

from __future__ import annotations

from groupqueue.standing import Role, Standing
from groupqueue.system import process
from groupqueue.system.deadline import now
from groupqueue.system.grip import find_grip

INTERVAL = 2.0
"""Seconds of silence before the first warning, and between two looks."""


class Watch:
    """`due`: when to look next. Nothing is said twice in a row."""

    def __init__(self, standing: Standing, mode: str) -> None:
        self.due = now() + INTERVAL
        self._standing = standing
        self._mode = mode
        self._said = ""

    def look(self, somebody_waits: bool) -> str:
        """What has come up since the last look; '' if there is nothing to say."""
        time = now()
        silent_at = self._standing.changed_at + INTERVAL
        if time < silent_at:
            self.due = silent_at
            return ""
        self.due = time + INTERVAL
        why = self.why() if somebody_waits else ""
        before, self._said = self._said, why
        return why if why != before else ""

    def why(self) -> str:
        """': process 12, which leads, is stopped and does not answer' or the like; '' if nothing is wrong."""
        standing = self._standing
        if standing.role is Role.LEADER:
            return ""
        answers = standing.session.leader_pid
        # Its number in its own container, and here perhaps another's: a reason to look who it is, which takes long.
        if answers and not process.is_stopped(answers):
            return ""
        grip = find_grip(standing.paths)
        if grip is None:
            return ": there is none, and no member that may lead" if self._mode == "client" else ""
        return "" if answers and not grip.is_stopped else f": {grip}"
