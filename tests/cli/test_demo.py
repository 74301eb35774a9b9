"""The main job on real input: right, with leaders killed, and nothing left behind."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

from groupqueue.__main__ import main
from groupqueue.cli.demo import troupe
from tests.helpers import ROOT, Clock, Script, eventually, process_state

NUMBERS = re.compile(r"^(files|lost|duplicated|wrong|leaders killed) +([\d,]+)", re.MULTILINE)


def demo(*argv: object) -> Script:
    return Script([sys.executable, "-u", "-m", "groupqueue", "demo", *map(str, argv)], label="demo")


def numbers(script: Script) -> dict[str, int]:
    return {name: int(value.replace(",", "")) for name, value in NUMBERS.findall("\n".join(script.lines))}


def test_it_hashes_every_file_while_leaders_are_killed(directory):
    folder = ROOT / "groupqueue"
    script = demo(folder, "--directory", directory)
    with Clock() as clock:
        assert script.wait(50) == 0
    assert script.stderr == ""
    found = numbers(script)
    assert (found["lost"], found["duplicated"], found["wrong"]) == (0, 0, 0)
    assert found["leaders killed"] >= 1
    assert found["files"] >= len(list(folder.rglob("*.py")))
    text = "\n".join(script.lines)
    assert re.search(r"^failover +\d+ ms median, \d+ ms worst$", text, re.MULTILINE)
    victims = re.findall(r"kill -9 (\d+) \(\w+ \d\): after +\d+ ms process (\d+) .* epoch (\d+); [\d,]+ of", text)
    assert len(victims) == found["leaders killed"]
    assert all(victim != following for victim, following, _ in victims)
    epochs = [int(epoch) for _, _, epoch in victims]
    assert epochs == sorted(set(epochs))
    assert os.listdir(directory) == []
    print(f"{clock.elapsed:.1f} s")


def test_an_interrupt_ends_all_of_it(directory, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    script = demo(tmp_path, "--directory", directory)
    eventually(lambda: any("kill -9" in line for line in script.lines), timeout=30, what="the first kill")
    children = children_of(script.pid)
    assert len(children) >= troupe.WORKERS
    script.signal(signal.SIGINT)
    assert script.wait() == 130
    eventually(lambda: all(process_state(pid) in ("", "Z") for pid in children), what="its processes to be gone")
    assert os.listdir(directory) == []
    assert "Traceback" not in script.stderr


def test_when_the_demo_is_killed_its_workers_end_by_themselves(directory, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    script = demo(tmp_path, "--directory", directory)
    eventually(lambda: any("feeds by put" in line for line in script.lines), what="all of it to run")
    children = children_of(script.pid)
    script.kill()
    eventually(lambda: all(process_state(pid) in ("", "Z") for pid in children), what="its processes to be gone")


def test_a_folder_without_files_is_a_failure(tmp_path, capsys):
    assert main(["demo", str(tmp_path)]) == 1
    assert f"no files to hash below {tmp_path}" in capsys.readouterr().err


def children_of(pid: int) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(folder.name))
    return found
