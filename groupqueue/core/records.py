"""
The journal's format, shared by its writer and its reader. See docs/journal-format.md.

A segment is a file: a header of 64 bytes, then records. A record is

    check u32, magic u32, body length u64, body check u32, kind u16, words u16, epoch u64 | words x u64 | body |
    padding to 8

`check` covers the rest of the header, the words, and, as its seed, the segment's number and the record's offset: the
old bytes of a recycled segment, and a journal that somebody queued as an item, never look like records of this one.
A record that was not written whole fails one of its two checks; at the end of a segment that is an ordinary input.

A large body may be checked late: its head is written when the body is whole, and says so in the highest bits of the
kind. `check` then leaves out these bits and `body check`, in whose place stands a number of the machine's boot; the
upper half of `epoch` has the seconds since. One store of eight bytes, which no page boundary cuts, puts the check
there.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple
from zlib import crc32

VERSION = 1

SEGMENT_HEADER_SIZE = 64
SYNCED_AT = 48
_SEGMENT = struct.Struct("<8sIIQQQ")
_SEGMENT_MAGIC = b"groupq\r\n"
_NUMBER_AT = 16
_SYNCED = struct.Struct("<QI")

HEADER = struct.Struct("<IIQIHHQ")
MAGIC = 0x52515147
_MAGIC_BYTES = MAGIC.to_bytes(4, "little")
_PIECE = 64 * 1024
_SEED = struct.Struct("<QQ")

MOST_NUMBERS = 1 << 63
"""Of segments: an epoch, which a pid's 31 bits are enough for, and a counter of 32."""
_AFTER_CHECK = struct.Struct("<IQIHHQ")
_CHECK = struct.Struct("<I")
_LATE = struct.Struct("<IHH")
_LATE_AT = 16
_UNCHECKED = 0x8000
_CHECKED_LATE = 0x4000
_KIND = 0x3FFF
_EPOCH = 0xFFFFFFFF
_RECENTLY = 30
"""Seconds."""


class Kind(enum.IntEnum):
    """What a record says. The numbers are the format: append, never reorder."""

    ITEMS = 1  # producer, first id, first seq, count, flags, max_attempts, pid | sizes, payload
    REPLY = 2  # id, item id, producer, seq, status, finish | payload
    CHECKPOINT = 3  # | JSON, the whole state
    GRANT = 4  # member, position, (first id, count)...
    RETURN = 5  # member, position
    TAKEN = 6  # member, position, held ids...
    FINISH = 7  # (first id, count)...
    FAILED = 8  # id | reason
    REQUEUE = 9  # id, attempt, deaths
    GONE = 10  # member
    HEARD = 11  # reply ids...
    PRODUCERS = 12  # next id, total put, (producer, last seq)... | number of the items segment that ends, u64, or none
    SHUTDOWN = 13  # state
    RETRY = 14  # ids...
    EPOCH = 15  # epoch, pid, numbers of the items segments in use...
    LOST = 16  # id, item id, producer, seq | reason
    ANSWERED = 17  # item ids...
    BEGUN = 18  # number of an items segment


ITEMS_WORDS = 7
"""Of an ITEMS record."""


class SegmentKind(enum.IntEnum):
    """`ITEMS` segments hold what was put and answered, `LEDGER` segments what became of it.

    `LENT` ones hold what was put by the one producer who was to write the bodies there itself.
    """

    ITEMS = 1
    LEDGER = 2
    LENT = 3


_SEGMENT_KINDS = frozenset(SegmentKind)


class FormatError(ValueError):
    """The file is a segment of another version."""


class SegmentHeader(NamedTuple):
    """`journal` is the same in all segments of one journal and in no other's; 0 where that is not known."""

    kind: SegmentKind
    number: int
    generation: int
    journal: int = 0


class Record(NamedTuple):
    kind: int
    words: tuple[int, ...]
    body: memoryview
    offset: int
    end: int
    epoch: int
    is_unchecked: bool = False


