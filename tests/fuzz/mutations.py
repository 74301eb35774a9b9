"""Seeded mutations, for the slice that every run of the tests makes: no coverage, no engine, the same each time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

WORDS = (0, 1, 2, 3, 7, 8, 0x7F, 0xFF, 0xFFFF, 2**31, 2**32 - 1, 2**63, 2**63 - 1, 2**64 - 1)


def mutate(data: bytes, corpus: Sequence[bytes], chosen: random.Random) -> bytes:
    """The input with one to four things done to it."""
    for _ in range(chosen.randint(1, 4)):
        data = chosen.choice(_WAYS)(data, corpus, chosen)
    return data


def _set_byte(data: bytes, corpus: Sequence[bytes], chosen: random.Random) -> bytes:
    at = chosen.randrange(len(data) + 1)
    return data[:at] + bytes([chosen.randrange(256)]) + data[at + 1 :]


def _flip_bit(data: bytes, corpus: Sequence[bytes], chosen: random.Random) -> bytes:
    at = chosen.randrange(len(data) + 1)
    return data[:at] + bytes(byte ^ 1 << chosen.randrange(8) for byte in data[at : at + 1]) + data[at + 1 :]


def _set_word(data: bytes, corpus: Sequence[bytes], chosen: random.Random) -> bytes:
    at = chosen.randrange(len(data) // 8 + 1) * 8
    return data[:at] + chosen.choice(WORDS).to_bytes(8, "little") + data[at + 8 :]


def _cut(data: bytes, corpus: Sequence[bytes], chosen: random.Random) -> bytes:
    return data[: chosen.randrange(len(data) + 1)]


def _remove(data: bytes, corpus: Sequence[bytes], chosen: random.Random) -> bytes:
    start = chosen.randrange(len(data) + 1)
    return data[:start] + data[start + chosen.randint(1, 16) :]


def _repeat(data: bytes, corpus: Sequence[bytes], chosen: random.Random) -> bytes:
    start = chosen.randrange(len(data) + 1)
    return data + data[start : start + chosen.randint(1, 64)]


def _join(data: bytes, corpus: Sequence[bytes], chosen: random.Random) -> bytes:
    return data + chosen.choice(corpus)


def _splice(data: bytes, corpus: Sequence[bytes], chosen: random.Random) -> bytes:
    other = chosen.choice(corpus)
    return data[: chosen.randrange(len(data) + 1)] + other[chosen.randrange(len(other) + 1) :]


_WAYS: tuple[Callable[[bytes, Sequence[bytes], random.Random], bytes], ...] = (
    _set_byte, _flip_bit, _set_word, _cut, _remove, _repeat, _join, _splice,
)  # fmt: skip
