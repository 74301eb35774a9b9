"""
What a member was granted, until `get` returns it.

`take` stores the cursor, a word of the member's mapped file, as its last act: whoever leads next reads there how far
this process got, to the item, whatever became of it. Everything here requires the inbox's lock, which the owner of
this object keeps; it may be held re-entrantly, because a decoder runs foreign code.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from groupqueue.core import messages as m

TAKEN, SETTLED, ATTENTION, CREDITED, OPENED, WAITING = range(6)
RING = 4096
COPIED = 4096
"""Bytes: items that are no longer on the average are copied. To make a view of each, and to read through it, takes half
a microsecond more."""


class Item(NamedTuple):
    """What `take` returns: the object, or the error and the bytes of one that could not be decoded."""

    obj: Any
    id: int
    attempt: int
    flags: int
    pid: int
    held: bool
    error: BaseException | None
    payload: bytes


class _Chunk:
    """One granted entry, cut into its items."""

    __slots__ = ("attempt", "count", "first_id", "flags", "index", "pid", "position", "slices")

    def __init__(self, entry: m.Entry, position: int) -> None:
        self.first_id = entry.first_id
        self.count = entry.count
        self.flags = entry.flags
        self.attempt = entry.attempt
        self.pid = entry.pid
        self.position = position
        self.index = 0
        payload = entry.payload
        data = bytes(payload) if len(payload) <= COPIED * entry.count else memoryview(payload)
        bounds = accumulate(memoryview(entry.sizes).cast("I"), initial=0)
        self.slices: list[m.Buffer] = [data[start:end] for start, end in pairwise(bounds)]


class Inbox:
    """See the module. `words` and `ring` are the member's mapped file. `is_decoding`: a decoder runs, for who knows how
    long.

    Between the store of the cursor and the return of the item there is no call, hence no place where Python would run a
    signal handler: a Ctrl-C finds the item either taken and returned, or neither. That is why an exhausted chunk is
    dropped by the next take, not by the one that exhausted it.
    """

    def __init__(self, words: memoryview, ring: memoryview) -> None:
        self.received = 0
        self._chunks: deque[_Chunk] = deque()
        self.words = words
        self._ring = ring
        self._ring_used = False
        self.is_decoding = False
        self.in_hand: dict[int, Item] = {}

    @property
    def taken(self) -> int:
        return int(self.words[TAKEN])

    @property
    def count(self) -> int:
        """Items that get can return at once."""
        return self.received - self.taken

    def add(self, grant: m.Grant) -> None:
        """A grant has arrived. Its memory must stay as it is."""
        if grant.position != self.received:
            return
        received = self.received
        chunks = []
        for entry in grant.entries:
            chunks.append(_Chunk(entry, received))
            received += entry.count
        self._chunks += chunks
        self.received = received

    def take(self, decode: Callable[[Any], Any], hold: bool, thread: int = 0) -> Item | None:
        """The next item, decoded and taken; None if there is none. With `hold`, or if it wants a reply, it is held.

        An item that cannot be decoded is held too, for its failure has yet to be told. What is held is in `in_hand`
        under the thread until its owner takes it from there.
        """
        while True:
            chunks = self._chunks
            chunk = self._current()
            if chunk is None:
                return None
            index = chunk.index
            payload = chunk.slices[index]
            error: BaseException | None = None
            obj = None
            self.words[OPENED] = chunk.position + index + 1
            self.is_decoding = True
            try:
                obj = decode(payload)
            except Exception as raised:
                error = raised
            finally:
                self.is_decoding = False
            held = hold or error is not None or bool(chunk.flags & m.WANTS_REPLY)
            raw = bytes(payload) if error is not None else b""
            item = Item(obj, chunk.first_id + index, chunk.attempt, chunk.flags, chunk.pid, held, error, raw)
            position = chunk.position + index
            following = index + 1
            if chunk.index != index or chunks is not self._chunks:
                continue
            if held or self._ring_used:
                self._ring_used = True
                self._ring[position % RING] = held
            if held:
                self.in_hand[thread] = item
            chunk.index = following
            self.words[TAKEN] = position + 1
            return item

    def take_plain(self, decode: Callable[[Any], Any]) -> Any:
        """`take` for the commonest case at half the cost: a plain item. LookupError, and nothing taken, otherwise."""
        chunks = self._chunks
        chunk = chunks[0]
        index = chunk.index
        if index == chunk.count or chunk.flags & m.WANTS_REPLY or self._ring_used:
            raise LookupError
        following = index + 1
        position = chunk.position + following
        self.words[OPENED] = position
        self.is_decoding = True
        try:
            obj = decode(chunk.slices[index])
        except Exception as error:
            raise LookupError from error
        finally:
            self.is_decoding = False
        if chunk.index != index or chunks is not self._chunks:
            raise LookupError
        chunk.index = following
        self.words[TAKEN] = position
        return obj

    def take_together(self, decode: Callable[[Any], Any], most: int, found: list[Any]) -> Exception | None:
        """Appends up to `most` plain items of one entry to `found`. They are taken when the last of them is decoded.

        So who dies in the midst has taken none, and `OPENED` tells which of them it died of. An Exception of the
        decoder ends them, and is returned; that item is not taken. Anything else is raised, and none is taken.
        Appends nothing where `take` must see to the next item.
        """
        chunks = self._chunks
        chunk = self._current()
        if chunk is None or chunk.flags & m.WANTS_REPLY or self._ring_used:
            return None
        words = self.words
        index = chunk.index
        opened = chunk.position + index
        failure: Exception | None = None
        objects: list[Any] = []
        self.is_decoding = True
        try:
            for payload in chunk.slices[index : index + most]:
                opened += 1
                words[OPENED] = opened
                objects.append(decode(payload))
                if words[ATTENTION]:
                    break
        except Exception as error:
            failure = error
            words[OPENED] = 0
        finally:
            self.is_decoding = False
        following = index + len(objects)
        position = chunk.position + following
        if chunk.index != index or chunks is not self._chunks:
            return failure
        found += objects
        chunk.index = following
        words[TAKEN] = position
        return failure

    def rebind(self, words: memoryview, ring: memoryview) -> list[tuple[bytes, int]]:
        """The member's file is another one. Returns what had not been taken, as (payload, flags), and holds nothing."""
        left = [(bytes(payload), chunk.flags) for chunk in self._chunks for payload in chunk.slices[chunk.index :]]
        self.give_back()
        self.words = words
        self._ring = ring
        self._ring_used = False
        self.received = 0
        return left

    def give_back(self) -> int:
        """Drops everything that has not been taken; returns the position from which on that is."""
        taken = self.taken
        nothing: deque[_Chunk] = deque()
        self._chunks = nothing
        self.received = taken
        return taken

    def _current(self) -> _Chunk | None:
        chunks = self._chunks
        while chunks:
            chunk = chunks[0]
            if chunk.index < chunk.count:
                return chunk
            chunks.popleft()
        return None
