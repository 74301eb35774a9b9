"""
What a member has put and said, until the leader has it.

`put` and `say` only append, so any thread may call them, in a signal handler or a finaliser too; everything else requires
the member's lock. A batch keeps its first `seq` for ever: what is sent again after a reconnect is the same batch, which
is how the leader knows it.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple
from zlib import crc32

from groupqueue.core import messages as m
from groupqueue.core.calls import Call

MAX_BATCH = 4096
JOIN_LIMIT = 256 * 1024
MAX_BATCH_BYTES = 1024 * 1024


class Verdict(NamedTuple):
    """What became of a held item: done (status None), or a reply, a failure, a requeue."""

    kind: type[m.Done] | type[m.Answer] | type[m.Fail] | type[m.Requeue]
    id: int
    attempt: int
    status: int = 0
    finish: bool = True
    body: bytes = b""


class Outbox:
    """See the module."""

    def __init__(self, max_attempts: int, durable: bool) -> None:
        self.pending: deque[tuple[bytes, Call | None]] = deque()
        self.verdicts: deque[Verdict] = deque()
        self.unacked: deque[m.Items] = deque()
        self.unsettled: deque[m.Done | m.Answer | m.Fail | m.Requeue] = deque()
        self.unacked_bytes = 0
        self.unacked_count = 0
        self.last_seq = 0
        self.dropped = 0
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

    def restart(self) -> None:
        """A new connection: everything unconfirmed is to be sent, again."""
        self._sent = 0
        self._said = 0

    def cut(self) -> None:
        """Makes batches of what is pending."""
        pending = self.pending
        while pending:
            wants_reply = pending[0][1] is not None
            payloads: list[bytes] = []
            size = 0
            while pending and len(payloads) < MAX_BATCH and size < MAX_BATCH_BYTES:
                payload, call = pending[0]
                if (call is not None) != wants_reply or (payloads and size + len(payload) > MAX_BATCH_BYTES):
                    break
                pending.popleft()
                if call is not None and call.withdrawn:
                    self.dropped += 1
                    continue
                self.last_seq += 1
                if call is not None:
                    call.seq = self.last_seq
                    self.calls[call.seq] = call
                payloads.append(payload)
                size += len(payload)
            if payloads:
                self._add(payloads, size, wants_reply)

    def _add(self, payloads: Sequence[bytes], size: int, wants_reply: bool) -> None:
        count = len(payloads)
        sizes = struct.pack(f"<{count}I", *map(len, payloads))
        body: tuple[bytes, ...]
        if count == 1:
            body = (sizes, payloads[0])
            check = crc32(payloads[0], crc32(sizes))
        else:
            whole = sizes + b"".join(payloads)
            body = (whole,)
            check = crc32(whole)
        flags = self._flags | (m.WANTS_REPLY if wants_reply else 0)
        self.unacked.append(m.Items(self.last_seq - count + 1, count, flags, self._max_attempts, check, body))
        self.unacked_bytes += size
        self.unacked_count += count

    def cut_verdicts(self) -> None:
        """Numbers what has been said of held items."""
        verdicts = self.verdicts
        while verdicts:
            verdict = verdicts.popleft()
            self._number += 1
            if verdict.kind is m.Done:
                pairs = [verdict.id, verdict.attempt]
                while verdicts and verdicts[0].kind is m.Done and len(pairs) < 2 * MAX_BATCH:
                    verdict = verdicts.popleft()
                    pairs += (verdict.id, verdict.attempt)
                self.unsettled.append(m.Done(self._number, struct.pack(f"<{len(pairs)}Q", *pairs)))
            elif verdict.kind is m.Answer:
                body = verdict.body
                self.unsettled.append(
                    m.Answer(
                        self._number, verdict.id, verdict.attempt, verdict.status, int(verdict.finish), crc32(body), body
                    )
                )
            elif verdict.kind is m.Fail:
                self.unsettled.append(m.Fail(self._number, verdict.id, verdict.attempt, verdict.body))
            else:
                self.unsettled.append(m.Requeue(self._number, verdict.id, verdict.attempt))

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
            self.unacked_bytes -= sum(len(part) for part in items.body) - 4 * items.count
        self.unacked_count -= count
        return count

    def settled(self, number: int) -> None:
        """Every verdict up to `number` is in the journal."""
        while self.unsettled and self.unsettled[0].number <= number:
            self.unsettled.popleft()
            self._said = max(self._said - 1, 0)
