"""
The shape of a definition: what its source says, as opposed to the data it has come to hold. Equal in every process
that runs the same source with the same Python; computed without running any code of the program's.
"""

from __future__ import annotations

import functools
from enum import EnumMeta
from types import CellType, CodeType, FunctionType
from typing import Any

from groupqueue.serializers.digest import blake2b

ATOMS = frozenset({int, float, complex, bool, str, bytes, type(None), type(...), type(NotImplemented)})
LRU_CACHE = type(functools.lru_cache(len))


def digest(*parts: Any) -> bytes:
    return blake2b(repr(parts).encode("utf-8", "backslashreplace"), digest_size=16).digest()


def name_of(obj: Any) -> str:
    name = getattr(obj, "__qualname__", None) or getattr(obj, "__name__", None)
    return name if isinstance(name, str) else type(obj).__qualname__


def shape_of(obj: Any) -> bytes:
    return digest(_outline(obj, set()))


def _outline(obj: Any, seen: set[int]) -> Any:
    if id(obj) in seen:
        return "again"
    seen.add(id(obj))
    if isinstance(obj, FunctionType):
        return _function(obj, seen)
    if isinstance(obj, type):
        return _class(obj, seen)
    if isinstance(obj, (staticmethod, classmethod)):
        return type(obj).__name__, _outline(obj.__func__, seen)
    if isinstance(obj, property):
        return "property", [_outline(part, seen) for part in (obj.fget, obj.fset, obj.fdel)]
    if isinstance(obj, functools.cached_property):
        return "cached_property", _outline(obj.func, seen)
    if isinstance(obj, LRU_CACHE):
        return "cached", _outline(obj.__wrapped__, seen)
    return type(obj).__qualname__


def _function(function: FunctionType, seen: set[int]) -> Any:
    contents = [content_of(cell) for cell in function.__closure__ or ()]
    inner = [_outline(content, seen) for content in contents if isinstance(content, FunctionType)]
    return "function", outline_of(function.__code__), inner


def content_of(cell: CellType, default: Any = None) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # it is empty
        return default


def outline_of(code: CodeType) -> Any:
    """Equal for equal code, in every process: the order of a set of strings is not."""
    return (
        code.co_name,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
        code.co_code,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        [_constant(constant) for constant in code.co_consts],
    )


def _constant(constant: Any) -> Any:
    if isinstance(constant, CodeType):
        return outline_of(constant)
    if isinstance(constant, frozenset):
        return sorted(repr(_constant(element)) for element in constant)
    if isinstance(constant, tuple):
        return [_constant(element) for element in constant]
    return repr(constant)


def _class(cls: type, seen: set[int]) -> Any:
    body = vars(cls)
    annotations = body.get("__annotations__")
    members = body.get("_member_map_") if isinstance(cls, EnumMeta) else None
    return (
        "class",
        cls.__qualname__,
        name_of(type(cls)),
        [name_of(base) for base in cls.__bases__],
        sorted((name, _value(value)) for name, value in annotations.items()) if annotations else (),
        [(name, _value(member._value_)) for name, member in members.items()] if members else (),
        [(name, _outline(value, seen)) for name, value in sorted(body.items()) if _has_code(cls, value)],
    )


def _value(value: Any) -> str:
    if type(value) is tuple:
        return repr([_value(element) for element in value])
    if isinstance(value, type):
        return value.__qualname__
    return repr(value) if type(value) in ATOMS else type(value).__qualname__


def _has_code(cls: type, value: Any) -> bool:
    if isinstance(value, type):
        return value.__qualname__.startswith(cls.__qualname__ + ".")
    return isinstance(value, (FunctionType, staticmethod, classmethod, property, functools.cached_property, LRU_CACHE))
