"""Where and with what a run was made."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.crew import ROOT

PACKAGES = ("groupqueue", "numpy", "pyzmq", "faster-fifo", "redis", "persist-queue", "dill")


def about() -> dict[str, Any]:
    """Date, versions and machine; nothing that says whose machine it is."""
    versions = {name: found for name in PACKAGES if (found := _version(name))}
    server = _first_line(["redis-server", "--version"])
    if server:
        match = re.search(r"v=(\S+)", server)
        versions["redis-server"] = match.group(1) if match else server
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": _commit(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "cpu": _cpu(),
        "cpus": usable,
        "memory": _memory(),
        "filesystem": _filesystem("/tmp"),
        "load": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _first_line(command: list[str]) -> str | None:
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, timeout=10)
    return done.stdout.strip().partition("\n")[0] if done.returncode == 0 else None


def _commit() -> str | None:
    commit = _first_line(["git", "rev-parse", "--short", "HEAD"])
    changed = _first_line(["git", "status", "--porcelain", "--", "groupqueue"])
    return f"{commit} with changes" if commit and changed else commit


def _cpu() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return _first_line(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor() or platform.machine()
    match = re.search(r"model name\s*:\s*(.+)", text)
    virtual = ", a virtual machine" if re.search(r"\bhypervisor\b", text) else ""
    return (match.group(1) if match else platform.machine()) + virtual


def _memory() -> str:
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{pages / (1 << 30):.0f} GiB"


def _filesystem(path: str) -> str:
    """The type of file system that the groups were on."""
    if not sys.platform.startswith("linux"):
        return "unknown"
    found = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        where, kind = line.split()[1:3]
        if path.startswith(where) and len(where) > len(found[0]):
            found = (where, kind)
    return found[1]
