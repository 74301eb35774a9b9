"""
What a member has put and said, until the leader has it.

`pending` and `verdicts` are only appended to from outside, so any thread may do that, in a signal handler or a
finaliser too; everything else requires the member's lock. A batch keeps its first `seq` for ever: what is sent again
after a reconnect is the same batch, which is how the leader knows it.

Python runs signal handlers, and changes threads, between calls and at the end of loops, never between two plain stores.
So what must happen together stands together at the end of a method, without a call in between.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple, cast
from zlib import crc32

from groupqueue.core import messages as m
from groupqueue.core.calls import Call

MAX_BATCH = 4096
MAX_BATCH_BYTES = 1024 * 1024
COPIED = 16 * 1024
"""Bytes: shorter pieces are joined, longer ones leave from where they are."""


LARGE = 64 * 1024
"""Bytes: the check of such items costs more than all the rest, and is not made if it can be made later."""


Payload = bytes | tuple[bytes, ...]
"""An item as it travels, a large one in pieces."""


def size_of(payload: Payload) -> int:
    return len(payload) if isinstance(payload, bytes) else sum(map(len, payload))


class Verdict(NamedTuple):
    """What became of a held item: done (status None), or a reply, a failure, a requeue."""

    kind: type[m.Done | m.Answer | m.Fail | m.Requeue]
    id: int
    attempt: int
    status: int = 0
    finish: bool = True
    body: bytes = b""


Entry = bytes | tuple[Payload, "Call | None"]
"""An item as it was put: bytes in the commonest case, else its payload, and the call of who waits for its reply."""


def check_of(items: m.Items) -> int:
    """The batch's check, made now if there is none."""
    check = items.check
    if check < m.NO_CHECK:
        return check
    check = 0
    for part in items.body:
        check = crc32(part, check)
    return check


def checked(items: m.Items) -> m.Items:
    return items if items.check < m.NO_CHECK else m.Items(*items[:4], check_of(items), items.body)


