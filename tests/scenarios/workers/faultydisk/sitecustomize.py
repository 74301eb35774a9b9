"""
A disk that does not sync while the file FAULTY_DISK is there; each sync that failed leaves a byte in it.

Python imports this by its name, before anything else, in every process that has this folder on its path.
"""

import errno
import os

FAULT = os.environ["FAULTY_DISK"]


def faulty(sync):
    def fail_or_sync(fd):
        try:
            count = os.open(FAULT, os.O_WRONLY | os.O_APPEND)
        except FileNotFoundError:
            return sync(fd)
        os.write(count, b".")
        os.close(count)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    return fail_or_sync


os.fsync = faulty(os.fsync)
os.fdatasync = faulty(os.fdatasync)
