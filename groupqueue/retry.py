"""When a candidate tries again: soon, for a leader's death takes milliseconds, then less and less often."""

from __future__ import annotations

from groupqueue.system.deadline import now

FIRST = 0.001
SOON = 0.008
SOON_TRIES = 50
LAST = 0.05
CRASHED = 0.5
SHORT = 0.5
SHORT_LAST = 5.0
LASTING = 12.0
"""A role that was kept for so long does not end for the reason for which it ended before."""


class Retry:
    """`at`: the moment of the next try. Seconds throughout."""

    def __init__(self) -> None:
        self.at = now()
        self._pause = FIRST
        self._tries = 0
        self._short = SHORT
        self._won_at: float | None = None

    def at_once(self) -> None:
        """The next try is due."""
        self.at = now()

    def succeeded(self) -> None:
        """Another leads, and has answered: the next search begins anew."""
        self._pause = FIRST
        self._tries = 0

    def won(self) -> None:
        """The lead is ours, for now."""
        self._won_at = now()
        self._tries = 0

    @property
    def has_lasted(self) -> bool:
        """Whether the lead is ours, or has just been lost, and was for long."""
        return self._won_at is not None and now() - self._won_at >= LASTING

    def failed(self) -> None:
        """Nobody leads whom we can reach, and the lock is not to be had."""
        self.at = now() + self._pause
        self._tries += 1
        self._pause = min(2 * self._pause, SOON if self._tries < SOON_TRIES else LAST)

    def crashed(self) -> None:
        """The role could not be kept: slowly, for it may happen again."""
        if self.has_lasted:
            self._pause = FIRST
        self._won_at = None
        self.at = now() + self._pause
        self._pause = min(max(2 * self._pause, 0.01), CRASHED)

    def ran_short(self) -> None:
        """Something is missing that leading takes: others first. Each pause is longer, until there was a quiet time."""
        time = now()
        if time > self.at + 2 * SHORT_LAST:
            self._short = SHORT
        self._won_at = None
        self.at = time + self._short
        self._short = min(2 * self._short, SHORT_LAST)

    def refused(self) -> None:
        """Trying again helps only once somebody has changed something."""
        self._pause = CRASHED
        self.at = now() + CRASHED
