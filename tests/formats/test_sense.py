"""Which records make sense: as they are, and in the state in which they are found."""

from __future__ import annotations

import struct

import pytest

from groupqueue.core import messages as m
from groupqueue.core.messages import MOST
from groupqueue.core.records import Kind, Record
from groupqueue.core.sense import MOST_EPOCHS, MOST_GRANTED, contradicts, is_possible_data, is_possible_entry
from groupqueue.core.state import State
from tests.core.fakes import FakeJournal
from tests.core.lives import A, B, Life, P, Q

TOP = MOST - 1
ANY = (1 << 64) - 1
ONE = struct.pack("<I", 3) + b"abc"
TWO = struct.pack("<II", 1, 2) + b"abc"


def record(kind: int, *words: int, body: bytes = b"") -> Record:
    return Record(kind, words, memoryview(body), 64, 128, 1)


def named(found: Record) -> str:
    kind = Kind(found.kind).name if found.kind in list(Kind) else str(found.kind)
    return f"{kind} {found.words} {len(found.body)}"


# As they are

DATA = [
    record(Kind.ITEMS, P, 1, 1, 1, 0, 3, 4242, body=ONE),
    record(Kind.ITEMS, ANY, TOP, MOST - 2, 2, ANY, ANY, ANY, body=TWO),
    record(Kind.ITEMS, P, 1, 0, 1, 0, 3, 4242, body=ONE),
    record(Kind.REPLY, 9, 8, P, 4, 0, 1, body=b"yes"),
    record(Kind.REPLY, 1, 0, P, 0, ANY, 0),
    record(Kind.REPLY, TOP, TOP - 1, ANY, TOP, 0, 1),
]

NO_DATA = [
    record(Kind.ITEMS, P, 0, 1, 1, 0, 3, 4242, body=ONE),
    record(Kind.ITEMS, P, MOST, 1, 1, 0, 3, 4242, body=ONE),
    record(Kind.ITEMS, P, 1, MOST, 1, 0, 3, 4242, body=ONE),
    record(Kind.ITEMS, P, 1, MOST - 1, 2, 0, 3, 4242, body=TWO),
    record(Kind.ITEMS, P, 1, 1, 2, 0, 3, 4242, body=ONE),
    record(Kind.ITEMS, P, 1, 1, 1, 0, 3, 4242, body=ONE[:-1]),
    record(Kind.ITEMS, P, 1, 1, 1, 0, 3, 4242),
    record(Kind.ITEMS, P, 1, 1, 0, 0, 3, 4242),
    record(Kind.ITEMS, P, 1, 1, 1, 0, 3, body=ONE),
    record(Kind.ITEMS, P, 1, 1, 1, 0, 3, 4242, 0, body=ONE),
    record(Kind.REPLY, 8, 8, P, 4, 0, 1),
    record(Kind.REPLY, MOST, 8, P, 4, 0, 1),
    record(Kind.REPLY, 9, 8, P, MOST, 0, 1),
    record(Kind.REPLY, 9, 8, P, 4, 0, 2),
    record(Kind.REPLY, 9, 8, P, 4, 0),
    record(Kind.GONE, A),
    record(Kind.CHECKPOINT, body=b"{}"),
    record(0),
    record(99, 1),
]

ENTRIES = [
    record(Kind.GRANT, A, 0),
    record(Kind.GRANT, ANY, TOP, 1, MOST_GRANTED, TOP, 1),
    record(Kind.RETURN, ANY, TOP),
    record(Kind.TAKEN, ANY, 0),
    record(Kind.TAKEN, A, TOP, TOP, 0, 5),
    record(Kind.FINISH, 1, 1),
    record(Kind.FINISH, 1, TOP, TOP, 1),
    record(Kind.FAILED, TOP, body=b"why"),
    record(Kind.FAILED, 0),
    record(Kind.REQUEUE, TOP, TOP, TOP),
    record(Kind.GONE, ANY),
    record(Kind.HEARD, TOP),
    record(Kind.HEARD, 1, TOP, 3),
    record(Kind.PRODUCERS, TOP, TOP),
    record(Kind.PRODUCERS, 9, 8, ANY, TOP, P, 0, body=bytes(8)),
    record(Kind.SHUTDOWN, 2, ANY),
    record(Kind.RETRY, TOP, 0),
    record(Kind.EPOCH, MOST_EPOCHS - 1, ANY),
    record(Kind.EPOCH, 1, 4242, ANY, 0),
    record(Kind.LOST, TOP, TOP - 1, ANY, TOP, body=b"why"),
    record(Kind.ANSWERED, TOP, 1),
    record(Kind.BEGUN, ANY),
]

