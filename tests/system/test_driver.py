"""Who polls: whoever waits, and while nobody does the background thread; nobody twice, nobody never."""

from __future__ import annotations

import random
import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from threading import get_ident
from typing import Any

import pytest

from groupqueue.system.deadline import Deadline
from groupqueue.system.driver import ORPHANED, STEP_IN, Driver
from groupqueue.system.wakeup import Wakeup
from tests.helpers import Clock, eventually, stays

LONG = 20.0


class Engine:
    """What is driven: one descriptor, and events that are handled by whoever polls it."""

    def __init__(self) -> None:
        self.wakeup = Wakeup()
        self.events: deque[Callable[[], None]] = deque()
        self.turns: list[int] = []
        self.idles = 0
        self.driving = 0
        self.most_at_once = 0
        self.lock = threading.Lock()
        self.driver = Driver(self.turn, self.wakeup.set, self.idle)

    def turn(self, timeout: float | None) -> None:
        self.turns.append(get_ident())
        with self.lock:
            self.driving += 1
            self.most_at_once = max(self.most_at_once, self.driving)
        try:
            select.select([self.wakeup.fd], [], [], timeout)
            self.wakeup.clear()
            while self.events:
                try:
                    event = self.events.popleft()
                except IndexError:
                    break
                event()
        finally:
            with self.lock:
                self.driving -= 1
        self.driver.notify()

    def idle(self) -> None:
        self.idles += 1

    def happen(self, event: Callable[[], None]) -> None:
        """Something comes in from outside."""
        self.events.append(event)
        self.wakeup.set()

    @property
    def background(self) -> int:
        """The ident of the background thread."""
        thread = self.driver._thread
        assert thread is not None
        assert thread.ident is not None
        return thread.ident


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    yield engine
    engine.driver.stop()
    engine.driver.join(LONG)
    assert not engine.driver.is_alive
    engine.wakeup.close()


@pytest.fixture
def running(engine: Engine) -> Engine:
    engine.driver.start("drives")
    eventually(lambda: engine.driving, what="the background thread to drive")
    return engine


class Waits(threading.Thread):
    """A thread that waits for something; `answer` is what the wait returned."""

    def __init__(self, engine: Engine, ready: Callable[[], bool], timeout: float | None = LONG) -> None:
        super().__init__(daemon=True)
        self.engine = engine
        self.ready = ready
        self.timeout = timeout
        self.answer: Any = None
        self.began = threading.Event()
        self.start()
        self.began.wait(LONG)

    def run(self) -> None:
        self.began.set()
        try:
            self.answer = self.engine.driver.wait(self.ready, Deadline(self.timeout))
        except Exception as error:
            self.answer = error

    def result(self) -> Any:
        self.join(LONG)
        assert not self.is_alive(), "still waits"
        return self.answer


class Flag:
    def __init__(self) -> None:
        self.is_set = False

    def set(self) -> None:
        self.is_set = True

    def __call__(self) -> bool:
        return self.is_set


# Who drives


def test_who_waits_drives(engine: Engine) -> None:
    flag = Flag()
    engine.happen(flag.set)
    assert engine.driver.wait(flag, Deadline(LONG))
    assert engine.turns == [get_ident()]


def test_who_need_not_wait_does_not_drive(engine: Engine) -> None:
    assert engine.driver.wait(lambda: True, Deadline(LONG))
    assert engine.turns == []


def test_while_nobody_waits_the_background_drives(running: Engine) -> None:
    flag = Flag()
    running.happen(flag.set)
    eventually(flag, what="the event to be handled")
    assert set(running.turns) == {running.background}


def test_who_waits_takes_over_from_the_background(running: Engine) -> None:
    flag = Flag()
    by = []
    waiter = Waits(running, flag)
    eventually(lambda: running.turns[-1] == waiter.ident, what="the waiting thread to drive")
    running.happen(lambda: (by.append(get_ident()), flag.set()))  # type: ignore[func-returns-value]
    assert waiter.result() is True
    assert by == [waiter.ident]


def test_the_background_takes_over_again(running: Engine) -> None:
    flag = Flag()
    running.happen(flag.set)
    Waits(running, flag).result()
    eventually(lambda: running.driving and running.turns[-1] == running.background, what="the background to drive")
    again = Flag()
    running.happen(again.set)
    eventually(again)


def test_after_a_long_wait_the_background_takes_over_too(running: Engine) -> None:
    flag = Flag()
    waiter = Waits(running, flag)
    eventually(lambda: running.turns[-1] == waiter.ident)
    stays(waiter.is_alive, 10 * STEP_IN)
    running.happen(flag.set)
    waiter.result()
    again = Flag()
    running.happen(again.set)
    eventually(again, what="the background to drive again")


