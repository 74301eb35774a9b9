"""Signals, destructors and log handlers that come in the middle of a put."""

from __future__ import annotations

import signal
import time

import pytest

from groupqueue.core.inbox import ATTENTION
from tests.helpers import eventually, open_leader, open_member, run_script, scaled


def test_puts_from_a_signal_handler_in_the_middle_of_other_puts(group):
    leader = open_leader(group)
    member = open_member(group)
    member.do(
        """
        import itertools
        numbers = itertools.count()
        def handler(*_):
            q.put(("signal", next(numbers)))
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        for n in range(20_000):
            q.put(("main", n))
        signal.setitimer(signal.ITIMER_REAL, 0)
        q.flush()
        """,
        timeout=40,
    )
    fired = member.do("next(numbers)")
    assert fired > 10
    leader.do(f"got = [q.get(timeout=5) for _ in range(20_000 + {fired})]", timeout=40)
    assert leader.do("[n for who, n in got if who == 'main'] == list(range(20_000))")
    # A handler may itself be interrupted by the next signal, so these are not in order.
    assert leader.do("sorted(n for who, n in got if who == 'signal')") == list(range(fired))
    assert leader.do("q.qsize()") == 0


@pytest.mark.parametrize("role", ["leader", "follower"])
def test_puts_from_a_destructor_in_the_middle_of_other_puts(group, role):
    first = open_leader(group)
    second = open_member(group)
    member, other = (first, second) if role == "leader" else (second, first)
    member.do(
        """
        class Loud:
            def __init__(self, n):
                self.n, self.me = n, self
            def __del__(self):
                q.put(("del", self.n))
        gc.set_threshold(50)
        for n in range(5000):
            Loud(n)
            q.put(("main", [n]))
        gc.collect()
        q.flush()
        """,
        timeout=40,
    )
    other.do("got = [q.get(timeout=5) for _ in range(10_000)]", timeout=40)
    assert other.do("[n[0] for who, n in got if who == 'main'] == list(range(5000))")
    assert other.do("sorted(n for who, n in got if who == 'del') == list(range(5000))")


def test_a_destructor_at_the_end_of_the_interpreter_neither_hangs_nor_crashes(group):
    script = run_script(
        """
        # puts from a destructor at exit
        import sys
        from groupqueue import GroupQueue
        class Loud:
            def __del__(self):
                try:
                    q.put("last words")
                except Exception:
                    pass
        q = GroupQueue(sys.argv[1])
        q.put("first words")
        loud = Loud()
        loud.me = loud
        """,
        group,
    )
    assert script.wait() == 0
    assert open_member(group).do("q.get(timeout=5)") == "first words"


def test_a_log_handler_that_puts_into_the_queue_it_logs_about(group):
    leader = open_leader(group)
    heir = open_member(group)
    member = open_member(group, mode="client")
    member.do("""
        import logging
        class IntoTheQueue(logging.Handler):
            def emit(self, record):
                q.put(record.getMessage())
        logging.getLogger().addHandler(IntoTheQueue())
        logging.getLogger().setLevel(logging.DEBUG)
    """)
    member.begin("[(q.put(n), time.sleep(0.001)) for n in range(200)]; q.flush()")
    leader.kill()
    member.result()
    member.do("items = []\nwhile not items or q.qsize(): items.append(q.get(timeout=5))")
    assert member.do("[item for item in items if isinstance(item, int)]") == list(range(200))
    assert heir.do("q.is_leader")


# SIGINT raises where the script allows it: at most once in each call.
ALLOW_INTERRUPTS = """
    # works while it is interrupted
    import os, signal, sys
    from groupqueue import Empty, GroupQueue
    allowed = False
    interrupts = 0
    def on_interrupt(*_):
        global allowed, interrupts
        if allowed:
            allowed = False
            interrupts += 1
            raise KeyboardInterrupt
    signal.signal(signal.SIGINT, on_interrupt)
    q = GroupQueue(sys.argv[1])
    q.wait_for_leader()
    say("ready")
"""

GET_UNDER_INTERRUPTS = (
    ALLOW_INTERRUPTS
    + """
    item = None
    while item != "end":
        item = None
        try:
            allowed = True
            item = q.get()
            allowed = False
        except KeyboardInterrupt:
            pass
        if item is not None:
            say("got", item)
    say("interrupts", interrupts)
"""
)

PUT_UNDER_INTERRUPTS = (
    ALLOW_INTERRUPTS
    + """
    n = 0
    while interrupts < 30:
        try:
            allowed = True
            q.put(n)
            allowed = False
            n += 1
        except KeyboardInterrupt:
            n += 1000
    q.flush()
    say("upto", n)
    hear()
"""
)

