"""The frame: what goes in comes out, however the stream is cut, and what is no frame is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest

from groupqueue.core import messages as m
from groupqueue.core.wire import HEADER, KINDS, FrameReader, WireError, encode

SIZES = struct.pack("<3I", 1, 0, 4)
ITEMS = SIZES + b"a" + b"bcde"
ENTRIES = [
    m.Entry(10, 3, m.WANTS_REPLY, 1, 4242, SIZES, b"abcde"),
    m.Entry(99, 1, 0, 7, 4243, struct.pack("<I", 0), b""),
]

MESSAGES: list[m.Message] = [
    m.Hello(m.VERSION, 2**63 - 1, 4242, 17, 12, b'{"mode": "dual"}'),
    m.Items(5, 3, m.DURABLE, 3, 0xDEADBEEF, (ITEMS,)),
    m.Want(2, 9, 123456),
    m.Return(2**64 - 1),
    m.Taken(0),
    m.Done(4, struct.pack("<4Q", 1, 1, 2, 1)),
    m.Answer(5, 12, 1, m.REPLY_VALUE, 1, 77, b"an answer"),
    m.Fail(6, 13, 2, b"why"),
    m.Requeue(7, 14, 1),
    m.Withdraw(8),
    m.Heard(9),
    m.WantCredit(3, 11),
    m.ReturnCredit(100),
    m.Request(12, b'{"do": "stats"}'),
    m.Bye(),
    m.Welcome(m.VERSION, 3, 4242, 55, 17, 1),
    m.Refused(b"because"),
    m.Ack(55),
    m.Settled(7),
    m.Grant(17, 2, ENTRIES),
    m.Nothing(9),
    m.Recall(m.RECALL_ITEMS | m.RECALL_CREDIT),
    m.Reply(5, m.REPLY_TEXT, b""),
    m.Credit(6),
    m.Withdrawn(8, 1),
    m.Result(12, b"\2\0\0\0\0\0\0\0{}payload"),
    m.Shutdown(2),
    m.Sealed(),
    m.Borrow(1_048_800),
    m.Placed(8, 2, m.WANTS_REPLY, 3, m.NO_CHECK, 2**40 + 7, 64, 1_048_600),
    m.Repaid(2**40 + 7),
    m.Loan(2**40 + 7, 4_194_304),
]


def frame(message: m.Message) -> bytes:
    return b"".join(encode(message))


def raw(kind: int, words: tuple[int, ...], body: bytes = b"", length: int | None = None) -> bytes:
    """A frame by hand."""
    head = HEADER.pack(kind, 0, len(words), 0, len(body) if length is None else length)
    return head + struct.pack(f"<{len(words)}Q", *words) + body


def kind_of(message: type[Any]) -> int:
    return KINDS.index(message)


def plain(value: Any) -> Any:
    """The message with its memory copied: equal messages are equal then."""
    if isinstance(value, m.Grant):
        copied = [entry._replace(sizes=bytes(entry.sizes), payload=bytes(entry.payload)) for entry in value.entries]
        return value._replace(entries=copied)
    if isinstance(value, m.Items):
        return value._replace(body=(b"".join(value.body),))
    if "body" in value._fields:
        return value._replace(body=bytes(value.body))
    return value


def read(*pieces: bytes, limit: int = 1 << 20) -> list[Any]:
    reader = FrameReader(limit)
    return [plain(message) for piece in pieces for message in reader.feed(memoryview(piece))]


def test_there_is_a_sample_of_every_message() -> None:
    assert [type(message) for message in MESSAGES] == list(KINDS)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_journey(message: m.Message) -> None:
    assert read(frame(message)) == [message]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_frame_says_its_own_length(message: m.Message) -> None:
    data = frame(message)
    kind, zero, words, zeros, length = HEADER.unpack_from(data)
    assert (kind, zero, zeros) == (kind_of(type(message)), 0, 0)
    assert HEADER.size + 8 * words + length == len(data)


def test_a_batch_may_be_sent_in_pieces_and_arrives_as_one() -> None:
    whole = m.Items(1, 1, 0, 3, 9, (struct.pack("<I", 4), b"bcde"))
    assert read(frame(whole)) == [whole._replace(body=(struct.pack("<I", 4) + b"bcde",))]


def test_a_kinds_number_never_changes() -> None:
    assert " ".join(kind.__name__ for kind in KINDS) == (
        "Hello Items Want Return Taken Done Answer Fail Requeue Withdraw Heard WantCredit ReturnCredit Request Bye "
        "Welcome Refused Ack Settled Grant Nothing Recall Reply Credit Withdrawn Result Shutdown "
        "Sealed Borrow Placed Repaid Loan"
    )


# The stream


def test_any_cut_of_the_stream_gives_the_same_messages() -> None:
    chosen = [MESSAGES[at] for at in (0, 1, 2, 14, 19, 26)]
    data = b"".join(map(frame, chosen))
    for cut in range(len(data) + 1):
        assert read(data[:cut], data[cut:]) == chosen


def test_two_cuts_in_one_frame_give_the_same_message() -> None:
    data = frame(MESSAGES[1])
    for first in range(len(data)):
        for second in range(first, len(data), 5):
            assert read(data[:first], data[first:second], data[second:]) == [MESSAGES[1]]


def test_a_stream_may_come_byte_by_byte() -> None:
    data = b"".join(map(frame, MESSAGES))
    assert read(*(data[at : at + 1] for at in range(len(data)))) == MESSAGES


def test_messages_are_there_as_soon_as_they_are_whole() -> None:
    first, second = frame(m.Ack(1)), frame(m.Ack(2))
    reader = FrameReader()
    assert list(reader.feed(memoryview(first + second[:-1]))) == [m.Ack(1)]
    assert reader.pending == len(second) - 1
    assert list(reader.feed(memoryview(second[-1:]))) == [m.Ack(2)]
    assert reader.pending == 0


def test_the_reader_tells_what_is_missing_as_far_as_it_can_know() -> None:
    data = frame(m.Fail(1, 2, 3, bytes(100)))
    reader = FrameReader()
    assert (reader.pending, reader.missing) == (0, 0)
    assert list(reader.feed(memoryview(data[:10]))) == []
    assert (reader.pending, reader.missing) == (10, HEADER.size - 10)
    assert list(reader.feed(memoryview(data[10:40]))) == []
    assert (reader.pending, reader.missing) == (40, len(data) - 40)
    assert len(list(reader.feed(memoryview(data[40:])))) == 1
    assert (reader.pending, reader.missing) == (0, 0)


def test_nothing_in_is_nothing_out() -> None:
    assert read(b"") == []
    assert read(b"", frame(m.Bye()), b"") == [m.Bye()]


def test_what_is_kept_between_reads_is_a_copy() -> None:
    data = bytearray(frame(m.Reply(1, 0, b"first")))
    reader = FrameReader()
    half = len(data) - 3
    assert list(reader.feed(memoryview(data)[:half])) == []
    rest = bytes(data[half:])
    data[:] = bytes(len(data))
    assert [plain(found) for found in reader.feed(memoryview(rest))] == [m.Reply(1, 0, b"first")]


# What is no frame


@pytest.mark.parametrize("kind", [len(KINDS), 77, 255])
def test_an_unknown_kind_is_refused_before_its_body_comes(kind: int) -> None:
    with pytest.raises(WireError, match=f"unknown kind {kind}"):
        read(raw(kind, (), length=1000))


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_wrong_number_of_words_is_refused(message: m.Message) -> None:
    data = frame(message)
    kind, _, count, _, _ = HEADER.unpack_from(data)
    values = struct.unpack_from(f"<{count}Q", data, HEADER.size)
    body = data[HEADER.size + 8 * count :]
    for wrong in [(*values, 1), *([values[:-1]] if values else [])]:
        with pytest.raises(WireError, match=type(message).__name__):
            read(raw(kind, wrong, body))


@pytest.mark.parametrize(
    "message",
    [found for found in MESSAGES if not {"body", "entries"} & set(found._fields)],
    ids=lambda m: type(m).__name__,
)
def test_a_body_behind_a_message_that_has_none_is_refused(message: m.Message) -> None:
    with pytest.raises(WireError, match="1 bytes of body"):
        read(raw(kind_of(type(message)), tuple(message), b"x"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("count", "body"),
    [
        pytest.param(3, ITEMS + b"x", id="a byte too many"),
        pytest.param(3, ITEMS[:-1], id="a byte short"),
        pytest.param(3, SIZES[:-1], id="not even all sizes"),
        pytest.param(0, b"", id="no item"),
        pytest.param(0, b"x", id="no item but bytes"),
        pytest.param(2, ITEMS, id="a size taken for bytes"),
        pytest.param(4, ITEMS, id="bytes taken for a size"),
        pytest.param(2**64 - 1, ITEMS, id="more than there can be"),
        pytest.param(2**62, ITEMS, id="a table whose length overflows"),
        pytest.param(2, struct.pack("<2I", 2**32 - 1, 6) + b"abcde", id="a size that is negative if signed"),
    ],
)
def test_a_batch_whose_sizes_do_not_add_up_is_refused(count: int, body: bytes) -> None:
    with pytest.raises(WireError, match="do not add up"):
        read(raw(kind_of(m.Items), (1, count, 0, 3, 0), body))


@pytest.mark.parametrize(
    ("entry", "body", "why"),
    [
        pytest.param((10, 3, 0, 1, 1, 5), ITEMS[:-1], "Grant frame shorter than its entries", id="shorter"),
        pytest.param((10, 3, 0, 1, 1, 5), ITEMS + b"x", "Grant frame longer than its entries", id="longer"),
        pytest.param((10, 3, 0, 1, 1, 4), ITEMS[:-1], "do not add up", id="sizes do not add up"),
        pytest.param((10, 0, 0, 1, 1, 0), b"", "add up", id="an entry without items"),
        pytest.param((10, 2**40, 0, 1, 1, 0), b"", "shorter", id="sizes beyond the body"),
        pytest.param((10, 3, 0, 1, 1, 2**64 - 1), ITEMS, "shorter", id="a payload beyond the body"),
    ],
)
def test_a_grant_that_does_not_add_up_is_refused(entry: tuple[int, ...], body: bytes, why: str) -> None:
    with pytest.raises(WireError, match=why):
        read(raw(kind_of(m.Grant), (17, 0, *entry), body))


def test_a_grant_of_nothing_is_a_grant() -> None:
    assert read(frame(m.Grant(17, 0, []))) == [m.Grant(17, 0, [])]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"3", b"\xff", b"{}{}"])
@pytest.mark.parametrize("make", [lambda body: m.Hello(1, 2, 3, 4, 5, body), lambda body: m.Request(1, body)])
def test_a_greeting_or_a_question_without_a_json_object_is_refused(
    make: Callable[[bytes], m.Message], body: bytes
) -> None:
    message = make(body)
    with pytest.raises(WireError, match=f"{type(message).__name__} frame whose body is no JSON object"):
        read(frame(message))


@pytest.mark.parametrize("value", ['"3"', "1.5", "-1", "null", "true", "[]"])
@pytest.mark.parametrize("name", ["credit", "last_seq", "n", "after"])
def test_a_count_that_is_none_is_refused(name: str, value: str) -> None:
    body = f'{{"{name}": {value}}}'.encode()
    for message in (m.Hello(1, 2, 3, 4, 5, body), m.Request(1, body)):
        with pytest.raises(WireError, match=f"{type(message).__name__} frame whose {name} is"):
            read(frame(message))


@pytest.mark.parametrize("value", ["3", "null", "{}", "[" * 300 + "]" * 300])
@pytest.mark.parametrize("name", ["do", "mode"])
def test_a_word_that_is_none_is_refused(name: str, value: str) -> None:
    body = f'{{"{name}": {value}}}'.encode()
    for message in (m.Hello(1, 2, 3, 4, 5, body), m.Request(1, body)):
        with pytest.raises(WireError, match=name):
            read(frame(message))


@pytest.mark.parametrize("body", [b'{"n":' + b"[" * 9000 + b"]" * 9000 + b"}", b'{"n":' + b" " * 70_000 + b"1}"])
def test_a_question_that_is_too_deep_or_too_long_to_be_read_is_refused(body: bytes) -> None:
    # How deep is too deep for the parser differs between interpreters; what it can read is refused for what it is.
    with pytest.raises(WireError, match=r"no JSON object|n is a list, not a count"):
        read(frame(m.Request(1, body)))


@pytest.mark.parametrize("first_seq", [2**62 - 1, 2**63, 2**64 - 2, 2**64 - 1])
def test_a_batch_beyond_what_a_producer_can_count_is_refused(first_seq: int) -> None:
    """No leader that came after would believe a ledger that knows of it."""
    with pytest.raises(WireError, match="further than anybody counts"):
        read(raw(kind_of(m.Items), (first_seq, 3, 0, 3, 0), ITEMS))


@pytest.mark.parametrize("value", [0, 1, 2**40])
def test_a_count_is_a_whole_number_from_zero_on(value: int) -> None:
    body = f'{{"credit": {value}, "last_seq": {value}, "mode": "dual"}}'.encode()
    hello = m.Hello(1, 2, 3, 4, 5, body)
    assert read(frame(hello)) == [hello]


@pytest.mark.parametrize("length", [1, 8, 15, 17, 24])
def test_pairs_that_are_no_pairs_are_refused(length: int) -> None:
    with pytest.raises(WireError, match=f"{length} bytes of pairs"):
        read(frame(m.Done(1, bytes(length))))


def test_a_frame_beyond_the_limit_is_refused_before_it_is_kept() -> None:
    allowed = m.Fail(1, 2, 3, bytes(100))
    assert read(frame(allowed), limit=100) == [allowed]
    reader = FrameReader(limit=100)
    with pytest.raises(WireError, match="101 bytes where at most 100"):
        list(reader.feed(memoryview(frame(m.Fail(1, 2, 3, bytes(101)))[: HEADER.size])))
    assert reader.pending == 0


def test_nothing_of_a_broken_frame_is_kept() -> None:
    data = frame(m.Ack(1)) + raw(200, (1, 2), b"body")
    for cut in range(len(data) + 1):
        reader = FrameReader()
        stream = (message for piece in (data[:cut], data[cut:]) for message in reader.feed(memoryview(piece)))
        assert next(stream) == m.Ack(1)
        with pytest.raises(WireError):
            next(stream)
        assert reader.pending == 0


def test_messages_before_a_broken_frame_are_delivered() -> None:
    reader = FrameReader()
    stream = reader.feed(memoryview(frame(m.Ack(1)) + frame(m.Ack(2)) + raw(99, ())))
    assert [next(stream), next(stream)] == [m.Ack(1), m.Ack(2)]
    with pytest.raises(WireError):
        next(stream)


# A long frame


def long_frame(size: int = 300_000) -> bytes:
    return frame(m.Answer(1, 2, 3, 0, 1, 4, bytes(range(256)) * (size // 256)))


def test_the_rest_of_a_long_frame_is_read_to_its_place() -> None:
    data = long_frame()
    reader = FrameReader()
    for _ in range(3):
        assert list(reader.feed(memoryview(data[:1000]))) == []
        found: list[m.Message] = []
        at = 1000
        while at < len(data):
            room = reader.room
            assert room is not None
            count = min(len(room), 70_000)
            room[:count] = data[at : at + count]
            at += count
            assert reader.missing == len(data) - at + count
            found += [message._replace(body=bytes(message.body)) for message in reader.filled(count)]  # type: ignore[union-attr]
        assert found == read(data)
        assert (reader.room, reader.pending, reader.missing) == (None, 0, 0)
        assert read(frame(m.Heard(5))) == list(reader.feed(memoryview(frame(m.Heard(5)))))


def test_a_short_frame_is_fed() -> None:
    reader = FrameReader()
    assert list(reader.feed(memoryview(frame(m.Heard(5))[:20]))) == []
    assert reader.room is None


def test_the_place_grows_with_what_comes_and_not_with_what_is_announced() -> None:
    reader = FrameReader()
    announced = HEADER.pack(kind_of(m.Request), 0, 1, 0, 1 << 33) + struct.pack("<Q", 7)
    assert list(reader.feed(memoryview(announced))) == []
    sizes = []
    for _ in range(4):
        room = reader.room
        assert room is not None
        sizes.append(len(room))
        assert list(reader.filled(len(room))) == []
    assert max(sizes) <= 16 * len(announced)


def test_what_is_kept_of_a_long_frame_outlives_the_next() -> None:
    reader = FrameReader()
    kept = []
    for size in (300_032, 300_544):
        data = long_frame(size)
        list(reader.feed(memoryview(data[:100])))
        at = 100
        while at < len(data):
            room = reader.room
            assert room is not None
            room[:] = data[at : at + len(room)]
            at += len(room)
            kept += reader.filled(len(room), keep=True)
    assert [bytes(message.body) for message in kept] == [bytes(range(256)) * (n // 256) for n in (300_032, 300_544)]  # type: ignore[union-attr]


@pytest.mark.parametrize(("first", "count"), [(1, 0), (m.MOST, 1), (m.MOST - 1, 2), (1, 2**64 - 1)])
def test_what_is_placed_is_something_and_can_be_counted(first: int, count: int) -> None:
    message = m.Placed(first, count, 0, 3, 0, 7, 64, 100)
    with pytest.raises(WireError, match=f"a batch of {count} items from {first} on"):
        read(frame(message))
    assert read(frame(message._replace(first_seq=m.MOST - 2, count=2)))
