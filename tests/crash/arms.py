"""
Arming: in one process, the functions at which the points stand are wrapped, and one passage of one phase is fatal.

Nothing in the product knows of this, and only the armed process is changed. A function's wrapper tells the point from
the arguments; the words of the members' mapped files are wrapped as objects, since a store has no function. `half` is
done beneath: the next system call that writes passes half of its bytes on.
"""

from __future__ import annotations

import importlib
import inspect
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from groupqueue.core.inbox import ATTENTION, CREDITED, OPENED, SETTLED, TAKEN
from groupqueue.core.records import Kind, SegmentKind

KILL = "kill"
INTERRUPT = "KeyboardInterrupt"
FAIL_IO = "OSError"
FAIL_MEMORY = "MemoryError"
ORPHAN = "orphan"
"""Kills the parent instead, and goes on."""

INJECTED = "injected at"


class Plan(NamedTuple):
    """The passage of a phase of a point at which something happens, and what."""

    point: str = ""
    phase: str = ""
    passage: int = 0
    action: str = KILL


class Arms:
    """The points of this process. `counts`: passages so far; `fired`: whether the plan has come true."""

    def __init__(
        self, plan: Plan, last_words: Callable[[Plan], None] | None = None, on_pass: Callable[[int], None] | None = None
    ) -> None:
        self.plan = plan
        self.counts: Counter[tuple[str, str]] = Counter()
        self.fired = False
        self.strays: set[str] = set()
        self.applies: Callable[[], bool] = lambda: True
        self._last_words = last_words
        self._on_pass = on_pass
        self._key = (plan.point, plan.phase)
        self._local = threading.local()
        self._lock = threading.Lock()

    # Passing

    def reach(self, name: str, phase: str) -> bool:
        """Counts a passage; True if it is the one of the plan."""
        if not self.applies():
            return False
        if self.plan.action == INTERRUPT and threading.current_thread() is not threading.main_thread():
            return False
        key = (name, phase)
        self.counts[key] += 1
        if key != self._key:
            return False
        if self._on_pass is not None:
            self._on_pass(self.counts[key])
        return not self.fired and self.counts[key] == self.plan.passage

    def reach_and_act(self, name: str, phase: str) -> None:
        if self.reach(name, phase):
            self.act()

    def act(self) -> None:
        self.fired = True
        if self._last_words is not None:
            self._last_words(self.plan)
        action = self.plan.action
        where = f"{INJECTED} {self.plan.point}, {self.plan.phase}"
        if action == KILL:
            # Neither this nor the last words let another thread of ours run in between.
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == ORPHAN:
            os.kill(os.getppid(), signal.SIGKILL)
        elif action == INTERRUPT:
            raise KeyboardInterrupt(where)
        elif action == FAIL_IO:
            raise OSError(5, where)
        elif action == FAIL_MEMORY:
            raise MemoryError(where)

    @contextmanager
    def _inside(self, steps: int) -> Iterator[None]:
        self._local.depth = getattr(self._local, "depth", 0) + steps
        try:
            yield
        finally:
            self._local.depth -= steps

    @property
    def is_inside(self) -> bool:
        """Whether this thread is in the function of some point."""
        return getattr(self._local, "depth", 0) > 0

    # Wrapping

    def wrap(
        self,
        target: str,
        name_of: Callable[..., str],
        *,
        phases: tuple[str, ...] = ("before", "after"),
        if_result: Callable[[Any], bool] = lambda result: True,
        wide: bool = False,
    ) -> None:
        """Stands at a function. `name_of` gets its arguments and says which point this is, '' if it is none.

        `wide`: it has steps, and each that changes something is to be a point of its own.
        """

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def passing(*args: Any, **kwargs: Any) -> Any:
                name = name_of(*args, **kwargs)
                if not name:
                    return original(*args, **kwargs)
                with self._inside(0 if wide else 1):
                    for phase in ("received", "before"):
                        if phase in phases:
                            self.reach_and_act(name, phase)
                    if "half" in phases and self.reach(name, "half"):
                        self._local.half = True
                    try:
                        result = original(*args, **kwargs)
                    finally:
                        self._local.half = False
                    if "after" in phases and if_result(result):
                        self.reach_and_act(name, "after")
                return result

            return passing

        replace(target, make)

    def halve(self, target: str, cut: Callable[..., None]) -> None:
        """A system call that writes: `cut` does half of it."""

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def writing(*args: Any) -> Any:
                if not getattr(self._local, "half", False):
                    return original(*args)
                self._local.half = False
                cut(original, *args)
                self.act()
                return original(*args)

            return writing

        replace(target, make)

    def watch(self, target: str, concerns: Callable[..., bool] = lambda *args, **kwargs: True) -> None:
        """A system call that changes what outlives the process: outside every point it is a stray."""

        def make(original: Callable[..., Any]) -> Callable[..., Any]:
            def watched(*args: Any, **kwargs: Any) -> Any:
                if not self.is_inside and concerns(*args, **kwargs):
                    # Beneath other wrappers of the same call: whoever called the outermost.
                    frame = next(frame for frame in inspect.stack() if frame.filename != __file__)
                    if "groupqueue/" in frame.filename:
                        self.strays.add(f"{target} in {frame.function} of {os.path.basename(frame.filename)}")
                return original(*args, **kwargs)

            return watched

        replace(target, make)


