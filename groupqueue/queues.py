"""
The face: `multiprocessing.Queue` by name.

Here it is closed, and walked over; what else it does is in `groupqueue.face`. It knows no socket, file or lock of the
system: everything between processes is the member's.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import get_ident
from types import TracebackType
from typing import Any, TypeVar

from groupqueue import serializers
from groupqueue.exceptions import ShutDown
from groupqueue.face.getting import Getting
from groupqueue.face.handle import T
from groupqueue.face.opening import Opening
from groupqueue.face.operating import Operating
from groupqueue.face.putting import Putting
from groupqueue.options import Options
from groupqueue.waits import Waits

__all__ = ["GroupQueue", "JoinableGroupQueue"]

Q = TypeVar("Q", bound="GroupQueue[Any]")


class GroupQueue(Putting[T], Getting[T], Operating[T], Opening[T]):
    """A `multiprocessing.Queue` that unrelated processes open by name.

    Every process that opens the name is a member of the group; one of them leads and keeps the items, and when it dies
    another does. Items live until they are got, cleared or unlinked, also while no process runs.

    `name`: 1 to 128 of ``A-Z a-z 0-9 . _ -``, no dot in front; None is an anonymous group, passed on by fork or pickle.
    `maxsize`: the bound of the whole group in items; 0 or less is unbounded, None takes what the group has.
    `mode`: "dual" puts, gets and stands for election; "client" never leads; "master" never puts.
    `delivery`: "shared" competes for every item; "leader" gets only while this member leads, so whoever does not get
    opens the group with mode="client".
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

    def _open(
        self,
        name: str | None,
        directory: str,
        serializer: serializers.Serializer | None,
        options: Options,
        create: bool,
    ) -> None:
        super()._open(name, directory, serializer, options, create)
        self._plain_get = not self._joinable and options.delivery == "shared"
        self._plain_put = options.mode != "master"
        self._waits = Waits(self._member)

    # Closing

    def close(self) -> None:
        """No more puts and gets here (ValueError); what was put is flushed in the background.

        What this handle was granted or holds goes to others. At exit the process waits for the flush, up to `linger`.

            q.close()
            q.join_thread()
        """
        if not self._member.closing:
            self._end_current(get_ident())
            self._member.close()

    def join_thread(self) -> None:
        """Waits until a closed queue has flushed, at most `linger` seconds.

        Raises AssertionError if it has not been closed.

            q.close()
            q.join_thread()
        """
        if not self._member.closing:
            raise AssertionError(f"group {self._label!r}: join_thread() before close()")
        self._member.finish_closing(None)

    def cancel_join_thread(self) -> None:
        """Neither close nor exit wait for unsent items from now on.

        They may be lost.

            q.cancel_join_thread()
        """
        self._member.cancel_flush()

    def __enter__(self: Q) -> Q:  # noqa: PYI019  # Self is of Python 3.11
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        self.join_thread()

    def __iter__(self) -> Iterator[T]:
        """Objects until the group is shut down or this handle closed.

        Raises as get does, but for ShutDown, which ends it.

            for job in q:
                work(job)
        """
        while True:
            try:
                obj = self.get()
            except ShutDown:
                return
            except (ValueError, SystemExit):
                if self._member.closing:
                    return
                raise
            yield obj


class JoinableGroupQueue(GroupQueue[T]):
    """A GroupQueue as `multiprocessing.JoinableQueue`: every item got is unfinished until `task_done`.

    An item whose holder dies or closes before it calls task_done goes to another consumer.

        q = JoinableGroupQueue("jobs")
        job = q.get()
        work(job)
        q.task_done()
    """

    _joinable = True

    def task_done(self) -> None:
        """Finishes the calling thread's oldest unfinished item, or, if it has none, the handle's.

        Raises ValueError if the handle holds none.

            job = q.get()
            q.task_done()
        """
        self._finish(get_ident())

    def join(self) -> None:
        """Waits until every item of the group has been got and finished.

        Raises ValueError on a closed queue.

            q.join()
        """
        self._ask_leader({"do": "join"})
