"""
Whatever a script's `__main__` defines is usable where another `__main__` runs: here, the test runner's.

The producer is `scripts/zoo.py`; each check below gets one of its animals.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import pickle
import pickletools
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from groupqueue.serializers import default_serializer
from tests.serializers.processes import SCRIPTS, run, write

serializer = default_serializer()


@pytest.fixture(scope="module")
def zoo() -> dict[str, bytes]:
    animals: dict[str, bytes] = pickle.loads(run(SCRIPTS / "zoo.py", "dump"))
    return animals


def refuses(kind: type[Exception], call: Callable[[], Any]) -> bool:
    with pytest.raises(kind):
        call()
    return True


CHECKS: dict[str, Callable[[Any], Any]] = {
    "even": lambda f: f(10) and not f(7),
    "with_modules": lambda f: f(1) == ("1", "a/b", "a"),
    "with_everything": lambda f: (
        f(1, 2, z="z") == "1 (2,) 4 {'z': 'z'} 3"
        and f.colour == "red"
        and f.__doc__ == "Documented."
        and f.__annotations__["k"] == "int"
        and f.__module__ == "__main__"
        and f.__qualname__ == "with_everything"
    ),
    "table": lambda f: f() == {"a": [1, 2]} and f() is f(),
    "counter": lambda f: (f(), f()) == (1, 2),
    "recursive_closure": lambda f: f(5) == 120,
    "empty_cell": lambda f: refuses(NameError, f),
    "shared_list": lambda pair: pair[1]() is pair[0],
    "decorated": lambda f: f(1) == ("deco", 4) and f.__name__ == "decorated" and f.__wrapped__(1) == 4,
    "fib": lambda f: f(40) == 102334155 and f.cache_info().hits > 0,
    "dispatch": lambda f: (f(1), f("")) == ("int", "object"),
    "generate": lambda f: list(f(3)) == [0, 3, 6],
    "coroutine": lambda f: asyncio.run(f(5)) == 15,
    "by_partial": lambda f: f(3) == 3,
    "partial": lambda f: f() == "1 () 2 {} 3",
    "exec_function": lambda f: f() == 6,
    "lambda": lambda f: f(1) == 4,
    "nested_lambda": lambda f: f() == [3, 4],
    "base": lambda o: (o.hello(), o.tag, repr(type(o))) == ("hello 1 3", "base", "<class '__main__.Base'>"),
    "sub": lambda o: (
        (o.hello(), o.double, o.is_even(4), o.cached, o.costly()) == ("hello 1 3 sub", 2, True, 3, 1)
        and o.make() == o
        and {o: 1}[o.make()] == 1
        and setattr(o, "double", 8) is None
        and o.x == 4
    ),
    "sub_class": lambda c: c(5, 6).hello() == "hello 5 3 sub" and c.__mro__[1].__name__ == "Base",
    "bound_method": lambda f: f() == "hello 3 3 sub",
    "class_method": lambda f: f().x == 1,
    "static_method": lambda f: f(4),
    "plain_method": lambda f: f(f.__globals__["__builtins__"] and f.__closure__[0].cell_contents(1, 2))[-3:] == "sub",
    "slots": lambda o: (o.a, o.hidden(), hasattr(o, "__dict__")) == (1, 2, False) and refuses_attribute(o),
    "with_meta": lambda o: type(o)().by_meta and o.added == "WithMetaToo" and type(type(o)).__name__ == "Meta",
    "plugin": lambda o: o.names() == (["a", "g"], "a") and [c.__name__ for c in type(o).__mro__][1] == "Plugin",
    "generic_plugin": lambda o: o.plugin_name == "g" and type(o)[int] is not None,
    "concrete": lambda o: o.f() == "concrete" and refuses(TypeError, type(o).__mro__[1]),
    "abstract": lambda pair: isinstance(pair[1], pair[0]),
    "implementation": lambda o: o.f() == "implementation",
    "box": lambda o: o.value == 3 and type(o)[int](1).value == 1,
    "int_box": lambda o: o.value == 4 and o.__orig_bases__[0].__args__ == (int,),
    "alias_box": lambda o: o.__orig_class__.__args__ == (int,),
    "alias": lambda a: a.__args__[1].__origin__.__name__ == "Box",
    "options": lambda c: c(a=1) == {"a": 1} and c.__optional_keys__ == {"a"},
    "words": lambda o: o.add("x") == {"abc": 3, "x": 1},
    "number": lambda n: n.next() == 4 and n == 3,
    "descriptor": lambda o: o.field == "got field",
    "makes": lambda o: type(o.other().makes()) is type(o),
    "node": lambda o: o.children[0].parent() is o,
    "key": lambda o: o.find() == ("one", "uno") and type(o)(1).find() == ("one", "uno"),
    "reduced": lambda o: o.x == 3,
    "states": lambda o: o.got == {"kept": 1},
    "new_args": lambda o: o.value == 3,
    "missing": lambda o: type(o).__name__ == "Sentinel",
    "is_missing": lambda animals: animals[2](*animals[:2]),
    "singleton": lambda o: type(o)() is o,
    "tagged": lambda o: (o.tag, o.value) == (3, 1),
    "inner": lambda o: o.name() == "Outer.Inner",
    "ordered": lambda o: o >= type(o)(0),
    "local": lambda o: o.get() == (7, type(o)),
    "type_variable": lambda t: t.__name__ == "T",
    "new_type": lambda t: t(3) == 3 and t.__supertype__ is int,
    "data": lambda o: (
        (o.total(), repr(o), type(o)(5).b, o == type(o)(1, [2])) == (5, "Data(a=1, b=[2])", [], True)
        and [field.name for field in dataclasses.fields(o)] == ["a", "b"]
        and dataclasses.asdict(dataclasses.replace(o, a=9)) == {"a": 9, "b": [2]}
    ),
    "more_data": lambda o: (
        (o.c, o.total(), o.e, dataclasses.fields(o)[2].metadata["unit"]) == (6, 4, 7, "s")
        and [field.name for field in dataclasses.fields(o)] == ["a", "b", "c"]
    ),
    "frozen": lambda o: (
        {o: 1}[type(o)(1)] == 1
        and o < type(o)(2)
        and refuses(dataclasses.FrozenInstanceError, lambda: setattr(o, "a", 1))
    ),
    "slotted": lambda o: o == type(o)(a=1) and not hasattr(o, "__dict__") and hash(o) == hash(type(o)(a=1)),
    "typed": lambda o: o.total() == 4 and o._replace(x=7) == (7, 3) and type(o)(5)._asdict() == {"x": 5, "y": 3},
    "point": lambda o: (o.x, o.y) == (1, 9) and type(o)(2) == (2, 9) and repr(o) == "Point(x=1, y=9)",
    "color": lambda o: (
        (o.nice(), o.value, type(o)(2).name, type(o)["RED"] is o, type(o).ROUGE is o)
        == ("red" * 3, 1, "GREEN", True, True)
        and list(type(o)) == [o, type(o).GREEN]
        and {o: 1}[type(o)(1)] == 1
    ),
    "color_class": lambda c: [member.name for member in c] == ["RED", "GREEN"] and refuses(ValueError, lambda: c(9)),
    "int_enum": lambda o: (o + 1, o == 2, type(o)(1).name) == (3, True, "ONE"),
    "text": lambda o: o == "a" and o.upper() == "A" and type(o)("a") is o,
    "new_text": lambda c: c("alpha") if hasattr(c, "ALPHA") else c("a"),
    "flag": lambda o: (
        o is type(o).R | type(o).X and type(o).W not in o and ~o == type(o).W and o ^ type(o).R is type(o).X
    ),
    "named_flag": lambda o: o.name == "RW" and o is type(o).R | type(o).W,
    "int_flag": lambda o: o == 3 and o & 1 is type(o).R,
    "coordinate": lambda o: (o.label, o.value, bytes(o), type(o)(0).label) == ("py", 1, b"\1", "px"),
    "planet": lambda o: (o.sum, type(o)((9, 9)).name) == (3.0, "MARS"),
    "day": lambda o: (o.year, o.name, o.value) == (2020, "FIRST", datetime.date(2020, 1, 1)),
    "colored": lambda o: o.color in o.colors and len(o.colors) == 2 and type(o)() == o,
    "simple_error": lambda e: e.args == ("a", 1),
    "custom_error": lambda e: (
        (str(e), e.a, e.args, str(type(e)(5, 6))) == ("custom 1 2", 1, ("custom 1 2",), "custom 5 6")
    ),
    "raised_error": lambda e: e.b == 2,
    "silent_error": lambda e: e.code == 3 and isinstance(e, ValueError),
    "file_error": lambda e: (e.errno, e.filename, e.path) == (2, "/nowhere", "/nowhere"),
    "mixture": lambda o: o[0].hello() and o[1]["color"].value == 2 and o[2][0] != o[2][1] and o[3](2),
    "keys": lambda keys: [key.name for key in keys] == ["RED"],
    "view": lambda items: [(key.name, value.a) for key, value in items] == [("RED", 1)],
}
if sys.version_info >= (3, 12):
    CHECKS["new_generic"] = lambda o: o.get(3) == 3 and type(o)[int] is not None
    CHECKS["new_alias"] = lambda alias: alias.__value__.__origin__ is list


def refuses_attribute(obj: Any) -> bool:
    return refuses(AttributeError, lambda: setattr(obj, "unknown", 1))


@pytest.mark.parametrize("name", CHECKS)
def test_arrives_usable(zoo: dict[str, bytes], name: str) -> None:
    assert CHECKS[name](serializer.loads(memoryview(zoo[name])))


def test_nothing_is_left_unchecked(zoo: dict[str, bytes]) -> None:
    assert set(zoo) == set(CHECKS)


def globals_of(data: bytes) -> Iterator[tuple[str, str]]:
    """The globals that a stream names, and the blobs in it."""
    memo: list[Any] = []
    pushed: list[Any] = []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "MEMOIZE":
            memo.append(pushed[-1])
        elif opcode.name in ("BINGET", "LONG_BINGET"):
            pushed.append(memo[argument])
        else:
            if opcode.name == "STACK_GLOBAL":
                yield tuple(pushed[-2:])
            if isinstance(argument, bytes) and argument.startswith(b"x\x01"):
                yield from globals_of(zlib.decompress(argument))
            pushed.append(argument if isinstance(argument, str) else None)


def test_no_stream_refers_to_a_main(zoo: dict[str, bytes]) -> None:
    for data in zoo.values():
        named = set(globals_of(data))
        assert named
        assert {module for module, _ in named} & {"__main__", "__mp_main__", None} == set()


CONSUMER = """
import collections
import enum

