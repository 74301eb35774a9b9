"""What was measured: the model of a run, and its JSON. It knows nothing of how anything is measured or shown."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

FORMAT = 1


@dataclass(frozen=True)
class Spread:
    """A median and the extremes around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread | None:
        return cls(statistics.median(values), min(values), max(values)) if values else None


@dataclass
class EntryResult:
    """One entry's samples, one to each round; None for a round in which the trial failed."""

    label: str
    missing: str | None = None
    samples: list[dict[str, float] | None] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def values(self, metric: str) -> list[float]:
        return [sample[metric] for sample in self.samples if sample is not None and metric in sample]

    def spread(self, metric: str) -> Spread | None:
        return Spread.of(self.values(metric))

    def median(self, metric: str) -> float | None:
        spread = self.spread(metric)
        return spread.median if spread else None

    def worst(self, metric: str, higher: bool) -> float | None:
        spread = self.spread(metric)
        return None if spread is None else spread.low if higher else spread.high


@dataclass
class CaseResult:
    """One case's entries, ours first."""

    name: str
    title: str
    metric: str
    unit: str
    higher: bool
    also: list[str] = field(default_factory=list)
    entries: list[EntryResult] = field(default_factory=list)

    def entry(self, label: str) -> EntryResult | None:
        return next((entry for entry in self.entries if entry.label == label), None)

    def ratio(self, label: str, other: str, metric: str) -> Spread | None:
        """One entry's number over another's, round by round."""
        above, below = self.entry(label), self.entry(other)
        if above is None or below is None:
            return None
        both = zip(above.samples, below.samples, strict=False)
        return Spread.of([a[metric] / b[metric] for a, b in both if a and b and b.get(metric)])


@dataclass
class Run:
    """Everything of one run."""

    about: dict[str, Any]
    cases: dict[str, CaseResult] = field(default_factory=dict)

    def save(self, path: Path, bars: list[dict[str, Any]]) -> None:
        whole = {"format": FORMAT, "about": self.about, "bars": bars, "cases": list(map(asdict, self.cases.values()))}
        path.write_text(json.dumps(_rounded(whole), indent=1, ensure_ascii=False) + "\n")

    @property
    def errors(self) -> list[str]:
        return [
            f"{case.name}, {entry.label}: {error}"
            for case in self.cases.values()
            for entry in case.entries
            for error in entry.errors
        ]


def load(path: Path) -> Run:
    """A run that was saved."""
    told = json.loads(path.read_text())
    run = Run(told["about"])
    for case in told["cases"]:
        entries = [EntryResult(**entry) for entry in case.pop("entries")]
        run.cases[case["name"]] = CaseResult(**case, entries=entries)
    return run


def _rounded(value: Any) -> Any:
    """Five digits are more than the clock deserves."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return value
