"""
How a queue is opened, passed on and removed, in whichever way its callers wait.
"""

from __future__ import annotations

import os
import weakref
from typing import Any

from groupqueue import serializers
from groupqueue.face.handle import Handle, T
from groupqueue.member import Member
from groupqueue.options import MAX_ITEM_BYTES, Options
from groupqueue.serializers.custom import CustomSerializer
from groupqueue.system import forking, paths
from groupqueue.system.membership import remove_group, sweep


class Opening(Handle[T]):
    """See the module. `_open` sets everything that a handle has."""

    _member_type: type[Member] = Member
    _custom: serializers.Serializer | None
    _max_item_bytes: int

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
        with forking.gate:
            chosen = serializers.default_serializer() if serializer is None else CustomSerializer(serializer)
        self._dumps = chosen.dumps
        self._pack = getattr(chosen, "pack", chosen.dumps)
        self._loads = chosen.loads
        self._max_item_bytes = options.max_item_bytes
        self._options = options
        self._member = self._member_type(group, directory, options, create)
        self._finalizer = weakref.finalize(self, self._member.close)
        self._finalizer.atexit = False

    @classmethod
    def unlink(cls, name: str, directory: str | os.PathLike[str] | None = None) -> None:
        """Removes the group and its items.

        Raises GroupBusyError while a member lives, FileNotFoundError if there is none.

            GroupQueue.unlink("old")
        """
        remove_group(paths.GroupPaths(paths.resolve_directory(directory), paths.check_name(name)))

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


def _reopen(
    cls: type[Opening[Any]],
    name: str,
    directory: str,
    serializer: serializers.Serializer | None,
    arguments: dict[str, Any],
) -> Opening[Any]:
    """Opens the group of a pickled handle; FileNotFoundError if it was anonymous and is gone."""
    queue = cls.__new__(cls)
    queue._open(name, directory, serializer, Options(**arguments), create=not name.startswith("."))
    return queue