LEAD_UNDER_INTERRUPTS = (
    ALLOW_INTERRUPTS
    + """
    while interrupts < 30:
        try:
            allowed = True
            q.get_message(timeout=0.02).requeue()
            allowed = False
        except (Empty, KeyboardInterrupt):
            pass
    say("over")
    hear()
"""
)


def interrupt_until(script, word):
    """Sends SIGINT, again and again, until the script says the word; it is left alone after 300. Returns the rest."""
    for _ in range(300):
        if not script.is_alive or any(line.startswith(word) for line in script.lines):
            break
        script.signal(signal.SIGINT)
        time.sleep(0.005)
    return script.expect(word)


def test_interrupts_of_a_consumer_lose_at_most_the_item_in_hand(group):
    """Python may deliver the interrupt between the return of `get` and the assignment; that item is its own loss."""
    count = scaled(2000)
    leader = open_leader(group)
    consumer = run_script(GET_UNDER_INTERRUPTS, group)
    consumer.expect("ready")
    leader.begin(f"for n in range({count}): q.put(n); time.sleep(0.0002)\nfor _ in range(100): q.put('end')\nq.flush()")
    interrupts = int(interrupt_until(consumer, "interrupts"))
    got = [int(line[4:]) for line in consumer.lines if line.startswith("got") and line[4:].isdigit()]
    assert len(got) == len(set(got))
    assert got == sorted(got)
    assert count - interrupts <= len(got) <= count
    leader.result()


def test_interrupts_of_a_producer_lose_nothing_that_put_returned_from(group):
    script = run_script(PUT_UNDER_INTERRUPTS, group)
    other = open_member(group)
    script.expect("ready")
    upto = int(interrupt_until(script, "upto"))
    other.do("got = []\nwhile q.qsize(): got.append(q.get(timeout=5))", timeout=40)
    assert other.do("len(got) == len(set(got))")
    assert other.do("got == sorted(got)")
    # Runs without a gap, each ended by an interrupt that skipped a thousand numbers, with or without the item in hand.
    assert other.do("[(a, b) for a, b in zip(got, got[1:]) if (b - a) % 1000 > 1]") == []
    assert other.do("got[-1]") <= upto


def test_an_interrupted_leader_serves_on(group):
    script = run_script(LEAD_UNDER_INTERRUPTS, group)
    script.expect("ready")
    member = open_member(group, mode="client")
    member.begin("for n in range(1000):\n    q.put(n); q.flush()")
    interrupt_until(script, "over")
    member.result(timeout=30)
    assert sorted(member.do("[q.get(timeout=10) for _ in range(1000)]", timeout=40)) == list(range(1000))


def test_a_get_is_not_cut_short_by_a_signal_that_has_a_handler(group):
    leader = open_leader(group)
    member = open_member(group)
    member.do("hits = []; signal.signal(signal.SIGUSR2, lambda *_: hits.append(1))")
    member.begin("q.get(timeout=10)")
    eventually(lambda: leader.do("q.stats().waiting_getters") == 1)
    for _ in range(5):
        member.signal(signal.SIGUSR2)
        time.sleep(0.01)
    leader.do("q.put('at last')")
    assert member.result() == "at last"
    assert member.do("len(hits)") >= 1


def test_a_get_that_is_interrupted_while_it_tells_the_leader_leaves_the_item_to_the_next(open_queue, monkeypatch):
    """A bounded group's leader asks for the cursor with the next get, and in that step signals are handled."""
    q = open_queue("jobs")
    member = q._member

    def interrupted():
        member.inbox.words[ATTENTION] = 0
        raise KeyboardInterrupt

    q.put_many(range(6))
    q.flush()
    monkeypatch.setattr(member, "answer_attention", interrupted)
    got = []
    interrupts = 0
    while len(got) < 6:
        member.inbox.words[ATTENTION] = 1
        try:
            got.append(q.get(timeout=5))
        except KeyboardInterrupt:
            interrupts += 1
            got.append(q.get(timeout=5))
    assert got == list(range(6))
    assert interrupts >= 5
    assert q.qsize() == 0


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "TimeoutError", "OSError", "ValueError", "TypeError"])
def test_whatever_a_handler_raises_ends_a_wait_and_no_other(group, kind):
    """An alarm that raises TimeoutError, say. A poll may raise some of these itself, when it is closed beneath us."""
    member = open_leader(group)
    member.do(
        f"""
        def handler(*_):
            raise {kind}("of the program's own")
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            q.get(timeout=20)
        except BaseException as error:
            caught = error
        """
    )
    assert member.do("(type(caught).__name__, str(caught))") == (kind, "of the program's own")
    member.do("q.put(1)")
    assert member.do("q.get(timeout=5)") == 1


