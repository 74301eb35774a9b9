"""The targets by name, where their inputs are kept, and what is done with a finding."""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CORPUS = Path(__file__).parent / "corpus"


class Target(NamedTuple):
    """`check` raises what is wrong with an input; `seeds` are inputs that make sense, by name."""

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], dict[str, bytes]]

    @property
    def folder(self) -> Path:
        return CORPUS / self.name

    def corpus(self) -> dict[str, bytes]:
        """What is kept in the repository, and the seeds."""
        kept = {path.name: path.read_bytes() for path in sorted(self.folder.glob("*"))}
        return self.seeds() | kept


def load(name: str) -> Target:
    """The imports are delayed: the engine instruments what is imported under its eyes."""
    if name == "wire":
        from tests.fuzz import wire

        return Target(name, wire.check_wire, wire.seeds)
    from tests.fuzz import journal

    return Target(name, journal.check_journal, journal.seeds)


NAMES = ("wire", "journal")


class Findings:
    """Findings of one run, one to each place where something was raised, written down as corpus files."""

    def __init__(self, target: Target) -> None:
        self.count = 0
        self._target = target
        self._places: set[tuple[str, ...]] = set()

    def note(self, data: bytes, error: Exception) -> Path | None:
        """None if that place has been found before."""
        frames = traceback.extract_tb(error.__traceback__)[-2:]
        place = (type(error).__name__, *(f"{frame.filename}:{frame.lineno}" for frame in frames))
        if place in self._places:
            return None
        self._places.add(place)
        self.count += 1
        self._target.folder.mkdir(parents=True, exist_ok=True)
        path = self._target.folder / f"found-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        return path
