"""
What a look at the group shows: items that were not taken, and what the directory tells when nobody leads.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, NoReturn

from groupqueue.exceptions import DecodeError
from groupqueue.face.failures import text_of
from groupqueue.face.handle import Handle, T
from groupqueue.message import Message

if TYPE_CHECKING:
    from groupqueue.system.offline import Reading

Told = tuple[dict[str, Any], memoryview]


class Looking(Handle[T]):
    """See the module."""

    def _pages(self, do: str, limit: int | None) -> Generator[dict[str, Any], Told | None, list[Message[T]]]:
        """As many items as are asked for, page by page: yields what to ask the leader, and is sent the answers."""
        if limit is not None and not isinstance(limit, int):
            raise TypeError(f"{do}: n must be an int, not {type(limit).__name__}")
        if limit is not None and limit < 0:
            raise ValueError(f"{do}: n must be 0 or more, not {limit}")
        found: list[Message[T]] = []
        after = 0
        more = limit is None or limit > 0
        while more:
            left = {} if limit is None else {"n": limit - len(found)}
            answer = yield {"do": do, "after": after, **left}
            if answer is None:
                self._no_leader(do)
            told, payloads = answer
            found += self._looked_at(told, payloads)
            more = told["more"] and (limit is None or len(found) < limit)
            if told["items"]:
                after = told["items"][-1]["id"]
        return found

    def _looked_at(self, told: dict[str, Any], payloads: memoryview) -> list[Message[T]]:
        found: list[Message[T]] = []
        start = 0
        for about in told["items"]:
            payload = payloads[start : start + about["size"]]
            start += about["size"]
            try:
                obj = self._loads(payload)
            except Exception as error:
                obj = DecodeError(f"cannot be rebuilt in this process: {text_of(error)}", bytes(payload), about["pid"])
            found.append(
                Message(
                    obj,
                    item_id=about["id"],
                    attempt=about["attempt"],
                    sender_pid=about["pid"],
                    wants_reply=about["wants_reply"],
                    endings=None,
                    reason=about.get("reason", ""),
                )
            )
        return found

    def _no_leader(self, what: str) -> NoReturn:
        if self._member.closing:
            self._closed(what)
        raise TimeoutError(f"{what}: group {self._label!r} has no leader now")

    def _queued(self, reading: Reading) -> int:
        """What the directory and this handle have. A leader may have died before it confirmed what it had written."""
        member = self._member
        return int(reading.fields["ready"]) + member.outbox.beyond(reading.last_seqs.get(member.session.member, 0))

    def _offline(self) -> Reading:
        from groupqueue.system import offline  # late: it brings all that recovers a journal, for few who need it

        return offline.read(self._member.paths)
