"""
The leader's half of a group: the locks, the journal, the broker and everybody's connections, as one thing.

It comes into being by recovery, in a straight line: read, settle, serve. While the disk does not sync what was read and
must be there, it stays before the last step, with the lock and without a word to anybody. It goes by `drop`, whatever
the reason: there is no other way out, and nothing to put in order, because the next leader recovers from the journal in
any case. Requires the member's lock.
"""

from __future__ import annotations

import logging
import os
import selectors
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack

from groupqueue.core import messages as m
from groupqueue.core.broker import Broker
from groupqueue.core.peer import Peer
from groupqueue.core.ports import NoRoom
from groupqueue.core.session import Session
from groupqueue.departed import FIRST_LOOK, Departed
from groupqueue.guests import DISK_FULL, RETRY_FULL, Guests
from groupqueue.system.cursors import Cursors
from groupqueue.system.deadline import now
from groupqueue.system.journal import Journal
from groupqueue.system.leadership import Leadership
from groupqueue.system.membership import Terms
from groupqueue.system.paths import GroupPaths
from groupqueue.system.shortage import remedy_of
from groupqueue.system.transport import Listener
from groupqueue.system.unsynced import SyncError

HOUSEKEEPING = 2.0
RETRY_SYNC = 0.25
CHECK_LATE = 0.005
"""Seconds between two turns of checking what was not checked when it came, most of which is gone by then."""
CHECK_BYTES = 1024 * 1024
"""In a turn, which takes a quarter of a millisecond."""
CHECK_AT_END = 256 * 1024 * 1024

OVERTAKES = {m.Want, m.Taken, m.Return}
"""What gets say does not wait behind our own puts for room on the disk: gets are what makes room there."""

NO_NEWS = {m.Ack, m.Settled}
"""Of what our own session is told: it has nothing to say to these, so no further round is needed."""


class SteppedDown(Exception):
    """The paths no longer lead to what this leader has locked."""


