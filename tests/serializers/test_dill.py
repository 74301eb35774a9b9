"""dill comes when it is needed, on either side, and leaves the program's pickle as it was."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serializers.processes import ROOT, SCRIPTS, run, write

STATE = """
import builtins, copyreg, ctypes, logging, sys, warnings
import multiprocessing.reduction

def state():
    return (
        dict(pickle._Pickler.dispatch), dict(copyreg.dispatch_table), list(warnings.filters),
        dict(vars(ctypes.pythonapi)), dict(vars(builtins)), list(sys.path), list(sys.meta_path), sys.excepthook,
        list(logging.root.handlers), dict(multiprocessing.reduction.ForkingPickler._extra_reducers),
        sys.getrecursionlimit(), pickle.Pickler, pickle.Unpickler, pickle.dumps, pickle.loads,
        pickle._Pickler, pickle._Pickler.save, dict(vars(pickle)),
    )

import typing  # it registers two types of its own with copyreg
before = state()
"""
AFTER = """
assert "dill" in sys.modules
for old, new in zip(before, state()):
    assert old == new, (old, new)
"""


def test_importing_the_serializer_does_not_import_dill() -> None:
    code = "import sys, groupqueue.serializers; sys.exit('dill' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_neither_does_what_c_pickle_can_carry(tmp_path: Path) -> None:
    source = """
import decimal
loads(dumps({"a": [1, decimal.Decimal(2)], "b": "__main__"}))
try:
    dumps(sys.stdout)
except Exception:
    pass
assert "dill" not in sys.modules
"""
    run(write(tmp_path, "plain.py", source))


def test_dumps_leaves_pickle_as_it_was(tmp_path: Path) -> None:
    source = STATE + "\nclass Job: pass\ndef func(): return Job\ndumps([Job(), func, lambda: 1, {}.keys()])\n" + AFTER
    run(write(tmp_path, "producer.py", source))


def test_loads_leaves_pickle_as_it_was(tmp_path: Path) -> None:
    source = STATE + "\nfor data in pickle.load(sys.stdin.buffer).values(): loads(data)\n"
    source += 'pickle._Pickler.dispatch.pop("unknown", None)\n'
    consumer = write(
        tmp_path, "consumer.py", source.replace("import builtins", "import builtins, dis, xml.dom.minidom") + AFTER
    )
    run(consumer, stdin=run(SCRIPTS / "zoo.py", "dump"))


def test_a_program_that_wants_dill_keeps_it(tmp_path: Path) -> None:
    source = """
import dill
before = list(pickle._Pickler.dispatch.items())
assert any(func.__module__ == "dill._dill" for _, func in before)
loads(dumps(lambda: 1))
assert before == list(pickle._Pickler.dispatch.items())
"""
    run(write(tmp_path, "fond_of_dill.py", source))


def test_the_streams_are_read_by_plain_pickle(tmp_path: Path) -> None:
    data = pickle.loads(run(SCRIPTS / "zoo.py", "dump"))["sub"]
    assert pickle.loads(data).hello() == "hello 1 3 sub"


@pytest.mark.parametrize("main", ["def func(): return 1", "func = lambda: 1", "class func: pass"])
def test_the_senders_own_pickle_still_refuses_or_refers(tmp_path: Path, main: str) -> None:
    source = f"""
{main}
dumps(func)
try:
    data = pickle._dumps(func)
except pickle.PicklingError:
    assert "lambda" in {main!r}
else:
    assert len(data) < 50 and loads(data) is func
"""
    run(write(tmp_path, "producer.py", source))
