"""The journal's format: a torn tail is an ordinary input, a bad middle costs what it hit and no more."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest

from groupqueue.core import records
from groupqueue.core.records import Damage, Gone, Kind, Record, SegmentHeader, SegmentKind

NUMBER = (3 << 32) + 7


class SegmentWriter:
    """Writes a segment into memory, as the journal writes it into a file."""

    def __init__(self, number: int = NUMBER, size: int = 4096, over: bytes = b"") -> None:
        self.number = number
        self.data = bytearray(over.ljust(size, b"\0"))
        header = SegmentHeader(SegmentKind.ITEMS, number, number >> 32)
        self.data[: records.SEGMENT_HEADER_SIZE] = records.pack_segment_header(header)
        self.tail = records.SEGMENT_HEADER_SIZE
        self.ends: list[int] = []

    def append(self, kind: int, words: tuple[int, ...], body: bytes = b"", epoch: int = 3) -> None:
        head = records.pack_head(kind, words, len(body), crc32(body), epoch, self.number, self.tail)
        data = head + body
        self.data[self.tail : self.tail + len(data)] = data
        self.tail += records.record_size(len(words), len(body))
        self.ends.append(self.tail)


def read(data: bytes | bytearray, number: int = NUMBER) -> list[Record | Damage | Gone]:
    return list(records.read_records(memoryview(data), number))


def told(found: list[Record | Damage | Gone]) -> list[tuple[int, tuple[int, ...], bytes]]:
    """What the records among them say."""
    return [(record.kind, record.words, bytes(record.body)) for record in found if isinstance(record, Record)]


SAMPLE = [
    (Kind.ITEMS, (11, 1, 1, 2, 0, 3, 4242), struct.pack("<2I", 3, 5) + b"abcdefgh"),
    (Kind.GRANT, (12, 0, 1, 2), b""),
    (Kind.FAILED, (2,), b"it broke"),
    (Kind.HEARD, (), b""),
    (Kind.REPLY, (3, 1, 11, 1, 0, 1), b"odd length!"),
    (Kind.FINISH, (1, 1), b""),
]


@pytest.fixture
def segment() -> SegmentWriter:
    writer = SegmentWriter(size=640)
    for record in SAMPLE:
        writer.append(*record)
    return writer


def test_records_are_read_in_order_as_written(segment: SegmentWriter) -> None:
    found = read(segment.data)
    assert told(found) == SAMPLE
    assert [record.offset for record in found] == [records.SEGMENT_HEADER_SIZE, *segment.ends[:-1]]
    assert [record.end for record in found] == segment.ends
    assert {record.epoch for record in found if isinstance(record, Record)} == {3}


def test_a_record_tells_where_its_body_is(segment: SegmentWriter) -> None:
    for record in read(segment.data):
        assert isinstance(record, Record)
        start = record.end - (-len(record.body) & 7) - len(record.body)
        assert bytes(segment.data[start : start + len(record.body)]) == bytes(record.body)


def test_records_begin_at_multiples_of_eight(segment: SegmentWriter) -> None:
    assert [end % 8 for end in segment.ends] == [0] * len(SAMPLE)


def test_an_empty_segment_has_no_records() -> None:
    assert read(SegmentWriter().data) == []
    assert read(bytearray(records.SEGMENT_HEADER_SIZE)) == []
    assert read(bytearray(10)) == []


def test_a_segment_may_be_full_to_the_last_byte() -> None:
    writer = SegmentWriter(size=records.SEGMENT_HEADER_SIZE + 2 * records.record_size(1, 16))
    writer.append(Kind.FAILED, (1,), bytes(16))
    writer.append(Kind.FAILED, (2,), bytes(16))
    assert writer.tail == len(writer.data)
    assert [words for _, words, _ in told(read(writer.data))] == [(1,), (2,)]


# The tail


@pytest.mark.parametrize("last", range(len(SAMPLE)))
def test_a_torn_tail_ends_the_records_whatever_byte_it_is_torn_at(last: int) -> None:
    writer = SegmentWriter(size=640, over=b"\xa5" * 640)
    for record in SAMPLE[:last]:
        writer.append(*record)
    start = writer.tail
    before = bytes(writer.data)
    kind, words, body = SAMPLE[last]
    writer.append(kind, words, body)
    for written in range(records.HEADER.size + 8 * len(words) + len(body)):
        torn = writer.data[: start + written] + before[start + written :]
        assert read(torn) == read(before), f"torn at byte {written}"


@pytest.mark.parametrize("last", range(len(SAMPLE)))
def test_a_file_cut_off_at_any_byte_of_the_last_record_ends_before_it(last: int) -> None:
    writer = SegmentWriter(size=640)
    for record in SAMPLE[: last + 1]:
        writer.append(*record)
    _, words, body = SAMPLE[last]
    start = writer.tail - records.record_size(len(words), len(body))
    for size in range(start, start + records.HEADER.size + 8 * len(words) + len(body)):
        assert told(read(writer.data[:size])) == SAMPLE[:last]


class Unsearchable(bytearray):
    """As a mapping is for some interpreters: to search it is to crash."""

    def find(self, *args: object) -> int:
        raise AssertionError("the mapping itself is searched")


@pytest.mark.parametrize("junk", [8, 65_528, 65_536, 65_544, 200_000])
@pytest.mark.parametrize("byte", [b"\0", b"GQQR"])
def test_a_record_behind_any_length_of_damage_is_found(junk: int, byte: bytes) -> None:
    writer = SegmentWriter(size=300_000)
    writer.append(Kind.FINISH, (1, 1))
    start = writer.tail
    writer.data[start : start + junk] = (byte * junk)[:junk]
    writer.tail += junk
    writer.append(Kind.FINISH, (2, 1))
    found = list(records.read_records(memoryview(Unsearchable(writer.data)), NUMBER))
    assert found[1] == Damage(start, start + junk)
    assert [record.words for record in found if isinstance(record, Record)] == [(1, 1), (2, 1)]


def test_a_torn_tail_is_written_over_by_the_next_record() -> None:
    writer = SegmentWriter(size=640)
    writer.append(Kind.FAILED, (1,), b"one")
    tail = writer.tail
    writer.append(Kind.FAILED, (2,), b"a long one that is not written whole")
    writer.data[tail + 60 :] = bytes(len(writer.data) - tail - 60)
    writer.tail = tail
    writer.append(Kind.FINISH, (9, 9))
    writer.append(Kind.FINISH, (8, 8))
    assert [words for _, words, _ in told(read(writer.data))] == [(1,), (9, 9), (8, 8)]


# The middle


def test_a_flipped_byte_alters_no_payload_and_what_follows_it_is_still_read(segment: SegmentWriter) -> None:
    starts = [records.SEGMENT_HEADER_SIZE, *segment.ends[:-1]]
    for at in range(records.SEGMENT_HEADER_SIZE, segment.tail):
        data = bytearray(segment.data)
        data[at] ^= 0xFF
        hit = max(index for index, start in enumerate(starts) if start <= at)
        _, words, body = SAMPLE[hit]
        padding = at >= starts[hit] + records.HEADER.size + 8 * len(words) + len(body)
        found = read(data)
        assert told(found) == (SAMPLE if padding else SAMPLE[:hit] + SAMPLE[hit + 1 :]), f"flipped at {at}"
        damage = [entry for entry in found if isinstance(entry, Damage)]
        last = hit == len(SAMPLE) - 1
        assert damage == ([] if padding or last else [Damage(starts[hit], segment.ends[hit])]), f"flipped at {at}"


def test_each_single_bit_is_covered(segment: SegmentWriter) -> None:
    _, words, body = SAMPLE[0]
    size = records.HEADER.size + 8 * len(words) + len(body)
    for bit in range(8 * size):
        data = bytearray(segment.data)
        data[records.SEGMENT_HEADER_SIZE + bit // 8] ^= 1 << bit % 8
        assert told(read(data)) == SAMPLE[1:]


def test_a_hole_of_many_records_is_one_damage(segment: SegmentWriter) -> None:
    start, end = segment.ends[0], segment.ends[3]
    segment.data[start:end] = bytes(end - start)
    found = read(segment.data)
    assert told(found) == [SAMPLE[0], *SAMPLE[4:]]
    assert [entry for entry in found if isinstance(entry, Damage)] == [Damage(start, end)]


def test_a_length_that_reaches_out_of_the_segment_is_no_record(segment: SegmentWriter) -> None:
    for length in (2**63, 2**64 - 1, len(segment.data)):
        data = bytearray(segment.data)
        struct.pack_into("<Q", data, records.SEGMENT_HEADER_SIZE + 8, length)
        assert told(read(data)) == SAMPLE[1:]


# Old bytes


def test_the_old_bytes_of_a_recycled_segment_are_not_read(segment: SegmentWriter) -> None:
    again = SegmentWriter(number=NUMBER + 1, size=len(segment.data), over=bytes(segment.data))
    assert read(again.data, NUMBER + 1) == []
    again.append(*SAMPLE[0])
    found = read(again.data, NUMBER + 1)
    assert told(found) == [SAMPLE[0]]
    assert not any(isinstance(entry, Damage) for entry in found)


def test_the_old_bytes_are_not_read_either_where_a_new_record_is_torn(segment: SegmentWriter) -> None:
    old = bytes(segment.data)
    again = SegmentWriter(number=NUMBER + 1, size=len(old), over=old)
    again.append(Kind.REPLY, (9, 9, 9, 9, 9, 9), b"another one, and longer")
    for written in range(again.tail - records.SEGMENT_HEADER_SIZE - 8):
        torn = again.data[: records.SEGMENT_HEADER_SIZE + written] + old[records.SEGMENT_HEADER_SIZE + written :]
        assert read(torn, NUMBER + 1) == []


def test_a_record_counts_at_its_own_place_only(segment: SegmentWriter) -> None:
    whole = bytes(segment.data[records.SEGMENT_HEADER_SIZE : segment.ends[0]])
    moved = SegmentWriter(size=640)
    moved.data[72 : 72 + len(whole)] = whole
    assert read(moved.data) == []


def test_a_journal_that_somebody_queued_is_a_payload_and_nothing_else(segment: SegmentWriter) -> None:
    payload = bytes(segment.data)
    outer = SegmentWriter(size=2048)
    outer.append(Kind.ITEMS, (1, 1, 1, 1, 0, 3, 1), payload)
    outer.append(Kind.FINISH, (5, 5))
    assert told(read(outer.data)) == [(Kind.ITEMS, (1, 1, 1, 1, 0, 3, 1), payload), (Kind.FINISH, (5, 5), b"")]
    outer.data[records.SEGMENT_HEADER_SIZE] ^= 1
    assert told(read(outer.data)) == [(Kind.FINISH, (5, 5), b"")]


def test_a_body_may_be_left_unverified_by_who_only_wants_the_head(segment: SegmentWriter) -> None:
    segment.data[segment.ends[0] - 8] ^= 1
    view = memoryview(segment.data)
    assert records.read_record(view, records.SEGMENT_HEADER_SIZE, NUMBER) is None
    record = records.read_record(view, records.SEGMENT_HEADER_SIZE, NUMBER, verify_body=False)
    assert record is not None
    assert record.words == SAMPLE[0][1]


def test_a_head_whose_body_is_not_all_there_is_no_record_however_little_is_verified(segment: SegmentWriter) -> None:
    for size in range(segment.ends[0] - 8, segment.ends[0]):
        cut = memoryview(segment.data)[: size - 8]
        assert records.read_record(cut, records.SEGMENT_HEADER_SIZE, NUMBER, verify_body=False) is None


def test_what_has_another_mark_is_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SegmentWriter()
    monkeypatch.setattr(records, "MAGIC", 0x12345678)
    writer.append(Kind.FAILED, (1,), b"body")
    monkeypatch.undo()
    assert read(writer.data) == []


# Checked late

BOOT = records.Boot(0xB007, 500)
OTHER = records.Boot(0xB008, 510)
LATE = (11, 1, 1, 1, 0, 3, 4242)
LATE_BODY = struct.pack("<I", 20) + b"written by who put it"[:20]


@pytest.fixture
def late() -> SegmentWriter:
    """A record whose body was there before its head, between two others."""
    writer = SegmentWriter(size=640)
    writer.append(*SAMPLE[2])
    head = records.pack_unchecked_head(Kind.ITEMS, LATE, len(LATE_BODY), BOOT, 3, NUMBER, writer.tail)
    writer.data[writer.tail : writer.tail + len(head + LATE_BODY)] = head + LATE_BODY
    writer.tail += records.record_size(len(LATE), len(LATE_BODY))
    writer.ends.append(writer.tail)
    writer.append(*SAMPLE[5])
    return writer


def read_in(writer: SegmentWriter, boot: records.Boot) -> list[Record | Damage | Gone]:
    return list(records.read_records(memoryview(writer.data), NUMBER, boot))


def check_it(writer: SegmentWriter, body: bytes = LATE_BODY) -> None:
    at = records.late_check_at(writer.ends[0])
    assert at % 8 == 0
    stored = records.pack_late_check(Kind.ITEMS, len(LATE), crc32(body))
    assert len(stored) == 8
    writer.data[at : at + 8] = stored


@pytest.mark.parametrize("boot", [BOOT, BOOT._replace(uptime=0), BOOT._replace(uptime=10**6)])
def test_an_unchecked_body_is_believed_in_the_same_boot(late: SegmentWriter, boot: records.Boot) -> None:
    found = read_in(late, boot)
    assert told(found) == [SAMPLE[2], (Kind.ITEMS, LATE, LATE_BODY), SAMPLE[5]]
    assert [record.epoch for record in found if isinstance(record, Record)] == [3, 3, 3]
    assert [record.is_unchecked for record in found if isinstance(record, Record)] == [False, True, False]


@pytest.mark.parametrize("uptime", [500, 510, 530])
def test_where_the_boot_has_no_number_it_is_if_it_was_written_just_now(late: SegmentWriter, uptime: int) -> None:
    assert told(read_in(late, records.Boot(0, uptime))) == [SAMPLE[2], (Kind.ITEMS, LATE, LATE_BODY), SAMPLE[5]]


@pytest.mark.parametrize("boot", [OTHER, records.NO_BOOT, records.Boot(0, 499), records.Boot(0, 531)])
def test_an_unchecked_body_of_another_boot_or_of_none_that_is_known_is_gone(
    late: SegmentWriter, boot: records.Boot
) -> None:
    assert read_in(late, boot)[1] == Gone(late.ends[0], late.ends[1])
    assert told(read_in(late, boot)) == [SAMPLE[2], SAMPLE[5]]
    assert records.read_record(memoryview(late.data), late.ends[0], NUMBER, boot=boot) is None


def test_no_boot_is_not_the_same_as_no_boot(late: SegmentWriter) -> None:
    at = records.late_check_at(late.ends[0])
    late.data[at : at + 4] = bytes(4)
    assert isinstance(read_in(late, records.NO_BOOT)[1], Gone)


@pytest.mark.parametrize("boot", [records.NO_BOOT, BOOT, OTHER])
def test_a_body_that_was_checked_late_is_believed_for_its_check(late: SegmentWriter, boot: records.Boot) -> None:
    check_it(late)
    found = read_in(late, boot)
    assert told(found) == [SAMPLE[2], (Kind.ITEMS, LATE, LATE_BODY), SAMPLE[5]]
    assert not any(record.is_unchecked for record in found if isinstance(record, Record))


def test_one_that_was_checked_late_and_has_changed_is_damage(late: SegmentWriter) -> None:
    check_it(late)
    late.data[late.ends[1] - 10] ^= 1
    assert isinstance(read_in(late, BOOT)[1], Damage)


@pytest.mark.parametrize("is_checked", [False, True])
def test_each_bit_of_its_head_is_guarded(late: SegmentWriter, is_checked: bool) -> None:
    if is_checked:
        check_it(late)
    start = late.ends[0]
    for at in range(start, start + records.HEADER.size + 8 * len(LATE)):
        for bit in range(8):
            late.data[at] ^= 1 << bit
            assert told(read_in(late, BOOT)) == [SAMPLE[2], SAMPLE[5]], (at - start, bit)
            late.data[at] ^= 1 << bit


def test_a_record_of_the_usual_sort_cannot_be_made_one_that_is_believed_unchecked(segment: SegmentWriter) -> None:
    at = records.late_check_at(records.SEGMENT_HEADER_SIZE)
    segment.data[at : at + 4] = BOOT.number.to_bytes(4, "little")
    for kind in range(0x10000):
        segment.data[at + 4 : at + 6] = kind.to_bytes(2, "little")
        assert records.read_record(memoryview(segment.data), 64, NUMBER, boot=BOOT) is None


# The segment's header


@pytest.mark.parametrize("kind", list(SegmentKind))
def test_a_segments_header_survives_the_journey(kind: SegmentKind) -> None:
    header = SegmentHeader(kind, NUMBER, 12)
    data = records.pack_segment_header(header)
    assert len(data) == records.SEGMENT_HEADER_SIZE
    assert records.unpack_segment_header(data) == header
    assert records.unpack_segment_header(memoryview(data)) == header


def test_a_header_with_a_flipped_byte_is_no_header() -> None:
    data = records.pack_segment_header(SegmentHeader(SegmentKind.LEDGER, NUMBER, 1))
    for at in range(44):
        broken = bytearray(data)
        broken[at] ^= 0x10
        assert records.unpack_segment_header(bytes(broken)) is None, f"flipped at {at}"


@pytest.mark.parametrize("size", [0, 1, 43, 63])
def test_a_short_file_has_no_header(size: int) -> None:
    assert (
        records.unpack_segment_header(records.pack_segment_header(SegmentHeader(SegmentKind.ITEMS, 1, 1))[:size])
        is None
    )


@pytest.mark.parametrize("kept", range(64))
def test_a_header_that_was_not_written_whole_is_known_as_such(kept: int) -> None:
    data = records.pack_segment_header(SegmentHeader(SegmentKind.ITEMS, NUMBER, 12))
    older = records.pack_segment_header(SegmentHeader(SegmentKind.ITEMS, NUMBER - 1, 11))
    for beneath in (bytes(64), older):
        cut = data[:kept] + beneath[kept:]
        assert records.unpack_segment_header(cut) is not None or records.is_cut_short(cut)


@pytest.mark.parametrize("at", range(16))
def test_other_bytes_are_not(at: int) -> None:
    data = bytearray(records.pack_segment_header(SegmentHeader(SegmentKind.ITEMS, NUMBER, 12)))
    data[at] ^= 0xFF
    assert not records.is_cut_short(data)
    assert not records.is_cut_short(bytes(at) + b"x" + bytes(63 - at))


def test_of_a_new_segment_nothing_is_noted_as_synced_and_the_room_for_it_is_zeros() -> None:
    data = records.pack_segment_header(SegmentHeader(SegmentKind.ITEMS, NUMBER, 12))
    assert records.unpack_synced(data, NUMBER) is None
    assert data[32:40] == bytes(8)
    assert data[44:] == bytes(20)


@pytest.mark.parametrize("has_begun", [False, True])
@pytest.mark.parametrize("offset", [64, 72, 1 << 40])
def test_what_is_noted_as_synced_is_read_again_in_this_segment_and_if_it_is_whole(offset: int, has_begun: bool) -> None:
    data = bytearray(records.pack_segment_header(SegmentHeader(SegmentKind.ITEMS, NUMBER, 12)))
    note = records.pack_synced(offset, has_begun, NUMBER)
    data[records.SYNCED_AT : records.SYNCED_AT + len(note)] = note
    assert len(data) == records.SEGMENT_HEADER_SIZE
    assert records.unpack_synced(data, NUMBER) == (offset, has_begun)
    assert records.unpack_synced(data, NUMBER + 1) is None
    for at in range(records.SYNCED_AT, records.SYNCED_AT + len(note)):
        data[at] ^= 1
        assert records.unpack_synced(data, NUMBER) is None
        data[at] ^= 1


def test_zeros_are_no_header() -> None:
    assert records.unpack_segment_header(bytes(64)) is None


def test_another_version_is_named_not_taken_for_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "VERSION", 2)
    data = records.pack_segment_header(SegmentHeader(SegmentKind.ITEMS, 1, 1))
    monkeypatch.undo()
    with pytest.raises(records.FormatError, match=r"version 2.*version 1"):
        records.unpack_segment_header(data)


def test_a_kinds_number_never_changes() -> None:
    names = (
        "ITEMS REPLY CHECKPOINT GRANT RETURN TAKEN FINISH FAILED REQUEUE GONE HEARD PRODUCERS SHUTDOWN RETRY EPOCH LOST"
        " ANSWERED BEGUN"
    )
    assert " ".join(kind.name for kind in Kind) == names
    assert [kind.value for kind in Kind] == list(range(1, len(Kind) + 1))


@pytest.mark.parametrize("words", [0, 1, 7, 65535])
@pytest.mark.parametrize("body", [0, 1, 7, 8, 9])
def test_a_records_size_is_what_it_takes(words: int, body: int) -> None:
    head = records.pack_head(Kind.FINISH, (0,) * words, body, 0, 1, 1, 64)
    size = records.record_size(words, body)
    assert size % 8 == 0
    assert len(head) + body <= size < len(head) + body + 8
