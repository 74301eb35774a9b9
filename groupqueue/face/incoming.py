"""
What has been got, in whichever way its owner waited for it, until it is answered and ended.

Bytes become objects in the thread that takes. An owner is that thread here, and a task in `groupqueue.aio`.
"""

from __future__ import annotations

import json
from collections.abc import Hashable
from threading import get_ident
from typing import Any, NoReturn

from groupqueue.core import messages as m
from groupqueue.core.inbox import ATTENTION, Item
from groupqueue.core.outbox import Verdict
from groupqueue.exceptions import DecodeError
from groupqueue.face.endings import Endings
from groupqueue.face.failures import text_of
from groupqueue.face.handle import Handle, T
from groupqueue.interrupts import is_interrupt
from groupqueue.message import Message


def check_count(max_items: object) -> None:
    """Raises TypeError or ValueError for what is no number of items to get."""
    if not isinstance(max_items, int):
        raise TypeError(f"max_items must be an int, not {type(max_items).__name__}")
    if max_items < 1:
        raise ValueError(f"max_items must be at least 1, not {max_items}")


class Incoming(Handle[T]):
    """See the module."""

    _owner = "thread"

    def _take_now(self, hold: bool) -> Item | None:
        """The next item, if one is here. Raises ValueError, ShutDown, DecodeError."""
        member = self._member
        if member.closing:
            self._closed("get")
        item = None
        if self._options.delivery == "shared" or member.is_leader:
            try:
                with member.inbox_lock:
                    item = member.inbox.take(self._loads, hold, get_ident())
                if member.inbox.words[ATTENTION]:
                    member.answer_attention()
            except BaseException:
                if item is not None and not item.held:
                    member.holdings.put_aside((item.obj,))
                raise
        if item is None:
            session = member.session
            if session.shutdown == 2 or session.drained:
                raise self._shut_down(f"get: group {self._label!r} is shut down")
        elif item.error is not None:
            self._cannot_decode(item)
        return item

    def _cannot_decode(self, item: Item) -> NoReturn:
        assert item.error is not None
        if is_interrupt(item.error):
            self._member.drop_hand()
            raise item.error
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

    def _keep(self, owner: Hashable, item: Item) -> None:
        """The owner has got the item: it is in its hands, and no more in the inbox's."""
        holdings = self._member.holdings
        self._note(owner, item)
        if item.flags & m.WANTS_REPLY:
            holdings.owing += 1
        if self._joinable:
            holdings.unfinished.push(owner, item)
        self._member.inbox.in_hand.pop(get_ident(), None)

    def _note(self, owner: Hashable, item: Item) -> None:
        """From now on this is the item that the owner last got."""
        self._member.holdings.current[owner] = item

    def _is_asked(self, owner: Hashable) -> bool:
        """Whether somebody waits for this owner's reply."""
        item = self._member.holdings.current.get(owner)
        return item is not None and bool(item.flags & m.WANTS_REPLY)

    def _end_current(self, owner: Hashable) -> None:
        """Who gets again, or closes, without having answered has answered None."""
        item = self._let_go(owner)
        if item is not None:
            self._answer(item.id, item.attempt, None, finish=not self._joinable)

    def _let_go(self, owner: Hashable) -> Item | None:
        """The owner answers what it last got no more. Returns that if somebody still waits for the answer."""
        holdings = self._member.holdings
        try:
            item = holdings.current.pop(owner)
        except KeyError:
            return None
        if item is not None and not item.flags & m.WANTS_REPLY:
            return None
        holdings.owing -= 1
        return item

    def _reply(self, owner: Hashable, value: Any) -> None:
        holdings = self._member.holdings
        item = holdings.current.get(owner)
        if item is None:
            raise ValueError(
                f"group {self._label!r}: reply() answers the item that this {self._owner} last got, and there is none "
                "that has not been answered"
            )
        if item.flags & m.WANTS_REPLY:
            # It is owed until the owner gets again: not before then can it be something else that it answers.
            self._answer(item.id, item.attempt, value, finish=not self._joinable)
            holdings.current[owner] = None

    def _finish(self, owner: Hashable) -> None:
        """`task_done` of a joinable queue."""
        holdings = self._member.holdings
        owner, item = holdings.unfinished.pop(owner)
        if holdings.current.get(owner) is item and self._let_go(owner) is not None:
            self._answer(item.id, item.attempt, None, finish=True)
            return
        self._member.say(Verdict(m.Done, item.id, item.attempt))

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
