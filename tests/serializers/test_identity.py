"""Whose class it is: the rule at the top of `groupqueue.serializers`, sentence by sentence."""

from __future__ import annotations

import gc
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from groupqueue.serializers import default_serializer, identity, rebuild
from tests.serializers.processes import PATIENCE, PRELUDE, ROOT, SCRIPTS, run, write

serializer = default_serializer()

JOB = """
import dataclasses
import enum

class Color(enum.Enum):
    RED = 1

@dataclasses.dataclass(frozen=True)
class Job:
    n: int
    color: Color = Color.RED

    def twice(self):
        return helper(self.n)

def helper(n):
    return n * 2
"""
SEND = JOB + "\nsend(Job(int(sys.argv[1])), Color.RED, helper)\n"


def loads_all(data: bytes) -> list[Any]:
    return [serializer.loads(item) for item in pickle.loads(data)]


def test_what_comes_back_to_its_process_is_the_very_same() -> None:
    run(SCRIPTS / "zoo.py", "roundtrip")


def test_one_class_for_all_items(tmp_path: Path) -> None:
    producer = write(tmp_path, "producer.py", JOB + "\nsend(Job(1), Job(2), Color.RED, Job, {Color.RED: Job(1)})\n")
    first, second, red, job, table = loads_all(run(producer))
    assert type(first) is type(second) is job
    assert first == table[red] != second
    assert first.color is second.color is red


def test_one_class_for_all_processes_of_a_script(tmp_path: Path) -> None:
    producer = write(tmp_path, "producer.py", SEND)
    (one, red, _), (other, same_red, _) = loads_all(run(producer, "1")), loads_all(run(producer, "1"))
    assert one == other
    assert red is same_red


def test_another_script_with_the_same_name_and_source_has_another_class(tmp_path: Path) -> None:
    first, *_ = loads_all(run(write(tmp_path, "a/producer.py", SEND), "1"))
    second, *_ = loads_all(run(write(tmp_path, "b/producer.py", SEND), "1"))
    assert type(first) is not type(second)


def test_a_symbolic_link_is_the_same_script(tmp_path: Path) -> None:
    producer = write(tmp_path, "producer.py", SEND)
    (tmp_path / "link.py").symlink_to(producer)
    assert loads_all(run(producer, "1"))[0] == loads_all(run(tmp_path / "link.py", "1"))[0]


RECEIVE = (
    JOB
    + """
if sys.argv[1] == "send":
    send(Job(1), Color.RED, helper, lambda: helper(4))
else:
    job, red, func, copy = receive()
    assert type(job) is Job and job == Job(1) and job.color is Color.RED is red and func is helper
    assert copy() == 8
    print("own")
"""
)


def test_another_run_of_the_same_script_has_its_own(tmp_path: Path) -> None:
    script = write(tmp_path, "script.py", RECEIVE)
    assert run(script, "receive", stdin=run(script, "send")) == b"own\n"


def test_a_script_and_the_same_module_run_with_dash_m_have_their_own(tmp_path: Path) -> None:
    script = write(tmp_path, "package/module.py", RECEIVE)
    (tmp_path / "package" / "__init__.py").touch()
    sent = run("-m", "package.module", "send", cwd=tmp_path)
    assert run(script, "receive", stdin=sent) == b"own\n"
    assert run("-m", "package.module", "receive", stdin=run(script, "send"), cwd=tmp_path) == b"own\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("n: int", "n: float"),
        ("color: Color = Color.RED", "color: Color = Color.RED\n    extra: int = 0"),
        ("helper(self.n)", "helper(self.n) + 1"),
        ("class Job:", "class Job(Exception):"),
    ],
)
def test_an_edited_script_binds_only_what_is_the_same(tmp_path: Path, before: str, after: str) -> None:
    check = """
job, red, func, copy = receive()
print(type(job) is Job, red is Color.RED, func is helper, job.twice())
"""
    sent = run(write(tmp_path, "script.py", RECEIVE), "send")
    changed = write(tmp_path, "script.py", JOB.replace(before, after) + check)
    assert run(changed, stdin=sent) == b"False True True 2\n"


