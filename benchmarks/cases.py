"""
Every case: a question, and who is asked in turn. The first entry of a case is ours, the rest is compared with it.

A case names its metric, the number of a trial's sample that decides. Which result is good enough is in bars.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.contestants import Who
from benchmarks.shapes import SHAPES
from benchmarks.trials.base import Trial
from benchmarks.trials.copying import Copy
from benchmarks.trials.depth import Depth
from benchmarks.trials.failover import Failover
from benchmarks.trials.idle import Idle
from benchmarks.trials.memory import Memory
from benchmarks.trials.recovery import Recovery
from benchmarks.trials.roundtrip import RoundTrip
from benchmarks.trials.startup import Import
from benchmarks.trials.transfer import Transfer

OURS = "groupqueue"
THIRD = "groupqueue, a third leads"
MP = "multiprocessing.Queue"
SIMPLE = "multiprocessing.SimpleQueue"
LIMIT = "limit: pickle and a socket"
PAIR = "a pair of multiprocessing.Queue"
RAW = "limit: raw ping-pong"
FLOOR = "limit: pickles, three writes and a socket"

PEERS = {
    OURS: Who("groupqueue"),
    THIRD: Who("groupqueue", {"leader": "third"}),
    MP: Who("multiprocessing"),
    SIMPLE: Who("multiprocessing", {"kind": "SimpleQueue"}),
    "BaseManager queue": Who("manager"),
    "pyzmq": Who("pyzmq"),
    "faster-fifo": Who("faster-fifo"),
    "Redis": Who("redis"),
    "persist-queue": Who("persist-queue"),
    LIMIT: Who("socket"),
}

JOINABLE = Who("groupqueue", {"joinable": True})
DURABLE = Who("groupqueue", {"durable": True})


@dataclass(frozen=True)
class Metric:
    """A number of a sample, and which way is better."""

    name: str
    unit: str
    higher: bool = False


RATE = Metric("rate", "items/s", higher=True)
P50 = Metric("p50", "us")
MILLISECONDS = Metric("time", "ms")


@dataclass(frozen=True)
class Case:
    """One row of questions."""

    name: str
    title: str
    metric: Metric
    entries: dict[str, Trial]
    also: tuple[str, ...] = ()
    """Other numbers of the samples that the table shows."""


def _transfers(labels: Iterable[str], **how: object) -> dict[str, Trial]:
    return {label: Transfer(PEERS[label], **how) for label in labels}  # type: ignore[arg-type]


def _shapes() -> Iterable[Case]:
    everybody = [label for label in PEERS if label != THIRD]
    for name in ("int", "dict", "bytes1k", "bytes64k", "bytes1m", "array1m"):
        entries = _transfers(everybody, shape=name)
        if SHAPES[name].size == 1 << 20:
            entries["limit: one memcpy"] = Copy(SHAPES[name].size)
        yield Case(f"{name}-1x1", f"{SHAPES[name].title}, one producer, one consumer", RATE, entries)


def _processes() -> Iterable[Case]:
    labels = (OURS, THIRD, MP, SIMPLE, "pyzmq", "faster-fifo")
    third = {THIRD: Transfer(PEERS[THIRD])} | _transfers([OURS, MP, SIMPLE, "pyzmq"])
    yield Case("dict-third", "small dict, 1 x 1, a third process leads", RATE, third)
    for producers, consumers in ((4, 1), (1, 4), (4, 4)):
        entries = _transfers(labels, producers=producers, consumers=consumers)
        title = f"small dict, {producers} producer{'s' * (producers > 1)}, {consumers} consumer{'s' * (consumers > 1)}"
        yield Case(f"dict-{producers}x{consumers}", title, RATE, entries)
    alone = {"groupqueue, 1 producer": Transfer(PEERS[OURS])}
    crowd = _transfers((OURS,), producers=32) | alone | _transfers((MP, "pyzmq", "faster-fifo"), producers=32)
    yield Case("dict-32x1", "small dict, 32 producers, 1 consumer", RATE, crowd)


def _ways() -> Iterable[Case]:
    for bound in (10, 1000):
        entries = _transfers((OURS, THIRD, MP, "faster-fifo"), capacity=bound)
        yield Case(f"bounded-{bound}", f"small dict, 1 x 1, maxsize={bound}", RATE, entries)
    plain = "groupqueue, put and get"
    many = _transfers((OURS,), how="many") | {plain: Transfer(PEERS[OURS])}
    many |= _transfers(("faster-fifo", "Redis", LIMIT), how="many")
    many[LIMIT] = Transfer(PEERS[LIMIT])
    yield Case("many", "small dict, 1 x 1, put_many and get_many", RATE, many)
    message = _transfers((OURS,), how="message") | {plain: Transfer(PEERS[OURS])}
    yield Case("message", "small dict, 1 x 1, put and get_message, done", RATE, message)
    joinable: dict[str, Trial] = {
        "JoinableGroupQueue": Transfer(JOINABLE, how="joinable"),
        "multiprocessing.JoinableQueue": Transfer(Who("multiprocessing", {"kind": "JoinableQueue"}), how="joinable"),
    }
    yield Case("joinable", "small dict, 1 x 1, get, task_done, then join", RATE, joinable)
    durable = {"groupqueue, durable": Transfer(DURABLE), "groupqueue, not durable": Transfer(PEERS[OURS])}
    yield Case("durable", "small dict, 1 x 1, durable", RATE, {**durable, **_transfers(("persist-queue",))})


def _waits() -> Iterable[Case]:
    labels = {OURS: OURS, THIRD: THIRD, PAIR: MP, "a pair of SimpleQueue": SIMPLE, "pyzmq REQ/REP": "pyzmq", RAW: LIMIT}
    for callers in (1, 8, 64):
        for cpus in (1, 2):
            entries: dict[str, Trial] = {
                label: RoundTrip(PEERS[who], callers=callers, cpus=cpus) for label, who in labels.items()
            }
            if callers == 1:
                entries[FLOOR] = RoundTrip(Who("journaled"), cpus=cpus)
            title = f"put_wait, {callers} caller{'s' * (callers > 1)}, {('one CPU', 'two CPUs')[cpus - 1]}"
            yield Case(f"wait-{callers}-{cpus}cpu", title, P50, entries, ("p99", "rate"))


def _lives() -> Iterable[Case]:
    depths: dict[str, Trial] = {f"{size:,} queued": Depth(size) for size in (1_000_000, 100_000, 10_000, 1_000)}
    yield Case("depth", "time of an item by the depth of the queue", Metric("time", "us"), depths, ("put", "get"))
    for name, text, queued in (("failover", "an empty queue", 1), ("failover-100k", "100,000 queued", 100_000)):
        title = f"kill -9 of the leader to the next leader's first get, {text}"
        yield Case(name, title, Metric("p50", "ms"), {OURS: Failover(queued)}, ("worst",))
    recoveries: dict[str, Trial] = {f"{size:,} queued": Recovery(size) for size in (1_000_000, 100_000, 10_000)}
    yield Case("recovery", "opening to the first get after all have died", Metric("time", "s"), recoveries, ("bytes",))
    yield Case("idle", "an idle member, in 5 s", Metric("cpu", "ms of CPU"), {OURS: Idle()}, ("switches",))
    imports = {
        OURS: Import("groupqueue"),
        "multiprocessing": Import("multiprocessing.queues, multiprocessing.synchronize"),
        "pyzmq": Import("zmq"),
        "Redis": Import("redis"),
        "persist-queue": Import("persistqueue"),
    }
    yield Case("import", "import, above bare Python", MILLISECONDS, dict(imports), ("cpu",))
    memory: dict[str, Trial] = {OURS: Memory(PEERS[OURS], "receiver"), MP: Memory(PEERS[MP], "sender")}
    title = "memory of the process that keeps it for each queued item of 100 bytes"
    yield Case("memory", title, Metric("anonymous", "bytes"), memory, ("private",))
    fair = _transfers((OURS, THIRD, MP), consumers=2, how="slow", count=10)
    yield Case("fairness", "two workers, 0.2 s an item, ten at once: the busier one's", Metric("most", "items"), fair)


def all_cases() -> list[Case]:
    return [*_shapes(), *_processes(), *_ways(), *_waits(), *_lives()]
