"""
The slow path: a C pickler that asks us about every object that is not a plain builtin one.

It leaves no reference to a `__main__` in the stream, and carries nothing that would silently be something else in the
receiver (dill would reopen files and make new locks). A class, and a function that a name leads to, travels as a blob
of its own, kept for as long as nothing that it consists of changes, and read by a receiver only if that does not have
it; within a blob, and for all else, everything is in place.
"""

from __future__ import annotations

import copyreg
import io
import pickle
import sys
import zlib
from enum import EnumMeta
from types import FunctionType, ModuleType
from typing import Any

from groupqueue.exceptions import PicklingError
from groupqueue.interrupts import is_interrupt
from groupqueue.serializers import rebuild
from groupqueue.serializers.blame import Refused, explain
from groupqueue.serializers.classes import class_reduction, member_reduction
from groupqueue.serializers.digest import blake2b
from groupqueue.serializers.freshness import Snapshot, recall, store
from groupqueue.serializers.functions import function_parts
from groupqueue.serializers.identity import MAINS, Header, is_importable, is_named, known, record_of, resolve
from groupqueue.serializers.lazydill import dill
from groupqueue.serializers.reducers import (
    REDUCERS,
    checked,
    descriptor_reduction,
    is_plain,
    know_dataclasses,
)
from groupqueue.serializers.shapes import LRU_CACHE

_HEAP_TYPE = 1 << 9
_SAVED_BY_C = (type(None), type(NotImplemented), type(...))


def dumps(obj: Any, cause: Exception | None) -> bytes:
    """Pickles `obj` by value where need be. `cause` is why C pickle failed, if it did."""
    try:
        if isinstance(cause, RecursionError):
            raise cause
        return _run(obj)[0]
    except RecursionError as exc:
        limit = sys.getrecursionlimit()
        raise PicklingError(f"cannot pickle obj ({type(obj).__qualname__}): nested too deeply for {limit=}") from exc
    except Refused as exc:
        raise PicklingError(explain(obj, exc)) from exc.__cause__


class Pickler(pickle.Pickler):
    """`root`: the definition that this blob is of; None for an item. `only_root`: for its digest, others by key.

    `requires`: what the receiver must be to read it.
    """

    def __init__(
        self, file: io.BytesIO, root: Any = None, only_root: bool = False, snapshot: Snapshot | None = None
    ) -> None:
        super().__init__(file, 5)
        self.root = root
        self.only_root = only_root
        self.snapshot = snapshot
        self.current: Any = None
        self.incomplete: set[int] = set()  # ids of functions whose state their class brings
        self.plain: set[type] = set()  # types whose objects are left to the C pickler
        self.cells: set[int] = set()  # ids of cells whose content a function brings
        self.namespaces: dict[int, Any] = {}
        self.requires: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        self.current = obj
        kind = type(obj)
        if kind in self.plain:
            return NotImplemented
        if kind is FunctionType:
            return self._function(obj)
        if issubclass(kind, type):
            return self._class(obj)
        if kind is LRU_CACHE and (is_importable(obj) or self._is_definition(obj)):
            return obj.__qualname__ if is_importable(obj) else definition(obj)
        reducer = REDUCERS.get(kind)
        if reducer is not None:
            return reducer(self, obj)
        if isinstance(kind, EnumMeta) and not is_importable(kind):
            return member_reduction(obj, self.root, self.only_root)
        if issubclass(kind, ModuleType):
            return _module(obj)
        if issubclass(kind, (property, staticmethod, classmethod)):
            return descriptor_reduction(obj)
        return self._instance(obj, kind)

    def _function(self, func: FunctionType) -> Any:
        if func.__module__ == "dill._dill":
            return rebuild.from_dill, (func.__name__,)
        if is_importable(func):
            return NotImplemented
        if self._is_definition(func):
            return definition(func)
        args, state = function_parts(self, func)
        if id(func) in self.incomplete:
            return rebuild.function, args
        return rebuild.function, args, state, None, None, rebuild.fill_function

    def header(self, obj: Any, name: str | None = None) -> Header:
        """Who `obj` is. In a digest, which must not differ from process to process, without a random key."""
        header = record_of(obj, name).header
        return header._replace(key=b"") if self.only_root and not header.origin else header

    def _is_definition(self, func: Any) -> bool:
        return self.root is None and (known(func) is not None or is_named(func))

    def _class(self, cls: type) -> Any:
        if any(cls is known_to_c for known_to_c in _SAVED_BY_C) or is_importable(cls):
            return NotImplemented
        if not cls.__flags__ & _HEAP_TYPE:
            return _builtin_type(cls)
        if self.root is None:
            return definition(cls)
        if self.only_root and cls is not self.root:
            return rebuild.same_class, self.header(cls)
        version = b"" if self.only_root else version_of(cls)
        return class_reduction(self, cls, version)

    def _instance(self, obj: Any, kind: type) -> Any:
        if is_plain(kind):
            self.plain.add(kind)
            return NotImplemented
        reduce = copyreg.dispatch_table.get(kind)
        reduction = reduce(obj) if reduce is not None else obj.__reduce_ex__(5)
        if isinstance(reduction, str):
            return self._named_object(obj, reduction)
        return checked(kind, reduction, in_blob=self.root is not None)

    def _named_object(self, obj: Any, name: str) -> Any:
        """An object whose `__reduce__` says that it is a global of its module."""
        module = getattr(obj, "__module__", None) or pickle.whichmodule(obj, name)  # type: ignore[attr-defined]
        if module not in MAINS and resolve(module, name) is obj:
            return name
        kind: Any = type(obj)
        if not (known(obj) or is_named(obj, name)) or rebuild.builtin_new(kind) is not object.__new__:
            raise pickle.PicklingError(f"it is not found as {module}.{name}")
        args = (*self.header(obj, name), rebuild.instance, kind)
        return rebuild.singleton, args, getattr(obj, "__dict__", None), None, None, rebuild.fill_singleton