def test_one_thread_drives_at_a_time(running: Engine) -> None:
    flags = [Flag() for _ in range(6)]
    waiters = [Waits(running, flag) for flag in flags]
    for flag in flags:
        running.happen(flag.set)
        time.sleep(0.002)
    for waiter in waiters:
        assert waiter.result() is True
    assert running.most_at_once == 1


def test_who_drives_is_told(engine: Engine) -> None:
    seen = []
    flag = Flag()

    def look() -> None:
        seen.append(engine.driver.is_driving)
        flag.set()

    engine.happen(look)
    assert not engine.driver.is_driving
    engine.driver.wait(flag, Deadline(LONG))
    assert seen == [True]
    assert not engine.driver.is_driving


# Waiting


def test_a_wait_ends_when_its_time_is_over(running: Engine) -> None:
    with Clock() as clock:
        assert running.driver.wait(lambda: False, Deadline(0.05)) is False
    assert 0.05 <= clock.elapsed < 5


def test_a_wait_without_time_does_not_wait(running: Engine) -> None:
    with Clock() as clock:
        assert running.driver.wait(lambda: False, Deadline(0)) is False
    assert clock.elapsed < 1


def test_a_wait_ends_in_time_while_another_drives(engine: Engine) -> None:
    driving = Waits(engine, Flag())
    eventually(lambda: engine.driving)
    with Clock() as clock:
        assert engine.driver.wait(lambda: False, Deadline(0.05)) is False
    assert 0.05 <= clock.elapsed < 5
    driving.ready.set()  # type: ignore[attr-defined]
    engine.wakeup.set()
    assert driving.result() is True


def test_each_wait_ends_with_its_own_event(engine: Engine) -> None:
    flags = [Flag() for _ in range(5)]
    waiters = [Waits(engine, flag) for flag in flags]
    for index in (3, 0, 4, 1, 2):
        engine.happen(flags[index].set)
        assert waiters[index].result() is True
        assert sum(waiter.is_alive() for waiter in waiters) == sum(not flag() for flag in flags)


def test_one_event_may_end_all_waits(engine: Engine) -> None:
    flag = Flag()
    waiters = [Waits(engine, flag) for _ in range(8)]
    engine.happen(flag.set)
    assert [waiter.result() for waiter in waiters] == [True] * 8


def test_when_the_driver_has_what_it_wanted_another_waiter_drives(engine: Engine) -> None:
    first, second = Flag(), Flag()
    driving = Waits(engine, first)
    eventually(lambda: engine.driving)
    waiting = Waits(engine, second)
    engine.happen(first.set)
    assert driving.result() is True
    eventually(lambda: engine.turns[-1] == waiting.ident, what="the other to drive")
    engine.happen(second.set)
    assert waiting.result() is True


def test_when_the_driver_gives_up_another_waiter_drives(engine: Engine) -> None:
    flag = Flag()
    driving = Waits(engine, Flag(), timeout=0.05)
    eventually(lambda: engine.driving)
    waiting = Waits(engine, flag)
    assert driving.result() is False
    engine.happen(flag.set)
    assert waiting.result() is True


def test_notify_ends_a_wait_without_a_turn(running: Engine) -> None:
    flag, other = Flag(), Flag()
    driving = Waits(running, other)
    eventually(lambda: running.turns[-1] == driving.ident)
    waiting = Waits(running, flag)
    flag.set()
    running.driver.notify()
    assert waiting.result() is True
    assert driving.is_alive()
    other.set()
    running.driver.notify()
    assert driving.result() is True


def test_notify_ends_the_drivers_own_poll(engine: Engine) -> None:
    flag = Flag()
    driving = Waits(engine, flag, timeout=None)
    eventually(lambda: engine.driving)
    flag.set()
    engine.driver.notify()
    assert driving.result() is True


# Trouble


def test_an_error_in_a_turn_comes_out_of_the_wait_and_the_next_may_drive(engine: Engine) -> None:
    def fail() -> None:
        raise ArithmeticError("in the turn")

    engine.happen(fail)
    with pytest.raises(ArithmeticError):
        engine.driver.wait(Flag(), Deadline(LONG))
    flag = Flag()
    engine.happen(flag.set)
    assert Waits(engine, flag).result() is True


