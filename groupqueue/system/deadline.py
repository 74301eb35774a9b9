"""One deadline, made where the timeout comes in and passed down; nobody else subtracts clocks. Monotonic time,
seconds.
"""

from __future__ import annotations

import time

now = time.monotonic

# Some three years: more than a poll, or a lock, can be told to wait.
_NEVER = 1e8


class Deadline:
    """`timeout` seconds from now, a negative one is now; None, and infinity, is never. ValueError if it is nan."""

    __slots__ = ("_end",)

    def __init__(self, timeout: float | None) -> None:
        if timeout is not None and not timeout < _NEVER:
            if timeout != timeout:
                raise ValueError("timeout must be a number of seconds or None, not nan")
            timeout = None
        self._end = None if timeout is None else now() + max(timeout, 0.0)

    @property
    def expired(self) -> bool:
        return self._end is not None and now() >= self._end

    def remaining(self) -> float | None:
        """Seconds left, at least 0; None if there is no end."""
        return None if self._end is None else max(self._end - now(), 0.0)

    def sooner(self, seconds: float | None) -> float | None:
        """The smaller of what remains and `seconds`; None is never."""
        left = self.remaining()
        if left is None or seconds is None:
            return seconds if left is None else left
        return min(left, seconds)
