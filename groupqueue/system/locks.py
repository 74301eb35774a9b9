"""
flock, by portalocker, on descriptors that the caller owns.

A lock is given up by closing its descriptor, never by unlocking: a forked child shares the lock, and an unlock there
would take it from its parent.
"""

from __future__ import annotations

import os


class _Descriptor:
    """What portalocker takes for a file."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


def try_lock(fd: int, *, shared: bool = False) -> bool:
    """Takes the flock if that is possible at once. A shared lock is converted, not added to."""
    # At first use and not before: portalocker imports the redis client, and so asyncio, wherever that is installed.
    import portalocker

    flags = portalocker.LockFlags
    kind = flags.SHARED if shared else flags.EXCLUSIVE
    try:
        portalocker.lock(_Descriptor(fd), kind | flags.NON_BLOCKING)
    except portalocker.AlreadyLocked:
        return False
    except portalocker.LockException as error:
        cause = error.__cause__ or error.__context__
        if isinstance(cause, BlockingIOError):
            return False
        if isinstance(cause, OSError):
            raise cause from None
        raise OSError(str(error)) from error
    return True


def is_same_file(fd: int, path: str) -> bool:
    """Whether the path still leads to the file that is open here."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except OSError:
        return False
    here = os.fstat(fd)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
