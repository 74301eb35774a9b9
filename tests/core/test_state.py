"""
Every item is in exactly one of five places, and the journal says in which.

What is done here is done by records, as the leader does it: appended, then applied. After each the law of the state is
checked, and at the end of each test that the journal amounts to the state that was lived.
"""

from __future__ import annotations

import pytest

from groupqueue.core import messages as m
from tests.core.fakes import FakeJournal
from tests.core.lives import A, B, Life, P, Q

# Items


def test_what_was_put_is_ready_in_order(life: Life) -> None:
    life.put(P, 2)
    life.put(Q, 1)
    life.put(P, 3)
    assert life.ready(P) == [1, 2, 4, 5, 6]
    assert life.ready(Q) == [3]
    assert (life.state.queued, life.state.unfinished, life.state.total_put) == (6, 6, 6)
    assert life.state.last_seq == {P: 5, Q: 1}
    assert life.state.next_id == 7


def test_an_item_is_found_by_any_id_of_its_batch(life: Life) -> None:
    life.put(P, 3)
    life.put(P, 2)
    for item, first in [(1, 1), (2, 1), (3, 1), (4, 4), (5, 4)]:
        batch = life.state.find(item)
        assert batch is not None
        assert batch.first_id == first
    assert life.state.find(6) is None
    assert life.state.find(0) is None


def test_a_batch_that_is_finished_is_not_found(life: Life) -> None:
    life.put(P, 3)
    life.put(P, 1)
    life.finish((1, 3))
    assert life.state.find(2) is None
    assert life.state.find(4) is not None


# Grants


def test_a_grant_takes_from_the_lane_what_it_names(life: Life) -> None:
    life.put(P, 5)
    life.grant(A, (1, 2))
    assert life.ready() == [3, 4, 5]
    assert life.granted(A) == [1, 2]
    assert (life.state.lanes.ready, life.state.lanes.untaken, life.state.queued) == (3, 2, 5)
    assert life.state.granted_to(2) == A
    assert life.state.granted_to(3) is None


def test_a_grant_across_batches_and_lanes(life: Life) -> None:
    life.put(P, 2)
    life.put(Q, 2)
    life.put(P, 2)
    life.grant(A, (1, 2), (3, 1), (5, 2))
    assert life.granted(A) == [1, 2, 3, 5, 6]
    assert life.ready(P) == []
    assert life.ready(Q) == [4]
    assert dict(life.state.grants[A].positions(0, 99)) == {0: 1, 1: 2, 2: 3, 3: 5, 4: 6}
    assert list(life.state.grants[A].positions(1, 3)) == [(1, 2), (2, 3)]


def test_grants_follow_each_other(life: Life) -> None:
    life.put(P, 4)
    life.grant(A, (1, 2))
    life.taken(A, 1)
    life.grant(A, (3, 1))
    assert life.granted(A) == [2, 3]
    assert list(life.state.grants[A].positions(0, 99)) == [(1, 2), (2, 3)]


def test_a_grant_of_what_is_not_ready_leaves_a_place_and_no_item(life: Life) -> None:
    life.put(P, 2)
    life.grant(A, (1, 2))
    life.grant(B, (1, 2))
    assert life.granted(B) == [None, None]
    assert life.granted(A) == [1, 2]
    life.taken(B, 2)
    assert life.granted(A) == [1, 2]


def test_a_grant_at_an_earlier_position_first_returns_what_is_beyond(life: Life) -> None:
    life.put(P, 4)
    life.grant(A, (1, 3))
    life.grant(A, (2, 1), position=1)
    assert life.granted(A) == [1, 2]
    assert life.ready() == [3, 4]


def test_a_grant_at_a_later_position_stands_for_grants_that_were_lost(life: Life) -> None:
    life.put(P, 2)
    life.grant(A, (1, 1))
    life.grant(A, (2, 1), position=5)
    assert life.granted(A) == [1, None, None, None, None, 2]
    life.taken(A, 6)
    assert life.state.unfinished == 0


# Returns


def test_a_return_of_what_is_taken_returns_the_rest(life: Life) -> None:
    life.put(P, 3)
    life.grant(A, (1, 3))
    life.taken(A, 2)
    life.give_back(A, 0)
    assert life.ready() == [3]
    assert life.state.grants[A].taken == life.state.grants[A].end == 2


