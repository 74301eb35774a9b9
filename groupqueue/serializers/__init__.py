"""
What travels how. C pickle carries what it can; what a script's own `__main__` defines, and what C pickle refuses but
dill can carry, travels by value. A stream is always one that plain `pickle.loads` reads, so that reading costs nothing
extra; dill is imported on the first need, on either side, and leaves the program's own `pickle` as it was.

Whose class is it? A definition of a `__main__` is known by its script (the real path of the main file; without one, a
token of the process that its forks inherit), its qualified name and its shape (bases, methods' code, annotations, enum
members; not the data that it holds). Where the receiver is of the same script and has a definition of that name and
shape, the item is bound to the receiver's own: so it is in the very process that put it, in its forks, in its spawned
children and in other runs of the script. Everywhere else the definition is rebuilt from the item, once for all items
that bring it, and never bound to something of the receiver's that merely has its name. Another shape is another class:
so is a redefinition in a notebook. When only data changed (a global that its methods use, a class attribute), the
rebuilt class is brought up to date by the item that says so. A class that no name leads to (made inside a function) is
known by an identity of its own, a function that no name leads to arrives as a copy.

Code travels only between equal Python versions, an enum only between equal releases, whose `enum` keeps the same tables
in its classes: the receiver refuses any other, rather than run it, or have a class that is half of one.
"""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, Protocol

from groupqueue.interrupts import is_interrupt
from groupqueue.serializers import lazydill  # noqa: F401 - its hook before a fork has to be older than the members'

if TYPE_CHECKING:
    from groupqueue.serializers import byvalue

__all__ = ["DefaultSerializer", "Serializer", "default_serializer"]

_MAIN = b"_main__"  # of `__main__` and of `__mp_main__`
_PLAIN = frozenset({bytes, bytearray, str, int, float, bool, type(None)})
_LARGE = 64 * 1024
_LONGEST_FRAME = 256 * 1024
_STACK_GLOBAL = 0x93
# How long the arguments of opcodes are: of a fixed size, or a length field of that size and as many bytes as it says.
_FIXED = {0x80: 1, 0x95: 8, **dict(zip(b"KMJGhj", (1, 2, 4, 8, 1, 4))), 0x82: 1, 0x83: 2, 0x84: 4}
_COUNTED = {0x42: 4, 0x43: 1, 0x58: 4, 0x8A: 1, 0x8B: 4, 0x8C: 1, 0x8D: 8, 0x8E: 8, 0x96: 8}
_UP_TO_NEWLINE = b"cgipFILPSV"  # not of protocol 5

_dumps = pickle.dumps
_Pickler = pickle.Pickler


class Serializer(Protocol):
    """What `GroupQueue(serializer=...)` takes."""

    def dumps(self, obj: Any, /) -> bytes: ...

    def loads(self, data: bytes | memoryview, /) -> Any: ...


class DefaultSerializer:
    """C pickle (protocol 5), and dill for what only dill can carry. May be used by any thread.

    `expects_large` is a guess, by the last object: a large one is pickled in another way.
    """

    __slots__ = ("expects_large",)

    loads = staticmethod(pickle.loads)

    def __init__(self) -> None:
        # Late: with a queue, not with the package. And now: not in the midst of a put.
        importlib.import_module("groupqueue.serializers.byvalue")
        self.expects_large = False

    def dumps(self, obj: Any, /) -> bytes:
        """Raises `groupqueue.exceptions.PicklingError`, with the path to the offending part, if `obj` cannot travel."""
        data = self.pack(obj)
        return data if isinstance(data, bytes) else b"".join(data)

    def pack(self, obj: Any, /) -> bytes | tuple[bytes, ...]:
        """As dumps, but a large pickle may come in pieces: what is long in it is not copied, and will not change."""
        try:
            if self.expects_large:
                return self._pack_large(obj)
            data = _dumps(obj, 5)
        except MemoryError:
            raise
        except Exception as exc:
            if is_interrupt(exc):
                raise
            return byvalue.dumps(obj, exc)
        # Asking for one byte first costs 20 ns where a search costs 90, and most small items refer to no global.
        if len(data) < _LARGE:
            if _STACK_GLOBAL not in data:
                return data
            if data.find(_MAIN) >= 0:
                return byvalue.dumps(obj, None)
        else:
            self.expects_large = True
            _keep_pages()
            if type(obj) not in _PLAIN and _mentions_main(data):
                return byvalue.dumps(obj, None)
        if _is_made_otherwise(obj):
            return byvalue.dumps(obj, None)
        return data

    def _pack_large(self, obj: Any) -> bytes | tuple[bytes, ...]:
        """`pickle.dumps` lets its buffer grow while it writes: for one MiB most of its time goes to fresh pages.

        To a file the pickler hands what is long as it is, and the rest in frames of some 64 KiB.
        """
        pieces: list[bytes] = []
        keep = pieces.append
        _Pickler(_Sink(lambda piece: keep(piece if type(piece) is bytes else bytes(piece))), 5).dump(obj)
        self.expects_large = len(pieces) > 1
        if type(obj) in _PLAIN:
            return tuple(pieces)
        if any(len(piece) < _LONGEST_FRAME and piece.find(_MAIN) >= 0 for piece in pieces) or _is_made_otherwise(obj):
            return byvalue.dumps(obj, None)
        return tuple(pieces)


@lru_cache(None)
def _keep_pages() -> None:
    """Once: has malloc keep some freed memory for what is large, whose fresh pages would cost more than its copy.

    (glibc's takes the size of what is freed as the size of what comes and goes; `mallopt(3)`, M_TRIM_THRESHOLD. None of
    this block is touched.)
    """
    with suppress(MemoryError):
        bytes(16 * 1024 * 1024)


def _is_made_otherwise(obj: Any) -> bool:
    """Whether C pickle would have its `__init__` called with other arguments."""
    return isinstance(obj, BaseException) and type(type(obj).__init__) is FunctionType


class _Sink:
    __slots__ = ("write",)

    def __init__(self, write: Callable[[Any], None]) -> None:
        self.write = write


@lru_cache(None)
def default_serializer() -> DefaultSerializer:
    return DefaultSerializer()


def _mentions_main(data: bytes) -> bool:
    """Whether this large pickle refers to a `__main__`. Goes from opcode to opcode, and so past payloads, for as long
    as those are large; a search takes 450 us for each MiB, which only a pickle of many small objects does not feel."""
    position, searched, steps, end = 0, 0, 0, len(data)
    while position < end and steps * 1024 < position + _LARGE:
        opcode = data[position]
        steps += 1
        if opcode in _COUNTED:
            start = position + 1 + _COUNTED[opcode]
            size = int.from_bytes(data[position + 1 : start], "little")
            if size > 256:
                if data.find(_MAIN, searched, position) >= 0:
                    return True
                searched = start + size
            position = start + size
        elif opcode in _UP_TO_NEWLINE:
            break
        else:
            position += 1 + _FIXED.get(opcode, 0)
    return data.find(_MAIN, searched) >= 0
