"""
What is asked of the disk: room before anything is written, and that what was written stays.

Nothing else in the package allocates or syncs, so this is where a test puts a disk that is full or fails.
"""

from __future__ import annotations

import errno
import os


def allocate(fd: int, size: int) -> None:
    """Reserves the blocks, so that a write cannot fail for want of room later."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
        return
    zeros = bytes(min(size, 1 << 20))
    done = os.fstat(fd).st_size
    while done < size:
        done += os.pwrite(fd, zeros[: size - done], done)


def has_plenty(path: str, size: int) -> bool:
    """Whether so many bytes more are little beside what is free there."""
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize > 16 * size


def is_full(error: OSError) -> bool:
    """Whether the file may not grow: the disk is full, or this user's share of it, or what one process may write."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def remedy_of(error: OSError) -> str:
    """What to do about an error that `is_full`."""
    return "raise the limit of this process (ulimit -f)" if error.errno == errno.EFBIG else "free some room there"


def sync_file(fd: int) -> None:
    """What was written to the file survives the death of the machine."""
    os.fsync(fd)


def sync_folder(path: str) -> None:
    """So do the names in the folder."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def drop_cache(fd: int) -> None:
    """What is read next of the file comes from the disk. A hint, and not one that every system takes."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
