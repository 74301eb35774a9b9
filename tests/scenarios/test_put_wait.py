"""Questions and answers."""

from __future__ import annotations

import random
import threading
import time

import pytest

from groupqueue import Empty, ReplyTimeout
from tests.helpers import (
    Clock,
    Raised,
    eventually,
    linux_only,
    lock_holder,
    open_leader,
    open_member,
    run_script,
    scaled,
    within,
)
from tests.scenarios.chaos import WORKERS

ECHO = "while True: q.reply(('echo', q.get()))"


@linux_only
@within(120)
def test_three_hundred_questions_while_leaders_and_responders_are_killed(directory, group):
    options = repr({"max_attempts": 1000})
    responders = {}

    def add_responder():
        script = run_script(WORKERS / "responder.py", group, "dual", options)
        responders[script.pid] = script
        return script

    for script in [add_responder() for _ in range(4)]:
        script.expect("ready")
    count = scaled(100)
    requesters = [run_script(WORKERS / "requester.py", group, "client", f"r{n}", count, options) for n in range(3)]
    for script in requesters:
        script.expect("ready")
    dice = random.Random(1)
    kills = 0
    while any(script.is_alive for script in requesters):
        leader = lock_holder(directory, group)
        victim = leader if leader in responders and dice.random() < 0.5 else dice.choice(sorted(responders))
        responders.pop(victim).kill()
        kills += 1
        newcomer = add_responder()
        if dice.random() < 0.5:
            newcomer.expect("ready")
        time.sleep(dice.random() * 0.03)
    assert kills >= 5
    for script in requesters:
        assert script.expect("wrong") == "0"
        assert script.wait() == 0


def test_the_answer_is_the_consumer_s(group, open_queue):
    open_leader(group, begin=ECHO)
    queue = open_queue(group)
    assert [queue.put_wait(n, timeout=5) for n in range(50)] == [("echo", n) for n in range(50)]


def test_answers_find_the_thread_that_asked(group):
    open_leader(group, begin=ECHO)
    asker = open_member(group)
    asker.do("""
        wrong = []
        def ask(who):
            for n in range(50):
                if q.put_wait((who, n), timeout=20) != ("echo", (who, n)):
                    wrong.append((who, n))
        threads = [threading.Thread(target=ask, args=(who,)) for who in range(8)]
        [t.start() for t in threads]
        [t.join() for t in threads]
    """)
    assert asker.do("wrong") == []


def test_futures(group, open_queue):
    responder = open_leader(group)
    queue = open_queue(group)
    futures = [queue.put_future(n) for n in range(10)]
    assert not any(future.done() for future in futures)
    responder.begin("for _ in range(10): q.reply(q.get() * 2)\nq.task_done()")
    assert [future.result(timeout=5) for future in futures] == [n * 2 for n in range(10)]


def test_no_answer_is_none(group):
    responder = open_leader(group)
    for finish in ("q.put('x'); q.get(timeout=5)", "q.task_done()"):
        asker = open_member(group, begin="q.put_wait('question', timeout=10)")
        assert responder.do("q.get(timeout=5)") == "question"
        responder.do(finish)
        assert asker.result() is None
    asker = open_member(group, begin="q.put_wait('question', timeout=10)")
    assert responder.do("q.get(timeout=5)") == "question"
    responder.do("q.close()")
    assert asker.result() is None


def test_the_consumer_s_exception_is_raised_where_the_question_was_asked(group):
    responder = open_leader(group)
    asker = open_member(group, begin="q.put_wait('question', timeout=10)")
    responder.do("q.get_message(timeout=5).fail(LookupError('no such thing'))")
    with pytest.raises(Raised, match=r"^LookupError/.*no such thing"):
        asker.result()


def test_leaving_a_message_by_an_exception_fails_it(group):
    responder = open_leader(group)
    asker = open_member(group, begin="q.put_wait('question', timeout=10)")
    with pytest.raises(Raised, match="KeyError"):
        responder.do("with q.get_message(timeout=5) as m:\n    raise KeyError(m.obj)")
    with pytest.raises(Raised, match=r"^KeyError/.*question"):
        asker.result()


def test_the_consumer_s_exception_tells_where_it_was_raised(group):
    responder = open_leader(group)
    asker = open_member(group)
    asker.begin("""
        try:
            q.put_wait("question", timeout=10)
        except KeyError as error:
            caught = error
    """)
    responder.do("""
        def work(obj):
            raise KeyError(obj)
        try:
            with q.get_message(timeout=5) as message:
                work(message.obj)
        except KeyError:
            pass
    """)
    asker.result()
    assert asker.do("type(caught.__cause__).__name__") == "RemoteError"
    assert asker.do("(caught.__cause__.type_name, caught.__cause__.text)") == ("builtins.KeyError", "'question'")
    assert "in work" in asker.do("caught.__cause__.traceback")
    assert "in work" in asker.do("''.join(__import__('traceback').format_exception(caught))")


def test_an_exception_that_was_never_raised_has_no_cause(group):
    responder = open_leader(group)
    asker = open_member(group)
    asker.begin("""
        try:
            q.put_wait("question", timeout=10)
        except LookupError as error:
            caught = error
    """)
    responder.do("q.get_message(timeout=5).fail(LookupError('no such thing'))")
    asker.result()
    assert asker.do("caught.__cause__ is None")


