"""Items as they are shown: one line each, valid JSON, and never an exception."""

from __future__ import annotations

import json
import math
import pickle
from typing import NoReturn

import pytest

from groupqueue import DecodeError
from groupqueue.cli.items import LENIENT, Unreadable, shown

MISSING = b"\x80\x05\x8c\x04shop\x94\x8c\x05Order\x94\x93\x94)\x81\x94."


class Unhelpful:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Tall:
    def __repr__(self) -> str:
        return "two\nlines\x1b"


@pytest.mark.parametrize(
    ("obj", "plain", "text", "as_repr", "as_json"),
    [
        ("word", "word", "word", "'word'", '"word"'),
        ("", "", "", "''", '""'),
        ("two\nlines", "'two\\nlines'", "two\nlines", "'two\\nlines'", '"two\\nlines"'),
        ("end\n", "'end\\n'", "end\n", "'end\\n'", '"end\\n"'),
        ("a\tb \u00a0", "a\tb \u00a0", "a\tb \u00a0", "'a\\tb \\xa0'", '"a\\tb \\u00a0"'),
        ("\x1b]0;x\x07", "'\\x1b]0;x\\x07'", "\x1b]0;x\x07", "'\\x1b]0;x\\x07'", '"\\u001b]0;x\\u0007"'),
        (12, "12", "12", "12", "12"),
        (None, "None", "None", "None", "null"),
        ({"a": (1, 2)}, "{'a': (1, 2)}", "{'a': (1, 2)}", "{'a': (1, 2)}", '{"a": [1, 2]}'),
        (b"x\xff", "b'x\\xff'", "x\\xff", "b'x\\xff'", None),
        (Tall(), "two\\nlines\\x1b", "two\\nlines\\x1b", "two\\nlines\\x1b", None),
    ],
)
def test_each_form(obj, plain, text, as_repr, as_json):
    assert shown(obj, "plain") == plain
    assert shown(obj, "text") == text
    assert shown(obj, "repr") == as_repr
    if as_json is not None:
        assert shown(obj, "json") == as_json


@pytest.mark.parametrize("obj", [b"x", {1, 2}, {(1, 2): 3}, math.nan, [math.inf], Tall(), object, 1j])
def test_what_json_cannot_say_is_described(obj):
    found = json.loads(shown(obj, "json", pid=12))
    assert found["type"] == f"{type(obj).__module__}.{type(obj).__qualname__}"
    assert found["sender_pid"] == 12
    assert found["repr"]


def test_a_structure_that_never_ends_is_described():
    endless: list[object] = []
    endless.append(endless)
    assert json.loads(shown(endless, "json"))["repr"] == "[[...]]"


@pytest.mark.parametrize("form", ["plain", "text", "repr", "json"])
def test_an_object_that_cannot_show_itself(form):
    line = shown(Unhelpful(), form)
    assert "Unhelpful" in line
    assert "RuntimeError" in line


@pytest.mark.parametrize("form", ["plain", "text", "repr", "json"])
def test_an_object_that_ends_the_process_when_it_is_shown_does_not(form):
    class Fatal:
        def __repr__(self) -> str:
            raise SystemExit(7)

    assert "its repr raises SystemExit" in shown(Fatal(), form)


def test_a_container_that_cannot_be_walked_over_is_described():
    class Broken(dict):  # type: ignore[type-arg]
        def items(self) -> NoReturn:
            raise KeyError("no items")

    assert json.loads(shown({"x": Broken(a=1)}, "json"))["type"] == "builtins.dict"


def test_what_cannot_be_rebuilt_here_is_described():
    obj = LENIENT.loads(memoryview(MISSING))
    assert isinstance(obj, Unreadable)
    assert isinstance(obj, DecodeError)
    line = f"<shop.Order, {len(MISSING)} bytes from process 12: ModuleNotFoundError: No module named 'shop'>"
    assert [shown(obj, form, pid=12) for form in ("plain", "text", "repr")] == [line] * 3
    assert json.loads(shown(obj, "json", pid=12)) == {
        "type": "shop.Order",
        "bytes": len(MISSING),
        "sender_pid": 12,
        "error": "ModuleNotFoundError: No module named 'shop'",
    }


def test_what_is_no_pickle_at_all_is_described():
    obj = LENIENT.loads(b'{"json": true}')
    assert shown(obj, "plain", pid=3).startswith("<unknown type, 14 bytes from process 3: ")


def test_an_item_whose_decoding_raises_is_described():
    class Evil:
        def __reduce__(self) -> object:
            return divmod, (1, 0)

    assert "ZeroDivisionError" in shown(LENIENT.loads(pickle.dumps(Evil())), "plain")


def test_an_item_whose_decoding_ends_the_process_is_described():
    class Fatal:
        def __reduce__(self) -> object:
            return exec, ("raise SystemExit(7)",)

    assert "SystemExit: 7" in shown(LENIENT.loads(pickle.dumps(Fatal())), "plain")


def test_an_item_whose_error_has_no_text_is_described():
    class Mute:
        def __reduce__(self) -> object:
            return exec, ("class E(Exception):\n def __str__(self): return 1/0\nraise E",)

    assert "E: (its text cannot be had: ZeroDivisionError)" in shown(LENIENT.loads(pickle.dumps(Mute())), "plain")