class Words:
    """The words, or the ring, of a member's mapped file; some stores are points."""

    __slots__ = ("_arms", "_names", "_words")

    def __init__(self, arms: Arms, words: memoryview, names: dict[int, str] | str) -> None:
        self._arms = arms
        self._words = words
        self._names = names

    def __getitem__(self, index: int) -> int:
        return int(self._words[index])

    def __setitem__(self, index: int, value: int) -> None:
        name = self._names if isinstance(self._names, str) else self._names.get(index, "")
        if not name:
            self._words[index] = value
            return
        self._arms.reach_and_act(name, "before")
        self._words[index] = value
        self._arms.reach_and_act(name, "after")

    def release(self) -> None:
        self._words.release()


OWN_WORDS = {
    TAKEN: "store taken",
    SETTLED: "store settled",
    ATTENTION: "store attention",
    OPENED: "store opened",
}
LEADERS_WORDS = {ATTENTION: "store attention", CREDITED: "store credited"}


def resolve(target: str) -> tuple[Any, str]:
    """`package.module:Class.function` as the owner and the attribute."""
    module, _, path = target.partition(":")
    owner: Any = importlib.import_module(module)
    *outer, attribute = path.split(".")
    for name in outer:
        owner = getattr(owner, name)
    return owner, attribute


