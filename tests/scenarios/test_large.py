"""Large items, whose bodies their producers write to the journal themselves: in order, once, whoever dies."""

from __future__ import annotations

import os
import signal

import pytest

from tests.helpers import disk_usage, eventually, linux_only, open_leader, open_member

MIB = 1 << 20

COUNT_PLACED = """
    from groupqueue import follower
    from groupqueue.system import loans
    # However busy the machine is.
    follower.AWAITED = 5.0
    placed = []
    place = loans.Loans.place
    def counted(self, items):
        found = place(self, items)
        if found is not None:
            placed.append(found)
        return found
    loans.Loans.place = counted
"""


def producer_of(group, mode="client"):
    member = open_member(group, mode=mode)
    member.do(COUNT_PLACED)
    return member


def put_numbered(member, count, size=200_000, start=0):
    """Items that tell their number, and whose bytes do too."""
    member.do(
        f"for n in range({start}, {start + count}): q.put((n, bytes([n % 256]) * {size}))\nq.flush(20)", timeout=40
    )


def get_numbers(member, count, timeout=20):
    """The numbers of so many items, each of which has the right bytes."""
    member.do(
        f"""
        found = []
        for _ in range({count}):
            n, body = q.get(timeout={timeout})
            assert body == bytes([n % 256]) * len(body), n
            found.append(n)
        """,
        timeout=60,
    )
    return member.do("found")


@pytest.mark.parametrize("size", [70_000, 1_100_000, 9_000_000])
def test_they_come_out_once_and_in_order(group, size):
    open_leader(group)
    producer, consumer = producer_of(group), open_member(group, mode="client")
    put_numbered(producer, 30, size)
    assert (producer.do("len(placed)") > 20) == (size < 8 * MIB)
    assert get_numbers(consumer, 30) == list(range(30))
    assert consumer.do("q.qsize()") == 0


def test_among_small_ones_they_keep_their_order(group):
    leader, producer = open_leader(group), producer_of(group)
    producer.do("for n in range(300): q.put((n, bytes([n % 256]) * (150_000 if n % 7 == 0 else 10)))\nq.flush(20)")
    assert producer.do("len(placed)") > 3
    assert get_numbers(leader, 300) == list(range(300))


def test_they_outlive_leaders(group):
    """Put while one leader after the other dies, and got from those who come after."""
    leaders = [open_leader(group)]
    producer = producer_of(group)
    put_numbered(producer, 20)
    for turn in range(1, 6):
        leaders.append(open_member(group))
        producer.begin(
            f"for n in range({20 * turn}, {20 * turn + 20}): q.put((n, bytes([n % 256]) * 200_000))\nq.flush(20)"
        )
        leaders[-2].kill()
        producer.result(timeout=40)
    assert producer.do("len(placed)") > 20
    assert get_numbers(leaders[-1], 120) == list(range(120))


def test_they_outlive_everybody(group):
    leader, producer = open_leader(group), producer_of(group)
    put_numbered(producer, 40)
    assert producer.do("len(placed)") > 30
    producer.kill()
    leader.kill()
    assert get_numbers(open_member(group), 40) == list(range(40))


def test_what_a_killed_producer_had_flushed_is_there(group):
    leader, producer = open_leader(group), producer_of(group)
    put_numbered(producer, 10)
    producer.begin("n = 10\nwhile True:\n    q.put((n, bytes([n % 256]) * 200_000)); n += 1")
    eventually(lambda: leader.do("q.qsize()") > 30)
    producer.kill()
    leader.do("import time; time.sleep(0.1)")
    count = leader.do("q.qsize()")
    assert get_numbers(leader, count) == list(range(count))


def test_a_message_that_its_consumer_held_comes_again_whole(group):
    open_leader(group)
    producer = producer_of(group)
    put_numbered(producer, 6)
    first = open_member(group, mode="client")
    first.do("held = [q.get_message(timeout=5) for _ in range(6)]; None")
    first.kill()
    assert sorted(get_numbers(open_member(group, mode="client"), 6)) == list(range(6))


def test_a_question_may_be_large(group):
    leader, producer = open_leader(group), producer_of(group)
    put_numbered(producer, 3)
    get_numbers(leader, 3)
    leader.begin("for _ in range(5): q.reply(len(q.get(timeout=20)))")
    assert producer.do("[q.put_wait(bytes(300_000 + n), timeout=20) for n in range(5)]") == [
        300_000 + n for n in range(5)
    ]
    assert producer.do("len(placed)") > 3
    leader.result()


def test_a_bounded_group_holds_no_more_than_it_may(group):
    leader = open_leader(group, maxsize=4)
    producer = producer_of(group)
    producer.begin("for n in range(30): q.put((n, bytes([n % 256]) * 200_000))\nq.flush(20)")
    eventually(lambda: leader.do("q.qsize()") == 4)
    assert get_numbers(leader, 30) == list(range(30))
    producer.result(timeout=20)


