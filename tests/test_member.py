"""Whatever comes in between, what is put is sent: by somebody, soon."""

from __future__ import annotations

import threading

import pytest

from groupqueue.core.inbox import ATTENTION
from tests.helpers import eventually, open_leader


@pytest.fixture
def queue(group, open_queue):
    """A handle that follows, and sleeps."""
    open_leader(group)
    queue = open_queue(group, mode="client")
    assert queue.wait_for_leader(10)
    queue.put("warm")
    queue.flush(10)
    return queue


def sleeps(member):
    """Nobody has anything to do: its thread is in a poll that only an event ends."""
    return member._polls and not member._ticking and not member.armed and member.session.due is None


def test_a_put_while_another_thread_answers_the_leader_is_sent(queue):
    member = queue._member
    eventually(lambda: sleeps(member))
    emit = member._standing.emit
    said, go_on = threading.Event(), threading.Event()

    def slow(messages):
        emit(messages)
        if threading.current_thread() is asked:
            said.set()
            assert go_on.wait(20)

    def answer():
        member.inbox.words[ATTENTION] = 1
        member.answer_attention()

    asked = threading.Thread(target=answer)
    member._standing.emit = slow
    asked.start()
    assert said.wait(20)
    queue.put("meanwhile")
    assert len(member.outbox.pending) == 1
    go_on.set()
    asked.join(20)
    eventually(lambda: not member.outbox.pending)


@pytest.mark.parametrize("way", ["arm", "wake"])
def test_a_ctrl_c_before_the_wake_is_none_to_those_who_put_next(queue, way):
    member = queue._member
    eventually(lambda: sleeps(member))
    wakeup = member._standing.wakeup
    real = wakeup.set

    def interrupted():
        wakeup.set = real
        raise KeyboardInterrupt

    wakeup.set = interrupted
    member.outbox.pending.append(b"\x80\x05K\x01.")
    with pytest.raises(KeyboardInterrupt):
        getattr(member, way)()
    eventually(lambda: not member.outbox.pending)
