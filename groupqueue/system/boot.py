"""When the machine was started: what was in memory before that is gone."""

from __future__ import annotations

import time


def boot_time() -> int:
    """In seconds since 1970, by the clocks as they stand now, so it moves with them; 0 where that cannot be told.

    Of clocks, and not the system's name for the boot: that one differs from container to container, and is in a file,
    which a process without descriptors cannot read.
    """
    if not hasattr(time, "CLOCK_BOOTTIME"):
        return 0
    return round(time.time() - time.clock_gettime(time.CLOCK_BOOTTIME))