def test_what_is_durable_does_not_go_that_way(group):
    leader = open_leader(group)
    producer = open_member(group, mode="client", durable=True)
    producer.do(COUNT_PLACED)
    put_numbered(producer, 5)
    assert producer.do("len(placed)") == 0
    assert get_numbers(leader, 5) == list(range(5))


def test_a_forked_child_has_loans_of_its_own(group):
    leader, producer = open_leader(group), producer_of(group)
    put_numbered(producer, 5)
    producer.do(
        """
        child = os.fork()
        if not child:
            try:
                for n in range(100, 120):
                    q.put((n, bytes([n % 256]) * 200_000))
                q.flush(20)
                os._exit(0)
            finally:
                os._exit(1)
        for n in range(5, 25):
            q.put((n, bytes([n % 256]) * 200_000))
        q.flush(20)
        assert os.waitpid(child, 0)[1] == 0
        """,
        timeout=60,
    )
    found = get_numbers(leader, 45)
    assert [n for n in found if n < 100] == list(range(25))
    assert [n for n in found if n >= 100] == list(range(100, 120))


def test_loans_are_given_back_when_nothing_large_is_put(directory, group):
    leader, producer = open_leader(group), producer_of(group)
    put_numbered(producer, 20)
    assert disk_usage(directory) > 2 * MIB
    get_numbers(leader, 20)
    eventually(lambda: disk_usage(directory) < 2 * MIB, what="what was lent to be given back")
    put_numbered(producer, 5)
    assert get_numbers(leader, 5) == list(range(5))


@linux_only
def test_with_the_leader_stopped_puts_wait_and_go_on(group):
    leader, producer = open_leader(group), producer_of(group)
    put_numbered(producer, 5)
    os.kill(leader.pid, signal.SIGSTOP)
    producer.begin("for n in range(5, 40): q.put((n, bytes([n % 256]) * 200_000))\nq.flush(30)")
    os.kill(leader.pid, signal.SIGCONT)
    producer.result(timeout=40)
    assert get_numbers(leader, 40) == list(range(40))


@linux_only
def test_without_a_descriptor_or_a_file_that_may_grow_they_go_through_the_socket(group):
    leader, producer = open_leader(group), producer_of(group)
    producer.do(
        """
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        """
    )
    put_numbered(producer, 10)
    assert producer.do("len(placed)") == 0
    producer.do(
        """
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        used = max(int(name) for name in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (used, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        """
    )
    put_numbered(producer, 10, start=10)
    assert get_numbers(leader, 20) == list(range(20))


def test_threads_of_one_producer_share_its_loans(group):
    leader, producer = open_leader(group), producer_of(group)
    producer.do(
        """
        import threading
        def work(k):
            for n in range(k * 50, k * 50 + 50):
                q.put((n, bytes([n % 256]) * 100_000))
        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        q.flush(30)
        """,
        timeout=60,
    )
    assert producer.do("len(placed)") > 20
    found = get_numbers(leader, 200)
    for k in range(4):
        assert [n for n in found if n // 50 == k] == list(range(k * 50, k * 50 + 50))


@linux_only
def test_a_backlog_does_not_take_all_descriptors(group):
    """Of whoever leads, and of whoever leads next."""
    limit = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    """
    leader, producer = open_leader(group), producer_of(group)
    leader.do(limit)
    put_numbered(producer, 300, 500_000)
    assert leader.do("(q.is_leader, q.stats().epoch)") == (True, 1)
    leader.kill()
    heir = open_member(group, begin=limit)
    heir.result()
    assert get_numbers(heir, 300) == list(range(300))


def test_a_put_does_not_wait_for_a_decoder(group):
    """Which puts something itself, in another thread."""
    leader, member = open_leader(group), producer_of(group)
    member.do(
        """
        import builtins, threading
        # Not among the globals, which would travel with the function.
        builtins.inside, builtins.go_on, builtins.again = threading.Event(), threading.Event(), q
        class Slow:
            def __reduce__(self):
                return slow, ()
        def slow():
            inside.set()
            go_on.wait(20)
            again.put(("decoder", bytes(200_000)))
            return "slow"
        q.put(Slow())
        q.flush()
        getter = threading.Thread(target=q.get)
        getter.start()
        assert inside.wait(10)
        """
    )
    leader.do("waiting = [q.put(n) for n in range(5)]; q.flush()")
    member.do("for n in range(40): q.put(('main', bytes(200_000)), timeout=5)")
    member.do("go_on.set(); getter.join(10); assert not getter.is_alive()", timeout=30)
    member.do("q.flush(10)")
    assert leader.do("q.qsize()") == 46
