"""
What the items segments hold: batches and replies, each of them once, and none that contradicts the others.

The same record may stand in two segments, copied from the one to the other: it counts where it is younger. Two batches
that claim the same ids, or that have a producer's items in two orders, cannot both be true: what stands in a younger
segment is believed rather than what stands in an older one, and in one segment what stands before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from operator import attrgetter
from typing import NamedTuple

from groupqueue.core import records
from groupqueue.core.messages import DURABLE
from groupqueue.core.records import Damage, Gone, Kind, Record
from groupqueue.core.sense import is_possible_data
from groupqueue.system.boot import this_boot
from groupqueue.system.segments import Location, Segment


class Found(NamedTuple):
    """A record of an items segment; `length` is that of its body."""

    words: tuple[int, ...]
    length: int
    location: Location

    @property
    def place(self) -> tuple[int, int]:
        """In the order in which records are believed."""
        return -self.location.segment.number, self.location.start

    # Of a batch

    @property
    def first(self) -> int:
        return self.words[1]

    @property
    def end(self) -> int:
        return self.words[1] + self.words[3]

    @property
    def last_seq(self) -> int:
        return self.words[2] + self.words[3] - 1


class Contents:
    """See the module. `note` is told of the damage that is found in a segment; `unchecked` is what is to be checked."""

    def __init__(self, note: Callable[[Segment, Damage], None]) -> None:
        self.unchecked: set[Location] = set()
        self._note = note
        self._batches: list[Found] = []
        self._replies: list[Found] = []

    def read(self, segment: Segment) -> None:
        """All that is in the segment, its tail, and whether something in it is durable."""
        lost_some = False
        for record in records.read_records(segment.view(), segment.number, this_boot()):
            if isinstance(record, Record) and not is_possible_data(record):
                record = Damage(record.offset, record.end)
            if isinstance(record, Gone):
                segment.tail = record.end if not lost_some else segment.tail
                continue
            if isinstance(record, Damage):
                self._note(segment, record)
                lost_some = lost_some or record.end > segment.synced
                continue
            if not lost_some:
                segment.tail = record.end
            length = len(record.body)
            found = Found(record.words, length, Location(segment, record.end - (-length & 7) - length, length))
            if record.is_unchecked:
                self.unchecked.add(found.location)
            if record.kind == Kind.REPLY:
                self._replies.append(found)
            elif not lost_some or not record.words[4] & DURABLE:
                # Behind a loss what is durable was never acknowledged. Taken for accepted, it would have its producer
                # drop what is lost before it.
                segment.durable = segment.durable or bool(record.words[4] & DURABLE)
                self._batches.append(found)

    def batches(self) -> list[Found]:
        """In the order of their ids. Tells the segments which producers they have, and how far."""
        found = _without_copies(self._batches, lambda batch: batch.words[1])
        if not _is_in_order(found):
            found = self._agreeing(found)
        for batch in found:
            batch.location.segment.producers[batch.words[0]] = batch.last_seq
        return found

    def replies(self, batches: list[Found]) -> list[Found]:
        """Those that answer what was asked, as far as that can be seen."""
        found: dict[int, Found] = {}
        for reply in _without_copies(self._replies, lambda reply: reply.words[0]):
            number = reply.words[0]
            rival = found.get(number)
            if not _answers(reply, batches) or (rival is not None and rival.place < reply.place):
                self._note_record(reply)
                continue
            found[number] = reply
            if rival is not None:
                self._note_record(rival)
        return list(found.values())

    def _agreeing(self, batches: Iterable[Found]) -> list[Found]:
        """Those that can be true together; the others are damage."""
        agreed: list[Found] = []
        by_producer: dict[int, list[Found]] = {}
        for batch in sorted(batches, key=attrgetter("place")):
            lane = by_producer.setdefault(batch.words[0], [])
            if _fits(agreed, batch, lambda left, right: left.end <= right.first) and _fits(
                lane, batch, lambda left, right: left.last_seq < right.last_seq
            ):
                agreed.insert(_place_in(agreed, batch.first), batch)
                lane.insert(_place_in(lane, batch.first), batch)
            else:
                self._note_record(batch)
        return agreed

    def _note_record(self, found: Found) -> None:
        start = found.location.start
        offset = start - 8 * len(found.words) - records.HEADER.size
        self._note(found.location.segment, Damage(offset, (start + found.length + 7) & ~7))


def _without_copies(found: list[Found], number: Callable[[Found], int]) -> list[Found]:
    """In the order of the numbers; of those that are the same the one that is believed first."""
    kept: list[Found] = []
    for record in sorted(found, key=number):
        last = kept[-1] if kept else None
        is_copy = last is not None and record.words == last.words and record.length == last.length
        if last is None or not is_copy or record.location.segment is last.location.segment:
            kept.append(record)
        else:
            # They came in the order of the segments.
            kept[-1] = record
    return kept


def _is_in_order(batches: list[Found]) -> bool:
    """Whether these, in the order of their first ids, can be true together. They mostly can, and this is soon seen."""
    end = 0
    last_seqs: dict[int, int] = {}
    for batch in batches:
        producer = batch.words[0]
        if batch.first < end or batch.last_seq <= last_seqs.get(producer, 0):
            return False
        end = batch.end
        last_seqs[producer] = batch.last_seq
    return True


def _answers(reply: Found, batches: list[Found]) -> bool:
    """Whether it goes to whoever put the item, if the item is there."""
    _, item, producer, seq, _, _ = reply.words
    at = _place_in(batches, item + 1)
    batch = batches[at - 1] if at else None
    if batch is None or item >= batch.end:
        return True
    return (producer, seq) == (batch.words[0], batch.words[2] + item - batch.first)


def _place_in(batches: list[Found], item: int) -> int:
    return bisect_left(batches, item, key=attrgetter("first"))


def _fits(batches: list[Found], batch: Found, may_follow: Callable[[Found, Found], bool]) -> bool:
    """Whether a batch may stand at its place among others."""
    at = _place_in(batches, batch.first)
    return (at == 0 or may_follow(batches[at - 1], batch)) and (at == len(batches) or may_follow(batch, batches[at]))
