"""
What the processes of a run do. Each is forked from a driver that has opened nothing, and tells every event through a
pipe before and after the call.

An actor that is killed by its plan leaves its last words in memory that it shares with the driver: how many items its
cursor had passed of which it had not told. Storing them needs no call that lets another thread run, so they are exact.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import mmap
import os
import signal
import struct
import time
import traceback
from collections.abc import Callable
from threading import get_ident
from typing import Any

from groupqueue import ConsumerLost, Empty, Full, GroupQueue, JoinableGroupQueue, Message, ReplyTimeout, ShutDown
from groupqueue.core import messages as m
from groupqueue.core.wire import FrameReader
from groupqueue.system import transport
from groupqueue.system.paths import GroupPaths
from tests.crash.arms import FAIL_IO, FAIL_MEMORY, INJECTED, INTERRUPT, KILL, Arms, Plan, install, replace, watch_strays

GROUP = "jobs"
PATIENCE = 25.0
TOGETHER = 5
"""Items to a call of `get_many`."""

GO, SHUT, CLOSE = b"g", b"s", b"c"


class Shared:
    """Words between the driver and its actors: passages of the armed point, whether it fired, last words, flags."""

    PASSED, FIRED, PASSED_AGAIN, FIRED_AGAIN, GAP, AMNESTY, OPEN = range(7)

    def __init__(self) -> None:
        self._map = mmap.mmap(-1, 4096)

    def __getitem__(self, index: int) -> int:
        return int(struct.unpack_from("<q", self._map, 8 * index)[0])

    def __setitem__(self, index: int, value: int) -> None:
        struct.pack_into("<q", self._map, 8 * index, value)

    def clear(self) -> None:
        self._map[:] = bytes(4096)

    def close(self) -> None:
        self._map.close()


class Tell(logging.Handler):
    """What the package logs is an event too."""

    def __init__(self, actor: Actor) -> None:
        super().__init__(logging.WARNING)
        self._actor = actor

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None and INJECTED not in text:
            text += " | " + "".join(traceback.format_exception(record.exc_info[1]))[-1500:]
        self._actor.tell("log", record.levelname, text[:2500])


class Actor:
    """One process of a run."""

    def __init__(
        self,
        name: str,
        directory: str,
        options: dict[str, Any],
        kind: str,
        events: int,
        control: int,
        shared: Shared,
        plan: Plan | None,
        prepare: Callable[[], None],
        *,
        again: bool = False,
        audit: bool = False,
    ) -> None:
        self.name = name
        self.directory = directory
        self.shared = shared
        self.queue: Any = None
        self.told = 0
        self.arms: Arms | None = None
        self._options = options
        self._kind = kind
        self._events = events
        self._control = control
        self._plan = plan
        self._prepare = prepare
        self._again = again
        self._audit = audit

    def main(self, job: Callable[[Actor], None], trace: int) -> None:
        faulthandler.register(signal.SIGUSR1, trace, all_threads=True)
        logger = logging.getLogger("groupqueue")
        logger.handlers[:] = [Tell(self)]
        logger.propagate = False
        self._prepare()
        if self._plan is not None:
            self.arms = Arms(self._plan, self.last_words, self._count)
            if self._audit:
                watch_strays(self.arms)
            install(self.arms)
        try:
            job(self)
        except BaseException as error:
            self.tell("error", "".join(traceback.format_exception(error))[-2500:])
            os._exit(1)
        os._exit(0)

    # Telling

    def tell(self, kind: str, *rest: Any, name: str = "") -> None:
        os.write(self._events, json.dumps([name or self.name, kind, *rest]).encode() + b"\n")

    def _count(self, passages: int) -> None:
        slot = Shared.PASSED_AGAIN if self._again else Shared.PASSED
        self.shared[slot] = max(passages, self.shared[slot])

    def last_words(self, plan: Plan) -> None:
        if plan.action == KILL:
            self.shared[Shared.GAP] = self.gap
        self.shared[Shared.FIRED_AGAIN if self._again else Shared.FIRED] += 1

    @property
    def gap(self) -> int:
        """How many items the cursor has passed of which this process has not told."""
        try:
            member = self.queue._member
            return 0 if member._standing.file.is_abandoned else int(member.inbox.taken) - self.told
        except (AttributeError, ValueError):
            return 0

    def hear(self) -> bytes:
        """The driver's next word."""
        while True:
            try:
                return os.read(self._control, 1)
            except InterruptedError:
                continue

    def tell_counts(self) -> None:
        """Which points this process has passed, how often, and what it did outside of all."""
        arms = self.arms
        if arms is not None and not arms.plan.point:
            found = [[name, phase, count] for (name, phase), count in sorted(arms.counts.items())]
            for start in range(0, len(found), 40):
                self.tell("counts", found[start : start + 40])
            self.tell("strays", sorted(arms.strays))

    # Calling

    def call(self, what: str, function: Callable[..., Any], *args: Any, again: bool = True, **how: Any) -> Any:
        """Calls; what the plan raises is told, and the call made again. What comes through that should not, is told."""
        while True:
            try:
                return function(*args, **how)
            except (KeyboardInterrupt, OSError, MemoryError) as error:
                if INJECTED not in str(error):
                    raise
                self.tell("raised", what, "", 0)
                if what != "open" and not isinstance(error, KeyboardInterrupt):
                    self.tell("error", f"{what}: " + "".join(traceback.format_exception(error))[-1800:])
                if not again:
                    return None

    def open(self) -> None:
        kind = JoinableGroupQueue if self._kind == "JoinableGroupQueue" else GroupQueue
        self.queue = self.call("open", kind, GROUP, directory=self.directory, **self._options)
        if self.queue.mode != "client":
            self.call("wait_for_leader", self.queue.wait_for_leader, PATIENCE)
        self.tell("ready")

    def close(self) -> None:
        self.call("close", self.queue.close)
        self.call("join_thread", self.queue.join_thread)
        self.tell_counts()
        self.tell("left")

    def put(self, source: str, number: int, put: Callable[..., None] | None = None, pad: bytes = b"") -> bool:
        """False if there was no room."""
        self.tell("putting", source, number)
        try:
            (put or self.queue.put)((source, number, "", pad))
        except Full:
            self.tell("refused", source, number)
            return False
        except (KeyboardInterrupt, OSError, MemoryError) as error:
            if INJECTED not in str(error):
                raise
            self.tell("raised", "put", source, number)
            if not isinstance(error, KeyboardInterrupt):
                self.tell("error", "put: " + "".join(traceback.format_exception(error))[-1800:])
            return True
        self.tell("put", source, number)
        return True

    def put_many(self, source: str, numbers: range, pad: bytes = b"") -> None:
        for number in numbers:
            self.tell("putting", source, number)
        try:
            self.queue.put_many((source, number, "", pad) for number in numbers)
        except KeyboardInterrupt:
            for number in numbers:
                self.tell("raised", "put", source, number)
            return
        for number in numbers:
            self.tell("put", source, number)

    def flush(self, source: str) -> None:
        self.call("flush", self.queue.flush, PATIENCE)
        self.tell("flushed", source)

    def ask(self, source: str, number: int, timeout: float = PATIENCE) -> None:
        self.tell("asking", source, number)
        self.tell("putting", source, number)
        try:
            answer = self.queue.put_wait((source, number, "ask", b""), timeout)
        except KeyboardInterrupt:
            self.tell("raised", "put", source, number)
            return
        except ConsumerLost:
            answer = ["lost"]
        except Surprise as error:
            answer = error.args[0]
        except ReplyTimeout:
            if timeout == PATIENCE:
                raise
            # A question is answered after what was said before it: the item is withdrawn by then, or somebody got it.
            self.call("qsize", self.queue.qsize)
            self.tell("refused", source, number)
            return
        if answer != ["lost"] and answer[0] != number * 7:
            self.tell("error", f"the reply to {number} is {answer}")
        self.tell("answered", source, number, answer)

    @property
    def attempt(self) -> int:
        """Which delivery the held item is that this thread has just got: a plain get does not tell."""
        return int(self.queue._member.holdings.current[get_ident()].attempt)

    def got(self, obj: Any, attempt: int = 1) -> tuple[str, int]:
        source, number = obj[0], obj[1]
        self.tell("got", source, number, attempt)
        self.told += 1
        return source, number