def replace(target: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    owner, attribute = resolve(target)
    raw = inspect.getattr_static(owner, attribute)
    if isinstance(raw, (classmethod, staticmethod)):
        setattr(owner, attribute, type(raw)(make(raw.__func__)))
    else:
        setattr(owner, attribute, make(raw))


def install(arms: Arms) -> None:
    """Stands at every point of this process, which must have opened nothing yet."""
    named = _named
    system = "groupqueue.system"
    # System calls first: what is wrapped above them calls these.
    arms.halve("os:pwrite", _half_pwrite)
    arms.halve("os:pwritev", _half_pwritev)
    arms.halve("socket:socket.sendmsg", _half_sendmsg)
    # The journal
    arms.wrap(f"{system}.segments:Segment.append", _record, phases=("before", "half", "after"))
    arms.wrap(f"{system}.segments:Segment.append_head", named("record placed"), phases=("before", "half", "after"))
    arms.wrap(f"{system}.segments:Segment.check_late", named("late check"))
    arms.wrap(f"{system}.loans:_Loan.write", named("body placed"), phases=("before", "half", "after"))
    arms.wrap(f"{system}.segments:Segment.write_header", _header, phases=("before", "half", "after"))
    arms.wrap(f"{system}.segments:Segment.create", named("segment create"))
    arms.wrap(f"{system}.disk:allocate", named("segment allocate"))
    arms.wrap(f"{system}.segments:Segment.resize", named("segment resize"))
    arms.wrap(f"{system}.segments:Segment.rename", _renamed)
    arms.wrap(f"{system}.segments:Segment.remove", named("segment remove"))
    arms.wrap(f"{system}.disk:sync_file", named("sync file"))
    arms.wrap(f"{system}.disk:sync_folder", named("sync folder"))
    arms.wrap(f"{system}.segments:Segment._note", named("note of a sync"), phases=("before", "half", "after"))
    arms.wrap(f"{system}.journal:Journal.tidy", named("tidy"), wide=True)
    # Coming to lead
    arms.wrap(f"{system}.leadership:try_lock", _lock, phases=("after",), if_result=bool)
    arms.wrap(f"{system}.leadership:Leadership.note", named("note written"), phases=("before", "half", "after"))
    arms.wrap(f"{system}.journal:Journal.recover", named("journal read"), wide=True)
    arms.wrap(f"{system}.recovery:Recovery._read_ledgers", named("ledgers read"), phases=("after",))
    arms.wrap(f"{system}.recovery:Recovery._read_items", named("segment read"), phases=("after",))
    arms.wrap(f"{system}.items:ItemSegments.adopt", named("segments adopted"))
    arms.wrap(f"{system}.items:ItemSegments.settle", named("doubts settled"), wide=True)
    arms.wrap(f"{system}.ledger:Ledger.begin", named("ledger begun"), wide=True)
    arms.wrap(f"{system}.ledger:Ledger.renew", named("ledger renewed"), wide=True)
    arms.wrap(f"{system}.items:ItemSegments.begin", named("items begun"), wide=True)
    arms.wrap("groupqueue.core.broker:Broker.expect", named("member expected"), phases=("after",))
    arms.wrap("groupqueue.core.broker:Broker.hello", named("member welcomed"), wide=True)
    arms.wrap(f"{system}.cursors:Cursors.is_dead", named("member found dead"), phases=("after",), if_result=bool)
    arms.wrap("groupqueue.departed:Departed.bury", named("member buried"), wide=True)
    arms.wrap(f"{system}.cursors:Cursors.remove", named("member remove"))
    arms.wrap("socket:socket.bind", named("socket bind"))
    arms.wrap("socket:socket.listen", named("socket listen"))
    arms.wrap("os:rename", _file_renamed)
    arms.wrap(f"{system}.transport:Listener.__init__", named("socket made"))
    arms.wrap("groupqueue.standing:connect", named("connect"), if_result=_is_something)
    arms.wrap(f"{system}.transport:Listener.accept", named("accept"), phases=("after",), if_result=_is_something)
    # Frames
    arms.wrap(f"{system}.transport:Connection.send", _frame, phases=("before", "half", "after"))
    arms.wrap("groupqueue.core.session:Session.receive", _frame, phases=("received",), wide=True)
    arms.wrap("groupqueue.guests:Guests._hear", _frame_of_guest, phases=("received",), wide=True)
    arms.wrap(f"{system}.loans:Loans.add", _frame, phases=("received",), wide=True)
    arms.wrap("groupqueue.leader:Leader._hear_local", _frame, phases=("received",), wide=True)
    # Members and the group
    arms.wrap(f"{system}.membership:Membership.join", named("group joined"))
    arms.wrap(f"{system}.membership:Membership._settle", named("group settle"))
    arms.wrap(f"{system}.membership:_write_terms", named("group terms"), phases=("before", "half", "after"))
    arms.wrap(f"{system}.membership:Membership.leave", named("group leave"))
    arms.wrap(f"{system}.cursors:allocate", named("member allocate"))
    arms.wrap(f"{system}.cursors:MemberFile.__init__", named("member create"))
    arms.wrap("groupqueue.standing:Standing.goodbye", named("goodbye"), wide=True)
    arms.wrap("groupqueue.standing:Standing.become_closed", named("closed"), wide=True)
    arms.wrap("groupqueue.standing:Standing.abandon", named("fork lets go"), wide=True)
    arms.wrap("groupqueue.member:Member.after_fork", named("fork hook"), wide=True)
    _wrap_words(arms)


def watch_strays(arms: Arms) -> None:
    """Has `arms.strays` name what is changed outside every point. Before `install`."""
    for call in ("pwrite", "pwritev", "rename", "unlink", "mkdir", "ftruncate", "posix_fallocate", "fsync", "chmod"):
        if hasattr(os, call):
            arms.watch(f"os:{call}")
    arms.watch("os:open", lambda path, flags, *rest, **how: bool(flags & os.O_CREAT) and not str(path).endswith("lock"))
    for call in ("bind", "listen", "sendmsg"):
        arms.watch(f"socket:socket.{call}")


def _wrap_words(arms: Arms) -> None:
    def make_file(original: Callable[..., None]) -> Callable[..., None]:
        def opening(self: Any, folder: str) -> None:
            original(self, folder)
            self.words = Words(arms, self.words, OWN_WORDS)
            self.ring = Words(arms, self.ring, "store ring")

        return opening

    def make_words(original: Callable[..., Any]) -> Callable[..., Any]:
        def words_of(self: Any, member: int) -> Any:
            words = original(self, member)
            return None if words is None else Words(arms, words, LEADERS_WORDS)

        return words_of

    replace("groupqueue.system.cursors:MemberFile.__init__", make_file)
    replace("groupqueue.system.cursors:Cursors._words", make_words)


def _named(name: str) -> Callable[..., str]:
    return lambda *args, **kwargs: name


def _is_something(result: object) -> bool:
    return result is not None


def _record(segment: Any, kind: int, *rest: Any) -> str:
    return f"record {Kind(kind).name}"


def _header(segment: Any, header: Any) -> str:
    return "ledger header" if header.kind == SegmentKind.LEDGER else "items header"


def _renamed(segment: Any, name: str) -> str:
    prefix = name.partition("-")[0]
    return f"rename to {prefix}" if prefix in ("items", "spare", "ledger") else ""


def _file_renamed(old: str, new: str) -> str:
    if str(new).endswith("/socket"):
        return "socket rename"
    return "member rename" if "/members/~" in str(old) else ""


def _lock(fd: int, *, shared: bool = False) -> str:
    return "" if shared else "lock taken"


def _frame(end: Any, message: Any, *rest: Any) -> str:
    return f"frame {type(message).__name__}"


def _frame_of_guest(guests: Any, guest: Any, message: Any, time: float) -> str:
    return f"frame {type(message).__name__}"


def _half_pwrite(write: Callable[..., int], fd: int, data: Any, offset: int) -> None:
    plain = bytes(data)
    write(fd, plain[: len(plain) // 2], offset)


def _half_pwritev(write: Callable[..., int], fd: int, parts: Any, offset: int) -> None:
    plain = b"".join(parts)
    os.pwrite(fd, plain[: len(plain) // 2], offset)


def _half_sendmsg(send: Callable[..., int], sock: socket.socket, parts: Any, *rest: Any) -> None:
    plain = b"".join(parts)
    sock.send(plain[: len(plain) // 2])