def test_a_return_of_nothing_changes_nothing(life: Life) -> None:
    life.put(P, 2)
    life.grant(A, (1, 2))
    life.give_back(A, 2)
    life.give_back(A, 99)
    life.give_back(B, 0)
    assert life.granted(A) == [1, 2]


# Takes


def test_what_is_taken_is_finished(life: Life) -> None:
    life.put(P, 3)
    life.grant(A, (1, 3))
    life.taken(A, 2)
    assert life.granted(A) == [3]
    assert (life.state.queued, life.state.unfinished, life.state.total_finished) == (1, 1, 2)


def test_what_is_taken_to_be_held_is_held(life: Life) -> None:
    life.put(P, 4)
    life.grant(A, (1, 4))
    life.taken(A, 3, 1, 3)
    assert life.held == {1: A, 3: A}
    assert life.state.held_by(A) == [1, 3]
    assert life.state.held_by(B) == []
    assert (life.state.queued, life.state.unfinished) == (1, 3)


def test_a_cursor_that_went_back_changes_nothing(life: Life) -> None:
    life.put(P, 3)
    life.grant(A, (1, 3))
    life.taken(A, 2)
    life.taken(A, 1)
    life.taken(B, 3)
    assert life.granted(A) == [3]


def test_a_batch_goes_when_its_last_item_is_finished(life: Life) -> None:
    life.put(P, 2)
    life.put(P, 1)
    life.grant(A, (1, 3 - 1), (3, 1))
    assert not any(place.released for place in life.journal.segments[0])
    life.taken(A, 3, 1)
    assert [place.released for place in life.journal.segments[0]] == [False, True]
    life.finish((1, 1))
    assert [place.released for place in life.journal.segments[0]] == [True, True]
    assert life.state.bytes == 0


# Endings


def test_a_held_item_that_is_finished_is_nowhere(life: Life) -> None:
    life.put(P, 2)
    life.grant(A, (1, 2))
    life.taken(A, 2, 1, 2)
    life.finish((1, 1))
    assert life.held == {2: A}
    life.finish((2, 1))
    assert life.state.unfinished == 0


def test_what_is_finished_twice_is_finished_once(life: Life) -> None:
    life.put(P, 2)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.finish((1, 1))
    life.finish((1, 1))
    assert life.state.total_finished == 1


def test_a_run_that_is_half_held_is_finished_item_by_item(life: Life) -> None:
    life.put(P, 4)
    life.grant(A, (1, 2))
    life.taken(A, 2, 1, 2)
    life.finish((1, 4))
    assert life.state.unfinished == 0
    assert life.state.batches == {}


def test_what_is_granted_cannot_be_finished_from_outside(life: Life) -> None:
    life.put(P, 2)
    life.grant(A, (1, 2))
    life.finish((1, 2))
    assert life.granted(A) == [1, 2]


def test_the_attempts_of_an_item_are_forgotten_with_it(life: Life) -> None:
    life.put(P, 4)
    life.grant(A, (1, 4))
    life.taken(A, 4, 1, 2, 3, 4)
    for item in (1, 2, 3, 4):
        life.requeue(item)
    life.grant(A, (1, 1))
    life.taken(A, 5)
    life.grant(A, (2, 1))
    life.taken(A, 6, 2)
    life.finish((2, 1))
    life.finish((3, 1))
    life.finish((4, 1))
    assert life.state.attempts == {}


@pytest.mark.parametrize("count", [2, 5])
def test_only_the_attempts_of_what_is_finished_are_forgotten(life: Life, count: int) -> None:
    life.put(P, 8)
    for position, item in enumerate((1, 2, 7), 1):
        life.grant(A, (item, 1))
        life.taken(A, position, item)
        life.requeue(item)
    life.finish((2, count))
    assert life.state.attempts == {1: (2, 0), 7: (2, 0)}


def test_a_failed_item_waits_on_the_failed_list(life: Life) -> None:
    life.put(P, 2)
    life.grant(A, (1, 2))
    life.taken(A, 2, 1, 2)
    life.failed(1, "too hot")
    assert life.state.failed[1].reason == "too hot"
    assert (life.state.unfinished, life.state.total_finished) == (1, 0)
    assert life.held == {2: A}


def test_a_failed_item_can_be_finished(life: Life) -> None:
    life.put(P, 1)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.failed(1)
    life.finish((1, 1))
    assert life.state.failed == {}


