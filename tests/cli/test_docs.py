"""What docs/cli.md and docs/operations.md say is so: tables are whole, the unit is one. Their blocks: tests/docs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest

from groupqueue.cli import extra
from groupqueue.cli.arguments import Parser
from tests.helpers import ROOT

CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")


def test_every_command_is_in_the_table():
    table = CLI[: CLI.index("The extra is")]
    assert set(re.findall(r"`(\w+)(?: NAME)?`", table)) >= {*Parser().standard, *extra.COMMANDS}
    for line in table.splitlines():
        named = re.findall(r"`(\w+)(?: NAME)?`", line.partition("|")[2].partition("|")[0])
        assert all((name in extra.COMMANDS) == line.endswith("| yes |") for name in named), line


def findings(text: str) -> dict[str, bool]:
    """To each finding in the source whether it is one that makes the status 1."""
    return {name: kind == "wrong" for kind, name in re.findall(r"\b(wrong|note)\(\s*\"([a-z-]+)\"", text)}


def test_every_finding_of_the_doctor_is_in_the_table_and_has_a_test():
    source = "".join(path.read_text() for path in sorted((ROOT / "groupqueue" / "cli" / "doctor").glob("*.py")))
    tests = "".join(path.read_text() for path in sorted((ROOT / "tests" / "cli" / "doctor").glob("*.py")))
    table = re.findall(r"^\| `([a-z-]+)` \| (wrong)? ?\|", OPERATIONS, re.MULTILINE)
    assert findings(source) == {name: bool(wrong) for name, wrong in table}
    assert [name for name in findings(source) if f'"{name}"' not in tests] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="has no systemd-analyze")
def test_systemd_understands_the_unit(tmp_path):
    (unit,) = re.findall(r"^```ini\n(.*?)^```", OPERATIONS, re.MULTILINE | re.DOTALL)
    program = re.search(r"ExecStart=(\S+)", unit)
    assert program is not None
    path = tmp_path / "groupqueue@jobs.service"
    path.write_text(unit.replace(program[1], sys.executable).replace("User=app", "User=root"))
    found = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=40)
    assert [line for line in found.stderr.splitlines() if str(path) in line] == []
