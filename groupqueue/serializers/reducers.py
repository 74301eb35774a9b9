"""
How objects of particular types travel: those that dill knows, and those whose own reduction would not survive.

Not in this table and refused by C pickle means refused: locks, files, sockets, generators, frames, memoryviews, and
dill's ways with the first two.
"""

from __future__ import annotations

import copyreg
import functools
import pickle
import sys
import types
import typing
import weakref
from collections import OrderedDict
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from groupqueue.serializers import rebuild
from groupqueue.serializers.classes import Attachment, Completion, cached_property_reduction
from groupqueue.serializers.functions import ImportedNamespace, code_args
from groupqueue.serializers.identity import is_importable
from groupqueue.serializers.lazydill import dill
from groupqueue.serializers.shapes import LRU_CACHE, outline_of

if TYPE_CHECKING:
    from groupqueue.serializers.byvalue import Pickler


class _Capture:
    """Takes the place of dill's pickler and keeps the reduction that one of dill's savers wants to be saved."""

    reduction: tuple[Any, ...]

    def save_reduce(self, *reduction: Any, **_: Any) -> None:
        self.reduction = reduction


def _by_dill(_: Pickler, obj: Any) -> Any:
    capture = _Capture()
    dill().Pickler.dispatch[type(obj)](capture, obj)
    return capture.reduction


def _method(_: Pickler, method: types.MethodType) -> Any:
    name = method.__func__.__name__
    if getattr(method.__self__, name, None) == method:
        return getattr, (method.__self__, name)
    return rebuild.method, (method.__func__, method.__self__)


def _cached(_: Pickler, wrapper: Any) -> Any:
    parameters = wrapper.cache_parameters()
    return rebuild.cached, (wrapper.__wrapped__, parameters["maxsize"], parameters["typed"])


def _code(pickler: Pickler, code: types.CodeType) -> Any:
    if pickler.only_root:
        return rebuild.code, (outline_of(code),)
    pickler.requires.add(rebuild.CODE)
    return rebuild.code, code_args(code)


def _cell(pickler: Pickler, cell: types.CellType) -> Any:
    if id(cell) not in pickler.cells:
        raise pickle.PicklingError("a cell travels with its function only")
    return rebuild.cell, ()


def _weak_proxy(_: Pickler, __: Any) -> Any:
    raise pickle.PicklingError("a weak proxy cannot be told from what it refers to")


def _global(name: str, _: Pickler, __: Any) -> str:
    return name


def _type_variable(pickler: Pickler, variable: Any) -> Any:
    name = variable.__name__
    if is_importable(variable):
        return name
    args: list[Any] = [name]
    kwargs: dict[str, Any] = {}
    if isinstance(variable, typing.TypeVar):
        args += variable.__constraints__
    for option in ("bound", "covariant", "contravariant", "infer_variance"):
        if value := getattr(variable, f"__{option}__", None):
            kwargs[option] = value
    if getattr(variable, "has_default", bool)():
        kwargs["default"] = variable.__default__
    return rebuild.singleton, (*pickler.header(variable, name), rebuild.call, type(variable), args, kwargs)


def _type_alias(pickler: Pickler, alias: Any) -> Any:
    if is_importable(alias):
        return alias.__name__
    kwargs = {"type_params": alias.__type_params__}
    args = [alias.__name__, alias.__value__]
    return rebuild.singleton, (*pickler.header(alias, alias.__name__), rebuild.call, type(alias), args, kwargs)


def _weak_mapping(_: Pickler, mapping: Any) -> Any:
    return type(mapping), (dict(mapping),)


def _weak_set(_: Pickler, elements: Any) -> Any:
    return weakref.WeakSet, (list(elements),)


def descriptor_reduction(descriptor: Any) -> Any:
    """Of a property, staticmethod or classmethod, or of a class derived from them."""
    if isinstance(descriptor, property):
        args: tuple[Any, ...] = (property, descriptor.fget, descriptor.fset, descriptor.fdel, descriptor.__doc__)
    else:
        base = staticmethod if isinstance(descriptor, staticmethod) else classmethod
        args = (base, descriptor.__func__)
    return rebuild.descriptor, (type(descriptor), *args), getattr(descriptor, "__dict__", None) or None


