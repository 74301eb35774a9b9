"""`clear`, `requeue` and `unlink`, asked and unasked."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from groupqueue.__main__ import main
from tests.cli.terminal import Terminal
from tests.cli.test_look import of_another_version
from tests.helpers import ROOT, open_leader, open_member


def left_by_a_user(group: str, count: int) -> None:
    member = open_leader(group)
    member.do(f"q.put_many(range({count})); q.flush(); q.close(); q.join_thread()")
    member.kill()


def test_clear(group, capsys):
    leader = open_leader(group)
    leader.do("q.put_many(range(1200)); q.flush()")
    assert main(["clear", group, "--yes"]) == 0
    assert capsys.readouterr().out == "1,200 item(s) removed\n"
    assert leader.do("q.qsize()") == 0


@pytest.mark.parametrize(("answer", "status", "left"), [("y\n", 0, 0), ("n\n", 1, 3), ("\n", 1, 3), ("\x03", 130, 3)])
def test_clear_asks(answer, status, left, group):
    leader = open_leader(group)
    leader.do("q.put_many(range(3)); q.flush()")
    screen = Terminal("clear", group)
    screen.expect(f"Remove 3 item.* from group {group!r}.*y/N")
    screen.type(answer)
    if answer == "\x03" and not screen.ends_within(5):
        # It came between the interpreter's last look for one and its read, which no program can help: once more, then.
        screen.type(answer)
    assert screen.wait() == status
    assert leader.do("q.qsize()") == left
    assert "Traceback" not in screen.text


@pytest.mark.parametrize("command", ["clear", "unlink"])
def test_where_nobody_can_be_asked_nothing_is_removed(command, group, directory):
    left_by_a_user(group, 3)
    found = subprocess.run(
        [sys.executable, "-m", "groupqueue", command, group], stdin=subprocess.DEVNULL, capture_output=True,
        text=True, cwd=ROOT, timeout=40,
    )  # fmt: skip
    assert found.returncode == 2
    assert "--yes" in found.stderr
    assert found.stderr.count("\n") == 1
    assert open_leader(group).do("q.qsize()") == 3


def test_requeue(group, capsys):
    leader = open_leader(group)
    leader.do("q.put(1); q.get_message().fail(ValueError()); q.flush()")
    assert main(["requeue", group]) == 0
    assert capsys.readouterr().out == "1 item(s) put back\n"
    assert leader.do("q.get(timeout=5)") == 1


def test_unlink_of_an_empty_group_does_not_ask(group, directory, capsys):
    left_by_a_user(group, 0)
    assert main(["unlink", group]) == 0
    assert os.listdir(directory) == []


def test_unlink_of_one_with_items(group, directory):
    left_by_a_user(group, 3)
    screen = Terminal("unlink", group)
    screen.expect(f"Remove group {group!r} in .* with 3 item.*y/N")
    screen.type("n\n")
    assert screen.wait() == 1
    assert os.listdir(directory) == [group]
    assert main(["unlink", group, "--yes"]) == 0
    assert os.listdir(directory) == []


@pytest.mark.parametrize("mode", ["dual", "client"])
def test_unlink_of_one_that_is_open_is_refused(mode, group, directory, capsys):
    open_member(group, mode=mode)
    assert main(["unlink", group, "--yes"]) == 1
    said = capsys.readouterr().err
    assert "has living members" in said
    assert said.count("\n") == 1
    assert os.listdir(directory) == [group]


def test_unlink_of_one_of_another_version(group, directory):
    of_another_version(group)
    screen = Terminal("unlink", group)
    screen.expect("whose items cannot be counted.*y/N")
    screen.type("n\n")
    assert screen.wait() == 1
    assert main(["unlink", group, "--yes"]) == 0
    assert os.listdir(directory) == []
