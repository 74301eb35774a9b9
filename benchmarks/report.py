"""A run as a page of Markdown: the bars first, then a table for each case. It computes nothing but words."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.bars import Verdict
from benchmarks.results import CaseResult, EntryResult, Run, Spread

UNITS = {"rate": "items/s", "bytes": "bytes", "switches": "", "cpu": "ms"}


def markdown(run: Run, verdicts: list[Verdict]) -> str:
    """The whole page."""
    parts = ["# Measurements", _about(run), "## Bars", _bars(verdicts), "## Cases", _how_to_read()]
    parts += [_case(case) for case in run.cases.values()]
    if run.errors:
        parts += ["## What failed", *(f"```\n{error}\n```" for error in run.errors)]
    return "\n\n".join(parts) + "\n"


def _about(run: Run) -> str:
    about = run.about
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['date']}, commit {about['commit']}, {about['python']}; {about['cpus']} x {about['cpu']}, "
        f"{about['memory']}; {about['kernel']}, groups on {about['filesystem']}, load {about['load']} at the start.  \n"
        f"{versions}.  \n"
        f"{about['rounds']} rounds{', a quick run' if about['quick'] else ''}, {about['minutes']:.1f} minutes."
    )


def _how_to_read() -> str:
    return (
        "Medians over the rounds, with the lowest and the highest in brackets. The last column is our number over "
        "theirs, round by round, and the median of these. Each object of each trial was checked for arrival and order."
    )


def _bars(verdicts: list[Verdict]) -> str:
    rows = []
    for verdict in verdicts:
        bar = verdict.bar
        sign = "at least" if bar.higher else "at most"
        limit = f"{sign} {_goal(bar.limit, bar.unit)}" if bar.limit is not None else ""
        rows.append((bar.what, limit, _goal(bar.aim, bar.unit), _goal(verdict.value, bar.unit), verdict.text))
    return _table(("what", "bar", "aim", "measured", ""), rows)


def _goal(value: float | None, unit: str) -> str:
    return "" if value is None else f"{number(value)} {unit}".strip()


def _case(case: CaseResult) -> str:
    ours = case.entries[0].label
    also = [f"{name}, {UNITS.get(name, case.unit)}".rstrip(", ") for name in case.also]
    rows = [
        (
            entry.label,
            _spread(entry.spread(case.metric)) or _why(entry),
            *(_spread(entry.spread(name)) for name in case.also),
            "" if entry.label == ours else _ratio(case.ratio(ours, entry.label, case.metric)),
        )
        for entry in case.entries
    ]
    head = ("", f"{case.metric}, {case.unit}" if case.also else case.unit, *also, "ours / theirs")
    return f"### {case.title}\n\n`{case.name}`\n\n{_table(head, rows)}"


def _why(entry: EntryResult) -> str:
    return f"skipped: {entry.missing}" if entry.missing else "failed"


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{number(spread.median)} ({number(spread.low)} - {number(spread.high)})"


def _ratio(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.median:.2f} ({spread.low:.2f} - {spread.high:.2f})"


def number(value: float) -> str:
    """Three digits, thousands as k."""
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:.3g}M"
    if size >= 1e4:
        return f"{value / 1e3:.3g}k"
    return f"{value:.0f}" if size >= 100 else f"{value:.3g}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *(list(row) for row in rows)]
    lines.insert(1, ["---"] + ["--:"] * (len(lines[0]) - 1))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
