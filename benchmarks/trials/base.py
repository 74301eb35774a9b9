"""What the runner knows of a trial."""

from __future__ import annotations

from dataclasses import dataclass

Sample = dict[str, float]
"""What one trial measured, by the metric's name."""


@dataclass(frozen=True)
class Pace:
    """How much of everything: a full run or a quick one."""

    seconds: float = 0.5
    """How long the timed part of a throughput or round trip trial lasts, about."""
    kills: int = 8
    """Failovers in a trial."""
    kills_full: int = 3
    """The same with a full queue."""
    idle: float = 5.0
    """Seconds that an idle member is watched."""
    imports: int = 7
    """Imports in a trial."""


class Trial:
    """One measurement that can be repeated."""

    def missing(self) -> str | None:
        """Why it cannot be made here, or None."""
        return None

    def warm_up(self, pace: Pace) -> None:
        """Before the first round: finds out how much is enough."""

    def run(self, pace: Pace) -> Sample:
        """One measurement. Raises TrialError if it did not end, or not as it should."""
        raise NotImplementedError
