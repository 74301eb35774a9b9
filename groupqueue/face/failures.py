"""
How a consumer's exception reaches who asked: itself, if it can travel, with the traceback beside it as text; else what
it says. A raised exception tells the caller where it was raised, as those of `concurrent.futures` do.
"""

from __future__ import annotations

import json
import struct
import traceback
from collections.abc import Callable
from typing import Any

from groupqueue.core import messages as m
from groupqueue.core.messages import Buffer
from groupqueue.exceptions import RemoteError

_LENGTH = struct.Struct("<I")


def text_of(error: BaseException) -> str:
    """What the error says, also if that is not to be had."""
    try:
        return str(error)
    except Exception as another:
        return f"(its text cannot be had: {type(another).__name__})"


def encode_exception(error: BaseException, dumps: Callable[[Any], bytes]) -> tuple[int, bytes]:
    """(status, body) of a reply that raises."""
    if not isinstance(error, BaseException):
        raise TypeError(f"fail() takes an exception, not {type(error).__name__}")
    where = "".join(traceback.format_exception(error)) if error.__traceback__ is not None else ""
    try:
        payload = dumps(error)
    except Exception:
        told = {"type_name": _type_name(error), "text": text_of(error), "traceback": where}
        return m.REPLY_TEXT, json.dumps(told).encode()
    text = where.encode("utf-8", "replace")
    return m.REPLY_EXCEPTION, _LENGTH.pack(len(text)) + text + payload


def decode_exception(status: int, body: Buffer, loads: Callable[[Any], Any]) -> BaseException:
    """The consumer's exception, with its traceback as the cause of it; or one that says why it cannot be had."""
    if status == m.REPLY_TEXT:
        return RemoteError(**json.loads(bytes(body)))
    where = ""
    try:
        (length,) = _LENGTH.unpack_from(body)
        where = bytes(body[_LENGTH.size : _LENGTH.size + length]).decode("utf-8", "replace")
        error = loads(body[_LENGTH.size + length :])
    except Exception as problem:
        text = f"the consumer's exception cannot be rebuilt here: {type(problem).__name__}: {text_of(problem)}"
        return RemoteError("an exception", text, where)
    if not isinstance(error, BaseException):
        return RemoteError(type(error).__name__, repr(error), where)
    if where:
        error.__cause__ = RemoteError(_type_name(error), text_of(error), where)
    return error


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return f"{kind.__module__}.{kind.__qualname__}"
