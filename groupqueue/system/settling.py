"""
Bringing to the disk what the last leader wrote and may not have: before anybody is told that it is accepted.

The dead leader may have failed to sync it, and may not have lived to say so. A later sync of the same file would tell
nothing, and writing the same pages again would not either: ext4, for one, leaves blocks that were allocated and never
written marked as such when their first write fails, takes the second, reports success, and reads as zeros after the
power was gone. A new file is above suspicion. So what is in doubt is copied, whole, from the page cache to a segment
that was never synced before, and that one is synced. If that fails it is thrown away, and the next try makes another.
"""

from __future__ import annotations

from groupqueue.core import records
from groupqueue.core.items import Batch, Reply
from groupqueue.core.messages import DURABLE
from groupqueue.core.records import Kind, Record
from groupqueue.core.state import State
from groupqueue.system import disk
from groupqueue.system.segments import Location, Segment

_REPLY_WORDS = 6


class PagesLost(Exception):
    """What could be read a moment ago has gone, and is not on the disk. The journal must be read again."""


def in_doubt(state: State) -> list[Batch | Reply]:
    """What may have to be on the disk and may not be, in the order of the ids: so each producer's in its order.

    (Not where it stands: behind a copy that a death cut short is the beginning, and before it the rest.)
    """
    bodies: dict[int, Batch | Reply] = {
        batch.first_id: batch for batch in state.batches.values() if batch.flags & DURABLE
    }
    bodies |= {number: reply for number, reply in state.replies.items() if reply.location is not None}
    return [bodies[number] for number in sorted(bodies) if _is_in_doubt(bodies[number])]


def _is_in_doubt(body: Batch | Reply) -> bool:
    segment: Segment = body.location.segment
    return segment.durable and body.location.start >= segment.synced


def room_for(bodies: list[Batch | Reply]) -> int:
    return sum(records.record_size(_words_of(body), body.location.length) for body in bodies)


def copy(bodies: list[Batch | Reply], target: Segment, epoch: int) -> list[Location]:
    """Appends their records to another segment, and returns where their bodies are there. Raises PagesLost."""
    places = []
    for body in bodies:
        record, check = _record_of(body)
        start = target.append(record.kind, record.words, [record.body], len(record.body), check, epoch)
        places.append(Location(target, start, len(record.body)))
        if record.kind == Kind.ITEMS:
            target.producers[record.words[0]] = record.words[2] + record.words[3] - 1
    if not target.is_whole():
        raise PagesLost(f"{target.name}: some of what was to be copied has gone")
    return places


def move(bodies: list[Batch | Reply], places: list[Location]) -> None:
    """From now on these are the bodies."""
    for body, place in zip(bodies, places):
        body.location.segment.live -= 1
        place.segment.live += 1
        body.location = place


def settle_in_place(segments: set[Segment]) -> None:
    """Where there is no room for a copy: syncs, and believes what can then be read from the disk itself.

    Pages that were not written are gone after that. They were never acknowledged, and their producers have them.
    """
    for segment in segments:
        disk.sync_file(segment.fd)
        segment.map = None
        disk.drop_cache(segment.fd)
        if not segment.is_whole():
            raise PagesLost(f"{segment.name}: some of what was to be synced is not on the disk")
        segment.note_synced()
        segment.suspect = False


def _words_of(body: Batch | Reply) -> int:
    return records.ITEMS_WORDS if isinstance(body, Batch) else _REPLY_WORDS


def _record_of(body: Batch | Reply) -> tuple[Record, int]:
    """The record that the body is of, and the check that was made when it was put."""
    segment, start, _ = body.location
    view = segment.view()
    at = start - 8 * _words_of(body) - records.HEADER.size
    record = records.read_record(view, at, segment.number)
    if record is None:
        raise PagesLost(f"{segment.name}: the record at byte {at} has gone")
    check: int = records.HEADER.unpack_from(view, at)[3]
    return record, check
