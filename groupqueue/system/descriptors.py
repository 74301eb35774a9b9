"""
The descriptors 0, 1 and 2 belong to whoever reads and writes there, and are never a file of ours.

A process may start without them, as daemons do. The next file that it opens is then number 2, and what the interpreter,
a C library or a child writes there as its last words would be written into the group: over a member's cursor, say.
"""

from __future__ import annotations

import os

_MODES = (os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)


def occupy_standard() -> None:
    """Takes those of the three that are free; to read or write there is an error, as before."""
    for number, mode in enumerate(_MODES):
        try:
            os.fstat(number)
        except OSError:
            fd = os.open(os.devnull, mode | os.O_CLOEXEC)
            if fd > 2:
                # Somebody else was faster.
                os.close(fd)
