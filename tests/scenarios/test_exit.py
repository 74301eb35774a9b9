"""However a producer ends short of being killed, what it has put is there."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from groupqueue import Empty
from tests.helpers import Clock, eventually, open_leader, open_member, run_script

PUT = """
    # puts and ends
    import atexit, os, sys, threading, multiprocessing
    from groupqueue import GroupQueue
    q = GroupQueue(sys.argv[1], mode=sys.argv[2])
"""

ENDINGS = {
    "the end of the script": ("[q.put(n) for n in range(1000)]", 0),
    "close": ("[q.put(n) for n in range(1000)]; q.close(); q.join_thread()", 0),
    "sys.exit": ("[q.put(n) for n in range(1000)]; sys.exit(3)", 3),
    "an exception": ("[q.put(n) for n in range(1000)]; raise RuntimeError('on purpose')", 1),
    "the queue gone before": ("[q.put(n) for n in range(1000)]; del q", 0),
    "an interrupt": ("[q.put(n) for n in range(1000)]; raise KeyboardInterrupt", None),
    "an atexit handler registered before the first put": (
        "atexit.register(lambda: [q.put(n) for n in range(1000)])",
        0,
    ),
    "a thread that outlives the main one": (
        "threading.Thread(target=lambda: [q.put(n) for n in range(1000)]).start()",
        0,
    ),
}


@pytest.mark.parametrize("mode", ["dual", "client"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_everything_put_before_the_end_is_there(group, ending, mode):
    code, status = ENDINGS[ending]
    heir = open_leader(group) if mode == "client" else None
    script = run_script(PUT + "    " + code + "\n", group, mode)
    ended = script.wait()
    if status is not None:
        assert ended == status, script.stderr
    if status == 0:
        assert script.stderr == ""
    heir = heir or open_member(group)
    assert heir.do("[q.get(timeout=5) for _ in range(1000)]") == list(range(1000))


def test_an_atexit_handler_registered_before_the_import_can_put(group):
    script = run_script(
        """
        # registers, then imports
        import atexit, sys
        atexit.register(lambda: q.put("last words"))
        from groupqueue import GroupQueue
        q = GroupQueue(sys.argv[1])
        q.put("first words")
        """,
        group,
    )
    assert script.wait() == 0
    assert script.stderr == ""
    heir = open_member(group)
    assert heir.do("[q.get(timeout=5), q.get(timeout=5)]") == ["first words", "last words"]


def test_the_first_use_may_be_an_atexit_handler(group):
    """Some Pythons refuse new threads by then."""
    script = run_script(
        """
        # opens at exit
        import atexit, sys
        from groupqueue import GroupQueue
        def last():
            GroupQueue(sys.argv[1]).put("last words")
        atexit.register(last)
        """,
        group,
    )
    assert script.wait() == 0
    assert open_member(group).do("q.get(timeout=5)") == "last words"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_child_leaves_nothing_behind_unsent(group, method):
    script = run_script(
        """
        # starts children
        import multiprocessing, sys
        from groupqueue import GroupQueue

        def put(q, who):
            for n in range(200):
                q.put((who, n))

        if __name__ == "__main__":
            context = multiprocessing.get_context(sys.argv[2])
            q = GroupQueue(sys.argv[1])
            children = [context.Process(target=put, args=(q, who)) for who in range(3)]
            [child.start() for child in children]
            [child.join() for child in children]
            say("codes", [child.exitcode for child in children])
            say("items", len([q.get(timeout=5) for _ in range(600)]))
        """,
        group,
        method,
    )
    assert script.expect("codes") == "[0, 0, 0]"
    assert script.expect("items") == "600"
    assert script.wait() == 0
    assert script.stderr == ""


def test_joining_a_producer_before_draining_never_hangs(group):
    """`multiprocessing.Queue` deadlocks here: its child waits for a reader of the pipe."""
    script = run_script(
        """
        # joins, then drains
        import multiprocessing, sys
        from groupqueue import GroupQueue

        def put(q):
            for n in range(200):
                q.put(b"x" * 100_000)

        if __name__ == "__main__":
            q = GroupQueue(sys.argv[1])
            child = multiprocessing.get_context("fork").Process(target=put, args=(q,))
            child.start()
            child.join()
            say("joined", child.exitcode)
            say("sum", sum(len(q.get(timeout=5)) for _ in range(200)))
        """,
        group,
    )
    assert script.expect("joined") == "0"
    assert script.expect("sum") == str(200 * 100_000)


def test_linger_ends_the_wait_for_a_leader_that_does_not_come(group):
    for ending in ("", "    q.close(); q.join_thread(); say('closed')\n"):
        script = run_script(
            """
    # lingers
    import sys
    from groupqueue import GroupQueue
    q = GroupQueue(sys.argv[1], mode="client", linger=0.5)
    q.put("nobody will have it")
    say("end")
