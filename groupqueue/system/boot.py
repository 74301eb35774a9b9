"""When a machine was started: what was in its memory before that is gone."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from zlib import crc32

from groupqueue.core.records import Boot

_NAME = "/proc/sys/kernel/random/boot_id"


def this_boot() -> Boot:
    """This one. OSError where it could be told, were there a descriptor."""
    uptime = int(time.clock_gettime(time.CLOCK_BOOTTIME)) if hasattr(time, "CLOCK_BOOTTIME") else 0
    return Boot(_name(), uptime)


@lru_cache(None)
def _name() -> int:
    """0 where the system has none. One that a container has of its own, mounted over the system's, counts as none."""
    try:
        if os.stat(_NAME).st_dev != os.stat("/proc").st_dev:
            return 0
        with open(_NAME, "rb") as file:
            found = file.read(64).strip()
    except (FileNotFoundError, PermissionError, NotADirectoryError):
        return 0
    return crc32(found) or 1 if found else 0
