"""
Being one of a group: the `group` file, which every member holds LOCK_SH for as long as it lives.

Whoever can have LOCK_EX on it is alone, and may set what the group agrees on: the bound, and the generation, which
counts the times that the group was opened with nobody there. A forked child shares its parent's lock until it has
joined by itself, so a group never looks deserted in between.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from typing import NamedTuple

from groupqueue.core import messages
from groupqueue.exceptions import GroupBusyError, GroupDirectoryError, GroupMismatchError
from groupqueue.system import paths as p
from groupqueue.system.descriptors import occupy_standard
from groupqueue.system.locks import is_same_file, try_lock

_PATIENCE = 5.0
_STALE_NEW = 60.0
MOST = (1 << 63) - 1
_CONTENTS = frozenset(("group", "journal", "lock", "members", "socket", "socket~"))


class Terms(NamedTuple):
    """What the members of a group agree on; `maxsize` 0 is unbounded."""

    maxsize: int
    generation: int


class Membership:
    """A place in the group, kept by an open descriptor."""

    def __init__(self, paths: p.GroupPaths, fd: int, terms: Terms) -> None:
        self.paths = paths
        self.terms = terms
        self._fd = fd

    @classmethod
    def join(cls, paths: p.GroupPaths, maxsize: int | None, create: bool = True) -> Membership:
        """Takes a place. Raises GroupMismatchError, GroupDirectoryError; FileNotFoundError if it must not create."""
        end = time.monotonic() + _PATIENCE
        occupy_standard()
        while True:
            if create:
                p.make_directory(paths.folder, paths.name)
            else:
                p.check_directory(paths.folder, paths.name)
            try:
                for folder in (paths.members, paths.journal):
                    _make_folder(folder, paths.name)
                for path in (paths.group, paths.lock):
                    _check_file(path, paths.name)
                fd = p.open_private(paths.group, os.O_RDWR | os.O_CREAT)
            except FileNotFoundError:
                continue
            except OSError as error:
                _explain(paths, error)
                raise
            try:
                found = cls._settle(paths, fd, maxsize)
            except OSError as error:
                os.close(fd)
                _explain(paths, error)
                raise
            except BaseException:
                os.close(fd)
                raise
            if found is not None:
                return found
            os.close(fd)
            if time.monotonic() > end:
                raise GroupBusyError(
                    f"group {paths.name!r} in {paths.directory}: another process has been opening or removing it for "
                    f"{_PATIENCE:.0f} s; if that process is stopped, continue or end it"
                )
            time.sleep(0.002)

    @classmethod
    def _settle(cls, paths: p.GroupPaths, fd: int, maxsize: int | None) -> Membership | None:
        """None if somebody is in between."""
        if try_lock(fd):
            if not is_same_file(fd, paths.group):
                return None
            old = read_terms(fd)
            terms = Terms(old.maxsize if maxsize is None else max(maxsize, 0), old.generation + 1)
            _write_terms(fd, terms)
        if not try_lock(fd, shared=True) or not is_same_file(fd, paths.group):
            return None
        terms = read_terms(fd)
        if maxsize is not None and max(maxsize, 0) != terms.maxsize:
            raise GroupMismatchError(
                f"group {paths.name!r} in {paths.directory}: asked for maxsize={_bound(max(maxsize, 0))}, but it has "
                f"living members and maxsize={_bound(terms.maxsize)}; open it with that, or with maxsize=None"
            )
        return cls(paths, fd, terms)

    def is_intact(self) -> bool:
        """Whether the group's folder is still the one that was joined."""
        return self._fd >= 0 and is_same_file(self._fd, self.paths.group)

    def leave(self) -> None:
        """Gives the place up; the last to leave an anonymous group removes it."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            if self.paths.is_anonymous and is_same_file(fd, self.paths.group) and try_lock(fd):
                _remove(self.paths)
            os.close(fd)

    def abandon(self) -> None:
        """In a forked child: closes the copy, which leaves the parent's place alone."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _explain(paths: p.GroupPaths, error: OSError) -> None:
    """Raises GroupDirectoryError for what the directory's file system refuses."""
    refusals = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)
    if error.errno in refusals and not isinstance(error, GroupDirectoryError):
        why = f"group {paths.name!r} cannot be joined in {paths.folder}: {error.strerror or error}"
        raise GroupDirectoryError(error.errno, why) from error


