"""What is typed: arguments, exit status, and where what is said goes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from groupqueue.__main__ import main
from groupqueue.cli import extra
from groupqueue.core import messages, records
from tests.helpers import ROOT


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["play"],
        ["serve"],
        ["stats"],
        ["stats", "jobs", "--watch", "--interval", "0"],
        ["serve", "jobs", "--maxsize", "many"],
        ["doctor"],
        ["demo", "/no/such/folder"],
        ["ls", "jobs"],
    ],
)
def test_wrong_usage_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as raised:
        main(argv)
    assert raised.value.code == 2
    assert "usage: groupqueue" in capsys.readouterr().err


def test_version_tells_what_must_be_the_same_in_a_group(capsys):
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0
    said = capsys.readouterr().out
    assert said.startswith("groupqueue ")
    assert f"wire {messages.VERSION}, journal {records.VERSION}, Python {sys.version.split()[0]}" in said


@pytest.mark.parametrize("command", ["stats", "serve", "doctor", *sorted(extra.COMMANDS.keys() - {"bench"})])
@pytest.mark.parametrize("name", ["../jobs", ".hidden", "", "x" * 129, "a b"])
def test_a_name_that_is_none_is_said_in_one_line(command, name, directory, capsys):
    assert main([command, name]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"groupqueue {command}: {name!r} is not a group's name")
    assert said.err.count("\n") == 1
    assert os.listdir(directory) == []


@pytest.mark.parametrize("command", [[], ["demo"], ["serve"], ["stats"], ["ls"], ["doctor"]], ids=" ".join)
def test_help_tells_the_exit_status(command, capsys):
    with pytest.raises(SystemExit) as raised:
        main([*command, "--help"])
    assert raised.value.code == 0
    said = capsys.readouterr().out
    assert "exit status: 0" in said
    assert not command or "--directory" in said


def test_python_m_groupqueue_is_the_command():
    found = subprocess.run([sys.executable, "-m", "groupqueue", "ls"], capture_output=True, text=True, cwd=ROOT)
    assert (found.returncode, found.stdout) == (0, "")
    assert found.stderr.startswith("no groups in ")


def test_a_reader_that_goes_away_is_no_error(group, open_queue):
    open_queue(group).put(1)
    command = subprocess.Popen(
        [sys.executable, "-m", "groupqueue", "ls"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT
    )
    assert command.stdout is not None
    command.stdout.close()
    assert command.wait(20) == 0
    assert command.stderr is not None
    with command.stderr as stderr:
        assert stderr.read() == b""


@pytest.mark.parametrize(
    "argv",
    [[*command.split()] for command in ("ls", "stats jobs", "serve jobs", "put jobs 1", "peek jobs")],
    ids=lambda argv: argv[0],
)
def test_a_directory_that_others_may_enter_is_refused(argv, tmp_path, capsys):
    tmp_path.chmod(0o755)
    assert main([*argv, "--directory", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"groupqueue {argv[0]}: ")
    assert "0755" in said.err
    assert ("group 'jobs'" in said.err) == ("jobs" in argv)
    assert "(all)" not in said.err
    assert list(tmp_path.iterdir()) == []
