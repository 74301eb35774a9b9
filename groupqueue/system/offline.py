"""What a group's directory tells without a leader, by reading it as a recovery would and writing nothing."""

from __future__ import annotations

from typing import Any

from groupqueue.system.cursors import Cursors
from groupqueue.system.journal import Journal
from groupqueue.system.paths import GroupPaths

_TRIES = 5


def inspect(paths: GroupPaths) -> dict[str, Any]:
    """The fields of `Stats` that a directory can tell; all of them 0 for a group that is not there."""
    for _ in range(_TRIES):
        try:
            return _read(paths)
        except FileNotFoundError:
            # A leader has come, and removed a segment between our looking and our opening.
            continue
    return {"epoch": 0, "ready": 0}


def _read(paths: GroupPaths) -> dict[str, Any]:
    journal = Journal(paths.journal, paths.name)
    try:
        state = journal.recover(read_only=True)
        cursors = Cursors(paths.members)
        taken = 0
        try:
            for member, grants in state.grants.items():
                taken += max((cursors.taken(member) or grants.taken) - grants.taken, 0)
        finally:
            cursors.close()
        return {
            "epoch": state.epoch,
            "ready": max(state.queued - taken, 0),
            "in_flight": len(state.held),
            "failed": len(state.failed),
            "bytes": state.bytes,
            "total_put": state.total_put,
            "total_finished": state.total_finished,
            "lost": state.lost,
            "shutdown": state.shutdown,
        }
    finally:
        journal.close()