NO_ENTRIES = [
    record(Kind.GRANT, A),
    record(Kind.GRANT, A, 0, 1),
    record(Kind.GRANT, A, MOST, 1, 1),
    record(Kind.GRANT, A, 0, 0, 1),
    record(Kind.GRANT, A, 0, 1, 0),
    record(Kind.GRANT, A, 0, 1, MOST_GRANTED + 1),
    record(Kind.GRANT, A, 0, TOP, 2),
    record(Kind.GRANT, A, 0, 1, 1, 9, MOST_GRANTED + 1),
    record(Kind.RETURN, A),
    record(Kind.RETURN, A, 1, 2),
    record(Kind.RETURN, A, MOST),
    record(Kind.TAKEN, A),
    record(Kind.TAKEN, A, MOST),
    record(Kind.TAKEN, A, 1, MOST),
    record(Kind.FINISH),
    record(Kind.FINISH, 1),
    record(Kind.FINISH, 1, 1, 2),
    record(Kind.FINISH, 0, 1),
    record(Kind.FINISH, 1, 0),
    record(Kind.FINISH, 1, MOST),
    record(Kind.FINISH, TOP, 2),
    record(Kind.FINISH, 1, 1, body=b"x"),
    record(Kind.FINISH, 1, 1, 0, 1),
    record(Kind.FINISH, 1, 1, 5, 0),
    record(Kind.FINISH, 1, 1, 5, 1, TOP, 2),
    record(Kind.FAILED),
    record(Kind.FAILED, 1, 2),
    record(Kind.FAILED, MOST),
    record(Kind.REQUEUE, 1, 1),
    record(Kind.REQUEUE, 1, 1, MOST),
    record(Kind.GONE),
    record(Kind.GONE, 1, 2),
    record(Kind.HEARD),
    record(Kind.HEARD, MOST),
    record(Kind.PRODUCERS, 1),
    record(Kind.PRODUCERS, 1, 1, P),
    record(Kind.PRODUCERS, MOST, 1),
    record(Kind.PRODUCERS, 1, MOST),
    record(Kind.PRODUCERS, 1, 1, P, MOST),
    record(Kind.PRODUCERS, 1, 1, P, 1, Q, MOST),
    record(Kind.PRODUCERS, 1, 1, body=b"seven b"),
    record(Kind.SHUTDOWN, 3, 1),
    record(Kind.SHUTDOWN, 1),
    record(Kind.RETRY),
    record(Kind.RETRY, 1, MOST),
    record(Kind.EPOCH, MOST_EPOCHS, 1),
    record(Kind.EPOCH, 1),
    record(Kind.LOST, 1, 1, P, 1),
    record(Kind.LOST, MOST, 1, P, 1),
    record(Kind.LOST, 2, 1, P, MOST),
    record(Kind.LOST, 2, 1, P),
    record(Kind.ANSWERED),
    record(Kind.ANSWERED, MOST),
    record(Kind.BEGUN),
    record(Kind.BEGUN, 1, 2),
    record(Kind.BEGUN, 1, body=b"x"),
    record(Kind.CHECKPOINT, body=b"{}"),
    record(0),
    record(99, 1),
    *DATA,
]


