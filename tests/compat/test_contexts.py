"""`get_context()`, and the libraries that take a context or a queue."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import multiprocessing
import multiprocessing.pool
import os
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from groupqueue import GroupQueue, JoinableGroupQueue, get_context
from tests.helpers import Clock

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture(params=METHODS)
def context(request):
    return get_context(request.param)


def close(*queues):
    for queue in queues:
        queue.close()
        queue.join_thread()


def double_all(source, target):
    for item in iter(source.get, None):
        target.put(item * 2)


_queue = None


def remember(queue):
    global _queue
    _queue = queue


def put_remembered(item):
    _queue.put(item)
    return item


def put_given(queue, item):
    queue.put(item)
    queue.flush()
    return item


def square(n):
    return n * n


def relay(queues):
    inner = queues.get()
    inner.put("through the queue")
    close(inner)


def work_tasks(queue):
    for item in iter(queue.get, None):
        assert item >= 0
        queue.task_done()
    queue.task_done()


def log_here(queue):
    logger = logging.getLogger("child")
    logger.setLevel(logging.INFO)
    logger.addHandler(logging.handlers.QueueHandler(queue))
    logger.info("from %s", "the child")


def test_a_context_makes_our_queues_and_otherwise_is_the_standard_one(context):
    method = context.get_start_method()
    assert context.Process is multiprocessing.get_context(method).Process
    queue, joinable, simple = context.Queue(5), context.JoinableQueue(), context.SimpleQueue()
    try:
        assert type(queue) is GroupQueue
        assert queue.maxsize == 5
        assert type(joinable) is JoinableGroupQueue
        simple.put(1)
        assert simple.get() == 1
        assert simple.empty()
    finally:
        close(queue, joinable)
        simple.close()


def test_another_method_s_context_made_of_it_makes_our_queues_too(context):
    assert context.get_context() is context
    for method in multiprocessing.get_all_start_methods():
        other = context.get_context(method)
        assert other.get_start_method() == method
        queue = other.Queue()
        try:
            assert type(queue) is GroupQueue
        finally:
            close(queue)


def test_the_default_context_is_the_default():
    assert get_context().get_start_method() == multiprocessing.get_context().get_start_method()
    with pytest.raises(ValueError, match="nonsense"):
        get_context("nonsense")


def test_processes(context):
    source, target = context.Queue(), context.Queue()
    workers = [context.Process(target=double_all, args=(source, target)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for n in range(100):
        source.put(n)
    for _ in workers:
        source.put(None)
    assert sorted(target.get(timeout=20) for _ in range(100)) == [n * 2 for n in range(100)]
    for worker in workers:
        worker.join(20)
        assert worker.exitcode == 0
    close(source, target)


def test_joinable_queues(context):
    queue = context.JoinableQueue()
    worker = context.Process(target=work_tasks, args=(queue,))
    worker.start()
    queue.put_many(range(50))
    queue.put(None)
    queue.join()
    worker.join(20)
    assert worker.exitcode == 0
    close(queue)


def test_a_pool_of_the_context(context):
    with context.Pool(2) as pool:
        assert pool.map(square, range(20)) == [n * n for n in range(20)]


def test_a_pool_whose_initializer_takes_a_queue(context):
    queue = context.Queue()
    with multiprocessing.get_context(context.get_start_method()).Pool(2, remember, (queue,)) as pool:
        assert pool.map(put_remembered, range(10)) == list(range(10))
        assert sorted(queue.get(timeout=10) for _ in range(10)) == list(range(10))
        pool.close()
        pool.join()
    close(queue)


def test_a_queue_as_a_pool_task_s_argument(context):
    """Theirs can be inherited only; ours may be passed to a process that runs already."""
    queue = GroupQueue()
    with context.Pool(2) as pool:
        assert pool.starmap(put_given, [(queue, n) for n in range(5)]) == list(range(5))
        assert sorted(queue.get(timeout=10) for _ in range(5)) == list(range(5))
    close(queue)


def test_an_executor_whose_initializer_and_tasks_take_a_queue(context):
    queue = context.Queue()
    standard = multiprocessing.get_context(context.get_start_method())
    with ProcessPoolExecutor(2, mp_context=standard, initializer=remember, initargs=(queue,)) as executor:
        assert list(executor.map(put_remembered, range(5))) == list(range(5))
        assert [executor.submit(put_given, queue, n).result(20) for n in range(5, 8)] == [5, 6, 7]
        assert sorted(queue.get(timeout=10) for _ in range(8)) == list(range(8))
    close(queue)


def test_an_executor_of_the_context(context):
    queue = context.Queue()
    with ProcessPoolExecutor(2, mp_context=context, initializer=remember, initargs=(queue,)) as executor:
        assert list(executor.map(put_remembered, range(5))) == list(range(5))
        assert [executor.submit(put_given, queue, n).result(20) for n in range(5, 8)] == [5, 6, 7]
        assert sorted(queue.get(timeout=10) for _ in range(8)) == list(range(8))
    close(queue)


def test_an_executor_of_the_context_notices_that_its_worker_died(context):
    with ProcessPoolExecutor(1, mp_context=context) as executor, pytest.raises(BrokenProcessPool):
        executor.submit(os._exit, 3).result(20)


def test_a_pool_that_is_told_the_context(context):
    with multiprocessing.pool.Pool(2, context=context) as pool:
        assert pool.map(square, range(5)) == [n * n for n in range(5)]


def test_a_named_queue_as_an_argument_to_each_kind_of_worker(context):
    """One group between a process, a pool and an executor, none of which made it."""
    queue = GroupQueue("shared")
    worker = context.Process(target=put_given, args=(queue, 0))
    worker.start()
    with context.Pool(1) as pool, ProcessPoolExecutor(1, mp_context=context) as executor:
        assert pool.apply(put_given, (queue, 1)) == 1
        assert executor.submit(put_given, queue, 2).result(20) == 2
    worker.join(20)
    assert worker.exitcode == 0
    assert sorted(queue.get(timeout=10) for _ in range(3)) == [0, 1, 2]
    close(queue)


def test_a_queue_in_a_queue(context):
    outer, inner = context.Queue(), context.Queue()
    worker = context.Process(target=relay, args=(outer,))
    worker.start()
    outer.put(inner)
    assert inner.get(timeout=20) == "through the queue"
    worker.join(20)
    assert worker.exitcode == 0
    close(outer, inner)


def test_a_queue_through_a_pipe(context):
    here, there = context.Pipe()
    queue = context.Queue()
    here.send(queue)
    copy = there.recv()
    copy.put("hello")
    copy.flush(timeout=5)
    assert queue.get(timeout=5) == "hello"
    close(copy, queue)
    here.close()
    there.close()


def test_queue_handler_and_listener_of_logging(context):
    records = []

    class Keep(logging.Handler):
        def emit(self, record):
            records.append((record.name, record.getMessage()))

    queue = context.Queue()
    listener = logging.handlers.QueueListener(queue, Keep())
    listener.start()
    worker = context.Process(target=log_here, args=(queue,))
    worker.start()
    worker.join(20)
    assert worker.exitcode == 0
    with Clock() as clock:
        listener.stop()
    assert clock.elapsed < 5
    assert records == [("child", "from the child")]
    close(queue)


def test_asyncio_through_an_executor(context):
    queue = context.Queue()

    async def main():
        loop = asyncio.get_running_loop()
        waiting = loop.run_in_executor(None, queue.get)
        await loop.run_in_executor(None, queue.put, "hello")
        return await asyncio.wait_for(waiting, 10)

    assert asyncio.run(main()) == "hello"
    close(queue)
