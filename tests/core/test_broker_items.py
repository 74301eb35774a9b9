"""What is put: in the journal before it is acknowledged, once however often it is sent, and in order."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from groupqueue.core import messages as m
from groupqueue.core.ports import NoRoom
from groupqueue.core.records import Kind
from tests.core.fakes import FakeJournal, FakeMember, Group, Killed, picture


def test_what_is_put_is_acknowledged(group: Group) -> None:
    p = group.member()
    p.put(b"a", b"b")
    assert p.all(m.Ack) == [m.Ack(2)]
    assert group.state.queued == 2
    p.put(b"c")
    assert p.all(m.Ack) == [m.Ack(2), m.Ack(3)]


def test_one_step_is_one_acknowledgement(group: Group) -> None:
    p = group.member()
    for payload in (b"a", b"b", b"c"):
        group.broker.receive(p.peer, p.batch(payload), group.now)
    group.step()
    assert p.all(m.Ack) == [m.Ack(3)]


def test_nothing_is_sent_before_the_step_is_over(group: Group) -> None:
    p, c = group.member(), group.member()
    group.broker.receive(c.peer, m.Want(1, 0, 0), group.now)
    group.broker.receive(p.peer, p.batch(b"a"), group.now)
    assert group.broker.outbox == []


# Nothing is acknowledged before it is in the journal


def put(p: FakeMember, c: FakeMember) -> m.Message:
    return p.batch(b"next")


def held(p: FakeMember, c: FakeMember) -> tuple[int, int]:
    """An item that the leader knows to be held: what is said of it is one record."""
    p.put(b"held", reply=True)
    item = c.get()
    c.want(0)
    return item.id, item.attempt


def done(p: FakeMember, c: FakeMember) -> m.Message:
    item, attempt = held(p, c)
    return m.Done(1, item.to_bytes(8, "little") + attempt.to_bytes(8, "little"))


def answer(p: FakeMember, c: FakeMember) -> m.Message:
    return m.Answer(1, *held(p, c), m.REPLY_VALUE, 1, 0, b"")


def fail(p: FakeMember, c: FakeMember) -> m.Message:
    return m.Fail(1, *held(p, c), b"why")


def requeue(p: FakeMember, c: FakeMember) -> m.Message:
    return m.Requeue(1, *held(p, c))


def retry(p: FakeMember, c: FakeMember) -> m.Message:
    c.say(fail(p, c))
    return m.Request(1, b'{"do": "requeue_failed"}')


def shut_down(p: FakeMember, c: FakeMember) -> m.Message:
    return m.Request(1, b'{"do": "shutdown"}')


def withdraw(p: FakeMember, c: FakeMember) -> m.Message:
    p.put(b"a", reply=True)
    return m.Withdraw(p.outbox.last_seq)


def clear(p: FakeMember, c: FakeMember) -> m.Message:
    p.put(b"a")
    return m.Request(1, b'{"do": "clear"}')


def want(p: FakeMember, c: FakeMember) -> m.Message:
    p.put(b"a")
    return m.Want(1, 1, 0)


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "the disk is gone"), Killed(), NoRoom()], ids=lambda e: type(e).__name__
)
@pytest.mark.parametrize("make", [put, done, answer, fail, requeue, retry, shut_down, withdraw, clear, want])
def test_what_the_journal_did_not_take_is_not_confirmed(
    group: Group, make: Callable[[FakeMember, FakeMember], m.Message], error: BaseException
) -> None:
    p, c = group.member(), group.member()
    message = make(p, c)
    sender = p if make in (put, withdraw) else c
    heard = len(p.heard), len(c.heard)
    before = picture(group.state)
    group.journal.error = error
    with pytest.raises(type(error)):
        sender.say(message)
    for number, told in group.broker.finish_step():
        group.members[number].hear(told)
    assert (len(p.heard), len(c.heard)) == heard
    group.lead()
    recovered = picture(group.state)
    assert recovered | {"epoch": 0} == before | {"epoch": 0}


@pytest.mark.parametrize("make", [put, done, answer, fail, requeue, retry])
def test_what_the_journal_has_taken_is_confirmed(
    group: Group, make: Callable[[FakeMember, FakeMember], m.Message]
) -> None:
    p, c = group.member(), group.member()
    message = make(p, c)
    sender = p if make is put else c
    heard = len(sender.heard)
    appended = group.journal.appended
    sender.say(message)
    assert group.journal.appended > appended
    assert {type(told) for told in sender.heard[heard:]} & {m.Ack, m.Settled, m.Result}


def test_without_room_nothing_is_done_and_it_can_be_tried_again(group: Group) -> None:
    p, q = group.member(), group.member()
    p.put(b"a")
    before = picture(group.state)
    batch = p.batch(b"b", b"c")
    group.journal.full = True
    with pytest.raises(NoRoom):
        group.broker.receive(p.peer, batch, group.now)
    group.step()
    assert picture(group.state) == before
    assert p.all(m.Ack) == [m.Ack(1)]
    group.journal.full = False
    p.say(batch)
    assert p.all(m.Ack) == [m.Ack(1), m.Ack(3)]
    assert q.get().payload == b"a"


def test_gets_go_on_without_room(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", b"c")
    group.journal.full = True
    assert [c.get().payload, c.get(hold=True).payload] == [b"a", b"b"]
    c.done(c.get(hold=True))
    assert c.last(m.Settled) == m.Settled(1)


def test_what_is_durable_is_synced_before_it_is_acknowledged(group: Group) -> None:
    p = group.member()
    group.broker.receive(p.peer, p.batch(b"a", durable=True), group.now)
    group.broker.pump(group.now)
    assert group.journal.synced < group.journal.appended
    assert (p.member, m.Ack(1)) in group.broker.finish_step()
    assert group.journal.synced == group.journal.appended


def test_what_cannot_be_synced_is_not_acknowledged(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "the disk is gone")

    p = group.member()
    monkeypatch.setattr(group.journal, "sync", fail)
    with pytest.raises(OSError, match="the disk is gone"):
        p.put(b"a", durable=True)
    assert p.all(m.Ack) == []


def test_what_is_not_durable_costs_no_sync(group: Group) -> None:
    p = group.member()
    p.put(b"a")
    assert group.journal.synced == 0


def test_the_answer_to_a_durable_item_is_durable(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", durable=True, reply=True)
    c.answer(c.get())
    assert group.journal.synced == group.journal.appended


# Once


def test_a_resent_batch_is_dropped_and_acknowledged(group: Group) -> None:
    p = group.member()
    batch = p.batch(b"a", b"b")
    p.say(batch)
    p.say(batch)
    assert group.state.queued == 2
    assert p.all(m.Ack) == [m.Ack(2), m.Ack(2)]


def test_a_resent_batch_is_known_to_the_next_leader(group: Group) -> None:
    p = group.member()
    batch = p.batch(b"a", b"b")
    p.say(batch)
    group.lead()
    p.hello()
    assert p.last(m.Welcome).last_seq == 2  # type: ignore[union-attr]
    p.say(batch)
    p.put(b"c")
    assert group.state.queued == 3


def test_a_resent_batch_is_known_also_when_nothing_of_it_is_left() -> None:
    group = Group(journal=FakeJournal(segment_records=1))
    p, c = group.member(), group.member()
    batch = p.batch(b"a")
    p.say(batch)
    c.get()
    c.want(0)
    for _ in range(3):
        c.put(b"x")
    assert not any(place.words[0] == p.member for segment in group.journal.segments for place in segment)
    group.lead()
    p.hello()
    p.say(batch)
    assert group.state.queued == 3


def test_a_resent_batch_is_known_after_a_checkpoint() -> None:
    group = Group(journal=FakeJournal(ledger_records=2))
    p, c = group.member(), group.member()
    batch = p.batch(b"a", b"b")
    p.say(batch)
    for _ in range(2):
        c.get()
    c.want(0)
    assert group.journal.checkpoint is not None
    group.lead()
    p.hello()
    p.say(batch)
    assert group.state.queued == 0


def test_each_producer_has_numbers_of_its_own(group: Group) -> None:
    p, q = group.member(), group.member()
    p.put(b"a")
    q.put(b"b")
    p.put(b"c")
    assert group.state.last_seq == {p.member: 2, q.member: 1}
    assert group.state.queued == 3


# In order


def test_items_come_out_in_the_order_they_were_put(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"1", b"2")
    p.put(b"3")
    p.put(b"4", b"5", b"6")
    assert [c.get().payload for _ in range(6)] == [b"1", b"2", b"3", b"4", b"5", b"6"]


def test_of_several_producers_the_oldest_item_comes_first(group: Group) -> None:
    p, q, c = group.member(), group.member(), group.member()
    p.put(b"p1")
    q.put(b"q1")
    p.put(b"p2")
    q.put(b"q2")
    assert [c.get().payload for _ in range(4)] == [b"p1", b"q1", b"p2", b"q2"]


def test_items_outlive_their_producer(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    p.die()
    q = group.member()
    q.put(b"b")
    q.bye()
    assert [c.get().payload, c.get().payload] == [b"a", b"b"]


def test_an_item_tells_who_put_it(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    item = c.get()
    assert (item.pid, item.attempt, item.flags) == (p.peer.pid, 1, m.WANTS_REPLY)


# What the journal looks like


def test_a_batch_is_one_record(group: Group) -> None:
    p = group.member()
    p.put(*[b"x"] * 1000)
    (place,) = group.journal.segments[-1]
    assert place.kind == Kind.ITEMS
    assert place.words == (p.member, 1, 1, 1000, 0, 3, p.peer.pid)


def test_a_grant_of_a_batch_is_one_record(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*[b"x"] * 1000)
    before = group.journal.appended
    c.want(1000)
    assert group.journal.appended == before + 1
    assert len(c.granted) == 1000
