"""Where a group lives: owner, mode, file system, disk, and what was left behind."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from groupqueue.__main__ import main
from groupqueue.system import paths
from tests.helpers import ROOT, eventually, open_leader, root_only, run_script

NOBODY = 65534

# A filter of system calls, for this process and its children: flock fails as on a file system that cannot lock.
WITHOUT_FLOCK = """
    # has no flock
    import ctypes, errno, os, struct, sys
    load, equal, give = 0x20, 0x15, 0x06
    number = {"x86_64": 73, "aarch64": 32}[os.uname().machine]
    steps = [(load, 0, 0, 0), (equal, 0, 1, number), (give, 0, 0, 0x50000 | errno.ENOLCK), (give, 0, 0, 0x7fff0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
    program = Program(len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, ctypes.byref(program), 0, 0):
        say("cannot", os.strerror(ctypes.get_errno()))
        sys.exit(1)
    say("filtered")
    os.execv(sys.executable, [sys.executable, "-m", "groupqueue", "doctor", sys.argv[1], "--json"])
"""


@pytest.fixture
def small_disk(directory):
    """A file system of 4 MiB."""
    path = os.path.join(directory, "small")
    os.mkdir(path, 0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", path], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def left_by_a_user(group: str, directory: str) -> str:
    """A group that nobody has open; its folder."""
    member = open_leader(group, directory=directory)
    member.do("q.close(); q.join_thread()")
    member.kill()
    return os.path.join(directory, group)


@pytest.mark.parametrize("which", ["directory", "folder"])
def test_a_folder_that_others_may_enter(group, directory, diagnose, which):
    folder = left_by_a_user(group, directory)
    path = directory if which == "directory" else folder
    os.chmod(path, 0o755)
    found = diagnose()
    assert found["status"] == 1
    assert found["named"]["directory"]["text"] == f"{path} has mode 0755"
    assert f"chmod 700 {path}" in found["named"]["directory"]["remedy"]
    os.chmod(path, 0o700)
    assert diagnose()["status"] == 0


def test_a_folder_that_is_a_symbolic_link(group, directory, diagnose):
    folder = left_by_a_user(group, directory)
    os.rename(folder, folder + "-moved")
    os.symlink(folder + "-moved", folder)
    found = diagnose()
    assert found["status"] == 1
    assert found["named"]["directory"]["text"] == f"{folder} is a symbolic link"


def test_a_file_in_its_place(group, directory, diagnose):
    Path(directory, group).touch(mode=0o600)
    found = diagnose()
    assert found["status"] == 1
    assert "is not a directory" in found["named"]["directory"]["text"]


@root_only
@pytest.mark.parametrize("which", ["directory", "folder"])
def test_a_folder_of_another_user(group, directory, diagnose, which):
    folder = left_by_a_user(group, directory)
    path = directory if which == "directory" else folder
    os.chown(path, NOBODY, NOBODY)
    found = diagnose()
    assert found["status"] == 1
    assert f"{path} belongs to user {NOBODY}, this process runs as 0" in found["named"]["directory"]["text"]
    assert "leader_pid" not in found


@root_only
def test_a_file_of_another_user(group, directory, diagnose):
    folder = left_by_a_user(group, directory)
    os.chown(os.path.join(folder, "lock"), NOBODY, NOBODY)
    found = diagnose()
    assert found["status"] == 1
    assert f"{folder}/lock belongs to user {NOBODY}" in found["named"]["owner"]["text"]
    assert found["named"]["owner"]["remedy"] == f"chown -R 0 {folder}"


def test_a_file_system_that_is_not_local(group, directory, diagnose, monkeypatch):
    left_by_a_user(group, directory)
    kind = paths.file_system(directory)
    monkeypatch.setattr(paths, "_REMOTE", frozenset((kind,)))
    found = diagnose()
    assert found["status"] == 1
    assert f"is on a {kind} file system" in found["named"]["directory"]["text"]
    assert "GROUPQUEUE_DIR" in found["named"]["directory"]["remedy"]


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="knows no other numbers of system calls")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="seccomp is Linux's")
def test_a_file_system_that_cannot_lock(group, directory):
    left_by_a_user(group, directory)
    script = run_script(WITHOUT_FLOCK, group)
    eventually(lambda: script.lines)
    if script.lines[0].startswith("cannot"):
        pytest.skip(script.lines[0])
    assert script.wait() == 1
    found = json.loads("\n".join(script.lines[1:]))
    finding = next(finding for finding in found["findings"] if finding["name"] == "locks")
    assert f"the file system of {directory}/{group} cannot lock: No locks available" in finding["text"]
    assert "GROUPQUEUE_DIR" in finding["remedy"]


@root_only
def test_a_full_disk(group, small_disk, diagnose):
    leader = open_leader(group, directory=small_disk)
    leader.do("q.put(1); q.flush()")
    ballast = os.path.join(small_disk, "ballast")
    with open(ballast, "wb") as file:
        try:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        except OSError:
            pass
    found = diagnose("--directory", small_disk)
    assert found["status"] == 1
    assert "the disk is full" in found["named"]["disk-full"]["text"]
    assert found["answers"] is True
    assert found["free_bytes"] < 512 * 1024
    os.unlink(ballast)
    leader.kill()
    left = diagnose("--directory", small_disk)["named"]
    assert "disk-full" not in left


@root_only
def test_a_disk_without_inodes(group, small_disk, diagnose):
    left_by_a_user(group, small_disk)
    used = os.statvfs(small_disk).f_files - os.statvfs(small_disk).f_ffree
    subprocess.run(["mount", "-o", f"remount,size=8m,nr_inodes={used}", small_disk], check=True)
    found = diagnose("--directory", small_disk)
    assert found["status"] == 1
    assert "has no inode left" in found["named"]["disk-full"]["text"]


@root_only
def test_a_disk_that_is_mounted_read_only(group, small_disk, diagnose):
    left_by_a_user(group, small_disk)
    subprocess.run(["mount", "-o", "remount,ro,size=8m", small_disk], check=True)
    found = diagnose("--directory", small_disk)
    assert found["status"] == 1
    assert "read-only" in found["named"]["read-only"]["text"]


def test_what_was_left_half_made_is_noted(group, directory, diagnose):
    folder = Path(left_by_a_user(group, directory))
    old = time.time() - 3600
    left = [
        folder / "members" / "~0123456789abcdef",
        folder / "journal" / "new-0000000100000002",
        Path(directory, ".gone-0123456789abcdef"),
        Path(directory, ".new-0123456789abcdef"),
    ]
    for path in left:
        path.touch()
        os.utime(path, (old, old))
    (folder / "members" / "~fedcba9876543210").touch()
    found = diagnose()
    assert found["status"] == 0
    text = " ".join(finding["text"] for finding in found["findings"] if finding["name"] == "stale")
    assert all(str(path) in text for path in left)
    assert "fedcba" not in text


def test_it_can_be_run_without_the_extra_s_packages(group, directory):
    left_by_a_user(group, directory)
    code = (
        "import sys; sys.modules['click'] = sys.modules['rich'] = None\n"
        "from groupqueue.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, "doctor", group], capture_output=True, text=True, cwd=ROOT, timeout=30
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "nothing is wrong" in found.stdout


def test_a_name_that_is_none_is_one_line(capsys):
    assert main(["doctor", "../jobs"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
