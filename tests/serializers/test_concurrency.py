"""Any number of threads, signal handlers and finalisers, and forks of all that."""

from __future__ import annotations

import gc
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import pytest

from groupqueue.serializers import default_serializer, freshness, identity
from tests.serializers.processes import SCRIPTS, run, write

serializer = default_serializer()

THREADS = 8


@pytest.fixture(scope="module")
def zoo() -> dict[str, bytes]:
    animals: dict[str, bytes] = pickle.loads(run(SCRIPTS / "zoo.py", "dump"))
    return animals


def at_once(call: Any) -> list[Any]:
    barrier = threading.Barrier(THREADS)

    def work(_: int) -> Any:
        barrier.wait()
        return call()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, range(THREADS)))


@pytest.mark.parametrize("name", ["color", "flag", "coordinate", "sub", "data", "key"])
def test_threads_that_load_a_class_at_the_same_time_get_the_same_one(zoo: dict[str, bytes], name: str) -> None:
    for _ in range(20):
        identity._by_id.clear()
        identity._by_key.clear()
        loaded = at_once(lambda: serializer.loads(zoo[name]))
        assert len({type(obj) for obj in loaded}) == 1
        if name in ("color", "flag", "coordinate"):
            assert all(obj is loaded[0] for obj in loaded)
        if name == "sub":
            assert {obj.hello() for obj in loaded} == {"hello 1 3 sub"}


def test_threads_that_dump_at_the_same_time(tmp_path: Path) -> None:
    source = """
import dataclasses
from concurrent.futures import ThreadPoolExecutor

RATE = 3

@dataclasses.dataclass
class Job:
    n: int
    def get(self):
        return other(self.n)

def other(n):
    return RATE * n

def work(i):
    job, func, same = loads(dumps((Job(i), lambda: other(i), other)))
    return type(job) is Job and func() == 3 * i and same is other

sys.setswitchinterval(1e-5)
with ThreadPoolExecutor(8) as pool:
    assert all(pool.map(work, range(2000)))
    send(*pool.map(Job, range(100)))
"""
    jobs = [serializer.loads(data) for data in pickle.loads(run(write(tmp_path, "producer.py", source)))]
    assert len({type(job) for job in jobs}) == 1
    assert [job.get() for job in jobs] == [3 * n for n in range(100)]


def test_a_signal_handler_may_do_what_it_interrupts(tmp_path: Path) -> None:
    source = """
import signal

class Job:
    def get(self):
        return helper()

def helper():
    return 1

count = 0

def handler(*_):
    global count
    count += 1
    kind = type("Dynamic", (Job,), {"__module__": "__main__", "n": (n := count)})
    assert loads(dumps(kind())).n == n
    assert type(loads(dumps(Job()))) is Job

signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
while count < 100:
    kind = type("Made", (Job,), {"__module__": "__main__", "table": {}})
    assert type(loads(dumps([kind(), lambda: kind]))[0]) is kind
signal.setitimer(signal.ITIMER_REAL, 0)
"""
    run(write(tmp_path, "handler.py", source))


def test_a_finaliser_may_dump_within_a_dump() -> None:
    class Dumps:
        seen: ClassVar[list[bytes]] = []

        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            self.seen.append(serializer.dumps([type(self), lambda: 1]))

    class Collects:
        def __reduce__(self) -> Any:
            gc.collect()
            return str, ("collected",)

    Dumps()
    assert serializer.loads(serializer.dumps([lambda: 2, Collects()]))[1] == "collected"
    assert Dumps.seen


def test_a_fork_in_the_middle_of_it_leaves_the_child_able(tmp_path: Path) -> None:
    source = """
import os
import signal
import threading

class Job:
    def get(self):
        return helper()

def helper():
    return 1

def work():
    while not done:
        kind = type("Made", (Job,), {"__module__": "__main__"})
        loads(dumps(kind()))

done = False
threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(30):
    pid = os.fork()
    if pid == 0:
        signal.alarm(20)
        assert type(loads(dumps(Job()))) is Job and loads(dumps(lambda: helper()))() == 1
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
done = True
for thread in threads:
    thread.join()
"""
    run("-W", "ignore", write(tmp_path, "forks.py", source))


def local_class(n: int) -> type:
    class Local:
        data = [n] * 1000

        def get(self) -> Any:
            return self.data, __class__  # type: ignore[name-defined]

    return Local


def test_what_is_defined_here_is_not_kept_alive() -> None:
    kinds = [local_class(n) for n in range(50)]
    for kind in kinds:
        assert type(serializer.loads(serializer.dumps(kind()))) is kind
    gone = [weakref.ref(kind) for kind in kinds]
    known = len(identity._by_id), len(identity._by_key)
    del kinds, kind
    gc.collect()
    assert [ref() for ref in gone] == [None] * 50
    assert len(identity._by_id) <= known[0] - 50
    assert len(identity._by_key) <= known[1] - 50


def test_what_is_rebuilt_here_is_bounded(tmp_path: Path) -> None:
    source = """
def make(n):
    class Local:
        def get(self):
            return n
    return Local
send(*[make(n)() for n in range(1500)])
"""
    streams = pickle.loads(run(write(tmp_path, "producer.py", source)))
    assert [serializer.loads(stream).get() for stream in streams] == list(range(1500))
    gc.collect()
    assert len(identity._kept) <= 512
    assert len(identity._by_key) < 1000
    assert len(freshness._blobs) <= 128


def test_blobs_are_bounded(tmp_path: Path) -> None:
    source = """
from groupqueue.serializers import freshness
for n in range(500):
    exec(f"def func{n}(): return {n}")
    dumps(globals()[f"func{n}"])
assert 0 < len(freshness._blobs) <= 128
"""
    run(write(tmp_path, "producer.py", source))
