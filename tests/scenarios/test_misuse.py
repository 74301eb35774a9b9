"""What goes wrong in the program around a queue: it is told, and nothing is lost, doubled or stuck."""

from __future__ import annotations

import json
import os
import pickle
import stat
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from groupqueue import DecodeError, GroupQueue, PicklingError, RemoteError, ShutDown
from groupqueue.core import messages as m
from groupqueue.exceptions import GroupDirectoryError
from groupqueue.face.failures import decode_exception, encode_exception
from groupqueue.leader import Leader
from tests.helpers import eventually, open_leader, open_member, run_script

# Closing while others are at it


def test_put_many_ends_when_its_handle_is_closed(group, open_queue):
    keeps, closes = open_queue(group), open_queue(group)
    put = threading.Event()

    def endless():
        for number in range(1_000_000):
            if number == 10:
                put.set()
                closed.wait(20)
            yield number

    closed = threading.Event()
    with ThreadPoolExecutor(1) as thread:
        putting = thread.submit(closes.put_many, endless())
        assert put.wait(20)
        closes.close()
        closes.join_thread()
        closed.set()
        with pytest.raises(ValueError, match="closed"):
            putting.result(20)
    assert [keeps.get(timeout=10) for _ in range(10)] == list(range(10))
    assert keeps.empty()


class Slow:
    inside, go_on = threading.Event(), threading.Event()

    def __init__(self) -> None:
        self.x = 1

    def __setstate__(self, state: object) -> None:
        self.inside.set()
        assert self.go_on.wait(20)


def test_what_get_many_has_taken_when_its_handle_is_closed_is_returned_and_goes_to_nobody_else(group, open_queue):
    keeps, closes = open_queue(group), open_queue(group)
    assert closes.wait_for_leader(10)
    keeps.put(1)
    keeps.put(Slow())
    keeps.flush()
    Slow.inside.clear()
    Slow.go_on.clear()
    with ThreadPoolExecutor(1) as thread:
        getting = thread.submit(closes.get_many, 10, timeout=10)
        assert Slow.inside.wait(20)
        closes.close()
        Slow.go_on.set()
        found = getting.result(20)
    closes.join_thread()
    assert len(found) + keeps.qsize() == 2


def test_a_future_ends_with_its_handle(group, open_queue):
    open_leader(group)
    queue = open_queue(group, mode="client")
    future = queue.put_future("nobody answers")
    queue.flush()
    queue.close()
    with pytest.raises(ValueError, match="closed"):
        future.result(10)


def test_a_message_cannot_be_ended_once_its_handle_is_closed(group, open_queue):
    keeps, closes = open_queue(group), open_queue(group)
    keeps.put("work")
    message = closes.get_message(timeout=10)
    closes.close()
    closes.join_thread()
    with pytest.raises(ValueError, match="closed"):
        message.done()
    again = keeps.get_message(timeout=10)
    assert (again.obj, again.attempt) == ("work", 2)
    again.done()


# Shutting down


def test_flush_tells_that_what_was_put_is_dropped_with_the_rest(group, open_queue):
    leader = open_leader(group)
    leader.do("q.shutdown(immediate=True)")
    late = open_queue(group, mode="client")
    with pytest.raises(ShutDown):  # noqa: PT012  # whichever of them hears of it first
        late.put("too late")
        late.flush(10)


# Batches


def test_a_question_is_the_last_of_its_batch_and_is_answered_by_reply(group, open_queue):
    responder = open_leader(group)
    first = open_member(group, begin="q.put_wait('first', timeout=20)")
    eventually(lambda: responder.do("q.qsize()") == 1)
    second = open_member(group, begin="q.put_wait('second', timeout=20)")
    eventually(lambda: responder.do("q.qsize()") == 2)
    for number, asker in enumerate((first, second)):
        assert responder.do("q.get_many(10)") == [["first"], ["second"]][number]
        responder.do(f"q.reply({number})")
        assert asker.result() == number


# Serializers


@pytest.mark.parametrize("made", ["a str", ["a list"], None, 3])
def test_a_serializer_that_makes_no_bytes_raises_in_put(group, open_queue, made):
    class Wrong:
        dumps = staticmethod(lambda obj: made)
        loads = staticmethod(lambda data: data)

    queue = open_queue(group, serializer=Wrong())
    with pytest.raises(PicklingError, match="must return bytes"):
        queue.put("x")
    assert queue.qsize() == 0


