"""
Reading a journal back: from what its files hold to the state that they amount to. Writes nothing.

A record that is not whole at the end of a segment is what a death leaves, and says nothing. Bytes that are no record
before a valid one are damage: they are noted and passed over, and the segment is marked, so that nobody appends to it.
"""

from __future__ import annotations

import json
import os
import stat
from collections import Counter
from typing import Any

from groupqueue.core import records
from groupqueue.core.checkpoint import Rebuild
from groupqueue.core.messages import DURABLE
from groupqueue.core.records import Kind, Record, SegmentHeader, SegmentKind
from groupqueue.core.replay import replay
from groupqueue.core.state import State
from groupqueue.exceptions import GroupVersionError
from groupqueue.system.segments import Location, Segment

_PREFIXES = ("items-", "ledger-", "new-", "spare-")


class Data:
    """What items segments hold, by id. What was copied from one to another counts where it is younger."""

    def __init__(self) -> None:
        self.batches: dict[int, tuple[tuple[int, ...], int, Location]] = {}
        self.replies: dict[int, tuple[tuple[int, ...], int, Location]] = {}


class Recovery:
    """
    See the module. What `read` finds: `items` by number, the `ledger` that counts and the `other`, the `unreadable`
    ledgers; `foreign` segments of another journal, `surplus` ones, and what is `irregular`, no file; the `last_number`
    of any segment, the number of this `journal` (0 if none is told), and in `notes` what was damaged.
    """

    def __init__(self, path: str, group: str) -> None:
        self.items: dict[int, Segment] = {}
        self.ledger: Segment | None = None
        self.other: Segment | None = None
        self.unreadable: list[Segment] = []
        self.foreign: list[Segment] = []
        self.surplus: list[Segment] = []
        self.irregular: list[str] = []
        self._found: list[tuple[Segment, SegmentHeader | None]] = []
        self.journal = 0
        self.last_number = 0
        self.notes: list[str] = []
        self._path = path
        self._group = group
        self._headless: list[Segment] = []

    def read(self, *, read_only: bool) -> State:
        """`read_only`: without the leader's lock, so that there may be a leader who writes.

        Raises GroupVersionError for a journal of another version.
        """
        names = self._names()
        self.journal = self._most_common_journal(names)
        checkpoint, later = self._read_ledgers(names, copy=read_only)
        data = Data()
        for name in names:
            if name.startswith("items-"):
                self._open_items(name)
            elif name.startswith("spare-"):
                spare = Segment.open(os.path.join(self._path, name), 0)
                self._header(spare)
                spare.close()
        self._read_items(data)
        rebuild = Rebuild(checkpoint)
        for found in data.batches.values():
            rebuild.add_items(*found)
        for found in data.replies.values():
            rebuild.add_reply(*found)
        rebuild.settle()
        for record in later:
            replay(rebuild, record)
        state = rebuild.finish()
        if not self.notes:
            # An item that the checkpoint names and no segment holds was finished since, and its segment written over.
            state.lost = checkpoint["totals"][2] if checkpoint is not None else 0
        if not read_only:
            self._count_live(state)
        return state

    def close(self) -> None:
        for segment in (*self.items.values(), *self.unreadable, *self.foreign, *self.surplus, self.ledger, self.other):
            if segment is not None:
                segment.close()

    def _names(self) -> list[str]:
        """What is there that a journal has, in order. A folder or a link in the place of a segment is `irregular`."""
        found = []
        for name in sorted(os.listdir(self._path)):
            if name.startswith(_PREFIXES):
                if stat.S_ISREG(os.lstat(os.path.join(self._path, name)).st_mode):
                    found.append(name)
                else:
                    self.irregular.append(os.path.join(self._path, name))
                    self.notes.append(f"{name} is no file")
        return found

    def _most_common_journal(self, names: list[str]) -> int:
        """Whose journal this is. A file of another group's, copied here by mistake, is one among many."""
        found: Counter[int] = Counter()
        for name in names:
            if name.startswith(("items-", "ledger-", "spare-")):
                journal = _journal_of(os.path.join(self._path, name))
                if journal:
                    # Of as many, the ledger's.
                    found[journal] += 3 if name.startswith("ledger-") else 2
        return max(found, key=lambda journal: (found[journal], journal), default=0)

    def _is_foreign(self, segment: Segment, header: SegmentHeader) -> bool:
        if header.journal in (0, self.journal):
            return False
        self.foreign.append(segment)
        self.notes.append(f"{segment.name} belongs to another journal; nothing of it is taken")
        return True

    # Ledgers

    def _read_ledgers(self, names: list[str], *, copy: bool) -> tuple[dict[str, Any] | None, list[Record]]:
        """The checkpoint that counts, and the records after it."""
        found: list[tuple[Segment, Record]] = []
        unreadable: list[Segment] = []
        for name in ("ledger-0", "ledger-1"):
            if name not in names:
                continue
            segment = Segment.open(os.path.join(self._path, name), 0)
            if copy:
                segment.load()
            header = self._header(segment)
            if header is not None and self._is_foreign(segment, header):
                continue
            first = self._first_record(segment, header)
            if first is not None and first.kind == Kind.CHECKPOINT:
                found.append((segment, first))
            else:
                if segment.number or (segment.size and any(segment.view()[:64])):
                    unreadable.append(segment)
                self.other = segment
        found.sort(key=lambda entry: entry[0].number)
        # A ledger's header is written last: one that is older than the other may stand over a half-written checkpoint,
        # and one that is not whole was about to count. So was the very first, and nothing is accepted before it does.
        has_items = any(name.startswith("items-") for name in names)
        for segment in unreadable:
            if not found and not segment.number and not has_items:
                continue
            if not found or segment.number > found[-1][0].number:
                self.notes.append(f"{segment.name} has no checkpoint that can be read")
                self.unreadable.append(segment)
        if not found:
            return None, []
        for segment, _ in found[:-1]:
            self.other = segment
        self.ledger, first = found[-1]
        return json.loads(bytes(first.body)), self._later_records(self.ledger)

    def _first_record(self, segment: Segment, header: SegmentHeader | None) -> Record | None:
        if header is None:
            return None
        segment.number = header.number
        if header.kind != SegmentKind.LEDGER:
            return None
        return records.read_record(segment.view(), records.SEGMENT_HEADER_SIZE, segment.number)

    def _later_records(self, ledger: Segment) -> list[Record]:
        later = []
        for record in records.read_records(ledger.view(), ledger.number):
            if isinstance(record, records.Damage):
                self._note_damage(ledger, record)
            else:
                ledger.tail = record.end
                later.append(record)
        return later[1:]

    # Items

    def _open_items(self, name: str) -> None:
        try:
            number = int(name.partition("-")[2], 16)
        except ValueError:
            self.notes.append(f"{name} is not a name of ours; left alone")
            return
        segment = Segment.open(os.path.join(self._path, name), number)
        header = self._header(segment)
        if header is not None:
            if self._is_foreign(segment, header):
                return
            segment.number = header.number
        self._found.append((segment, header))

    def _read_items(self, data: Data) -> None:
        """In the order of the numbers. Of those that have the same one that counts which has its name, too."""
        self._found.sort(key=lambda found: (found[0].number, not found[0].name.endswith(f"-{found[0].number:016x}")))
        for segment, header in self._found:
            if segment.size < records.SEGMENT_HEADER_SIZE:
                self.surplus.append(segment)
                self.notes.append(f"{segment.name} is not a whole segment")
            elif segment.number in self.items:
                self.surplus.append(segment)
                self.notes.append(f"{segment.name} stands there twice")
            else:
                self._read_segment(segment, header, data)

    def _read_segment(self, segment: Segment, header: SegmentHeader | None, data: Data) -> None:
        self.items[segment.number] = segment
        segment.read_note()
        self._read_data(segment, data)
        segment.suspect = segment.suspect or segment.is_in_doubt
        if segment.tail < segment.synced and not segment.damaged:
            self._note_damage(segment, records.Damage(segment.tail, segment.synced))
        if header is None and (segment.damaged or segment.tail > records.SEGMENT_HEADER_SIZE):
            # Its records are of this number, so that nobody must use it again.
            self.last_number = max(self.last_number, segment.number)
        if header is None and segment.tail > records.SEGMENT_HEADER_SIZE:
            self._headless.append(segment)
        elif header is None and not segment.damaged and not records.is_cut_short(segment.view()):
            segment.damaged = True
            self.notes.append(f"{segment.name}: nothing in it can be read")

    def _read_data(self, segment: Segment, data: Data) -> None:
        lost_some = False
        for record in records.read_records(segment.view(), segment.number):
            if isinstance(record, records.Damage):
                self._note_damage(segment, record)
                lost_some = lost_some or record.end > segment.synced
                continue
            if not lost_some:
                segment.tail = record.end
            length = len(record.body)
            location = Location(segment, record.end - (-length & 7) - length, length)
            if record.kind == Kind.ITEMS and len(record.words) == 7:
                producer, _, first_seq, count, flags, _, _ = record.words
                if flags & DURABLE and lost_some:
                    # Never acknowledged. Taken for accepted, it would have its producer drop what is lost before it.
                    continue
                segment.durable = segment.durable or bool(flags & DURABLE)
                segment.producers[producer] = first_seq + count - 1
                data.batches[record.words[1]] = (record.words, length, location)
            elif record.kind == Kind.REPLY and len(record.words) == 6:
                data.replies[record.words[0]] = (record.words, length, location)

    def _count_live(self, state: State) -> None:
        """Tells each segment how many of its bodies are of use."""
        for batch in state.batches.values():
            batch.location.segment.live += 1
        for reply in state.replies.values():
            if reply.location is not None:
                reply.location.segment.live += 1
        state.released.clear()
        # A header that was cut short belongs to a segment that was being started anew, and holds nothing of use.
        for segment in self._headless:
            if segment.live:
                segment.damaged = True
                self.notes.append(f"{segment.name}: its header is damaged")

    # Both

    def _header(self, segment: Segment) -> SegmentHeader | None:
        if segment.size < records.SEGMENT_HEADER_SIZE:
            return None
        try:
            header = records.unpack_segment_header(segment.view()[: records.SEGMENT_HEADER_SIZE])
        except records.FormatError as error:
            raise GroupVersionError(
                f"group {self._group!r}: {segment.path} has {error}; "
                "let the groupqueue that wrote it drain the group, or unlink it"
            ) from error
        if header is not None and (not self.journal or header.journal in (0, self.journal)):
            self.last_number = max(self.last_number, header.number)
        return header

    def _note_damage(self, segment: Segment, damage: records.Damage) -> None:
        segment.damaged = True
        self.notes.append(f"{segment.name}: bytes {damage.offset} to {damage.end} are damaged")


def _journal_of(path: str) -> int:
    """The journal that the segment's header names, 0 if it names none."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        header = records.unpack_segment_header(os.pread(fd, records.SEGMENT_HEADER_SIZE, 0))
    except records.FormatError:
        return 0
    finally:
        os.close(fd)
    return header.journal if header is not None else 0
