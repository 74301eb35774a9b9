"""What a row of looks at a group amounts to: rates, the depth over time, and how often the leader changed."""

from __future__ import annotations

from collections import deque

from groupqueue.cli.viewer import Sight

KEPT = 500
BLOCKS = "▁▂▃▄▅▆▇█"
PLAIN_BLOCKS = "_.-~=+*#"


class Series:
    """`depths` are the latest, the newest last. `failover_at` is when the last one was seen, None if none was."""

    def __init__(self) -> None:
        self.depths: deque[int] = deque(maxlen=KEPT)
        self.put_rate = 0.0
        self.finished_rate = 0.0
        self.failovers = 0
        self.failover_at: float | None = None
        self._last: tuple[float, Sight] | None = None

    def add(self, sight: Sight, time: float) -> None:
        """One look, at a moment of the monotonic clock."""
        found = sight.stats
        self.depths.append(found.ready)
        if self._last is not None:
            before, (old, _) = self._last
            seconds = max(time - before, 1e-6)
            self.put_rate = max(found.total_put - old.total_put, 0) / seconds
            self.finished_rate = max(found.total_finished - old.total_finished, 0) / seconds
            if found.epoch > old.epoch > 0:
                self.failovers += found.epoch - old.epoch
                self.failover_at = time
        self._last = (time, sight)


def sparkline(values: deque[int], width: int, blocks: str = BLOCKS) -> str:
    """The latest values, as many as there is room for, the highest of them as the highest block."""
    shown = list(values)[-width:] if width > 0 else []
    top = max(shown, default=0)
    return "".join(blocks[(value * (len(blocks) - 1) + top - 1) // top if top else 0] for value in shown)
