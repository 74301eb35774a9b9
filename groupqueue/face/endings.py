"""What a message's endings say to the leader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from groupqueue.core import messages as m
from groupqueue.core.outbox import Verdict
from groupqueue.face.failures import encode_exception, text_of
from groupqueue.member import Member


class Endings:
    """See the module; `groupqueue.message.Endings` is the interface."""

    def __init__(self, member: Member, dumps: Callable[[Any], bytes]) -> None:
        self._member = member
        self._holder = member.session.member
        self._dumps = dumps

    def _say(self, verdict: Verdict) -> None:
        member = self._member
        if member.is_closed or member.session.member != self._holder:
            raise ValueError(
                f"group {member.paths.name!r}: the handle that got this message is closed, or is a forked child's copy "
                "of it; the item is not this process's to end"
            )
        member.say(verdict)

    def answer(self, item_id: int, attempt: int, value: object) -> None:
        self._say(Verdict(m.Answer, item_id, attempt, m.REPLY_VALUE, True, self._dumps(value)))

    def raise_to_caller(self, item_id: int, attempt: int, error: BaseException) -> None:
        status, body = encode_exception(error, self._dumps)
        self._say(Verdict(m.Answer, item_id, attempt, status, True, body))

    def finish(self, item_id: int, attempt: int) -> None:
        self._say(Verdict(m.Done, item_id, attempt))

    def fail(self, item_id: int, attempt: int, error: BaseException) -> None:
        text = f"{type(error).__name__}: {text_of(error)}"
        self._say(Verdict(m.Fail, item_id, attempt, body=text.encode("utf-8", "replace")))

    def requeue(self, item_id: int, attempt: int) -> None:
        self._say(Verdict(m.Requeue, item_id, attempt))
