"""Who waits is served in order, has taken nothing until it runs, and leaves its turn to the next."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from groupqueue.aio.lines import Line
from groupqueue.system.deadline import Deadline
from tests.aio.loops import new_loop, rounds


class Member:
    """Does its errands when it is told to."""

    def __init__(self) -> None:
        self.errands: list[Any] = []
        self.rung = 0

    def soon(self, errand: Any) -> None:
        self.errands.append(errand)
        self.rung += 1

    def later(self, errand: Any) -> None:
        self.errands.append(errand)

    def work(self) -> None:
        while self.errands:
            self.errands.pop(0)()


class Shop:
    """A line for a stock of things."""

    def __init__(self) -> None:
        self.stock: list[int] = []
        self.sold: list[tuple[str, int]] = []
        self.member = Member()
        self.tokens: set[object] = set()
        loop = asyncio.get_running_loop()
        self.line = Line(self.member, loop, lambda: len(self.stock), self.tokens)  # type: ignore[arg-type]

    def deliver(self, *things: int) -> None:
        """As another thread does."""
        self.stock += things
        if self.line.ready():
            self.line.wake()

    async def buy(self, name: str, timeout: float | None = None) -> int:
        with self.line.join() as place:
            while True:
                await place.turn(Deadline(timeout))
                if self.stock:
                    thing = self.stock.pop(0)
                    self.sold.append((name, thing))
                    return thing

    async def queue_up(self, *names: str) -> list[asyncio.Task[int]]:
        tasks = [asyncio.ensure_future(self.buy(name)) for name in names]
        await rounds()
        return tasks


def test_the_first_who_waits_is_served_first(run):
    async def main():
        shop = Shop()
        tasks = await shop.queue_up("a", "b", "c")
        for thing in (1, 2, 3):
            shop.deliver(thing)
            await rounds()
        assert shop.sold == [("a", 1), ("b", 2), ("c", 3)]
        assert [task.result() for task in tasks] == [1, 2, 3]
        assert len(shop.line) == 0

    run(main())


def test_only_as_many_wake_as_can_go_on(run):
    async def main():
        shop = Shop()
        tasks = await shop.queue_up(*"abcdef")
        shop.deliver(1, 2)
        await rounds()
        assert [task.done() for task in tasks] == [True, True, False, False, False, False]
        for task in tasks:
            task.cancel()

    run(main())


@pytest.mark.parametrize("late", [False, True])
def test_a_cancelled_one_leaves_its_turn_to_the_next(run, late):
    async def main():
        shop = Shop()
        first, second = await shop.queue_up("first", "second")
        if late:
            # Woken already, and not yet run.
            shop.stock.append(1)
            shop.line.serve()
            first.cancel()
        else:
            first.cancel()
            shop.deliver(1)
        await rounds()
        assert first.cancelled()
        assert second.result() == 1

    run(main())


def test_who_finds_nothing_after_all_keeps_its_place(run):
    async def main():
        shop = Shop()
        first, second = await shop.queue_up("first", "second")
        shop.stock.append(1)
        shop.line.serve()
        shop.stock.clear()
        await rounds()
        assert not first.done()
        shop.deliver(2, 3)
        await rounds()
        assert (first.result(), second.result()) == (2, 3)

    run(main())


def test_one_that_was_woken_for_nothing_is_not_overtaken_by_the_next(run):
    async def main():
        shop = Shop()
        tasks = await shop.queue_up("first", "second")
        shop.stock += [1, 2]
        shop.line.serve()
        shop.stock.clear()
        await rounds()
        # Both have run and found nothing.
        shop.stock.append(3)
        list(shop.line._places)[1].wake()
        await rounds()
        assert shop.sold == [("first", 3)]
        assert not tasks[1].done()
        tasks[1].cancel()

    run(main())


def test_who_joins_is_not_served_before_those_who_were_woken_and_have_not_run(run):
    async def main():
        shop = Shop()
        (first,) = await shop.queue_up("first")
        shop.stock += [1, 2]
        shop.line.serve()
        assert await shop.buy("second") == 2
        assert await first == 1

    run(main())


def test_what_comes_between_an_empty_look_and_the_next_wait_is_seen(run):
    async def main():
        shop = Shop()
        shop.stock.append(1)
        # Nobody was told: it came while nobody was in the line.
        assert await asyncio.wait_for(shop.buy("only"), 5) == 1

    run(main())


def test_who_rests_lets_others_run_and_has_its_place(run):
    async def main():
        shop = Shop()
        shop.stock += [1, 2]
        ran = []

        async def rest():
            with shop.line.join() as place:
                await place.turn(rest=True)
                return shop.stock.pop(0)

        first = asyncio.ensure_future(rest())
        second = asyncio.ensure_future(shop.buy("second"))
        asyncio.get_running_loop().call_soon(ran.append, "another")
        assert (await first, await second) == (1, 2)
        assert ran

    run(main())


def test_the_deadline_raises_and_leaves_the_turn_to_the_next(run):
    async def main():
        shop = Shop()
        first = asyncio.ensure_future(shop.buy("first", timeout=0))
        (second,) = await shop.queue_up("second")
        with pytest.raises(TimeoutError):
            await first
        shop.deliver(1)
        assert await second == 1

    run(main())


def test_a_thousand_threads_deliveries_wake_the_loop_once_each_at_most(run):
    async def main():
        shop = Shop()
        tasks = await shop.queue_up(*map(str, range(100)))
        thread = threading.Thread(target=lambda: [shop.deliver(n) for n in range(100)])
        thread.start()
        assert await asyncio.gather(*tasks) == list(range(100))
        thread.join()

    run(main())


def test_the_session_is_told_who_waits(run):
    async def main():
        shop = Shop()
        first, second = await shop.queue_up("first", "second")
        shop.member.work()
        assert len(shop.tokens) == 2
        first.cancel()
        await rounds()
        shop.member.work()
        assert len(shop.tokens) == 1
        before = shop.member.rung
        shop.deliver(1)
        await second
        assert shop.member.rung == before, "nobody need be woken to hear that the last has what it waited for"
        shop.member.work()
        assert not shop.tokens

    run(main())


def test_those_who_still_wait_for_more_ring_when_one_has_gone_on(run):
    async def main():
        shop = Shop()
        first, second = await shop.queue_up("first", "second")
        before = shop.member.rung
        shop.deliver(1)
        await first
        assert shop.member.rung == before + 1
        second.cancel()

    run(main())


def test_a_closed_loop_s_line_is_abandoned_when_something_comes(kind):
    loop = new_loop(kind)
    shop = loop.run_until_complete(make_shop())
    tasks = loop.run_until_complete(shop.queue_up("first", "second"))
    shop.member.work()
    assert len(shop.tokens) == 2
    # The loop is closed with tasks in it, as no well-behaved program does.
    loop.close()
    shop.deliver(1)
    shop.member.work()
    assert not shop.tokens
    assert not shop.line.ready()
    shop.line.wake()
    for task in tasks:
        task._log_destroy_pending = False
        with pytest.raises(GeneratorExit):
            task.get_coro().throw(GeneratorExit)
    assert shop.stock == [1]


def test_so_is_one_that_was_about_to_be_served(kind):
    loop = new_loop(kind)
    shop = loop.run_until_complete(make_shop())
    (task,) = loop.run_until_complete(shop.queue_up("only"))
    shop.line.serve_soon()
    loop.close()
    shop.deliver(1)
    shop.member.work()
    assert not shop.tokens
    task._log_destroy_pending = False
    task.get_coro().close()


async def make_shop():
    return Shop()