class Boot(NamedTuple):
    """The life of a machine's memory: its number, 0 if it is not known, and the seconds since it began."""

    number: int
    uptime: int


NO_BOOT = Boot(0, 0)


class Damage(NamedTuple):
    """Bytes between valid records that are no record."""

    offset: int
    end: int


class Gone(NamedTuple):
    """A record whose body was never checked, and may have been lost with the machine's memory."""

    offset: int
    end: int


def pack_segment_header(header: SegmentHeader) -> bytes:
    plain = _SEGMENT.pack(_SEGMENT_MAGIC, VERSION, header.kind, header.number, header.generation, header.journal)
    return (plain + _CHECK.pack(crc32(plain))).ljust(SEGMENT_HEADER_SIZE, b"\0")


def unpack_segment_header(data: bytes | memoryview) -> SegmentHeader | None:
    """The header, None if these bytes are none; FormatError if they are one of another version."""
    if len(data) < SEGMENT_HEADER_SIZE:
        return None
    magic, version, kind, number, generation, journal = _SEGMENT.unpack_from(data)
    (check,) = _CHECK.unpack_from(data, _SEGMENT.size)
    if magic != _SEGMENT_MAGIC or check != crc32(data[: _SEGMENT.size]):
        return None
    if version != VERSION:
        raise FormatError(f"journal version {version}, this groupqueue reads version {VERSION}")
    if kind not in _SEGMENT_KINDS or number >= MOST_NUMBERS:
        return None
    return SegmentHeader(SegmentKind(kind), number, generation, journal)


def is_cut_short(data: bytes | memoryview) -> bool:
    """Whether these bytes, which are no header, may be what is left of an items segment's that was not written whole.

    That is nothing of it, or its beginning over zeros, or over an older one, which begins with the same fields.
    """
    same = pack_segment_header(SegmentHeader(SegmentKind.ITEMS, 0, 0))[:_NUMBER_AT]
    written = bytes(data[:SEGMENT_HEADER_SIZE]).rstrip(b"\0")
    return written.startswith(same) or same.startswith(written)


def pack_synced(offset: int, has_begun: bool, segment: int) -> bytes:
    """What stands at SYNCED_AT in the header: all before the offset is on the disk, and whether a sync has begun since.

    Offsets are multiples of 8, so the lowest bit is free to tell that.
    """
    noted = offset | has_begun
    return _SYNCED.pack(noted, crc32(_SEED.pack(segment, noted)))


def unpack_synced(data: bytes | memoryview, segment: int) -> tuple[int, bool] | None:
    """What is noted there; None if nothing is."""
    noted, check = _SYNCED.unpack_from(data, SYNCED_AT)
    if not noted or check != crc32(_SEED.pack(segment, noted)):
        return None
    return noted & ~7, bool(noted & 1)


def record_size(words: int, body: int) -> int:
    """Bytes of a record in its segment, padding included."""
    return (HEADER.size + 8 * words + body + 7) & ~7


def pack_head(
    kind: int, words: Sequence[int], body_length: int, body_check: int, epoch: int, segment: int, offset: int
) -> bytes:
    """Header and words of a record that will stand at this place."""
    plain = _AFTER_CHECK.pack(MAGIC, body_length, body_check, kind, len(words), epoch)
    plain += struct.pack(f"<{len(words)}Q", *words)
    return _CHECK.pack(crc32(plain, crc32(_SEED.pack(segment, offset)))) + plain


def pack_unchecked_head(
    kind: int, words: Sequence[int], body_length: int, boot: Boot, epoch: int, segment: int, offset: int
) -> bytes:
    """As pack_head, of a record whose body is whole and will be checked later. The boot must have a number."""
    epoch |= (boot.uptime & _EPOCH) << 32
    tail = struct.pack(f"<{len(words)}Q", *words)
    plain = _AFTER_CHECK.pack(MAGIC, body_length, 0, kind, len(words), epoch) + tail
    check = crc32(plain, crc32(_SEED.pack(segment, offset)))
    return HEADER.pack(check, MAGIC, body_length, boot.number, kind | _UNCHECKED, len(words), epoch) + tail


