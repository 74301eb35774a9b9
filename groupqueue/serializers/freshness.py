"""
Whether a definition is still what it was when its blob was made. A blob costs some hundred microseconds, asking here
about two, and most programs put instances of the same class over and over.

A snapshot holds what a definition was found to consist of: by identity where that says it all, else by its pickle. What
cannot be compared so makes the snapshot useless, and the blob is made anew each time.
"""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum, EnumMeta
from types import CellType, FunctionType, ModuleType
from typing import Any

from groupqueue.serializers.shapes import ATOMS, LRU_CACHE, content_of

_ABSENT = object()
_REACHED = (FunctionType, type, ModuleType, Enum, property, staticmethod, classmethod, LRU_CACHE)
_FUNCTION_PARTS = ("__code__", "__defaults__", "__kwdefaults__")


class _Freezer(pickle.Pickler):
    """Classes and functions by identity: what they consist of, the snapshot knows of its own."""

    def reducer_override(self, obj: Any) -> Any:
        return (id, (id(obj),)) if issubclass(type(obj), _REACHED) else NotImplemented


def _freeze(value: Any) -> bytes:
    file = io.BytesIO()
    _Freezer(file, 5).dump(value)
    return file.getvalue()


class Snapshot:
    def __init__(self) -> None:
        self.usable = True
        self._items: list[tuple[Mapping[str, Any], str, Any]] = []
        self._parts: list[tuple[Any, str, Any]] = []
        self._cells: list[tuple[CellType, Any]] = []
        self._sizes: list[tuple[Mapping[str, Any], int]] = []
        self._frozen: list[tuple[Any, bytes]] = []

    def body(self, cls: type) -> None:
        body = vars(cls)
        self._sizes.append((body, len(body)))
        for name, value in body.items():
            self._items.append((body, name, value))
            if not (name.startswith("__") and name.endswith("__")) and not isinstance(cls, EnumMeta):
                self._value(value)

    def function(self, func: FunctionType, names: tuple[str, ...]) -> None:
        for part in _FUNCTION_PARTS:
            self._parts.append((func, part, getattr(func, part)))
        self._value(func.__defaults__)
        self._sizes.append((vars(func), len(vars(func))))
        for name, value in vars(func).items():
            self._items.append((vars(func), name, value))
            self._value(value)
        for cell in func.__closure__ or ():
            content = content_of(cell, _ABSENT)
            self._cells.append((cell, content))
            self._value(content)
        for name in names:
            value = func.__globals__.get(name, _ABSENT)
            self._items.append((func.__globals__, name, value))
            self._value(value)

    def _value(self, value: Any) -> None:
        if type(value) in ATOMS or value is _ABSENT or issubclass(type(value), _REACHED):
            return
        if type(value) in (tuple, frozenset):
            for element in value:
                self._value(element)
            return
        try:
            frozen = _freeze(value)
        except Exception:  # noqa: BLE001 - the program's code may run in there
            self.usable = False
        else:
            self._frozen.append((value, frozen))
            self.usable = self.usable and len(frozen) <= _FROZEN_AT_MOST

    def holds(self) -> bool:
        for mapping, name, value in self._items:
            if mapping.get(name, _ABSENT) is not value:
                return False
        for owner, name, value in self._parts:
            if getattr(owner, name, _ABSENT) is not value:
                return False
        if any(content_of(cell, _ABSENT) is not content for cell, content in self._cells):
            return False
        if any(len(mapping) != size for mapping, size in self._sizes):
            return False
        return all(_freeze(value) == frozen for value, frozen in self._frozen)


_LIMIT = 128
_FROZEN_AT_MOST = 16 * 1024
_BLOB_AT_MOST = 256 * 1024

Made = tuple[bytes, bytes, str]
_blobs: OrderedDict[int, tuple[Any, Snapshot, Made]] = OrderedDict()


def recall(obj: Any) -> Made | None:
    """The blob of a definition, its version and what it requires, if they are known and still right."""
    entry = _blobs.get(id(obj))
    if entry is None:
        return None
    kept, snapshot, made = entry
    try:
        if kept is obj and snapshot.holds():
            return made
    except Exception:  # noqa: BLE001 - the program's code may run in there
        return None
    return None


def store(obj: Any, snapshot: Snapshot, made: Made) -> None:
    if snapshot.usable and len(made[0]) <= _BLOB_AT_MOST:
        _blobs[id(obj)] = obj, snapshot, made
        while len(_blobs) > _LIMIT:
            _blobs.popitem(last=False)
