"""What pickles tell of themselves, to somebody who runs nothing of theirs."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import functools
import os
import pickle
import random
from typing import Any, NamedTuple

import pytest

from groupqueue.cli.pickled import type_name
from groupqueue.serializers import default_serializer
from tests.helpers import run_script


class Plain:
    def __init__(self) -> None:
        self.parts = [1, 2]


class Slotted:
    __slots__ = ("part",)


class Pair(NamedTuple):
    left: int
    right: Any


class Color(enum.Enum):
    RED = 1


class Outer:
    class Inner:
        pass


class RedAsIn311:
    """Pickled as members of an enum are by Python 3.11.0 to 3.11.3."""

    def __reduce__(self):
        return getattr, (Color, "RED")


class Oops(Exception):
    pass


class MyList(list):  # type: ignore[type-arg]
    pass


HERE = __name__
KINDS = [
    (None, "None"),
    (True, "bool"),
    (12, "int"),
    (1 << 80, "int"),
    (1.5, "float"),
    ("text", "str"),
    (b"bytes", "bytes"),
    (bytearray(b"x"), "bytearray"),
    ((), "tuple"),
    ((1, (2, 3), {"a": [4]}), "tuple"),
    ([1, [2], "x" * 300], "list"),
    ({"a": {"b": Plain()}}, "dict"),
    ({1, 2}, "set"),
    (frozenset((1,)), "frozenset"),
    (Plain(), f"{HERE}.Plain"),
    (Slotted(), f"{HERE}.Slotted"),
    (Pair(1, Pair(2, Plain())), f"{HERE}.Pair"),
    (Color.RED, f"{HERE}.Color"),
    (RedAsIn311(), f"{HERE}.Color"),
    (Outer.Inner(), f"{HERE}.Outer.Inner"),
    (Oops("no"), f"{HERE}.Oops"),
    (MyList([1]), f"{HERE}.MyList"),
    (datetime.datetime(2026, 1, 1), "datetime.datetime"),
    (decimal.Decimal("1.5"), "decimal.Decimal"),
    (collections.OrderedDict(a=1), "collections.OrderedDict"),
    (functools.partial(print, 1), "functools.partial"),
    (Plain, f"definition of {HERE}.Plain"),
    (os.getpid, f"definition of {os.getpid.__module__}.getpid"),
]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize(("obj", "name"), KINDS, ids=[name for _, name in KINDS])
def test_the_type_of_whatever_travels(obj, name, protocol):
    found = type_name(pickle.dumps(obj, protocol))
    # Older protocols call what they have no opcode for.
    assert found in (name, f"builtins.{name}", f"__builtin__.{name}", "_codecs.encode")


@pytest.mark.parametrize("protocol", [0, 1])
@pytest.mark.parametrize("obj", [Plain(), {"a": [1, (2,)]}, (1, "x"), Color.RED])
def test_the_old_protocols_are_read_too(obj, protocol):
    assert type(obj).__name__ in type_name(pickle.dumps(obj, protocol))


def test_what_a_script_defines_itself_is_known_by_its_own_name(tmp_path):
    script = run_script(
        """
        # defines
        import dataclasses, sys
        from groupqueue.serializers import default_serializer

        @dataclasses.dataclass
        class Order:
            number: int

        class Late(Exception):
            pass

        def work():
            return Order(1)

        for obj in (Order(1), Late("x"), work, Order, [Order(2)]):
            say(default_serializer().dumps(obj).hex())
        """
    )
    assert script.wait() == 0
    names = [type_name(bytes.fromhex(line)) for line in script.lines]
    assert names == [
        "__main__.Order",
        "__main__.Late",
        "definition of __main__.work",
        "definition of __main__.Order",
        "list",
    ]


def test_nothing_of_it_is_run(tmp_path):
    class Evil:
        def __reduce__(self) -> Any:
            return os.system, (f"touch {tmp_path}/ran",)

    payload = pickle.dumps([Evil(), {"x": Evil()}])
    assert type_name(payload) == "list"
    assert type_name(pickle.dumps(Evil())) == f"{os.system.__module__}.system"
    assert os.listdir(tmp_path) == []


def test_bytes_that_are_no_pickle_do_not_tell_and_raise_nothing():
    whole = default_serializer().dumps({"a": [Pair(1, Plain()), {2, 3}], "b": Oops("x")})
    dice = random.Random(7)
    for cut in range(len(whole)):
        assert type_name(whole[:cut]) == ""
    for _ in range(3000):
        broken = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        assert isinstance(type_name(bytes(broken)), str)
        assert isinstance(type_name(dice.randbytes(dice.randrange(60))), str)
