"""
What an operator can see of a group, each view as the body of a `Result`.

A view changes nothing. It tells of this moment: the cursors are read before it is drawn. A view of items is a page: the
leader copies no more than `PAGE_BYTES` of them at a time, and `more` says that there is another, `after` the last id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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

PAGE_BYTES = 4 * 1024 * 1024
PAGE_ITEMS = 10_000


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

    def peek(self, limit: int, after: int) -> bytes:
        """At most `limit` of the oldest items that a get could still return."""
        self._progress.advance_all()
        return self._page(self._queued(after), limit)

    def failed(self, after: int) -> bytes:
        failed = sorted((item, found) for item, found in self._state.failed.items() if item > after)
        return self._page(((item, found.batch, {"reason": found.reason}) for item, found in failed), PAGE_ITEMS)

    def _queued(self, after: int) -> Iterator[tuple[int, Batch, dict[str, Any]]]:
        state = self._state
        runs = state.lanes.runs()
        runs += [run for grants in state.grants.values() for run in grants.runs if run.batch is not None]
        runs.sort(key=lambda run: run.first)
        for run in runs:
            assert run.batch is not None
            for item in range(max(run.first, after + 1), run.first + run.count):
                yield item, run.batch, {}

    def _page(self, found: Iterator[tuple[int, Batch, dict[str, Any]]], limit: int) -> bytes:
        described: list[dict[str, Any]] = []
        payloads: list[m.Buffer] = []
        room = PAGE_BYTES
        more = False
        for item, batch, extra in found:
            if len(described) >= min(limit, PAGE_ITEMS) or room <= 0:
                more = True
                break
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
            room -= len(entry.payload)
        return pack_result({"items": described, "more": more}, payloads)
