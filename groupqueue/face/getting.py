"""
The getting half: bytes become objects in the calling thread, and what a thread holds is ended when it gets again.
"""

from __future__ import annotations

import json
from threading import get_ident
from typing import Any, NoReturn

from groupqueue.core import messages as m
from groupqueue.core.inbox import ATTENTION, Item
from groupqueue.core.outbox import Verdict
from groupqueue.exceptions import DecodeError, Empty, ShutDown
from groupqueue.face.endings import Endings, text_of
from groupqueue.face.handle import NO_LEADER, Handle, T
from groupqueue.message import Message
from groupqueue.system.deadline import Deadline


class Getting(Handle[T]):
    """See the module."""

    _plain_get: bool

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Takes the next item and returns its object.

        Raises Empty if there is none (in time), ShutDown, DecodeError for an item that cannot be rebuilt here (it is
        then on the failed list, and the queue goes on), ValueError on a closed queue.
        """
        member = self._member
        if self._plain_get and not member.closing and not member.holdings.owing:
            try:
                with member.inbox_lock:
                    obj: T = member.inbox.take_plain(self._loads)
            except LookupError:
                pass
            else:
                if member.inbox.words[ATTENTION]:
                    member.answer_attention()
                return obj
        return self._receive(block, timeout)  # type: ignore[no-any-return]

    def get_nowait(self) -> T:
        """`get(block=False)`."""
        return self.get(False)

    def get_many(self, max_items: int, block: bool = True, timeout: float | None = None) -> list[T]:
        """A list of up to `max_items` objects; waits for the first only. Raises as get does, if there is no first.

        An item that a `put_wait` waits for is the last of its list: `reply` answers it. One behind the first that
        cannot be decoded ends the list; the next get raises its DecodeError.
        """
        if max_items < 1:
            raise ValueError(f"max_items must be at least 1, not {max_items!r}")
        member = self._member
        member.session.wanted = max_items
        try:
            found = [self._receive(block, timeout)]
            while len(found) < max_items and not self._is_asked():
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
        finally:
            member.session.wanted = 1
        return found

    def get_message(self, block: bool = True, timeout: float | None = None) -> Message[T]:
        """As get, but the item stays this consumer's until one of the message's four endings is called.

        If this process dies first, the item goes to another consumer, with `attempt` + 1.
        """
        self._end_current()
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
        """
        holdings = self._member.holdings
        item = holdings.current.get(get_ident())
        if item is None:
            raise ValueError(
                f"group {self._label!r}: reply() answers the item that this thread last got, and there is none "
                "that has not been answered"
            )
        if item.flags & m.WANTS_REPLY:
            self._answer(item.id, item.attempt, value, finish=not self._joinable)
            holdings.owing -= 1
        holdings.current[get_ident()] = None

    def task_done(self) -> None:
        """Does nothing but end the item that the calling thread last got: here get finishes an item."""
        self._end_current()

    # Beneath

    def _is_asked(self) -> bool:
        """Whether somebody waits for this thread's reply."""
        item = self._member.holdings.current.get(get_ident())
        return item is not None and bool(item.flags & m.WANTS_REPLY)

    def _receive(self, block: bool, timeout: float | None, patient: bool = True) -> Any:
        self._end_current()
        member = self._member
        member.holdings.raise_deferred()
        me = get_ident()
        try:
            item = self._take(block, timeout, self._joinable, patient)
            member.holdings.current[me] = item
            if item.flags & m.WANTS_REPLY:
                member.holdings.owing += 1
            if self._joinable:
                member.holdings.unfinished.push(me, item)
            member.inbox.in_hand.pop(me, None)
        except BaseException:
            member.drop_hand()
            raise
        return item.obj

    def _take(self, block: bool, timeout: float | None, hold: bool, patient: bool = True) -> Item:
        deadline = Deadline(timeout)
        waits = block and (timeout is None or timeout > 0)
        member = self._member
        asked = False
        while True:
            if member.closing:
                self._closed("get")
            if self._options.delivery == "shared" or member.is_leader:
                with member.inbox_lock:
                    item = member.inbox.take(self._loads, hold, get_ident())
                if member.inbox.words[ATTENTION]:
                    member.answer_attention()
                if item is not None:
                    break
            session = member.session
            if session.shutdown == 2 or session.drained:
                raise ShutDown(f"get: group {self._label!r} is shut down")
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
        if item.error is not None:
            self._cannot_decode(item)
        return item

    def _cannot_decode(self, item: Item) -> NoReturn:
        assert item.error is not None
        text = f"{type(item.error).__name__}: {text_of(item.error)}"
        reason = f"cannot be decoded: {text}"
        self._member.inbox.in_hand.pop(get_ident(), None)
        if item.flags & m.WANTS_REPLY:
            body = json.dumps({"type_name": "groupqueue.DecodeError", "text": text}).encode()
            self._member.say(Verdict(m.Answer, item.id, item.attempt, m.REPLY_TEXT, False, body))
        self._member.say(Verdict(m.Fail, item.id, item.attempt, body=reason.encode("utf-8", "replace")))
        raise DecodeError(
            f"group {self._label!r}: an item of {len(item.payload)} bytes from process {item.pid} cannot be rebuilt in "
            f"this process ({text}); it is on the failed list",
            item.payload,
            item.pid,
        ) from item.error

    def _end_current(self) -> None:
        """Who gets again, or closes, without having answered has answered None."""
        holdings = self._member.holdings
        item = holdings.current.pop(get_ident(), None)
        if item is not None and item.flags & m.WANTS_REPLY:
            holdings.owing -= 1
            self._answer(item.id, item.attempt, None, finish=not self._joinable)

    def _answer(self, item_id: int, attempt: int, value: Any, finish: bool) -> None:
        body = self._dumps(value)
        self._member.say(Verdict(m.Answer, item_id, attempt, m.REPLY_VALUE, finish, body))

    def _message(self, item: Item) -> Message[T]:
        return Message(
            item.obj,
            item_id=item.id,
            attempt=item.attempt,
            sender_pid=item.pid,
            wants_reply=bool(item.flags & m.WANTS_REPLY),
            endings=Endings(self._member, self._dumps),
        )
