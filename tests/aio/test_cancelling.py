"""Cancelled at any moment, a get has taken nothing and a put has put nothing: counted, against arrivals that race."""

from __future__ import annotations

import asyncio
import random

import pytest

from tests.aio.loops import rounds, start, until
from tests.helpers import open_member, scaled, within

PRODUCE = "import random\nfor n in range({}):\n    q.put(n)\n    if random.random() < {}: q.flush()"


def produce(group, count, pauses=0.2):
    """A process that puts 0 to `count`, with pauses of a round trip now and then."""
    return open_member(group, mode="client", begin=PRODUCE.format(count, pauses))


async def drain(q, count):
    """The items that must still be there, also for somebody else than who had asked for them."""
    other = type(q)(q.name, mode="client")
    found = [await other.get() for _ in range(count)]
    await other.close()
    return found


@within(120)
@pytest.mark.parametrize("workers", [1, 5])
def test_wait_for_that_races_with_arrivals_loses_and_doubles_nothing(run, group, open_queue, workers):
    count = scaled(600)

    async def main():
        q = open_queue(group)
        got = []
        timeouts = 0
        dice = random.Random(workers)

        async def work():
            nonlocal timeouts
            while len(got) < count:
                try:
                    got.append(await asyncio.wait_for(q.get(), dice.random() * 0.001))
                except asyncio.TimeoutError:
                    timeouts += 1

        produce(group, count)
        await asyncio.gather(*(work() for _ in range(workers)))
        assert (got if workers == 1 else sorted(got)) == list(range(count))
        assert timeouts
        assert await q.empty()

    run(main(), timeout=100)


async def take(q):
    return [await q.get()]


async def take_message(q):
    message = await q.get_message()
    message.done()
    return [message.obj]


async def take_many(q):
    return await q.get_many(3)


@within(120)
@pytest.mark.parametrize("call", [take, take_message, take_many])
def test_gets_that_are_cancelled_while_items_come_lose_and_double_nothing(run, group, open_queue, call):
    count = scaled(600)

    async def main():
        q = open_queue(group)
        got = []
        cancelled = 0
        dice = random.Random(7)
        produce(group, count)
        while len(got) < count:
            tasks = [asyncio.ensure_future(call(q)) for _ in range(dice.randrange(1, 20))]
            await rounds(dice.randrange(30))
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, asyncio.CancelledError):
                    cancelled += 1
                else:
                    got += result
        assert sorted(got) == list(range(count))
        assert cancelled
        await until(q.empty)
        assert (await q.stats()).failed == 0

    run(main(), timeout=100)


@within(120)
def test_half_of_a_thousand_gets_cancelled_at_random_lose_no_item(run, group, open_queue):
    async def main():
        q = open_queue(group)
        tasks = await start(q, 1000, q.get)
        dice = random.Random(3)
        victims = dice.sample(tasks, 500)
        produce(group, 1000, pauses=0.02)
        for task in victims:
            task.cancel()
            await rounds(dice.randrange(3))
        results = await asyncio.gather(*(task for task in tasks if task not in victims))
        results += [task.result() for task in victims if not task.cancelled()]
        assert any(task.cancelled() for task in victims)
        results += await drain(q, 1000 - len(results))
        assert sorted(results) == list(range(1000))
        await until(q.empty)

    run(main(), timeout=100)


@within(120)
def test_puts_that_are_cancelled_while_room_comes_and_goes_have_put_nothing(run, group, open_queue):
    async def main():
        q, consumer = open_queue(group, maxsize=4), open_queue(group, mode="client")
        got = []

        async def consume():
            while True:
                got.append(await consumer.get())

        consuming = asyncio.ensure_future(consume())
        dice = random.Random(5)
        put = []
        for round_number in range(scaled(60)):
            tasks = {n: asyncio.ensure_future(q.put((round_number, n))) for n in range(20)}
            await rounds(dice.randrange(40))
            for n in dice.sample(sorted(tasks), 10):
                tasks[n].cancel()
            results = await asyncio.gather(*tasks.values(), return_exceptions=True)
            put += [(round_number, n) for n, result in zip(tasks, results) if result is None]
        await q.flush()
        await until(lambda: len(got) >= len(put))
        assert got == put
        assert await q.empty()
        consuming.cancel()

    run(main(), timeout=100)


@within(120)
def test_questions_that_are_cancelled_are_withdrawn_or_somebody_s(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        seen = []

        async def answer():
            async for question in q:
                seen.append(question)
                q.reply(-question)

        answering = asyncio.ensure_future(answer())
        dice = random.Random(9)
        answered = 0
        for base in range(0, scaled(600), 20):
            tasks = {base + n: asyncio.ensure_future(asker.put_wait(base + n)) for n in range(20)}
            await rounds(dice.randrange(40))
            for n in dice.sample(sorted(tasks), 10):
                tasks[n].cancel()
            for n, result in zip(tasks, await asyncio.gather(*tasks.values(), return_exceptions=True)):
                if not isinstance(result, asyncio.CancelledError):
                    assert result == -n
                    answered += 1
        await until(q.empty)
        assert len(seen) == len(set(seen)) >= answered
        answering.cancel()

    run(main(), timeout=100)
