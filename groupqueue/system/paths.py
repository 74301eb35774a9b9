"""
Where groups live, and whether a group can safely live there.

    <directory>/<group>/  group  lock  socket  members/  journal/

An anonymous group's folder is `.anon-<random>`; folders on their way in or out are `.new-...` and `.gone-...`. Names
with a dot in front are no names of groups, so nobody meets them by accident.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from typing import NamedTuple

from groupqueue.exceptions import GroupDirectoryError

_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_ANONYMOUS = re.compile(r"\.anon-[0-9a-f]{16}")
SOCKET_PATH_LIMIT = 107 if sys.platform == "linux" else 103

# File systems on which flock or a mapped file does not hold between machines, or not at all.
_REMOTE = frozenset(
    """
    nfs nfs4 cifs smb3 smbfs 9p afs ceph lustre beegfs gpfs virtiofs vboxsf vmhgfs
    fuse.sshfs fuse.glusterfs fuse.juicefs fuse.ceph-fuse fuse.vmhgfs-fuse fuse.s3fs
    """.split()  # noqa: SIM905  # a table
)


class GroupPaths:
    """The paths of one group."""

    __slots__ = ("directory", "folder", "group", "journal", "lock", "members", "name", "socket")

    def __init__(self, directory: str, name: str) -> None:
        self.directory = directory
        self.name = name
        self.folder = os.path.join(directory, name)
        self.group = os.path.join(self.folder, "group")
        self.lock = os.path.join(self.folder, "lock")
        self.socket = os.path.join(self.folder, "socket")
        self.members = os.path.join(self.folder, "members")
        self.journal = os.path.join(self.folder, "journal")

    @property
    def is_anonymous(self) -> bool:
        return self.name.startswith(".")


def check_name(name: object) -> str:
    """The name, if it is one; else ValueError (TypeError for what is no str)."""
    if not isinstance(name, str):
        # Queue(10), as multiprocessing has it.
        bound = f"; as a bound it is maxsize={name}" if type(name) is int else ""
        raise TypeError(f"a group's name is a str, not {type(name).__name__}{bound}")
    if not _NAME.fullmatch(name) and not _ANONYMOUS.fullmatch(name):
        raise ValueError(f"{name!r} is not a group's name: 1 to 128 of A-Z a-z 0-9 . _ - and no dot in front")
    return name


def default_directory() -> str:
    """`$GROUPQUEUE_DIR`, else a folder in /tmp for this user, the same in every process whatever its environment."""
    directory = os.environ.get("GROUPQUEUE_DIR") or f"/tmp/groupqueue-{os.geteuid()}"
    if not os.path.isabs(directory):
        raise ValueError(
            f"GROUPQUEUE_DIR is {directory!r}, which is another folder in each working directory: make it absolute"
        )
    return directory


def resolve_directory(directory: str | os.PathLike[str] | None) -> str:
    """Its absolute path. Raises ValueError for none at all: an unset variable is not to mean wherever one stands."""
    if directory is None:
        return os.path.abspath(default_directory())
    path = os.fsdecode(directory)
    if not path:
        raise ValueError(f"directory is {path!r}: name one, or leave it out for {default_directory()}")
    return os.path.abspath(path)


def check_socket_path(paths: GroupPaths) -> None:
    """ValueError if the leader's socket could not be bound or found under this path.

    Where a socket can be reached through a descriptor of its folder the name may have any length; the directory's is
    bounded all the same, so that every tool reaches a group with a short name.
    """
    name = paths.name[:1] if by_descriptor() else paths.name
    length = len(os.fsencode(os.path.join(paths.directory, name, "socket"))) + 1
    if length > SOCKET_PATH_LIMIT:
        raise ValueError(
            f"group {paths.name!r} in {paths.directory}: the path of its socket has {length} bytes, a Unix "
            f"socket's has at most {SOCKET_PATH_LIMIT}; use a shorter directory (GROUPQUEUE_DIR or directory=)"
            + ("" if by_descriptor() else " or a shorter name")
        )


def by_descriptor() -> bool:
    """Whether the system has paths that begin at an open descriptor."""
    return os.path.isdir("/proc/self/fd")


def make_directory(path: str, group: str) -> None:
    """Makes the folder, or checks the one that is there: of this user, 0700, no symlink, on a local file system.

    Raises GroupDirectoryError otherwise.
    """
    try:
        os.makedirs(os.path.dirname(os.path.dirname(path)), exist_ok=True)
        # The folder above may be the groups' directory, which somebody has removed: nobody but us, there too.
        for folder in (os.path.dirname(path), path):
            if not os.path.lexists(folder):
                try:
                    os.mkdir(folder, 0o700)
                    # Whatever the umask.
                    os.chmod(folder, 0o700)
                except FileExistsError:
                    pass
    except OSError as error:
        raise GroupDirectoryError(
            error.errno or errno.EIO, f"group {group!r}: cannot make the directory {path}: {error.strerror}"
        ) from error
    check_directory(path, group)


def open_private(path: str, flags: int) -> int:
    """Opens a file of the group's, which is made for this user alone, whatever the umask. Never through a symlink."""
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        if stat.S_IMODE(os.fstat(fd).st_mode) != 0o600:
            os.fchmod(fd, 0o600)
    except PermissionError:
        # Of another user, which is for whoever checks the directory to say.
        pass
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_to_look(path: str) -> tuple[int, bool]:
    """A descriptor of a file that is there, and whether it can be written: where nothing can, one may still look."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(path, os.O_RDWR | flags), True
    except OSError as error:
        if error.errno != errno.EROFS:
            raise
    return os.open(path, os.O_RDONLY | flags), False


def check_directory(path: str, group: str) -> None:
    """See `make_directory`; FileNotFoundError if there is none."""
    fault = find_fault(path)
    if fault is not None:
        raise GroupDirectoryError(fault.errno, f"group {group!r}: the directory {path} {fault.problem}; {fault.remedy}")


def set_aside(path: str) -> str:
    """Renames what nobody can use, to a name that nothing has; returns that."""
    folder, name = os.path.split(path)
    aside = os.path.join(folder, f"damaged-{name}")
    count = 0
    while os.path.lexists(aside):
        count += 1
        aside = os.path.join(folder, f"damaged-{name}.{count}")
    os.rename(path, aside)
    return aside


class Fault(NamedTuple):
    """What is wrong with a directory, and what to do about it."""

    errno: int
    problem: str
    remedy: str


def find_fault(path: str) -> Fault | None:
    """Why groups cannot safely live in this directory; None if they can, FileNotFoundError if there is none."""
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        return Fault(errno.EPERM, "is a symbolic link", "name the directory itself")
    if not stat.S_ISDIR(found.st_mode):
        return Fault(errno.EPERM, "is not a directory", "name another")
    if found.st_uid != os.geteuid():
        return Fault(
            errno.EPERM,
            f"belongs to user {found.st_uid}, this process runs as {os.geteuid()}",
            "only processes of one user share a group: use a directory of this user's (GROUPQUEUE_DIR or directory=)",
        )
    if found.st_mode & 0o077:
        mode = f"has mode {stat.S_IMODE(found.st_mode):04o}"
        # /tmp is meant for all: root is not to be told to close it.
        is_shared = found.st_mode & stat.S_ISVTX
        remedy = "name a folder of its own inside it" if is_shared else f"chmod 700 {path}"
        return Fault(errno.EPERM, mode, f"others could reach in: {remedy}")
    kind = file_system(path)
    if kind in _REMOTE:
        return Fault(
            errno.ENOTSUP,
            f"is on a {kind} file system",
            "groups need a local one, where locks and sockets work: set GROUPQUEUE_DIR or directory=",
        )
    return None


def file_system(path: str) -> str:
    """The type of file system that the path is on, '' where the system does not tell."""
    try:
        device = os.stat(path).st_dev
        wanted = f"{os.major(device)}:{os.minor(device)}"
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                fields = line.split()
                if fields[2] == wanted:
                    return fields[fields.index("-") + 1]
    except (OSError, ValueError, IndexError):
        pass
    return ""
