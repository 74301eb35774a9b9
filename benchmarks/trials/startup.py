"""
What an import costs above the bare interpreter: both are started by turns, and the median difference counts.

`time` is what a user waits; `cpu`, what the two processes computed, tells on a busy machine what it would be on a quiet
one.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

from benchmarks.contestants import module_missing
from benchmarks.crew import ROOT
from benchmarks.trials.base import Pace, Sample, Trial


@dataclass
class Import(Trial):
    """`modules` are imported by one statement."""

    modules: str

    def missing(self) -> str | None:
        return module_missing(self.modules.partition(".")[0].partition(",")[0])

    def run(self, pace: Pace) -> Sample:
        pairs = [(_start("pass"), _start(f"import {self.modules}")) for _ in range(pace.imports)]
        waited, computed = (
            statistics.median(after[number] - before[number] for before, after in pairs) * 1000 for number in (0, 1)
        )
        return {"time": waited, "cpu": computed}


def _start(statement: str) -> tuple[float, float]:
    """(seconds, CPU seconds) of a new interpreter."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    used = _cpu()
    begun = time.perf_counter()
    with subprocess.Popen([sys.executable, "-c", statement], cwd=ROOT, env=environment) as process:
        # A wait with a timeout looks every 32 to 50 ms, and measures that.
        guard = threading.Timer(30, process.kill)
        guard.start()
        status = process.wait()
        waited = time.perf_counter() - begun
        guard.cancel()
    if status:
        raise RuntimeError(f"{statement!r} ended with status {status}")
    return waited, _cpu() - used


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