def _make_folder(path: str, group: str) -> None:
    try:
        os.mkdir(path, 0o700)
        os.chmod(path, 0o700)
    except FileExistsError:
        if os.path.lexists(path) and (os.path.islink(path) or not os.path.isdir(path)):
            raise GroupDirectoryError(
                errno.ENOTDIR, f"group {group!r}: {path} is not a directory; move it away, or unlink the group"
            ) from None


def _check_file(path: str, group: str) -> None:
    """What is locked is a file, or not there yet."""
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISREG(mode):
        what = "a directory" if stat.S_ISDIR(mode) else "a symbolic link" if stat.S_ISLNK(mode) else "a device"
        raise GroupDirectoryError(
            errno.EISDIR if stat.S_ISDIR(mode) else errno.EPERM,
            f"group {group!r}: {path} is {what} and not a file; move it away, or unlink the group",
        )


def read_terms(fd: int) -> Terms:
    try:
        found = json.loads(os.pread(fd, 4096, 0))
        terms = Terms(int(found["maxsize"]), int(found["generation"]))
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return Terms(0, 0)
    return terms if 0 <= terms.maxsize <= MOST and 0 <= terms.generation < messages.MOST - 1 else Terms(0, 0)


def _write_terms(fd: int, terms: Terms) -> None:
    os.pwrite(fd, json.dumps(terms._asdict()).encode().ljust(256), 0)


def _bound(maxsize: int) -> str:
    return str(maxsize) if maxsize > 0 else "0 (unbounded)"


def create_anonymous(directory: str, maxsize: int | None) -> Membership:
    """A new group without a name, and a place in it."""
    token = os.urandom(8).hex()
    paths = p.GroupPaths(directory, f".anon-{token}")
    p.check_socket_path(paths)
    new = p.GroupPaths(directory, f".new-{token}")
    membership = Membership.join(new, maxsize if maxsize is not None else 0)
    os.rename(new.folder, paths.folder)
    membership.paths = paths
    return membership


def remove_group(paths: p.GroupPaths) -> None:
    """Removes a group that has no members: GroupBusyError if it has, FileNotFoundError if there is none.

    GroupDirectoryError, and nothing is removed, if there is something in the folder that no group has.
    """
    p.check_directory(paths.folder, paths.name)
    strangers = sorted(name for name in os.listdir(paths.folder) if name not in _CONTENTS)
    if strangers:
        raise GroupDirectoryError(
            errno.ENOTEMPTY,
            f"cannot remove group {paths.name!r}: {paths.folder} is no group, or not only: it has {strangers[0]!r}; "
            "remove that first if it is nobody's",
        )
    try:
        fd = os.open(paths.group, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        _remove(paths)
        return
    try:
        if not try_lock(fd):
            raise GroupBusyError(
                f"cannot remove group {paths.name!r} in {paths.directory}: it has living members; close them first"
            )
        if is_same_file(fd, paths.group):
            _remove(paths)
    finally:
        os.close(fd)


def sweep(directory: str) -> None:
    """Removes what killed processes left behind: anonymous groups without members, half-removed folders."""
    try:
        names = [entry.name for entry in os.scandir(directory) if entry.name.startswith(".")]
    except OSError:
        return
    for name in names:
        paths = p.GroupPaths(directory, name)
        try:
            if name.startswith(".gone-"):
                _remove_folder(paths.folder)
            elif name.startswith(".anon-") or (
                name.startswith(".new-") and time.time() - os.stat(paths.folder).st_mtime > _STALE_NEW
            ):
                remove_group(paths)
        except (OSError, GroupBusyError):
            continue


def _remove(paths: p.GroupPaths) -> None:
    """Requires LOCK_EX on the group file. The folder is renamed first: there is no half-removed group."""
    gone = os.path.join(paths.directory, f".gone-{os.urandom(8).hex()}")
    try:
        os.rename(paths.folder, gone)
    except FileNotFoundError:
        return
    _remove_folder(gone)


def _remove_folder(path: str) -> None:
    """Whatever of it can be removed."""
    import shutil  # late: it brings half a dozen modules, and few processes remove anything

    shutil.rmtree(path, ignore_errors=True)
