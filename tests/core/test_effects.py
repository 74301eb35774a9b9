"""Nothing is said before the step is over, nothing acknowledged before it is in the journal."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from groupqueue.core import messages as m
from groupqueue.core.ports import NoRoom
from tests.core.fakes import FakeMember, Group, Killed, picture


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
    assert group.broker.effects.outbox == []


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
