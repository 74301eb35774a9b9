"""What C pickle can carry is its own stream, byte for byte, and costs no more than a look at it."""

from __future__ import annotations

import datetime
import decimal
import pickle
import random
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest

import groupqueue.serializers
from groupqueue.exceptions import DecodeError
from groupqueue.serializers import DefaultSerializer, Serializer, default_serializer

serializer = default_serializer()

ORDINARY: list[Any] = [
    None,
    True,
    0,
    2**100,
    1.5,
    "text",
    b"bytes",
    bytearray(b"x"),
    [],
    {"id": 1, "of": [1, (2, 3), {4}]},
    datetime.datetime(2024, 1, 1),
    decimal.Decimal("1.5"),
    Path("a"),
    re.compile("x"),
    OrderedDict(a=1),
    len,
    OrderedDict,
    ValueError("x"),
]


def test_there_is_one_and_it_is_a_serializer() -> None:
    chosen: Serializer = default_serializer()
    assert chosen is default_serializer()
    assert isinstance(chosen, DefaultSerializer)


@pytest.mark.parametrize("obj", ORDINARY, ids=repr)
def test_is_what_c_pickle_makes(obj: Any) -> None:
    data = serializer.dumps(obj)
    assert data == pickle.dumps(obj, 5)
    for view in (data, memoryview(data), memoryview(bytearray(b"__" + data))[2:]):
        assert repr(serializer.loads(view)) == repr(obj)


def test_loads_is_that_of_pickle() -> None:
    assert serializer.loads is pickle.loads


@pytest.mark.parametrize("text", ["__main__", "if __name__ == '__main__':", "__mp_main__"])
def test_the_word_main_changes_nothing(text: str) -> None:
    for obj in (text, {text: [text, text.encode()]}, [len, text] * 3):
        assert serializer.loads(serializer.dumps(obj)) == obj


NAME = b"__main__"


class Main:
    """Pickled as if it were of a `__main__`, wherever it is."""


@pytest.mark.parametrize("size", [10, 255, 257, 5_000, 65_535, 65_536, 200_000, 3_000_000])
@pytest.mark.parametrize("kind", [bytes, bytearray, str])
@pytest.mark.parametrize("around", ["before", "between", "after", "alone"])
def test_a_name_is_found_beside_payloads_of_any_size(size: int, kind: Any, around: str) -> None:
    payload = "x" * size if kind is str else kind(b"x" * size)
    filler = [payload] * 3 + [b"y" * 70_000]
    name = Main
    items = {
        "before": [name, *filler],
        "between": [filler[:2], name, filler],
        "after": [*filler, {"k": name}],
        "alone": [*filler, 1.5, 70_000, 2**70, -1],
    }[around]
    data = pickle.dumps(items, 5).replace(b"tests.serializers.test_streams", b"__main__" + b"." * 22)
    assert len(data) > 64 * 1024
    assert groupqueue.serializers._mentions_main(data) is (around != "alone")


def test_a_name_is_found_among_many_small_objects() -> None:
    source = random.Random(1)
    many = [{"n": source.random(), "s": str(i), "t": (i, None, True)} for i in range(5_000)]
    assert not groupqueue.serializers._mentions_main(pickle.dumps(many, 5))
    assert groupqueue.serializers._mentions_main(pickle.dumps([*many, "__main__", *many], 5))


def test_payloads_are_not_searched() -> None:
    data = pickle.dumps({"a": b"__main__" * 10_000, "b": [b"__main__" * 100] * 3}, 5)
    assert not groupqueue.serializers._mentions_main(data)


class Picky(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{text} ({code})")
        self.code = code


def test_an_exception_whose_init_wants_other_arguments_arrives() -> None:
    error = Picky(3, "bad")
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(error))
    copy = serializer.loads(serializer.dumps(error))
    assert (type(copy), str(copy), copy.code) == (Picky, "bad (3)", 3)


def test_our_own_exceptions_arrive() -> None:
    error = DecodeError("what", b"payload", 12)
    copy = serializer.loads(serializer.dumps(error))
    assert (str(copy), copy.payload, copy.sender_pid) == ("what", b"payload", 12)


def test_a_change_after_dumps_changes_nothing() -> None:
    obj = {"list": [1]}
    data = serializer.dumps(obj)
    obj["list"].append(2)
    assert serializer.loads(data) == {"list": [1]}


def test_identity_within_an_item_is_kept_across_functions() -> None:
    shared: list[int] = []

    def get() -> list[int]:
        return shared

    items = [shared, get, {"again": shared, "get": get}]
    first, func, again = serializer.loads(serializer.dumps(items))
    assert func() is first is again["again"]
    assert func is again["get"]


# What is large


class Holder:
    def __init__(self, text: str) -> None:
        self.text = text


LONG = b"\x07" * 300_000
LARGE: list[Any] = [
    LONG,
    bytearray(LONG),
    "text" * 100_000,
    {"blob": LONG, "of": [1, 2]},
    [LONG, LONG, "x" * 100_000, bytearray(LONG)],
    list(range(100_000)),
]


@pytest.mark.parametrize("obj", LARGE, ids=lambda obj: type(obj).__name__)
def test_a_large_object_is_pickled_in_pieces_that_amount_to_the_same(obj: Any) -> None:
    own = DefaultSerializer()
    first = own.pack(obj)
    assert isinstance(first, bytes)
    second = own.pack(obj)
    assert isinstance(second, tuple)
    assert all(type(piece) is bytes for piece in second)
    assert own.loads(b"".join(second)) == own.loads(first) == obj
    assert own.loads(own.dumps(obj)) == obj


def test_bytes_are_not_copied_and_what_may_change_is() -> None:
    own = DefaultSerializer()
    own.expects_large = True
    assert any(piece is LONG for piece in own.pack({"blob": LONG}))
    mutable = bytearray(LONG)
    pieces = own.pack([mutable])
    mutable[:] = bytes(len(mutable))
    assert own.loads(b"".join(pieces)) == [bytearray(LONG)]  # type: ignore[arg-type]


def test_after_a_small_object_the_next_is_taken_for_small() -> None:
    own = DefaultSerializer()
    own.pack(LONG)
    assert own.expects_large
    own.pack({"id": 1})
    assert not own.expects_large
    assert own.pack({"id": 1}) == pickle.dumps({"id": 1}, 5)


def test_a_large_object_of_main_travels_by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(groupqueue.serializers.byvalue, "dumps", lambda obj, exc: asked.append(obj) or b"by value")
    monkeypatch.setattr(Holder, "__module__", "__main__")
    monkeypatch.setattr("__main__.Holder", Holder, raising=False)
    own = DefaultSerializer()
    for text in ("x" * 10, "x" * 300_000, "x" * 300_000):
        obj = [LONG, Holder(text)]
        assert own.pack(obj) == b"by value"
        assert asked.pop() is obj


def test_a_large_object_that_cannot_travel_says_so_in_either_way() -> None:
    own = DefaultSerializer()
    for expects_large in (False, True):
        own.expects_large = expects_large
        with pytest.raises(groupqueue.PicklingError):
            own.pack([LONG, (number for number in ())])
