"""A user's program under mypy --strict and pyright: no complaint where it is right, one to each mistake."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import ROOT, run_script, within

HERE = Path(__file__).parent
FILES = [str(HERE / "program.py"), str(HERE / "mistakes.py")]
WRONG = [number for number, line in enumerate((HERE / "mistakes.py").read_text().splitlines(), 1) if "# wrong" in line]


def complaints(output: str, pattern: str) -> dict[str, list[int]]:
    """To each of the two files the lines that are complained about."""
    found: dict[str, set[int]] = {"program.py": set(), "mistakes.py": set()}
    for name, line in re.findall(pattern, output, re.MULTILINE):
        found[Path(name).name].add(int(line))
    return {name: sorted(lines) for name, lines in found.items()}


@within(120)
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_mypy(tmp_path):
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version", "3.10", "--cache-dir", str(tmp_path)]
    told = subprocess.run([*command, *FILES], cwd=ROOT, capture_output=True, text=True, timeout=110)
    assert told.stderr == ""
    found = complaints(told.stdout, r"^(\S+?):(\d+)(?::\d+)?: error:")
    assert found == {"program.py": [], "mistakes.py": WRONG}, told.stdout


@within(120)
@pytest.mark.skipif(shutil.which("pyright", path=str(Path(sys.executable).parent)) is None, reason="has no pyright")
def test_pyright(tmp_path):
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.10", "extraPaths": [str(ROOT)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    for path in FILES:
        shutil.copy(path, tmp_path)
    command = [str(Path(sys.executable).parent / "pyright"), "--pythonpath", sys.executable, "--project", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=110)
    if not re.search(r"^\d+ errors?, ", told.stdout, re.MULTILINE):
        pytest.skip(f"pyright does not run here: {told.stdout[-200:]} {told.stderr[-200:]}")
    found = complaints(told.stdout, r"^ *(\S+?):(\d+):\d+ - error:")
    assert found == {"program.py": [], "mistakes.py": WRONG}, told.stdout


def test_the_program_runs():
    script = run_script(HERE / "program.py")
    assert (script.wait(), script.stderr) == (0, "")
    assert script.lines == ["done"]