def _run(
    obj: Any, root: Any = None, only_root: bool = False, snapshot: Snapshot | None = None
) -> tuple[bytes, set[str]]:
    """The stream, and what it requires."""
    know_dataclasses()
    file = io.BytesIO()
    pickler = Pickler(file, root, only_root, snapshot)
    try:
        pickler.dump(obj)
    except (RecursionError, MemoryError, Refused):
        raise
    except Exception as exc:
        if is_interrupt(exc):
            raise
        raise Refused(obj if pickler.current is None else pickler.current) from exc
    return file.getvalue(), pickler.requires


def definition(obj: Any) -> Any:
    """The reduction of a class, or of a function that a name leads to, as part of an item."""
    header = record_of(obj).header
    made = recall(obj)
    if made is None:
        snapshot = Snapshot()
        data, requires = _run(obj, root=obj, snapshot=snapshot)
        version = version_of(obj) if isinstance(obj, type) else b""
        # A release is the stricter of the two.
        made = zlib.compress(data, 1), version, rebuild.RELEASE if rebuild.RELEASE in requires else "".join(requires)
        if header.origin:
            store(obj, snapshot, made)
    blob, version, runtime = made
    return rebuild.definition, (*header, version, blob, runtime)


def version_of(cls: type) -> bytes:
    """Another one whenever the state of the class is another. An enum is never changed once it is rebuilt."""
    if isinstance(cls, EnumMeta):
        return record_of(cls).header.shape
    return blake2b(_run(cls, root=cls, only_root=True)[0], digest_size=16).digest()


def _module(module: ModuleType) -> Any:
    name = module.__name__
    if name in MAINS or module is sys.modules.get("__main__") or sys.modules.get(name) is not module:
        raise pickle.PicklingError("the receiver cannot import this module")
    return rebuild.module, (name,)


def _builtin_type(cls: type) -> Any:
    name = dill()._typemap.get(cls)
    if name is None:
        raise pickle.PicklingError("no name leads to this type")
    return rebuild.builtin_type, (name,)