def test_a_serializer_may_make_any_bytes_and_keep_what_it_is_given(group, open_queue):
    class Raw:
        dumps = staticmethod(bytearray)
        loads = staticmethod(lambda data: data)

    queue = open_queue(group, serializer=Raw())
    kept = []
    for number in range(2000):
        queue.put(bytes([number % 251]) * 1000)
        kept.append(queue.get(timeout=10))
    assert all(data == bytes([number % 251]) * 1000 for number, data in enumerate(kept))


def test_what_is_no_serializer_is_refused(group, open_queue):
    with pytest.raises(TypeError, match="no dumps"):
        open_queue(group, serializer=object())


# Timeouts


def test_a_timeout_that_is_no_number_raises(group, open_queue):
    queue = open_queue(group)
    nan = float("nan")
    calls = (queue.flush, queue.get, queue.wait_for_leader)
    for call in [*(lambda call=call: call(timeout=nan) for call in calls), lambda: queue.put_wait("x", timeout=nan)]:
        with pytest.raises(ValueError, match="nan"):
            call()


def test_an_endless_timeout_is_none(group, open_queue):
    queue = open_queue(group)
    queue.put("x")
    assert queue.get(timeout=float("inf")) == "x"
    assert queue.wait_for_leader(1e300)


# Foreign code that raises


def test_a_log_handler_that_raises_does_not_end_the_leader(group, open_queue):
    leader = open_leader(group)
    assert leader.do("q.wait_for_leader(10)")
    leader.do("""
        import logging
        class Broken(logging.Handler):
            def emit(self, record):
                raise RuntimeError("socket gone")
        logging.getLogger("groupqueue").addHandler(Broken())
        import socket
        s = socket.socket(socket.AF_UNIX)
        s.connect(os.path.join(q.directory, q.name, "socket"))
        s.send(bytes([255]) * 64)
    """)
    eventually(lambda: "socket gone" in leader.stderr)
    queue = open_queue(group, mode="client")
    queue.put("x")
    queue.flush(10)


def test_a_callback_that_exits_does_not_end_the_leader(group, open_queue):
    leader = open_leader(group)
    leader.do("q.put_future('x').add_done_callback(lambda future: sys.exit(3))")
    other = open_queue(group, mode="client")
    assert other.get(timeout=10) == "x"
    other.reply("y")
    other.put("still served")
    other.flush(10)
    assert leader.do("q.get(timeout=10)") == "still served"


# Consumers that their items end


def test_an_item_whose_decoding_ends_its_consumers_is_on_the_failed_list_in_the_end(group):
    leader = open_leader(group)
    leader.do("""
        class Exits:
            def __init__(self):
                self.x = 1
            def __setstate__(self, state):
                import sys
                sys.exit(5)
        q.put(Exits())
        q.put("behind")
        q.flush()
    """)
    for _ in range(3):
        consumer = run_script(
            """
            # gets, and exits
            import sys
            from groupqueue import GroupQueue
            q = GroupQueue(sys.argv[1], mode="client")
            say("got", q.get(timeout=10))
            """,
            group,
        )
        assert consumer.wait() == 5
    eventually(lambda: leader.do("q.stats().failed") == 1)
    assert leader.do("q.get(timeout=10)") == "behind"


def test_an_item_among_many_that_ends_its_consumer_is_blamed_alone_and_takes_nothing_with_it(group):
    leader = open_leader(group, max_attempts=1)
    leader.do("""
        class Kills:
            def __init__(self):
                self.x = 1
            def __setstate__(self, state):
                import os, signal
                os.kill(os.getpid(), signal.SIGKILL)
        q.put_many(["alone", *range(10), Kills(), *range(11, 20)])
        q.flush()
    """)
    consumer = run_script(
        """
        # gets one, and then many
        import sys
        from groupqueue import GroupQueue
        q = GroupQueue(sys.argv[1], mode="client")
        say("got", q.get_many(30, timeout=10))
        """,
        group,
    )
    assert consumer.wait() == -9
    eventually(lambda: leader.do("q.stats().failed") == 1)
    assert leader.do("q.get_many(30, timeout=10)") == [*range(10), *range(11, 20)]


