"""A format is pure too: bytes in a row, or a checkpoint's JSON, and what is read out of them."""

from __future__ import annotations

from tests.core.conftest import _no_world, _scripts, directory

__all__ = ["_no_world", "_scripts", "directory"]
