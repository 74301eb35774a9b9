"""
The functions that streams name: what the receiver runs to rebuild what travelled by value.

Their names and arguments are a stored format, for items outlive processes. Nothing here runs code of the sender's
while a class is being put together: no metaclass, no `__init_subclass__`, no `__set_name__`, no `__init__`. A class
is first an empty skeleton that others can refer to, then gets its functions, then their globals, then its data.
"""

from __future__ import annotations

import functools
import importlib
import pickle
import sys
import zlib
from abc import ABCMeta
from collections.abc import Callable, Iterable
from enum import EnumMeta
from types import CellType, CodeType, FunctionType, MethodType
from typing import Any

from groupqueue.serializers.identity import Header, adopt, find, known, remember
from groupqueue.serializers.lazydill import create_code, create_function, dill

CODE = str(sys.implementation.cache_tag)
"""Who can run code of this interpreter."""

RELEASE = f"{sys.implementation.name}-{'.'.join(map(str, sys.version_info[:3]))}"
"""Whose `enum` has the same tables inside of a class: they changed with some bug fixes too."""

_HEAP_TYPE = 1 << 9
_HOOKS_OF_TYPING = {"typing", "typing_extensions"}


# Definitions and their identity


def definition(
    key: bytes, origin: str, qualname: str, shape: bytes, version: bytes, blob: bytes, runtime: str = ""
) -> Any:
    """A class or function that a name leads to: this process's, or the one in `blob`, which is read only if need be.

    `runtime` is what the blob requires; it may refer to things that only that has.
    """
    header = Header(key, origin, qualname, shape)
    found = find(header)
    if found is not None and (found[0].own or (version and found[0].version == version)):
        return found[1]
    if runtime not in ("", CODE, RELEASE):
        raise pickle.UnpicklingError(
            f"the definition of {qualname} that the item brings is for {runtime}, this is {_like(runtime)}: what both "
            "are to have belongs into a module that both import"
        )
    obj = pickle.loads(zlib.decompress(blob))
    if not isinstance(obj, type) and origin:
        remember(obj, header)
    return obj


def _like(runtime: str) -> str:
    return RELEASE if "." in runtime else CODE


def same_class(*header: Any) -> Any:
    """Stands for another class in a pickle that is only made for its digest."""
    return header


def singleton(key: bytes, origin: str, qualname: str, shape: bytes, factory: Callable[..., Any], *args: Any) -> Any:
    """An object that is known by its name, such as a type variable or a sentinel: one for all items that bring it."""
    header = Header(key, origin, qualname, shape)
    found = find(header)
    return found[1] if found is not None else adopt(factory(*args), header)


def fill_singleton(obj: Any, state: dict[str, Any]) -> None:
    record = known(obj)
    if record is not None and not record.own and record.version is None:
        vars(obj).update(state)
        record.version = b"complete"


# Functions


def code(runtime: str, *args: Any) -> CodeType:
    if runtime != CODE:
        raise pickle.UnpicklingError(f"the item brings code of {runtime}, this is {CODE}")
    return create_code(*args)


def function(code: CodeType, namespace: dict[str, Any], name: str, closure: tuple[CellType, ...] | None) -> Any:
    return create_function(code, namespace, name, None, closure)


def fill_function(func: FunctionType, state: dict[str, Any]) -> None:
    for module_name in state.pop("imports", ()):
        importlib.import_module(module_name)
    func.__globals__.update(state.pop("globals", ()))
    for cell, content in state.pop("cells", ()):
        cell.cell_contents = content
    vars(func).update(state.pop("__dict__", ()))
    for name, value in state.items():
        setattr(func, name, value)


def cell() -> CellType:
    return CellType()


def module_globals(name: str) -> dict[str, Any]:
    return vars(importlib.import_module(name))


