"""What to tell a user whose call waits for a leader that does not answer."""

from __future__ import annotations

from groupqueue.standing import Role, Standing
from groupqueue.system import process
from groupqueue.system.deadline import now
from groupqueue.system.leadership import is_led, read_note

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
        """': process 12, which leads, is stopped' or the like; '' if nothing is wrong."""
        standing = self._standing
        if standing.role is Role.LEADER:
            return ""
        note = read_note(standing.paths)
        answers = standing.session.leader_pid
        pid = answers or (note.pid if note is not None else 0)
        if answers and not process.is_stopped(pid):
            return ""
        if not is_led(standing.paths):
            return ": there is none, and no member that may lead" if self._mode == "client" else ""
        state = process.state_of(pid) if pid else "unknown"
        if state == "gone":
            return f": process {pid}, which led, is gone, but a child that it forked still holds the group's lock"
        return f": process {pid}, which leads, is {state}"