def test_a_retried_item_is_as_good_as_new_and_at_its_place(life: Life) -> None:
    life.put(P, 3)
    life.grant(A, (1, 2))
    life.taken(A, 2, 1, 2)
    life.requeue(1, attempt=4, deaths=3)
    life.grant(B, (1, 1))
    life.taken(B, 1, 1)
    life.failed(1)
    life.failed(2)
    life.retry(2, 1, 99)
    assert life.ready() == [1, 2, 3]
    assert life.state.attempt(1) == 1
    assert life.state.failed == {}


@pytest.mark.parametrize("how", ["failed", "requeue", "retry"])
def test_only_what_is_there_can_be_moved(life: Life, how: str) -> None:
    life.put(P, 1)
    getattr(life, how)(1)
    assert life.ready() == [1]
    assert life.state.attempts == {}


# Replies


def test_a_reply_that_finishes_its_item(life: Life) -> None:
    life.put(P, 2, m.WANTS_REPLY)
    life.grant(A, (1, 2))
    life.taken(A, 2, 1, 2)
    number = life.reply(1)
    assert life.held == {2: A}
    assert life.state.replies[number].seq == 1
    assert life.state.next_id == number + 1


def test_a_reply_before_the_end_leaves_the_item_held(life: Life) -> None:
    life.put(P, 1, m.WANTS_REPLY)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.reply(1, finish=False)
    assert life.held == {1: A}
    assert life.state.answered == {1}
    life.finish((1, 1))
    assert life.state.answered == set()


def test_a_reply_goes_when_it_is_heard(life: Life) -> None:
    life.put(P, 1, m.WANTS_REPLY)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    number = life.reply(1)
    life.heard(number, 99)
    assert life.state.replies == {}
    assert life.state.bytes == 0


def test_items_put_after_a_reply_do_not_take_its_number(life: Life) -> None:
    life.put(P, 1, m.WANTS_REPLY)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    number = life.reply(1)
    assert list(life.put(P, 2)) == [number + 1, number + 2]


def test_an_answer_counts_also_when_the_item_is_requeued() -> None:
    life = Life(FakeJournal(segment_records=1000))
    life.put(P, 1, m.WANTS_REPLY)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.reply(1, finish=False)
    life.requeue(1)
    assert life.state.answered == {1}
    assert life.journal.replay().answered == {1}


def test_an_answered_item_stays_finished_when_its_reply_is_written_over() -> None:
    life = Life(FakeJournal(segment_records=1))
    life.put(P, 2, m.WANTS_REPLY)
    life.grant(A, (1, 2))
    life.taken(A, 2, 1, 2)
    life.heard(life.reply(1))
    life.put(P)
    assert life.held == {2: A}
    assert {item: held.member for item, held in life.journal.replay().held.items()} == {2: A}


# Members


def test_a_member_that_is_gone_is_forgotten(life: Life) -> None:
    life.put(P, 2)
    life.grant(A, (1, 2))
    life.taken(A, 2)
    life.gone(A)
    life.gone(P)
    life.gone(99)
    assert life.state.grants == {}
    assert life.state.last_seq == {}


def test_what_the_gone_put_stays(life: Life) -> None:
    life.put(P, 2)
    life.gone(P)
    assert life.ready() == [1, 2]


def test_what_a_removed_segment_told_is_told_again() -> None:
    life = Life(FakeJournal(segment_records=1))
    for producer in (P, Q):
        life.put(producer, 3)
        life.finish((life.state.next_id - 3, 3))
    life.put(99)
    assert [len(segment) for segment in life.journal.segments] == [1]
    again = life.journal.replay()
    assert again.last_seq == {P: 3, Q: 3, 99: 1}
    assert again.next_id == life.state.next_id


def test_totals_count_what_was_put_in_removed_segments_and_since() -> None:
    life = Life(FakeJournal(segment_records=1))
    for _ in range(5):
        life.put(P, 2)
        life.finish((life.state.next_id - 2, 2))
    life.put(P, 2)
    again = life.journal.replay()
    assert (again.total_put, again.total_finished) == (life.state.total_put, life.state.total_finished) == (12, 10)


def test_a_shutdown_is_remembered_with_its_generation(life: Life) -> None:
    life.shut_down(1, 7)
    life.shut_down(2, 7)
    assert (life.state.shutdown, life.state.shutdown_generation) == (2, 7)
