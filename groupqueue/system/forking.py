"""
What a fork and an interpreter's exit mean to the members of this process.

A forked child closes every descriptor that its parent's members have. It can close only what they know of, so no fork
happens while another thread is in the middle of making one: the forking thread takes their locks first, and the gate
which guards the making of members. It does not wait longer than `PATIENCE`, for who holds a lock may in turn wait for
the forking thread, which is then in a decoder and nobody in the middle of anything.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import weakref
from threading import get_ident
from typing import Any, Protocol

from groupqueue.system.deadline import Deadline

PATIENCE = 1.0


class Participant(Protocol):
    """`lock`, an RLock, is held while descriptors are made or let go. `is_leader`: others here may need it."""

    lock: Any

    @property
    def is_leader(self) -> bool: ...

    def after_fork(self) -> None:
        """Called in a forked child: let go of everything inherited and begin anew."""

    def at_exit(self) -> None:
        """Called when the interpreter exits, or the multiprocessing child."""


_participants: weakref.WeakSet[Any] = weakref.WeakSet()
_finalizer: Any = None
_ends = False
_exiting = False
_taken: dict[int, list[Any]] = {}

gate = threading.RLock()
"""Held while a participant is made."""


def register(participant: Participant) -> None:
    """From now on the participant is told."""
    _participants.add(participant)
    hook_multiprocessing()


def unregister(participant: Participant) -> None:
    _participants.discard(participant)


def participants() -> list[Any]:
    """Those of this process."""
    return list(_participants)


def is_exiting() -> bool:
    """Whether `at_exit` has been called: what is put from now on must leave at once."""
    return _exiting


def is_in_exit_handlers() -> bool:
    """Whether handlers still run after ours. Later the other threads stand still, with whatever locks they have."""
    return _exiting and not sys.is_finalizing()


def is_crashing() -> bool:
    """Whether the interpreter exits because of an exception that nobody caught: other than being told to end."""
    error = getattr(sys, "last_type", None)
    return _ends and error is not None and issubclass(error, Exception) and not hasattr(sys, "ps1")


def hook_multiprocessing() -> None:
    """A child of multiprocessing leaves by os._exit; only its own finalizers run. Cheap when there is nothing to do."""
    util = sys.modules.get("multiprocessing.util")
    if not hasattr(util, "register_after_fork") or not hasattr(util, "Finalize"):
        # Not there, or another thread is in the midst of importing it.
        return
    if _finalizer is None or not _finalizer.still_active():
        _install(util)


def _install(util: Any) -> None:
    global _finalizer
    first = _finalizer is None
    _finalizer = util.Finalize(None, _at_exit, exitpriority=-5)
    if first:
        # A child's bootstrap clears the finalizers and then calls these.
        util.register_after_fork(_Anchor.instance, lambda _: _install(util))


class _Anchor:
    """register_after_fork keeps a weak reference to something that must live."""

    instance: _Anchor


_Anchor.instance = _Anchor()


def _before_fork() -> None:
    deadline = Deadline(PATIENCE)
    taken = _taken[get_ident()] = []
    for lock in (gate, *(participant.lock for participant in sorted(_participants, key=id))):
        if not lock._is_owned():
            # Noted first: a Ctrl-C in between must not leave it locked.
            taken.append(lock)
            lock.acquire(timeout=deadline.remaining())


def _give_back() -> None:
    for lock in _taken.pop(get_ident(), ()):
        if lock._is_owned():
            lock.release()


def _after_fork() -> None:
    global _ends, _exiting, gate
    _ends = _exiting = False
    _give_back()
    _taken.clear()
    gate = threading.RLock()
    # Now, not with the first step: a busy machine lets a short child end before it takes one.
    hook_multiprocessing()
    for participant in list(_participants):
        participant.after_fork()


def _at_exit() -> None:
    global _ends, _exiting
    _ends = True
    # Who leads goes last: it may be the only one to take what the others have still to send.
    for participant in sorted(_participants, key=lambda found: bool(found.is_leader)):
        participant.at_exit()
    _exiting = True


# At import, not at first use: a handler that is registered while handlers run is never called.
os.register_at_fork(before=_before_fork, after_in_parent=_give_back, after_in_child=_after_fork)
atexit.register(_at_exit)
