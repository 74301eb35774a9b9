"""Leaders that are killed while coroutines wait."""

from __future__ import annotations

import asyncio
import random
from functools import partial

from tests.aio.loops import rounds, start, until
from tests.aio.test_cancelling import drain, produce
from tests.aio.test_loops import threads
from tests.helpers import linux_only, lock_holder, open_leader, open_member, run_script, scaled, within


@linux_only
@within(120)
def test_a_thousand_gets_wait_while_the_leader_is_killed_and_half_of_them_cancelled(run, group, open_queue):
    leader = open_leader(group)
    open_member(group)
    before = threads()

    async def main():
        q = open_queue(group, mode="client")
        assert await q.wait_for_leader(10)
        tasks = await start(q, 1000, q.get)
        dice = random.Random(11)
        victims = dice.sample(tasks, 500)
        produce(group, 1000, pauses=0.05)
        for number, task in enumerate(victims):
            if number == 100:
                leader.kill()
            task.cancel()
            await rounds(dice.randrange(3))
        # One thread of the queue's, and one that reads what the producer says.
        assert threads() <= before + 2
        results = await asyncio.gather(*(task for task in tasks if task not in victims))
        results += [task.result() for task in victims if not task.cancelled()]
        results += await drain(q, 1000 - len(results))
        assert sorted(results) == list(range(1000))
        await until(q.empty)

    run(main(), timeout=100)


@linux_only
@within(120)
def test_every_question_has_its_own_answer_while_leaders_are_killed(run, directory, group, open_queue):
    members = {}

    def add_member():
        member = open_member(group)
        members[member.pid] = member

    add_member()
    add_member()
    open_member(group, mode="client", begin="while True: q.reply(('answer', q.get()))")
    count = scaled(400)

    async def main():
        asker = open_queue(group, mode="client")
        turns = asyncio.Semaphore(50)

        async def ask(n):
            async with turns:
                return await asker.put_wait(n)

        questions = [asyncio.ensure_future(ask(n)) for n in range(count)]
        for progress in range(count // 8, count // 8 * 5, count // 8):
            await until(partial(has_answers, questions, progress))
            pid = await until(lambda: lock_holder(directory, group))
            members.pop(pid).kill()
            add_member()
        assert await asyncio.gather(*questions) == [("answer", n) for n in range(count)]

    run(main(), timeout=100)


@linux_only
@within(120)
def test_puts_go_on_and_come_in_order_while_leaders_are_killed(run, directory, group, open_queue):
    members = {}

    def add_member():
        member = open_member(group)
        members[member.pid] = member

    add_member()
    add_member()
    count = scaled(3000)

    async def main():
        q, consumer = open_queue(group, mode="client"), open_queue(group, mode="client")
        got = []

        async def consume():
            while len(got) < count:
                got.append(await consumer.get())

        consuming = asyncio.ensure_future(consume())
        putting = asyncio.ensure_future(q.put_many(range(count)))
        for progress in range(count // 8, count // 8 * 4, count // 8):
            await until(partial(has_items, got, progress))
            pid = await until(lambda: lock_holder(directory, group))
            members.pop(pid).kill()
            add_member()
        await putting
        await consuming
        assert got == list(range(count))

    run(main(), timeout=100)


def has_answers(questions, count):
    return sum(question.done() for question in questions) >= count


def has_items(items, count):
    return len(items) >= count


LEADER = """
    # a leader that lives in an event loop
    import asyncio
    from groupqueue.aio import GroupQueue

    async def main():
        q = GroupQueue("jobs")
        await q.wait_for_leader()
        gets = [asyncio.ensure_future(q.get()) for _ in range(100)]
        while q._waits is None or len(q._member.session.getters) < 100:
            await asyncio.sleep(0.001)
        for get in gets:
            get.cancel()
        await asyncio.gather(*gets, return_exceptions=True)
        say("ready", q.is_leader)
        await q.put_many(range(100))
        await q.flush()
        say("flushed")
        await asyncio.Event().wait()

    asyncio.run(main())
    """


@linux_only
def test_what_a_leader_in_an_event_loop_has_flushed_survives_it(run, group, open_queue):
    leader = run_script(LEADER)
    assert leader.expect("ready") == "True"
    leader.expect("flushed")

    async def main():
        q = open_queue(group)
        assert await q.wait_for_leader(10)
        leader.kill()
        assert [await q.get() for _ in range(100)] == list(range(100))
        assert await q.empty()

    run(main())