@pytest.mark.parametrize("held_by", ["q.get_message(timeout=10)", "q.get(timeout=10)"])
def test_an_item_whose_consumers_end_by_an_exception_is_on_the_failed_list_in_the_end(group, held_by):
    leader = open_leader(group)
    leader.do("future = q.put_future('work'); q.flush()")
    for _ in range(3):
        consumer = run_script(
            f"""
            # gets, and raises
            import sys
            from groupqueue import GroupQueue
            q = GroupQueue(sys.argv[1], mode="client")
            item = {held_by}
            {{}}["no such key"]
            """,
            group,
        )
        assert consumer.wait() == 1
    eventually(lambda: leader.do("future.done()"))
    assert leader.do("type(future.exception()).__name__") == "ConsumerLost"


def test_a_consumer_that_is_told_to_end_is_not_held_against_its_item(group):
    leader = open_leader(group)
    leader.do("q.put('work'); q.flush()")
    for _ in range(4):
        consumer = run_script(
            """
            # gets, and exits as it was told
            import sys
            from groupqueue import GroupQueue
            q = GroupQueue(sys.argv[1], mode="client")
            message = q.get_message(timeout=10)
            sys.exit(0)
            """,
            group,
        )
        assert consumer.wait() == 0
    assert leader.do("len(q.failed())") == 0
    leader.do("message = q.get_message(timeout=10)")
    assert leader.do("(message.obj, message.attempt)") == ("work", 5)


def test_a_failure_without_a_text_is_a_failure(group, open_queue):
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no text")

    queue = open_queue(group)
    queue.put("work")
    queue.get_message(timeout=10).fail(Mute())
    assert "cannot be had" in queue.failed()[0].reason


# Directories


def test_unlink_removes_groups_only(directory):
    folder = os.path.join(directory, "Mail")
    os.makedirs(os.path.join(folder, "inbox"), mode=0o700)
    os.chmod(folder, 0o700)
    with pytest.raises(GroupDirectoryError, match="no group"):
        GroupQueue.unlink("Mail")
    assert os.path.isdir(os.path.join(folder, "inbox"))


@pytest.mark.parametrize("name", ["members", "journal"])
def test_a_file_in_the_place_of_a_folder_is_named(directory, group, name):
    os.mkdir(os.path.join(directory, group), 0o700)
    with open(os.path.join(directory, group, name), "w"):
        pass
    with pytest.raises(GroupDirectoryError, match=name):
        GroupQueue(group)


def test_a_directory_that_was_removed_comes_back_as_it_was(directory, group, open_queue):
    home = os.path.join(directory, "mine")
    queue = open_queue(group, directory=home)
    assert queue.wait_for_leader(10)
    os.rename(home, home + "-gone")
    eventually(lambda: os.path.isdir(home))
    assert stat.S_IMODE(os.stat(home).st_mode) == 0o700
    other = open_queue(group, directory=home, mode="client")
    queue.put("x")
    assert other.get(timeout=10) == "x"


def test_the_directory_in_the_environment_is_absolute(group, monkeypatch):
    monkeypatch.setenv("GROUPQUEUE_DIR", "here")
    with pytest.raises(ValueError, match="absolute"):
        GroupQueue(group)


# Bounds


def test_the_first_put_into_a_group_of_a_huge_bound_takes_no_longer(group, open_queue):
    queue = open_queue(group, maxsize=2**40)
    queue.put("x")
    assert queue.get(timeout=10) == "x"


def test_whatever_the_umask_the_directory_is_ours_and_usable(directory, group):
    home = os.path.join(directory, "mine")
    script = run_script(
        """
        # has a mask that leaves nothing
        import os, sys
        os.umask(0o777)
        from groupqueue import GroupQueue
        q = GroupQueue(sys.argv[1], directory=sys.argv[2])
        q.put("x")
        say("got", q.get(timeout=10))
        """,
        group,
        home,
    )
    assert script.expect("got") == "x"
    assert stat.S_IMODE(os.stat(home).st_mode) == 0o700


