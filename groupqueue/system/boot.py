"""The machine's boot, as a number: what was in memory in another one is gone."""

from __future__ import annotations

from functools import lru_cache
from zlib import crc32


@lru_cache(None)
def boot_number() -> int:
    """The same until the machine is started anew; 0 where that cannot be told (only Linux says it in a file)."""
    try:
        with open("/proc/sys/kernel/random/boot_id", "rb") as file:
            found = file.read(64).strip()
    except OSError:
        return 0
    return crc32(found) or 1 if found else 0