class Surprise(Exception):
    """A consumer's failure that travels."""


# Leaders


def lead(actor: Actor) -> None:
    """Leads and does nothing else, until it is told to close."""
    actor.open()
    wait_and_close(actor)


def lead_and_die(actor: Actor) -> None:
    """Leads, puts, takes an item, is granted more, and dies; a consumer is connected by then."""
    with _lead_and_hold(actor):
        _die(actor)


def lead_and_die_in_a_sync(actor: Actor) -> None:
    """The same, but in the midst of putting more: that is written, and is not on the disk."""
    with _lead_and_hold(actor):
        replace("groupqueue.system.disk:sync_file", lambda sync: lambda fd: _die(actor))
        actor.put_many(actor.name, range(6, 9))
        actor.flush(actor.name)


def _lead_and_hold(actor: Actor) -> Message[Any]:
    actor.open()
    queue = actor.queue
    source = actor.name
    end = time.monotonic() + PATIENCE
    while len(queue.stats().members) < 2 and time.monotonic() < end:
        time.sleep(0.001)
    actor.put_many(source, range(6))
    actor.flush(source)
    actor.tell("getting")
    message: Message[Any] = queue.get_message()
    actor.got(message.obj, message.attempt)
    return message


def _die(actor: Actor) -> None:
    actor.tell("killed", 0)
    os.kill(os.getpid(), signal.SIGKILL)