def is_plain(kind: Any) -> bool:
    """Whether nothing about the reduction of this type's objects is its own."""
    return (
        kind.__reduce_ex__ is object.__reduce_ex__
        and kind.__reduce__ is object.__reduce__
        and kind not in copyreg.dispatch_table
        and type(kind.__new__) is not FunctionType
    )


def checked(kind: type, reduction: Any, in_blob: bool) -> Any:
    """An object's own reduction, unless it is sure to fail in the receiver.

    Within a blob the class may still be incomplete, and a `__new__` of the program's (of a singleton, say) not fit to
    be run.
    """
    if type(reduction) is not tuple or len(reduction) < 2:
        return reduction  # the pickler says what is wrong with it
    callee, args = reduction[:2]
    if issubclass(kind, BaseException) and callee is kind:
        return _exception(kind, reduction)
    if callee is copyreg.__newobj__:  # type: ignore[attr-defined]
        new: Any = kind.__new__
        if type(new) is FunctionType and len(args) < new.__code__.co_argcount - len(new.__defaults__ or ()):
            raise pickle.PicklingError(f"{kind.__qualname__}.__new__ needs arguments: define __getnewargs__")
        if in_blob and type(new) is FunctionType and len(args) == 1 and not is_importable(kind):
            return rebuild.instance, *reduction[1:]
    return reduction


def _exception(kind: type[BaseException], reduction: tuple[Any, ...]) -> Any:
    """An exception would be rebuilt by `kind(*args)`, but `args` need not be what a Python `__init__` takes."""
    python: list[Any] = [type(getattr(kind, name)) is FunctionType for name in ("__init__", "__new__")]
    own = [type(getattr(kind, name)) is FunctionType for name in ("__reduce__", "__reduce_ex__")]
    if not any(python) or any(own):
        return reduction
    rebuild.exception(kind, *reduction[1])
    return rebuild.exception, (kind, *reduction[1]), *reduction[2:]


def _table() -> dict[type, Callable[[Any, Any], Any]]:
    mappings: tuple[dict[Any, Any], ...] = ({}, OrderedDict())
    views = [getattr(mapping, view)() for mapping in mappings for view in ("keys", "values", "items")]
    by_dill = [types.MappingProxyType, super, weakref.ref, *map(type, views)]
    table: dict[type, Callable[[Any, Any], Any]] = dict.fromkeys(by_dill, _by_dill)
    table |= {
        Attachment: lambda _, call: (rebuild.attach, (call.cls, call.attributes)),
        Completion: lambda _, call: (rebuild.fill_function, (call.func, call.state)),
        ImportedNamespace: lambda _, space: (rebuild.module_globals, (space.name,)),
        types.CodeType: _code,
        types.CellType: _cell,
        types.MethodType: _method,
        LRU_CACHE: _cached,
        functools.cached_property: cached_property_reduction,
        weakref.WeakKeyDictionary: _weak_mapping,
        weakref.WeakValueDictionary: _weak_mapping,
        weakref.WeakSet: _weak_set,
        weakref.ProxyType: _weak_proxy,
        weakref.CallableProxyType: _weak_proxy,
    }
    for name in ("TypeVar", "ParamSpec", "TypeVarTuple"):
        if hasattr(typing, name):
            table[getattr(typing, name)] = _type_variable
    if hasattr(typing, "TypeAliasType"):
        table[typing.TypeAliasType] = _type_alias
    return table


REDUCERS = _table()


def know_dataclasses() -> None:
    """Adds what `dataclasses` has, once the program has imported it."""
    dataclasses = sys.modules.get("dataclasses")
    if dataclasses is None or type(getattr(dataclasses, "MISSING", None)) in REDUCERS:
        return
    for name in ("KW_ONLY", "_HAS_DEFAULT_FACTORY", "MISSING"):  # sentinels, compared by identity
        if hasattr(dataclasses, name):
            REDUCERS[type(getattr(dataclasses, name))] = functools.partial(_global, name)
    if hasattr(dataclasses, "_FIELD_BASE"):
        REDUCERS[dataclasses._FIELD_BASE] = lambda _, field: field.name
