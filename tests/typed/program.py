"""A program of a user who has everything checked. Run, it does what it says; checked, every type is the one named."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import groupqueue
import groupqueue.aio
from groupqueue import GroupQueue, JoinableGroupQueue, Message, Stats, get_context
from groupqueue.logging import GroupQueueHandler, GroupQueueListener

if TYPE_CHECKING:
    from typing_extensions import assert_type
else:

    def assert_type(value: object, kind: object) -> object:
        return value


@dataclass
class Job:
    number: int


def produce(q: GroupQueue[Job]) -> Any:
    q.put(Job(1))
    q.put(Job(2), block=False)
    q.put_nowait(Job(3))
    q.put_many(Job(n) for n in range(4, 7))
    future: Future[Any] = q.put_future(Job(7))
    q.flush(timeout=5)
    return future


def consume(q: GroupQueue[Job]) -> None:
    assert_type(q.get(timeout=5), Job)
    assert_type(q.get_nowait(), Job)
    assert_type(q.get_many(3), list[Job])
    with q.get_message() as message:
        assert_type(message, Message[Job])
        assert_type(message.obj, Job)
        assert_type(message.attempt, int)
    assert_type(q.peek(2), list[Job])
    assert_type(q.failed(), list[Message[Job]])
    for job in q:
        assert_type(job, Job)
        q.reply(job.number)
        q.shutdown()


def look(q: GroupQueue[Job]) -> None:
    assert_type(q.stats(), Stats)
    assert_type(q.stats().leader_pid, "int | None")
    assert_type(q.qsize(), int)
    assert_type(q.name, str)
    assert_type(q.is_leader, bool)


def with_tasks(tasks: JoinableGroupQueue[str]) -> None:
    tasks.put("one")
    assert_type(tasks.get(), str)
    tasks.task_done()
    tasks.join()


def with_context() -> None:
    context = get_context("spawn")
    q = context.Queue(5)
    assert_type(q, GroupQueue[Any])
    assert_type(context.JoinableQueue(), JoinableGroupQueue[Any])
    context.Process(target=print, args=(q,))
    ProcessPoolExecutor(1, mp_context=context).shutdown()


def with_logging() -> None:
    logging.getLogger("typed").addHandler(GroupQueueHandler("logs"))
    with GroupQueueListener({"name": "logs"}, logging.NullHandler(), respect_handler_level=True) as listener:
        assert_type(listener, GroupQueueListener)


async def with_a_loop(q: groupqueue.aio.GroupQueue[Job]) -> None:
    async with q:
        await q.put(Job(1))
        assert_type(await q.get(), Job)
        await q.put(Job(2))
        assert_type((await q.get_message()).obj, Job)


def main() -> None:
    try:
        with GroupQueue[Job]("typed") as q:
            produce(q)
            look(q)
            consume(q)
    except (groupqueue.GroupQueueError, groupqueue.Empty, groupqueue.Full, groupqueue.ShutDown):
        raise
    with_tasks(JoinableGroupQueue("tasks", maxsize=3))
    with_context()
    with_logging()
    asyncio.run(with_a_loop(groupqueue.aio.GroupQueue("loop")))
    print("done")


if __name__ == "__main__":
    main()