def wait_and_close(actor: Actor) -> None:
    actor.tell("finished")
    while True:
        word = actor.hear()
        if word == SHUT:
            actor.call("shutdown", actor.queue.shutdown)
            actor.tell("shut")
        elif word != GO:
            break
    actor.close()


def shut(actor: Actor) -> None:
    """Comes to shut the group down when nobody else is left to."""
    actor.open()
    actor.call("shutdown", actor.queue.shutdown)
    actor.tell("shut")
    actor.close()


def look_at_the_end(actor: Actor) -> None:
    """A process that is alone: what is left, and what is on the failed list."""
    actor.open()
    queue = actor.queue
    first = queue.stats()
    while True:
        actor.tell("getting")
        try:
            message = queue.get_message(False)
        except (Empty, ShutDown):
            break
        source, number = actor.got(message.obj, message.attempt)
        actor.tell("ending", source, number, "done")
        message.done()
        queue.flush(PATIENCE)
        actor.tell("ended", source, number)
        actor.tell("settled")
    failed = [[message.obj[0], message.obj[1]] for message in queue.failed()]
    last = queue.stats()
    rest = {"in flight": first.in_flight, "still in flight": last.in_flight, "ready": last.ready, "lost": last.lost}
    if not failed:
        rest["bytes"] = last.bytes
    actor.tell("rest", failed, rest)
    actor.close()


# Producers


def begin(actor: Actor) -> str:
    actor.open()
    actor.hear()
    return actor.name


def put_all(actor: Actor) -> None:
    source = begin(actor)
    for number in range(3):
        actor.put(source, number)
    actor.flush(source)
    actor.put_many(source, range(3, 6))
    actor.flush(source)
    actor.put(source, 6)
    actor.put(source, 7)
    actor.flush(source)
    wait_and_close(actor)


def put_plenty(actor: Actor) -> None:
    source = begin(actor)
    actor.put_many(source, range(24))
    actor.flush(source)
    wait_and_close(actor)


