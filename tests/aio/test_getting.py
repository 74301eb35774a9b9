"""Getting in coroutines: in order, nothing lost to a cancellation, nothing that blocks."""

from __future__ import annotations

import asyncio
import queue

import pytest

import groupqueue
from groupqueue import DecodeError, aio
from groupqueue.aio.waits import BREATH
from tests.aio.loops import rounds, start, until, waiting
from tests.helpers import eventually


def test_what_is_put_comes_out_in_order(run, group, open_queue):
    async def main():
        q, other = open_queue(group), open_queue(group, mode="client")
        for n in range(500):
            await q.put({"id": n})
        assert [await other.get() for _ in range(500)] == [{"id": n} for n in range(500)]

    run(main())


def test_a_get_waits_for_an_item(run, group, open_queue):
    async def main():
        q = open_queue(group)
        (task,) = await start(q, 1, q.get)
        await q.put("item")
        assert await task == "item"

    run(main())


def test_waiting_gets_are_served_in_order(run, group, open_queue):
    async def main():
        q, other = open_queue(group), open_queue(group, mode="client")
        tasks = await start(q, 20, q.get)
        for n in range(20):
            await other.put(n)
        assert await asyncio.gather(*tasks) == list(range(20))

    run(main())


def test_a_new_get_does_not_overtake_one_that_waits(run, group, open_queue):
    async def main():
        q, other = open_queue(group), open_queue(group, mode="client")
        (first,) = await start(q, 1, q.get)
        other.put_nowait(1)
        other.put_nowait(2)
        eventually(lambda: q._member.inbox.count > 0)
        # The loop has not run since the item came; the second finds it there.
        second = asyncio.ensure_future(q.get())
        assert await asyncio.gather(first, second) == [1, 2]

    run(main())


def test_get_nowait_leaves_to_those_who_wait_what_came_for_them(run, group, open_queue):
    async def main():
        q, other = open_queue(group), open_queue(group, mode="client")
        (first,) = await start(q, 1, q.get)
        other.put_nowait(1)
        eventually(lambda: q._member.inbox.count > 0)
        with pytest.raises(asyncio.QueueEmpty):
            q.get_nowait()
        assert await first == 1

    run(main())


def test_get_nowait_raises_what_both_kinds_of_users_catch(run, group, open_queue):
    async def main():
        q = open_queue(group)
        for kind in (asyncio.QueueEmpty, queue.Empty, groupqueue.Empty, aio.QueueEmpty):
            with pytest.raises(kind):
                q.get_nowait()

    run(main())


def test_get_nowait_finds_later_what_the_leader_was_asked_for(run, group, open_queue):
    async def main():
        q, other = open_queue(group), open_queue(group, mode="client")
        await other.put_many("abc")
        await other.flush()
        found = []

        def look():
            try:
                found.append(q.get_nowait())
            except asyncio.QueueEmpty:
                return False
            return len(found) == 3

        await until(look)
        assert found == ["a", "b", "c"]

    run(main())


def test_get_nowait_needs_no_loop(group, open_queue):
    q = open_queue(group)
    with pytest.raises(asyncio.QueueEmpty):
        q.get_nowait()


def test_get_many_waits_for_the_first_and_takes_what_came_with_it(run, group, open_queue):
    async def main():
        q, other = open_queue(group), open_queue(group, mode="client")
        (task,) = await start(q, 1, lambda: q.get_many(10))
        await other.put_many(range(25))
        found = await task
        assert 1 <= len(found) <= 10
        while len(found) < 25:
            found += await q.get_many(10)
        assert found == list(range(25))
        with pytest.raises(ValueError, match="max_items"):
            await q.get_many(0)

    run(main())


@pytest.mark.parametrize("call", ["get", "get_message"])
def test_gets_of_what_is_here_let_others_run(run, group, open_queue, call):
    async def main():
        q, other = open_queue(group), open_queue(group, mode="client")
        await other.put_many(range(10_000))
        await other.flush()
        # Grants grow with the pace at which they are taken.
        while q._member.inbox.count <= 2 * BREATH:
            await q.get()
        ran = []
        asyncio.get_running_loop().call_soon(ran.append, "another")
        for _ in range(BREATH + 1):
            await getattr(q, call)()
        assert ran

    run(main())


