"""The simulator is as pure as what it plays with: no directory, no process, no thread, and a clock of its own."""

from __future__ import annotations

from tests.core.conftest import _no_world, _scripts, directory

__all__ = ["_no_world", "_scripts", "directory"]