def put_in_batches(actor: Actor) -> None:
    """Several batches, single items between them, and in the end more than one call of `get_many` returns."""
    source = begin(actor)
    actor.put_many(source, range(4))
    actor.flush(source)
    actor.put(source, 4)
    actor.put_many(source, range(5, 12))
    actor.flush(source)
    actor.shared[Shared.OPEN] = 1
    actor.put(source, 12)
    actor.put_many(source, range(13, 24))
    actor.flush(source)
    wait_and_close(actor)


def put_large(actor: Actor) -> None:
    source = begin(actor)
    for number in range(9):
        actor.put(source, number, pad=bytes(21_000))
        if number % 2:
            actor.flush(source)
        if number == 6:
            actor.shared[Shared.OPEN] = 1
    actor.put_many(source, range(9, 15), pad=bytes(50))
    actor.flush(source)
    wait_and_close(actor)


def put_beside(actor: Actor) -> None:
    """Bodies that their producer writes to the journal itself, among some that it does not, and a pause."""
    source = begin(actor)
    for number in range(12):
        actor.put(source, number, pad=bytes(10 if number % 5 == 4 else 9_000))
        if number % 4 == 3:
            actor.flush(source)
        if number == 6:
            actor.shared[Shared.OPEN] = 1
            time.sleep(0.06)
    actor.put_many(source, range(12, 15), pad=bytes(2_000))
    actor.flush(source)
    wait_and_close(actor)


def put_and_retry(actor: Actor) -> None:
    """What was failed gets a second chance."""
    source = begin(actor)
    actor.put_many(source, range(4))
    actor.flush(source)
    for number in range(4, 7):
        actor.put(source, number)
    actor.flush(source)
    end = time.monotonic() + PATIENCE
    queue = actor.queue
    while (
        not actor.shared[Shared.AMNESTY]
        and len([found for found in actor.call("failed", queue.failed) if found.obj[0] == source]) < 2
    ):
        if time.monotonic() > end:
            raise TimeoutError("nothing came to the failed list")
        time.sleep(0.002)
    actor.shared[Shared.AMNESTY] = 1
    actor.tell("amnesty")
    actor.call("requeue_failed", queue.requeue_failed)
    actor.call("stats", queue.stats)
    wait_and_close(actor)


def put_bounded(actor: Actor) -> None:
    source = begin(actor)
    queue = actor.queue
    for number in range(8):
        if number % 3 == 1:
            actor.put(source, number, queue.put_nowait)
        else:
            actor.put(source, number, lambda obj: queue.put(obj, timeout=PATIENCE))
        if number % 3 == 2:
            size = actor.call("qsize", queue.qsize)
            if size > actor.queue.maxsize:
                actor.tell("error", f"qsize is {size} in a queue of {actor.queue.maxsize}")
    actor.flush(source)
    wait_and_close(actor)


def ask_all(actor: Actor) -> None:
    source = begin(actor)
    for number in range(4):
        actor.ask(source, number)
    wait_and_close(actor)


def ask_in_vain(actor: Actor) -> None:
    source = begin(actor)
    actor.ask(source, 0, timeout=0.01)
    actor.shared[Shared.OPEN] = 1
    actor.ask(source, 1)
    wait_and_close(actor)


def put_and_join(actor: Actor) -> None:
    source = begin(actor)
    actor.put_many(source, range(3))
    actor.flush(source)
    actor.ask(source, 3)
    actor.put(source, 4)
    actor.flush(source)
    actor.call("join", actor.queue.join)
    actor.tell("joined")
    wait_and_close(actor)


