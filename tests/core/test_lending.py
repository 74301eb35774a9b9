"""A producer may write large bodies to the journal itself, and only where it was told to."""

from __future__ import annotations

from zlib import crc32

import pytest

from groupqueue.core import messages as m
from groupqueue.core.lending import MOST_LOANS
from groupqueue.core.ports import NoRoom
from groupqueue.core.wire import WireError
from tests.core.fakes import FakeLoan, FakeMember, Group, picture


def borrow(member: FakeMember, size: int = 1000) -> FakeLoan:
    """A loan, as the member is told of it."""
    member.say(m.Borrow(size))
    loan = member.group.journal.loans[-1]
    assert member.last(m.Loan) == m.Loan(loan.number, loan.size)
    return loan


def placed(member: FakeMember, loan: FakeLoan, *payloads: bytes, flags: int = 0) -> m.Placed:
    """A body that is written, and the word of it, not yet sent."""
    first = member.outbox.last_seq + 1
    member.outbox.last_seq += len(payloads)
    offset, length = loan.write(*payloads)
    return m.Placed(first, len(payloads), flags, 3, m.NO_CHECK, loan.number, offset, length)


def test_what_is_placed_is_put(group: Group) -> None:
    p, c = group.member(), group.member()
    loan = borrow(p)
    p.say(placed(p, loan, b"large"))
    p.put(b"small")
    p.say(placed(p, loan, b"larger"))
    assert p.all(m.Ack) == [m.Ack(1), m.Ack(2), m.Ack(3)]
    assert [c.get().payload for _ in range(3)] == [b"large", b"small", b"larger"]


def test_several_are_placed_at_once(group: Group) -> None:
    p, c = group.member(), group.member()
    loan = borrow(p)
    p.say(placed(p, loan, b"a", b"bb"))
    p.say(placed(p, loan, b"c")._replace(check=crc32(loan.bodies[loan.tail])))
    assert p.last(m.Ack) == m.Ack(3)
    assert [c.get().payload for _ in range(3)] == [b"a", b"bb", b"c"]


def test_what_is_placed_may_be_asked_with(group: Group) -> None:
    p, c = group.member(), group.member()
    loan = borrow(p)
    p.say(placed(p, loan, b"?", flags=m.WANTS_REPLY))
    item = c.get()
    assert item.payload == b"?"
    c.answer(item)
    reply = p.last(m.Reply)
    assert reply is not None
    assert reply.seq == 1


def test_of_a_bounded_group_it_uses_the_room(group: Group) -> None:
    group = Group(maxsize=2)
    p = group.member()
    p.want_credit(2)
    p.say(placed(p, borrow(p), b"a"))
    assert group.state.queued == 1
    assert p.peer.credit == 1


def test_one_that_is_sent_again_is_not_taken_twice(group: Group) -> None:
    p = group.member()
    loan = borrow(p)
    message = placed(p, loan, b"a")
    p.say(message)
    p.say(message)
    assert p.all(m.Ack) == [m.Ack(1), m.Ack(1)]
    assert group.state.queued == 1


def test_the_next_leader_has_it_and_knows_of_no_loan(group: Group) -> None:
    p = group.member()
    loan = borrow(p)
    p.say(placed(p, loan, b"a"))
    late = placed(p, loan, b"b")
    group.lead()
    p.hello()
    assert group.state.queued == 1
    with pytest.raises(WireError):
        p.say(late)
    assert group.member().get().payload == b"a"


def test_without_room_it_can_be_tried_again(group: Group) -> None:
    p = group.member()
    message = placed(p, borrow(p), b"a")
    before = picture(group.state)
    group.journal.full = True
    with pytest.raises(NoRoom):
        p.say(message)
    assert picture(group.state) == before
    group.journal.full = False
    p.say(message)
    assert group.state.queued == 1


def test_after_a_shutdown_at_once_it_is_dropped(group: Group) -> None:
    p = group.member()
    loan = borrow(p)
    first, second = placed(p, loan, b"a"), placed(p, loan, b"b")
    p.ask("shutdown", immediate=True)
    p.say(first)
    p.say(second)
    assert group.state.queued == 0
    assert p.last(m.Ack) == m.Ack(2)


