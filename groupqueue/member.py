"""
One process in one group: it follows, or it leads, and it changes from the one to the other.

    CANDIDATE --- the lock is free --> LEADER          (not in mode "client")
    CANDIDATE --- somebody answers --> FOLLOWER
    FOLLOWER, LEADER -- the connection, or the role, is lost --> CANDIDATE
    any -- goodbye --> CLOSED

Each `_become_x` sets everything that the role needs, and nothing else assigns the role. Whatever goes wrong inside a
role is its crash: it is dropped as a whole and the member is a candidate again; the journal and the session carry
what must not be lost.

Threads: the callers', and one of our own in the background, which drives the I/O while no caller does (`Driver`). The
lock guards the session and the role. It is re-entrant so that a signal handler on top of its holder cannot deadlock;
`_busy` names the holder, and who finds itself there leaves its work to the frame below.
"""

from __future__ import annotations

import enum
import logging
import os
import selectors
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import get_ident
from typing import Any

from groupqueue.core import messages as m
from groupqueue.core.calls import Call, Question
from groupqueue.core.inbox import ATTENTION, Inbox, Item
from groupqueue.core.outbox import Outbox, Verdict
from groupqueue.core.session import Session
from groupqueue.core.wire import WireError
from groupqueue.exceptions import GroupVersionError
from groupqueue.holdings import Unfinished
from groupqueue.leader import Leader
from groupqueue.system import forking, process
from groupqueue.system.cursors import MemberFile
from groupqueue.system.deadline import Deadline, now
from groupqueue.system.driver import Driver
from groupqueue.system.leadership import Leadership, is_led, read_note
from groupqueue.system.membership import Membership, create_anonymous
from groupqueue.system.paths import GroupPaths
from groupqueue.system.transport import SCRATCH, Closed, Connection, connect
from groupqueue.system.wakeup import Wakeup

logger = logging.getLogger("groupqueue")

FIRST_RETRY = 0.001
SOON_RETRY = 0.008
SOON_TRIES = 50
LAST_RETRY = 0.05
CRASH_RETRY = 0.5
WATCH = 2.0
NO_LEADER = 1.0
MAX_UNACKED_BYTES = 16 * 1024 * 1024
MAX_UNACKED = 100_000
BATCH = 256
MAX_PENDING = 1024
BIG = 64 * 1024
PUSH_INTERVAL = 0.0005
LINGER_WARNING = 3.0


class Role(enum.Enum):
    CANDIDATE = "candidate"
    FOLLOWER = "follower"
    LEADER = "leader"
    CLOSED = "closed"


class Options:
    """What a member was opened with, as far as it concerns more than the face."""

    __slots__ = ("delivery", "durable", "linger", "max_attempts", "maxsize", "mode")

    def __init__(
        self,
        mode: str,
        delivery: str,
        maxsize: int | None,
        linger: float | None,
        max_attempts: int,
        durable: bool,
    ) -> None:
        self.mode = mode
        self.delivery = delivery
        self.maxsize = maxsize
        self.linger = linger
        self.max_attempts = max_attempts
        self.durable = durable


