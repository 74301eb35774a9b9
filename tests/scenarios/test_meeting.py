"""Processes that know nothing of each other meet under one name."""

from __future__ import annotations

import os
import uuid

import pytest

from groupqueue import Empty, GroupQueue
from tests.helpers import Clock, eventually, open_leader, open_member, run_script, started

PUT_THREE = """
    # puts three
    import sys
    from groupqueue import GroupQueue
    q = GroupQueue(sys.argv[1])
    for n in range(3):
        q.put(n)
    q.flush()
    say("put")
    hear()
"""

GET_THREE = """
    # gets three
    import sys
    from groupqueue import GroupQueue
    q = GroupQueue(sys.argv[1])
    say("waiting")
    say("got", [q.get() for _ in range(3)])
"""


def test_environments_that_differ_in_everything_but_the_user_are_one_group(tmp_path):
    name = f"meeting-{uuid.uuid4().hex}"
    homes = []
    for who in ("cron", "shell"):
        for folder in ("tmp", "run", "home"):
            (tmp_path / who / folder).mkdir(parents=True)
        homes.append(tmp_path / who)

    def environment(home):
        return {
            "GROUPQUEUE_DIR": None,
            "TMPDIR": str(home / "tmp"),
            "XDG_RUNTIME_DIR": str(home / "run"),
            "HOME": str(home / "home"),
        }

    try:
        getter = run_script(GET_THREE, name, env=environment(homes[0]), cwd=homes[0])
        getter.expect("waiting")
        putter = run_script(PUT_THREE, name, env=environment(homes[1]), cwd=homes[1])
        assert getter.expect("got") == "[0, 1, 2]"
        putter.expect("put")
        putter.send("end")
        assert (getter.wait(), putter.wait()) == (0, 0)
    finally:
        for script in started:
            script.end()
        GroupQueue.unlink(name, directory=f"/tmp/groupqueue-{os.getuid()}")


def test_a_consumer_that_came_first_gets_what_a_producer_puts_later(group):
    getter = run_script(GET_THREE, group)
    getter.expect("waiting")
    run_script(PUT_THREE, group)
    assert getter.expect("got") == "[0, 1, 2]"


def test_a_producer_may_exit_before_the_first_consumer_starts(group):
    putter = run_script(PUT_THREE, group)
    putter.expect("put")
    putter.send("end")
    assert putter.wait() == 0
    getter = run_script(GET_THREE, group)
    assert getter.expect("got") == "[0, 1, 2]"


def test_items_of_one_name_are_not_those_of_another(open_queue):
    apples, pears = open_queue("apples"), open_queue("pears")
    apples.put("apple")
    apples.flush()
    with pytest.raises(Empty):
        pears.get(timeout=0.2)
    assert apples.get(timeout=5) == "apple"


def test_the_directory_argument_goes_before_the_environment(group, directory, tmp_path_factory):
    elsewhere = os.path.join(directory, "elsewhere")
    os.mkdir(elsewhere, 0o700)
    here, there = open_member(group), open_member(group, directory=elsewhere)
    here.do("q.put('here'); q.flush()")
    there.do("q.put('there'); q.flush()")
    assert there.do("q.get(timeout=5)") == "there"
    assert there.do("q.directory").startswith(elsewhere)
    assert here.do("q.get(timeout=5)") == "here"


def test_opening_is_enough_to_be_elected(group, open_queue):
    member = open_member(group)
    observer = open_queue(group, mode="client")
    assert observer.wait_for_leader(5)
    assert observer.stats().leader_pid == member.pid
    assert member.do("q.is_leader") is True
    assert observer.is_leader is False


def test_opening_waits_for_no_leader(group, open_queue):
    with Clock() as clock:
        queue = open_queue(group, mode="client")
    assert clock.elapsed < 1
    assert queue.wait_for_leader(0.2) is False


def test_a_leader_that_closes_hands_over(group):
    first = open_leader(group)
    second = open_member(group)
    first.do("q.put('kept'); q.flush(); q.close()")
    eventually(lambda: second.do("q.is_leader"), timeout=5)
    assert second.do("q.get(timeout=5)") == "kept"


def test_items_come_out_in_the_order_of_their_producer(group):
    a, b = open_member(group), open_member(group)
    a.begin("for n in range(5000): q.put(('a', n))\nq.flush()")
    b.begin("for n in range(5000): q.put(('b', n))\nq.flush()")
    consumer = open_member(group, begin="items = [q.get(timeout=10) for _ in range(10000)]")
    for member in (a, b, consumer):
        member.result()
    assert consumer.do("[n for who, n in items if who == 'a'] == list(range(5000))")
    assert consumer.do("[n for who, n in items if who == 'b'] == list(range(5000))")


def test_what_a_handle_has_put_it_sees(group, open_queue):
    open_leader(group)
    queue = open_queue(group, mode="client")
    assert queue.wait_for_leader(5)
    for n in range(200):
        queue.put(n)
        assert not queue.empty()
        assert queue.get_nowait() == n


def test_what_was_flushed_everybody_sees(group):
    a, b = open_leader(group), open_member(group)
    assert b.do("q.wait_for_leader(5)")
    for n in range(100):
        a.do(f"q.put({n}); q.flush()")
        assert b.do("(q.empty(), q.get_nowait())") == (False, n)
