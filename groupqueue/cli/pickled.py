"""
What a pickle says that it is, read without running anything of it.

The opcodes are followed with stand-ins in the place of objects: names for what is looked up, and for what a call or a
class would make. What is on the stack at the end is what the pickle would have become.
"""

from __future__ import annotations

import pickletools
from typing import Any, NamedTuple

_REBUILD = "groupqueue.serializers.rebuild."
_NAMED = frozenset(_REBUILD + name for name in ("definition", "skeleton", "singleton"))
_OF_CLASS = frozenset(
    [f"copyreg.{name}" for name in ("_reconstructor", "__newobj__", "__newobj_ex__")]
    + ["copy_reg._reconstructor"]
    + [_REBUILD + name for name in ("instance", "exception", "enum_member", "raw_member")]
)
_GETATTR = frozenset(("builtins.getattr", "__builtin__.getattr"))
_MAX_OPCODES = 1_000_000


class _Global(NamedTuple):
    """A class or function, by its qualified name."""

    name: str


class _Instance(NamedTuple):
    name: str


class _Attribute(NamedTuple):
    """Of a class: a member, if it is an enum (as some versions of Python pickle them), or a class that it contains."""

    owner: str
    attribute: str

    @property
    def name(self) -> str:
        return f"{self.owner}.{self.attribute}"


class _Mark:
    pass


def type_name(payload: bytes) -> str:
    """'shop.Order', 'dict', 'definition of shop.bill'; '' if these bytes do not tell."""
    try:
        top = _follow(payload)
    except Exception:  # noqa: BLE001 - whatever is wrong with them, they do not tell
        return ""
    if isinstance(top, _Global):
        return f"definition of {top.name}"
    if isinstance(top, _Attribute):
        return top.owner
    return top.name if isinstance(top, _Instance) else type(top).__name__


def _follow(payload: bytes) -> Any:
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    argument: Any
    for count, (opcode, argument, _) in enumerate(pickletools.genops(payload)):
        name = opcode.name
        if count > _MAX_OPCODES:
            raise ValueError("too long to be followed")
        if name == "STOP":
            return stack.pop()
        if name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name.endswith("PUT"):
            memo[int(argument)] = stack[-1]
        elif name.endswith("GET"):
            stack.append(memo[int(argument)])
        elif name == "MARK":
            stack.append(_Mark())
        else:
            _step(opcode, argument, stack)
    raise ValueError("it does not end")


def _step(opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Any]) -> None:
    name = opcode.name
    if name == "GLOBAL":
        stack.append(_Global(argument.replace(" ", ".")))
    elif name == "STACK_GLOBAL":
        qualname, module = stack.pop(), stack.pop()
        stack.append(_Global(f"{module}.{qualname}"))
    elif name == "INST":
        _pop_to_mark(stack)
        stack.append(_Instance(argument.replace(" ", ".")))
    elif name == "OBJ":
        stack.append(_made_by(_pop_to_mark(stack)[0], ()))
    elif name in ("REDUCE", "NEWOBJ", "NEWOBJ_EX"):
        arguments = [stack.pop() for _ in opcode.stack_before[1:]]
        stack.append(_made_by(stack.pop(), arguments[-1]))
    elif name.startswith("TUPLE") or name == "EMPTY_TUPLE":
        size = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}.get(name)
        values = _pop_to_mark(stack) if size is None else [stack.pop() for _ in range(size)][::-1]
        stack.append(tuple(values))
    elif name == "DUP":
        stack.append(stack[-1])
    else:
        _step_by_effect(opcode, argument, stack)


def _step_by_effect(opcode: pickletools.OpcodeInfo, argument: Any, stack: list[Any]) -> None:
    """Every other opcode pushes a constant, makes a container, or puts something into the one below."""
    before, after = opcode.stack_before, opcode.stack_after
    if pickletools.markobject in before:
        _pop_to_mark(stack)
        popped = [stack.pop() for _ in before[: before.index(pickletools.markobject)]]
    else:
        popped = [stack.pop() for _ in before]
    if not after:
        return
    if isinstance(argument, str) and "UNICODE" in opcode.name:
        stack.append(argument)
    elif popped and opcode.name not in ("BINPERSID", "READONLY_BUFFER"):
        stack.append(popped[-1])
    else:
        stack.append(_Instance(after[0].name))


def _made_by(callable_: Any, arguments: Any) -> Any:
    name = callable_.name
    if name in _NAMED:
        return _Global(f"__main__.{arguments[2]}")
    if name in _GETATTR and isinstance(arguments[0], _Global):
        return _Attribute(arguments[0].name, arguments[1])
    if name in _OF_CLASS:
        name = arguments[0].name
    return _Instance(name)


def _pop_to_mark(stack: list[Any]) -> list[Any]:
    popped = []
    while not isinstance(top := stack.pop(), _Mark):
        popped.append(top)
    return popped[::-1]
