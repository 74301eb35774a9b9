"""
A run as pictures: SVG for README and docs, drawn by matplotlib, the only module that needs it.

Ours is the one dark bar of each panel, limits are pale, everybody else is grey: it must be readable in one glance and
without colours. Text stays text, and nothing random or dated is in the files, so that equal numbers make equal files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

from benchmarks.bars import Verdict
from benchmarks.report import number
from benchmarks.results import CaseResult, Run

OURS, THIRD, THEIRS, LIMIT = "#0b5394", "#6fa8dc", "#9a9a9a", "#dedede"
MET, MISSED = "#38761d", "#b45f06"

plt.rcParams.update(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "groupqueue",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "figure.facecolor": "white",
    }
)

PANELS: dict[str, tuple[str, dict[str, str]]] = {
    "payloads": (
        "objects per second, one producer and one consumer",
        {
            "int-1x1": "int",
            "dict-1x1": "small dict",
            "bytes1k-1x1": "1 KiB bytes",
            "bytes64k-1x1": "64 KiB bytes",
            "bytes1m-1x1": "1 MiB bytes",
            "array1m-1x1": "1 MiB numpy array",
        },
    ),
    "processes": (
        "small dicts per second, all processes together",
        {
            "dict-4x1": "4 producers, 1 consumer",
            "dict-1x4": "1 producer, 4 consumers",
            "dict-4x4": "4 producers, 4 consumers",
            "dict-32x1": "32 producers, 1 consumer",
            "dict-third": "1 x 1, a third process leads",
            "many": "1 x 1, put_many, get_many",
            "bounded-10": "1 x 1, maxsize=10",
            "bounded-1000": "1 x 1, maxsize=1000",
            "durable": "1 x 1, durable",
        },
    ),
    "roundtrips": (
        "put_wait: microseconds to the answer, median, and 99 of 100 (thin)",
        {
            "wait-1-1cpu": "1 caller, one CPU",
            "wait-8-1cpu": "8 callers, one CPU",
            "wait-64-1cpu": "64 callers, one CPU",
            "wait-1-2cpu": "1 caller, two CPUs",
            "wait-8-2cpu": "8 callers, two CPUs",
            "wait-64-2cpu": "64 callers, two CPUs",
        },
    ),
    "backlog": (
        "what a backlog costs",
        {
            "depth": "put and get of one item, us",
            "recovery": "first get after all have died, s",
            "memory": "bytes of memory for 100 bytes",
        },
    ),
}


def draw(run: Run, verdicts: list[Verdict], out: Path) -> list[Path]:
    """Writes the charts that the run has numbers for; returns their files."""
    drawn = []
    for name, (title, cases) in PANELS.items():
        found = {text: run.cases[case] for case, text in cases.items() if case in run.cases}
        found = {text: case for text, case in found.items() if any(e.median(case.metric) for e in case.entries)}
        if found:
            drawn.append(_panels(found, title, out / f"{name}.svg", run))
    measured = [verdict for verdict in verdicts if _share(verdict) is not None]
    if measured:
        drawn.append(_bars(measured, out / "bars.svg", run))
    return drawn


def _panels(cases: dict[str, CaseResult], title: str, path: Path, run: Run) -> Path:
    """One small bar chart to each case."""
    columns = min(3, len(cases))
    rows = -(-len(cases) // columns)
    most = max(len(case.entries) for case in cases.values())
    figure, axes = plt.subplots(rows, columns, figsize=(4.4 * columns, (0.9 + 0.25 * most) * rows), squeeze=False)
    for axis in axes.flat[len(cases) :]:
        axis.axis("off")
    for axis, (text, case) in zip(axes.flat, cases.items(), strict=False):
        _panel(axis, case)
        axis.set_title(text)
    return _save(figure, title, path, run)


def _panel(axis: Any, case: CaseResult) -> None:
    shown = [entry for entry in case.entries if entry.median(case.metric)]
    for row, entry in enumerate(shown):
        spread = entry.spread(case.metric)
        assert spread is not None
        axis.barh(row, spread.median, color=_colour(entry.label, row), height=0.7)
        axis.plot([spread.low, spread.high], [row, row], color="black", linewidth=0.7)
        tail = entry.median("p99") if "p99" in case.also else None
        if tail:
            axis.barh(row, tail, color=_colour(entry.label, row), height=0.15, alpha=0.6)
        axis.annotate(number(spread.median), (max(spread.high, tail or 0), row), (3, -3), textcoords="offset points")
    axis.set_yticks(range(len(shown)), [entry.label for entry in shown])
    axis.invert_yaxis()
    axis.margins(x=0.25)
    axis.xaxis.set_visible(False)
    axis.spines["bottom"].set_visible(False)


def _colour(label: str, row: int) -> str:
    if label.startswith("limit"):
        return LIMIT
    if row == 0:
        return OURS
    return THIRD if label.startswith("groupqueue") or label.endswith("queued") else THEIRS


def _share(verdict: Verdict) -> float | None:
    """How many times as good as the bar; None without a bar to hold it against."""
    bar, value = verdict.bar, verdict.value
    goal = bar.limit if bar.limit is not None else bar.aim
    if value is None or not goal:
        return None
    if bar.higher:
        return value / goal
    return goal / max(value, goal / 100)


def _bars(verdicts: list[Verdict], path: Path, run: Run) -> Path:
    """All bars on one scale: right of the line is met."""
    figure, axis = plt.subplots(figsize=(9.5, 0.6 + 0.26 * len(verdicts)))
    for row, verdict in enumerate(verdicts):
        share = _share(verdict)
        assert share is not None
        assert verdict.value is not None
        axis.plot([1, share], [row, row], color=MET if share >= 1 else MISSED, linewidth=5, solid_capstyle="butt")
        text = f"{number(verdict.value)} {verdict.bar.unit}".strip()
        axis.annotate(text, (max(share, 1), row), (4, -3), textcoords="offset points", fontsize=8)
    axis.axvline(1, color="black", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_yticks(range(len(verdicts)), [verdict.bar.what for verdict in verdicts], fontsize=8)
    axis.invert_yaxis()
    axis.set_xlabel("times as good as the bar")
    axis.xaxis.set_major_formatter(_plain())
    return _save(figure, "the bars", path, run)


def _plain() -> Callable[[float, Any], str]:
    return lambda value, _: f"{value:g}"


def _save(figure: Any, title: str, path: Path, run: Run) -> Path:
    about = run.about
    figure.suptitle(f"{title}\n", fontsize=12, fontweight="bold")
    note = f"{about['date']}, {about['cpus']} x {about['cpu']}, {about['python']}, {about['kernel']}"
    figure.text(0.995, 0.002, note, fontsize=6, color="#666666", ha="right", va="bottom")
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    return path