def test_an_item_that_cannot_be_decoded_raises_and_the_next_comes(run, group, open_queue):
    class Fussy:
        def dumps(self, obj):
            return str(obj).encode()

        def loads(self, payload):
            return int(bytes(payload))

    async def main():
        q = open_queue(group, serializer=Fussy())
        for obj in (1, "two", 3, "four", 5):
            await q.put(obj)
        await q.flush()
        assert await q.get() == 1
        with pytest.raises(DecodeError, match="cannot be rebuilt"):
            await q.get()
        # The second error comes with the item before it, or as soon as there is none before it.
        assert await q.get_many(2) == [3]
        with pytest.raises(DecodeError):
            await q.get_many(2)
        assert await q.get() == 5
        await until(lambda: count_failed(q, 2))

    run(main())


async def count_failed(q, count):
    return len(await q.failed()) == count


def test_whoever_waits_behind_an_item_that_cannot_be_decoded_gets_the_next(run, group, open_queue):
    class Fussy:
        def dumps(self, obj):
            return str(obj).encode()

        def loads(self, payload):
            return int(bytes(payload))

    async def main():
        q, other = open_queue(group, serializer=Fussy()), open_queue(group, mode="client", serializer=Fussy())
        first, second = await start(q, 2, q.get)
        await other.put_many(["one", 2])
        with pytest.raises(DecodeError):
            await first
        assert await second == 2

    run(main())


def test_only_the_leader_gets_with_delivery_leader(run, group, open_queue):
    async def main():
        leader = open_queue(group, delivery="leader")
        await until(lambda: leader.is_leader)
        standby = open_queue(group, delivery="leader")
        (task,) = await start(standby, 1, standby.get)
        await standby.put_many([1, 2])
        assert await leader.get() == 1
        await rounds()
        assert not task.done()
        await leader.close()
        assert await task == 2

    run(main())


# Messages


def test_a_message_is_done_when_its_block_is_left(run, group, open_queue):
    async def main():
        q = open_queue(group)
        await q.put("work")
        with await q.get_message() as message:
            assert (message.obj, message.attempt, message.wants_reply) == ("work", 1, False)
            assert (await q.stats()).in_flight == 1
        await until(lambda: in_flight(q, 0))
        assert await q.failed() == []
        with pytest.raises(ValueError, match="done already"):
            message.done()

    run(main())


async def in_flight(q, count):
    return (await q.stats()).in_flight == count


def test_a_message_fails_when_its_block_raises(run, group, open_queue):
    async def main():
        q = open_queue(group)
        await q.put("work")
        with pytest.raises(KeyError), await q.get_message() as message:
            raise KeyError(message.obj)
        (failed,) = await until(q.failed)
        assert (failed.obj, failed.reason) == ("work", "KeyError: 'work'")

    run(main())


def test_a_message_goes_back_when_its_block_is_cancelled(run, group, open_queue):
    async def main():
        q = open_queue(group)
        await q.put("work")
        began = asyncio.Event()

        async def work():
            with await q.get_message():
                began.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(work())
        await began.wait()
        task.cancel()
        message = await q.get_message()
        assert (message.obj, message.attempt) == ("work", 2)
        assert await q.failed() == []
        message.done()

    run(main())


def test_a_message_may_be_answered_in_another_task(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        question = asyncio.ensure_future(asker.put_wait("question"))
        message = await q.get_message()

        async def answer():
            message.reply(message.obj + "!")

        await asyncio.ensure_future(answer())
        assert await question == "question!"

    run(main())


# Walking over


def test_async_for_ends_when_the_group_is_shut_down_and_drained(run, group, open_queue):
    async def main():
        q, other = open_queue(group), open_queue(group, mode="client")
        await other.put_many(range(10))
        await other.flush()
        await other.shutdown()
        assert [obj async for obj in q] == list(range(10))
        for kind in (groupqueue.ShutDown, aio.QueueShutDown, getattr(asyncio, "QueueShutDown", aio.QueueShutDown)):
            with pytest.raises(kind):
                await q.get()

    run(main())


def test_async_for_ends_when_the_queue_is_closed(run, group, open_queue):
    async def main():
        q = open_queue(group)

        async def walk():
            return [obj async for obj in q]

        task = asyncio.ensure_future(walk())
        await q.put(1)
        await until(lambda: waiting(q) == 1 and not q._member.outbox.waiting)
        await q.close()
        assert await task in ([1], [])

    run(main())


def test_shutdown_wakes_every_coroutine_that_waits(run, group, open_queue):
    async def main():
        q, other = open_queue(group), open_queue(group, mode="client")
        tasks = await start(q, 50, q.get)
        await other.shutdown(immediate=True)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {aio.QueueShutDown}

    run(main())
