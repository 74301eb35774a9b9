"""What a fork and an exit mean to what lives in this process."""

from __future__ import annotations

import gc
import os
import textwrap
import threading
from collections.abc import Iterator

import pytest

from groupqueue.system import forking
from tests.helpers import Clock, Script, run_script, stays
from tests.system.children import in_child


class Witness:
    """A participant that remembers what it was told."""

    is_leader = False

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.told: list[tuple[str, int]] = []

    def after_fork(self) -> None:
        self.told.append(("fork", os.getpid()))

    def at_exit(self) -> None:
        self.told.append(("exit", os.getpid()))


@pytest.fixture
def witness() -> Iterator[Witness]:
    witness = Witness()
    forking.register(witness)
    yield witness
    forking.unregister(witness)


def test_a_forked_child_is_told_once_and_its_parent_is_not(witness: Witness) -> None:
    told = in_child(lambda: (witness.told, os.getpid()))
    assert told[0] == [("fork", told[1])]
    assert witness.told == []


def test_a_grandchild_is_told_too(witness: Witness) -> None:
    told = in_child(lambda: in_child(lambda: [word for word, _ in witness.told]))
    assert told == ["fork", "fork"]


def test_all_participants_are_told(witness: Witness) -> None:
    other = Witness()
    forking.register(other)
    try:
        assert in_child(lambda: len(witness.told) + len(other.told)) == 2
    finally:
        forking.unregister(other)


def test_who_is_registered_twice_is_told_once(witness: Witness) -> None:
    forking.register(witness)
    assert len(in_child(lambda: witness.told)) == 1


def test_who_has_left_is_told_nothing(witness: Witness) -> None:
    forking.unregister(witness)
    forking.unregister(witness)
    assert in_child(lambda: witness.told) == []


def test_no_fork_happens_while_another_thread_holds_a_participant_s_lock(witness: Witness) -> None:
    inside, forked = threading.Event(), []

    def make_a_descriptor() -> None:
        with witness.lock:
            inside.set()
            stays(lambda: not forked, 0.1)

    thread = threading.Thread(target=make_a_descriptor)
    thread.start()
    assert inside.wait(10)
    assert in_child(lambda: forked.append(1)) is None
    forked.append(1)
    thread.join()
    assert not witness.lock._is_owned()


def test_a_fork_beneath_a_participant_s_own_lock_does_not_wait(witness: Witness) -> None:
    with Clock() as clock, witness.lock:
        assert in_child(lambda: 1) == 1
    assert clock.elapsed < forking.PATIENCE
    assert not witness.lock._is_owned()


def test_a_fork_does_not_wait_for_ever(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "PATIENCE", 0.05)
    inside, done = threading.Event(), threading.Event()

    def hold() -> None:
        with witness.lock:
            inside.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(10)
    assert in_child(lambda: witness.told[0][0]) == "fork"
    done.set()
    thread.join()


def test_a_participant_is_not_kept_alive() -> None:
    seen = []

    class Told(Witness):
        def after_fork(self) -> None:
            seen.append(True)

    forking.register(Told())
    gc.collect()
    assert in_child(lambda: seen) == []


def test_a_child_does_not_exit_because_its_parent_does(witness: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forking, "_exiting", True)
    assert forking.is_exiting()
    assert in_child(forking.is_exiting) is False


EXITS = """
import os, sys, threading
from groupqueue.system import forking

class Witness:
    is_leader = False
    lock = threading.RLock()
    def after_fork(self):
        self.pid = os.getpid()
        say("fork")
    def at_exit(self):
        if not forking.is_exiting():
            say("exit", "of" if os.getpid() == self.pid else "not of", "this process")

witness = Witness()
witness.pid = os.getpid()
forking.register(witness)
"""


def exits(body: str) -> Script:
    """A script with a witness that tells what it is told."""
    return run_script(EXITS + textwrap.dedent(body))


def test_who_lives_at_the_exit_is_told() -> None:
    script = exits("say('body')")
    assert script.wait() == 0
    assert script.lines == ["body", "exit of this process"]


def test_from_the_exit_on_this_process_is_exiting() -> None:
    script = exits(
        """
        import atexit
        class Late:
            def __del__(self):
                say("exiting", forking.is_exiting())
        late = Late()
        say("exiting", forking.is_exiting())
        """
    )
    assert script.wait() == 0
    assert script.lines == ["exiting False", "exit of this process", "exiting True"]


def test_who_has_left_before_the_exit_is_not_told() -> None:
    script = exits("forking.unregister(witness)")
    assert script.wait() == 0
    assert script.lines == []


def test_an_exit_by_an_exception_is_an_exit() -> None:
    script = exits("raise SystemExit(3)")
    assert script.wait() == 3
    assert script.lines == ["exit of this process"]


def test_a_child_of_multiprocessing_is_told_though_it_leaves_by_os_exit() -> None:
    script = exits(
        """
        import multiprocessing.util
        forking.hook_multiprocessing()
        child = multiprocessing.get_context("fork").Process(target=say, args=("act",))
        child.start()
        child.join()
        say("joined", child.exitcode)
        """
    )
    assert script.wait() == 0
    assert script.lines == ["fork", "act", "exit of this process", "joined 0", "exit of this process"]


def test_the_first_child_of_multiprocessing_is_told_before_anybody_has_hooked() -> None:
    script = exits(
        """
        import multiprocessing

        def act():
            pass

        child = multiprocessing.get_context("fork").Process(target=act)
        child.start()
        child.join()
        say("joined", child.exitcode)
        """
    )
    assert script.wait() == 0
    assert script.lines == ["fork", "exit of this process", "joined 0", "exit of this process"]


def test_a_child_of_a_child_of_multiprocessing_is_told_too() -> None:
    script = exits(
        """
        import multiprocessing.util
        context = multiprocessing.get_context("fork")
        forking.hook_multiprocessing()

        def outer():
            child = context.Process(target=say, args=("inner",))
            child.start()
            child.join()
            say("outer", child.exitcode)

        child = context.Process(target=outer)
        child.start()
        child.join()
        say("joined", child.exitcode)
        """
    )
    assert script.wait() == 0
    assert [line.partition(" of ")[0] for line in script.lines] == [
        "fork", "fork", "inner", "exit", "outer 0", "exit", "joined 0", "exit",
    ]  # fmt: skip


def test_hooking_costs_nothing_when_there_is_nothing_to_hook() -> None:
    script = exits("forking.hook_multiprocessing(); say('multiprocessing.util' in sys.modules)")
    assert script.wait() == 0
    assert script.lines == ["False", "exit of this process"]
