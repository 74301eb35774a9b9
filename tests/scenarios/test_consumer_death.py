"""What becomes of the items of a consumer that is killed."""

from __future__ import annotations

import pytest

from tests.helpers import Raised, eventually, open_leader, open_member


def test_only_the_one_item_that_get_returned_dies_with_its_consumer(group):
    leader = open_leader(group)
    leader.do("q.put_many(range(100)); q.flush()")
    victim, heir = open_member(group), open_member(group)
    taken = victim.do("[q.get(timeout=5) for _ in range(7)]")
    victim.kill()
    rest = heir.do("[q.get(timeout=5) for _ in range(93)]")
    assert taken == list(range(7))
    assert rest == list(range(7, 100))
    with pytest.raises(Raised, match="Empty"):
        heir.do("q.get(timeout=0.2)")


def test_the_rest_of_a_dead_consumer_comes_before_what_was_put_later(group):
    leader = open_leader(group)
    leader.do("q.put_many(range(20)); q.flush()")
    victim = open_member(group)
    victim.do("q.get(timeout=5)")
    leader.do("q.put_many(range(20, 40)); q.flush()")
    victim.kill()
    heir = open_member(group)
    assert heir.do("[q.get(timeout=5) for _ in range(39)]") == list(range(1, 40))


def test_a_message_whose_holder_died_goes_to_another_as_the_second_attempt(group):
    leader = open_leader(group)
    leader.do("q.put('work'); q.flush()")
    victim, heir = open_member(group), open_member(group)
    victim.do("m = q.get_message(timeout=5)")
    assert victim.do("(m.obj, m.attempt, m.wants_reply)") == ("work", 1, False)
    assert victim.do("m.sender_pid") == leader.pid
    heir.begin("m = q.get_message(timeout=10)")
    victim.kill()
    heir.result()
    assert heir.do("(m.obj, m.attempt)") == ("work", 2)
    heir.do("m.done(); q.flush()")
    assert leader.do("(q.qsize(), q.stats().in_flight)") == (0, 0)


def test_a_message_that_is_held_stays_its_holder_s_across_a_failover(group):
    leader = open_leader(group)
    leader.do("q.put('work'); q.flush()")
    holder, other = open_member(group), open_member(group)
    holder.do("m = q.get_message(timeout=5)")
    leader.kill()
    with pytest.raises(Raised, match="Empty"):
        other.do("q.get(timeout=0.5)")
    holder.do("m.done()")
    eventually(lambda: other.do("q.stats().in_flight") == 0)
    with pytest.raises(Raised, match="Empty"):
        other.do("q.get(timeout=0.2)")


def test_an_item_that_kills_max_attempts_consumers_is_on_the_failed_list(group):
    leader = open_leader(group, max_attempts=2)
    leader.do("q.put('poison'); q.put('food'); q.flush()")
    for attempt in (1, 2):
        victim = open_member(group, max_attempts=2)
        victim.do("m = q.get_message(timeout=5)")
        assert victim.do("(m.obj, m.attempt)") == ("poison", attempt)
        victim.kill()
    heir = open_member(group, max_attempts=2)
    assert heir.do("q.get(timeout=5)") == "food"
    eventually(lambda: heir.do("[m.obj for m in q.failed()]") == ["poison"])
    assert heir.do("q.stats().failed") == 1
    with pytest.raises(Raised, match="Empty"):
        heir.do("q.get(timeout=0.2)")
    heir.do("q.requeue_failed()")
    assert heir.do("q.get(timeout=5)") == "poison"
    assert heir.do("q.failed()") == []


def test_whoever_waits_for_a_reply_to_such_an_item_gets_consumer_lost(group):
    open_leader(group, max_attempts=2)
    asker = open_member(group, max_attempts=2, begin="q.put_wait('poison', timeout=30)")
    for _ in range(2):
        victim = open_member(group, mode="client", max_attempts=2)
        victim.do("q.get(timeout=10)")
        victim.kill()
    with pytest.raises(Raised, match="ConsumerLost"):
        asker.result()