def operate(actor: Actor) -> None:
    """Puts, looks, clears, and puts again; nobody gets before, but for who comes after one that was killed."""
    source = begin(actor)
    crowded = actor.shared[Shared.OPEN]
    queue = actor.queue
    actor.put_many(source, range(3))
    actor.flush(source)
    actor.tell("putting", source, 3)
    future = actor.call("put_future", queue.put_future, (source, 3, "ask", b""))
    actor.call("flush", queue.flush, PATIENCE)
    if len(actor.call("peek", queue.peek, 9)) < 3 and not crowded:
        actor.tell("error", "peek does not see what was flushed")
    actor.tell("clearing", source)
    actor.call("clear", queue.clear)
    if not crowded:
        actor.tell("cleared", source)
    actor.shared[Shared.OPEN] = 1
    if future is not None:
        try:
            future.result(PATIENCE)
            if not crowded:
                actor.tell("error", "a reply to an item that was cleared")
        except ConsumerLost:
            pass
    actor.put(source, 4)
    actor.put(source, 5)
    actor.flush(source)
    wait_and_close(actor)


def meet_a_stranger(actor: Actor) -> None:
    """Speaks another version of the wire, and is refused; then puts as everybody does."""
    source = begin(actor)
    _be_refused(actor)
    actor.put(source, 0)
    actor.put(source, 1)
    actor.flush(source)
    wait_and_close(actor)


def _be_refused(actor: Actor) -> None:
    end = time.monotonic() + PATIENCE
    path = GroupPaths(actor.directory, GROUP).socket
    while time.monotonic() < end:
        connection = transport.connect(path)
        if connection is None:
            time.sleep(0.002)
            continue
        reader = FrameReader(1 << 20)
        try:
            connection.send(m.Hello(99, 1, os.getpid(), 0, 0, b"{}"))
            connection.sock.setblocking(True)
            data = connection.sock.recv(65536)
            while data:
                for message in reader.feed(memoryview(data)):
                    if isinstance(message, m.Refused):
                        return
                data = connection.sock.recv(65536)
        except (transport.Closed, OSError):
            pass
        finally:
            connection.close()
    raise TimeoutError("a stranger was not refused")


# Consumers


def consume(actor: Actor) -> None:
    """Gets until the group is shut down."""
    actor.open()
    _consume(actor, 0.0)
    actor.close()


def consume_slowly(actor: Actor) -> None:
    """Fast at first, so that it is granted a lot; then so slow that others, who begin now, want their share."""
    actor.open()
    _consume(actor, 0.0, 4)
    actor.shared[Shared.OPEN] = 1
    _consume(actor, 0.006)
    actor.close()


def consume_steadily(actor: Actor) -> None:
    """So slow that a bounded queue is full most of the time."""
    actor.open()
    _consume(actor, 0.003)
    actor.close()


def consume_late(actor: Actor) -> None:
    actor.open()
    end = time.monotonic() + PATIENCE
    while not actor.shared[Shared.OPEN] and time.monotonic() < end:
        time.sleep(0.001)
    _consume(actor, 0.0)
    actor.close()


def consume_together(actor: Actor) -> None:
    """First what comes, then what has gathered: calls that take a part of a batch, and calls that take of several."""
    actor.open()
    queue = actor.queue
    while True:
        actor.tell("getting")
        try:
            objects = actor.call("get_many", queue.get_many, TOGETHER)
        except ShutDown:
            break
        for obj in objects:
            actor.got(obj)
        if not actor.shared[Shared.OPEN]:
            time.sleep(0.002)
    actor.close()


def _consume(actor: Actor, pause: float, count: int = -1) -> None:
    queue = actor.queue
    while count:
        count -= 1
        actor.tell("getting")
        try:
            obj = actor.call("get", queue.get)
        except ShutDown:
            return
        source, number = actor.got(obj, actor.attempt if obj[2] == "ask" else 1)
        if obj[2] == "ask":
            actor.tell("ending", source, number, "replied")
            actor.call("reply", queue.reply, (number * 7, actor.name), again=False)
            actor.tell("ended", source, number)
        if pause:
            time.sleep(pause)