def test_a_group_made_anew_beneath_its_member_keeps_its_bound(directory, group, open_queue):
    queue = open_queue(group, maxsize=3)
    assert queue.wait_for_leader(10)
    folder = os.path.join(directory, group)
    before = os.stat(folder).st_ino
    os.rename(folder, folder + "-gone")
    eventually(lambda: os.path.isdir(folder) and os.stat(folder).st_ino != before)
    assert queue.wait_for_leader(10)
    assert queue.maxsize == 3


def test_a_bound_beyond_all_reason_is_refused(group):
    with pytest.raises(ValueError, match="maxsize"):
        GroupQueue(group, maxsize=10**300)


@pytest.mark.parametrize("text", ['{"pid": 1e400, "epoch": 1}', '{"pid": 12, "epoch": 1e30}', "[" * 5000, "no JSON"])
def test_whatever_stands_in_the_lock_file_somebody_leads(directory, group, text):
    leader = open_leader(group, begin="q.put('kept'); q.flush()")
    leader.result()
    leader.kill()
    for name in ("lock", "group"):
        with open(os.path.join(directory, group, name), "w") as file:
            file.write(text)
    assert open_leader(group).do("q.get(timeout=10)") == "kept"


# Exceptions that cannot travel, or arrive

ONLY_HERE = """
    import types
    module = types.ModuleType("only_here")
    exec("class Odd(Exception): pass", module.__dict__)
    module.Odd.__module__ = "only_here"
    sys.modules["only_here"] = module
"""


def test_an_exception_that_cannot_be_rebuilt_here_is_told(group, open_queue):
    responder = open_leader(group)
    responder.do(ONLY_HERE)
    asker = open_queue(group, mode="client")
    future = asker.put_future("question")
    responder.do("q.get_message(timeout=10).fail(module.Odd('so odd'))")
    with pytest.raises(RemoteError, match="only_here") as caught:
        future.result(10)
    assert caught.value.type_name == "only_here.Odd"
    assert caught.value.text.startswith("so odd (it cannot be rebuilt here: ")


def test_a_reply_that_cannot_be_rebuilt_here_is_told(group, open_queue):
    responder = open_leader(group)
    responder.do(ONLY_HERE)
    asker = open_queue(group, mode="client")
    future = asker.put_future("question")
    responder.do("q.get(timeout=10); q.reply(module.Odd())")
    with pytest.raises(DecodeError, match=f"group '{group}': the reply, .*ModuleNotFoundError") as caught:
        future.result(10)
    assert b"only_here" in caught.value.payload


@pytest.mark.parametrize("body", [b"", b"\xff" * 4, bytes(4), b"\2\0\0\0\xff\xfe", bytes(4) + pickle.dumps(7)])
def test_an_exception_that_is_none_is_told(body):
    error = decode_exception(m.REPLY_EXCEPTION, memoryview(body), pickle.loads)
    assert type(error) is RemoteError


def test_an_exception_whose_traceback_cannot_be_told_is_told_without():
    class Hidden(Exception):
        @property
        def __cause__(self):
            raise ValueError("not to be seen")

    try:
        raise Hidden("here")
    except Hidden as error:
        status, body = encode_exception(error, lambda obj: pickle.dumps(str(obj)))
    says = decode_exception(status, body, pickle.loads)
    assert (says.text, says.traceback) == ("here", "")


def test_a_failure_that_a_serializer_cannot_carry_is_told_as_text(group, open_queue):
    class Json:
        dumps = staticmethod(lambda obj: json.dumps(obj).encode())
        loads = staticmethod(json.loads)

    queue = open_queue(group, serializer=Json())
    future = queue.put_future({"id": 1})
    with pytest.raises(KeyError), queue.get_message(timeout=10):
        raise KeyError("missing")
    with pytest.raises(RemoteError, match="missing"):
        future.result(10)


# Interruptions