def test_a_question_whose_consumer_died_is_answered_by_another(group):
    open_leader(group)
    asker = open_member(group, begin="q.put_wait('question', timeout=30)")
    victim = open_member(group)
    assert victim.do("q.get(timeout=5)") == "question"
    heir = open_member(group, begin="m = q.get_message(timeout=20)")
    victim.kill()
    heir.result()
    assert heir.do("(m.obj, m.attempt, m.wants_reply)") == ("question", 2, True)
    heir.do("m.reply('answer')")
    assert asker.result() == "answer"


def test_an_unfinished_task_goes_to_another(group):
    leader = open_leader(group, kind="JoinableGroupQueue")
    leader.do("q.put_many(range(4)); q.flush()")
    victim = open_member(group, kind="JoinableGroupQueue")
    assert victim.do("[q.get(timeout=5) for _ in range(3)]") == [0, 1, 2]
    victim.do("q.task_done()")
    eventually(lambda: leader.do("q.stats().in_flight") == 2)
    leader.begin("q.join()")
    victim.kill()
    heir = open_member(group, kind="JoinableGroupQueue")
    assert heir.do("[q.get(timeout=5) for _ in range(3)]") == [1, 2, 3]
    heir.do("[q.task_done() for _ in range(3)]")
    leader.result()


def test_an_unfinished_task_of_a_handle_that_closes_goes_to_another(group):
    leader = open_leader(group, kind="JoinableGroupQueue")
    leader.do("q.put('task'); q.flush()")
    quitter = open_member(group, kind="JoinableGroupQueue")
    quitter.do("q.get(timeout=5); q.close()")
    assert leader.do("q.get(timeout=5)") == "task"
    leader.do("q.task_done(); q.join()")


def test_a_leader_that_dies_holding_a_message_counts_as_its_dead_consumer(group):
    leader = open_leader(group)
    heir = open_member(group)
    leader.do("q.put_many(['held', 'ahead']); q.flush(); m = q.get_message(timeout=5)")
    heir.begin("ms = [q.get_message(timeout=10) for _ in range(2)]")
    leader.kill()
    heir.result()
    # In either order: what comes behind a held item need not wait for it.
    assert sorted(heir.do("[(m.obj, m.attempt) for m in ms]")) == [("ahead", 1), ("held", 2)]


def test_a_consumer_killed_while_it_waits_takes_nothing_along(group):
    leader = open_leader(group)
    victim = open_member(group, begin="q.get()")
    eventually(lambda: leader.do("q.stats().waiting_getters") >= 1)
    victim.kill()
    leader.do("q.put('kept'); q.flush()")
    assert leader.do("q.get(timeout=5)") == "kept"


def test_an_item_that_kills_whoever_decodes_it_ends_on_the_failed_list(group):
    """A crash in foreign C code, say: without the count it would kill every consumer in turn."""
    leader = open_leader(group)
    leader.do("""
        class End:
            def __reduce__(self):
                return os._exit, (9,)
        q.put(End())
        q.put("after")
        q.flush()
    """)
    for _ in range(3):
        victim = open_member(group, mode="client", begin="q.get(timeout=10)")
        assert victim.wait() == 9
    heir = open_member(group, mode="client")
    assert heir.do("q.get(timeout=10)") == "after"
    assert leader.do("q.stats().failed") == 1


@pytest.mark.parametrize("ending", ["KeyboardInterrupt", "SystemExit"])
def test_a_message_whose_holder_is_told_to_end_goes_to_another(group, ending):
    holder = open_leader(group)
    other = open_member(group, mode="client")
    asker = open_member(group, mode="client", begin="q.put_wait('work', timeout=20)")
    holder.do(f"""
        try:
            with q.get_message(timeout=10):
                raise {ending}
        except {ending}:
            ended = True
    """)
    assert holder.do("ended")
    other.do("m = q.get_message(timeout=10)")
    assert other.do("(m.obj, m.attempt)") == ("work", 2)
    other.do("m.reply('done')")
    assert asker.result() == "done"
    assert other.do("len(q.failed())") == 0
