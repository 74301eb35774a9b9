"""What is put and said waits here until the leader has it, and keeps its numbers however often it is sent."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest

from groupqueue.core import messages as m
from groupqueue.core import outbox as o
from groupqueue.core.calls import Call
from groupqueue.core.outbox import Outbox, Verdict


@pytest.fixture
def outbox() -> Outbox:
    return Outbox(max_attempts=3, durable=False)


def put(outbox: Outbox, *payloads: bytes) -> None:
    outbox.pending.extend((payload, None) for payload in payloads)


def payloads(items: m.Items) -> list[bytes]:
    body = b"".join(items.body)
    found = []
    start = 4 * items.count
    for size in struct.unpack_from(f"<{items.count}I", body):
        found.append(body[start : start + size])
        start += size
    assert start == len(body)
    return found


def batches(outbox: Outbox) -> list[m.Items]:
    outbox.cut()
    return [message for message in outbox.unsent() if isinstance(message, m.Items)]


def verdicts(outbox: Outbox) -> list[m.Message]:
    outbox.cut_verdicts()
    return outbox.unsent()


# Batches


def test_what_is_put_in_a_row_is_one_batch(outbox: Outbox) -> None:
    put(outbox, b"a", b"", b"ccc")
    (items,) = batches(outbox)
    assert payloads(items) == [b"a", b"", b"ccc"]
    assert (items.first_seq, items.count, items.flags, items.max_attempts) == (1, 3, 0, 3)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_batch_carries_the_check_of_its_body(outbox: Outbox, count: int) -> None:
    put(outbox, *[b"payload"] * count)
    (items,) = batches(outbox)
    assert items.check == crc32(b"".join(items.body))


def test_small_items_that_nobody_waits_for_go_the_short_way(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the way of a stream, and a third of the cost. What comes out is the same."""
    monkeypatch.setattr(outbox, "_cut_batch", lambda pending: pytest.fail("the long way"))
    monkeypatch.setattr(o, "MAX_BATCH", 3)
    monkeypatch.setattr(o, "MAX_BATCH_BYTES", 12)
    outbox.pending += [b"four", b"", b"fourfour", b"x", b"longer than a batch"]
    with pytest.raises(pytest.fail.Exception):
        outbox.cut()
    assert [payloads(items) for items in outbox.unacked] == [[b"four", b"", b"fourfour"]]
    del outbox.pending[0]
    outbox.cut()
    first, second = outbox.unacked
    assert (first.first_seq, first.count, first.flags, first.max_attempts) == (1, 3, 0, 3)
    assert (second.first_seq, second.count, second.flags, second.max_attempts) == (4, 1, 0, 3)
    assert payloads(second) == [b"longer than a batch"]
    assert [items.check for items in (first, second)] == [crc32(b"".join(items.body)) for items in (first, second)]
    assert (outbox.last_seq, outbox.waiting, outbox.unacked_bytes, outbox.pending) == (4, 4, 31, [])


def test_long_pieces_leave_from_where_they_are(outbox: Outbox) -> None:
    long = [bytes([number]) * o.COPIED for number in range(3)]
    outbox.pending.append(((b"head", long[0], b"tail"), None))
    outbox.pending += [(long[1], None), (b"short", None), (long[2], None)]
    (items,) = batches(outbox)
    assert payloads(items) == [b"head" + long[0] + b"tail", long[1], b"short", long[2]]
    assert items.check == crc32(b"".join(items.body))
    assert outbox.unacked_bytes == sum(map(len, payloads(items)))


def test_a_single_long_item_is_not_copied(outbox: Outbox) -> None:
    long = bytes(10 * o.COPIED)
    outbox.pending.append(((b"head", long, b"tail"), None))
    (items,) = batches(outbox)
    assert any(part is long for part in items.body)


def test_short_pieces_are_joined(outbox: Outbox) -> None:
    outbox.pending += [((b"a", b"b"), None), (b"c", None)]
    (items,) = batches(outbox)
    assert len(items.body) == 1
    assert payloads(items) == [b"ab", b"c"]


def test_batches_number_their_items_without_a_gap(outbox: Outbox) -> None:
    for count in (2, 1, 3):
        put(outbox, *[b"x"] * count)
        outbox.cut()
    assert [(items.first_seq, items.count) for items in batches(outbox)] == [(1, 2), (3, 1), (4, 3)]
    assert outbox.last_seq == 6


