"""The interpreter's tests of `queue.Queue`, where they apply to us; shutdown also on interpreters that lack it."""

from __future__ import annotations

import threading
import types
import unittest
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import groupqueue
from groupqueue import Empty, Full, JoinableGroupQueue, ShutDown
from tests.compat.stdlib import leave_out, stdlib_tests

theirs = stdlib_tests("test_queue")


class Queue(JoinableGroupQueue):
    """Of this name, because their tests look up the expected order by it."""


class QueueModuleTests(theirs.BaseQueueTestMixin, unittest.TestCase):
    queue = types.SimpleNamespace(Empty=groupqueue.Empty, Full=groupqueue.Full, ShutDown=groupqueue.ShutDown)

    def type2test(self, maxsize: int = 0) -> Queue:
        queue: Queue = Queue(maxsize=maxsize)
        self.addCleanup(queue.close)
        return queue


leave_out(
    QueueModuleTests,
    {
        "test_negative_timeout_raises_exception": "multiprocessing.Queue takes a negative timeout for zero, and so do "
        "we; test_a_negative_timeout_is_zero",
        "test_shrinking_queue": "assigns maxsize, an attribute that multiprocessing.Queue does not have; here it is"
        " the group's and not to be assigned",
        "test_shutdown_allowed_transitions": "reads is_shutdown, a private matter of queue.Queue; "
        "test_shutdown_may_be_repeated_and_become_immediate",
        "test_shutdown_put_join": "reads unfinished_tasks; test_join_returns_when_the_drained_items_are_done",
        "test_shutdown_immediate_put_join": "reads unfinished_tasks; test_an_immediate_shutdown_ends_join",
        "test_shutdown_get_task_done_join": "reads unfinished_tasks; test_join_returns_when_the_drained_items_are_done",
    },
)


# The same, in our words: for the interpreters whose own tests do not know shutdown, and for what was left out.


@pytest.fixture
def make() -> Iterator[Callable[..., Any]]:
    made = []

    def make(maxsize: int = 0) -> Any:
        made.append(JoinableGroupQueue(maxsize=maxsize))
        return made[-1]

    yield make
    for queue in made:
        queue.close()


def in_thread(call: Callable[[], Any]) -> Callable[[], Any]:
    """Starts a call; the returned function waits for what it came to, an exception included."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(call())
        except Exception as exc:
            outcome.append(exc)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def result() -> Any:
        thread.join(10)
        assert not thread.is_alive(), "still waiting"
        return outcome[0]

    return result


def test_a_negative_timeout_is_zero(make):
    queue = make(1)
    queue.put(1, timeout=-1)
    with pytest.raises(Full):
        queue.put(2, timeout=-1)
    queue.flush(timeout=5)
    assert queue.get(timeout=-1) == 1
    with pytest.raises(Empty):
        queue.get(True, -1)


def test_shutdown_of_an_empty_queue(make):
    queue = make()
    queue.shutdown()
    with pytest.raises(ShutDown):
        queue.put("data")
    with pytest.raises(ShutDown):
        queue.get()


def test_shutdown_of_a_filled_queue_drains_it(make):
    queue = make()
    queue.put("data")
    queue.shutdown()
    assert queue.get() == "data"
    with pytest.raises(ShutDown):
        queue.get()


def test_an_immediate_shutdown_drops_the_items(make):
    queue = make()
    queue.put("data")
    queue.shutdown(immediate=True)
    with pytest.raises(ShutDown):
        queue.get()
    assert queue.empty()


def test_shutdown_may_be_repeated_and_become_immediate(make):
    queue = make()
    queue.put("data")
    queue.shutdown()
    queue.shutdown()
    queue.shutdown(immediate=True)
    queue.shutdown(immediate=False)
    with pytest.raises(ShutDown):
        queue.get()


@pytest.mark.parametrize("immediate", [False, True])
def test_every_method_after_a_shutdown(make, immediate):
    queue = make(2)
    queue.put("L")
    queue.put_nowait("O")
    queue.shutdown(immediate)
    with pytest.raises(ShutDown):
        queue.put("E")
    with pytest.raises(ShutDown):
        queue.put_nowait("W")
    if not immediate:
        for letter in "LO":
            assert queue.get() == letter
            queue.task_done()
    queue.join()
    for call in (queue.get, queue.get_nowait, lambda: queue.get(True, 1.0)):
        with pytest.raises(ShutDown):
            call()
    with pytest.raises(ValueError, match="task_done"):
        queue.task_done()


@pytest.mark.parametrize("immediate", [False, True])
def test_a_waiting_get_ends(make, immediate):
    queue = make()
    waiting = [in_thread(queue.get) for _ in range(3)]
    queue.shutdown(immediate)
    assert [type(result()) for result in waiting] == [ShutDown] * len(waiting)


@pytest.mark.parametrize("immediate", [False, True])
def test_a_waiting_put_ends(make, immediate):
    queue = make(2)
    queue.put("Y")
    queue.put("D")
    waiting = [in_thread(lambda: queue.put("E")) for _ in range(2)]
    queue.shutdown(immediate)
    assert [type(result()) for result in waiting] == [ShutDown] * len(waiting)


def test_as_many_gets_succeed_as_there_are_items(make):
    queue = make(2)
    queue.put("Y")
    queue.put("D")
    waiting = [in_thread(queue.get) for _ in range(3)]
    queue.shutdown()
    outcomes = [result() for result in waiting]
    assert sorted(outcome for outcome in outcomes if isinstance(outcome, str)) == ["D", "Y"]
    assert len([outcome for outcome in outcomes if isinstance(outcome, ShutDown)]) == 1


def test_join_returns_when_the_drained_items_are_done(make):
    queue = make(2)
    queue.put("Y")
    queue.put("D")
    joining = [in_thread(queue.join) for _ in range(2)]
    queue.shutdown()
    for _ in range(2):
        queue.get()
        queue.task_done()
    assert [result() for result in joining] == [None, None]


def test_an_immediate_shutdown_ends_join(make):
    queue = make()
    queue.put("Y")
    joining = [in_thread(queue.join) for _ in range(2)]
    queue.shutdown(immediate=True)
    assert [result() for result in joining] == [None, None]


def test_a_task_done_too_many_raises(make):
    queue = make()
    with pytest.raises(ValueError, match="task_done"):
        queue.task_done()
    queue.put(1)
    queue.get()
    queue.task_done()
    queue.join()
    with pytest.raises(ValueError, match="task_done"):
        queue.task_done()


@pytest.mark.parametrize("immediate", [False, True])
def test_a_shutdown_in_the_middle_of_many_threads_ends_them_all(make, immediate):
    queue = make(1000)
    running = threading.Event()

    def put() -> int:
        count = 0
        try:
            while True:
                queue.put(count)
                count += 1
                if count == 500:
                    running.set()
        except ShutDown:
            return count

    def get() -> int:
        count = 0
        try:
            while True:
                queue.get()
                queue.task_done()
                count += 1
        except ShutDown:
            return count

    putting = [in_thread(put) for _ in range(4)]
    getting = [in_thread(get) for _ in range(4)]
    assert running.wait(20)
    queue.shutdown(immediate)
    put_counts, get_counts = [result() for result in putting], [result() for result in getting]
    assert {type(count) for count in put_counts + get_counts} == {int}, (put_counts, get_counts)
    if immediate:
        assert sum(get_counts) <= sum(put_counts)
    else:
        assert sum(get_counts) == sum(put_counts)
    queue.join()
