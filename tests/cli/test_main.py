"""What is typed: arguments, exit status, and where what is said goes."""

from __future__ import annotations

import subprocess
import sys

import pytest

from groupqueue.__main__ import main
from tests.helpers import ROOT


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["play"],
        ["serve"],
        ["stats"],
        ["stats", "../jobs"],
        ["serve", ".hidden"],
        ["serve", "jobs", "--maxsize", "many"],
        ["demo", "/no/such/folder"],
        ["ls", "jobs"],
    ],
)
def test_wrong_usage_exits_with_2(argv, capsys):
    with pytest.raises(SystemExit) as raised:
        main(argv)
    assert raised.value.code == 2
    assert "usage: groupqueue" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[], ["demo"], ["serve"], ["stats"], ["ls"]], ids=" ".join)
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


@pytest.mark.parametrize("argv", [["ls"], ["stats", "jobs"], ["serve", "jobs"]], ids=lambda argv: argv[0])
def test_a_directory_that_others_may_enter_is_refused(argv, tmp_path, capsys):
    tmp_path.chmod(0o755)
    assert main([*argv, "--directory", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert said.err.startswith(f"groupqueue {argv[0]}: ")
    assert "0755" in said.err
    assert list(tmp_path.iterdir()) == []
