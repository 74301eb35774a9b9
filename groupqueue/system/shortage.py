"""File descriptors, of which a process, and a machine, has only so many."""

from __future__ import annotations

import errno

_REMEDIES = {
    errno.EMFILE: "raise the limit of this process (ulimit -n, LimitNOFILE=) or find what it leaves open",
    errno.ENFILE: "raise the limit of this machine (fs.file-max) or find what leaves so many open",
}


def remedy_of(error: BaseException) -> str:
    """What to do about an error that says that there are none left; '' if it says something else."""
    found = error if isinstance(error, OSError) else error.__cause__
    return _REMEDIES.get(found.errno or 0, "") if isinstance(found, OSError) else ""
