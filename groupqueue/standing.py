"""
What a member is in its group, and how it changes from the one to the other.

    CANDIDATE --- the lock is free --> LEADER          (not in mode "client")
    CANDIDATE --- somebody answers --> FOLLOWER
    FOLLOWER, LEADER -- the connection, or the role, is lost --> CANDIDATE
    any -- goodbye --> CLOSED

Each `become_x` sets everything that the role needs, and nothing else assigns the role. Whatever goes wrong inside a
role is its crash: it is dropped as a whole and the member is a candidate again; the journal and the session carry
what must not be lost. Everything here requires the member's lock.
"""

from __future__ import annotations

import enum
import logging
import os
import selectors
import threading
from collections import deque
from contextlib import ExitStack
from threading import get_ident
from typing import TYPE_CHECKING, Protocol

from groupqueue.core import messages as m
from groupqueue.core.inbox import Inbox
from groupqueue.core.outbox import Outbox
from groupqueue.core.session import Session
from groupqueue.core.wire import WireError
from groupqueue.exceptions import GroupDirectoryError, GroupMismatchError, GroupVersionError
from groupqueue.follower import Follower
from groupqueue.options import Options
from groupqueue.retry import Retry
from groupqueue.system.cursors import MemberFile
from groupqueue.system.deadline import now
from groupqueue.system.leadership import Leadership
from groupqueue.system.membership import Membership
from groupqueue.system.shortage import remedy_of
from groupqueue.system.transport import Closed, Connection, connect
from groupqueue.system.wakeup import Wakeup

if TYPE_CHECKING:
    from groupqueue.leader import Leader

PATIENCE = 0.005
"""Seconds that a message waits for a decoder to end; a leader has others to serve."""


class Log(Protocol):
    """Keeps what is to be said once the lock is free."""

    def __call__(self, level: int, text: str, error: BaseException | None = None) -> None: ...


class Role(enum.Enum):
    CANDIDATE = "candidate"
    FOLLOWER = "follower"
    LEADER = "leader"
    CLOSED = "closed"


def _leader_type() -> type[Leader]:
    """Late: it brings a third of the package, for those only who may lead. But with the member, whose making no fork
    comes in the midst of; and nobody is to wait for it when a leader has died.
    """
    from groupqueue.leader import Leader

    return Leader


