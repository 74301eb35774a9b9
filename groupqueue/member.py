"""
One process in one group, as its threads see it.

Threads: the callers', and one of our own in the background, which drives the I/O while no caller does (`Driver`). The
lock guards the session and the standing. It is re-entrant so that a signal handler on top of its holder cannot
deadlock; `_busy` names the holder, and who finds itself there leaves its work to the frame below.

A member lives from `_open` to `_close`, which follows `close` once everything is flushed. A forked child begins anew
as another member.
"""

from __future__ import annotations

import logging
import selectors
import threading
import traceback
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import get_ident

from groupqueue.closing import Closing
from groupqueue.core import messages as m
from groupqueue.core.inbox import ATTENTION
from groupqueue.core.outbox import Verdict
from groupqueue.holdings import Holdings
from groupqueue.interrupts import is_interrupt
from groupqueue.options import Options
from groupqueue.standing import Role, Standing
from groupqueue.system import forking
from groupqueue.system.deadline import Deadline, now
from groupqueue.system.driver import Driver
from groupqueue.system.membership import Membership, create_anonymous
from groupqueue.system.paths import GroupPaths
from groupqueue.watch import Watch

logger = logging.getLogger("groupqueue")

MAX_UNACKED_BYTES = 16 * 1024 * 1024
MAX_UNACKED = 100_000
BATCH = 256
PUSH_INTERVAL = 0.0005
TICK = 0.0005
"""Seconds between two looks of the background thread while puts come."""


