"""
The runner: `python -m tests.fuzz wire|journal --minutes 30`. Needs atheris (the extra `fuzz`).

What it finds is in tests/fuzz/corpus/<target>/found-..., to be kept with the repair; it ends with status 1 then.
`--keep N` adds the N smallest inputs that have reached something new.
"""

from __future__ import annotations

import argparse
import importlib.util
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.journal import work_base
from tests.fuzz.targets import NAMES, Target, load


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzzes the wire or the journal.")
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--keep", type=int, default=0, metavar="N", help="inputs to add to the corpus at the end")
    asked = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed: pip install groupqueue[fuzz]")
    target = load(asked.target)
    with tempfile.TemporaryDirectory(prefix="gq-fuzz-") as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for name, data in target.corpus().items():
            Path(corpus, name).write_bytes(data)
        before = set(target.folder.glob("found-*"))
        executions, minutes = run(target, corpus, asked.minutes)
        for path in Path(folder).glob("stopped-*"):
            shutil.copy(path, target.folder / f"found-{path.name[-12:]}")
        found = set(target.folder.glob("found-*")) - before
        if asked.keep:
            keep(target, corpus, asked.keep)
    print(f"{target.name}: {executions:,} executions in {minutes:.1f} minutes, {len(found)} new findings")
    return 1 if found else 0


def run(target: Target, corpus: Path, minutes: float) -> tuple[int, float]:
    """Runs engines until the time is over; one that an input has stopped is followed by another."""
    began = time.monotonic()
    executions = 0
    while (left := 60 * minutes - (time.monotonic() - began)) >= 1:
        command = [sys.executable, "-m", "tests.fuzz.engine", target.name, str(int(left)), str(corpus)]
        engine = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        assert engine.stdout is not None
        for line in engine.stdout:
            if line.startswith("stat::number_of_executed_units:"):
                executions += int(line.split()[1])
            elif not line.startswith(("stat::", "INFO", "#", '"', "Done")):
                print(line, end="", flush=True)
        engine.wait()
        for left_behind in Path(work_base()).glob(f"gq-fuzzed-{engine.pid}-*"):
            shutil.rmtree(left_behind, ignore_errors=True)
    return executions, (time.monotonic() - began) / 60


def keep(target: Target, corpus: Path, most: int) -> None:
    """The engine leaves what reached new code, and of each the shortest form that it met."""
    known = set(target.corpus().values())
    fresh = [path for path in corpus.iterdir() if path.read_bytes() not in known]
    for path in sorted(fresh, key=lambda path: path.stat().st_size)[:most]:
        shutil.copy(path, target.folder / path.name[:12])


if __name__ == "__main__":
    sys.exit(main())