def test_an_exception_that_cannot_travel_arrives_as_its_description(group):
    responder = open_leader(group)
    asker = open_member(group)
    asker.begin("""
        try:
            q.put_wait("question", timeout=10)
        except RemoteError as exc:
            caught = exc
    """)
    responder.do("""
        class Odd(Exception):
            def __init__(self, text):
                super().__init__(text)
                self.lock = threading.Lock()
        message = q.get_message(timeout=5)
        try:
            raise Odd("locked up")
        except Odd as exc:
            message.fail(exc)
    """)
    asker.result()
    assert asker.do("caught.type_name").endswith("Odd")
    assert asker.do("caught.text") == "locked up"
    assert "raise Odd" in asker.do("caught.traceback") or "Odd" in asker.do("caught.traceback")
    assert asker.do("'locked up' in str(caught)")


def test_a_reply_that_cannot_travel_raises_where_it_was_given(group):
    responder = open_leader(group)
    asker = open_member(group, begin="q.put_wait('question', timeout=10)")
    responder.do("m = q.get_message(timeout=5)")
    with pytest.raises(Raised, match="PicklingError"):
        responder.do("m.reply(threading.Lock())")
    responder.do("m.reply('second try')")
    assert asker.result() == "second try"


@pytest.mark.parametrize("kind", ["GroupQueue", "JoinableGroupQueue"])
def test_a_reply_to_what_nobody_asked_is_no_error_however_many_came_at_once(group, open_queue, kind):
    leader = open_leader(group)
    queue = open_queue(group, kind=kind, mode="client")
    with pytest.raises(ValueError, match="this thread last got"):
        queue.reply("nothing got")
    leader.do("q.put_many(range(300)); q.flush()")
    failed = []

    def work():
        try:
            for _ in range(100):
                queue.reply(("nobody asked", queue.get(timeout=5)))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_plain_item_after_a_question_may_be_replied_to(group, open_queue):
    leader = open_leader(group, begin="[q.put_wait(n, timeout=20) for n in range(20)]")
    queue = open_queue(group, mode="client")
    other = open_member(group, mode="client", begin="q.put_many(range(100)); q.flush()")
    for _ in range(120):
        queue.reply(("answer", queue.get(timeout=5)))
    assert leader.result() == [("answer", n) for n in range(20)]
    assert other.result() is None
    other.do("q.put('plain')")
    assert queue.get(timeout=5) == "plain"
    queue.reply("nobody asked")
    asker = open_member(group, mode="client", begin="q.put_wait('question', timeout=10)")
    assert queue.get(timeout=5) == "question"
    queue.reply("answer")
    with pytest.raises(ValueError, match="this thread last got"):
        queue.reply("twice")
    assert asker.result() == "answer"


def test_a_timeout_withdraws_the_item(group, open_queue):
    open_leader(group)
    queue, other = open_queue(group), open_queue(group)
    with Clock() as clock, pytest.raises(ReplyTimeout) as caught:
        queue.put_wait("question", timeout=0.3)
    assert isinstance(caught.value, TimeoutError)
    assert 0.25 < clock.elapsed < 1.5
    assert queue.qsize() == 0
    with pytest.raises(Empty):
        other.get(timeout=0.3)


def test_a_timeout_withdraws_it_also_when_nobody_leads(group, open_queue):
    queue = open_queue(group, mode="client")
    with Clock() as clock, pytest.raises(ReplyTimeout):
        queue.put_wait("question", timeout=0.3)
    assert clock.elapsed < 1.5
    leader = open_leader(group)
    assert queue.wait_for_leader(5)
    with pytest.raises(Raised, match="Empty"):
        leader.do("q.get(timeout=0.5)")


def test_a_timeout_leaves_an_item_that_a_consumer_has_got(group):
    responder = open_leader(group)
    asker = open_member(group, begin="q.put_wait('question', timeout=0.5)")
    assert responder.do("q.get(timeout=5)") == "question"
    with pytest.raises(Raised, match="ReplyTimeout"):
        asker.result()
    responder.do("q.reply('too late')")
    responder.do("q.task_done()")
    eventually(lambda: responder.do("q.stats().in_flight") == 0)
    assert responder.do("q.failed()") == []


def test_answering_the_dead_is_no_error(group):
    responder = open_leader(group)
    asker = open_member(group, begin="q.put_wait('question')")
    assert responder.do("q.get(timeout=5)") == "question"
    asker.kill()
    responder.do("q.reply('answer')")
    responder.do("q.put('on it goes'); q.flush()")
    assert responder.do("q.get(timeout=5)") == "on it goes"


def test_a_requeued_message_comes_again(group):
    responder = open_leader(group)
    asker = open_member(group, begin="q.put_wait('question', timeout=10)")
    responder.do("q.get_message(timeout=5).requeue()")
    responder.do("m = q.get_message(timeout=5)")
    assert responder.do("m.obj") == "question"
    responder.do("m.reply('answer')")
    assert asker.result() == "answer"


def test_a_message_may_be_answered_from_another_thread(group):
    responder = open_leader(group)
    asker = open_member(group, begin="q.put_wait('question', timeout=10)")
    responder.do("""
        m = q.get_message(timeout=5)
        t = threading.Thread(target=m.reply, args=("from a thread",))
        t.start()
        t.join()
    """)
    assert asker.result() == "from a thread"


def test_the_answer_comes_once_though_the_leader_dies_when_it_is_given(group):
    for _ in range(scaled(5)):
        leader = open_leader(group)
        standby = open_member(group)
        responder = open_member(group, mode="client")
        asker = open_member(group, mode="client", begin="[q.put_wait(n, timeout=20) for n in range(200)]")
        responder.begin("for _ in range(200): q.reply(('echo', q.get()))\nq.task_done()")
        time.sleep(random.random() * 0.02)
        leader.kill()
        assert asker.result() == [("echo", n) for n in range(200)]
        for member in (standby, responder, asker):
            member.kill()
