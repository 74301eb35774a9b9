"""Putting in coroutines: in order, never beyond the bound, and without holding up the loop."""

from __future__ import annotations

import asyncio
import queue
import threading

import pytest

import groupqueue
from groupqueue import PicklingError, RemoteError, ReplyTimeout, aio
from tests.aio.loops import putting, rounds, start, until
from tests.helpers import eventually, open_leader

MIB = 1024 * 1024


def test_a_put_waits_for_room_and_comes_in_order(run, group, open_queue):
    async def main():
        q = open_queue(group, maxsize=3)
        tasks = [asyncio.ensure_future(q.put(n)) for n in range(10)]
        await asyncio.gather(*tasks[:3])
        await until(lambda: putting(q) == 7)
        assert await q.full()
        assert await q.qsize() == 3
        assert [await q.get() for _ in range(10)] == list(range(10))
        await asyncio.gather(*tasks)

    run(main())


def test_a_cancelled_put_has_put_nothing_and_the_next_has_its_room(run, group, open_queue):
    async def main():
        q = open_queue(group, maxsize=1)
        await q.put(0)
        first, second = (asyncio.ensure_future(q.put(n)) for n in (1, 2))
        await until(lambda: putting(q) == 2)
        first.cancel()
        await rounds()
        assert [await q.get(), await q.get()] == [0, 2]
        await second
        assert await q.empty()

    run(main())


def test_a_cancellation_that_comes_with_the_room_leaves_it_to_the_next(run, group, open_queue):
    async def main():
        q = open_queue(group, maxsize=1)
        await q.put(0)
        first, second = (asyncio.ensure_future(q.put(n)) for n in (1, 2))
        await until(lambda: putting(q) == 2)
        line = q._waits.putters
        # As when room comes in the same round as the cancellation.
        next(iter(line._places)).wake()
        first.cancel()
        assert [await q.get(), await q.get()] == [0, 2]
        await second
        assert first.cancelled()

    run(main())


def test_a_new_put_does_not_overtake_one_that_waits(run, group, open_queue):
    async def main():
        q, consumer = open_queue(group, maxsize=1), open_queue(group, mode="client")
        await q.put(0)
        first = asyncio.ensure_future(q.put(1))
        await until(lambda: putting(q) == 1)
        assert await consumer.get() == 0
        if not first.done():
            # The loop does not run until its room is there; the second finds it.
            eventually(lambda: q._member.session.credit > 0)
        second = asyncio.ensure_future(q.put(2))
        with pytest.raises(asyncio.QueueFull):
            q.put_nowait(3)
        assert [await consumer.get(), await consumer.get()] == [1, 2]
        await asyncio.gather(first, second)

    run(main())


def test_a_thousand_puts_in_a_row_let_others_run(run, group, open_queue):
    async def main():
        q = open_queue(group)
        ran = []
        loop = asyncio.get_running_loop()

        def tick():
            ran.append(1)
            loop.call_soon(tick)

        loop.call_soon(tick)
        await q.put_many(range(1000))
        assert len(ran) >= 9
        before = len(ran)
        for n in range(1000):
            await q.put(n)
        assert len(ran) >= before + 9

    run(main())


def test_put_nowait_raises_what_both_kinds_of_users_catch(run, group, open_queue):
    async def main():
        q = open_queue(group, maxsize=1)
        await q.put(0)
        for kind in (asyncio.QueueFull, queue.Full, groupqueue.Full, aio.QueueFull):
            with pytest.raises(kind):
                q.put_nowait(1)
        assert await q.get() == 0
        await rounds()
        assert await q.empty()

    run(main())


def test_put_nowait_finds_room_that_the_leader_was_asked_for(run, group, open_queue):
    async def main():
        q = open_queue(group, maxsize=2)

        def put():
            try:
                q.put_nowait("item")
            except asyncio.QueueFull:
                return False
            return True

        await until(put)
        await until(put)
        assert not put()
        assert await q.get() == "item"

    run(main())


def test_put_nowait_always_finds_room_in_an_unbounded_group_and_needs_no_loop(run, group, open_queue):
    q = open_queue(group)
    for n in range(1000):
        q.put_nowait(n)

    async def main():
        assert [await q.get() for _ in range(1000)] == list(range(1000))

    run(main())


def test_put_many_comes_in_order_and_waits_for_room(run, group, open_queue):
    async def main():
        q, other = open_queue(group, maxsize=10), open_queue(group, mode="client")
        task = asyncio.ensure_future(other.put_many(range(100)))
        assert [await q.get() for _ in range(100)] == list(range(100))
        await task

    run(main())


def test_a_cancelled_put_many_has_put_what_came_before(run, group, open_queue):
    async def main():
        q = open_queue(group, maxsize=3)
        task = asyncio.ensure_future(q.put_many(range(10)))
        await until(lambda: putting(q) == 1 and q._member.outbox.put_count == 3)
        task.cancel()
        await rounds()
        assert [await q.get() for _ in range(3)] == [0, 1, 2]
        await rounds()
        assert await q.empty()

    run(main())