# Where it may be


def test_no_member_places_anything_without_a_loan(group: Group) -> None:
    p, q = group.member(), group.member()
    loan = borrow(q)
    with pytest.raises(WireError, match=f"not at byte 64 of loan {loan.number}"):
        p.say(placed(p, loan, b"a"))


@pytest.mark.parametrize("field", ["number", "offset", "length"])
def test_nor_at_another_place(group: Group, field: str) -> None:
    p = group.member()
    message = placed(p, borrow(p), b"a")
    with pytest.raises(WireError):
        p.say(message._replace(**{field: getattr(message, field) + 8}))
    assert group.state.queued == 0


@pytest.mark.parametrize("change", [{"flags": m.DURABLE}, {"count": 2}, {"count": 0}])
def test_nor_what_cannot_be(group: Group, change: dict[str, int]) -> None:
    """What is durable has a check from the first."""
    p = group.member()
    message = placed(p, borrow(p), b"a")
    with pytest.raises(WireError):
        group.broker._accepting._lending.loan_of(p.peer, message._replace(**change))


def test_nor_in_a_loan_that_is_repaid(group: Group) -> None:
    p = group.member()
    loan = borrow(p)
    p.say(m.Repaid(loan.number))
    assert loan.is_back is True
    with pytest.raises(WireError):
        p.say(placed(p, loan, b"a"))
    with pytest.raises(WireError, match="repaid that was not made"):
        p.say(m.Repaid(loan.number))


# How many


def test_a_member_has_a_few_loans(group: Group) -> None:
    p, q = group.member(), group.member()
    loans = [borrow(p) for _ in range(MOST_LOANS)]
    p.say(m.Borrow(1000))
    assert p.last(m.Loan) == m.Loan(0, 0)
    assert len(group.journal.loans) == MOST_LOANS
    borrow(q)
    p.say(m.Repaid(loans[0].number))
    borrow(p)


@pytest.mark.parametrize("size", [0, m.LARGEST_PLACED + 1])
def test_there_is_none_of_such_a_size(group: Group, size: int) -> None:
    p = group.member()
    p.say(m.Borrow(size))
    assert p.last(m.Loan) == m.Loan(0, 0)
    assert group.journal.loans == []


def test_one_of_the_largest_size_there_is(group: Group) -> None:
    borrow(group.member(), m.LARGEST_PLACED)


def test_without_room_to_spare_there_is_none(group: Group) -> None:
    p = group.member()
    group.journal.lends = False
    p.say(m.Borrow(1000))
    assert p.last(m.Loan) == m.Loan(0, 0)


# How long


@pytest.mark.parametrize("end", ["disconnect", "bye", "die"])
def test_with_the_connection_it_ends_and_its_borrower_may_still_write(group: Group, end: str) -> None:
    p = group.member()
    loan = borrow(p)
    getattr(p, end)()
    assert loan.is_back is False


def test_a_new_connection_has_none_of_the_old(group: Group) -> None:
    p = group.member()
    loan = borrow(p)
    p.hello()
    assert loan.is_back is False
    with pytest.raises(WireError):
        p.say(placed(p, loan, b"a"))


def test_one_that_is_not_used_is_asked_back(group: Group) -> None:
    p, q = group.member(), group.member()
    loan = borrow(p)
    borrow(q)
    group.broker.keep_house()
    group.step()
    assert p.all(m.Recall) == []
    q.say(placed(q, group.journal.loans[1], b"a"))
    group.broker.keep_house()
    group.step()
    assert p.all(m.Recall) == [m.Recall(m.RECALL_LOANS)]
    assert q.all(m.Recall) == []
    p.say(m.Repaid(loan.number))
    for _ in range(2):
        group.broker.keep_house()
        group.step()
    assert len(p.all(m.Recall)) == 1
    assert q.all(m.Recall) == [m.Recall(m.RECALL_LOANS)]
