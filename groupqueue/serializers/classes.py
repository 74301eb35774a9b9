"""
What a class is made of: a skeleton that others can refer to, its functions, their states, and its data.

Enums are classes like others, only that their members travel raw inside of them, and by name everywhere else.
"""

from __future__ import annotations

import abc
import functools
import pickle
from abc import ABCMeta
from collections.abc import Iterator
from enum import EnumMeta
from types import (
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    WrapperDescriptorType,
)
from typing import TYPE_CHECKING, Any

from groupqueue.serializers import rebuild
from groupqueue.serializers.functions import function_parts
from groupqueue.serializers.identity import MAINS, is_importable, record_of
from groupqueue.serializers.shapes import ATOMS

if TYPE_CHECKING:
    from groupqueue.serializers.byvalue import Pickler

_SETS = (set, frozenset)
_METHODS = (FunctionType, staticmethod, classmethod, property)
# The last is metadata in an order that differs from process to process.
_NOT_STATE = {"_abc_impl", "__slotnames__", "__module__", "__qualname__", "__static_attributes__"}


class Attachment:
    """Stands for the call that gives a skeleton its functions and its simplest data, before there are instances."""

    def __init__(self, cls: type, attributes: dict[str, Any]) -> None:
        self.cls = cls
        self.attributes = attributes


class Completion:
    """Stands for the call that completes a function, at once: what comes next in the stream may need its `__hash__`."""

    def __init__(self, func: FunctionType, state: dict[str, Any]) -> None:
        self.func = func
        self.state = state


def class_reduction(pickler: Pickler, cls: type, version: bytes) -> Any:
    body = {name: value for name, value in vars(cls).items() if name not in _NOT_STATE and not _is_layout(cls, value)}
    if any(isinstance(value, (MethodDescriptorType, WrapperDescriptorType)) and value.__objclass__ is cls
           for value in body.values()):  # fmt: skip
        raise pickle.PicklingError("no name leads to this type of a C module")
    methods = {name: value for name, value in body.items() if isinstance(value, _METHODS)}
    data = {name: value for name, value in body.items() if name not in methods}
    functions = [func for name in sorted(methods, key=_urgency) for func in _functions_of(methods[name])]
    pickler.incomplete.update(map(id, functions))
    completions = [Completion(func, function_parts(pickler, func)[1]) for func in functions]
    if pickler.snapshot is not None:
        pickler.snapshot.body(cls)
    if isinstance(cls, EnumMeta):
        pickler.requires.add(rebuild.RELEASE)
    args = (*record_of(cls).header, type(cls), cls.__name__, cls.__bases__, _namespace(cls))
    if pickler.only_root:  # for a digest that is the same in every process
        data = {name: sorted(value, key=repr) if type(value) in _SETS else value for name, value in data.items()}
    simple = {name: value for name, value in data.items() if type(value) in ATOMS}
    state = (Attachment(cls, {**methods, **simple}), completions, data, _virtual_subclasses(cls), version)
    return rebuild.skeleton, args, state, None, None, rebuild.fill_class


def _namespace(cls: type) -> dict[str, Any]:
    """What a class must be created with. `__orig_bases__` is for `Generic`, which asks for it at that moment."""
    body = vars(cls)
    namespace: dict[str, Any] = {"__module__": "__main__" if cls.__module__ in MAINS else cls.__module__}
    namespace["__qualname__"] = cls.__qualname__
    if "__slots__" in body:
        slots = [value.__name__ for value in body.values() if _is_layout(cls, value)]
        namespace["__slots__"] = tuple(slots)
    if "__orig_bases__" in body:
        namespace["__orig_bases__"] = body["__orig_bases__"]
    return namespace


def _is_layout(cls: type, value: Any) -> bool:
    """Slots, `__dict__` and `__weakref__`: made with the class, not set on it."""
    if isinstance(value, MemberDescriptorType):
        return value.__objclass__ is cls
    return isinstance(value, GetSetDescriptorType) and value.__name__ in ("__dict__", "__weakref__")


def _functions_of(method: Any) -> Iterator[FunctionType]:
    parts = (method.fget, method.fset, method.fdel) if isinstance(method, property) else (method,)
    for part in parts:
        func = getattr(part, "__func__", part)
        if type(func) is FunctionType and not is_importable(func):
            yield func


def _urgency(name: str) -> int:
    """Objects of the class may be rebuilt, and be hashed, while its other functions are being completed."""
    return 0 if name in ("__hash__", "__eq__") else 1 if name.startswith("__") else 2


def _virtual_subclasses(cls: type) -> list[type]:
    if not isinstance(cls, ABCMeta):
        return []
    registry = abc._get_dump(cls)[0]  # type: ignore[attr-defined]
    return [subclass for reference in registry if (subclass := reference()) is not None]


def member_reduction(member: Any, root: Any, only_root: bool) -> Any:
    cls: Any = type(member)
    name = member._name_
    canonical = cls._member_map_.get(name) is member
    if root is None:
        return (rebuild.enum_member, (cls, name)) if canonical else (cls, (member._value_,))
    if only_root and cls is not root:
        return rebuild.same_class, (cls, name)
    args = (cls, name if canonical else member._value_, *_raw_value(cls._member_type_, member))
    state = {key: value for key, value in vars(member).items() if key != "_inverted_"}
    if "_inverted_" in vars(member):
        state["_inverted_"] = None
    return rebuild.raw_member, args, state, None, None, rebuild.fill_member


def _raw_value(data_type: Any, member: Any) -> tuple[Any, ...]:
    """The data type of a member, and what its `__new__` takes besides the class."""
    if data_type.__new__ is object.__new__:
        return (object,)
    if hasattr(data_type, "__getnewargs__"):
        return (data_type, *data_type.__getnewargs__(member))
    value = member._value_
    reduction = value.__reduce_ex__(5)
    if isinstance(reduction, tuple) and reduction[0] is data_type:
        return (data_type, *reduction[1])
    return (data_type, *value) if isinstance(value, tuple) else (data_type, value)


def cached_property_reduction(_: Any, made: functools.cached_property[Any]) -> Any:
    return rebuild.cached_property, (made.func, made.attrname)
