"""
The frame: how a message travels over a stream socket.

    kind u8, zero u8, words u16, zero u32, body length u64 | words x u64 | body

All numbers are little-endian. The words are the message's numbers; the body is opaque here. A frame says how long it is
before anything else is believed, and a decoder keeps nothing of a frame that is not whole. See docs/protocol.md.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

from groupqueue.core import messages as m

HEADER = struct.Struct("<BBHIQ")
MAX_BODY = 1 << 40

# Kind numbers are the protocol: append, never reorder.
KINDS: tuple[type[Any], ...] = (
    m.Hello, m.Items, m.Want, m.Return, m.Taken, m.Done, m.Answer, m.Fail, m.Requeue, m.Withdraw, m.Heard,
    m.WantCredit, m.ReturnCredit, m.Request, m.Bye, m.Welcome, m.Refused, m.Ack, m.Settled, m.Grant, m.Nothing,
    m.Recall, m.Reply, m.Credit, m.Withdrawn, m.Result, m.Shutdown, m.Sealed, m.Borrow, m.Placed, m.Repaid, m.Loan,
)  # fmt: skip
_NUMBER = {kind: number for number, kind in enumerate(KINDS)}
_HAS_BODY = tuple(bool(kind._fields) and kind._fields[-1] == "body" for kind in KINDS)
_WORDS = tuple(len(kind._fields) - body for kind, body in zip(KINDS, _HAS_BODY))
_CHECKED = frozenset((_NUMBER[m.Hello], _NUMBER[m.Done], _NUMBER[m.Request]))
# What a leader counts with, of what Hello and Request say in JSON.
_NUMBERS = frozenset(("credit", "last_seq", "n", "after"))
_TEXTS = frozenset(("mode", "do"))
# Much more than any member says, and little enough to be read at once.
_MAX_JSON = 64 * 1024
_GRANT = _NUMBER[m.Grant]
_ITEMS = _NUMBER[m.Items]
_PLACED = _NUMBER[m.Placed]
_ENTRY_WORDS = 6
_LONG = 64 * 1024
_KEPT = 4 * 1024 * 1024


class WireError(ValueError):
    """The bytes are not frames of this protocol."""


def encode(message: m.Message) -> list[m.Buffer]:
    """The frame of a message, as the buffers of one `sendmsg`."""
    number = _NUMBER[type(message)]
    body: list[m.Buffer]
    if number == _GRANT:
        assert isinstance(message, m.Grant)
        values = [message.position, message.returns]
        body = []
        for entry in message.entries:
            values += (
                entry.first_id,
                entry.count,
                entry.flags,
                entry.attempt,
                entry.pid,
                len(entry.payload),
            )
            body.append(entry.sizes)
            body.append(entry.payload)
    elif number == _ITEMS:
        assert isinstance(message, m.Items)
        values = list(message[:-1])
        body = list(message.body)
    elif _HAS_BODY[number]:
        values = list(message[:-1])
        body = [message[-1]]  # type: ignore[list-item,misc]
    else:
        values = list(message)  # type: ignore[arg-type]
        body = []
    length = 0
    for part in body:
        length += len(part)
    head = HEADER.pack(number, 0, len(values), 0, length) + struct.pack(f"<{len(values)}Q", *values)
    return [head, *body]


def decode(kind: int, values: tuple[int, ...], body: memoryview) -> m.Message:
    """The message of a whole frame of a known kind; WireError if it is none."""
    if kind == _GRANT:
        return _decode_grant(values, body)
    if len(values) != _WORDS[kind]:
        raise WireError(f"{KINDS[kind].__name__} frame with {len(values)} words instead of {_WORDS[kind]}")
    if kind == _ITEMS:
        first_seq, count, flags, max_attempts, check = values
        items = m.Items(first_seq, count, flags, max_attempts, check, (body,))
        check_sizes(count, body)
        _check_count(first_seq, count)
        return items
    if _HAS_BODY[kind]:
        message = KINDS[kind](*values, body)
        if kind in _CHECKED:
            _check_body(message)
        return message  # type: ignore[no-any-return]
    if len(body):
        raise WireError(f"{KINDS[kind].__name__} frame with {len(body)} bytes of body")
    if kind == _PLACED:
        _check_count(values[0], values[1])
    return KINDS[kind](*values)  # type: ignore[no-any-return]


def _check_count(first_seq: int, count: int) -> None:
    if not count or first_seq + count > m.MOST:
        raise WireError(f"a batch of {count} items from {first_seq} on, none or further than anybody counts")


def _check_body(message: m.Hello | m.Done | m.Request) -> None:
    if type(message) is m.Done:
        if len(message.body) % 16:
            raise WireError(f"Done frame with {len(message.body)} bytes of pairs")
        return
    found = None
    if len(message.body) <= _MAX_JSON:
        try:
            found = json.loads(bytes(message.body))
        except (ValueError, RecursionError):
            pass
    if not isinstance(found, dict):
        raise WireError(f"{type(message).__name__} frame whose body is no JSON object")
    for name in _NUMBERS & found.keys():
        value = found[name]
        if type(value) is not int or value < 0:
            raise WireError(f"{type(message).__name__} frame whose {name} is {_shown(value)}, not a count")
    for name in _TEXTS & found.keys():
        if type(found[name]) is not str:
            raise WireError(f"{type(message).__name__} frame whose {name} is {_shown(found[name])}, not a word")


def _shown(value: Any) -> str:
    """What stands there. Not of what is nested, and may be so deep that it cannot be shown."""
    return repr(str(value)[:40]) if isinstance(value, (str, int, float)) else f"a {type(value).__name__}"


def check_sizes(count: int, body: memoryview) -> None:
    """A batch's sizes add up to its payload, or WireError."""
    table = 4 * count
    if not count or table > len(body) or sum(body[:table].cast("I")) != len(body) - table:
        raise WireError(f"a batch of {count} items whose sizes do not add up to its {len(body)} bytes")


