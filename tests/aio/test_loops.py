"""A handle, its event loop, its thread and its process."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading

import pytest

import groupqueue
from groupqueue import aio
from tests.aio import loops
from tests.aio.loops import new_loop, rounds, start, until, waiting
from tests.helpers import eventually, linux_only, open_leader, run_script


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


@linux_only
def test_a_thousand_gets_cost_one_thread(run, group, open_queue):
    before = threads()

    async def main():
        q = open_queue(group)
        tasks = await start(q, 1000, q.get)
        assert threads() <= before + 1
        await q.put_many(range(1000))
        assert await asyncio.gather(*tasks) == list(range(1000))
        assert threads() <= before + 1

    run(main())


def test_another_loop_gets_a_runtime_error_while_the_handle_s_is_open(kind, run, group, open_queue):
    q = open_queue(group)
    loop = new_loop(kind)
    loop.run_until_complete(q.put("item"))

    async def main():
        for call in (q.get(), q.put(1), q.put_wait(1), q.flush(), q.stats(), q.close()):
            with pytest.raises(RuntimeError, match="bound to a different event loop"):
                await call
        with pytest.raises(RuntimeError, match="bound to a different event loop"):
            q.get_nowait()

    run(main())
    assert loop.run_until_complete(q.get()) == "item"
    loop.close()


def test_a_handle_goes_from_loop_to_loop_when_one_is_closed(run, group, open_queue):
    q = open_queue(group)

    async def put():
        await q.put("item")

    async def get():
        return await q.get()

    run(put())
    assert run(get()) == "item"
    run(put())
    assert run(get()) == "item"


def test_what_comes_for_the_gets_of_a_closed_loop_stays_in_the_queue(kind, run, group, open_queue):
    q, other = open_queue(group), open_queue(group, mode="client")
    loop = new_loop(kind)
    tasks = loop.run_until_complete(start(q, 3, q.get))
    loop.close()

    async def main():
        await other.put_many(range(3))
        await other.flush()
        await until(lambda: not q._member.session.getters)
        # Whoever asks gets them: the other handle, and this one in its new loop.
        assert await other.get() == 0
        assert [await q.get(), await q.get()] == [1, 2]

    run(main())
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()


def test_a_new_loop_takes_over_from_a_closed_one_in_which_gets_wait(kind, run, group, open_queue):
    q = open_queue(group)
    loop = new_loop(kind)
    tasks = loop.run_until_complete(start(q, 3, q.get))
    loop.close()

    async def main():
        await q.put("item")
        assert await q.get() == "item"
        assert await q.empty()
        await until(lambda: not q._member.session.getters)
        assert len(q._member.driver.listeners) == 3

    run(main())
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()


def test_a_question_that_a_closed_loop_s_task_has_not_answered_goes_to_another(kind, run, group, open_queue):
    q, asker = open_queue(group), open_queue(group, mode="client")
    loop = new_loop(kind)

    async def begin():
        got = asyncio.Event()

        async def work():
            await q.get()
            got.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(work())
        question = asyncio.ensure_future(asker.put_wait("question"))
        await got.wait()
        return task, question

    tasks = loop.run_until_complete(begin())
    loop.close()

    async def main():
        message = await q.get_message()
        assert (message.obj, message.attempt) == ("question", 2)
        message.done()

    run(main())
    for task in tasks:
        task._log_destroy_pending = False
        task.get_coro().close()


def test_loops_in_several_threads_each_with_a_queue_of_its_own(kind, group):
    total = 400
    results = []
    start_line = threading.Barrier(4)

    async def work(number):
        async with aio.GroupQueue(group) as q, aio.GroupQueue("results") as out:
            start_line.wait(20)
            await q.put_many((number, n) for n in range(total))
            for _ in range(total):
                await out.put(await q.get())

    async def collect():
        async with aio.GroupQueue("results") as out:
            start_line.wait(20)
            results.extend([await out.get() for _ in range(3 * total)])

    pool = [threading.Thread(target=loops.run, args=(work(n), kind)) for n in range(3)]
    pool.append(threading.Thread(target=loops.run, args=(collect(), kind)))
    for thread in pool:
        thread.start()
    for thread in pool:
        thread.join(40)
    assert sorted(results) == [(number, n) for number in range(3) for n in range(total)]


def test_a_forked_child_is_a_new_member_with_a_loop_of_its_own(kind, run, group, open_queue):
    q = open_queue(group)
    loop = new_loop(kind)
    # The parent's loop is open and its gets wait while it forks.
    tasks = loop.run_until_complete(start(q, 3, q.get))
    pid = os.fork()
    if not pid:
        status = 1
        try:

            async def child():
                await q.put_many(["from", "the", "child"])
                await q.close()

            loops.run(child(), kind)
            status = 0
        finally:
            os._exit(status)
    found = loop.run_until_complete(asyncio.wait_for(gather(tasks), 20))
    assert found == ["from", "the", "child"]
    assert os.waitpid(pid, 0)[1] == 0
    loop.run_until_complete(q.close())
    loop.close()


async def gather(tasks):
    return await asyncio.gather(*tasks)


def test_a_handle_is_pickled_by_name_and_options(run, group, open_queue):
    async def main():
        q = open_queue(group, kind="JoinableGroupQueue", maxsize=7)
        async with pickle.loads(pickle.dumps(q)) as again:
            assert type(again) is aio.JoinableGroupQueue
            assert (again.name, again.maxsize, again.directory) == (q.name, 7, q.directory)
            await again.put("item")
            assert await q.get() == "item"
            q.task_done()

    run(main())


def test_it_is_the_same_group_as_the_other_face_s(run, group, open_queue):
    leader = open_leader(group, begin="while True: q.reply(q.get() * 2)")

    async def main():
        q = open_queue(group)
        assert await q.wait_for_leader(5)
        assert not q.is_leader
        assert await asyncio.gather(*(q.put_wait(n) for n in range(50))) == [n * 2 for n in range(50)]
        assert (await q.stats()).leader_pid == leader.pid

    run(main())


# Closing


def test_close_wakes_every_coroutine_that_waits(run, group, open_queue):
    async def main():
        q, full, lonely = open_queue(group), open_queue("full", maxsize=1), open_queue("lonely")
        await full.put(0)
        tasks = await start(q, 10, q.get)
        tasks += [asyncio.ensure_future(q.get_message()), asyncio.ensure_future(q.get_many(3))]
        tasks += [asyncio.ensure_future(lonely.put_wait(n)) for n in range(3)]
        tasks += [asyncio.ensure_future(full.put(n)) for n in range(3)]
        await until(lambda: waiting(q) == 12 and loops.putting(full) == 3)
        await until(lonely.qsize)
        await asyncio.gather(q.close(), full.close(), lonely.close())
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {ValueError}

    run(main())


def test_a_closed_queue_says_so(run, group, open_queue):
    async def main():
        q = open_queue(group, kind="JoinableGroupQueue")
        await q.put(1)
        await q.close()
        for call in (q.get(), q.get_many(2), q.get_message(), q.put(1), q.put_many([1]), q.put_wait(1), q.empty()):
            with pytest.raises(ValueError, match="closed"):
                await call
        for call in (q.clear(), q.peek(), q.failed(), q.requeue_failed(), q.shutdown(), q.join()):
            with pytest.raises(ValueError, match="closed"):
                await call
        for call in (q.get_nowait, lambda: q.put_nowait(1)):
            with pytest.raises(ValueError, match="closed"):
                call()
        await q.close()
        await q.flush()
        assert "closed" in repr(q)

    run(main())


def test_leaving_the_block_flushes(run, group, open_queue):
    async def main():
        async with open_queue(group) as q:
            await q.put_many(range(100))
        async with open_queue(group) as q:
            assert await q.get_many(1) == [0]
            assert await q.qsize() == 99

    run(main())


def test_a_cancelled_close_goes_on_in_the_background(run, group, open_queue):
    async def main():
        q = open_queue(group, mode="client")
        await q.put("item")
        task = asyncio.ensure_future(q.close())
        await rounds()
        task.cancel()
        await rounds()
        assert task.cancelled()
        leader = open_queue(group)
        assert await leader.get() == "item"
        await until(lambda: q._member.is_closed)

    run(main())


def test_an_exiting_process_flushes_what_its_loop_has_put(group, open_queue):
    script = run_script(
        """
        import asyncio
        from groupqueue.aio import GroupQueue

        async def main():
            q = GroupQueue("jobs")
            for n in range(100):
                q.put_nowait(n)

        asyncio.run(main())
        """
    )
    assert script.wait() == 0
    q = groupqueue.GroupQueue(group)
    assert [q.get(timeout=5) for _ in range(100)] == list(range(100))
    q.close()


def test_a_handle_that_nobody_has_any_more_is_closed(run, group):
    async def main():
        q = aio.GroupQueue(group)
        await q.put(1)
        assert await q.get() == 1
        return q._member

    member = run(main())
    eventually(lambda: member.is_closed)


# What the operators see


def test_operators_calls_answer(run, group, open_queue):
    async def main():
        q = open_queue(group, maxsize=10)
        assert (await q.empty(), await q.full(), await q.qsize()) == (True, False, 0)
        await q.put_many("abc")
        await q.flush()
        assert (await q.empty(), await q.full(), await q.qsize()) == (False, False, 3)
        assert await q.peek(2) == ["a", "b"]
        (await q.get_message()).fail(ValueError("bad"))
        await until(q.failed)
        assert await q.requeue_failed() == 1
        assert await q.clear() == 3
        stats = await q.stats()
        assert (stats.ready, stats.leader_pid, stats.maxsize) == (0, os.getpid(), 10)

    run(main())


def test_with_no_leader_what_the_directory_tells(run, group, open_queue):
    async def main():
        async with open_queue(group) as q:
            await q.put_many(range(5))
        q = open_queue(group, mode="client")
        assert not await q.wait_for_leader(0.05)
        stats, size = await asyncio.gather(q.stats(), q.qsize())
        assert (stats.leader_pid, stats.ready, size) == (None, 5, 5)
        with pytest.raises(TimeoutError):
            await q.peek()

    run(main())


def test_unlink(run, group):
    async def main():
        async with aio.GroupQueue(group) as q:
            await q.put(1)
            with pytest.raises(groupqueue.GroupBusyError):
                aio.GroupQueue.unlink(group)
        aio.GroupQueue.unlink(group)

    run(main())
