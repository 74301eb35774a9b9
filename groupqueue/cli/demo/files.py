"""Which files the demo hashes, and what they hash to in a single process."""

from __future__ import annotations

import hashlib
import os
import stat
import sysconfig
import time
from collections.abc import Iterator
from typing import NamedTuple

MAX_FILES = 12_000
MAX_SECONDS = 4.0
CHUNK = 1 << 20


class File(NamedTuple):
    """A regular file, how it looked when it was found, and its digest then."""

    path: str
    size: int
    mtime_ns: int
    digest: str


class Selection(NamedTuple):
    """The files of a folder, all of them unless `is_bounded`."""

    files: list[File]
    is_bounded: bool


def standard_library() -> str:
    return sysconfig.get_path("stdlib")


def select(folder: str, skip: frozenset[str] = frozenset()) -> Selection:
    """Hashes the files below the folder: as many as one process hashes in `MAX_SECONDS`, and at most `MAX_FILES`.

    Symbolic links, what cannot be read and folders named in `skip` are passed over.
    """
    found: list[File] = []
    end = time.monotonic() + MAX_SECONDS
    for path in walk(folder, skip):
        if len(found) >= MAX_FILES or time.monotonic() > end:
            return Selection(found, is_bounded=True)
        try:
            before = os.lstat(path)
            digest = sha256(path)
        except OSError:
            continue
        found.append(File(path, before.st_size, before.st_mtime_ns, digest))
    return Selection(found, is_bounded=False)


def walk(folder: str, skip: frozenset[str]) -> Iterator[str]:
    """The regular files below a folder, in a fixed order."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in skip)
        for name in sorted(names):
            path = os.path.join(parent, name)
            try:
                if stat.S_ISREG(os.lstat(path).st_mode):
                    yield path
            except OSError:
                continue


def sha256(path: str) -> str:
    """The file's digest in hex; OSError if it cannot be read."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def has_changed(file: File) -> bool:
    """Whether the file is another one by now than when it was selected."""
    try:
        found = os.lstat(file.path)
    except OSError:
        return True
    return (found.st_size, found.st_mtime_ns) != (file.size, file.mtime_ns)