def cached(func: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(func)


def cached_property(func: Callable[..., Any], name: str | None) -> Any:
    made = functools.cached_property(func)
    made.attrname = name
    return made


def descriptor(kind: type, base: Any, *args: Any) -> Any:
    made = base.__new__(kind)
    base.__init__(made, *args)
    return made


# Classes


class Quiet:
    """Put before the bases of a class that is being rebuilt, so that no `__init_subclass__` of theirs is called."""

    __slots__ = ()

    def __init_subclass__(cls, **_: Any) -> None:
        pass


class QuietWithDict:
    """`Quiet`, in the memory layout of an ordinary class."""

    def __init_subclass__(cls, **_: Any) -> None:
        pass


def skeleton(
    key: bytes,
    origin: str,
    qualname: str,
    shape: bytes,
    meta: type,
    name: str,
    bases: tuple[type, ...],
    namespace: dict[str, Any],
) -> Any:
    header = Header(key, origin, qualname, shape)
    found = find(header)
    if found is not None:
        return found[1]
    cls = _new_class(meta, name, bases, namespace)
    if isinstance(cls, ABCMeta):
        cls.__abstractmethods__ = frozenset()  # of the real ones, `fill_class` learns
    return adopt(cls, header)


def attach(cls: type, attributes: dict[str, Any]) -> dict[str, Any]:
    """Gives a new class its functions, which are not complete yet, and simple data. Returns them."""
    if not _is_settled(cls):
        for name in attributes.keys() - vars(cls).keys():
            type.__setattr__(cls, name, attributes[name])
    return attributes


def fill_class(cls: type, state: tuple[dict[str, Any], list[None], dict[str, Any], list[type], bytes]) -> None:
    """The last step: sets everything. By now the functions are complete, so no thread meets an incomplete one."""
    functions, _, attributes, virtual, version = state
    record = known(cls)
    if record is None or record.version == version or _is_settled(cls):
        return
    for name, value in {**functions, **attributes}.items():
        type.__setattr__(cls, name, value)
    for subclass in virtual:
        ABCMeta.register(cls, subclass)  # type: ignore[arg-type]
    record.version = version


def enum_member(cls: Any, name: str) -> Any:
    return cls._member_map_[name]


def raw_member(cls: Any, name: Any, data_type: Any, *args: Any) -> Any:
    """A member for the inside of its own class, which knows no members yet; the same one for every thread."""
    record = known(cls)
    if record is None or record.own:
        return cls._member_map_[name] if isinstance(name, str) else cls(name)
    return record.members.setdefault(name, data_type.__new__(cls, *args))


def fill_member(member: Any, state: dict[str, Any]) -> None:
    if not _is_settled(type(member)):
        vars(member).update(state)


def _is_settled(cls: type) -> bool:
    """Whether nothing may change this class any more: it is this process's own, or an enum that is complete."""
    record = known(cls)
    return record is None or record.own or (record.version is not None and isinstance(cls, EnumMeta))


def _new_class(meta: type, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> type:
    create: Callable[..., type] = functools.partial(builtin_new(meta), meta, name)
    owners = {base for root in bases for base in root.__mro__ if "__init_subclass__" in vars(base)} - {object}
    if all(owner.__module__ in _HOOKS_OF_TYPING for owner in owners):
        return create(bases, namespace)
    for quiet in (QuietWithDict, Quiet):
        cls = create((quiet, *bases), dict(namespace))
        try:
            type.__setattr__(cls, "__bases__", bases)
        except TypeError:  # the layout does not allow it
            continue
        return cls
    return cls  # with one base more than it had


def instance(cls: type) -> Any:
    """An object of a class that may be incomplete."""
    return builtin_new(cls)(cls)


def builtin_new(cls: type) -> Any:
    """The `__new__` of `cls`, passing over those that are Python code."""
    for base in cls.__mro__:
        if base is ABCMeta or ("__new__" in vars(base) and not isinstance(vars(base)["__new__"], staticmethod)):
            return base.__new__
    return object.__new__


# Methods, exceptions, modules, types, and what dill rebuilds


def method(func: Callable[..., Any], instance: Any) -> MethodType:
    return MethodType(func, instance)


def exception(cls: type[BaseException], *args: Any) -> BaseException:
    """An exception with these `args`, without calling an `__init__` of the program's, which may want others."""
    base: Any = next(base for base in cls.__mro__ if not base.__flags__ & _HEAP_TYPE)
    made: BaseException = base.__new__(cls, *args)
    base.__init__(made, *args)
    return made


def module(name: str) -> Any:
    return importlib.import_module(name)


def call(factory: Callable[..., Any], args: Iterable[Any], kwargs: dict[str, Any]) -> Any:
    return factory(*args, **kwargs)


def builtin_type(name: str) -> Any:
    return dill()._load_type(name)


def from_dill(name: str) -> Any:
    return getattr(dill(), name)
