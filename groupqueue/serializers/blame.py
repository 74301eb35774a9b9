"""
Where in an object the part is that cannot travel: a walk over what pickling would have reached, for the message only.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from groupqueue.serializers.functions import global_names
from groupqueue.serializers.identity import is_importable
from groupqueue.serializers.shapes import content_of

_VISITED_AT_MOST = 200_000
_PATH_AT_MOST = 300
_KEYS = (str, bytes, int, float, bool, type(None))
_LEAVES = frozenset({*_KEYS, complex, bytearray, CodeType, ModuleType})

Edge = tuple[str, Any]


class Refused(Exception):
    """`culprit` cannot travel; why is the `__cause__`."""

    def __init__(self, culprit: Any) -> None:
        self.culprit = culprit


def explain(root: Any, refused: Refused) -> str:
    culprit, cause = refused.culprit, refused.__cause__
    if issubclass(type(culprit), type):
        what = f"cannot pickle class {_full_name(culprit)!r}"
    else:
        what = f"cannot pickle {_full_name(type(culprit))!r} object"
    path = path_to(root, culprit)
    where = f"at {path}" if path is not None else f"somewhere in obj ({_full_name(type(root))})"
    why = str(cause)
    return f"{what} {where}" if not why or why.startswith("cannot pickle") else f"{what} {where}: {why}"


def _full_name(kind: type) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def path_to(root: Any, culprit: Any) -> str | None:
    """The shortest path from `obj`, written as one would in Python; `{}` in an edge is what it goes out from."""
    if root is culprit:
        return "obj"
    queue: deque[tuple[str, Any]] = deque([("obj", root)])
    seen: dict[int, Any] = {}
    while queue and len(seen) < _VISITED_AT_MOST:
        path, obj = queue.popleft()
        try:
            for edge, child in _edges(obj):
                if child is culprit:
                    found = edge.replace("{}", path, 1)
                    return found if len(found) <= _PATH_AT_MOST else f"{found[:140]} ... {found[-140:]}"
                if id(child) not in seen and type(child) not in _LEAVES:
                    seen[id(child)] = child
                    queue.append((edge.replace("{}", path, 1), child))
        except Exception:  # noqa: BLE001 - the program's code runs in there
            continue
    return None


def _edges(obj: Any) -> Iterator[Edge]:
    if isinstance(obj, FunctionType):
        yield from _function_edges(obj)
    elif isinstance(obj, type):
        yield from _class_edges(obj)
    else:
        yield from _container_edges(obj)
        yield from _wrapper_edges(obj)
        yield from _attribute_edges(obj)
        if not is_importable(type(obj)):
            yield "type({})", type(obj)


def _container_edges(obj: Any) -> Iterator[Edge]:
    if isinstance(obj, dict):
        for key, value in list(dict.items(obj)):
            shown = repr(key)[:60] if isinstance(key, _KEYS) else f"<{type(key).__qualname__}>"
            yield f"{{}}[{shown}]", value
            if not isinstance(key, _KEYS):
                yield f"{{}}.keys()[{shown}]", key
    elif isinstance(obj, (list, tuple, deque)):
        for index, value in enumerate(obj):
            yield f"{{}}[{index}]", value
    elif isinstance(obj, (set, frozenset)):
        for index, value in enumerate(obj):
            yield f"list({{}})[{index}]", value


def _wrapper_edges(obj: Any) -> Iterator[Edge]:
    if isinstance(obj, MethodType):
        yield "{}.__self__", obj.__self__
        yield "{}.__func__", obj.__func__
    elif isinstance(obj, functools.partial):
        yield "{}.func", obj.func
        yield "{}.args", obj.args
        yield "{}.keywords", obj.keywords
    elif isinstance(obj, property):
        for name in ("fget", "fset", "fdel"):
            yield f"{{}}.{name}", getattr(obj, name)
    elif isinstance(obj, (staticmethod, classmethod)):
        yield "{}.__func__", obj.__func__


def _attribute_edges(obj: Any) -> Iterator[Edge]:
    for name, value in list(getattr(obj, "__dict__", {}).items()):
        yield f"{{}}.{name}", value
    for cls in type(obj).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__"):
                name = f"_{cls.__name__.lstrip('_')}{name}" if name.startswith("__") and name[-2:] != "__" else name
                if hasattr(obj, name):
                    yield f"{{}}.{name}", getattr(obj, name)


def _function_edges(func: FunctionType) -> Iterator[Edge]:
    if is_importable(func):
        return
    for name, cell in zip(func.__code__.co_freevars, func.__closure__ or ()):
        yield f"{{}}.__closure__[{name!r}]", content_of(cell)
    yield "{}.__defaults__", func.__defaults__
    yield "{}.__kwdefaults__", func.__kwdefaults__
    yield from ((f"{{}}.{name}", value) for name, value in vars(func).items())
    for name in global_names(func.__code__):
        if name in func.__globals__:
            yield f"{{}}.__globals__[{name!r}]", func.__globals__[name]


def _class_edges(cls: type) -> Iterator[Edge]:
    if is_importable(cls):
        return
    yield from ((f"{{}}.{name}", value) for name, value in list(vars(cls).items()))
    yield from ((f"{{}}.__bases__[{index}]", base) for index, base in enumerate(cls.__bases__))
    yield "type({})", type(cls)
