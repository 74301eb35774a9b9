"""
Who polls: whoever waits drives the I/O.

One thread at a time runs `turn`, which polls and handles what comes. A thread that waits for something runs it itself
and so needs no hand-over to see its answer; a background thread runs it while no other does. It steps in only when
nobody has driven for a while, so that a loop of get and put does not wake it, and only looks once a second while a
waiting thread drives for long. An idle process does not wake.

Threads that wait while another drives sleep on a latch of their own. A driver that has what it waited for wakes the
next; whoever changes the state calls `notify`, which wakes those whose wait is over. Who waits without a thread, in an
event loop, is a listener: it never drives, and is told as the sleepers are.

A signal handler may raise between any two steps of a waiting thread. What that can leave behind (the seat taken by
nobody, a waiter that waits no more, a hand-over that did not happen) the background thread notices and mends: for
ORPHANED seconds nobody drove. That two threads drive at once is harmless, for what a turn handles it handles under a
lock.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from threading import get_ident
from typing import Protocol

from groupqueue.system.deadline import Deadline

STEP_IN = 0.001
ORPHANED = 0.02
PARK = 1.0
AFTER_ERROR = 0.05


class Listener(Protocol):
    """What waits without a thread. Both are called by whichever thread made a change, with no lock held, and raise
    nothing.
    """

    def ready(self) -> bool:
        """Whether `wake` is to be called."""

    def wake(self) -> None:
        """The wait is over."""


class _Waiter:
    __slots__ = ("latch", "ready", "thread")

    def __init__(self, ready: Callable[[], bool]) -> None:
        self.ready = ready
        self.thread = get_ident()
        self.latch: threading.Lock | None = None

    def sleep(self, timeout: float | None) -> None:
        latch = self.latch
        assert latch is not None
        latch.acquire(timeout=-1 if timeout is None else timeout)

    def wake(self) -> None:
        latch = self.latch
        if latch is not None:
            try:
                latch.release()
            except RuntimeError:
                pass


class _Background(threading.Thread):
    """The thread that drives while no other does."""


class Driver:
    """See the module.

    `turn(timeout)` polls once and handles what came; `kick()` ends its poll from another thread; `idle()` is called by
    the background thread on every round in which it does not drive.
    """

    def __init__(
        self, turn: Callable[[float | None], None], kick: Callable[[], None], idle: Callable[[], None]
    ) -> None:
        self._turn = turn
        self._kick = kick
        self._idle = idle
        self._seat: list[None] = [None]
        self._owner = 0
        self._waiters: list[_Waiter] = []
        self.listeners: list[Listener] = []
        self._passages = 0
        self._background_drives = False
        self._parked = False
        self._bell = threading.Lock()
        self._bell.acquire()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self, name: str) -> None:
        """Starts the background thread."""
        self._thread = _Background(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def is_driving(self) -> bool:
        """Whether the calling thread is in `turn`, beneath this call."""
        return self._owner == get_ident()

    @property
    def is_alive(self) -> bool:
        """Whether the background thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def stop(self) -> None:
        """Ends the background thread, soon; waits go on by themselves."""
        self._stopped = True
        self._ring()
        self._kick()

    @staticmethod
    def is_one(thread: threading.Thread) -> bool:
        """Whether it is the background thread of a driver."""
        return isinstance(thread, _Background)

    def join(self, timeout: float | None = None) -> None:
        thread = self._thread
        if thread is not None and thread.ident != get_ident():
            thread.join(timeout)

    def wait(self, ready: Callable[[], bool], deadline: Deadline) -> bool:
        """Drives, or sleeps while another does, until `ready()`; False when the deadline comes first."""
        if ready():
            return True
        waiter = _Waiter(ready)
        waiters = self._waiters
        is_nested = self.is_driving
        self._passages += 1
        try:
            while not ready():
                if deadline.expired:
                    return False
                if waiter not in waiters:
                    waiters.append(waiter)
                if self.is_driving:
                    # A signal handler on top of this thread's own poll.
                    self._turn(deadline.remaining())
                elif self._sit_down():
                    self._drive(ready, deadline)
                elif waiter.latch is None:
                    waiter.latch = threading.Lock()
                    waiter.latch.acquire()
                else:
                    if self._background_drives:
                        self._kick()
                    waiter.sleep(deadline.remaining())
            return True
        finally:
            if not is_nested:
                # A signal handler may have raised between sitting down and driving. Who seems to drive may not wait.
                self._stand_up()
            if waiter in waiters:
                waiters.remove(waiter)
            self._hand_over()

    def notify(self) -> None:
        """Wakes those whose wait is over. Called after every change, by whoever made it."""
        me = get_ident()
        for waiter in self._waiters[:]:
            if waiter.thread != me and waiter.ready():
                if waiter.thread == self._owner:
                    self._kick()
                else:
                    waiter.wake()
        if self.listeners:
            for listener in self.listeners[:]:
                if listener.ready():
                    listener.wake()

    def _sit_down(self) -> bool:
        try:
            self._seat.pop()
        except IndexError:
            return False
        self._owner = get_ident()
        return True

    def _stand_up(self) -> None:
        if self._owner == get_ident():
            self._owner = 0
            self._seat[:] = [None]

    def _drive(self, ready: Callable[[], bool], deadline: Deadline) -> None:
        try:
            while not ready() and not deadline.expired:
                self._turn(deadline.remaining())
        finally:
            self._stand_up()

    def _hand_over(self) -> None:
        """Sees to it that somebody drives, if anybody waits."""
        if self._owner:
            return
        me = get_ident()
        for waiter in self._waiters[:]:
            if waiter.thread != me:
                waiter.wake()
                return
        if self._parked:
            self._parked = False
            self._ring()

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            pass

    def _run(self) -> None:
        while not self._stopped:
            try:
                self._serve()
            except BaseException:
                # What foreign code raised on this thread (a callback's SystemExit, an exception injected) is reported
                # like any thread's end, but others depend on this one.
                if self._stopped:
                    raise
                threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))
                self._bell.acquire(timeout=AFTER_ERROR)

    def _serve(self) -> None:
        seen = -1
        vacant = 0.0
        while not self._stopped:
            passages = self._passages
            if passages != seen:
                seen = passages
                vacant = 0.0
                self._idle()
                self._bell.acquire(timeout=STEP_IN)
            elif self._owner and self._is_waiting(self._owner):
                vacant = 0.0
                self._idle()
                self._park()
            elif self._owner:
                vacant += STEP_IN
                if vacant >= ORPHANED:
                    self._owner = 0
                    self._seat[:] = [None]
                self._bell.acquire(timeout=STEP_IN)
            elif self._waiters and vacant < ORPHANED:
                vacant += STEP_IN
                self._hand_over()
                self._bell.acquire(timeout=STEP_IN)
            elif self._sit_down():
                vacant = 0.0
                self._drive_in_background()
            else:
                vacant += STEP_IN
                if vacant >= ORPHANED and not self._owner:
                    self._seat[:] = [None]
                self._bell.acquire(timeout=STEP_IN)

    def _is_waiting(self, thread: int) -> bool:
        return any(waiter.thread == thread for waiter in self._waiters)

    def _park(self) -> None:
        """Sleeps while a thread drives for long; it rings when it stops, unless a signal keeps it from that."""
        self._parked = True
        if self._owner and not self._stopped:
            self._bell.acquire(timeout=PARK)
        self._parked = False

    def _drive_in_background(self) -> None:
        self._background_drives = True
        passages = self._passages
        try:
            while passages == self._passages and not self._stopped:
                self._turn(None)
        finally:
            self._background_drives = False
            self._stand_up()
            self._hand_over()
