"""
How a consumer's exception reaches who asked: what it says, and beside that itself, if it can travel. The caller is told
where it was raised, as by those of `concurrent.futures`.
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
    kind = type(error)
    told = {"type_name": f"{kind.__module__}.{kind.__qualname__}", "text": text_of(error), "traceback": _where(error)}
    text = json.dumps(told).encode()
    try:
        payload = dumps(error)
    except Exception:
        return m.REPLY_TEXT, text
    return m.REPLY_EXCEPTION, _LENGTH.pack(len(text)) + text + payload


def decode_exception(status: int, body: Buffer, loads: Callable[[Any], Any]) -> BaseException:
    """The consumer's exception, with its traceback as the cause of it; or one that says why it cannot be had."""
    if status == m.REPLY_TEXT:
        return RemoteError(**json.loads(bytes(body)))
    says = RemoteError("an exception", "")
    try:
        (length,) = _LENGTH.unpack_from(body)
        says = RemoteError(**json.loads(bytes(body[_LENGTH.size : _LENGTH.size + length])))
        error = loads(body[_LENGTH.size + length :])
    except Exception as problem:
        why = f"(it cannot be rebuilt here: {type(problem).__name__}: {text_of(problem)})"
        return RemoteError(says.type_name, f"{says.text} {why}".lstrip(), says.traceback)
    if not isinstance(error, BaseException):
        return says
    if says.traceback:
        error.__cause__ = says
    return error


def _where(error: BaseException) -> str:
    """Its traceback; '' if it was never raised, or if what it is made of cannot be told."""
    try:
        return "".join(traceback.format_exception(error)) if error.__traceback__ is not None else ""
    except Exception:
        return ""
