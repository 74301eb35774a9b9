"""A leader that is stopped still leads: members wait, timeouts hold, the log says who and why, SIGCONT continues."""

from __future__ import annotations

import time

import pytest

from tests.helpers import Clock, Raised, linux_only, lock_holder, open_leader, open_member

LOG_TO_STDOUT = """
    import logging
    class Say(logging.Handler):
        def emit(self, record):
            say("log", record.name, record.levelname, record.getMessage())
    logging.getLogger("groupqueue").addHandler(Say())
"""


def test_everything_waits_within_its_timeout_and_goes_on_at_sigcont(directory, group):
    leader = open_leader(group)
    member = open_member(group)
    member.do("q.put('before'); q.flush(); q.get()")
    leader.stop()
    with Clock() as clock, pytest.raises(Raised, match="Empty"):
        member.do("q.get(timeout=0.4)")
    assert 0.3 < clock.elapsed < 1.5
    with Clock() as clock, pytest.raises(Raised, match="Empty"):
        member.do("q.get_nowait()")
    assert clock.elapsed < 1.5
    with Clock() as clock, pytest.raises(Raised, match="TimeoutError"):
        member.do("q.put('during'); q.flush(timeout=0.4)")
    assert clock.elapsed < 1.5
    with Clock() as clock, pytest.raises(Raised, match="ReplyTimeout"):
        member.do("q.put_wait('withdrawn', timeout=0.4)")
    assert clock.elapsed < 1.5
    with Clock() as clock:
        assert member.do("q.wait_for_leader(0.3)") in (True, False)
        assert member.do("q.stats().leader_pid") in (None, leader.pid)
    assert clock.elapsed < 2.5
    member.begin("got = q.get(timeout=20)")
    leader.cont()
    member.result()
    assert member.do("got") == "during"
    with pytest.raises(Raised, match="Empty"):
        member.do("q.get(timeout=0.3)")


@pytest.mark.parametrize("waiting", ["q.get()", "q.put_wait('question')", "q.put('x'); q.flush()"])
def test_the_log_names_the_stopped_process_and_its_state_within_five_seconds(group, waiting):
    leader = open_leader(group)
    member = open_member(group)
    member.do("q.wait_for_leader(5)")
    member.do(LOG_TO_STDOUT)
    leader.stop()
    with Clock() as clock:
        member.begin(waiting)
        message = member.expect("log", timeout=8)
    assert message.startswith("groupqueue WARNING")
    assert str(leader.pid) in message
    assert "stopped" in message.lower()
    assert group in message
    assert clock.elapsed < 5.5


@pytest.mark.parametrize("mode", ["dual", "client"])
def test_a_newcomer_opens_at_once_and_waits_for_it(group, mode):
    leader = open_leader(group)
    leader.do("q.put('kept'); q.flush()")
    leader.stop()
    with Clock() as clock:
        newcomer = open_member(group, mode=mode)
        with pytest.raises(Raised, match="Empty"):
            newcomer.do("q.get(timeout=0.3)")
    assert clock.elapsed < 3
    newcomer.begin("q.get(timeout=20)")
    leader.cont()
    assert newcomer.result() == "kept"


def test_nobody_takes_over_however_long_it_stands(directory, group):
    leader = open_leader(group)
    others = [open_member(group) for _ in range(3)]
    leader.stop()
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        assert not any(member.do("q.is_leader") for member in others)
    leader.cont()
    assert others[0].do("q.wait_for_leader(10)")
    others[0].do("q.put('x'); q.flush(timeout=10)")
    assert others[1].do("q.get(timeout=10)") == "x"


@linux_only
def test_a_stopped_leader_that_is_killed_is_replaced(directory, group):
    leader = open_leader(group)
    standby = open_member(group)
    leader.do("q.put('kept'); q.flush()")
    leader.stop()
    standby.begin("q.get(timeout=10)")
    leader.kill()
    assert standby.result() == "kept"
    assert lock_holder(directory, group) == standby.pid


def test_puts_during_the_stop_block_at_a_bound_instead_of_filling_memory(group):
    leader = open_leader(group)
    producer = open_member(group)
    producer.do("q.put('first'); q.flush()")
    leader.stop()
    with pytest.raises(Raised, match="Full"):
        producer.do(
            """
            block = b"x" * (1 << 20)
            accepted = 0
            while accepted < 2000:
                q.put(block, timeout=0.5)
                accepted += 1
            """
        )
    accepted = producer.do("accepted")
    assert 0 <= accepted < 2000
    leader.cont()
    producer.do("q.flush(timeout=20)", timeout=30)
    assert producer.do("q.qsize()") == accepted + 1


def test_a_bounded_put_that_timed_out_meanwhile_has_put_nothing(group):
    leader = open_leader(group, maxsize=5)
    producer = open_member(group)
    producer.do("q.put_many(range(5)); q.flush()")
    leader.stop()
    with Clock() as clock, pytest.raises(Raised, match="Full"):
        producer.do("q.put('never', timeout=0.4)")
    assert clock.elapsed < 1.5
    with pytest.raises(Raised, match="Full"):
        producer.do("q.put_nowait('never')")
    leader.cont()
    assert producer.do("[q.get(timeout=10) for _ in range(5)]") == [0, 1, 2, 3, 4]
    with pytest.raises(Raised, match="Empty"):
        producer.do("q.get(timeout=0.5)")


def test_a_stopped_consumer_keeps_nothing_from_others_but_what_it_has_got(group):
    leader = open_leader(group)
    slow, quick = open_member(group), open_member(group)
    leader.do("q.put_many(range(50)); q.flush()")
    assert slow.do("q.get(timeout=5)") == 0
    quick.begin("[q.get(timeout=10) for _ in range(49)]")
    assert quick.result() == list(range(1, 50))