RATE = "wrong"
NAMES = "Base Sub Data Typed Color Planet Custom Frozen Words Outer Options Box Meta Sentinel even fib".split()
for name in NAMES:
    exec(f"class {name}: pass")
Point = collections.namedtuple("Point", "x y", defaults=[9])
own = [*(globals()[name] for name in NAMES), Point]
arrived = {name: loads(data) for name, data in pickle.load(sys.stdin.buffer).items()}
assert not [name for name, obj in arrived.items() if any(type(obj) is mine or obj is mine for mine in own)]
print(arrived["point"], arrived["sub"].hello(), arrived["fib"](5))
"""


def test_nothing_is_bound_to_what_merely_has_its_name(tmp_path: Path) -> None:
    consumer = write(tmp_path, "consumer.py", CONSUMER)
    assert run(consumer, stdin=run(SCRIPTS / "zoo.py", "dump")) == b"Point(x=1, y=9) hello 1 3 sub 5\n"


@pytest.mark.parametrize("how", ["-c", "-"])
def test_arrives_where_the_main_is_no_file(zoo: dict[str, bytes], how: str, tmp_path: Path) -> None:
    stored = tmp_path / "zoo.pickle"
    stored.write_bytes(pickle.dumps(zoo))
    code = "import pickle, sys; from groupqueue.serializers import default_serializer; "
    code += "animals = pickle.load(open(sys.argv[1], 'rb')); loads = default_serializer().loads; "
    code += "print(loads(animals['sub']).hello(), loads(animals['color']).nice())"
    command = [how, code, stored] if how == "-c" else [how, stored]
    assert run(*command, stdin=b"" if how == "-c" else code.encode()) == b"hello 1 3 sub redredred\n"
