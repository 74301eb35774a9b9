"""The format of a `Result`: JSON behind its length (u64), then the payloads it describes, one after the other."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any

from groupqueue.core.messages import Buffer

_LENGTH = struct.Struct("<Q")


def pack_result(value: dict[str, Any], payloads: Sequence[Buffer] = ()) -> bytes:
    text = json.dumps(value).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *payloads])


def unpack_result(body: Buffer) -> tuple[dict[str, Any], memoryview]:
    """The value, and all payloads in one."""
    view = memoryview(body)
    (length,) = _LENGTH.unpack_from(view)
    end = _LENGTH.size + length
    return json.loads(bytes(view[_LENGTH.size : end])), view[end:]
