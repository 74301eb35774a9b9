"""What the leader holds in memory for what is queued, and what is left when it is gone: by Python's own account."""

from __future__ import annotations

from tests.helpers import open_leader, open_member

BEGIN = "from tests.guardrails.counting import Growth\ngrowth = Growth()"


def test_a_queued_item_of_a_batch_takes_a_byte_of_the_leader_and_one_that_came_alone_a_record(group):
    leader = open_leader(group)
    member = open_member(group)
    leader.do(BEGIN)
    member.do("q.put_many([b'x' * 100] * 20_000); q.flush()")
    leader.do("growth.mark()")  # what it needs once, it has
    member.do("q.put_many([b'x' * 100] * 20_000); q.flush()")
    assert leader.do("growth.bytes()") <= 20_000 * 1.1
    leader.do("growth.mark()")
    member.do("for _ in range(400): q.put(b'x' * 100); q.flush()")
    assert leader.do("growth.bytes()") <= 400 * 600


def test_nothing_is_left_of_what_has_passed(group):
    leader = open_leader(group)
    member = open_member(group)
    passing = "for _ in range(10): q.put_many([b'x' * 100] * 500); q.flush(); assert len(q.get_many(500)) == 500"
    for one in (leader, member):
        one.do(f"{BEGIN}\n{passing}\ngrowth.mark()")
    # Some rounds find the interpreter in the middle of something of its own; what is left of an item is left each time.
    grown = []
    for _ in range(3):
        for one in (leader, member):
            one.do(passing)
        grown.append([one.do("growth.bytes(), growth.mark()")[0] for one in (leader, member)])
    for least in map(min, zip(*grown)):
        assert least <= 5_000 * 15  # what one more record of each item would exceed
