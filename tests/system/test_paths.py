"""Where groups live, and what is wrong with a place where they cannot."""

from __future__ import annotations

import builtins
import errno
import io
import os
from typing import Any

import pytest

from groupqueue.exceptions import GroupDirectoryError
from groupqueue.system import paths as p
from groupqueue.system.paths import (
    GroupPaths,
    check_directory,
    check_name,
    check_socket_path,
    default_directory,
    file_system,
    make_directory,
    open_to_look,
    resolve_directory,
)
from tests.helpers import linux_only, root_only

# Names


@pytest.mark.parametrize("name", ["jobs", "a", "A-b_c.d", "0", "-", "_x", "x" * 128, "a.b.c", "x."])
def test_a_name_is_what_it_is(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", ".hidden", "a/b", "../up", "a b", "é", "x" * 129, "a\n", "a\0b", "ａ", ".anon-xyz", "*"]
)
def test_what_is_no_name_is_refused_and_named(name: str) -> None:
    with pytest.raises(ValueError, match="is not a group's name") as caught:
        check_name(name)
    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", [None, 3, b"jobs", ["jobs"]])
def test_a_name_is_a_str(name: Any) -> None:
    with pytest.raises(TypeError, match=type(name).__name__):
        check_name(name)


def test_a_bound_in_the_place_of_the_name_is_told_where_it_goes() -> None:
    with pytest.raises(TypeError, match="a str, not int; as a bound it is maxsize=10"):
        check_name(10)


def test_the_name_of_an_anonymous_group_is_one_too() -> None:
    assert check_name(".anon-0123456789abcdef")
    assert GroupPaths("/d", ".anon-0123456789abcdef").is_anonymous
    assert not GroupPaths("/d", "jobs").is_anonymous


def test_everything_of_a_group_is_in_its_folder() -> None:
    paths = GroupPaths("/somewhere", "jobs")
    assert paths.folder == "/somewhere/jobs"
    for part in ("group", "lock", "socket", "members", "journal"):
        assert getattr(paths, part) == f"/somewhere/jobs/{part}"


# Directories


def test_the_default_is_the_same_whatever_temporary_directory_a_process_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROUPQUEUE_DIR", raising=False)
    expected = f"/tmp/groupqueue-{os.geteuid()}"
    assert default_directory() == expected
    for name in ("TMPDIR", "TEMP", "XDG_RUNTIME_DIR", "HOME"):
        monkeypatch.setenv(name, "/elsewhere")
    assert default_directory() == expected
    monkeypatch.setenv("GROUPQUEUE_DIR", "")
    assert default_directory() == expected


def test_the_environment_names_another_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUPQUEUE_DIR", "/elsewhere")
    assert default_directory() == resolve_directory(None) == "/elsewhere"


def test_a_directory_is_resolved_to_an_absolute_path(monkeypatch: pytest.MonkeyPatch, directory: str) -> None:
    monkeypatch.chdir(directory)
    assert resolve_directory("groups") == os.path.join(directory, "groups")
    assert resolve_directory(os.fspath("/a/../b")) == "/b"


@pytest.mark.parametrize("nothing", ["", b""])
def test_a_directory_without_a_name_is_not_where_one_stands(nothing: str | bytes) -> None:
    with pytest.raises(ValueError, match="directory is ''"):
        resolve_directory(nothing)


def test_a_directory_is_made_with_its_parents_and_only_its_own_mode(directory: str) -> None:
    before = os.umask(0)
    try:
        path = os.path.join(directory, "a", "b", "groups")
        make_directory(path, "jobs")
    finally:
        os.umask(before)
    assert os.stat(path).st_mode & 0o7777 == 0o700


def test_a_directory_that_is_there_is_taken(directory: str) -> None:
    path = os.path.join(directory, "groups")
    make_directory(path, "jobs")
    make_directory(path, "jobs")


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707, 0o711, 0o701])
def test_a_directory_that_others_can_reach_into_is_refused(directory: str, mode: int) -> None:
    path = os.path.join(directory, "groups")
    os.mkdir(path)
    os.chmod(path, mode)
    with pytest.raises(GroupDirectoryError, match=f"{path} has mode {mode:04o}.*chmod 700") as caught:
        make_directory(path, "jobs")
    assert "'jobs'" in str(caught.value)
    assert caught.value.errno == errno.EPERM


def test_nobody_is_told_to_close_a_directory_that_is_for_all(directory: str) -> None:
    path = os.path.join(directory, "tmp")
    os.mkdir(path)
    os.chmod(path, 0o1777)
    with pytest.raises(GroupDirectoryError, match=f"{path} has mode 1777.*inside it") as caught:
        make_directory(path, "jobs")
    assert "chmod" not in str(caught.value)


def test_a_symbolic_link_is_refused(directory: str) -> None:
    real = os.path.join(directory, "real")
    link = os.path.join(directory, "link")
    os.mkdir(real, 0o700)
    os.symlink(real, link)
    with pytest.raises(GroupDirectoryError, match="symbolic link"):
        make_directory(link, "jobs")


