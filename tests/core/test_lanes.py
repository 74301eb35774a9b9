"""Whatever goes back to a lane goes to its original place."""

from __future__ import annotations

from groupqueue.core.items import Batch, Run
from groupqueue.core.lanes import Lanes
from tests.core.lives import A, B, Life, P, Q

# Grants


def test_a_grant_may_take_from_the_middle(life: Life) -> None:
    life.put(P, 5)
    life.put(P, 2)
    life.grant(A, (3, 1))
    assert life.ready() == [1, 2, 4, 5, 6, 7]


# Returns


def test_what_is_returned_is_ready_at_its_old_place(life: Life) -> None:
    life.put(P, 6)
    life.grant(A, (1, 4))
    life.give_back(A, 2)
    assert life.ready() == [3, 4, 5, 6]
    assert life.granted(A) == [1, 2]
    assert life.state.grants[A].end == 2


def test_returns_of_two_members_come_together_in_order(life: Life) -> None:
    life.put(P, 2)
    life.put(P, 3)
    life.put(P, 1)
    life.grant(A, (1, 1))
    life.grant(B, (2, 1), (3, 2))
    life.grant(A, (5, 1))
    life.give_back(B, 1)
    life.give_back(A, 0)
    life.give_back(B, 0)
    assert life.ready() == [1, 2, 3, 4, 5, 6]


def test_a_return_across_batches_and_lanes(life: Life) -> None:
    life.put(P, 2)
    life.put(Q, 2)
    life.grant(A, (1, 2), (3, 2))
    life.give_back(A, 1)
    assert (life.ready(P), life.ready(Q), life.granted(A)) == ([2], [3, 4], [1])


# Endings


def test_ready_items_are_finished_by_the_run(life: Life) -> None:
    life.put(P, 5)
    life.finish((2, 3))
    assert life.ready() == [1, 5]
    life.finish((1, 1), (5, 1))
    assert life.state.lanes.by_producer == {}


def test_a_requeued_item_stands_where_it_stood(life: Life) -> None:
    life.put(P, 5)
    life.grant(A, (1, 3))
    life.taken(A, 3, 2)
    life.requeue(2, attempt=2, deaths=1)
    assert life.ready() == [2, 4, 5]
    assert (life.state.attempt(2), life.state.deaths(2)) == (2, 1)
    assert (life.state.attempt(4), life.state.deaths(4)) == (1, 0)


def test_requeues_in_any_order_come_out_in_the_old_order(life: Life) -> None:
    life.put(P, 3)
    life.put(P, 3)
    life.grant(A, (1, 3), (4, 3))
    life.taken(A, 6, 1, 2, 3, 4, 5, 6)
    for item in (4, 2, 6, 1, 5, 3):
        life.requeue(item)
    assert life.ready() == [1, 2, 3, 4, 5, 6]


def test_what_comes_back_last_first_joins_again(life: Life) -> None:
    life.put(P, 100)
    life.put(P, 3)
    life.grant(A, (1, 100), (101, 3))
    life.taken(A, 103, *range(1, 104))
    for item in range(103, 0, -1):
        life.requeue(item)
    assert [(run.first, run.count) for run in life.state.lanes.by_producer[P].ready] == [(1, 100), (101, 3)]


def test_what_is_not_all_ready_is_neither_granted_nor_removed() -> None:
    lanes = Lanes()
    batch = Batch(1, P, 1, 4, 0, 3, 4242, 0, None)
    lanes.add(Run(1, 4, batch))
    assert lanes.grant(Run(2, 2, batch), A)
    assert not lanes.grant(Run(1, 2, batch), B)
    assert not lanes.remove(Run(3, 2, batch))
    assert [(run.first, run.count) for run in lanes.runs()] == [(1, 1), (4, 1)]
    assert (lanes.ready, lanes.untaken) == (2, 2)
