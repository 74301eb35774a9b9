"""The fixture `group_queue`, in test runs of its own."""

from __future__ import annotations

import importlib.metadata
import os
import re
from pathlib import Path

import pytest

from tests.helpers import ROOT, eventually, process_state

pytest_plugins = ["pytester"]

HASTE = "import groupqueue.testing; groupqueue.testing.GRACE = 0.3"

WORKER = """
import sys, time
from groupqueue import GroupQueue
q = GroupQueue("jobs")
q.put("here")
q.flush()
print("ready", flush=True)
if "stay" in sys.argv:
    time.sleep(100)
"""

START = """
import os, subprocess, sys

def start(*words):
    worker = subprocess.Popen([sys.executable, "worker.py", *words], stdout=subprocess.PIPE, text=True)
    assert worker.stdout.readline() == "ready\\n"
    print("pid", worker.pid)
    return worker
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs the tests of a source, with the plugin and nothing else."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONWARNINGS", "ignore:This process:DeprecationWarning")

    def run(source):
        pytester.makeconftest(HASTE)
        pytester.makepyfile(worker=WORKER)
        pytester.makepyfile(test_it=START + source)
        return pytester.runpytest_subprocess("-p", "groupqueue.pytest_plugin", "-p", "no:cacheprovider", timeout=50)

    return run


def pids(result):
    return [int(line.split()[-1]) for line in result.outlines if line.startswith("pid ")]


def test_tests_that_clean_up_pass_and_nothing_is_left(run):
    result = run("""
import multiprocessing, shutil
from groupqueue import GroupQueue, JoinableGroupQueue

places = []

def test_the_queue_is_in_a_directory_of_its_own(group_queue):
    places.append(group_queue.directory)
    q = group_queue()
    assert type(q) is GroupQueue and q.name == "test"
    assert q.directory == group_queue.directory == os.environ["GROUPQUEUE_DIR"]
    q.put(1)

def test_the_next_test_s_queue_is_empty(group_queue):
    places.append(group_queue.directory)
    q = group_queue("test", 5)
    assert q.empty() and q.maxsize == 5
    assert type(group_queue.joinable("tasks")) is JoinableGroupQueue
    assert group_queue(None).name.startswith(".")

def test_the_directories_of_other_tests_are_gone(group_queue):
    assert len(set(places)) == 2
    assert not any(map(os.path.exists, places))

def test_a_process_takes_part(group_queue):
    worker = start()
    assert group_queue("jobs").get(timeout=5) == "here"
    worker.communicate()

def test_who_ends_soon_is_waited_for(group_queue):
    start("stay").terminate()

def test_code_under_test_opens_and_closes(group_queue):
    with GroupQueue("jobs") as q:
        q.put(1)
    GroupQueue("dropped").put(1)

def test_a_child_is_joined(group_queue):
    q = group_queue(mode="client", maxsize=0)
    child = multiprocessing.get_context("fork").Process(target=print)
    child.start()
    child.join()

def test_nobody_leads_and_nothing_hangs(group_queue):
    q = group_queue("jobs", mode="client")
    q.put(1)
    child = multiprocessing.get_context("fork").Process(target=print)

def test_removes_the_directory(group_queue):
    shutil.rmtree(group_queue.directory)

def test_the_environment_is_as_before():
    assert os.environ.get("GROUPQUEUE_DIR") not in places
""")
    result.assert_outcomes(passed=10)


def test_what_is_left_behind_fails_its_test_and_only_that(run):
    result = run("""
import multiprocessing, time
from groupqueue import GroupQueue

kept = []

def test_keeps_a_queue(group_queue):
    kept.append(GroupQueue("kept"))

def test_leaves_a_worker(group_queue):
    kept.append(start("stay"))

def test_leaves_a_child(group_queue):
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(100,))
    child.start()
    print("pid", child.pid)

def test_leaves_a_forked_member(group_queue):
    q = group_queue("jobs")
    pid = os.fork()
    if pid == 0:
        time.sleep(100)
        os._exit(0)
    print("pid", pid)

def test_is_well(group_queue):
    group_queue("jobs").put(1)
    assert "closed" in repr(kept[0]) and not os.path.exists(kept[0].directory)
""")
    result.assert_outcomes(passed=5, errors=4)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_keeps_a_queue*",
            "left behind by the test:",
            "  this process still has group 'kept' open; close it",
            "*ERROR at teardown of test_leaves_a_worker*",
            "  process * (*worker.py stay) still has group 'jobs' open; close it",
            "*ERROR at teardown of test_leaves_a_child*",
            "  process * still runs; join it",
            "*ERROR at teardown of test_leaves_a_forked_member*",
            "  process * still has group 'jobs' open; close it",
        ]
    )
    assert len(pids(result)) == 3
    for pid in pids(result):
        eventually(lambda: process_state(pid) in ("", "Z"), what=f"process {pid} has been ended")  # noqa: B023


def test_its_directories_are_gone(run, tmp_path):
    result = run("""
def test_says_where(group_queue):
    group_queue("jobs").put(1)
    print("at", group_queue.directory)
    assert False
""")
    (place,) = [line.split()[1] for line in result.outlines if line.startswith("at ")]
    assert not Path(place).exists()


def test_pytest_finds_it_where_the_package_is_installed():
    found = importlib.metadata.entry_points(group="pytest11")
    ours = [entry for entry in found if entry.value.startswith("groupqueue.")]
    if not ours:
        pytest.skip("groupqueue is not installed here, or was before it had the plugin")
    assert {(entry.name, entry.value) for entry in ours} == {("groupqueue", "groupqueue.pytest_plugin")}
    assert os.path.exists(ROOT / "groupqueue" / "pytest_plugin.py")


def test_the_page_s_example_passes(pytester, monkeypatch):
    page = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(test_page=block)
    pytester.runpytest_subprocess("-p", "groupqueue.pytest_plugin", timeout=50).assert_outcomes(passed=2)
