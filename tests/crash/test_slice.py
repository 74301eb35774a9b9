"""
Killed at every point: the first passage of each in the ordinary run, every passage of all in a soak.

    GROUPQUEUE_SOAK=20 python -m pytest tests/crash
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers import ROOT, SOAK, within

JOBS = 3
"""Runs wait more than they compute: these keep two cores busy."""

soak_only = pytest.mark.skipif(SOAK == 1, reason="takes an hour: GROUPQUEUE_SOAK=20")


def sweep(*arguments: str, minutes: float = 1.0) -> None:
    """In a process of its own, which forks all others."""
    command = [sys.executable, "-m", "tests.crash", "--jobs", str(JOBS), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60 * minutes)
    print(done.stdout[-20_000:])
    if done.returncode:
        pytest.fail(f"{done.stdout[-20_000:]}\n{done.stderr[-4_000:]}")


@pytest.mark.timeout(150)
def test_the_first_passage_of_every_point_loses_and_doubles_nothing() -> None:
    sweep("--slice", minutes=2.0)


@soak_only
@within(600)
def test_every_passage_of_every_point_loses_and_doubles_nothing() -> None:
    sweep("--minutes", "120", minutes=180)


@soak_only
@within(600)
def test_a_recovery_that_is_killed_three_times_loses_and_doubles_nothing() -> None:
    sweep("--recovery", "--most", "4", "--minutes", "60", minutes=90)


@soak_only
@within(600)
def test_an_exception_at_every_point_ends_the_role_and_nothing_else() -> None:
    sweep("--action", "exceptions", "--most", "3", "--minutes", "120", minutes=180)
