"""
`groupqueue serve NAME`: a process that does nothing but lead.

Its main thread drives the I/O and runs no other Python, so what it serves never waits for the GIL. If another member
leads when it starts it stands by, and leads next. To systemd it is ready once it leads, or follows one who answers.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

from groupqueue.cli import say
from groupqueue.queues import GroupQueue
from groupqueue.system.deadline import Deadline
from groupqueue.system.notify import notify

STANDBY_NOTICE = 1.0
_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def serve(name: str, directory: str | None, maxsize: int | None) -> int:
    """Leads until SIGTERM or SIGINT; then closes, so that the next member leads at once.

    What it says may get lost: others depend on it, whether or not somebody reads that.
    """
    # For a thread that does nothing else: a handler's turn may never come, if the signal does between the interpreter's
    # last look for one and the poll. Before there are other threads, which would take it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        with GroupQueue[object](name, maxsize, mode="master", directory=directory) as queue:
            stop = threading.Event()

            def await_signal() -> None:
                signal.sigwait(_SIGNALS)
                stop.set()
                queue._member.wake()

            threading.Thread(target=await_signal, name="signals", daemon=True).start()
            _lead_until(stop, queue)
            notify("STOPPING=1")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


def _lead_until(stop: threading.Event, queue: GroupQueue[object]) -> None:
    member = queue._member
    who = f"group {queue.name!r} in {queue.directory}"
    if not member.wait(lambda: stop.is_set() or member.is_leader, Deadline(STANDBY_NOTICE)):
        leader = f"process {member.leader_pid} leads" if member.leader_pid else "the leader does not answer"
        _tell(f"process {os.getpid()} stands by to lead {who}; {leader}")
        # Ready only once a leader answers: behind a stopped one nobody is served.
        member.wait(lambda: stop.is_set() or member.is_connected, Deadline(None))
    if not stop.is_set():
        notify("READY=1", f"STATUS=stands by to lead {who}")
    while not stop.is_set():
        member.wait(lambda: stop.is_set() or member.is_leader, Deadline(None))
        if not stop.is_set():
            _tell(f"process {os.getpid()} leads {who}")
            notify(f"STATUS=leads {who}")
            member.wait(lambda: stop.is_set() or not member.is_leader, Deadline(None))
            notify(f"STATUS=stands by to lead {who}")


def _tell(text: str) -> None:
    with suppress(OSError):
        say(text)
