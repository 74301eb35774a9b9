"""What a task has got is that task's: to answer, to finish, and to be settled when the task ends."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.aio.loops import rounds, start, until


def ask(q, count=1):
    return [asyncio.ensure_future(q.put_wait(n)) for n in range(count)]


def test_each_task_answers_what_it_has_got_itself(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        go = asyncio.Event()
        got = []

        async def work():
            question = await q.get()
            got.append(question)
            await go.wait()
            q.reply(("answer to", question))

        workers = await start(q, 20, work)
        questions = ask(asker, 20)
        await until(lambda: len(got) == 20)
        go.set()
        assert await asyncio.gather(*questions) == [("answer to", n) for n in range(20)]
        await asyncio.gather(*workers)

    run(main())


def test_what_wait_for_has_got_is_its_caller_s(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        for _ in range(20):
            (question,) = ask(asker)
            await asyncio.wait_for(q.get(), 10)
            await rounds()
            q.reply("answer")
            assert await question == "answer"

    run(main())


def test_what_a_task_made_of_get_has_got_is_its_maker_s(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        (question,) = ask(asker)
        await asyncio.ensure_future(q.get())
        await rounds()
        q.reply("answer")
        assert await question == "answer"

    run(main())


def test_a_task_answers_once_and_only_what_is_its_own(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        with pytest.raises(ValueError, match="this task last got"):
            q.reply("nothing got")
        (question,) = ask(asker)
        await q.get()

        async def other():
            q.reply("not mine")

        with pytest.raises(ValueError, match="this task last got"):
            await asyncio.ensure_future(other())
        q.reply("mine")
        assert await question == "mine"
        with pytest.raises(ValueError, match="this task last got"):
            q.reply("twice")

    run(main())


def test_a_reply_to_a_plain_item_is_no_error(run, group, open_queue):
    async def main():
        q, other = open_queue(group), open_queue(group, mode="client")
        await other.put_many(range(100))
        for n in range(100):
            assert await q.get() == n
            q.reply("nobody asked")

    run(main())


@pytest.mark.parametrize("ending", ["get", "get_nowait", "task_done", "close", "return"])
def test_who_goes_on_without_an_answer_has_answered_none(run, group, open_queue, ending):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        assert await asker.wait_for_leader(5)
        (question,) = ask(asker)

        async def work():
            await q.get()
            if ending == "get":
                await asyncio.wait_for(asyncio.gather(q.get(), asker.put("next")), 10)
            elif ending == "get_nowait":
                with pytest.raises(asyncio.QueueEmpty):
                    q.get_nowait()
            elif ending == "task_done":
                q.task_done()
            elif ending == "close":
                await q.close()

        await asyncio.ensure_future(work())
        if ending == "close":
            open_queue(group)
        assert await question is None

    run(main())


def test_a_task_that_fails_answers_with_its_exception(run, group, open_queue, caplog):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        (question,) = ask(asker)

        async def work():
            await q.get()
            raise LookupError("no such thing")

        task = asyncio.ensure_future(work())
        with pytest.raises(LookupError, match="no such thing"):
            await question
        with pytest.raises(LookupError, match="no such thing"):
            await task

    with caplog.at_level(logging.ERROR, "groupqueue"):
        run(main())
    (record,) = [record for record in caplog.records if record.name == "groupqueue"]
    assert "ended without an answer" in record.getMessage()
    assert isinstance(record.exc_info[1], LookupError)


@pytest.mark.parametrize("kind_of_queue", ["GroupQueue", "JoinableGroupQueue"])
def test_what_a_cancelled_task_has_not_answered_goes_to_another(run, group, open_queue, kind_of_queue):
    async def main():
        q = open_queue(group, kind=kind_of_queue)
        asker = open_queue(group, mode="client")
        (question,) = ask(asker)
        got = asyncio.Event()

        async def work():
            await q.get()
            got.set()
            await asyncio.Event().wait()

        task = asyncio.ensure_future(work())
        await got.wait()
        task.cancel()
        message = await q.get_message()
        assert message.attempt == 2
        message.reply("answer")
        assert await question == "answer"
        if kind_of_queue == "JoinableGroupQueue":
            with pytest.raises(ValueError, match="too many times"):
                q.task_done()

    run(main())


def test_of_two_that_one_task_gets_at_once_the_first_is_answered_none(run, group, open_queue):
    async def main():
        q, asker = open_queue(group), open_queue(group, mode="client")
        questions = ask(asker, 2)
        assert await asyncio.gather(q.get(), q.get()) == [0, 1]
        q.reply("answer")
        assert await asyncio.gather(*questions) == [None, "answer"]

    run(main())


@pytest.mark.parametrize("kind_of_queue", ["GroupQueue", "JoinableGroupQueue"])
def test_tasks_that_have_ended_are_forgotten(run, group, open_queue, kind_of_queue):
    async def main():
        q = open_queue(group, kind=kind_of_queue)
        await q.put_many(range(100))

        async def work():
            return await q.get()

        assert [await asyncio.ensure_future(work()) for _ in range(100)] == list(range(100))
        await rounds()
        assert not q._watched
        assert not q._member.holdings.current
        assert set(q._member.holdings.unfinished._by_owner) <= {None}

    run(main())


# Joinable


def test_join_waits_for_every_item_to_be_finished(run, group, open_queue):
    async def main():
        q = open_queue(group, kind="JoinableGroupQueue")
        other = open_queue(group, kind="JoinableGroupQueue", mode="client")
        await other.put_many(range(30))
        await other.flush()
        joined = asyncio.ensure_future(other.join())

        async def work():
            async for _ in q:
                await asyncio.sleep(0)
                assert not joined.done()
                q.task_done()

        workers = [asyncio.ensure_future(work()) for _ in range(3)]
        await joined
        assert (await q.stats()).in_flight == 0
        with pytest.raises(ValueError, match="too many times"):
            q.task_done()
        for worker in workers:
            worker.cancel()

    run(main())


def test_task_done_finishes_the_task_s_own_item_first(run, group, open_queue):
    async def main():
        q = open_queue(group, kind="JoinableGroupQueue")
        await q.put_many(["first", "second"])
        await q.get()

        async def work():
            await q.get()
            q.task_done()

        await asyncio.ensure_future(work())
        await q.flush()
        await q.close()
        again = open_queue(group)
        assert await again.get() == "first"

    run(main())


def test_what_an_ended_task_has_not_finished_another_may(run, group, open_queue):
    async def main():
        q = open_queue(group, kind="JoinableGroupQueue")
        await q.put_many(range(3))

        async def get():
            await q.get()

        for _ in range(3):
            await asyncio.ensure_future(get())
        await rounds()
        for _ in range(3):
            q.task_done()
        await q.join()

    run(main())


def test_an_item_whose_holder_closes_before_task_done_goes_to_another(run, group, open_queue):
    async def main():
        q = open_queue(group, kind="JoinableGroupQueue")
        other = open_queue(group, kind="JoinableGroupQueue")
        await q.put("item")
        assert await q.get() == "item"
        await q.close()
        message = await other.get_message()
        assert (message.obj, message.attempt) == ("item", 2)
        message.done()

    run(main())


def test_task_done_of_a_plain_queue_does_nothing(run, group, open_queue):
    async def main():
        q = open_queue(group)
        q.task_done()
        await q.put(1)
        await q.get()
        q.task_done()
        q.task_done()

    run(main())
