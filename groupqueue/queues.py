"""
The face: `multiprocessing.Queue` by name.

Here it is opened, passed on and closed; what it does is in `groupqueue.face`. It knows no socket, file or lock of the
system: everything between processes is the member's.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator
from threading import get_ident
from types import TracebackType
from typing import Any, TypeVar

from groupqueue import serializers
from groupqueue.core import messages as m
from groupqueue.core.outbox import Verdict
from groupqueue.exceptions import ShutDown
from groupqueue.face.getting import Getting
from groupqueue.face.handle import T
from groupqueue.face.operating import Operating
from groupqueue.face.putting import Putting
from groupqueue.member import Member
from groupqueue.options import MAX_ITEM_BYTES, Options
from groupqueue.serializers.custom import CustomSerializer
from groupqueue.system import paths
from groupqueue.system.membership import remove_group, sweep
from groupqueue.waits import Waits

__all__ = ["GroupQueue", "JoinableGroupQueue"]

Q = TypeVar("Q", bound="GroupQueue[Any]")


class GroupQueue(Putting[T], Getting[T], Operating[T]):
    """A `multiprocessing.Queue` that unrelated processes open by name.

    Every process that opens the name is a member of the group; one of them leads and keeps the items, and when it dies
    another does. Items live until they are got, cleared or unlinked, also while no process runs.

    `name`: 1 to 128 of ``A-Z a-z 0-9 . _ -``, no dot in front; None is an anonymous group, passed on by fork or pickle.
    `maxsize`: the bound of the whole group in items; 0 or less is unbounded, None takes what the group has.
    `mode`: "dual" puts, gets and stands for election; "client" never leads; "master" never puts.
    `delivery`: "shared" competes for every item; "leader" gets only while this member leads.
    `directory`: where groups live; default ``$GROUPQUEUE_DIR``, else ``/tmp/groupqueue-<uid>``.
    `serializer`: an object with ``dumps(obj) -> bytes`` and ``loads(bytes-like) -> obj``.
    `max_item_bytes`: a larger item is a ValueError in put.
    `linger`: seconds that closing or exiting waits for unsent items; None is as long as it takes.
    `max_attempts`: how many consumers may die holding an item of ours before it goes to the failed list.
    `durable`: what this handle puts also survives power loss, for an fsync per batch.

    Raises ValueError or TypeError for a wrong argument, GroupMismatchError if the group lives with another maxsize,
    GroupDirectoryError if the directory is not safe to use.

        >>> q = GroupQueue("jobs")
        >>> q.put({"id": 1})
        >>> q.get()
        {'id': 1}
    """

    def __init__(
        self,
        name: str | None = None,
        maxsize: int | None = None,
        *,
        mode: str = "dual",
        delivery: str = "shared",
        directory: str | os.PathLike[str] | None = None,
        serializer: serializers.Serializer | None = None,
        max_item_bytes: int = MAX_ITEM_BYTES,
        linger: float | None = None,
        max_attempts: int = 3,
        durable: bool = False,
    ) -> None:
        options = Options(mode, delivery, maxsize, max_item_bytes, linger, max_attempts, durable)
        if name is not None:
            paths.check_name(name)
        self._open(name, paths.resolve_directory(directory), serializer, options, create=True)

    def _open(
        self,
        name: str | None,
        directory: str,
        serializer: serializers.Serializer | None,
        options: Options,
        create: bool,
    ) -> None:
        group = None
        if name is not None:
            group = paths.GroupPaths(directory, name)
            paths.check_socket_path(group)
        paths.make_directory(directory, name or "(anonymous)")
        sweep(directory)
        self._custom = serializer
        chosen = serializers.default_serializer() if serializer is None else CustomSerializer(serializer)
        self._dumps = chosen.dumps
        self._loads = chosen.loads
        self._max_item_bytes = options.max_item_bytes
        self._options = options
        self._plain_get = not self._joinable and options.delivery == "shared"
        self._plain_put = options.mode != "master"
        self._member = Member(group, directory, options, create)
        self._waits = Waits(self._member)
        self._finalizer = weakref.finalize(self, self._member.close)
        self._finalizer.atexit = False

    @classmethod
    def unlink(cls, name: str, directory: str | os.PathLike[str] | None = None) -> None:
        """Removes the group and its items. GroupBusyError while a member lives, FileNotFoundError if there is none."""
        remove_group(paths.GroupPaths(paths.resolve_directory(directory), paths.check_name(name)))

    # Closing

    def close(self) -> None:
        """No more puts and gets here (ValueError); what was put is flushed in the background.

        What this handle was granted or holds goes to others. At exit the process waits for the flush, up to `linger`.
        """
        if not self._member.closing:
            self._end_current()
            self._member.close()

    def join_thread(self) -> None:
        """Waits until a closed queue has flushed. AssertionError if it has not been closed."""
        if not self._member.closing:
            raise AssertionError(f"group {self._label!r}: join_thread() before close()")
        self._member.finish_closing(None)

    def cancel_join_thread(self) -> None:
        """Neither close nor exit wait for unsent items from now on: they may be lost."""
        self._member.cancel_flush()

    def __enter__(self: Q) -> Q:  # noqa: PYI019  # Self is of Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self.join_thread()

    def __iter__(self) -> Iterator[T]:
        """Objects until the group is shut down or this handle closed."""
        while True:
            try:
                obj = self.get()
            except ShutDown:
                return
            except ValueError:
                if self._member.closing:
                    return
                raise
            yield obj

    def __reduce__(self) -> Any:
        return _reopen, (type(self), self.name, self.directory, self._custom, self._options.as_arguments())

    def __repr__(self) -> str:
        member = self._member
        state = member.role.value
        if state == "follower":
            state = f"follower of {member.leader_pid}" if member.is_connected else "connecting"
        elif member.closing and state != "closed":
            state = f"closing, {state}"
        return (
            f"<{type(self).__name__} {self.name!r} {self.mode}, {state}, "
            f"{member.outbox.waiting} unsent, {max(member.inbox.count, 0)} granted>"
        )


class JoinableGroupQueue(GroupQueue[T]):
    """A GroupQueue as `multiprocessing.JoinableQueue`: every item got is unfinished until `task_done`.

    An item whose holder dies or closes before it calls task_done goes to another consumer.
    """

    _joinable = True

    def task_done(self) -> None:
        """Finishes the calling thread's oldest unfinished item, or, if it has none, the handle's.

        Raises ValueError if the handle holds none.
        """
        holdings = self._member.holdings
        me = get_ident()
        thread, item = holdings.unfinished.pop(me)
        if holdings.current.get(thread) is item:
            holdings.current.pop(thread)
            if item.flags & m.WANTS_REPLY:
                holdings.owing -= 1
                self._answer(item.id, item.attempt, None, finish=True)
                return
        self._member.say(Verdict(m.Done, item.id, item.attempt))

    def join(self) -> None:
        """Waits until every item of the group has been got and finished."""
        self._ask_leader({"do": "join"})


def _reopen(
    cls: type[GroupQueue[Any]],
    name: str,
    directory: str,
    serializer: serializers.Serializer | None,
    arguments: dict[str, Any],
) -> GroupQueue[Any]:
    """Opens the group of a pickled handle; FileNotFoundError if it was anonymous and is gone."""
    queue = cls.__new__(cls)
    queue._open(name, directory, serializer, Options(**arguments), create=not name.startswith("."))
    return queue