class Standing:
    """See the module."""

    role: Role

    def __init__(self, membership: Membership, options: Options, log: Log) -> None:
        self._leader_type = _leader_type() if options.mode != "client" else None
        self.membership = membership
        self.paths = membership.paths
        self.file = MemberFile(self.paths.members)
        self.inbox_lock = threading.RLock()
        self.inbox = Inbox(self.file.words, self.file.ring)
        self.outbox = Outbox(options.max_attempts, options.durable)
        self.session = Session(self.file.member, os.getpid(), options.mode, self.outbox, self.inbox, self.file.words)
        self.session.is_bounded = membership.terms.maxsize > 0
        self._log = log
        self._warned_of = ""
        self._crashed_with = ""
        self._retry = Retry()
        self.changed_at = now()
        self._follower: Follower | None = None
        self._leader: Leader | None = None
        self._is_whole = True
        self._late: deque[m.Message] = deque()
        with ExitStack() as undo:
            undo.callback(self.file.remove)
            self.wakeup = Wakeup()
            undo.callback(self.wakeup.close)
            self.selector = selectors.DefaultSelector()
            undo.callback(lambda: self.selector.close())  # noqa: PLW0108  # another one by then
            self.become_candidate()
            undo.pop_all()

    @property
    def is_leader(self) -> bool:
        """Whether it leads, which begins when recovery has ended."""
        return self._leader is not None and self._leader.is_serving

    # Steps

    def handle(self, events: list[tuple[selectors.SelectorKey, int]]) -> None:
        """What a poll has found, and what is due by now."""
        if not self._is_whole:
            self.become_candidate()
            return
        if self._late:
            self._try_late()
        for key, mask in events:
            key.data(mask)
        leader = self._leader
        if leader is not None:
            if now() >= leader.next_timer():
                leader.on_timer()
        elif self.role is Role.CANDIDATE and now() >= self._retry.at:
            self._campaign()

    def emit(self, messages: list[m.Message]) -> None:
        """Sends what the session says to whoever leads."""
        if self._leader is not None:
            self._leader.say(messages)
        elif self._follower is not None:
            try:
                self._follower.say(messages)
            except Closed:
                self.become_candidate()
            except WireError as error:
                self._leave(error)

    def finish(self) -> None:
        """Ends a step: a leader decides, and sends what was decided."""
        if self._leader is not None:
            self._leader.finish()
        if self.session.misplaced:
            self._rejoin(keep=False)

    def next_timer(self) -> float | None:
        """When `handle` is due at the latest; None if nothing but an event matters."""
        if not self._is_whole:
            return 0.0
        if self._late:
            return now() + PATIENCE
        if self._leader is not None:
            return self._leader.next_timer()
        return self._retry.at if self.role is Role.CANDIDATE else None

    def goodbye(self) -> None:
        """Tells the leader, if there is one, that this member leaves."""
        if self._leader is not None:
            self._leader.goodbye()
        elif self._follower is not None and self.session.welcome is not None:
            self._follower.goodbye()

    def abandon(self) -> None:
        """In a forked child: the parent's role, lock and connections are not ours. All but the membership goes."""
        self._let_go()
        self.selector.close()
        self.wakeup.abandon()
        self.file.abandon()
        self.role = Role.CLOSED

    def _on_wakeup(self, mask: int) -> None:
        self.wakeup.clear()

    def _on_connection(self, mask: int) -> None:
        follower = self._follower
        if follower is None:
            return
        try:
            follower.serve(mask)
        except Closed:
            self.become_candidate()
            self._campaign()
        except WireError as error:
            self._leave(error)
        if self.session.refusal:
            refusal, self.session.refusal = self.session.refusal, ""
            self._log(logging.ERROR, refusal)
            self.become_candidate()
            self._retry.refused()
        elif self.session.misplaced:
            self._rejoin(keep=False)

    def _leave(self, error: WireError) -> None:
        """The leader says what cannot be understood."""
        self._log(logging.ERROR, f"the leader, process {self.session.leader_pid}, does not speak our protocol: {error}")
        self.become_candidate()
        self._retry.refused()

    def _receive(self, message: m.Message) -> None:
        """Hands a message to the session, or keeps it while a decoder, which is foreign code, takes long."""
        self._late.append(message)
        if get_ident() == threading.main_thread().ident:
            # By `with` only: a Ctrl-C behind an acquire would leave the lock taken.
            with self.inbox_lock:
                self._hear_late()
        elif self.inbox_lock.acquire(timeout=PATIENCE):
            try:
                self._hear_late()
            finally:
                self.inbox_lock.release()

    def _keep_late(self, message: m.Message) -> None:
        """As `_receive`, in the midst of a put, which is not to wait for a decoder: what concerns the inbox is left to
        the next step.
        """
        if type(message) is m.Ack and not self._late:
            self.session.receive(message, now())
        else:
            self._late.append(message)
            self.wakeup.set()

    def _hear_late(self) -> None:
        late = self._late
        while late:
            message = late.popleft()
            self.session.receive(message, now())
            if type(message) is m.Welcome and self._leader is None:
                self._retry.succeeded()
                self._warned_of = ""

    def _try_late(self) -> None:
        if self.inbox_lock.acquire(blocking=False):
            try:
                self._hear_late()
            finally:
                self.inbox_lock.release()

    # Roles

    def _campaign(self) -> None:
        """A candidate's step: take the lead if it is free, else find who has it."""
        try:
            if not self.membership.is_intact():
                self._rejoin()
                return
            if self._leader_type is not None:
                leadership = Leadership.try_take(self.paths)
                if leadership is not None:
                    try:
                        self._become_leader(leadership, self._leader_type)
                    except BaseException:
                        # It owns the lock once it is made, and an interruption may have come before.
                        leadership.close()
                        raise
                    return
            connection = connect(self.paths.socket)
            if connection is not None:
                self._become_follower(connection)
                return
        except FileNotFoundError:
            self._rejoin()
            return
        except (PermissionError, GroupDirectoryError) as error:
            self._warn_once(logging.ERROR, f"can neither lead nor reach who leads: {error}")
            self._retry.refused()
            return
        self._retry.failed()

    def become_candidate(self) -> None:
        """Whatever the role was, it is dropped as a whole. If an exception cuts that short, it is done again first."""
        self._is_whole = False
        self.role = Role.CANDIDATE
        # Who polls the connection that has just gone would sleep on.
        self.wakeup.set()
        self._let_go()
        self._reset_selector()
        self._late.clear()
        self.session.disconnect()
        self._retry.at_once()
        self._is_whole = True
        self.wakeup.set()

    def _become_follower(self, connection: Connection) -> None:
        self._follower = Follower(
            connection, self.selector, self._on_connection, self._receive, self._keep_late, self.paths.journal
        )
        with self.inbox_lock:
            hello = self.session.hello()
        self.role = Role.FOLLOWER
        self.changed_at = now()
        self.emit([hello])

    def _become_leader(self, leadership: Leadership, leader_type: type[Leader]) -> None:
        self.role = Role.LEADER
        self._retry.won()
        self._leader = leader_type(
            leadership,
            self.paths,
            self.membership.terms,
            self.selector,
            self.session,
            self._receive,
            self._log,
        )
        self.finish()

    def become_closed(self) -> None:
        """The end, after `goodbye`: nothing of the group is ours any more."""
        self._let_go()
        self.selector.close()
        with self.inbox_lock:
            self.session.disconnect()
            self._use_words(memoryview(bytearray(4096)).cast("Q"), memoryview(bytearray(4096)))
            self.file.abandon()
        self.membership.leave()
        self.role = Role.CLOSED

    def undo(self) -> None:
        """The member could not be opened after all: as if it had never been."""
        self.become_closed()
        self.file.remove()
        self.wakeup.close()

    def _let_go(self) -> None:
        leader, self._leader = self._leader, None
        follower, self._follower = self._follower, None
        if leader is not None:
            leader.drop()
        if follower is not None:
            follower.drop()

    def _use_words(self, words: memoryview, ring: memoryview) -> list[tuple[bytes, int]]:
        """Another member file, or none; returns what had been granted and not been taken."""
        self.session.words = words
        return self.inbox.rebind(words, ring)

    def _rejoin(self, keep: bool = True) -> None:
        """The group's folder is gone or made anew, or its journal does not know us: begin again under another id.

        With `keep`, what we were granted and have not taken is put again: nobody else has it any more.
        """
        old, self.membership = self.membership, self._join_again()
        old.leave()
        file = MemberFile(self.paths.members)
        self.become_candidate()
        with self.inbox_lock:
            self.session.rename(file.member)
            self.session.is_bounded = self.membership.terms.maxsize > 0
            left = self._use_words(file.words, file.ring)
            self.file.remove()
            self.file = file
        if keep:
            self.outbox.pending[:0] = [payload for payload, _ in left]

    def _join_again(self) -> Membership:
        """With the bound that the group had, unless somebody has made it anew with another."""
        try:
            return Membership.join(self.paths, self.membership.terms.maxsize)
        except GroupMismatchError:
            return Membership.join(self.paths, None)

    def crash(self, error: BaseException, interrupted: bool) -> None:
        """Something unexpected happened in the role: it is dropped, and won again by recovery.

        Nothing is wrong with a role that was only interrupted.
        """
        if self.role is Role.CLOSED:
            return
        if self._retry.has_lasted:
            self._warned_of = self._crashed_with = ""
        if interrupted:
            pass
        elif remedy_of(error):
            self._warn_once(
                logging.WARNING,
                f"this process has no file descriptor left for the role of {self.role.value} ({error}): it lets others "
                f"lead, and tries again every few seconds; {remedy_of(error)}",
            )
        elif isinstance(error, GroupVersionError):
            self._warn_once(logging.ERROR, str(error))
        else:
            text = f"the role of {self.role.value} crashed and starts anew: {error!r}"
            self._log(logging.ERROR, text, error if text != self._crashed_with else None)
            self._crashed_with = text
        try:
            self.become_candidate()
        finally:
            if remedy_of(error):
                self._retry.ran_short()
            elif not interrupted:
                self._retry.crashed()

    def _warn_once(self, level: int, text: str) -> None:
        if self._warned_of != text:
            self._warned_of = text
            self._log(level, text)

    def _reset_selector(self) -> None:
        try:
            fresh = selectors.DefaultSelector()
        except OSError:
            # Without a descriptor for another one this one is emptied, unless it is closed.
            known = self.selector.get_map()
            if known is None:
                raise
            for key in list(known.values()):
                self.selector.unregister(key.fileobj)
        else:
            self.selector.close()
            self.selector = fresh
        self.selector.register(self.wakeup.fd, selectors.EVENT_READ, self._on_wakeup)