def test_a_batch_ends_at_its_count(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(o, "MAX_BATCH", 3)
    put(outbox, *[b"x"] * 7)
    assert [items.count for items in batches(outbox)] == [3, 3, 1]


def test_a_batch_ends_at_its_bytes(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(o, "MAX_BATCH_BYTES", 100)
    put(outbox, bytes(40), bytes(40), bytes(40), bytes(500), b"x")
    assert [list(map(len, payloads(items))) for items in batches(outbox)] == [[40, 40], [40], [500], [1]]


def test_a_batch_may_be_as_large_as_its_bytes(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(o, "MAX_BATCH_BYTES", 8)
    put(outbox, b"four", b"four", b"x")
    assert [items.count for items in batches(outbox)] == [2, 1]


def test_what_came_too_late_is_kept_until_it_is_taken_back(outbox: Outbox) -> None:
    for payload in (b"a", b"b"):
        put(outbox, payload)
        outbox.reject()
    assert outbox.rejected == [(b"a", None), (b"b", None)]
    assert outbox.waiting == 0


def test_open_calls_are_those_without_an_answer_in_their_order(outbox: Outbox) -> None:
    calls = [Call() for _ in range(4)]
    outbox.pending.extend((b"asks", call) for call in calls[:3])
    outbox.cut()
    put(outbox, b"plain")
    outbox.pending.append((b"asks", calls[3]))
    calls[1].answer = (m.REPLY_VALUE, b"")
    assert outbox.open_calls() == [calls[0], calls[2], calls[3]]


def test_who_waits_for_a_reply_has_a_batch_apart(outbox: Outbox) -> None:
    calls = [Call(), Call()]
    outbox.pending.extend([(b"a", None), (b"b", calls[0]), (b"c", calls[1]), (b"d", None)])
    found = batches(outbox)
    assert [(payloads(items), items.flags) for items in found] == [
        ([b"a"], 0),
        ([b"b", b"c"], m.WANTS_REPLY),
        ([b"d"], 0),
    ]
    assert [call.seq for call in calls] == [2, 3]
    assert outbox.calls == {2: calls[0], 3: calls[1]}


def test_durable_is_said_of_every_batch() -> None:
    outbox = Outbox(max_attempts=7, durable=True)
    outbox.pending.extend([(b"a", None), (b"b", Call())])
    found = batches(outbox)
    assert [items.flags for items in found] == [m.DURABLE, m.DURABLE | m.WANTS_REPLY]
    assert {items.max_attempts for items in found} == {7}


def test_a_call_withdrawn_before_it_is_cut_is_never_sent(outbox: Outbox) -> None:
    kept, dropped = Call(), Call()
    dropped.withdrawn = True
    outbox.pending.extend([(b"a", dropped), (b"b", kept), (b"c", dropped)])
    (items,) = batches(outbox)
    assert payloads(items) == [b"b"]
    assert (dropped.seq, kept.seq) == (0, 1)
    assert outbox.calls == {1: kept}


def test_nothing_put_is_nothing_sent(outbox: Outbox) -> None:
    assert batches(outbox) == []
    assert outbox.waiting == 0


# Sending


def test_a_batch_is_sent_once_on_a_connection(outbox: Outbox) -> None:
    put(outbox, b"a")
    first = batches(outbox)
    assert batches(outbox) == []
    put(outbox, b"b")
    assert [payloads(items) for items in first + batches(outbox)] == [[b"a"], [b"b"]]


def test_a_resent_batch_is_the_same_batch(outbox: Outbox) -> None:
    put(outbox, b"a", b"b")
    outbox.cut()
    put(outbox, b"c")
    first = batches(outbox)
    put(outbox, b"d")
    outbox.restart()
    again = batches(outbox)
    assert again[:2] == first
    assert [items.first_seq for items in again] == [1, 3, 4]


def test_what_is_acknowledged_is_not_sent_again(outbox: Outbox) -> None:
    for payload in (b"a", b"b", b"c"):
        put(outbox, payload)
        outbox.cut()
    batches(outbox)
    assert outbox.ack(2) == 2
    outbox.restart()
    assert [payloads(items) for items in batches(outbox)] == [[b"c"]]


def test_an_acknowledgement_before_anything_is_sent_spares_the_sending(outbox: Outbox) -> None:
    for payload in (b"a", b"b"):
        put(outbox, payload)
        outbox.cut()
    outbox.restart()
    assert outbox.ack(1) == 1
    assert [payloads(items) for items in batches(outbox)] == [[b"b"]]


def test_an_acknowledgement_in_the_midst_of_sending_skips_nothing(outbox: Outbox) -> None:
    sent = []
    for payload in (b"a", b"b", b"c", b"d"):
        put(outbox, payload)
        sent += batches(outbox)
        outbox.ack(outbox.last_seq - 1)
    assert [payloads(items) for items in sent] == [[b"a"], [b"b"], [b"c"], [b"d"]]


def test_a_batch_is_acknowledged_as_a_whole_or_not_at_all(outbox: Outbox) -> None:
    put(outbox, b"a", b"b", b"c")
    batches(outbox)
    assert outbox.ack(2) == 0
    assert outbox.waiting == 3
    assert outbox.ack(3) == 3
    assert outbox.waiting == 0


def test_items_that_a_journal_has_are_told_from_those_beyond(outbox: Outbox) -> None:
    put(outbox, b"a", b"b")
    outbox.cut()
    put(outbox, b"c")
    outbox.cut()
    put(outbox, b"d", b"e")
    assert [outbox.beyond(seq) for seq in (0, 2, 3)] == [5, 3, 2]
    outbox.ack(2)
    assert [outbox.beyond(seq) for seq in (0, 2, 3)] == [3, 3, 2]


def test_what_waits_is_counted_in_items_and_bytes(outbox: Outbox) -> None:
    put(outbox, b"four", b"", b"12")
    assert (outbox.waiting, outbox.unacked_bytes) == (3, 0)
    outbox.cut()
    put(outbox, b"x")
    assert (outbox.waiting, outbox.unacked_count, outbox.unacked_bytes) == (4, 3, 6)
    outbox.cut()
    outbox.ack(3)
    assert (outbox.waiting, outbox.unacked_count, outbox.unacked_bytes) == (1, 1, 1)
    outbox.ack(4)
    assert (outbox.waiting, outbox.unacked_count, outbox.unacked_bytes) == (0, 0, 0)


# Verdicts


def pairs(message: m.Message) -> list[tuple[int, int]]:
    assert isinstance(message, m.Done)
    return list(struct.iter_unpack("<QQ", message.body))


def test_dones_in_a_row_are_one_verdict(outbox: Outbox) -> None:
    outbox.verdicts.extend(Verdict(m.Done, item, item % 3) for item in (4, 7, 5))
    (message,) = verdicts(outbox)
    assert pairs(message) == [(4, 1), (7, 1), (5, 2)]
    assert message.number == 1  # type: ignore[union-attr]


def test_dones_in_a_row_have_a_limit(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(o, "MAX_BATCH", 3)
    outbox.verdicts.extend(Verdict(m.Done, item, 1) for item in range(7))
    assert [len(pairs(message)) for message in verdicts(outbox)] == [3, 3, 1]


def test_verdicts_keep_their_order_and_are_numbered(outbox: Outbox) -> None:
    outbox.verdicts.extend(
        [
            Verdict(m.Done, 1, 1),
            Verdict(m.Answer, 2, 1, m.REPLY_TEXT, False, b"body"),
            Verdict(m.Done, 3, 1),
            Verdict(m.Done, 4, 2),
            Verdict(m.Fail, 5, 1, body=b"why"),
            Verdict(m.Requeue, 6, 3),
            Verdict(m.Answer, 7, 1),
        ]
    )
    assert verdicts(outbox) == [
        m.Done(1, struct.pack("<2Q", 1, 1)),
        m.Answer(2, 2, 1, m.REPLY_TEXT, 0, crc32(b"body"), b"body"),
        m.Done(3, struct.pack("<4Q", 3, 1, 4, 2)),
        m.Fail(4, 5, 1, b"why"),
        m.Requeue(5, 6, 3),
        m.Answer(6, 7, 1, 0, 1, 0, b""),
    ]


def test_a_resent_verdict_is_the_same_verdict(outbox: Outbox) -> None:
    outbox.verdicts.append(Verdict(m.Done, 1, 1))
    first = verdicts(outbox)
    outbox.verdicts.append(Verdict(m.Done, 2, 1))
    outbox.restart()
    again = verdicts(outbox)
    assert again[0] == first[0]
    assert [message.number for message in again] == [1, 2]  # type: ignore[union-attr]


def test_what_is_settled_is_not_said_again(outbox: Outbox) -> None:
    for item in range(4):
        outbox.verdicts.append(Verdict(m.Requeue, item, 1))
    verdicts(outbox)
    outbox.settled(2)
    outbox.restart()
    assert [message.number for message in verdicts(outbox)] == [3, 4]  # type: ignore[union-attr]
    outbox.settled(4)
    assert not outbox.unsettled


def test_settling_in_the_midst_of_saying_skips_nothing(outbox: Outbox) -> None:
    said = []
    for item in range(5):
        outbox.verdicts.append(Verdict(m.Requeue, item, 1))
        said += verdicts(outbox)
        outbox.settled(item)
    assert [message.id for message in said] == [0, 1, 2, 3, 4]  # type: ignore[union-attr]


def test_what_follows_a_verdict_that_is_settled_at_once_is_said(outbox: Outbox) -> None:
    said = []
    for item in range(3):
        outbox.verdicts.append(Verdict(m.Requeue, item, 1))
        said += verdicts(outbox)
        outbox.settled(item + 1)
    assert [message.id for message in said] == [0, 1, 2]  # type: ignore[union-attr]


def test_verdicts_are_said_before_batches_are_sent(outbox: Outbox) -> None:
    put(outbox, b"a")
    outbox.verdicts.append(Verdict(m.Done, 1, 1))
    outbox.cut()
    outbox.cut_verdicts()
    assert [type(message) for message in outbox.unsent()] == [m.Done, m.Items]


def test_a_long_backlog_of_all_sorts_is_not_looked_through_again_for_each_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outbox = Outbox(max_attempts=3, durable=False)
    looks: list[int] = []
    real = outbox._cut_plain
    monkeypatch.setattr(outbox, "_cut_plain", lambda pending: looks.append(len(pending)) or real(pending))
    for number in range(100):
        outbox.pending += [b"%d" % number, (b"asks", Call())]
    outbox.cut()
    assert [items.count for items in outbox.unacked] == [1] * 200
    assert len(looks) == 1