def pack_late_check(kind: int, words: int, body_check: int) -> bytes:
    """What is to stand at `late_check_at` in the head of such a record."""
    return _LATE.pack(body_check, kind | _CHECKED_LATE, words)


def late_check_at(offset: int) -> int:
    """Where that is: a multiple of 8, so one store."""
    return offset + _LATE_AT


def read_record(
    data: memoryview, offset: int, segment: int, verify_body: bool = True, *, boot: Boot = NO_BOOT
) -> Record | None:
    """The record at an offset; None if there is no whole record, or its body cannot be believed.

    A body that was never checked is believed in the same `boot`: it was whole, and what dies with less than the machine
    leaves it so. Where the boot has no number it is if it was written in the last seconds.
    """
    found = _read(data, offset, segment, verify_body, boot)
    return found if isinstance(found, Record) else None


def _read(data: memoryview, offset: int, segment: int, verify_body: bool, boot: Boot) -> Record | Gone | None:
    if offset + HEADER.size > len(data):
        return None
    check, magic, length, body_check, kind, count, epoch = HEADER.unpack_from(data, offset)
    body_at = offset + HEADER.size + 8 * count
    if magic != MAGIC or body_at > len(data) or length > len(data) - body_at:
        return None
    seed = crc32(_SEED.pack(segment, offset))
    uptime = 0
    late = kind & ~_KIND
    if late:
        if late not in (_UNCHECKED, _CHECKED_LATE):
            return None
        kind &= _KIND
        uptime = epoch >> 32
        plain = _AFTER_CHECK.pack(magic, length, 0, kind, count, epoch)
        found = crc32(data[offset + HEADER.size : body_at], crc32(plain, seed))
    else:
        found = crc32(data[offset + 4 : body_at], seed)
    if found != check:
        return None
    body = data[body_at : body_at + length]
    end = (body_at + length + 7) & ~7
    is_unchecked = late == _UNCHECKED
    if is_unchecked:
        if not _is_of(boot, body_check, uptime):
            return Gone(offset, end)
    elif verify_body and crc32(body) != body_check:
        return None
    words = struct.unpack_from(f"<{count}Q", data, offset + HEADER.size)
    return Record(kind, words, body, offset, end, epoch & _EPOCH if late else epoch, is_unchecked)


def _is_of(boot: Boot, number: int, uptime: int) -> bool:
    if boot.number:
        return boot.number == number
    return boot.uptime > 0 and 0 <= boot.uptime - uptime <= _RECENTLY


def read_records(data: memoryview, segment: int, boot: Boot = NO_BOOT) -> Iterator[Record | Damage | Gone]:
    """The records of a segment in order, with what is damaged between them, and what is gone. A torn tail just ends
    them.
    """
    offset = SEGMENT_HEADER_SIZE
    while True:
        record = _read(data, offset, segment, True, boot)
        if record is None:
            following = _next_record(data, offset + 8, segment, boot)
            if following is None:
                return
            yield Damage(offset, following)
            offset = following
        else:
            yield record
            offset = record.end


def _next_record(data: memoryview, offset: int, segment: int, boot: Boot) -> int | None:
    # In copies of pieces: `mmap.find` reads beyond the mapping, and crashes, in some interpreters (CPython 3.11.2).
    for start in range(offset + 4, len(data), _PIECE):
        piece = bytes(data[start : start + _PIECE + len(_MAGIC_BYTES) - 1])
        found = piece.find(_MAGIC_BYTES)
        while found >= 0:
            at = start + found - 4
            if at % 8 == 0 and _read(data, at, segment, True, boot) is not None:
                return at
            found = piece.find(_MAGIC_BYTES, found + 1)
    return None