class Leader:
    """See the module. `deliver` hands a message to this process's own session. `is_serving`: it has settled."""

    def __init__(
        self,
        leadership: Leadership,
        paths: GroupPaths,
        terms: Terms,
        selector: selectors.BaseSelector,
        session: Session,
        deliver: Callable[[m.Message], None],
        log: Callable[[int, str], None],
    ) -> None:
        self._leadership = leadership
        self._paths = paths
        self._terms = terms
        self._selector = selector
        self._session = session
        self._deliver = deliver
        self._log = log
        self._housekeeping_at = now() + HOUSEKEEPING
        self._check_at = 0.0
        self.is_serving = False
        self._settle_at = 0.0
        self._trouble = ""
        self._local: Peer | None = None
        self._local_backlog: deque[m.Message] = deque()
        self._retry_at = 0.0
        self._cursors = Cursors(paths.members)
        self._journal = Journal(paths.journal, paths.name)
        # In the order in which they were taken; let go in the other, the locks last.
        self._held = ExitStack()
        for held in (leadership, self._cursors, self._journal):
            self._held.callback(held.close)
        try:
            self._recover()
        except BaseException:
            self.drop()
            raise

    def _recover(self) -> None:
        self._journal.recover()
        note = self._leadership.last_note()
        self._epoch = max(self._journal.last_epoch, note.epoch if note is not None else 0) + 1
        self._leadership.note(os.getpid(), self._epoch)
        for damage in self._journal.notes:
            self._log(logging.ERROR, f"the journal is damaged, the rest is delivered: {damage}")
        self._settle()

    def _settle(self) -> None:
        """The last leader may have died between a write and its sync, or of the sync: we are about to call it done."""
        try:
            self._journal.settle(self._epoch)
        except SyncError as error:
            if remedy_of(error):
                # Somebody else may have what it takes.
                raise
            self._settle_at = now() + RETRY_SYNC
            if self._trouble != str(error):
                self._trouble = str(error)
                self._log(logging.WARNING, f"cannot sync the journal: {error}; puts and gets wait until that succeeds")
            return
        if self._trouble:
            self._log(logging.INFO, "the journal is synced; puts and gets go on")
        self._serve()

    def _serve(self) -> None:
        state = self._journal.state
        terms = self._terms
        self._journal.begin(self._epoch, os.getpid())
        self._broker = Broker(state, self._journal, self._cursors, terms.maxsize, terms.generation, os.getpid())
        self._departed = Departed(self._broker, self._cursors)
        time = now()
        known = set(self._cursors.members()) | set(state.grants) | {held.member for held in state.held.values()}
        for member in known:
            if member == self._session.member:
                continue
            if self._cursors.is_dead(member):
                self._departed.bury(member)
            else:
                self._broker.expect(member, time)
                self._departed.add(member, time + FIRST_LOOK)
        self._local = self._broker.hello(self._session.hello(), role="leader")
        listener = Listener(self._paths.socket)
        self._guests = Guests(listener, self._selector, self._broker, self._departed, self._log)
        self._held.callback(self._guests.close)
        self.is_serving = True

    # Turns

    def next_timer(self) -> float:
        """When `on_timer` is due at the latest."""
        if not self.is_serving:
            return self._settle_at
        due = min(self._housekeeping_at, self._guests.due, self._departed.due)
        if self._broker.deadline is not None:
            due = min(due, self._broker.deadline)
        if self._local_backlog:
            due = min(due, self._retry_at)
        if self._journal.unchecked:
            if not self._check_at:
                self._check_at = now() + CHECK_LATE
            due = min(due, self._check_at)
        return due

    def on_timer(self) -> None:
        """What is due by now. Raises SteppedDown if the locked paths are gone."""
        time = now()
        if not self.is_serving:
            self._check_paths()
            if time >= self._settle_at:
                self._settle()
            return
        if time >= self._departed.due:
            self._departed.look(time)
        if self._local_backlog and time >= self._retry_at:
            self._retry_local(time)
        if time >= self._guests.due:
            self._guests.on_timer(time)
        if self._check_at and time >= self._check_at:
            self._check_at = time + CHECK_LATE if self._journal.check_late(CHECK_BYTES) else 0.0
        if time >= self._housekeeping_at:
            self._housekeeping_at = time + HOUSEKEEPING
            self._keep_house(time)

    def say(self, messages: list[m.Message]) -> None:
        """What this process's own session says."""
        time = now()
        for message in messages:
            self._hear_local(message, time)

    def finish(self) -> None:
        """Ends a step: decides, and sends what was decided."""
        if not self.is_serving:
            return
        broker = self._broker
        guests = self._guests
        while True:
            time = now()
            broker.pump(time)
            has_news = False
            for member, message in broker.finish_step():
                if self._local is not None and member == self._local.member:
                    self._deliver(message)
                    has_news = has_news or type(message) not in NO_NEWS
                else:
                    guest = guests.members.get(member)
                    if guest is not None:
                        guests.send(guest, message)
            if not has_news:
                return
            self.say(self._session.collect(time))

    def goodbye(self) -> None:
        """This process's own member leaves: what it holds goes to others."""
        if not self.is_serving:
            return
        self._local = None
        self._departed.part(self._session.member)
        self._journal.check_late(CHECK_AT_END)
        self._journal.tidy()
        self.finish()

    def drop(self) -> None:
        """The end of this leader. Also in a forked child, where it ends the copy."""
        self._held.close()

    # This process's own member

    def _hear_local(self, message: m.Message, time: float) -> None:
        if self._local is None:
            return
        if self._local_backlog and type(message) not in OVERTAKES:
            self._local_backlog.append(message)
            return
        try:
            self._broker.receive(self._local, message, time)
        except NoRoom:
            if not self._local_backlog:
                self._log(logging.WARNING, DISK_FULL)
            self._local_backlog.append(message)
            self._retry_at = time + RETRY_FULL

    def _retry_local(self, time: float) -> None:
        self._retry_at = time + RETRY_FULL
        backlog = self._local_backlog
        try:
            while backlog and self._local is not None:
                self._broker.receive(self._local, backlog[0], time)
                backlog.popleft()
        except NoRoom:
            pass

    # Housekeeping

    def _keep_house(self, time: float) -> None:
        self._check_paths()
        self._broker.keep_house()
        self._journal.tidy()
        for member in self._cursors.members():
            if member not in self._guests.members and member not in self._departed and member != self._session.member:
                self._departed.add(member, time)

    def _check_paths(self) -> None:
        if not self._leadership.is_intact():
            raise SteppedDown(f"{self._paths.lock} or {self._paths.folder} was removed or replaced")
