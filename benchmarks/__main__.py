"""
`python -m benchmarks`, from the project's root: measures everything and writes a table, JSON and charts.

A whole run takes about twenty minutes and replaces docs/measurements/. A part of one (`--only`, `--quick`) goes to
benchmarks/partial/, which is not kept. Exit status: 0 all was measured, 1 a trial failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import fnmatch
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import bars, machine, report, results
from benchmarks.cases import Case, all_cases
from benchmarks.crew import ROOT
from benchmarks.runner import run_case
from benchmarks.trials.base import Pace

KEPT = ROOT / "docs" / "measurements"
PARTIAL = ROOT / "benchmarks" / "partial"
ROUNDS, QUICK_ROUNDS = 5, 2
QUICK = Pace(seconds=0.15, kills=6, kills_full=2, idle=2.0, imports=5)


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    cases = [case for case in all_cases() if _matches(case, arguments.only)]
    if arguments.quick:
        cases = _only_bars(cases)
    if not cases:
        print(f"no case matches {arguments.only}", file=sys.stderr)
        return 2
    if arguments.list:
        _list(cases)
        return 0
    out = Path(arguments.out) if arguments.out else PARTIAL if arguments.quick or arguments.only else KEPT
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is running is cleaned up
    return _run(cases, rounds, bool(arguments.quick), out)


def _run(cases: list[Case], rounds: int, quick: bool, out: Path) -> int:
    begun = time.monotonic()
    run = results.Run({**machine.about(), "rounds": rounds, "quick": quick, "minutes": 0.0})
    out.mkdir(parents=True, exist_ok=True)
    for number, case in enumerate(cases, 1):
        _say(f"[{number}/{len(cases)}] {case.title}")
        run.cases[case.name] = run_case(case, rounds, QUICK if quick else Pace(), _say)
        run.about["minutes"] = (time.monotonic() - begun) / 60
        _write(run, out)  # after each case: what was measured is not lost with what comes after
    _draw(run, out)
    judged = [bars.judge(bar, run.cases) for bar in bars.BARS]
    missed = [verdict for verdict in judged if verdict.met is False]
    _say(f"{sum(bool(v.met) for v in judged)} bars met, {len(missed)} missed, {len(run.errors)} trials failed; {out}")
    for verdict in missed:
        _say(f"missed: {verdict.bar.what}: {report.number(verdict.value or 0)} {verdict.bar.unit}")
    return 1 if run.errors else 0


def _write(run: results.Run, out: Path) -> None:
    judged = [bars.judge(bar, run.cases) for bar in bars.BARS]
    told = [
        {**asdict(v.bar), "value": v.value, "met": v.met, "aimed": v.aimed} for v in judged if v.bar.case in run.cases
    ]
    run.save(out / "results.json", told)
    shown = [verdict for verdict in judged if verdict.bar.case in run.cases]
    (out / "table.md").write_text(report.markdown(run, shown))


def _draw(run: results.Run, out: Path) -> None:
    try:
        from benchmarks import charts
    except ImportError as error:
        _say(f"no charts: {error}")
        return
    for path in charts.draw(run, [bars.judge(bar, run.cases) for bar in bars.BARS], out):
        _say(f"drew {path.name}")


def _only_bars(cases: list[Case]) -> list[Case]:
    """What a quick run measures: whatever a bar needs."""
    wanted = {bar.case for bar in bars.BARS}
    return [_trimmed(case) for case in cases if case.name in wanted]


def _trimmed(case: Case) -> Case:
    against = {bar.against for bar in bars.BARS if bar.case == case.name}
    first = next(iter(case.entries))
    kept = {label: trial for label, trial in case.entries.items() if label == first or label in against}
    return Case(case.name, case.title, case.metric, kept, case.also)


def _matches(case: Case, patterns: list[str] | None) -> bool:
    return not patterns or any(fnmatch.fnmatch(case.name, one) or one in case.name for one in patterns)


def _list(cases: list[Case]) -> None:
    for case in cases:
        print(f"{case.name:16} {case.title}")
        for label, trial in case.entries.items():
            why = trial.missing()
            print(f"{'':16}   {label}" + (f" (skipped: {why})" if why else ""))


def _say(text: str) -> None:
    print(text, flush=True)


def _rounds(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least one")
    return value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures groupqueue and its peers.")
    parser.add_argument("--quick", action="store_true", help="what the bars need only, short: under three minutes")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="cases whose name matches; may be repeated")
    parser.add_argument("--rounds", type=_rounds, help=f"default {ROUNDS}, {QUICK_ROUNDS} with --quick")
    parser.add_argument("--out", metavar="DIR", help="default docs/measurements; a part: benchmarks/partial")
    parser.add_argument("--list", action="store_true", help="the cases and who takes part in each")
    return parser


if __name__ == "__main__":
    sys.exit(main())
