"""Who holds a flock, told by /proc: parents, children, nobody else, and no lock is taken to know."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from groupqueue.system.holders import find_holders
from groupqueue.system.locks import try_lock
from tests.helpers import linux_only, run_script

pytestmark = linux_only


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "lock"
    file.touch()
    return str(file)


def locked(path: str, how: str = "LOCK_EX", more: str = "") -> object:
    script = run_script(
        f"""
        # holds a lock
        import fcntl, os, signal, sys
        fd = os.open(sys.argv[1], os.O_RDONLY)
        fcntl.flock(fd, fcntl.{how})
        {more}
        say("locked")
        signal.pause()
        """,
        path,
    )
    script.expect("locked")
    return script


@pytest.mark.parametrize("how", ["LOCK_EX", "LOCK_SH"])
def test_the_process_that_holds_it(path, how):
    assert find_holders([path]) == {path: []}
    script = locked(path, how)
    assert find_holders([path]) == {path: [(script.pid, script.pid)]}
    script.kill()
    assert find_holders([path]) == {path: []}


def test_a_process_that_merely_has_the_file_open_does_not(path):
    script = locked(path)
    fd = os.open(path, os.O_RDWR)
    assert not try_lock(fd)
    assert find_holders([path]) == {path: [(script.pid, script.pid)]}
    os.close(fd)


def test_a_forked_child_holds_what_its_parent_held(path):
    script = locked(path, more="child = os.fork() or signal.pause(); say('child', child)")
    child = int(next(line for line in script.lines if line.startswith("child")).split()[1])
    assert find_holders([path]) == {path: [(script.pid, script.pid), (child, script.pid)]}
    script.kill()
    assert find_holders([path]) == {path: [(child, script.pid)]}


def test_another_kind_of_lock_is_none(path):
    with open(path, "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        assert find_holders([path]) == {path: []}


def test_several_at_once_folders_too(path, tmp_path):
    one, two = locked(path, "LOCK_SH"), locked(path, "LOCK_SH")
    folder = locked(str(tmp_path))
    nowhere = str(tmp_path / "nowhere")
    assert find_holders([path, str(tmp_path), nowhere]) == {
        path: sorted([(one.pid, one.pid), (two.pid, two.pid)]),
        str(tmp_path): [(folder.pid, folder.pid)],
        nowhere: [],
    }


def test_nobody_is_kept_from_the_lock_meanwhile(path):
    fd = os.open(path, os.O_RDWR)
    for _ in range(20):
        find_holders([path])
        assert try_lock(fd)
        fcntl.flock(fd, fcntl.LOCK_UN)
    os.close(fd)