def test_who_waits_inside_a_turn_drives_on(engine: Engine) -> None:
    outer, inner = Flag(), Flag()

    def on_top() -> None:
        engine.happen(inner.set)
        assert engine.driver.wait(inner, Deadline(LONG))
        outer.set()

    engine.happen(on_top)
    assert engine.driver.wait(outer, Deadline(LONG))


def test_a_signal_handler_may_wait_on_top_of_a_wait(running: Engine) -> None:
    outer, inner = Flag(), Flag()
    answers = []

    def handler(number: int, frame: object) -> None:
        running.happen(inner.set)
        answers.append(running.driver.wait(inner, Deadline(LONG)))
        running.happen(outer.set)

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert running.driver.wait(outer, Deadline(LONG))
    finally:
        signal.signal(signal.SIGALRM, before)
    assert answers == [True]


class Interrupted(BaseException):
    """As a KeyboardInterrupt: raised by a signal handler, at any instruction."""


@pytest.mark.parametrize("long_wait", [False, True])
def test_an_interrupt_leaves_the_driving_to_others(running: Engine, long_wait: bool) -> None:
    def handler(number: int, frame: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05 if long_wait else 0.001)
        with pytest.raises(Interrupted):
            running.driver.wait(Flag(), Deadline(LONG))
    finally:
        signal.signal(signal.SIGALRM, before)
    flag = Flag()
    running.happen(flag.set)
    eventually(flag, what="somebody to drive")


@pytest.mark.parametrize("step", ["_hand_over", "_stand_up"])
@pytest.mark.parametrize("long_wait", [False, True])
def test_what_an_interrupt_left_undone_is_mended(
    running: Engine, monkeypatch: pytest.MonkeyPatch, step: str, long_wait: bool
) -> None:
    """The signal comes in the last steps of a wait that is over: the background thread must notice."""
    me = get_ident()
    real = getattr(running.driver, step)
    interrupted = []

    def interrupt() -> None:
        if get_ident() == me and not interrupted:
            interrupted.append(True)
            raise Interrupted
        real()

    def tick() -> None:
        time.sleep(20 * STEP_IN if long_wait else 0)
        while not interrupted:
            running.happen(lambda: None)
            time.sleep(STEP_IN / 4)

    ticker = threading.Thread(target=tick, daemon=True)
    monkeypatch.setattr(running.driver, step, interrupt)
    ticker.start()
    with pytest.raises(Interrupted):
        running.driver.wait(lambda: me in running.turns, Deadline(LONG))
    ticker.join()
    flag = Flag()
    running.happen(flag.set)
    eventually(flag, timeout=3.0 + ORPHANED, what="the background to drive")


