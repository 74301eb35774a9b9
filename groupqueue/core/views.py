"""
What an operator can see of a group, each view as the body of a `Result`.

A view changes nothing. It tells of this moment: the cursors are read before it is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from groupqueue.core import messages as m
from groupqueue.core.credit import Credit
from groupqueue.core.entries import Entries
from groupqueue.core.granting import Granting
from groupqueue.core.items import Batch
from groupqueue.core.peer import Peer
from groupqueue.core.progress import Progress
from groupqueue.core.results import pack_result
from groupqueue.core.state import State


class Views:
    """See the module."""

    def __init__(
        self,
        state: State,
        peers: Mapping[int, Peer],
        progress: Progress,
        entries: Entries,
        granting: Granting,
        credit: Credit,
    ) -> None:
        self._state = state
        self._peers = peers
        self._progress = progress
        self._entries = entries
        self._granting = granting
        self._credit = credit

    def count(self) -> bytes:
        self._progress.advance_all()
        return pack_result({"queued": self._state.queued, "unfinished": self._state.unfinished})

    def stats(self) -> bytes:
        self._progress.advance_all()
        state = self._state
        return pack_result(
            {
                "epoch": state.epoch,
                "members": [[peer.pid, peer.mode, peer.role] for peer in self._peers.values()],
                "ready": state.queued,
                "in_flight": len(state.held),
                "waiting_getters": self._granting.waiting,
                "waiting_putters": self._credit.waiting,
                "failed": len(state.failed),
                "bytes": state.bytes,
                "total_put": state.total_put,
                "total_finished": state.total_finished,
                "lost": state.lost,
                "shutdown": state.shutdown,
            }
        )

    def peek(self, limit: int) -> bytes:
        """The oldest items that a get could still return."""
        self._progress.advance_all()
        state = self._state
        runs = state.lanes.runs()
        runs += [run for grants in state.grants.values() for run in grants.runs if run.batch is not None]
        runs.sort(key=lambda run: run.first)
        found: list[tuple[int, Batch, dict[str, Any]]] = []
        for run in runs:
            assert run.batch is not None
            for item in range(run.first, run.first + run.count):
                if len(found) >= limit:
                    return self._items(found)
                found.append((item, run.batch, {}))
        return self._items(found)

    def failed(self) -> bytes:
        failed = sorted(self._state.failed.items())
        return self._items((item, found.batch, {"reason": found.reason}) for item, found in failed)

    def _items(self, found: Iterable[tuple[int, Batch, dict[str, Any]]]) -> bytes:
        described = []
        payloads: list[m.Buffer] = []
        for item, batch, extra in found:
            entry = self._entries.of_item(item, batch)
            described.append(
                {
                    "id": item,
                    "attempt": entry.attempt,
                    "pid": batch.pid,
                    "wants_reply": bool(batch.flags & m.WANTS_REPLY),
                    "size": len(entry.payload),
                    **extra,
                }
            )
            payloads.append(entry.payload)
        return pack_result({"items": described}, payloads)
