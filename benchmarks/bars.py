"""
What was asked for, as data: each bar as it is written in the issue, and where its number comes from.

A bar is about the first entry of a case. With `against` its number is the median over the rounds of the ratio to
another entry of the same case, so that both were measured within the same seconds; without, it is the number itself.
`limit` must be kept, `aim` is what would be good.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.cases import LIMIT, MP, PAIR, RAW
from benchmarks.results import CaseResult


@dataclass(frozen=True)
class Bar:
    """One promise. `higher`: whether more is better; `worst`: the worst round counts instead of the median."""

    what: str
    case: str
    metric: str
    limit: float | None
    aim: float | None
    against: str | None = None
    higher: bool = False
    worst: bool = False
    unit: str = "x"


def _faster(what: str, case: str, limit: float | None, aim: float | None, against: str = MP) -> Bar:
    return Bar(f"{what}, against {against}", case, "rate", limit, aim, against, higher=True)


BARS = (
    _faster("small dict 1x1, consumer leads", "dict-1x1", 2.5, 4),
    _faster("small dict 1x1, consumer leads", "dict-1x1", 1.1, None, "pyzmq"),
    _faster("small dict 1x1, consumer leads", "dict-1x1", None, 0.6, LIMIT),
    _faster("int 1x1", "int-1x1", 2.5, 4),
    _faster("1 KiB bytes", "bytes1k-1x1", 1.6, 2.5),
    _faster("1 MiB bytes", "bytes1m-1x1", 4, 10),
    _faster("1 MiB numpy", "array1m-1x1", 4, 10),
    _faster("small dict, a third process leads", "dict-third", 1.3, 2),
    _faster("4x1", "dict-4x1", 1.5, 3),
    _faster("1x4", "dict-1x4", 1.5, 3),
    _faster("4x4", "dict-4x4", 1.5, 3),
    _faster("bounded 1000, 1x1", "bounded-1000", 1, 2),
    _faster("put_many/get_many", "many", 1.5, 3, "groupqueue, put and get"),
    Bar("put_wait round trip, one CPU, p50, against raw ping-pong", "wait-1-1cpu", "p50", 2.5, 1.7, RAW),
    Bar("put_wait round trip, one CPU, p50, against the pair", "wait-1-1cpu", "p50", 0.6, None, PAIR),
    Bar("put_wait round trip, two CPUs, p50, against the pair", "wait-1-2cpu", "p50", 0.75, 0.5, PAIR),
    Bar("kill -9 to the next leader's first get, p50", "failover", "p50", 15, 3, unit="ms"),
    Bar("kill -9 to the next leader's first get, worst", "failover", "worst", 250, None, worst=True, unit="ms"),
    Bar("the same with 100,000 items queued, p50", "failover-100k", "p50", 500, 50, unit="ms"),
    Bar("depth 1e6 against 1e3, time per item", "depth", "time", 1.5, 1, "1,000 queued"),
    _faster("32 producers against 1, total rate", "dict-32x1", 0.6, 1, "groupqueue, 1 producer"),
    Bar("recovery of 1e6 items after all died", "recovery", "time", 2, 0.3, unit="s"),
    Bar("leader's private memory per queued 100-byte item", "memory", "anonymous", 40, 2, unit="bytes"),
    Bar("idle member: CPU in 5 s", "idle", "cpu", 20, 0.5, unit="ms"),
    Bar("idle member: wake-ups in 5 s", "idle", "switches", 125, 0, unit=""),
    Bar("import, above bare Python", "import", "time", 60, 25, unit="ms"),
    Bar(
        "two workers, 0.2 s an item, ten items at once: the busier", "fairness", "most", 5, 5, worst=True, unit="items"
    ),
)


@dataclass(frozen=True)
class Verdict:
    """What became of a bar: whether the limit was kept and the aim reached; None where there is no such thing."""

    bar: Bar
    value: float | None
    met: bool | None
    aimed: bool | None

    @property
    def text(self) -> str:
        if self.value is None:
            return "not measured"
        if self.aimed:
            return "met, and the aim"
        return {True: "met", False: "**missed**", None: "below the aim"}[self.met]


def judge(bar: Bar, cases: dict[str, CaseResult]) -> Verdict:
    """Measures a bar by what was measured."""
    value = _value(bar, cases.get(bar.case))
    if value is None:
        return Verdict(bar, None, None, None)

    def reached(goal: float | None) -> bool | None:
        if goal is None:
            return None
        return value >= goal if bar.higher else value <= goal

    return Verdict(bar, value, reached(bar.limit), reached(bar.aim))


def _value(bar: Bar, case: CaseResult | None) -> float | None:
    if case is None or not case.entries:
        return None
    ours = case.entries[0]
    if bar.against is None:
        return ours.worst(bar.metric, bar.higher) if bar.worst else ours.median(bar.metric)
    spread = case.ratio(ours.label, bar.against, bar.metric)
    return spread.median if spread else None