def test_who_was_interrupted_between_sitting_down_and_driving_does_not_drive(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever seems to drive is taken for a signal handler on top of a poll, and may not wait."""

    def interrupted(ready: Callable[[], bool], deadline: Deadline) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(engine.driver, "_drive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            engine.driver.wait(lambda: False, Deadline(LONG))
    assert not engine.driver.is_driving
    assert not engine.driver.wait(lambda: False, Deadline(0.01))
    assert engine.turns, "it drives again"


def test_interrupts_at_any_instruction_do_not_stop_the_driving(running: Engine) -> None:
    def handler(number: int, frame: object) -> None:
        raise Interrupted

    chosen = random.Random(1)
    before = signal.signal(signal.SIGALRM, handler)
    interrupts = 0
    end = time.monotonic() + 1.0
    try:
        while time.monotonic() < end:
            try:
                signal.setitimer(signal.ITIMER_REAL, chosen.uniform(1e-5, 3e-4))
                while True:
                    flag = Flag()
                    running.happen(flag.set)
                    running.driver.wait(flag, Deadline(LONG))
            except Interrupted:
                interrupts += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    flag = Flag()
    running.happen(flag.set)
    eventually(flag, timeout=5.0, what="somebody to drive")
    waited = Flag()
    running.happen(waited.set)
    assert Waits(running, waited).result() is True
    assert interrupts > 100


# Many at once


def test_no_wakeup_is_lost_among_eight_threads(running: Engine) -> None:
    """Each thread waits for its own counter, which another raises, directly or by way of the poll."""
    threads = 8
    counters = [0] * threads
    rounds = [0] * threads
    stop = time.monotonic() + 1.0
    failures: list[str] = []

    def raise_counter(index: int) -> None:
        counters[index] += 1

    def work(index: int) -> None:
        chosen = random.Random(index)
        while time.monotonic() < stop:
            wanted = counters[index] + 1
            by_turn = chosen.random() < 0.7
            if by_turn:
                running.happen(lambda: raise_counter(index))
            else:
                threading.Thread(target=lambda: (raise_counter(index), running.driver.notify())).start()
            if not running.driver.wait(lambda wanted=wanted: counters[index] >= wanted, Deadline(10.0)):
                failures.append(f"thread {index} was not woken in round {rounds[index]}")
                return
            rounds[index] += 1
            if chosen.random() < 0.05:
                time.sleep(chosen.uniform(0, 0.003))

    workers = [threading.Thread(target=work, args=(index,), daemon=True) for index in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
    assert failures == []
    assert min(rounds) > 10


# Idleness


def test_nothing_turns_while_nothing_happens(running: Engine) -> None:
    time.sleep(0.05)
    before = len(running.turns), running.idles
    time.sleep(0.3)
    assert (len(running.turns), running.idles) == before


def test_nothing_turns_while_a_thread_waits_and_nothing_happens(running: Engine) -> None:
    flag = Flag()
    waiters = [Waits(running, flag) for _ in range(3)]
    time.sleep(0.1)
    before = len(running.turns), running.idles
    time.sleep(0.3)
    assert (len(running.turns), running.idles) == before
    running.happen(flag.set)
    for waiter in waiters:
        waiter.result()


def test_waits_in_a_row_do_not_wake_the_background_each_time(running: Engine) -> None:
    def turned_by_the_background() -> int:
        before = running.turns.count(running.background)
        for _ in range(100):
            flag = Flag()
            running.happen(flag.set)
            running.driver.wait(flag, Deadline(LONG))
        return running.turns.count(running.background) - before

    # On a busy machine a thread may stand still for longer than the background waits, again and again.
    eventually(lambda: turned_by_the_background() < 50)


# Ending


def test_a_stopped_driver_ends_its_thread(engine: Engine) -> None:
    engine.driver.start("drives")
    assert engine.driver.is_alive
    engine.driver.stop()
    engine.driver.join(LONG)
    assert not engine.driver.is_alive


@pytest.mark.parametrize("long_wait", [False, True])
def test_a_driver_is_stopped_also_while_another_thread_drives(running: Engine, long_wait: bool) -> None:
    flag = Flag()
    waiter = Waits(running, flag)
    eventually(lambda: running.turns[-1] == waiter.ident)
    if long_wait:
        time.sleep(20 * STEP_IN)
    running.driver.stop()
    running.driver.join(LONG)
    assert not running.driver.is_alive
    running.happen(flag.set)
    assert waiter.result() is True


def test_without_a_background_thread_waits_go_on_by_themselves(engine: Engine) -> None:
    flags = [Flag() for _ in range(3)]
    waiters = [Waits(engine, flag) for flag in flags]
    for flag in flags:
        engine.happen(flag.set)
    assert [waiter.result() for waiter in waiters] == [True] * 3


def test_a_driver_that_was_never_started_can_be_stopped(engine: Engine) -> None:
    assert not engine.driver.is_alive
    engine.driver.stop()
    engine.driver.join()


def test_the_background_thread_does_not_wait_for_itself(running: Engine) -> None:
    joined = Flag()

    def join() -> None:
        running.driver.join()
        joined.set()

    running.happen(join)
    eventually(joined)


# Listeners


class Listener:
    def __init__(self) -> None:
        self.flag = Flag()
        self.woken: list[int] = []

    def ready(self) -> bool:
        return self.flag()

    def wake(self) -> None:
        self.woken.append(get_ident())


def test_a_listener_is_told_by_whoever_made_the_change(running: Engine) -> None:
    listener, other = Listener(), Listener()
    running.driver.listeners += [listener, other]
    running.happen(listener.flag.set)
    eventually(lambda: listener.woken, what="the listener to be woken")
    assert set(listener.woken) == {running.background}
    assert other.woken == []


def test_a_listener_is_no_waiter_to_whom_driving_could_be_left(engine: Engine) -> None:
    listener = Listener()
    engine.driver.listeners.append(listener)
    flag = Flag()
    engine.happen(flag.set)
    assert engine.driver.wait(flag, Deadline(LONG))
    engine.driver.start("drives")
    eventually(lambda: engine.driving, what="the background thread to drive")
    assert listener.woken == []


def test_a_listener_may_leave_while_it_is_told(running: Engine) -> None:
    class Leaves(Listener):
        def wake(self) -> None:
            super().wake()
            running.driver.listeners.remove(self)

    first, second = Leaves(), Leaves()
    running.driver.listeners += [first, second]

    def change() -> None:
        first.flag.set()
        second.flag.set()

    running.happen(change)
    eventually(lambda: first.woken and second.woken)
    assert running.driver.listeners == []
