"""
An object on its way out, and what the reply to it means, in whichever way its caller waits.
"""

from __future__ import annotations

from typing import Any, NoReturn

from groupqueue.core import messages as m
from groupqueue.core.calls import Call
from groupqueue.core.messages import Buffer
from groupqueue.core.outbox import Entry, Payload, size_of
from groupqueue.exceptions import ConsumerLost, DecodeError, ReplyTimeout
from groupqueue.face.failures import decode_exception, text_of
from groupqueue.face.handle import Handle, T
from groupqueue.interrupts import is_interrupt
from groupqueue.system import forking


class Outgoing(Handle[T]):
    """See the module."""

    _max_item_bytes: int

    def _check_put(self, what: str) -> None:
        if self._options.mode == "master":
            raise ValueError(f'{what}: group {self._label!r} was opened with mode="master", which never puts')
        member = self._member
        if member.closing:
            if not (forking.is_exiting() and member.closed_by_exit):
                self._closed(what)
            member.revive()
        if member.session.shutdown:
            raise self._shut_down(f"{what}: group {self._label!r} is shut down")

    def _payload(self, obj: T) -> Payload:
        """The object as it travels. Raises PicklingError, and ValueError for one that is too large."""
        payload = self._pack(obj)
        size = size_of(payload)
        if size > self._max_item_bytes:
            self._too_large(size)
        return payload

    def _too_large(self, size: int) -> NoReturn:
        raise ValueError(
            f"group {self._label!r}: the item has {size} bytes, max_item_bytes is {self._max_item_bytes}; "
            "nothing was queued"
        )

    def _take_back(self, entry: Entry, what: str) -> None:
        """Shut down or closed in the midst of a put: the item is not put, unless it is under way already."""
        member = self._member
        with member.lock:
            for entries in (member.outbox.pending, member.outbox.rejected):
                for index in reversed(range(len(entries))):
                    if entries[index] is entry:
                        del entries[index]
                        if member.session.shutdown:
                            raise self._shut_down(f"{what}: group {self._label!r} is shut down")
                        self._closed(what)

    def _reply_timeout(self, timeout: float | None) -> ReplyTimeout:
        return ReplyTimeout(f"group {self._label!r}: no reply within {timeout} s")

    def _reply_of(self, body: Buffer) -> Any:
        try:
            return self._loads(body)
        except Exception as error:
            if is_interrupt(error):
                raise
            raise DecodeError(
                f"group {self._label!r}: the reply, of {len(body)} bytes, cannot be rebuilt in this process "
                f"({type(error).__name__}: {text_of(error)})",
                bytes(body),
            ) from error

    def _result(self, call: Call, timeout: float | None) -> Any:
        if call.answer is None:
            if self._member.session.shutdown == 2:
                raise self._shut_down(f"put_wait: group {self._label!r} was shut down")
            if self._member.is_closed:
                self._closed("put_wait")
            raise self._reply_timeout(timeout)
        status, body = call.answer
        if status == m.REPLY_VALUE:
            return self._reply_of(body)
        if status in (m.REPLY_EXCEPTION, m.REPLY_TEXT):
            raise decode_exception(status, body, self._loads)
        if self._member.session.shutdown == 2:
            raise self._shut_down(f"put_wait: group {self._label!r} was shut down")
        raise ConsumerLost(f"group {self._label!r}: no reply will come: {bytes(body).decode()}")