@pytest.mark.parametrize("found", DATA, ids=named)
def test_data_that_a_leader_writes_is_possible(found: Record) -> None:
    assert is_possible_data(found)


@pytest.mark.parametrize("found", NO_DATA, ids=named)
def test_other_data_is_not(found: Record) -> None:
    assert not is_possible_data(found)


@pytest.mark.parametrize("found", ENTRIES, ids=named)
def test_an_entry_that_a_leader_writes_is_possible(found: Record) -> None:
    assert is_possible_entry(found)
    assert not is_possible_data(found)


@pytest.mark.parametrize("found", NO_ENTRIES, ids=named)
def test_another_entry_is_not(found: Record) -> None:
    assert not is_possible_entry(found)


def test_every_kind_is_either() -> None:
    assert {found.kind for found in DATA + ENTRIES} == set(Kind) - {Kind.CHECKPOINT}


# In the state in which they are found


@pytest.fixture
def state() -> State:
    """1 to 4 are P's, 5 and 6 Q's; 7 is the reply to 6. A took 1, which is held, and 2 is granted to it; 5 failed."""
    life = Life(FakeJournal(segment_records=1000))
    life.put(P, 4)
    life.put(Q, 2, m.WANTS_REPLY)
    life.grant(A, (1, 2))
    life.taken(A, 1, 1)
    life.grant(B, (5, 2))
    life.taken(B, 2, 5, 6)
    life.failed(5)
    life.reply(6, finish=False)
    return life.state


TRUE = [
    record(Kind.RETURN, A, 1),
    record(Kind.RETURN, A, 2),
    record(Kind.TAKEN, A, 1),
    record(Kind.TAKEN, A, 2, 2),
    record(Kind.GRANT, A, 2, 3, 2),
    record(Kind.GRANT, A, 1, 2, 1),
    record(Kind.GRANT, A, 1, 2, 3),
    record(Kind.GRANT, B, 2, 3, 1),
    record(Kind.GRANT, 77, 9, 3, 1),
    record(Kind.GRANT, 77, 0, 50, 3),
    record(Kind.FAILED, 1),
    record(Kind.FAILED, 50),
    record(Kind.REQUEUE, 1, 2, 1),
    record(Kind.REQUEUE, 50, 2, 1),
    record(Kind.RETRY, 5),
    record(Kind.RETRY, 50, 5),
    record(Kind.LOST, 99, 1, P, 1),
    record(Kind.FINISH, 1, 4),
    record(Kind.GONE, A),
    record(Kind.SHUTDOWN, 1, 1),
]

UNTRUE = [
    record(Kind.RETURN, A, 0),
    record(Kind.RETURN, A, 3),
    record(Kind.RETURN, 77, 0),
    record(Kind.TAKEN, A, 0),
    record(Kind.TAKEN, A, 3),
    record(Kind.TAKEN, 77, 0),
    record(Kind.GRANT, A, 0, 3, 1),
    record(Kind.GRANT, A, 2, 2, 1),
    record(Kind.GRANT, B, 2, 2, 1),
    record(Kind.GRANT, B, 2, 1, 1),
    record(Kind.GRANT, B, 2, 3, 3),
    record(Kind.GRANT, B, 2, 3, 1, 2, 1),
    record(Kind.GRANT, 77, 0, 50, 3, 2, 1),
    record(Kind.GRANT, 77, 0, 5, 1),
    record(Kind.FAILED, 3),
    record(Kind.FAILED, 5),
    record(Kind.REQUEUE, 2, 2, 1),
    record(Kind.RETRY, 1),
    record(Kind.RETRY, 5, 3),
    record(Kind.LOST, 7, 6, Q, 2),
]


@pytest.mark.parametrize("found", TRUE, ids=named)
def test_what_may_be_true_is_no_contradiction(state: State, found: Record) -> None:
    assert not contradicts(state, found)


@pytest.mark.parametrize("found", UNTRUE, ids=named)
def test_what_cannot_be_true_is_one(state: State, found: Record) -> None:
    assert contradicts(state, found)
