"""
What is sent: how to make it, and how to know it again.

Each object carries an id that says who made it and as which one, and `key` finds the id in what arrived, or -1 if the
object is not whole. Small objects are made as they are put. Large ones come from a pool made beforehand, so that making
them is not measured; their ids begin again with each turn of the pool, so only one producer and one consumer can use
them.
"""

from __future__ import annotations

import itertools
import operator
import random
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

POOL_BYTES = 32 << 20
PRODUCER = 1 << 32
"""Ids of one producer begin this far from those of the next."""

_ID = struct.Struct("<q")


@dataclass(frozen=True)
class Shape:
    """A kind of object."""

    name: str
    title: str
    size: int
    objects: Callable[[int, int], Iterable[Any]]
    """(producer, count) -> the objects."""
    key: Callable[[Any], int]
    pool: int | None = None
    """How many different ones there are, if not each is different."""

    def ids(self, producer: int, count: int) -> Iterator[int]:
        """What `key` must find, in order."""
        turn = self.pool or count
        return (producer * PRODUCER + number % turn for number in range(count))


def _dicts(producer: int, count: int) -> Iterator[dict[str, Any]]:
    first = producer * PRODUCER
    return ({"id": i, "kind": "resize", "name": "picture.png", "width": 128} for i in range(first, first + count))


def _ints(producer: int, count: int) -> range:
    return range(producer * PRODUCER, producer * PRODUCER + count)


def _bytes_shape(name: str, title: str, size: int) -> Shape:
    """Bytes with the id at both ends."""
    body = random.Random(size).randbytes(size - 2 * _ID.size)
    pool = POOL_BYTES // size if size > 4096 else None

    def make(identity: int) -> bytes:
        mark = _ID.pack(identity)
        return mark + body + mark

    def objects(producer: int, count: int) -> Iterator[bytes]:
        first = producer * PRODUCER
        if pool is None:
            return map(make, range(first, first + count))
        return itertools.islice(itertools.cycle([make(first + i) for i in range(min(pool, count))]), count)

    def key(found: bytes) -> int:
        whole = len(found) == size and found[:8] == found[-8:]
        return int(_ID.unpack_from(found)[0]) if whole else -1

    return Shape(name, title, size, objects, key, pool)


def _array_shape(name: str, title: str, size: int) -> Shape:
    """A numpy array of 64-bit numbers with the id at both ends."""
    pool = POOL_BYTES // size

    def objects(producer: int, count: int) -> Iterator[Any]:
        import numpy as np

        made = []
        for i in range(min(pool, count)):
            array = np.arange(size // 8, dtype=np.int64)
            array[0] = array[-1] = producer * PRODUCER + i
            made.append(array)
        return itertools.islice(itertools.cycle(made), count)

    def key(found: Any) -> int:
        return int(found[0]) if found.nbytes == size and found[0] == found[-1] else -1

    return Shape(name, title, size, objects, key, pool)


SHAPES = {
    shape.name: shape
    for shape in (
        Shape("int", "int", 8, _ints, operator.index),
        Shape("dict", "small dict", 80, _dicts, operator.itemgetter("id")),
        _bytes_shape("bytes100", "100 bytes", 100),
        _bytes_shape("bytes1k", "1 KiB bytes", 1 << 10),
        _bytes_shape("bytes64k", "64 KiB bytes", 1 << 16),
        _bytes_shape("bytes1m", "1 MiB bytes", 1 << 20),
        _array_shape("array1m", "1 MiB numpy array", 1 << 20),
    )
}
