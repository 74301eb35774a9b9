"""What the demo calls lost, duplicated and wrong, and what it does not."""

from __future__ import annotations

from groupqueue.cli.demo.tally import Result, tally

EXPECTED = ["a", "b", "c"]
ONCE = [Result(0, "a", 1, 10), Result(1, "b", 1, 11)]


def test_each_once_and_as_expected_is_right():
    found = tally(EXPECTED, {2}, ONCE, [(2, "c")], killed=set())
    assert found.is_right
    assert not found.redelivered


def test_no_result_is_lost():
    found = tally(EXPECTED, {2}, ONCE[:1], [], killed=set())
    assert found.lost == [1, 2]
    assert not found.is_right


def test_another_digest_is_wrong():
    found = tally(EXPECTED, {2}, [ONCE[0], Result(1, "c", 1, 10)], [(2, "b")], killed=set())
    assert found.wrong == [1, 2]


def test_a_later_attempt_after_the_worker_was_killed_is_a_redelivery():
    found = tally(EXPECTED, {2}, [*ONCE, Result(1, "b", 2, 12)], [(2, "c")], killed={11})
    assert found.is_right
    assert found.redelivered == [1]


def test_a_later_attempt_while_the_first_worker_lives_is_a_duplicate():
    found = tally(EXPECTED, {2}, [*ONCE, Result(1, "b", 2, 12)], [(2, "c")], killed={12})
    assert found.duplicated == [1]


def test_the_same_attempt_twice_is_a_duplicate_whoever_was_killed():
    found = tally(EXPECTED, {2}, [*ONCE, Result(1, "b", 1, 12)], [(2, "c")], killed={11, 12})
    assert found.duplicated == [1]


def test_a_second_answer_to_a_question_is_a_duplicate():
    found = tally(EXPECTED, {2}, ONCE, [(2, "c"), (2, "c")], killed={10, 11})
    assert found.duplicated == [2]


def test_a_result_of_a_question_and_an_answer_to_a_put_are_duplicates():
    found = tally(EXPECTED, {2}, [*ONCE, Result(2, "c", 1, 10)], [(2, "c"), (0, "a")], killed={10})
    assert found.duplicated == [0, 2]