def consume_messages(actor: Actor) -> None:
    actor.open()
    queue = actor.queue
    while True:
        actor.tell("getting")
        try:
            message = actor.call("get_message", queue.get_message)
        except ShutDown:
            break
        source, number = actor.got(message.obj, message.attempt)
        how = "done"
        if number % 3 == 1 and message.attempt == 1 and not actor.shared[Shared.AMNESTY]:
            how = "requeued"
        elif number % 3 == 2 and not actor.shared[Shared.AMNESTY]:
            how = "failed"
        if number % 3 == 0:
            _settle(actor)
        actor.tell("ending", source, number, how)
        while not message.is_ended:
            if how == "done":
                actor.call("done", message.done, again=False)
            elif how == "failed":
                actor.call("fail", message.fail, KeyError("no"), again=False)
            else:
                actor.call("requeue", message.requeue, again=False)
        actor.tell("ended", source, number)
        if number % 2:
            _settle(actor)
    actor.close()


def _settle(actor: Actor) -> None:
    actor.call("flush", actor.queue.flush, PATIENCE)
    actor.tell("settled")


def consume_and_answer(actor: Actor) -> None:
    """Answers by all ways: reply, fail, and a message's own."""
    actor.open()
    queue = actor.queue
    while True:
        actor.tell("getting")
        try:
            message = actor.call("get_message", queue.get_message)
        except ShutDown:
            break
        source, number = actor.got(message.obj, message.attempt)
        actor.tell("ending", source, number, "replied")
        while not message.is_ended:
            if number % 2:
                actor.call("fail", message.fail, Surprise([number * 7, actor.name]), again=False)
            else:
                actor.call("reply", message.reply, [number * 7, actor.name], again=False)
        actor.tell("ended", source, number)
    actor.close()


def consume_and_finish(actor: Actor) -> None:
    """Of a joinable queue."""
    actor.open()
    queue = actor.queue
    while True:
        actor.tell("getting")
        try:
            obj = actor.call("get", queue.get)
        except ShutDown:
            break
        source, number = actor.got(obj, actor.attempt)
        if obj[2] == "ask":
            actor.call("reply", queue.reply, [number * 7, actor.name], again=False)
            _settle(actor)
            time.sleep(0.002)
        actor.tell("ending", source, number, "done")
        actor.call("task_done", queue.task_done, again=False)
        actor.tell("ended", source, number)
        if number % 2:
            _settle(actor)
    actor.close()


def die_holding(actor: Actor) -> None:
    """Takes one item with it."""
    actor.open()
    message = actor.queue.get_message()
    actor.got(message.obj, message.attempt)
    actor.tell("killed", 0)
    os.kill(os.getpid(), signal.SIGKILL)


# Forking


def fork_and_go_on(actor: Actor) -> None:
    """Leads, puts and holds an item while it forks; the child, which is armed, gets; then both go on."""
    parent = os.getpid()
    if actor.arms is not None:
        actor.arms.applies = lambda: os.getpid() != parent
    actor.open()
    actor.hear()
    source = actor.name
    for number in range(4):
        actor.put(source, number)
    actor.flush(source)
    child = os.fork()
    if child == 0:
        _as_child(actor)
    for number in range(4, 7):
        actor.put(source, number)
    actor.flush(source)
    _, status = os.waitpid(child, 0)
    actor.shared[Shared.OPEN] = 1
    if status and not os.WIFSIGNALED(status):
        actor.tell("error", f"the child ended with status {status}")
    wait_and_close(actor)


def _as_child(actor: Actor) -> None:
    actor.name += " child"
    actor.told = 0
    try:
        for number in range(3):
            actor.put(actor.name, number)
        actor.flush(actor.name)
        _consume(actor, 0.0, 2)
        actor.close()
    except BaseException as error:
        actor.tell("error", "".join(traceback.format_exception(error))[-2500:])
        os._exit(1)
    os._exit(0)


RAISING = (INTERRUPT, FAIL_IO, FAIL_MEMORY)
