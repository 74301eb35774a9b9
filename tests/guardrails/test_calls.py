"""
How much Python runs for an item, and how often it reaches the kernel.

The bounds are one and a half times what was counted when they were set, over Python 3.10 to 3.13 and on busy machines.
What exceeds one has become slower; one that is far above what is counted may be lowered.
"""

from __future__ import annotations

import pytest

from tests.helpers import open_leader, open_member

IMPORT = "from tests.guardrails import counting"


@pytest.fixture
def pair(group):
    """A leader and a member; what holds for one must hold for the other."""
    pair = open_leader(group), open_member(group)
    for one in pair:
        one.do(f"q.wait_for_leader(); {IMPORT}")
    return pair


def test_a_put_is_a_handful_of_calls_and_none_of_them_reaches_the_kernel(pair):
    for one in pair:
        calls, kernel = one.do("counting.each(lambda: q.put(1), 400)")
        assert kernel == 0
        assert calls <= 12


def test_a_get_of_what_is_there_is_a_handful_of_calls_and_none_of_them_reaches_the_kernel(pair):
    for one in pair:
        one.do("q.put_many(range(1020)); q.flush()")
        calls, kernel = one.do("counting.each(q.get, 1000)")
        assert kernel == 0
        assert calls <= 6


def test_the_items_of_a_batch_share_their_way_to_the_kernel(pair):
    for one in pair:
        calls, kernel = one.do("counting.together(lambda: (q.put_many(range(5000)), q.flush()), 5000)")
        assert calls <= 8
        assert kernel <= 0.01
        calls, kernel = one.do("counting.together(lambda: [q.get_many(1000) for _ in range(4)], 4000)")
        assert calls <= 4
        assert kernel <= 0.01


def test_a_question_costs_whoever_leads_so_much_and_the_other_less(pair):
    for asks, answers in (pair, pair[::-1]):
        answers.begin("counting.each(lambda: q.reply(q.get()), 280)")
        asked = asks.do("counting.each(lambda: q.put_wait(1), 280)")
        answered = answers.result()
        (calls, kernel), (member_calls, member_kernel) = (asked, answered) if asks is pair[0] else (answered, asked)
        assert calls <= 1000
        assert kernel <= 18
        assert member_calls <= 460
        assert member_kernel <= 9
