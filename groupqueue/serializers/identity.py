"""
Which definition here is which definition there. Both sides ask this module, neither pickles in it.

A record says what is known of one class, function or named object; the tables lead from an object and from a key to
its record and keep neither alive, except for the last few hundred rebuilt definitions, so that a class whose instances
come and go stays one class. Every table operation is one atomic dict operation: there is no lock, hence none that a
signal handler, a finaliser or a fork could find taken.
"""

from __future__ import annotations

import os
import sys
import weakref
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from groupqueue.serializers.shapes import digest, name_of, shape_of

MAINS = ("__main__", "__mp_main__")

_TOKEN = os.urandom(16).hex()


class Header(NamedTuple):
    """Who a definition is. `origin` is empty where no name leads to it."""

    key: bytes
    origin: str
    qualname: str
    shape: bytes


class Record:
    """`own`: defined here. `version`: of the state last applied to a rebuilt one. `members`: of a rebuilt enum."""

    __slots__ = ("header", "members", "own", "ref", "version")

    def __init__(self, header: Header, own: bool) -> None:
        self.header = header
        self.own = own
        self.version: bytes | None = None
        self.members: dict[Any, Any] = {}
        self.ref: Callable[[], Any] = lambda: None


_by_id: dict[int, Record] = {}
_by_key: dict[bytes, Record] = {}
_kept: deque[Any] = deque(maxlen=512)


def origin() -> str:
    """What this process's `__main__` is known by: its file, or a token shared with forked children only."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return _real_path(path) if isinstance(path, str) else _TOKEN


_real_path = lru_cache(maxsize=16)(os.path.realpath)


def resolve(module: str, qualname: str) -> Any:
    """What `qualname` leads to in an imported module, or None."""
    found: Any = sys.modules.get(module)
    try:
        for part in qualname.split("."):
            found = getattr(found, part)
    except Exception:  # noqa: BLE001 - a descriptor of the program's may raise anything
        return None
    return found


def is_named(obj: Any, name: str | None = None) -> bool:
    """Whether a `__main__` of this process has `obj` under its own name."""
    name = name or name_of(obj)
    return getattr(obj, "__module__", None) in MAINS and any(resolve(main, name) is obj for main in MAINS)


def is_importable(obj: Any) -> bool:
    """Whether the receiver can get `obj` by importing the module that it says it is from."""
    module = getattr(obj, "__module__", None)
    return isinstance(module, str) and module not in MAINS and resolve(module, name_of(obj)) is obj


def known(obj: Any) -> Record | None:
    record = _by_id.get(id(obj))
    return record if record is not None and record.ref() is obj else None


def record_of(obj: Any, name: str | None = None) -> Record:
    """The record of a definition, made at the first question: then it is one of this process's own."""
    record = known(obj)
    if record is None:
        name = name or name_of(obj)
        shape = shape_of(obj)
        if is_named(obj, name):
            source = origin()
            key = os.urandom(16) if source == _TOKEN else digest(source, name, shape)
        else:
            source, key = "", os.urandom(16)
        record = enter(obj, Record(Header(key, source, name, shape), own=True))
        _by_key[record.header.key] = record
    return record


def enter(obj: Any, record: Record) -> Record:
    """The record of `obj` for as long as that lives: `record`, unless another thread was first."""
    ident = id(obj)

    # The tables at hand: when the interpreter ends, this module may have none any more before the definition goes.
    def forget(_: Any, by_id: dict[int, Record] = _by_id, by_key: dict[bytes, Record] = _by_key) -> None:
        if by_id.get(ident) is record:
            by_id.pop(ident, None)
        if by_key.get(record.header.key) is record:
            by_key.pop(record.header.key, None)

    try:
        record.ref = weakref.ref(obj, forget)
    except TypeError:
        record.ref = lambda: obj  # a sentinel with slots, for ever
    first = _by_id.setdefault(ident, record)
    if first is not record:
        if first.ref() is obj:
            return first
        _by_id[ident] = record
    return record


def find(header: Header) -> tuple[Record, Any] | None:
    """The definition that a stream speaks of and its record, if this process has it: rebuilt, or its own."""
    record = _by_key.get(header.key)
    if record is not None and (obj := record.ref()) is not None:
        return record, obj
    if header.origin and header.origin == origin():
        for main in MAINS:
            own = resolve(main, header.qualname)
            if own is not None and is_named(own, header.qualname):
                record = record_of(own, header.qualname)
                if record.header.shape == header.shape:
                    return record, own
    return None


def adopt(obj: Any, header: Header) -> Any:
    """Makes a rebuilt object the one for its header, unless another thread was first: returns the one."""
    record = Record(header, own=False)
    enter(obj, record)
    first = _by_key.setdefault(header.key, record)
    if first is not record:
        other = first.ref()
        if other is not None:
            _by_id.pop(id(obj), None)
            return other
        _by_key[header.key] = record
    _kept.append(obj)
    return obj


def remember(obj: Any, header: Header) -> None:
    """Notes where a rebuilt function came from, so that it is bound to the original if it goes back there."""
    enter(obj, Record(header, own=False))
