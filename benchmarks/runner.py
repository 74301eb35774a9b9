"""
Interleaving: in each round every entry of a case runs once, one right after the other, A B C A B C.

A machine's speed wanders by more than most differences are worth. What is compared is therefore always the ratio
within a round, never the number of one minute with that of another. A trial that fails is a result: it is noted, and
the run goes on.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from benchmarks.cases import Case
from benchmarks.crew import TrialError
from benchmarks.results import CaseResult, EntryResult
from benchmarks.trials.base import Pace, Trial

GIVE_UP = 2
"""After so many failures in a row an entry is left out of the rest of its case."""

Say = Callable[[str], None]


def run_case(case: Case, rounds: int, pace: Pace, say: Say) -> CaseResult:
    """All rounds of one case."""
    metric = case.metric
    result = CaseResult(case.name, case.title, metric.name, metric.unit, metric.higher, list(case.also))
    begun = time.monotonic()
    runnable: list[tuple[EntryResult, Trial]] = []
    for label, trial in case.entries.items():
        entry = EntryResult(label, trial.missing())
        result.entries.append(entry)
        if entry.missing:
            say(f"{case.name}: {label} is skipped: {entry.missing}")
            continue
        with _noting(entry, say, case):
            trial.warm_up(pace)
            runnable.append((entry, trial))
    for _ in range(rounds):
        for entry, trial in runnable:
            entry.samples.append(None)
            if _has_given_up(entry):
                continue
            with _noting(entry, say, case):
                entry.samples[-1] = trial.run(pace)
    say(f"{case.name}: {_summary(result)}, {time.monotonic() - begun:.0f} s")
    return result


@contextlib.contextmanager
def _noting(entry: EntryResult, say: Say, case: Case) -> Iterator[None]:
    """What goes wrong in a trial is noted, and no reason to end the run."""
    try:
        yield
    except (TrialError, OSError, RuntimeError) as error:
        entry.errors.append(str(error) or type(error).__name__)
        say(f"{case.name}: {entry.label} failed: {entry.errors[-1].splitlines()[0]}")


def _has_given_up(entry: EntryResult) -> bool:
    tail = entry.samples[:-1][-GIVE_UP:]
    return len(tail) == GIVE_UP and not any(tail)


def _summary(result: CaseResult) -> str:
    ours = result.entries[0]
    value = ours.median(result.metric)
    if value is None:
        return "no result"
    text = f"{value:,.4g} {result.unit}"
    for other in result.entries[1:]:
        spread = result.ratio(ours.label, other.label, result.metric)
        if spread:
            text += f"; {spread.median:.2f} x {other.label}"
    return text
