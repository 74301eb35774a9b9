"""
How a member ends: it is told to close, flushes what is unsent for as long as it may, and says goodbye.

Whoever tells it does not wait, unless nobody else can do the rest: the background thread does it, and the calling
thread where there is none any more. At the interpreter's exit the main thread waits, and an anonymous queue that a
daemon thread still reads stays open.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager

from groupqueue.core.outbox import Outbox
from groupqueue.options import Options
from groupqueue.standing import Role, Standing
from groupqueue.system import forking
from groupqueue.system.deadline import Deadline, now
from groupqueue.system.driver import Driver
from groupqueue.system.paths import GroupPaths
from groupqueue.watch import Watch

logger = logging.getLogger("groupqueue")

LINGER_WARNING = 3.0


class Closing(ABC):
    """See the module. `closing`: it has been told; `closed_by_exit`: by the interpreter; a late put opens it again."""

    paths: GroupPaths
    options: Options
    outbox: Outbox
    driver: Driver
    inbox_lock: AbstractContextManager[object]
    _standing: Standing
    _watch: Watch

    @abstractmethod
    def push(self, wait: bool = False) -> None: ...

    @abstractmethod
    def wait(self, ready: Callable[[], bool], deadline: Deadline) -> bool: ...

    @abstractmethod
    def is_flushed(self) -> bool: ...

    @abstractmethod
    def _close(self) -> None:
        """Lets go of the group."""

    @abstractmethod
    def _log(self, level: int, text: str, error: BaseException | None = None) -> None: ...

    def _begin_open(self) -> None:
        self.closing = False
        self.closed_by_exit = False
        self._linger: Deadline | None = None
        self._flush_cancelled = False

    @property
    def is_closed(self) -> bool:
        return self._standing.role is Role.CLOSED

    @property
    def is_used(self) -> bool:
        """Whether anything was ever put or got here."""
        return self.outbox.put_count > 0 or self._standing.session.was_granted

    def close(self) -> None:
        """Begins to close; the background thread, or else this one, flushes and says goodbye."""
        if self._begin_closing() and (forking.is_in_exit_handlers() or not self.driver.is_alive):
            self.finish_closing(None)

    def finish_closing(self, timeout: float | None) -> bool:
        """Waits until everything is flushed and the member is gone."""
        self._begin_closing()
        deadline = Deadline(timeout)
        while not self.is_closed:
            step = deadline.sooner(LINGER_WARNING)
            if self.wait(lambda: self.is_closed, Deadline(step)):
                break
            if deadline.expired:
                return False
            self.warn_of_lingering()
        return True

    def warn_of_lingering(self) -> None:
        """Says why closing takes so long; due every LINGER_WARNING seconds that it lasts."""
        text = "group %r: closing waits for a leader to take %d item(s)%s"
        logger.warning(text, self.paths.name, self.outbox.waiting, self._watch.why())

    def _begin_closing(self) -> bool:
        if self.closing:
            return False
        self.closing = True
        self._linger = Deadline(0 if self._flush_cancelled else self.options.linger)
        self._standing.wakeup.set()
        self.driver.notify()
        return True

    def cancel_flush(self) -> None:
        """What is not sent by now need not be. Of this process only: a child puts and waits for itself."""
        self._flush_cancelled = True
        self._linger = Deadline(0)

    def at_exit(self) -> None:
        if self.is_closed:
            return
        if not self.closing and self._is_still_read():
            self._flush_at_exit()
            return
        self.closed_by_exit = not self.closing
        self.finish_closing(None)

    def _flush_at_exit(self) -> None:
        self.push()
        deadline = Deadline(0 if self._flush_cancelled else self.options.linger)
        while not self.wait(self.is_flushed, Deadline(deadline.sooner(LINGER_WARNING))) and not deadline.expired:
            self.warn_of_lingering()

    def _is_still_read(self) -> bool:
        """Whether a daemon thread may get what is in a group without a name, which goes with its last member.

        As with any queue in a process; who ends that thread, an atexit handler that is called after ours, then closes.
        """
        if not self.paths.is_anonymous or not self.is_used:
            return False
        main = threading.main_thread()
        return any(t.daemon and t is not main and not Driver.is_one(t) for t in threading.enumerate())

    def _linger_end(self) -> float | None:
        """When the flush of a closing member ends at the latest; None if nothing ends it."""
        left = self._linger.remaining() if self.closing and self._linger is not None else None
        return None if left is None else now() + left

    def _maybe_say_goodbye(self) -> None:
        expired = self._linger is not None and self._linger.expired
        if not self.is_flushed() and not expired:
            return
        if self.outbox.waiting and not self._flush_cancelled and self.options.linger != 0:
            self._log(logging.WARNING, f"closed with {self.outbox.waiting} item(s) that no leader had taken")
        # Whoever decodes has either taken its item before the leader hears of the end, or never will.
        with self.inbox_lock:
            # A crash is a death like any other: what this process held may be what ended it.
            if not forking.is_crashing():
                self._standing.goodbye()
            self._close()