"""
            + ending,
            group,
        )
        script.expect("end")
        with Clock() as clock:
            assert script.wait() == 0
        assert clock.elapsed < 3


def test_without_linger_it_waits_and_says_for_what(group):
    script = run_script(
        """
        # waits for a leader at exit
        import logging, sys
        from groupqueue import GroupQueue
        logging.basicConfig(stream=sys.stdout, format="log %(name)s %(levelname)s %(message)s")
        q = GroupQueue(sys.argv[1], mode="client")
        [q.put(n) for n in range(17)]
        say("end")
        """,
        group,
    )
    script.expect("end")
    message = script.expect("log")
    while "17" not in message:
        message = script.expect("log", timeout=10)
    assert message.startswith("groupqueue WARNING")
    assert group in message
    assert script.is_alive
    leader = open_leader(group)
    assert script.wait(10) == 0
    assert leader.do("[q.get(timeout=5) for _ in range(17)]") == list(range(17))


def test_cancel_join_thread_ends_at_once(group):
    script = run_script(
        """
        # gives up its items
        import sys
        from groupqueue import GroupQueue
        q = GroupQueue(sys.argv[1], mode="client")
        q.cancel_join_thread()
        q.put("nobody will have it")
        say("end")
        """,
        group,
    )
    script.expect("end")
    with Clock() as clock:
        assert script.wait() == 0
    assert clock.elapsed < 2


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_cancel_join_thread_is_not_passed_on_to_children(group, method):
    script = run_script(
        """
        # cancels, and has children that put
        import multiprocessing, sys
        from groupqueue import GroupQueue

        def put(q):
            for number in range(300):
                q.put((number, "x" * 2000))

        if __name__ == "__main__":
            q = GroupQueue(sys.argv[1])
            q.cancel_join_thread()
            child = multiprocessing.get_context(sys.argv[2]).Process(target=put, args=(q,))
            child.start()
            child.join()
            say("found", [q.get(timeout=10)[0] for _ in range(300)] == list(range(300)))
        """,
        group,
        method,
    )
    assert script.expect("found") == "True"


def test_the_handle_that_leads_closes_last(group):
    script = run_script(
        """
        # leads, and puts through other handles
        import sys
        from groupqueue import GroupQueue
        leader = GroupQueue(sys.argv[1])
        leader.wait_for_leader()
        producers = [GroupQueue(sys.argv[1], mode="client") for _ in range(8)]
        for producer in producers:
            producer.put(1)
            producer.flush()
        for producer in producers:
            producer.put_many([b"x" * 60000] * 40)
        """,
        group,
    )
    assert script.wait() == 0
    assert open_leader(group).do("q.qsize()") == 8 * 41


def test_a_put_whose_handle_is_closed_in_the_meantime_raises(group, open_queue):
    inside, closed = threading.Event(), threading.Event()

    class Slow:
        def __reduce__(self):
            inside.set()
            assert closed.wait(20)
            return str, ("the item",)

    keeps, closes = open_queue(group), open_queue(group)
    with ThreadPoolExecutor(1) as thread:
        putting = thread.submit(closes.put, Slow())
        assert inside.wait(20)
        closes.close()
        closes.join_thread()
        closed.set()
        with pytest.raises(ValueError, match="closed"):
            putting.result(20)
    assert keeps.qsize() == 0


def test_after_close_every_call_raises_value_error(group, open_queue):
    queue = open_queue(group)
    queue.put(1)
    queue.close()
    queue.close()
    for call in (
        lambda: queue.put(1),
        lambda: queue.put_nowait(1),
        queue.get,
        queue.get_nowait,
        lambda: queue.put_wait(1),
        lambda: queue.put_future(1),
        lambda: queue.put_many([1]),
        lambda: queue.get_many(1),
        queue.get_message,
    ):
        with pytest.raises(ValueError, match="closed"):
            call()
    queue.join_thread()


def test_the_with_statement_closes_and_flushes(group, open_queue):
    other = open_leader(group)
    with open_queue(group) as queue:
        queue.put("inside")
    assert other.do("q.get_nowait()") == "inside"
    with pytest.raises(ValueError, match="closed"):
        queue.put("outside")


def test_a_get_that_waits_in_a_daemon_thread_does_not_hold_up_the_exit(group):
    script = run_script(
        """
        # ends while a thread waits
        import sys, threading
        from groupqueue import GroupQueue
        q = GroupQueue(sys.argv[1])
        threading.Thread(target=q.get, daemon=True).start()
        q.wait_for_leader(5)
        say("end")
        """,
        group,
    )
    script.expect("end")
    assert script.wait(5) == 0


def test_closing_wakes_whoever_waits_in_another_thread(group):
    member = open_leader(group)
    member.do("""
        outcome = []
        def wait():
            try:
                outcome.append(q.get())
            except Exception as exc:
                outcome.append(type(exc).__name__)
        t = threading.Thread(target=wait)
        t.start()
    """)
    eventually(lambda: member.do("q.stats().waiting_getters") == 1)
    member.do("q.close(); t.join(5)")
    assert member.do("(t.is_alive(), outcome)") == (False, ["ValueError"])


def test_an_exit_while_the_group_fails_over_loses_nothing(group, open_queue):
    leader = open_leader(group)
    heir = open_member(group)
    script = run_script(PUT + "    say('ready'); hear()\n    [q.put(n) for n in range(1000)]\n", group, "client")
    script.expect("ready")
    leader.stop()
    script.send("go")
    leader.kill()
    assert script.wait() == 0
    assert heir.do("[q.get(timeout=5) for _ in range(1000)]") == list(range(1000))
    queue = open_queue(group)
    with pytest.raises(Empty):
        queue.get(timeout=0.2)


@pytest.mark.parametrize("name", ["None", "'jobs'"])
def test_a_daemon_thread_that_gets_in_a_loop_ends_with_the_process_and_says_nothing(name):
    script = run_script(
        f"""
        # ends while a thread gets
        import atexit, threading
        # Called after our own handler, and long enough for a complaint.
        atexit.register(lambda: thread.join(0.3))
        from groupqueue import GroupQueue
        q = GroupQueue({name})
        def work():
            while True:
                try:
                    say("got", q.get())
                except Exception as error:
                    say("raised", repr(error))
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        q.put(1)
        hear()
        """,
    )
    script.expect("got")
    script.send("end")
    assert (script.wait(5), script.stderr) == (0, "")
    assert script.lines == ["got 1"]


@pytest.mark.parametrize("late", [0, 0.2])
def test_a_thread_that_an_atexit_handler_ends_gets_what_is_in_a_queue_without_a_name(directory, late):
    """The handler is called after ours, for it was registered before: a logging library's, say."""
    script = run_script(
        """
        # ends its thread at exit
        import atexit, sys, threading
        def end():
            q.put(None)
            thread.join()
            q.close()
            say("ended")
        atexit.register(end)
        from groupqueue import GroupQueue
        q = GroupQueue()
        def write():
            slow.wait(float(sys.argv[1]))
            for text in iter(q.get, None):
                slow.wait(0.001)
                say("text", text)
        slow = threading.Event()
        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        q.put_many(range(100))
        """,
        late,
    )
    assert (script.wait(10), script.stderr) == (0, "")
    assert script.lines == [*(f"text {n}" for n in range(100)), "ended"]
    assert os.listdir(directory) == []
