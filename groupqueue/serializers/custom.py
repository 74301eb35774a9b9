"""A serializer of the user's: what it returns is checked, and what it is given is its own to keep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from groupqueue.exceptions import PicklingError

if TYPE_CHECKING:
    from groupqueue.serializers import Serializer


class CustomSerializer:
    """`dumps` and `loads` of another, which may return any bytes-like object and may keep what it is given."""

    __slots__ = ("_serializer",)

    def __init__(self, serializer: Serializer) -> None:
        for name in ("dumps", "loads"):
            if not callable(getattr(serializer, name, None)):
                raise TypeError(f"serializer must have dumps and loads, {type(serializer).__name__} has no {name}")
        self._serializer = serializer

    def dumps(self, obj: Any, /) -> bytes:
        """Raises PicklingError if the serializer returns anything but bytes; what it raises itself goes through."""
        data: Any = self._serializer.dumps(obj)
        if type(data) is bytes:
            return data
        try:
            with memoryview(data) as view:
                return view.tobytes()
        except TypeError:
            raise PicklingError(
                f"the serializer {type(self._serializer).__name__} made a {type(data).__name__} of this "
                f"{type(obj).__name__}; dumps must return bytes"
            ) from None

    def loads(self, data: bytes | memoryview, /) -> Any:
        return self._serializer.loads(bytes(data))
