"""
What a function is made of. dill makes the code object and the function; which globals travel with it is decided here,
by what its code loads: dill's own search misses recursion among functions and takes attribute names for globals.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from functools import lru_cache
from operator import attrgetter
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

from groupqueue.serializers import rebuild
from groupqueue.serializers.identity import MAINS
from groupqueue.serializers.shapes import content_of

if TYPE_CHECKING:
    from groupqueue.serializers.byvalue import Pickler

_GLOBAL_OPS = {"LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"}
_EMPTY = object()
_ATTRIBUTES = ("__qualname__", "__doc__", "__defaults__", "__kwdefaults__", "__annotations__", "__type_params__")


class ImportedNamespace:
    """Stands for the globals of an importable module."""

    def __init__(self, name: str) -> None:
        self.name = name


@lru_cache(maxsize=4096)
def global_names(code: CodeType) -> tuple[str, ...]:
    """The global names that this code, and the code within it, loads or stores."""
    names = {instruction.argval for instruction in dis.get_instructions(code) if instruction.opname in _GLOBAL_OPS}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names.update(global_names(constant))
    return tuple(sorted(names))


def code_args(code: CodeType) -> tuple[Any, ...]:
    """What `rebuild.code` takes: whose code it is, and the arguments of the code type there."""
    return (rebuild.CODE, *_code_parts(code))


_CODE_PARAMETERS = """
    argcount posonlyargcount kwonlyargcount nlocals stacksize flags code consts names varnames filename name qualname
    firstlineno linetable exceptiontable freevars cellvars
"""
_code_parts = attrgetter(*(f"co_{name}" for name in _CODE_PARAMETERS.split() if hasattr(CodeType, f"co_{name}")))


def function_parts(pickler: Pickler, func: FunctionType) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of `rebuild.function` and the state of `rebuild.fill_function`."""
    namespace = _namespace(pickler, func)
    state: dict[str, Any] = {
        name: value for name in _ATTRIBUTES if (value := getattr(func, name, None)) or name == "__doc__"
    }
    state["__module__"] = "__main__" if func.__module__ in MAINS else func.__module__
    if vars(func):
        state["__dict__"] = vars(func)
    if func.__closure__:
        contents = ((cell, content_of(cell, _EMPTY)) for cell in func.__closure__)
        state["cells"] = [(cell, content) for cell, content in contents if content is not _EMPTY]
        pickler.cells.update(map(id, func.__closure__))
    names: tuple[str, ...] = ()
    if not isinstance(namespace, ImportedNamespace):
        names = global_names(func.__code__)
        found = {name: func.__globals__[name] for name in names if name in func.__globals__}
        found.pop("__name__", None)
        found.pop("__builtins__", None)
        state["globals"] = found
        imports = list(_submodules(func.__code__, found))
        if imports:
            state["imports"] = imports
    if pickler.snapshot is not None:
        pickler.snapshot.function(func, names)
    return (func.__code__, namespace, func.__name__, func.__closure__), state


def _namespace(pickler: Pickler, func: FunctionType) -> Any:
    """One object for all functions of these globals in this pickle; each function's state adds what it uses."""
    space = func.__globals__
    made = pickler.namespaces.get(id(space))
    if made is None:
        name = space.get("__name__")
        if isinstance(name, str) and name not in MAINS and getattr(sys.modules.get(name), "__dict__", None) is space:
            made = ImportedNamespace(name)
        else:
            made = {"__name__": "__main__" if name in MAINS else name}
        pickler.namespaces[id(space)] = made
    return made


def _submodules(code: CodeType, found: dict[str, Any]) -> Iterator[str]:
    """Modules like `xml.dom`, where the code says `xml.dom.x` and the global is only `xml`."""
    packages = [module.__name__ for module in found.values() if hasattr(module, "__path__")]
    if packages:
        used = set(_attribute_names(code))
        for name in list(sys.modules):
            for package in packages:
                if name.startswith(package + ".") and used.issuperset(name[len(package) + 1 :].split(".")):
                    yield name


def _attribute_names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _attribute_names(constant)