def test_what_an_interrupted_get_many_has_taken_is_returned_by_later_gets(group, open_queue):
    queue = open_queue(group)

    class Interrupts:
        def __init__(self, raises: bool) -> None:
            self.raises = raises

        def __setstate__(self, state: dict[str, bool]) -> None:
            if Interrupts.armed and state["raises"]:
                raise KeyboardInterrupt

    queue.put_many([1, 2, 3, Interrupts(True), 5])
    queue.flush()
    Interrupts.armed = True
    with pytest.raises(KeyboardInterrupt):
        queue.get_many(10, timeout=10)
    Interrupts.armed = False
    assert [queue.get(timeout=10) for _ in range(3)] == [1, 2, 3]
    assert type(queue.get(timeout=10)).__name__ == "Interrupts"
    assert queue.get(timeout=10) == 5


@pytest.mark.parametrize("max_items", [2.5, float("inf"), "3", None])
def test_what_is_no_number_of_items_is_refused(group, open_queue, max_items):
    with pytest.raises(TypeError, match="max_items"):
        open_queue(group).get_many(max_items)


def test_more_items_than_there_are_may_be_asked_for(group, open_queue):
    queue = open_queue(group)
    queue.put_many(range(5))
    queue.flush()
    assert queue.get_many(10**20, timeout=10) == list(range(5))


# Decoders that take long


TAKES_LONG = """
    class Slow:
        def __init__(self):
            self.x = 1
        def __setstate__(self, state):
            import sys
            sys.decoding.set()
            assert sys.ended.wait(20)
    sys.decoding, sys.ended = threading.Event(), threading.Event()
    q.put(Slow())
    q.flush()
"""


def test_a_leader_that_decodes_for_long_serves_all_the_same(group):
    leader = open_leader(group)
    leader.do(TAKES_LONG)
    leader.do("thread = threading.Thread(target=q.get); thread.start(); sys.decoding.wait(20)")
    other = open_member(group, mode="client")
    other.do("q.put('x'); q.flush(10)")
    assert other.do("q.get(timeout=10)") == "x"
    assert leader.do("thread.is_alive()")
    leader.do("sys.ended.set(); thread.join(20)")
    other.do("q.put('y'); q.flush(10)")
    assert leader.do("q.get(timeout=10)") == "y"


def test_a_timeout_holds_while_another_thread_decodes(group):
    member = open_leader(group)
    member.do(TAKES_LONG)
    member.do("thread = threading.Thread(target=q.get); thread.start(); sys.decoding.wait(20)")
    member.do("""
        began = time.monotonic()
        try:
            q.get(timeout=0.2)
        except Empty:
            took = time.monotonic() - began
    """)
    assert 0.15 < member.do("took") < 2
    assert member.do("thread.is_alive()")
    member.do("sys.ended.set(); thread.join(20); q.put('x')")
    assert member.do("q.get(timeout=10)") == "x"


# A machine without room


def test_a_queue_that_cannot_be_opened_leaves_nothing_behind(group, open_queue, directory, monkeypatch):
    open_queue(group).wait_for_leader(10)
    before = len(os.listdir("/dev/fd"))

    def refuse(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            GroupQueue(group)
    with monkeypatch.context() as patch:
        patch.setattr("groupqueue.standing.Wakeup", lambda: refuse(None))
        with pytest.raises(RuntimeError, match="can't start"):
            GroupQueue(group)
    assert len(os.listdir("/dev/fd")) == before
    assert len(os.listdir(os.path.join(directory, group, "members"))) == 1


def test_a_leader_that_may_not_write_that_much_goes_on_for_the_others(group):
    leader = open_leader(group)
    member = open_member(group, mode="client")
    leader.do("""
        import resource, signal
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))
        q.put(bytes(4_000_000))
    """)
    member.do("q.put('small'); q.flush(timeout=10)")
    assert member.do("q.get(timeout=10)") == "small"
    assert leader.do("(q.is_leader, q.stats().epoch)") == (True, 1)
    leader.do("resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard)); q.flush(timeout=10)")
    assert member.do("len(q.get(timeout=10))") == 4_000_000


def test_it_leads_when_recovery_has_ended_and_not_before(group, open_queue, monkeypatch):
    leader = open_leader(group)
    heir = open_queue(group)
    assert heir.wait_for_leader(10)
    early = []
    recover = Leader._recover

    def watched(self):
        early.append(heir.is_leader)
        recover(self)

    monkeypatch.setattr(Leader, "_recover", watched)
    leader.kill()
    eventually(lambda: heir.is_leader)
    assert early == [False]