def _decode_grant(values: tuple[int, ...], body: memoryview) -> m.Grant:
    if len(values) % _ENTRY_WORDS != 2:
        raise WireError(f"Grant frame with {len(values)} words")
    entries = []
    start = 0
    for i in range(2, len(values), _ENTRY_WORDS):
        first_id, count, flags, attempt, pid, length = values[i : i + _ENTRY_WORDS]
        split = start + 4 * count
        end = split + length
        if end > len(body):
            raise WireError("Grant frame shorter than its entries")
        check_sizes(count, body[start:end])
        entries.append(m.Entry(first_id, count, flags, attempt, pid, body[start:split], body[split:end]))
        start = end
    if start != len(body):
        raise WireError("Grant frame longer than its entries")
    return m.Grant(values[0], values[1], entries)


class FrameReader:
    """Cuts a stream of bytes into messages.

    `limit` bounds the body of a frame (bytes). The messages of one `feed`, or of one `filled`, refer to the memory that
    was fed: they are used, or copied, before the next.

    Of a long frame that has begun the rest is read straight to its place: `room` is where, `filled` says how much came.
    The place is used again for the next, so its pages are not fresh; it grows with what really comes.
    """

    def __init__(self, limit: int = MAX_BODY) -> None:
        self._limit = limit
        self._rest = bytearray()
        self._needed = 0
        self._place = bytearray()
        self._filled = 0

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished frame are kept."""
        return self._filled or len(self._rest)

    @property
    def missing(self) -> int:
        """How many bytes the unfinished frame lacks, as far as its header tells; 0 between frames."""
        return max(self._needed - self.pending, 0)

    @property
    def room(self) -> memoryview | None:
        """Where the next bytes of a long frame go; None if what comes is to be fed."""
        if not self._filled:
            return None
        if self._filled == len(self._place):
            # Not in place: a message of the last frame may still refer to it.
            grown = bytearray(min(self._needed, 2 * self._filled))
            grown[: self._filled] = self._place
            self._place = grown
        return memoryview(self._place)[self._filled : self._needed]

    def filled(self, count: int, *, keep: bool = False) -> Iterator[m.Message]:
        """So many bytes are in `room`: yields the message if it is whole now. Raises as feed does.

        With `keep` the message has memory of its own.
        """
        self._filled += count
        if self._filled < self._needed:
            return
        data = memoryview(self._place)[: self._needed]
        if keep:
            data = memoryview(bytes(data))
        self._filled = self._needed = 0
        if len(self._place) > _KEPT:
            self._place = bytearray()
        yield from self.feed(data)

    def feed(self, data: memoryview) -> Iterator[m.Message]:
        """Yields the messages that are whole now; raises WireError, after which the stream is useless."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = memoryview(self._rest)
            self._rest = bytearray()
        start = 0
        available = len(data)
        while available - start >= HEADER.size:
            kind, _, words, _, length = HEADER.unpack_from(data, start)
            if kind >= len(KINDS):
                raise WireError(f"frame of unknown kind {kind}")
            if length > self._limit:
                raise WireError(f"frame of {length} bytes where at most {self._limit} are allowed")
            values_at = start + HEADER.size
            body_at = values_at + 8 * words
            end = body_at + length
            if end > available:
                self._needed = end - start
                break
            values = struct.unpack_from(f"<{words}Q", data, values_at)
            start = end
            yield decode(kind, values, data[body_at:end])
        else:
            self._needed = HEADER.size
        if start == available:
            self._needed = 0
        elif self._needed < _LONG:
            self._rest = bytearray(data[start:])
        else:
            self._filled = available - start
            if len(self._place) < self._filled:
                self._place = bytearray(self._filled)
            self._place[: self._filled] = data[start:]