class Member(Closing):
    """See the module. The methods that wait raise nothing but what a signal handler raises; they return False in
    time.
    """

    def __init__(self, paths: GroupPaths | None, directory: str, options: Options, create: bool = True) -> None:
        self.options = options
        with forking.gate:
            if paths is None:
                membership = create_anonymous(directory, options.maxsize)
            else:
                membership = Membership.join(paths, options.maxsize, create)
            self.paths = membership.paths
            try:
                self._open(membership)
            except BaseException:
                membership.leave()
                raise
            forking.register(self)

    def _open(self, membership: Membership) -> None:
        """Everything that is this process's alone."""
        self._begin_open()
        self.revived = False
        self.lock = threading.RLock()
        self._busy = 0
        self.put_lock = threading.RLock()
        self.armed = False
        self._ticking = False
        self._seen_cut = 0
        self.pushed_at = 0.0
        self.backed_up = False
        self._polls: set[object] = set()
        self._logs: deque[tuple[int, str, BaseException | None]] = deque()
        self.holdings = Holdings()
        standing = self._standing = Standing(membership, self.options, self._log)
        self._watch = Watch(standing, self.options.mode)
        self.session = standing.session
        self.outbox = standing.outbox
        self.inbox = standing.inbox
        self.inbox_lock = standing.inbox_lock
        self.driver = Driver(self._turn, standing.wakeup.set, self._idle)
        try:
            self._start_thread()
        except BaseException:
            standing.undo()
            raise

    def _start_thread(self) -> None:
        """Without one the callers' threads drive alone: some Pythons refuse new threads while they exit."""
        try:
            self.driver.start(f"groupqueue-{self.paths.name}")
        except RuntimeError as error:
            if "shutdown" not in str(error) and not forking.is_exiting():
                raise

    # What members tell

    @property
    def maxsize(self) -> int:
        return self._standing.membership.terms.maxsize

    @property
    def is_bounded(self) -> bool:
        return self.session.is_bounded

    @property
    def is_leader(self) -> bool:
        return self._standing.is_leader

    @property
    def is_connected(self) -> bool:
        """Whether a leader has answered and the connection stands."""
        return self.session.welcome is not None

    @property
    def is_beneath(self) -> bool:
        """Whether this call interrupted our own poll or step, on the same thread: it must not wait."""
        return self.driver.is_driving or self._busy == get_ident()

    @property
    def leader_pid(self) -> int | None:
        return self.session.leader_pid

    @property
    def role(self) -> Role:
        return self._standing.role

    def is_flushed(self) -> bool:
        outbox = self.outbox
        return not (outbox.pending or outbox.unacked or outbox.verdicts or outbox.unsettled)

    # What callers do

    def push(self, wait: bool = False) -> None:
        """Sends what is pending, unless somebody is at it who will; with `wait`, once they are done."""
        # Only `with` on a lock of the interpreter's own takes and keeps it in one step: a Ctrl-C between an acquire and
        # its try would leave it taken for ever.
        me = get_ident()
        outbox = self.outbox
        while True:
            busy = self._busy
            if busy == me or (busy and not wait):
                return
            self._run(self._send_pending)
            if not outbox.pending and not outbox.verdicts:
                return

    def arm(self) -> None:
        """Has what is pending sent soon by another thread: at once if it sleeps, or when it looks next.

        In a stream of puts it looks every TICK seconds. To be woken for each batch would cost a system call, and, which
        is far more, the interpreter's lock.
        """
        try:
            self.armed = True
            if not self._ticking:
                self._ticking = True
                self._standing.wakeup.set()
        except BaseException:
            # What a signal handler raised may have come before the wake, for which all who put now wait.
            self._standing.wakeup.set()
            raise

    def wake(self) -> None:
        """Has whoever polls look at once."""
        try:
            self.armed = True
            self._standing.wakeup.set()
        except BaseException:
            self._standing.wakeup.set()
            raise

    def say(self, verdict: Verdict) -> None:
        """Tells the leader what became of a held item; it is told again until it is in the journal."""
        self.outbox.verdicts.append(verdict)
        if len(self.outbox.verdicts) >= BATCH or verdict.kind is not m.Done:
            self.push()
        elif not self.armed:
            if now() - self.pushed_at > PUSH_INTERVAL or forking.is_exiting():
                self.push()
            else:
                self.arm()

    def drop_hand(self) -> None:
        """What this thread took to hold, and will never see because something was raised, goes back to its place."""
        item = self.inbox.in_hand.pop(get_ident(), None)
        if item is not None:
            self.say(Verdict(m.Requeue, item.id, item.attempt))

    def wait(self, ready: Callable[[], bool], deadline: Deadline) -> bool:
        """Drives until `ready()`; False when the deadline comes first."""
        return self.driver.wait(ready, deadline)

    def answer_attention(self) -> None:
        """The leader has set our mapped word: it wants to know, or have, what is left."""
        self._run(self._answer_attention)
        # Who put meanwhile found us busy, and left it to us.
        if self.outbox.pending or self.outbox.verdicts:
            self.push()

    def _answer_attention(self) -> None:
        with self.inbox_lock:
            state = int(self.inbox.words[ATTENTION])
            self.inbox.words[ATTENTION] = 0
            message = self.session.answer_attention(state) if state and self.is_connected else None
        if message is not None:
            self._standing.emit([message])
            self._standing.finish()

    # Other lives

    def revive(self) -> None:
        """After the interpreter's exit has begun and closed this member: open it once more, for a last put."""
        with forking.gate:
            self._open(Membership.join(self.paths, None))
        self.revived = True

    def after_fork(self) -> None:
        """In a forked child: the parent's role, locks and connections are not ours; join as a new member."""
        if self._standing.role is Role.CLOSED:
            return
        inherited = self._standing
        inherited.abandon()
        try:
            self.lock = threading.RLock()
            if not self.closing:
                self._open(Membership.join(self.paths, None))
        except Exception as error:
            self.closing = True
            self._logs.append((logging.ERROR, f"cannot rejoin after a fork: {error}", error))
        finally:
            inherited.membership.abandon()

    # Turns

    def _turn(self, timeout: float | None) -> None:
        """Polls once and handles what came. Only the driver calls this."""
        timer = self._next_timer()
        if timer is not None:
            left = max(timer - now(), 0.0)
            timeout = left if timeout is None else min(timeout, left)
        tick = self._until_tick()
        if tick is not None:
            timeout = tick if timeout is None else min(timeout, tick)
        token = object()
        try:
            self._polls.add(token)
            events = self._standing.selector.select(timeout)
        except (OSError, ValueError, TypeError) as error:
            # Closed beneath us, by another thread, or by our own closing that a Ctrl-C cut short. (gevent: TypeError.)
            if is_interrupt(error):
                raise
            if self.role is not Role.CLOSED:
                with self.lock:
                    self._mend_selector()
            return
        finally:
            self._polls.discard(token)
            if self._standing.role is Role.CLOSED:
                self._close_wakeup()
        self._run(partial(self._step, events))

    def _until_tick(self) -> float | None:
        """How long a poll may last for the sake of what is put meanwhile; None if who puts wakes us."""
        outbox = self.outbox
        if self._ticking:
            if self.armed or outbox.cut_count != self._seen_cut:
                self._seen_cut = outbox.cut_count
                return TICK
            # Before what follows is looked at: who appends after that finds that it must wake us.
            self._ticking = False
        return 0.0 if self.armed or outbox.pending or outbox.verdicts else None

    def _run(self, step: Callable[[], None]) -> None:
        """Runs a step of the role under the lock; what it raises is the role's crash. Beneath a step: does nothing.

        What a signal handler raises in the midst of it drops the role too, and is its caller's to see.
        """
        me = get_ident()
        if self._busy == me:
            return
        with self.lock:
            try:
                self._busy = me
                step()
            except BaseException as error:
                interrupted = is_interrupt(error)
                self._standing.crash(error, interrupted)
                if interrupted:
                    raise
            finally:
                self._busy = 0
        if self._logs or self.session.completed:
            self._after_step()
        self.driver.notify()

    def _step(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        if self._standing.role is Role.CLOSED:
            return
        self._standing.handle(events)
        if now() >= self._watch.due:
            why = self._watch.look(self._needs_watch())
            if why:
                self._log(logging.WARNING, f"waits for a leader{why}")
        self._send_pending()
        if self.closing:
            self._maybe_say_goodbye()

    def _send_pending(self) -> None:
        """Requires the lock and `_busy`."""
        self.armed = False
        self.pushed_at = now()
        messages = self.session.collect(self.pushed_at)
        if messages:
            self._standing.emit(messages)
        self._standing.finish()
        outbox = self.outbox
        self.backed_up = outbox.unacked_bytes > MAX_UNACKED_BYTES or outbox.unacked_count > MAX_UNACKED
        forking.hook_multiprocessing()

    def _next_timer(self) -> float | None:
        if self._standing.role is Role.CLOSED:
            return None
        due = self._standing.next_timer()
        heard = self.session.due
        if heard is not None and (due is None or heard < due):
            due = heard
        if self._needs_watch() and (due is None or self._watch.due < due):
            due = self._watch.due
        end = self._linger_end()
        return end if due is None or (end is not None and end < due) else due

    def _idle(self) -> None:
        if self.outbox.pending or self.outbox.verdicts:
            self.push()

    def _close(self) -> None:
        self._standing.become_closed()
        forking.unregister(self)
        self.driver.stop()
        self._close_wakeup()
        # Nobody will answer them any more; whoever waits for one is told.
        self.session.completed += self.outbox.open_calls()

    def _close_wakeup(self) -> None:
        """The last to poll closes it: a poll that lost the descriptor would not wake. No poll begins after the end."""
        if not self._polls:
            self._standing.wakeup.close()

    def _mend_selector(self) -> None:
        standing = self._standing
        if self.closing and standing.file.is_abandoned:
            self._close()
        elif standing.selector.get_map() is None:
            standing.become_candidate()

    # What is said

    def _needs_watch(self) -> bool:
        return self.role is not Role.LEADER and (self.session.is_waiting or not self.is_flushed())

    def _log(self, level: int, text: str, error: BaseException | None = None) -> None:
        self._logs.append((level, f"group {self.paths.name!r}: {text}", error))

    def _after_step(self) -> None:
        """Calls foreign code, so never with the lock held: a log handler may put into this very queue."""
        completed = self.session.completed
        while completed:
            try:
                call = completed.popleft()
            except IndexError:
                break
            callback, call.callback = call.callback, None
            if callback is not None:
                callback(call)
        while self._logs:
            try:
                level, text, error = self._logs.popleft()
            except IndexError:
                return
            try:
                logger.log(level, "%s", text, exc_info=error)
            except Exception:
                # A handler of the program's that raises must not end the thread on which the group depends.
                if logging.raiseExceptions:
                    traceback.print_exc()
