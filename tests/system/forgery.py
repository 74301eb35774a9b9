"""
Records that pass every check and make no sense, put into a journal that made some.

`Forged` is a segment's file taken apart into entries, which can be changed at will, and put together again: every check
is made for the place at which the record then stands. `nonsense` says systematically what may be wrong with an entry.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from groupqueue.core import records
from groupqueue.core.records import Kind, Record, SegmentHeader

STRANGE = (
    0,
    1,
    2,
    3,
    7,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    1 << 32,
    1 << 61,
    1 << 62,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)
"""Numbers that something might not expect."""

ODD = (None, True, -1, 0.5, 1 << 62, 1 << 64, 10**400, "", "x", "\ud800", [], [0], [[]], [[1, 2, 3, 4, 5, 6]], {}, [{}])
"""JSON that something might not expect."""


class Entry(NamedTuple):
    """A record without its place."""

    kind: int
    words: tuple[int, ...] = ()
    body: bytes = b""


class Forged:
    """See the module."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        header = records.unpack_segment_header(data)
        assert header is not None
        self.path = path
        self.size = len(data)
        self.header: SegmentHeader = header
        found = list(records.read_records(memoryview(data), header.number))
        assert all(isinstance(record, Record) for record in found)
        self.entries = [Entry(r.kind, r.words, bytes(r.body)) for r in found if isinstance(r, Record)]

    def save(self, entries: list[Entry] | None = None) -> None:
        data = bytearray(records.pack_segment_header(self.header))
        for kind, words, body in self.entries if entries is None else entries:
            data += records.pack_head(kind, words, len(body), crc32(body), 1, self.header.number, len(data)) + body
            data += bytes(-len(data) % 8)
        self.path.write_bytes(data.ljust(self.size, b"\0"))


def of_every_kind(entries: list[Entry]) -> list[Entry]:
    """One of each kind that is there, and one of each that is not, with words and a body of some sort."""
    found = {entry.kind: entry for entry in entries}
    for kind in (*Kind, 0, len(Kind) + 1, 999, 65535):
        found.setdefault(int(kind), Entry(int(kind), (1, 2, 3, 1), b"some"))
    return list(found.values())


def nonsense(entry: Entry) -> Iterator[Entry]:
    """The entry as it is, with each of its words a strange number, with words too few or too many, and other bodies."""
    yield entry
    for at in range(len(entry.words)):
        for number in (*STRANGE, entry.words[at] + 1, max(entry.words[at] - 1, 0)):
            yield entry._replace(words=(*entry.words[:at], number, *entry.words[at + 1 :]))
    for count in range(len(entry.words)):
        yield entry._replace(words=entry.words[:count])
    for more in ((0,), (1,), (1, 1), (1 << 63,), (1 << 63, 1 << 63), tuple(range(1, 1000))):
        yield entry._replace(words=entry.words + more)
    for body in (b"", b"\0", b"{}", b"\xff" * 8, entry.body[:-1], entry.body + b"x", b"\xff" * 5000):
        yield entry._replace(body=body)


def strange_checkpoints(body: bytes) -> Iterator[bytes]:
    """The checkpoint with each of its values, to any depth, an odd one, doubled, or not there; and no JSON at all."""
    yield from (b"", b"{", b"[" * 100_000, b"\xff\xfe", b"null", b"[]", b"{}", b"1" * 5000)
    saved = json.loads(body)
    for path in list(_paths(saved)):
        for odd in ODD:
            yield _dumped(_with(saved, path, odd))
        yield _dumped(_with(saved, path))
        yield _dumped(_with(saved, path, _at(saved, path), twice=True))


def some_nonsense(chosen: random.Random, entries: list[Entry]) -> Entry:
    """Any record with any number of strange words."""
    entry = chosen.choice(of_every_kind(entries))
    words = list(entry.words)
    for at in range(len(words)):
        if chosen.random() < 0.5:
            words[at] = chosen.choice(STRANGE + tuple(range(12)))
    return entry._replace(words=tuple(words))


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    if isinstance(value, dict):
        for name in value:
            yield from _paths(value[name], (*path, name))
    elif isinstance(value, list):
        for at, found in enumerate(value):
            yield from _paths(found, (*path, at))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def _with(saved: Any, path: tuple[Any, ...], *value: Any, twice: bool = False) -> Any:
    """A copy with another value, or none, at that place."""
    copy = json.loads(json.dumps(saved))
    place = _at(copy, path[:-1])
    if isinstance(place, list) and twice:
        place.insert(path[-1], *value)
    elif value:
        place[path[-1]] = value[0]
    else:
        del place[path[-1]]
    return copy


def _dumped(saved: Any) -> bytes:
    return json.dumps(saved).encode()
