"""
What a caller's thread waits for: an item, room, an answer, that an item is withdrawn.

Each wait says to the session that it is there, drives or sleeps, and says that it is gone, whatever ended it. They
raise nothing but what a signal handler raises, and return False, or None, in time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from groupqueue.core.calls import Call, Question
from groupqueue.core.outbox import Entry
from groupqueue.member import Member
from groupqueue.system.deadline import Deadline

DECODING = 0.005
"""Seconds between two looks at whether another thread still decodes; nobody tells."""


class Waits:
    """See the module."""

    def __init__(self, member: Member) -> None:
        self._member = member

    def for_item(self, deadline: Deadline) -> bool:
        """Until get can return something, or will never: shut down or closed."""
        member = self._member
        session = member.session
        inbox = member.inbox

        def ready() -> bool:
            return inbox.count > 0 or session.drained or session.shutdown == 2 or member.closing

        if member.options.delivery == "leader":
            return self._as_getter(lambda: (member.is_leader and ready()) or member.closing, deadline)
        return self._as_getter(ready, deadline)

    def for_decoder(self, deadline: Deadline) -> bool:
        """Until no other thread decodes; False when the deadline comes first. The next taker would wait for it."""
        member = self._member
        while member.inbox.is_decoding and not member.is_beneath:
            if deadline.expired:
                return False
            member.wait(lambda: not member.inbox.is_decoding, Deadline(deadline.sooner(DECODING)))
        return True

    def _as_getter(self, ready: Callable[[], bool], deadline: Deadline) -> bool:
        member = self._member
        session = member.session
        token = object()
        try:
            with member.lock:
                session.getters.add(token)
            member.push()
            return member.wait(ready, deadline)
        finally:
            with member.lock:
                session.getters.discard(token)
            if not session.getters and not member.inbox.count:
                member.push()

    def poll_item(self, deadline: Deadline) -> None:
        """Asks the leader once for an item, and waits for the answer."""
        member = self._member
        session = member.session
        with member.lock:
            ticket = session.ask_for_item()
        member.push()
        member.wait(lambda: member.inbox.count > 0 or session.is_answered(ticket) or member.closing, deadline)

    def put(self, entry: Entry, block: bool, deadline: Deadline) -> bool:
        """Puts into a bounded group; False, and nothing is put, if there is no room, or none in time."""
        member = self._member
        session = member.session
        token = object()
        while True:
            with member.put_lock:
                if session.credit > 0:
                    member.outbox.pending.append(entry)
                    return True
            if member.closing or session.shutdown or member.is_beneath:
                return False
            ticket = 0
            try:
                with member.lock:
                    if block:
                        session.putters.add(token)
                    else:
                        ticket = session.ask_for_credit()
                member.push()
                done = member.wait(partial(self._may_put, ticket), deadline)
            finally:
                with member.lock:
                    session.putters.discard(token)
                if block and not session.putters and session.credit <= 0:
                    member.push()
            if session.credit <= 0 and (not done or ticket):
                return False

    def _may_put(self, ticket: int) -> bool:
        """Whether a put that waits for room, or for the answer to this ticket, need not wait any longer."""
        session = self._member.session
        answered = ticket > 0 and session.is_answered(ticket)
        return session.credit > 0 or self._member.closing or session.shutdown > 0 or answered

    def for_answer(self, request: dict[str, Any], deadline: Deadline) -> tuple[dict[str, Any], memoryview] | None:
        """The leader's answer to an operator's question; None if there is none in time."""
        member = self._member
        question: Question | None = None
        try:
            with member.lock:
                question = asked = member.session.ask(request)
            member.push()
            member.wait(lambda: asked.answer is not None or member.is_closed, deadline)
        finally:
            if question is not None:
                with member.lock:
                    member.session.forget(question)
        return asked.answer

    def for_reply(self, call: Call, deadline: Deadline) -> bool:
        """Until the call is answered, or will never be."""
        member = self._member
        return member.wait(
            lambda: call.answer is not None or member.is_closed or member.session.shutdown == 2, deadline
        )

    def withdraw(self, call: Call, grace: float) -> bool:
        """Takes an item back that nobody has got; False if somebody has, or if that cannot be known in time."""
        member = self._member
        with member.lock:
            member.session.withdraw(call)
        member.push()
        if call.seq:
            member.wait(lambda: call.gone is not None or call.answer is not None, Deadline(grace))
        return call.gone is not False
