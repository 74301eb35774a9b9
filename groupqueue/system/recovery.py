"""
Reading a journal back: from what its files hold to the state that they amount to. Writes nothing.

A record that is not whole at the end of a segment is what a death leaves, and says nothing. Bytes that are no record
before a valid one are damage: they are noted and passed over, and the segment is marked, so that nobody appends to it.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from typing import Any

from groupqueue.core import records
from groupqueue.core.checkpoint import Rebuild
from groupqueue.core.records import Damage, Gone, Kind, Record, SegmentHeader, SegmentKind
from groupqueue.core.replay import replay
from groupqueue.core.saved import read_saved
from groupqueue.core.sense import contradicts, is_possible_entry
from groupqueue.core.state import State
from groupqueue.exceptions import GroupVersionError
from groupqueue.system.contents import Contents
from groupqueue.system.segments import Location, Segment

_PREFIXES = ("items-", "ledger-", "new-", "spare-")


class Recovery:
    """
    See the module. What `read` finds: `items` by number, the `ledger` that counts and the `other`, the `unreadable`
    ledgers; the `unchecked` bodies that are of use; `foreign` segments of another journal, `surplus` ones, and what is
    `irregular`, no file; the `last_number` of any segment, the number of this `journal` (0 if none is told), in `notes`
    what was damaged, and `has_losses` if the ledger names what is not there.
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
        self.unchecked: set[Location] = set()
        self.has_losses = False
        self.notes: list[str] = []
        self._path = path
        self._group = group
        self._headless: list[Segment] = []
        self._copies: list[Segment] = []
        self._opened: list[Segment] = []

    def read(self, *, read_only: bool) -> State:
        """`read_only`: without the leader's lock, so that there may be a leader who writes.

        Raises GroupVersionError for a journal of another version.
        """
        names = self._names()
        self.journal = self._most_common_journal(names)
        checkpoint, later = self._read_ledgers(names, copy=read_only)
        contents = Contents(self._note_damage)
        for name in names:
            if name.startswith("items-"):
                self._open_items(name)
            elif name.startswith("spare-"):
                spare = self._open(name, 0)
                self._header(spare)
                spare.close()
        self._read_items(contents)
        rebuild = Rebuild(checkpoint)
        batches = contents.batches()
        for found in batches:
            rebuild.add_items(*found)
        for found in contents.replies(batches):
            rebuild.add_reply(*found)
        rebuild.settle()
        self._replay(rebuild, later)
        state = rebuild.finish()
        self.unchecked = contents.unchecked & {batch.location for batch in state.batches.values()}
        if not (read_only and self._is_written()):
            self._note_missing(state, rebuild.unseen.total)
        if not read_only:
            self._count_live(state)
        return state

    def close(self) -> None:
        """Also after a reading that something cut short."""
        for segment in self._opened:
            segment.close()

    def _open(self, name: str, number: int) -> Segment:
        segment = Segment.open(os.path.join(self._path, name), number)
        self._opened.append(segment)
        return segment

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

    def _read_ledgers(self, names: list[str], *, copy: bool) -> tuple[dict[str, Any] | None, list[Record | Damage]]:
        """The checkpoint that counts, and the records after it."""
        found: list[tuple[Segment, dict[str, Any]]] = []
        unreadable: list[Segment] = []
        for name in ("ledger-0", "ledger-1"):
            if name not in names:
                continue
            segment = self._open(name, 0)
            if copy:
                segment.load()
                self._copies.append(segment)
            header = self._header(segment)
            if header is not None and self._is_foreign(segment, header):
                continue
            first = self._first_record(segment, header)
            checkpoint = read_saved(first.body) if first is not None and first.kind == Kind.CHECKPOINT else None
            if checkpoint is not None:
                found.append((segment, checkpoint))
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
        self.ledger, checkpoint = found[-1]
        return checkpoint, self._later_records(self.ledger)

    def _first_record(self, segment: Segment, header: SegmentHeader | None) -> Record | None:
        if header is None:
            return None
        segment.number = header.number
        if header.kind != SegmentKind.LEDGER:
            return None
        return records.read_record(segment.view(), records.SEGMENT_HEADER_SIZE, segment.number)

    def _later_records(self, ledger: Segment) -> list[Record | Damage]:
        later: list[Record | Damage] = []
        for record in records.read_records(ledger.view(), ledger.number):
            ledger.tail = record.end
            if isinstance(record, Gone):
                record = Damage(record.offset, record.end)
            if isinstance(record, Record) and later and not is_possible_entry(record):
                record = Damage(record.offset, record.end)
            later.append(record)
        return later[1:]

    def _replay(self, rebuild: Rebuild, later: list[Record | Damage]) -> None:
        state = rebuild.state
        ledger = self.ledger
        is_whole = True
        for record in later:
            assert ledger is not None
            # What follows a loss may well seem to contradict the rest.
            if isinstance(record, Record) and not (is_whole and contradicts(state, record)):
                replay(rebuild, record)
                continue
            is_whole = is_whole and isinstance(record, Record)
            self._note_damage(ledger, Damage(record.offset, record.end))
            # Of any of them it may have told that it has ended.
            state.segments.clear()
        if self.unreadable:
            state.segments.clear()

    def _note_missing(self, state: State, unseen: int) -> None:
        """Names what the ledger tells of and is not there. It is then set aside: nothing else is left of that."""
        ledger = self.ledger
        if ledger is None:
            return
        self.has_losses = unseen > 0
        for number in sorted(state.segments - self.items.keys() - {segment.number for segment in self.surplus}):
            ledger.damaged = True
            self.notes.append(f"items-{number:016x} is missing; what was left in it is lost")
        if unseen and not self.notes:
            ledger.damaged = True
            self.notes.append(f"{ledger.name} names {unseen:,} item(s) that no segment holds")

    def _is_written(self) -> bool:
        """Whether the ledgers are not what they were: who leads has gone on, and we looked at two moments."""
        return any(bytes(segment.view()) != os.pread(segment.fd, segment.size, 0) for segment in self._copies)

    # Items

    def _open_items(self, name: str) -> None:
        try:
            number = int(name.partition("-")[2], 16)
        except ValueError:
            self.notes.append(f"{name} is not a name of ours; left alone")
            return
        segment = self._open(name, number)
        header = self._header(segment)
        if header is not None:
            if self._is_foreign(segment, header):
                return
            if header.kind == SegmentKind.LEDGER:
                self.surplus.append(segment)
                self.notes.append(f"{name} is no items segment")
                return
            segment.number = header.number
            segment.lent = header.kind == SegmentKind.LENT
        self._found.append((segment, header))

    def _read_items(self, contents: Contents) -> None:
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
                self._read_segment(segment, header, contents)

    def _read_segment(self, segment: Segment, header: SegmentHeader | None, contents: Contents) -> None:
        self.items[segment.number] = segment
        segment.read_note()
        contents.read(segment)
        segment.suspect = segment.suspect or segment.is_in_doubt
        if segment.tail < segment.synced and not segment.damaged:
            self._note_damage(segment, Damage(segment.tail, segment.synced))
        if header is None and (segment.damaged or segment.tail > records.SEGMENT_HEADER_SIZE):
            # Its records are of this number, so that nobody must use it again.
            self.last_number = max(self.last_number, segment.number)
        if header is None and segment.tail > records.SEGMENT_HEADER_SIZE:
            self._headless.append(segment)
        elif header is None and not segment.damaged and not records.is_cut_short(segment.view()):
            segment.damaged = True
            self.notes.append(f"{segment.name}: nothing in it can be read")

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

    def _note_damage(self, segment: Segment, damage: Damage) -> None:
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
