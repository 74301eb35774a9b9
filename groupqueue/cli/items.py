"""
Items as the command line shows them: one a line, whatever they are.

What this process cannot rebuild is an `Unreadable` in place of the object: its type as far as its pickle tells, its
size, who sent it, and why not. Nothing here raises for an item's sake, be it for its `__repr__`.
"""

from __future__ import annotations

import json
import re
from typing import Any

from groupqueue.cli import pickled
from groupqueue.exceptions import DecodeError
from groupqueue.face.failures import text_of
from groupqueue.serializers import default_serializer

FORMS = ("plain", "text", "repr", "json")

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
"""What ends a line, or tells a terminal to do something. Not the tab."""


class Unreadable(DecodeError):
    """What an item is, as far as it tells. An exception, so that it can stand for one of a consumer's."""

    def __init__(self, payload: bytes, why: str) -> None:
        super().__init__(why, payload)
        self.why = why
        self.type_name = pickled.type_name(payload)

    def described(self, pid: int) -> str:
        """`<shop.Order, 120 bytes from process 12: ModuleNotFoundError: No module named 'shop'>`"""
        sender = f" from process {pid}" if pid else ""
        return f"<{self.type_name or 'unknown type'}, {len(self.payload):,} bytes{sender}: {self.why}>"

    def __str__(self) -> str:
        return self.described(0)


class Lenient:
    """The default serializer, but that it returns an `Unreadable` instead of raising."""

    dumps = staticmethod(default_serializer().dumps)

    @staticmethod
    def loads(data: bytes | memoryview, /) -> Any:
        try:
            return default_serializer().loads(data)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the program's code runs in there
            return Unreadable(bytes(data), f"{type(error).__name__}: {text_of(error)}")


LENIENT = Lenient()


def shown(obj: Any, form: str, pid: int = 0) -> str:
    """The object in one of the `FORMS`: one line, that cannot harm a terminal, but for "text", which is as it is."""
    if form == "json":
        return json.dumps(plain(obj, pid))
    if isinstance(obj, Unreadable):
        return in_one_line(obj.described(pid))
    if isinstance(obj, str) and (form == "text" or (form == "plain" and not _CONTROL.search(obj))):
        return obj
    if isinstance(obj, (bytes, bytearray)) and form == "text":
        return obj.decode("utf-8", "backslashreplace")
    return in_one_line(_repr(obj))


def plain(obj: Any, pid: int = 0) -> Any:
    """The object if JSON can say it, else an object of JSON that describes it."""
    if isinstance(obj, Unreadable):
        return {"type": obj.type_name, "bytes": len(obj.payload), "sender_pid": pid, "error": obj.why}
    try:
        return json.loads(json.dumps(obj, allow_nan=False))
    except Exception:  # noqa: BLE001 - what JSON cannot say, or the program's code that runs in there
        kind = type(obj)
        return {"type": f"{kind.__module__}.{kind.__qualname__}", "repr": _repr(obj), "sender_pid": pid}


def _repr(obj: Any) -> str:
    try:
        return repr(obj)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the program's code runs in there
        return f"<{type(obj).__module__}.{type(obj).__qualname__}: its repr raises {type(error).__name__}>"


def in_one_line(text: str) -> str:
    """With control characters shown as Python writes them."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)
