"""What a group's directory tells without a leader, by reading it as a recovery would and writing nothing."""

from __future__ import annotations

from typing import Any, NamedTuple

from groupqueue.system.cursors import Cursors
from groupqueue.system.journal import Journal
from groupqueue.system.paths import GroupPaths

_TRIES = 5


class Reading(NamedTuple):
    """`fields` of `Stats`, `last_seqs` of each producer, and `notes` on damage.

    Under a leader that writes a note may be of what is half-written.
    """

    fields: dict[str, Any]
    last_seqs: dict[int, int]
    notes: list[str]


def read(paths: GroupPaths) -> Reading:
    """All that the directory tells; nothing but zeros of a group that is not there.

    Raises GroupVersionError for a journal of another version.
    """
    for _ in range(_TRIES):
        try:
            return _read(paths)
        except FileNotFoundError:
            # A leader has come, and removed a segment between our looking and our opening.
            continue
    return Reading({"epoch": 0, "ready": 0}, {}, [])


def _read(paths: GroupPaths) -> Reading:
    journal = Journal(paths.journal, paths.name)
    try:
        state = journal.recover(read_only=True)
        cursors = Cursors(paths.members)
        taken = held = 0
        try:
            for member, grants in state.grants.items():
                cursor = min(cursors.taken(member) or 0, grants.end)
                if cursor > grants.taken:
                    taken += cursor - grants.taken
                    held += len(cursors.held(member, grants.taken, cursor))
        finally:
            cursors.close()
        fields = {
            "epoch": state.epoch,
            "ready": max(state.queued - taken, 0),
            "in_flight": len(state.held) + held,
            "failed": len(state.failed),
            "bytes": state.bytes,
            "total_put": state.total_put,
            "total_finished": state.total_finished + taken - held,
            "lost": state.lost,
            "shutdown": state.shutdown,
        }
        return Reading(fields, dict(state.last_seq), list(journal.notes))
    finally:
        journal.close()