PARENT = (
    JOB
    + """
import multiprocessing
import os

STATE = []

def note(x):
    STATE.append(x)

def child(connection):
    for data in connection.recv():
        job, red, func, noted = loads(data)
        mine = sys.modules["__main__"]
        assert type(job) is mine.Job is Job and red is mine.Color.RED and func is mine.helper, data
        noted(1)
        assert mine.STATE == [1]
    connection.send([dumps((Job(3), Color.RED, helper, note)), dumps(Job(4)), dumps(lambda: helper(Job(5).n))])

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    if sys.argv[2] == "late":  # nothing was pickled before the fork
        pass
    else:
        dumps(Job(0))
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs,))
    process.start()
    ours.send([dumps((Job(1), Color.RED, helper, note))])
    (job, red, func, noted), other, func = map(loads, ours.recv())
    process.join()
    assert type(job) is type(other) is Job and job == Job(3) and red is Color.RED and noted is note
    assert func() == 10
    assert process.exitcode == 0
"""
)


@pytest.mark.parametrize("when", ["early", "late"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_children_of_multiprocessing_have_their_own(tmp_path: Path, method: str, when: str) -> None:
    run(write(tmp_path, "parent.py", PARENT), method, when)


def test_forks_share_what_was_defined_before_them_also_without_a_file() -> None:
    code = (
        PRELUDE
        + JOB
        + """
import os
if sys.argv[1] == "early":
    dumps(Job(0))
reader, writer = os.pipe()
if os.fork() == 0:
    os.write(writer, dumps((Job(1), Color.RED, helper)))
    os._exit(0)
job, red, func = loads(os.read(reader, 100_000))
assert job == Job(1) and red is Color.RED and func is helper
"""
    )
    for when in ("early", "late"):
        run("-c", code, when)


def test_what_the_child_has_not_defined_is_rebuilt_and_comes_home(tmp_path: Path) -> None:
    source = """
import multiprocessing

def child(connection):
    job = connection.recv()
    job = loads(job)
    connection.send((job.n, dumps(job), dumps(type(job)(job.n + 1))))

if __name__ == "__main__":
    class Guarded:
        def __init__(self, n):
            self.n = n
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs,))
    process.start()
    ours.send(dumps(Guarded(1)))
    n, echo, new = ours.recv()
    process.join()
    assert n == 1 and type(loads(echo)) is type(loads(new)) is Guarded and loads(new).n == 2
"""
    run(write(tmp_path, "parent.py", source))


ECHO = """
received = receive()
send(*received, [type(received[0])(7), *received], lambda: received[2](3))
"""


def test_an_echo_from_a_stranger_is_the_very_same(tmp_path: Path) -> None:
    source = (
        JOB
        + """
import subprocess

class Local:
    pass

def make():
    class Hidden:
        pass
    return Hidden

Hidden = make()
sent = pickle.dumps([dumps(obj) for obj in (Job(1), Color.RED, helper, Hidden())])
done = subprocess.run([sys.executable, sys.argv[1]], input=sent, capture_output=True)
assert done.returncode == 0, done.stderr.decode()
job, red, func, hidden, (new, *again), call = [loads(data) for data in pickle.loads(done.stdout)]
assert job == Job(1) and red is Color.RED and func is helper and type(hidden) is Hidden
assert new == Job(7) and again[:3] == [job, red, func] and type(again[3]) is Hidden
assert call() == 6
"""
    )
    echo = write(tmp_path, "echo.py", ECHO)
    run(write(tmp_path, "origin.py", source), echo)


def test_a_stranger_passes_on_what_it_got_and_the_next_has_one_class(tmp_path: Path) -> None:
    sent = run(write(tmp_path, "producer.py", SEND), "1")
    passed_on = run(write(tmp_path, "echo.py", ECHO), stdin=sent)
    job, red, _, (new, *again), _ = loads_all(passed_on)
    straight, straight_red, _ = loads_all(sent)
    assert type(job) is type(new) is type(straight)
    assert again[0] == job == straight
    assert red is straight_red
    assert new.twice() == 14


def test_a_redefinition_makes_a_new_class() -> None:
    code = (
        PRELUDE
        + """
items = []
for body in ("return 1", "return 2", "return 1"):
    exec(f"class Job:\\n    def get(self):\\n        {body}")
    items += [Job(), Job()]
send(*items)
"""
    )
    received = loads_all(run("-c", code))
    kinds = [type(job) for job in received]
    assert [job.get() for job in received] == [1, 1, 2, 2, 1, 1]
    assert kinds[0] is kinds[1]
    assert kinds[2] is kinds[3]
    assert len(set(kinds)) == 3


def test_local_classes_are_themselves(tmp_path: Path) -> None:
    source = """
def make(n):
    class Local:
        def get(self):
            return n
    return Local

One, Two = make(1), make(2)
objects = [One(), Two(), One(), make(1)()]
assert [type(loads(dumps(obj))) for obj in objects] == [type(obj) for obj in objects]
send(*objects)
"""
    one, two, same, other = loads_all(run(write(tmp_path, "producer.py", source)))
    assert (one.get(), two.get(), same.get(), other.get()) == (1, 2, 1, 1)
    assert type(one) is type(same)
    assert len({type(one), type(two), type(other)}) == 3


def test_a_function_brings_its_globals_as_they_were_when_it_was_put(tmp_path: Path) -> None:
    source = """
VALUE, LIST = 1, [1]

def get():
    return VALUE, LIST

first = dumps(get)
VALUE, LIST[0] = 2, 2
second = dumps(get)
LIST[0] = 3
sys.stdout.buffer.write(pickle.dumps([first, second, dumps(get)]))
"""
    first, second, third = loads_all(run(write(tmp_path, "producer.py", source)))
    assert (first(), second(), third()) == ((1, [1]), (2, [2]), (2, [3]))


def test_a_rebuilt_class_follows_its_data(tmp_path: Path) -> None:
    source = """
RATE, TABLE = 1, {"a": 1}

class Default:
    n = 0

DEFAULT = Default()

class Job:
    shown = 0

    def get(self):
        return RATE, TABLE["a"], DEFAULT.n, later() if "later" in globals() else None, self.shown

changes = ["0", "RATE = 2", "TABLE['a'] = 2", "DEFAULT.n = 2", "Job.shown = 5", "def later(): return 3",
           "Job.get = lambda self: 'new'"]
streams = []
for change in changes:
    exec(change)
    streams.append(dumps(Job()))
sys.stdout.buffer.write(pickle.dumps(streams))
"""
    streams = pickle.loads(
        run(
            write(
                tmp_path,
                "producer.py",
                source.replace(' if "later" in globals() else None', "")
                .replace("later()", "LATER()")
                .replace("RATE, TABLE =", "LATER, RATE, TABLE = int,")
                .replace("def later(): return 3", "LATER = lambda: 3"),
            )
        )
    )
    jobs = []
    seen = []
    for stream in streams:
        jobs.append(serializer.loads(stream))
        seen.append(jobs[-1].get())
    assert seen == [
        (1, 1, 0, 0, 0),
        (2, 1, 0, 0, 0),
        (2, 2, 0, 0, 0),
        (2, 2, 2, 0, 0),
        (2, 2, 2, 0, 5),
        (2, 2, 2, 3, 5),
        "new",
    ]
    assert len({type(job) for job in jobs[:-1]}) == 1


def test_what_the_receiver_sets_on_a_rebuilt_class_stays_while_the_sender_changes_nothing(tmp_path: Path) -> None:
    source = "class Job:\n    handled = 0\n\nsend(Job(), Job())\n"
    streams = pickle.loads(run(write(tmp_path, "producer.py", source)))
    type(serializer.loads(streams[0])).handled += 1
    assert serializer.loads(streams[1]).handled == 1


def test_processes_with_other_hash_seeds_agree_on_what_a_class_is(tmp_path: Path) -> None:
    source = """
import abc
import dataclasses

@dataclasses.dataclass(frozen=True, slots=True)
class Job:
    n: int
    def known(self):
        return self.n in {"a", "b", "c", "d"}

class Base(abc.ABC):
    a = b = c = d = abc.abstractmethod(lambda self: 1)

class Concrete(Base):
    a = b = c = d = lambda self: 2

send(Job(1), Concrete())
"""
    producer = write(tmp_path, "producer.py", source)
    one, concrete = loads_all(run(producer, PYTHONHASHSEED="1"))
    type(one).noticed = type(concrete).noticed = True
    for seed in "234":
        same, also = loads_all(run(producer, PYTHONHASHSEED=seed))
        assert same == one
        assert type(also) is type(concrete)
        assert type(same).noticed
        assert also.noticed


def test_a_function_brings_the_attributes_it_was_given_later(tmp_path: Path) -> None:
    source = """
def func():
    return 1

first = dumps(func)
func.retries = 3
sys.stdout.buffer.write(pickle.dumps([first, dumps(func)]))
"""
    first, second = loads_all(run(write(tmp_path, "producer.py", source)))
    assert not hasattr(first, "retries")
    assert second.retries == 3


def test_an_interactive_session_is_a_sender_like_others(tmp_path: Path) -> None:
    session = (
        PRELUDE
        + """
class Job:
    def get(self):
        return 1


first = dumps(Job())
assert type(loads(first)) is Job
class Job:
    def get(self):
        return 2


assert type(loads(first)) is not Job
assert type(loads(dumps(Job()))) is Job
send(Job(), lambda: Job().get())
"""
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHON_BASIC_REPL": "1"}
    session = session.replace("\n    for data", "\n    for data").replace("def send", "\ndef send")
    done = subprocess.run(
        [sys.executable, "-i", "-q"], input=session.encode(), capture_output=True, env=env, timeout=PATIENCE
    )
    assert b"Error" not in done.stderr, done.stderr
    job, call = loads_all(done.stdout[done.stdout.index(b"\x80") :])
    assert job.get() == call() == 2


ORDINARY = """
FACTOR = 3

class Job:
    pass

def make():
    class Local:
        x = FACTOR
    return Local()

def closure(n):
    return lambda: n * FACTOR
"""


def test_a_class_of_an_imported_module_travels_by_name(tmp_path: Path) -> None:
    (tmp_path / "ordinary.py").write_text(ORDINARY)
    source = "import ordinary\nsend(ordinary.Job(), ordinary.make(), ordinary.closure(2))\n"
    sent = run(write(tmp_path, "producer.py", source))
    consumer = """
import ordinary
job, local, func = receive()
assert type(job) is ordinary.Job
assert local.x == 3
ordinary.FACTOR = 5
assert func() == 10
"""
    run(write(tmp_path, "consumer.py", consumer), stdin=sent)
    shutil.move(tmp_path / "ordinary.py", tmp_path / "moved.py")
    with pytest.raises(ModuleNotFoundError):
        loads_all(sent)


def test_a_definition_that_is_the_last_to_go_goes_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the interpreter ends, it takes from each module what that has, and some objects live on for a while."""
    complaints: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", complaints.append)

    def local() -> None:
        pass

    identity.record_of(local)
    for name in ("_by_id", "_by_key"):
        monkeypatch.setattr(identity, name, None)
    del local
    gc.collect()
    assert complaints == []


# Between releases of Python

OF_EACH_SORT = """
import enum

class Bits(enum.Flag):
    ONE = 1
    TWO = 2

class Plain:
    bits = 3

class Holder:
    bits = Bits.ONE

class Able:
    def able(self):
        return self

send(Bits.TWO, Plain(), Holder(), Able())
"""


def arrival(item: bytes) -> str:
    """The class of the object, or, of one that is refused, what the refusal begins with."""
    try:
        return type(serializer.loads(item)).__name__
    except pickle.UnpicklingError as error:
        return str(error).partition(" that the item brings")[0]


@pytest.mark.parametrize(
    ("release", "code", "expected"),
    [
        (rebuild.RELEASE, rebuild.CODE, ["Bits", "Plain", "Holder", "Able"]),
        ("cpython-3.99.1", rebuild.CODE, ["the definition of Bits", "Plain", "the definition of Holder", "Able"]),
        (
            "cpython-3.99.1",
            "cpython-399",
            ["the definition of Bits", "Plain", "the definition of Holder", "the definition of Able"],
        ),
    ],
)
def test_an_enum_is_for_the_release_and_code_for_the_version_that_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, code: str, expected: list[str]
) -> None:
    items = pickle.loads(run(write(tmp_path, "producer.py", OF_EACH_SORT)))
    monkeypatch.setattr(rebuild, "RELEASE", release)
    monkeypatch.setattr(rebuild, "CODE", code)
    assert list(map(arrival, items)) == expected