class Outbox:
    """See the module."""

    def __init__(self, max_attempts: int, durable: bool) -> None:
        self.pending: list[Entry] = []
        self.rejected: list[Entry] = []
        self.verdicts: list[Verdict] = []
        self.unacked: deque[m.Items] = deque()
        self.unsettled: deque[m.Done | m.Answer | m.Fail | m.Requeue] = deque()
        self.unacked_bytes = 0
        self.unacked_count = 0
        self.last_seq = 0
        self.calls: dict[int, Call] = {}
        self._max_attempts = max_attempts
        self._flags = m.DURABLE if durable else 0
        self._number = 0
        self._sent = 0
        self._said = 0

    @property
    def waiting(self) -> int:
        """Items that the leader has not confirmed."""
        return len(self.pending) + self.unacked_count

    def beyond(self, seq: int) -> int:
        """Items that are not among those up to `seq`. (Any thread may ask.)"""
        return len(self.pending) + sum(items.count for items in list(self.unacked) if items.first_seq > seq)

    @property
    def put_count(self) -> int:
        """How many items were ever put here."""
        return self.last_seq + len(self.pending)

    @property
    def cut_count(self) -> int:
        """How many items and verdicts were ever numbered to be sent."""
        return self.last_seq + self._number

    def open_calls(self) -> list[Call]:
        """Those that have no answer, in the order in which they were put."""
        cut = [call for call in self.calls.values() if call.answer is None]
        return cut + [entry[1] for entry in self.pending if isinstance(entry, tuple) and entry[1] is not None]

    def restart(self) -> None:
        """A new connection: everything unconfirmed is to be sent, again."""
        self._sent = 0
        self._said = 0
        self.unacked_count = sum(items.count for items in self.unacked)
        self.unacked_bytes = sum(_payload_size(items) for items in self.unacked)

    def cut(self) -> None:
        """Makes batches of what is pending."""
        pending = self.pending
        # Looked for until something else is met: in a long backlog of all sorts each look would be in vain.
        is_plain = True
        while pending:
            call = _call_of(pending[0])
            if call is not None and call.withdrawn:
                del pending[:1]
                continue
            is_plain = is_plain and self._cut_plain(pending)
            if not is_plain:
                self._cut_batch(pending)

    def reject(self) -> None:
        """What is pending came too late: the put that it is of is to find it here."""
        pending = self.pending
        count = len(pending)
        self.rejected += pending[:count]
        del pending[:count]

    def _cut_plain(self, pending: list[Entry]) -> bool:
        """`_cut_batch` for the commonest case, at a third of the cost; False, and nothing is cut, otherwise."""
        pieces = pending[:MAX_BATCH]
        if set(map(type, pieces)) != {bytes}:
            return False
        sizes = list(map(len, pieces))
        size = sum(sizes)
        if size > MAX_BATCH_BYTES and len(sizes) > 1:
            return False
        self._keep(pending, self._batch(sizes, size, cast("list[bytes]", pieces), wants_reply=False), size)
        return True

    def _cut_batch(self, pending: list[Entry]) -> None:
        wants_reply = _call_of(pending[0]) is not None
        pieces: list[bytes] = []
        sizes: list[int] = []
        size = 0
        seq = self.last_seq
        for entry in islice(pending, MAX_BATCH):
            payload, call = entry if isinstance(entry, tuple) else (entry, None)
            length = len(payload) if isinstance(payload, bytes) else size_of(payload)
            if sizes and size + length > MAX_BATCH_BYTES:
                break
            if call is None:
                if wants_reply:
                    break
            elif not wants_reply or call.withdrawn:
                break
            else:
                call.seq = seq + 1
                self.calls[call.seq] = call
            seq += 1
            if isinstance(payload, bytes):
                pieces.append(payload)
            else:
                pieces += payload
            sizes.append(length)
            size += length
        count = len(sizes)
        if not count:
            return
        self._keep(pending, self._batch(sizes, size, pieces, wants_reply), size)

    def _keep(self, pending: list[Entry], items: m.Items, size: int) -> None:
        count = items.count
        seq = self.last_seq + count
        unacked_bytes = self.unacked_bytes + size
        unacked_count = self.unacked_count + count
        self.unacked += (items,)
        del pending[:count]
        self.last_seq = seq
        self.unacked_bytes = unacked_bytes
        self.unacked_count = unacked_count

    def _batch(self, sizes: Sequence[int], size: int, pieces: Sequence[bytes], wants_reply: bool) -> m.Items:
        count = len(sizes)
        table = struct.pack(f"<{count}I", *sizes)
        is_long = len(pieces) == 1 or size > COPIED * len(pieces)
        body = (table, *pieces) if is_long else (table + b"".join(pieces),)
        flags = self._flags | (m.WANTS_REPLY if wants_reply else 0)
        items = m.Items(self.last_seq + 1, count, flags, self._max_attempts, m.NO_CHECK, body)
        # What must be on the disk has its check there from the first.
        return items if size >= LARGE * count and not flags & m.DURABLE else checked(items)

    def cut_verdicts(self) -> None:
        """Numbers what has been said of held items."""
        verdicts = self.verdicts
        while verdicts:
            count = 1
            number = self._number + 1
            verdict = verdicts[0]
            message: m.Done | m.Answer | m.Fail | m.Requeue
            if verdict.kind is m.Done:
                pairs: list[int] = []
                for found in islice(verdicts, MAX_BATCH):
                    if found.kind is not m.Done:
                        break
                    pairs += (found.id, found.attempt)
                count = len(pairs) // 2
                message = m.Done(number, struct.pack(f"<{len(pairs)}Q", *pairs))
            elif verdict.kind is m.Answer:
                body = verdict.body
                message = m.Answer(
                    number, verdict.id, verdict.attempt, verdict.status, int(verdict.finish), crc32(body), body
                )
            elif verdict.kind is m.Fail:
                message = m.Fail(number, verdict.id, verdict.attempt, verdict.body)
            else:
                message = m.Requeue(number, verdict.id, verdict.attempt)
            self.unsettled += (message,)
            del verdicts[:count]
            self._number = number

    def unsent(self) -> list[m.Message]:
        """What has not been sent on this connection, verdicts first."""
        found: list[m.Message] = []
        if self._said < len(self.unsettled):
            found += islice(self.unsettled, self._said, None)
            self._said = len(self.unsettled)
        if self._sent < len(self.unacked):
            found += islice(self.unacked, self._sent, None)
            self._sent = len(self.unacked)
        return found

    def ack(self, seq: int) -> int:
        """Everything up to `seq` is in the journal; returns how many items that newly is."""
        count = 0
        while self.unacked:
            items = self.unacked[0]
            if items.first_seq + items.count - 1 > seq:
                break
            self.unacked.popleft()
            self._sent = max(self._sent - 1, 0)
            count += items.count
            self.unacked_bytes -= _payload_size(items)
        self.unacked_count -= count
        return count

    def settled(self, number: int) -> None:
        """Every verdict up to `number` is in the journal."""
        while self.unsettled and self.unsettled[0].number <= number:
            self.unsettled.popleft()
            self._said = max(self._said - 1, 0)


def _call_of(entry: Entry) -> Call | None:
    return entry[1] if isinstance(entry, tuple) else None


def _payload_size(items: m.Items) -> int:
    return sum(len(part) for part in items.body) - 4 * items.count
