"""The interpreter's tests of `multiprocessing.Queue`, run with ours, under each way to start a process."""

from __future__ import annotations

import os
import unittest
from typing import Any

import pytest

from groupqueue import GroupQueue, PicklingError, get_context
from tests.compat.stdlib import OurContext, keep_only, leave_out, stdlib_tests

theirs = stdlib_tests("_test_multiprocessing")

LEFT_OUT = {
    "test_queue_feeder_donot_stop_onexc": "an object that cannot travel raises in put, by contract, where theirs prints"
    " a traceback from a private thread; test_an_object_that_cannot_travel_raises_and_takes_no_room is our version",
    "test_queue_feeder_on_queue_feeder_error": "overrides the private hook _on_queue_feeder_error of their own class",
    "test_child_fd_inflation": "counts descriptors while a child may be in the middle of connecting to the leader, and "
    "wants them equal; test_children_do_not_inherit_each_other_s_descriptors waits for the connection first",
    "test_closed": "looks at _reader and _writer, the private pipe of their SimpleQueue",
}

# Of the tests of other things, those that use a queue.
WITH_A_PROCESS = {
    "test_args_argument",
    "test_process",
    "test_process_mainthread_native_id",
    "test_close",
    "test_lose_target_ref",
    "test_child_fd_inflation",
}


class Context(OurContext):
    MODULES = (theirs,)


class ForkQueueTests(Context, theirs._TestQueue, unittest.TestCase, method="fork"):
    pass


class SpawnQueueTests(Context, theirs._TestQueue, unittest.TestCase, method="spawn"):
    pass


class ForkserverQueueTests(Context, theirs._TestQueue, unittest.TestCase, method="forkserver"):
    pass


class ForkProcessTests(Context, theirs._TestProcess, unittest.TestCase, method="fork"):
    pass


class SpawnProcessTests(Context, theirs._TestProcess, unittest.TestCase, method="spawn"):
    pass


class ForkserverProcessTests(Context, theirs._TestProcess, unittest.TestCase, method="forkserver"):
    pass


class ForkSimpleQueueTests(Context, theirs.TestSimpleQueue, method="fork"):
    pass


class SpawnSimpleQueueTests(Context, theirs.TestSimpleQueue, method="spawn"):
    pass


class ForkStdinTests(Context, theirs.TestStdinBadfiledescriptor, method="fork"):
    pass


class ForkStartMethodTests(Context, theirs.TestStartMethod, method="fork"):
    pass


class ForkBarrierTests(Context, theirs._TestBarrier, unittest.TestCase, method="fork"):
    pass


def select() -> None:
    for tests in (ForkProcessTests, SpawnProcessTests, ForkserverProcessTests):
        keep_only(tests, WITH_A_PROCESS)
    keep_only(ForkStdinTests, {"test_queue_in_process"})
    keep_only(ForkStartMethodTests, {"test_nested_startmethod"})
    keep_only(ForkBarrierTests, {"test_wait_return"})
    for tests in (
        *(ForkQueueTests, SpawnQueueTests, ForkserverQueueTests),
        *(ForkProcessTests, SpawnProcessTests, ForkserverProcessTests),
        *(ForkSimpleQueueTests, SpawnSimpleQueueTests),
    ):
        leave_out(tests, LEFT_OUT)


select()


def test_their_queue_tests_are_the_ones_known_here() -> None:
    """A new interpreter may bring a test that was never looked at: it is run, and this says so."""
    assert {name for name in dir(theirs._TestQueue) if name.startswith("test")} <= {
        "test_closed_queue_empty_exceptions",
        "test_closed_queue_put_get_exceptions",
        "test_fork",
        "test_get",
        "test_no_import_lock_contention",
        "test_put",
        "test_qsize",
        "test_queue_feeder_donot_stop_onexc",
        "test_queue_feeder_on_queue_feeder_error",
        "test_task_done",
        "test_timeout",
    }


class NotSerializable:
    def __reduce__(self) -> None:
        raise AttributeError


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_object_that_cannot_travel_raises_and_takes_no_room(method: str) -> None:
    queue = get_context(method).Queue(maxsize=1)
    try:
        with pytest.raises(PicklingError):
            queue.put(NotSerializable())
        queue.put(True, timeout=5)
        assert queue.qsize() == 1
        assert queue.get(timeout=5) is True
        assert queue.empty()
    finally:
        queue.close()
        queue.join_thread()


def count_descriptors(queue: GroupQueue[int], done: Any) -> None:
    queue.wait_for_leader(20)
    queue.put(len(os.listdir("/dev/fd")))
    done.wait()


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_children_do_not_inherit_each_other_s_descriptors(method: str) -> None:
    context = get_context(method)
    queue, done = context.Queue(), context.Event()
    children = [context.Process(target=count_descriptors, args=(queue, done)) for _ in range(5)]
    for child in children:
        child.start()
    try:
        counts = [queue.get(timeout=20) for _ in children]
        assert max(counts) - min(counts) <= 1, counts
    finally:
        done.set()
        for child in children:
            child.join()
        queue.close()
        queue.join_thread()