def test_what_cannot_travel_raises_and_nothing_is_put(run, group, open_queue):
    async def main():
        q = open_queue(group, max_item_bytes=1000)
        with pytest.raises(PicklingError):
            await q.put({"lock": threading.Lock()})
        with pytest.raises(ValueError, match="max_item_bytes"):
            await q.put("x" * 2000)
        with pytest.raises(ValueError, match="max_item_bytes"):
            q.put_nowait("x" * 2000)
        await q.put("fits")
        assert await q.get() == "fits"
        assert await q.empty()
        with pytest.raises(ValueError, match="never puts"):
            await open_queue(group, mode="master").put(1)

    run(main())


def test_what_changes_after_put_was_called_changes_nothing(run, group, open_queue):
    async def main():
        q = open_queue(group, maxsize=1)
        await q.put("first")
        job = {"id": 1}
        task = asyncio.ensure_future(q.put(job))
        await until(lambda: putting(q) == 1)
        job["id"] = 2
        assert await q.get() == "first"
        assert await q.get() == {"id": 1}
        await task

    run(main())


def test_a_leader_that_does_not_read_holds_up_puts_but_not_the_loop(run, group, open_queue):
    leader = open_leader(group)

    async def main():
        q = open_queue(group, mode="client")
        assert await q.wait_for_leader()
        leader.stop()
        await q.put(b"x" * 8 * MIB)
        await q.put(b"y" * 16 * MIB)
        await until(lambda: q._member.backed_up)
        held_up = asyncio.ensure_future(q.put("small"))
        await until(lambda: len(q._waits.putters) == 1)
        with pytest.raises(asyncio.QueueFull):
            q.put_nowait("smaller")
        with pytest.raises(TimeoutError):
            await q.flush(timeout=0.05)
        leader.cont()
        await held_up
        await q.flush()
        assert [len(await q.get()) for _ in range(3)] == [8 * MIB, 16 * MIB, 5]

    run(main())


def test_a_shut_down_group_takes_nothing(run, group, open_queue):
    async def main():
        q = open_queue(group, maxsize=1)
        await q.put(1)
        task = asyncio.ensure_future(q.put(2))
        await until(lambda: putting(q) == 1)
        await q.shutdown()
        with pytest.raises(groupqueue.ShutDown):
            await task
        with pytest.raises(aio.QueueShutDown):
            await q.put(3)
        with pytest.raises(aio.QueueShutDown):
            q.put_nowait(3)
        with pytest.raises(aio.QueueShutDown):
            await q.put_wait(3)
        assert await q.get() == 1

    run(main())


# Questions


def test_put_wait_returns_the_reply(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")

        async def echo():
            async for question in q:
                q.reply(("echo", question))

        task = asyncio.ensure_future(echo())
        answers = await asyncio.gather(*(asker.put_wait(n) for n in range(200)))
        assert answers == [("echo", n) for n in range(200)]
        task.cancel()

    run(main())


def test_put_wait_raises_the_consumer_s_exception(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        question = asyncio.ensure_future(asker.put_wait("question"))
        (await q.get_message()).fail(LookupError("no such thing"))
        with pytest.raises(LookupError, match="no such thing"):
            await question

        error = LookupError("locked up")
        error.lock = threading.Lock()
        question = asyncio.ensure_future(asker.put_wait("question"))
        (await q.get_message()).fail(error)
        with pytest.raises(RemoteError, match="locked up"):
            await question

    run(main())


def test_a_timeout_withdraws_the_item(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        with pytest.raises(ReplyTimeout):
            await asker.put_wait("question", timeout=0.05)
        await until(q.empty)

    run(main())


def test_a_timeout_waits_for_room_no_longer_and_puts_nothing(run, group, open_queue):
    async def main():
        q = open_queue(group, maxsize=1)
        await q.put(0)
        with pytest.raises(ReplyTimeout):
            await q.put_wait("question", timeout=0.05)
        assert await q.get() == 0
        assert await q.empty()

    run(main())


def test_a_cancelled_question_is_withdrawn(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        tasks = [asyncio.ensure_future(asker.put_wait(n)) for n in range(10)]
        await until(lambda: size_is(q, 10))
        for task in tasks[::2]:
            task.cancel()
        await until(lambda: size_is(q, 5))
        for n in range(1, 10, 2):
            assert await q.get() == n
            q.reply(-n)
        assert await asyncio.gather(*tasks[1::2]) == [-n for n in range(1, 10, 2)]

    run(main())


async def size_is(q, count):
    return await q.qsize() == count


def test_a_cancelled_question_that_somebody_has_is_theirs(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        task = asyncio.ensure_future(asker.put_wait("question"))
        assert await q.get() == "question"
        task.cancel()
        await rounds()
        q.reply("nobody listens")
        await q.put("next")
        assert await q.get() == "next"

    run(main())


def test_a_thousand_questions_at_once(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")

        async def work():
            while True:
                question = await q.get()
                await asyncio.sleep(0)
                q.reply(question * 2)

        workers = await start(q, 50, work)
        assert await asyncio.gather(*(asker.put_wait(n) for n in range(1000))) == [n * 2 for n in range(1000)]
        for worker in workers:
            worker.cancel()

    run(main())