# The handler raises within the call, wherever in it that is: at most once in each.
RAISE_WITHIN_CALLS = """
    import random
    class Interrupted(Exception):
        pass
    def handler(*_):
        global allowed, interrupts
        if allowed:
            allowed = False
            interrupts += 1
            raise Interrupted
    signal.signal(signal.SIGALRM, handler)
    allowed, interrupts, caught, dice = False, 0, 0, random.Random(1)
    def interruptible(call):
        global allowed, caught
        try:
            allowed = True
            value = call()
            allowed = False
            return value
        except Interrupted:
            caught += 1
            return None
        except (Full, Empty):
            return None
        finally:
            allowed = False
    signal.setitimer(signal.ITIMER_REAL, 0.0007, 0.0023)
"""


def test_a_handler_that_raises_within_put_wait_leaves_everybody_with_its_own_reply(group):
    leader = open_leader(group)
    leader.begin("seen = []\nwhile (n := q.get()) is not None: seen.append(n); q.reply(-n)")
    caller = open_member(group)
    caller.do(RAISE_WITHIN_CALLS)
    caller.do(
        """
        replies, n = {}, 0
        while interrupts < 60 or n == interrupts:
            n += 1
            replies[n] = interruptible(lambda: q.put_wait(n, timeout=20))
        signal.setitimer(signal.ITIMER_REAL, 0)
        """,
        timeout=40,
    )
    assert caller.do("{n for n, reply in replies.items() if reply not in (-n, None)}") == set()
    assert caller.do("(sum(reply is None for reply in replies.values()), caught) == (interrupts, interrupts)")
    assert caller.do("q.put_wait(1_000_000, timeout=10)") == -1_000_000
    caller.do("q.put(None)")
    leader.result()
    assert leader.do("len(seen) == len(set(seen)) and seen == sorted(seen)")
    assert set(caller.do("[n for n, reply in replies.items() if reply is not None]")) <= set(leader.do("seen"))
    assert leader.do("(q.qsize(), q.stats().in_flight)") == (0, 0)


def test_a_handler_that_raises_within_a_bounded_put_or_get_loses_no_room(group):
    leader = open_leader(group, maxsize=3)
    other, member = open_member(group), open_member(group)
    other.begin("got = []\nwhile (item := q.get()) != 'end': got.append(item); time.sleep(0.0005)")
    member.do(RAISE_WITHIN_CALLS)
    member.do(
        """
        n, returned = 0, []
        def put():
            q.put(n)
            returned.append(n)
        while interrupts < 60:
            n += 1
            interruptible(put)
        while interrupts < 90:
            interruptible(lambda: q.get_nowait() if q.full() else q.put(0, timeout=0.01))
        signal.setitimer(signal.ITIMER_REAL, 0)
        q.put("end")
        q.flush()
        """,
        timeout=40,
    )
    other.result()
    got = [n for n in other.do("got") if n]
    assert got == sorted(set(got))
    member.do("while not q.empty(): q.get(timeout=5)")
    eventually(lambda: leader.do("(q.qsize(), q.stats().in_flight, q.stats().waiting_putters)") == (0, 0, 0))
    other.do("[q.put(n, timeout=5) for n in range(3)]; q.flush()")
    assert other.do("q.full()")
    assert member.do("[q.get(timeout=5) for _ in range(3)]") == [0, 1, 2]


def test_a_handler_that_raises_while_an_item_is_decoded_fails_no_item(group):
    member = open_leader(group)
    member.do(
        """
        import functools
        class Interrupted(Exception):
            pass
        def handler(number, *_):
            raise Interrupted
        class Alarm:
            def ring(self, *_):
                raise Interrupted
            def __call__(self, *_):
                raise Interrupted
        class Inherited(Alarm):
            pass
        def interrupted():
            os.kill(os.getpid(), signal.SIGUSR2)
            time.sleep(5)
        class Slow:
            def __reduce__(self):
                return interrupted, ()
        def attempt(call):
            try:
                call()
            except Interrupted:
                return True
        q.put(Slow()); q.flush()
        found = []
        for chosen in (handler, Alarm().ring, Alarm(), Inherited(), functools.partial(handler)):
            signal.signal(signal.SIGUSR2, chosen)
            found += [attempt(q.get), attempt(q.get_message), attempt(lambda: q.get_many(5))]
        """,
        timeout=40,
    )
    assert member.do("found") == [True] * 15
    assert member.do("(q.failed(), q.stats().failed, q.qsize())") == ([], 0, 1)
