"""The loop's thread leaves what needs the lock to another, and never waits for it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.aio.loops import rounds, until
from tests.helpers import PATIENCE


@contextmanager
def locked(*queues: Any) -> Iterator[None]:
    """Another thread is in the middle of a step, for as long as the block lasts."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        for queue in queues:
            queue._member.lock.acquire()
        taken.set()
        done.wait(PATIENCE)
        for queue in queues:
            queue._member.lock.release()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait(PATIENCE)
    try:
        yield
        assert not done.is_set()
    finally:
        done.set()
        thread.join()


def test_no_call_waits_for_a_step_of_another_thread(run, group, open_queue):
    async def main():
        q = open_queue(group, kind="JoinableGroupQueue")
        asker = open_queue(group, mode="client")
        await q.put_many(["held", "finished"])
        message = await q.get_message()
        await q.get()
        question = asyncio.ensure_future(asker.put_wait("question"))
        await until(lambda: size_is(q, 1))
        assert await q.get() == "question"
        loop = asyncio.get_running_loop()
        began = loop.time()
        with locked(q, asker):
            for n in range(1000):
                await q.put(n)
            q.put_nowait(b"x" * 1_000_000)
            await asker.put_many(range(1000))
            gets = [asyncio.ensure_future(q.get()) for _ in range(10)]
            asking = asyncio.ensure_future(asker.put_wait("another"))
            others = [asyncio.ensure_future(call) for call in (q.flush(), q.stats(), q.join())]
            q.reply("answer")
            q.task_done()
            q.task_done()
            message.done()
            await rounds()
            for task in (*gets, asking, *others):
                assert not task.done()
                task.cancel()
            await rounds()
            assert all(task.cancelled() for task in (*gets, asking, *others))
            assert loop.time() - began < PATIENCE / 2
        assert await question == "answer"
        await q.flush()
        await asker.flush()
        await until(lambda: size_is(q, 2001))
        assert (await q.stats()).in_flight == 0

    run(main())


async def size_is(q, count):
    return await q.qsize() == count


def test_errands_are_done_in_order_and_before_anything_is_said(run, group, open_queue):
    async def main():
        q = open_queue(group)
        member = q._member
        done = []
        with locked(q):
            member.later(lambda: done.append("first"))
            await q.put("item")
            member.soon(lambda: done.append(len(member.outbox.pending)))
            member.later(lambda: done.append("last"))
        await q.flush()
        assert done == ["first", 1, "last"]

    run(main())


def test_an_errand_that_waits_for_the_next_step_wakes_nobody(run, group, open_queue):
    async def main():
        q = open_queue(group)
        member = q._member
        assert await q.wait_for_leader(5)
        await until(lambda: not member.armed)
        done = threading.Event()
        member.later(done.set)
        assert not member.armed
        member.soon(lambda: None)
        await until(done.is_set)

    run(main())