class Member:
    """See the module. The methods that wait raise nothing but what a signal handler raises; they return False in
    time.
    """

    def __init__(self, paths: GroupPaths | None, directory: str, options: Options, create: bool = True) -> None:
        self.options = options
        self.role = Role.CANDIDATE
        self.closing = False
        if paths is None:
            self._membership = create_anonymous(directory, options.maxsize)
        else:
            self._membership = Membership.join(paths, options.maxsize, create)
        self.paths = self._membership.paths
        try:
            self._open()
        except BaseException:
            self._membership.leave()
            raise
        forking.register(self)

    def _open(self) -> None:
        """Everything that is this process's alone."""
        options = self.options
        self._file = MemberFile(self.paths.members)
        self._lock = threading.RLock()
        self._busy = 0
        self.inbox_lock = threading.RLock()
        self.put_lock = threading.RLock()
        self.words = self._file.words
        self.outbox = Outbox(options.max_attempts, options.durable)
        self.inbox = Inbox(self._file.words, self._file.ring)
        self.session = Session(self._file.member, os.getpid(), options.mode, self.outbox, self.inbox, self._file.words)
        self.armed = False
        self.pushed_at = 0.0
        self.closing = False
        self.closed_by_exit = False
        self.revived = False
        self.backed_up = False
        self.deferred: deque[Exception] = deque()
        self.current: dict[int, Item | None] = {}
        self.unfinished = Unfinished()
        self.owing = 0
        self._selector = selectors.DefaultSelector()
        self._wakeup = Wakeup()
        self._selector.register(self._wakeup.fd, selectors.EVENT_READ, self._on_wakeup)
        self._connection: Connection | None = None
        self._interest = 0
        self._leader: Leader | None = None
        self._scratch = bytearray(SCRATCH)
        self._logs: deque[tuple[int, str, BaseException | None]] = deque()
        self._retry_at = now()
        self._retry = FIRST_RETRY
        self._tries = 0
        self._watch_at = now() + WATCH
        self._warned_of = ""
        self._linger: Deadline | None = None
        self.driver = Driver(self._turn, self._wakeup.set, self._idle)
        self._become_candidate()
        self._start_thread()

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
        return self._membership.terms.maxsize

    @property
    def is_bounded(self) -> bool:
        return self._membership.terms.maxsize > 0

    @property
    def is_used(self) -> bool:
        """Whether anything was ever put or got here."""
        return self.outbox.put_count > 0 or self.session.was_granted

    @property
    def is_leader(self) -> bool:
        return self.role is Role.LEADER

    @property
    def is_connected(self) -> bool:
        """Whether a leader has answered and the connection stands."""
        return self.session.welcome is not None

    @property
    def is_closed(self) -> bool:
        return self.role is Role.CLOSED

    @property
    def leader_pid(self) -> int | None:
        welcome = self.session.welcome
        return welcome.pid if welcome is not None else None

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
        """Has what is pending sent soon by another thread."""
        self.armed = True
        self._wakeup.set()

    def wait(self, ready: Callable[[], bool], deadline: Deadline) -> bool:
        """Drives until `ready()`; False when the deadline comes first."""
        return self.driver.wait(ready, deadline)

    def ask(self, request: dict[str, Any], deadline: Deadline) -> tuple[dict[str, Any], memoryview] | None:
        """The leader's answer; None if there is none in time."""
        with self._lock:
            question = self.session.ask(request)
        try:
            self.push()
            self.wait(lambda: question.answer is not None or self.is_closed, deadline)
        finally:
            self.forget(question)
        return question.answer

    def forget(self, question: Question) -> None:
        with self._lock:
            self.session.forget(question)

    def wait_for_item(self, deadline: Deadline) -> bool:
        """Waits until get can return something, or will never: shut down or closed."""
        session = self.session
        inbox = self.inbox

        def ready() -> bool:
            return inbox.count > 0 or session.drained or session.shutdown == 2 or self.closing

        if self.options.delivery == "leader":
            return self._wait_as_getter(lambda: (self.role is Role.LEADER and ready()) or self.closing, deadline)
        return self._wait_as_getter(ready, deadline)

    def _wait_as_getter(self, ready: Callable[[], bool], deadline: Deadline) -> bool:
        session = self.session
        with self._lock:
            session.getters += 1
        try:
            self.push()
            return self.wait(ready, deadline)
        finally:
            with self._lock:
                session.getters -= 1
            if not session.getters and not self.inbox.count:
                self.push()

    def poll_item(self, deadline: Deadline) -> None:
        """Asks the leader once for an item, and waits for the answer."""
        session = self.session
        with self._lock:
            ticket = session.ask_for_item()
        self.push()
        self.wait(lambda: self.inbox.count > 0 or session.is_answered(ticket) or self.closing, deadline)

    def put_bounded(self, entry: tuple[bytes, Call | None], block: bool, deadline: Deadline) -> bool:
        """Puts into a bounded group; False, and nothing is put, if there is no room, or none in time."""
        session = self.session
        while True:
            with self.put_lock:
                if session.credit > 0:
                    self.outbox.pending.append(entry)
                    return True
            if self.closing or session.shutdown or self.is_beneath:
                return False
            ticket = 0
            try:
                with self._lock:
                    if block:
                        session.putters += 1
                    else:
                        ticket = session.ask_for_credit()
                self.push()
                done = self.wait(partial(self._may_put, ticket), deadline)
            finally:
                if block:
                    with self._lock:
                        session.putters -= 1
                    if not session.putters and session.credit <= 0:
                        self.push()
            if session.credit <= 0 and (not done or ticket):
                return False

    def _may_put(self, ticket: int) -> bool:
        """Whether a put that waits for room, or for the answer to this ticket, need not wait any longer."""
        session = self.session
        answered = ticket > 0 and session.is_answered(ticket)
        return session.credit > 0 or self.closing or session.shutdown > 0 or answered

    @property
    def is_beneath(self) -> bool:
        """Whether this call interrupted our own poll or step, on the same thread: it must not wait."""
        return self.driver.is_driving or self._busy == get_ident()

    def defer(self, error: Exception) -> None:
        """An error that a later get shall raise."""
        self.deferred.append(error)
        self.owing += 1

    def raise_deferred(self) -> None:
        try:
            error = self.deferred.popleft()
        except IndexError:
            return
        self.owing -= 1
        raise error

    def drop_hand(self) -> None:
        """What this thread took to hold, and will never see because something was raised, goes back to its place."""
        item = self.inbox.in_hand.pop(get_ident(), None)
        if item is not None:
            self.say(Verdict(m.Requeue, item.id, item.attempt))

    def say(self, verdict: Verdict) -> None:
        """Tells the leader what became of a held item; it is told again until it is in the journal."""
        self.outbox.verdicts.append(verdict)
        if len(self.outbox.verdicts) >= BATCH or verdict.kind is not m.Done:
            self.push()
        elif not self.armed:
            self.push_soon()

    def push_soon(self) -> None:
        """Sends at once after a pause, else together with what comes within a moment."""
        time = now()
        if time - self.pushed_at > PUSH_INTERVAL or forking.is_exiting():
            self.push()
        else:
            self.arm()

    def withdraw(self, call: Call, grace: float) -> bool:
        """Takes an item back that nobody has got; False if somebody has, or if that cannot be known in time."""
        with self._lock:
            self.session.withdraw(call)
        self.push()
        if call.seq:
            self.wait(lambda: call.gone is not None or call.answer is not None, Deadline(grace))
        return call.gone is not False

    def answer_attention(self) -> None:
        """The leader has set our mapped word: it wants to know, or have, what is left."""
        self._run(self._answer_attention)

    def _answer_attention(self) -> None:
        with self.inbox_lock:
            state = int(self.words[ATTENTION])
            self.words[ATTENTION] = 0
            connected = self.session.welcome is not None
            message = self.session.answer_attention(state) if state and connected else None
        if message is not None:
            self._emit([message])
            if self._leader is not None:
                self._leader.finish()

    def is_flushed(self) -> bool:
        outbox = self.outbox
        return not (outbox.pending or outbox.unacked or outbox.verdicts or outbox.unsettled)

    # Closing

    def close(self) -> None:
        """Begins to close; the background thread flushes and says goodbye."""
        if not self.closing:
            self.closing = True
            self._linger = Deadline(self.options.linger)
            self._wakeup.set()
            self.driver.notify()
            if not self.driver.is_alive:
                self.finish_closing(None)

    def finish_closing(self, timeout: float | None) -> bool:
        """Waits until everything is flushed and the member is gone."""
        self.close_quietly()
        deadline = Deadline(timeout)
        while not self.is_closed:
            step = deadline.sooner(LINGER_WARNING)
            if self.wait(lambda: self.is_closed, Deadline(step)):
                break
            if deadline.expired:
                return False
            waiting = self.outbox.waiting
            logger.warning(
                "group %r: closing waits for a leader to take %d item(s)%s",
                self.paths.name,
                waiting,
                self._why_no_leader(),
            )
        return True

    def close_quietly(self) -> None:
        if not self.closing:
            self.closing = True
            self._linger = Deadline(self.options.linger)
            self._wakeup.set()
            self.driver.notify()

    def at_exit(self) -> None:
        if not self.is_closed:
            self.closed_by_exit = not self.closing
            self.finish_closing(None)

    def revive(self) -> None:
        """After the interpreter's exit has begun and closed this member: open it once more, for a last put."""
        self._membership = Membership.join(self.paths, None)
        self._open()
        self.revived = True

    def cancel_flush(self) -> None:
        """What is not sent by now need not be."""
        self._linger = Deadline(0)
        self.options.linger = 0

    def after_fork(self) -> None:
        """In a forked child: the parent's role, locks and connections are not ours; join as a new member."""
        if self.role is Role.CLOSED:
            return
        inherited = self._membership
        self._let_go()
        self._file.abandon()
        try:
            self._membership = Membership.join(self.paths, None)
            self._open()
        except Exception as error:
            self.role = Role.CLOSED
            self.closing = True
            self._logs.append((logging.ERROR, f"cannot rejoin after a fork: {error}", error))
        finally:
            inherited.abandon()

    def _let_go(self) -> None:
        leader, self._leader = self._leader, None
        if leader is not None:
            leader.drop()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()
        self._selector.close()
        self._wakeup.close()

    # Turns

    def _turn(self, timeout: float | None) -> None:
        """Polls once and handles what came. Only the driver calls this."""
        timer = self._next_timer()
        if timer is not None:
            left = max(timer - now(), 0.0)
            timeout = left if timeout is None else min(timeout, left)
        if self.outbox.pending or self.outbox.verdicts:
            timeout = 0.0
        try:
            events = self._selector.select(timeout)
        except (OSError, ValueError):
            # Closed beneath us, by another thread, or by our own closing that a Ctrl-C cut short.
            if self.role is not Role.CLOSED:
                with self._lock:
                    self._mend_selector()
            return
        self._run(partial(self._step, events))

    def _run(self, step: Callable[[], None]) -> None:
        """Runs a step of the role under the lock; what it raises is the role's crash. Beneath a step: does nothing."""
        me = get_ident()
        if self._busy == me:
            return
        with self._lock:
            try:
                self._busy = me
                step()
            except Exception as error:
                self._crash(error)
            except BaseException as error:
                self._crash(error)
                raise
            finally:
                self._busy = 0
        if self._logs or self.session.completed:
            self._after_step()
        self.driver.notify()

    def _step(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        if self.role is Role.CLOSED:
            return
        for key, mask in events:
            key.data(mask)
        time = now()
        leader = self._leader
        if self.role is Role.CANDIDATE and time >= self._retry_at:
            self._campaign()
        elif leader is not None and time >= leader.next_timer():
            leader.on_timer()
        if time >= self._watch_at:
            self._watch_at = time + WATCH
            self._watch()
        self._send_pending()
        if self.closing:
            self._maybe_say_goodbye()

    def _send_pending(self) -> None:
        """Requires the lock and `_busy`."""
        self.armed = False
        self.pushed_at = now()
        messages = self.session.collect(self.pushed_at)
        if messages:
            self._emit(messages)
        if self._leader is not None:
            self._leader.finish()
        outbox = self.outbox
        self.backed_up = outbox.unacked_bytes > MAX_UNACKED_BYTES or outbox.unacked_count > MAX_UNACKED
        forking.hook_multiprocessing()

    def _emit(self, messages: list[m.Message]) -> None:
        if self._leader is not None:
            self._leader.say(messages)
        elif self._connection is not None:
            try:
                for message in messages:
                    self._connection.send(message)
                self._set_interest()
            except Closed:
                self._become_candidate()

    def _next_timer(self) -> float | None:
        if self.role is Role.CLOSED:
            return None
        due = None
        if self._leader is not None:
            due = self._leader.next_timer()
        elif self.role is Role.CANDIDATE:
            due = self._retry_at
        if self._needs_watch() and (due is None or self._watch_at < due):
            due = self._watch_at
        if self.closing and self._linger is not None:
            left = self._linger.remaining()
            if left is not None and (due is None or now() + left < due):
                due = now() + left
        return due

    def _idle(self) -> None:
        if self.outbox.pending or self.outbox.verdicts:
            self.push()

    def _on_wakeup(self, mask: int) -> None:
        self._wakeup.clear()

    def _on_connection(self, mask: int) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            if mask & selectors.EVENT_WRITE:
                connection.flush()
            if mask & selectors.EVENT_READ:
                for message in connection.receive(self._scratch, keep=True):
                    self._receive(message)
            self._set_interest()
        except Closed:
            self._become_candidate()
            self._campaign()
        except WireError as error:
            self._log(logging.ERROR, f"the leader, process {self.leader_pid}, does not speak our protocol: {error}")
            self._become_candidate()
        if self.session.refusal:
            refusal, self.session.refusal = self.session.refusal, ""
            self._log(logging.ERROR, refusal)
            self._become_candidate()
            self._retry_at = now() + CRASH_RETRY
        elif self.session.misplaced:
            self._rejoin(keep=False)

    def _receive(self, message: m.Message) -> None:
        with self.inbox_lock:
            self.session.receive(message, now())
        if type(message) is m.Welcome:
            self._retry = FIRST_RETRY
            self._tries = 0
            self._warned_of = ""

    def _set_interest(self) -> None:
        connection = self._connection
        if connection is None:
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.queued else 0)
        if wanted != self._interest:
            self._selector.modify(connection.sock, wanted, self._on_connection)
            self._interest = wanted

    # Roles

    def _campaign(self) -> None:
        """A candidate's step: take the lead if it is free, else find who has it."""
        try:
            if not self._membership.is_intact():
                self._rejoin()
                return
            if self.options.mode != "client":
                leadership = Leadership.try_take(self.paths)
                if leadership is not None:
                    self._become_leader(leadership)
                    return
            connection = connect(self.paths.socket)
            if connection is not None:
                self._become_follower(connection)
                return
        except FileNotFoundError:
            self._rejoin()
            return
        except PermissionError as error:
            self._log(logging.ERROR, f"cannot reach the leader: {error}")
            self._retry = CRASH_RETRY
        self._retry_at = now() + self._retry
        self._tries += 1
        self._retry = min(2 * self._retry, SOON_RETRY if self._tries < SOON_TRIES else LAST_RETRY)

    def _become_candidate(self) -> None:
        leader, self._leader = self._leader, None
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                self._selector.unregister(connection.sock)
            except (KeyError, ValueError):
                pass
            connection.close()
        if leader is not None:
            leader.drop()
            self._reset_selector()
        self.session.disconnect()
        self._interest = 0
        self._retry_at = now()
        self.role = Role.CANDIDATE

    def _become_follower(self, connection: Connection) -> None:
        self._connection = connection
        self._interest = selectors.EVENT_READ
        self._selector.register(connection.sock, self._interest, self._on_connection)
        with self.inbox_lock:
            hello = self.session.hello()
        self.role = Role.FOLLOWER
        self._watch_at = now() + WATCH
        try:
            connection.send(hello)
        except Closed:
            self._become_candidate()

    def _become_leader(self, leadership: Leadership) -> None:
        self.role = Role.LEADER
        self._leader = Leader(
            leadership,
            self.paths,
            self._membership.terms,
            self._selector,
            self.session,
            self._receive,
            self._log,
        )
        self._leader.finish()

    def _become_closed(self) -> None:
        leader, self._leader = self._leader, None
        connection, self._connection = self._connection, None
        if leader is not None:
            leader.drop()
        if connection is not None:
            connection.close()
        self._selector.close()
        with self.inbox_lock:
            self.session.disconnect()
            self._use_words(memoryview(bytearray(4096)).cast("Q"), memoryview(bytearray(4096)))
            self._file.abandon()
        self._membership.leave()
        forking.unregister(self)
        self.role = Role.CLOSED
        self.driver.stop()

    def _use_words(self, words: memoryview, ring: memoryview) -> list[tuple[bytes, int]]:
        """Another member file, or none; returns what had been granted and not been taken."""
        self.words = words
        self.session.words = words
        return self.inbox.rebind(words, ring)

    def _rejoin(self, keep: bool = True) -> None:
        """The group's folder is gone or made anew, or its journal does not know us: begin again under another id.

        With `keep`, what we were granted and have not taken is put again: nobody else has it any more.
        """
        old, self._membership = self._membership, Membership.join(self.paths, None)
        old.leave()
        file = MemberFile(self.paths.members)
        self._become_candidate()
        with self.inbox_lock:
            self.session.rename(file.member)
            left = self._use_words(file.words, file.ring)
            self._file.remove()
            self._file = file
        if keep:
            self.outbox.pending[:0] = [(payload, None) for payload, _ in left]

    def _crash(self, error: BaseException) -> None:
        """Something unexpected happened in the role: it is dropped, and won again by recovery."""
        if self.role is Role.CLOSED:
            return
        if isinstance(error, GroupVersionError):
            if self._warned_of != str(error):
                self._warned_of = str(error)
                self._log(logging.ERROR, str(error))
        elif isinstance(error, Exception):
            self._log(logging.ERROR, f"the role of {self.role.value} crashed and starts anew: {error!r}", error)
        try:
            self._become_candidate()
        finally:
            if isinstance(error, Exception):
                self._retry_at = now() + self._retry
                self._retry = min(max(2 * self._retry, 0.01), CRASH_RETRY)

    def _mend_selector(self) -> None:
        if self.closing and self._file.is_abandoned:
            self._become_closed()
        elif self._selector.get_map() is None:
            self._become_candidate()
            self._reset_selector()

    def _reset_selector(self) -> None:
        self._selector.close()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wakeup.fd, selectors.EVENT_READ, self._on_wakeup)

    def _maybe_say_goodbye(self) -> None:
        expired = self._linger is not None and self._linger.expired
        if not self.is_flushed() and not expired:
            return
        if self.outbox.waiting and self.options.linger != 0:
            self._log(logging.WARNING, f"closed with {self.outbox.waiting} item(s) that no leader had taken")
        if self._leader is not None:
            self._leader.goodbye()
        elif self._connection is not None and self.session.welcome is not None:
            try:
                self._connection.send(m.Bye())
                self._connection.sock.setblocking(True)
                self._connection.sock.settimeout(0.5)
                self._connection.flush()
            except (Closed, OSError):
                pass
        self._become_closed()

    # Watching

    def _needs_watch(self) -> bool:
        return (
            bool(self.session.getters or self.session.putters or self.session.questions or not self.is_flushed())
            and self.role is not Role.LEADER
        )

    def _watch(self) -> None:
        """Somebody waits: say so if it is for a leader that is stopped or silent."""
        if self._needs_watch():
            why = self._why_no_leader()
            if why and why != self._warned_of:
                self._warned_of = why
                self._log(logging.WARNING, f"waits for a leader{why}")

    def _why_no_leader(self) -> str:
        """': process 12, which leads, is stopped' or the like; '' if nothing is wrong."""
        if self.role is Role.LEADER:
            return ""
        note = read_note(self.paths)
        pid = self.leader_pid or (note.pid if note is not None else 0)
        if self.session.welcome is not None and not process.is_stopped(pid):
            return ""
        if not is_led(self.paths):
            return ": there is none, and no member that may lead" if self.options.mode == "client" else ""
        state = process.state_of(pid) if pid else "unknown"
        if state == "gone":
            return f": process {pid}, which led, is gone, but a child that it forked still holds the group's lock"
        return f": process {pid}, which leads, is {state}"

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
            if call.callback is not None:
                call.callback(call)
        while self._logs:
            try:
                level, text, error = self._logs.popleft()
            except IndexError:
                return
            logger.log(level, "%s", text, exc_info=error)
