"""Scripts that tests run as processes of their own, each with a `__main__` of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).resolve().parent / "scripts"
PATIENCE = 50


def run(*command: str | Path, stdin: bytes = b"", cwd: Path | None = None, **environment: str) -> bytes:
    """What this Python, given `command`, writes to stdout; its failure is ours."""
    paths = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONDONTWRITEBYTECODE": "1",
    } | environment
    args = [sys.executable, *map(str, command)]
    done = subprocess.run(args, input=stdin, capture_output=True, cwd=cwd, env=env, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def write(folder: Path, name: str, source: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(PRELUDE + textwrap.dedent(source), encoding="utf-8")
    return path


PRELUDE = """\
import pickle
import sys

from groupqueue.serializers import default_serializer

dumps, loads = default_serializer().dumps, default_serializer().loads


def send(*objects):
    sys.stdout.buffer.write(pickle.dumps([dumps(obj) for obj in objects]))


def receive():
    return [loads(data) for data in pickle.load(sys.stdin.buffer)]


"""
