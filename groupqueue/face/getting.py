"""
The getting half: the calling thread waits, and what it holds is ended when it gets again.
"""

from __future__ import annotations

from threading import current_thread, get_ident
from typing import Any

from groupqueue.core import messages as m
from groupqueue.core.inbox import ATTENTION, Item
from groupqueue.exceptions import DecodeError, Empty, ShutDown
from groupqueue.face.handle import NO_LEADER, Blocking, T
from groupqueue.face.incoming import Incoming, check_count
from groupqueue.interrupts import is_interrupt
from groupqueue.message import Message
from groupqueue.system.deadline import Deadline

TOGETHER = 32
"""Items that `get_many` takes at a time: a thread that hears the leader waits for the last to be decoded."""

_NOTHING = object()


class Getting(Incoming[T], Blocking[T]):
    """See the module."""

    _plain_get: bool

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Takes the next item and returns its object.

        Raises Empty if there is none (in time), ShutDown, DecodeError for an item that cannot be rebuilt here (it is
        then on the failed list, and the queue goes on), ValueError on a closed queue.

            job = q.get()
            job = q.get(timeout=5)
        """
        member = self._member
        if self._plain_get and not member.closing and not member.holdings.owing and not member.inbox.is_decoding:
            obj: Any = _NOTHING
            try:
                with member.inbox_lock:
                    obj = member.inbox.take_plain(self._loads)
                if member.inbox.words[ATTENTION]:
                    member.answer_attention()
                return obj  # type: ignore[no-any-return]
            except BaseException as error:
                if obj is not _NOTHING:
                    member.holdings.put_aside((obj,))
                    raise
                if not isinstance(error, LookupError):
                    raise
                if error.__cause__ is not None and is_interrupt(error.__cause__):
                    raise error.__cause__ from None
        return self._receive(block, timeout)  # type: ignore[no-any-return]

    def get_nowait(self) -> T:
        """As `get(block=False)`.

        Raises Empty if there is none, and as get does.

            try:
                job = q.get_nowait()
            except Empty:
                job = None
        """
        return self.get(False)

    def get_many(self, max_items: int, block: bool = True, timeout: float | None = None) -> list[T]:
        """A list of up to `max_items` objects; waits for the first only. Raises as get does, if there is no first.

        An item that a `put_wait` waits for is the last of its list: `reply` answers it. One behind the first that
        cannot be decoded ends the list; the next get raises its DecodeError. Raises ValueError for less than one item.

            for job in q.get_many(100):
                work(job)
        """
        check_count(max_items)
        member = self._member
        member.session.wanted = min(max_items, m.WINDOW)
        found: list[T] = []
        try:
            found.append(self._receive(block, timeout))
            while len(found) < max_items and not self._is_asked(get_ident()):
                if self._plain_get and self._take_plainly(found, max_items):
                    break
                try:
                    found.append(self._receive(False, None, patient=False))
                except (Empty, ShutDown):
                    break
                except DecodeError as error:
                    self._member.holdings.defer(error)
                    break
                except ValueError:
                    # Closed in the meantime: what was got by then is the caller's all the same.
                    if not member.closing:
                        raise
                    break
        except BaseException:
            member.holdings.put_aside(found)
            raise
        finally:
            member.session.wanted = 1
        return found

    def get_message(self, block: bool = True, timeout: float | None = None) -> Message[T]:
        """As get, but the item stays this consumer's until one of the message's four endings is called.

        If this process dies first, the item goes to another consumer, with `attempt` + 1. Raises as get does.

            with q.get_message() as message:
                work(message.obj)
        """
        self._end_current(get_ident())
        try:
            message = self._message(self._take(block, timeout, hold=True))
            self._member.inbox.in_hand.pop(get_ident(), None)
            return message
        except BaseException:
            self._member.drop_hand()
            raise

    def reply(self, value: Any) -> None:
        """Answers the item that the calling thread last got; nothing happens if nobody waits for that, or no longer.

        Raises ValueError if this thread has got nothing, or has answered; PicklingError if the value cannot travel.

            question = q.get()
            q.reply(work(question))
        """
        me = get_ident()
        member = self._member
        if not self._plain_get or me in member.holdings.current or not member.inbox.taken:
            self._reply(me, value)
        # Otherwise what it has got came the short way, which leaves no trace, and is plain.

    def task_done(self) -> None:
        """Does nothing but end the item that the calling thread last got: here get finishes an item.

        So code that calls it as for a `JoinableQueue` works.

            job = q.get()
            q.task_done()
        """
        self._end_current(get_ident())

    # Beneath

    def _take_plainly(self, found: list[T], most: int) -> bool:
        """Appends what is here and plain; True if that is enough. What was taken is in `found`, whatever interrupts."""
        member = self._member
        holdings = member.holdings
        inbox = member.inbox
        loads = self._loads
        while len(found) < most and not (member.closing or holdings.owing or inbox.is_decoding):
            had = len(found)
            with member.inbox_lock:
                failure = inbox.take_together(loads, min(most - had, TOGETHER), found)
            if inbox.words[ATTENTION]:
                member.answer_attention()
            if failure is not None and is_interrupt(failure):
                raise failure
            if len(found) == had:
                return False
        return len(found) == most

    def _receive(self, block: bool, timeout: float | None, patient: bool = True) -> Any:
        me = get_ident()
        self._end_current(me)
        member = self._member
        holdings = member.holdings
        item: Item | None = None
        try:
            return holdings.pick_up()
        except LookupError:
            holdings.raise_deferred()
        try:
            item = self._take(block, timeout, self._joinable, patient)
            self._keep(me, item)
        except BaseException:
            if item is not None and not item.held:
                holdings.put_aside((item.obj,))
            member.drop_hand()
            raise
        return item.obj

    def _take(self, block: bool, timeout: float | None, hold: bool, patient: bool = True) -> Item:
        deadline = Deadline(timeout)
        waits = block and (timeout is None or timeout > 0)
        member = self._member
        asked = False
        while True:
            if member.closing and member.closed_by_exit and current_thread().daemon:
                # The interpreter exits, and with it this thread, which has nothing to get and nobody to complain to.
                raise SystemExit
            if waits and timeout is not None and not self._waits.for_decoder(deadline):
                raise Empty
            item = self._take_now(hold)
            if item is not None:
                return item
            if waits:
                if not self._waits.for_item(deadline):
                    raise Empty
            elif asked or (self._options.delivery == "leader" and not member.is_leader):
                raise Empty
            else:
                asked = True
                if patient:
                    self.wait_for_leader(NO_LEADER)
                if not member.is_connected:
                    raise Empty
                self._waits.poll_item(Deadline(NO_LEADER))
