"""Standard streams that are closed, full, or read by nobody: what was not written, and the exit status."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios

import pytest

from tests.helpers import ROOT, eventually, open_leader, process_state

needs_full = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")


def run(arguments: str, timeout: float = 40) -> subprocess.CompletedProcess[str]:
    """What a shell makes of `groupqueue` with these arguments and redirections."""
    return subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -m groupqueue {arguments}', sys.executable],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=buffered(),
        timeout=timeout,
    )


def buffered() -> dict[str, str]:
    """As users run it: what cannot be written is in a buffer, which the interpreter flushes once more at its end."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


@needs_full
@pytest.mark.parametrize("command", ["get {}", "peek {}", "stats {}", "doctor {}", "--help", "stats --help"])
def test_a_full_disk_is_told_in_one_line(command, group, open_queue):
    open_queue(group).put("kept")
    found = run(f"{command.format(group)} > /dev/full")
    assert found.returncode == 1
    assert "No space left" in found.stderr
    assert found.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["get {}", "peek {}", "stats {}", "ls", "--help", "put --help"])
def test_without_standard_output_it_says_so_in_one_line(command, group, open_queue):
    queue = open_queue(group)
    queue.put("kept")
    queue.flush(20)
    found = run(f"{command.format(group)} >&-")
    assert found.returncode == 1
    assert "Bad file descriptor" in found.stderr
    assert found.stderr.count("\n") == 1
    assert queue.get(timeout=20) == "kept"


def test_who_has_nothing_to_say_needs_no_standard_streams(group, open_queue):
    assert run(f"put {group} one two <&- >&- 2>&-").returncode == 0
    queue = open_queue(group)
    assert [queue.get(timeout=20), queue.get(timeout=20)] == ["one", "two"]


@pytest.mark.parametrize("command", ["put {} -", "put {} --lines -"])
def test_without_standard_input_it_says_so_in_one_line(command, group):
    found = run(f"{command.format(group)} <&-")
    assert (found.returncode, found.stderr.count("\n")) == (1, 1)
    assert "Bad file descriptor" in found.stderr


def test_without_standard_input_nobody_can_be_asked(group, open_queue):
    open_queue(group).put(1)
    found = run(f"clear {group} <&-")
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert found.stderr.endswith(" Nobody can be asked here: --yes\n")


@pytest.mark.parametrize("where", ["2>&-", pytest.param("2>/dev/full", marks=needs_full)])
@pytest.mark.parametrize(("command", "status"), [("peek nothing", 1), ("put ../jobs x", 2), ("stats --nonsense", 2)])
def test_a_complaint_that_nobody_sees_changes_no_exit_status(where, command, status):
    found = run(f"{command} {where}")
    assert (found.returncode, found.stdout) == (status, "")


@pytest.mark.parametrize("command", ["--help", "stats --help", "get --help"])
def test_help_that_nobody_reads_is_no_error(command):
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [sys.executable, "-m", "groupqueue", *command.split()],
        stdout=writing,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=buffered(),
    )
    os.close(writing)
    _, said = process.communicate(timeout=40)
    assert (process.returncode, said) == (0, b"")


def test_ctrl_c_ends_a_get_that_a_full_pipe_holds_up_and_its_item_goes_back(group):
    leader = open_leader(group)
    leader.do("q.put_many(f'{n:0100}' for n in range(3000)); q.flush()")
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "groupqueue", "get", group, "-n", "0"], stdout=writing, cwd=ROOT, env=buffered()
    )
    os.close(writing)
    try:
        eventually(lambda: struct.unpack("i", fcntl.ioctl(reading, termios.FIONREAD, bytes(4)))[0] > 60_000)
        eventually(lambda: process_state(process.pid) == "S")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    finally:
        process.kill()
        process.wait()
    with open(reading) as pipe:
        printed = pipe.read().splitlines()
    left = leader.do("[q.get(timeout=20) for _ in range(q.qsize())]")
    assert printed + left == [f"{n:0100}" for n in range(3000)]