def test_a_file_is_refused(directory: str) -> None:
    path = os.path.join(directory, "file")
    with open(path, "w"):
        pass
    with pytest.raises(GroupDirectoryError, match="not a directory"):
        make_directory(path, "jobs")


def test_a_directory_below_a_file_cannot_be_made(directory: str) -> None:
    path = os.path.join(directory, "file")
    with open(path, "w"):
        pass
    with pytest.raises(GroupDirectoryError, match="cannot make the directory") as caught:
        make_directory(os.path.join(path, "groups"), "jobs")
    assert caught.value.errno in (errno.ENOTDIR, errno.EEXIST)
    assert caught.value.__cause__ is not None


@root_only
def test_another_users_directory_is_refused(directory: str) -> None:
    path = os.path.join(directory, "groups")
    os.mkdir(path, 0o700)
    os.chown(path, 12345, 12345)
    with pytest.raises(GroupDirectoryError, match=f"belongs to user 12345, this process runs as {os.geteuid()}"):
        make_directory(path, "jobs")


def test_another_users_directory_is_refused_whoever_asks(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.path.join(directory, "groups")
    os.mkdir(path, 0o700)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(GroupDirectoryError, match="belongs to user"):
        check_directory(path, "jobs")


def test_a_directory_that_is_not_there_is_no_directory_error(directory: str) -> None:
    with pytest.raises(FileNotFoundError):
        check_directory(os.path.join(directory, "nowhere"), "jobs")


# File systems


def mounted(monkeypatch: pytest.MonkeyPatch, path: str, kind: str) -> None:
    """From now on /proc/self/mountinfo says that the path is on a file system of this kind."""
    device = os.stat(path).st_dev
    real = builtins.open

    def fake(name: Any, *args: Any, **kwargs: Any) -> Any:
        if name == "/proc/self/mountinfo":
            return io.StringIO(
                "22 1 0:999 / /other rw,relatime shared:1 - tmpfs tmpfs rw\n"
                f"23 1 {os.major(device)}:{os.minor(device)} / /mnt rw shared:2 master:1 - {kind} host:/export rw\n"
            )
        return real(name, *args, **kwargs)

    monkeypatch.setattr(p, "open", fake, raising=False)


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "fuse.sshfs", "9p", "ceph"])
def test_a_remote_file_system_is_refused(directory: str, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    mounted(monkeypatch, directory, kind)
    with pytest.raises(GroupDirectoryError, match=f"is on a {kind} file system") as caught:
        check_directory(directory, "jobs")
    assert caught.value.errno == errno.ENOTSUP
    assert "GROUPQUEUE_DIR" in str(caught.value)


@pytest.mark.parametrize("kind", ["ext4", "tmpfs", "overlay", "btrfs", "xfs"])
def test_a_local_file_system_is_taken(directory: str, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    mounted(monkeypatch, directory, kind)
    assert file_system(directory) == kind
    check_directory(directory, "jobs")


@linux_only
def test_the_system_tells_what_a_path_is_on() -> None:
    assert file_system("/proc") == "proc"


@pytest.mark.parametrize("told", ["", "1 2 3\n", "no such lines at all\n"])
def test_where_the_system_does_not_tell_nothing_is_wrong(
    directory: str, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setattr(p, "open", lambda *args, **kwargs: io.StringIO(told), raising=False)
    assert file_system(directory) == ""
    check_directory(directory, "jobs")


def test_without_a_list_of_mounts_nothing_is_wrong(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: Any, **kwargs: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(p, "open", missing, raising=False)
    assert file_system(directory) == ""


# The socket's path


def test_a_name_of_any_length_has_a_socket_where_descriptors_have_paths() -> None:
    if not p.by_descriptor():
        pytest.skip("no paths that begin at a descriptor here")
    check_socket_path(GroupPaths("/d", "x" * 128))


def test_a_socket_path_may_be_as_long_as_the_system_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(p, "by_descriptor", lambda: False)
    longest = p.SOCKET_PATH_LIMIT - len("/d//socket~")
    check_socket_path(GroupPaths("/d", "x" * longest))
    with pytest.raises(ValueError, match=f"{p.SOCKET_PATH_LIMIT + 1} bytes.*at most {p.SOCKET_PATH_LIMIT}"):
        check_socket_path(GroupPaths("/d", "x" * (longest + 1)))


def test_a_socket_path_is_counted_in_bytes() -> None:
    with pytest.raises(ValueError, match="shorter"):
        check_socket_path(GroupPaths("/" + "ü" * 60, "jobs"))


def test_where_nothing_can_be_written_one_may_look(directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.path.join(directory, "file")
    with open(path, "wb") as file:
        file.write(b"there")
    fd, may_write = open_to_look(path)
    os.close(fd)
    assert may_write
    real = os.open

    def read_only(path: str, flags: int, *args: int) -> int:
        if flags & os.O_RDWR:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *args)

    monkeypatch.setattr(os, "open", read_only)
    fd, may_write = open_to_look(path)
    assert (os.read(fd, 9), may_write) == (b"there", False)
    os.close(fd)
