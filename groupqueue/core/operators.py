"""
Operators' questions: what is asked, and who answers it.

A question is JSON, and is answered once, by a `Result` with its ticket: at once with a view of the group or what was
done to it, or later, when what is granted has come back or was taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from groupqueue.core import messages as m
from groupqueue.core.draining import Draining
from groupqueue.core.effects import Effects
from groupqueue.core.peer import Peer
from groupqueue.core.recorder import Recorder
from groupqueue.core.results import pack_result
from groupqueue.core.state import State
from groupqueue.core.views import Views


class Operators:
    """See the module. `generation` tells one life of the group from the next: a shutdown ends with its own."""

    def __init__(
        self,
        generation: int,
        state: State,
        peers: Mapping[int, Peer],
        recorder: Recorder,
        views: Views,
        draining: Draining,
        effects: Effects,
    ) -> None:
        self._generation = generation
        self._state = state
        self._peers = peers
        self._recorder = recorder
        self._views = views
        self._draining = draining
        self._effects = effects

    def revive(self) -> None:
        """A group that was shut down is open again if this is another life of it."""
        if self._state.shutdown and self._state.shutdown_generation != self._generation:
            self._recorder.shut_down(0, self._generation)

    def on_request(self, peer: Peer, request: m.Request, now: float) -> None:
        asked = json.loads(bytes(request.body))
        do = asked.get("do")
        answer: bytes | None = None
        if do == "count":
            answer = self._views.count()
        elif do == "stats":
            answer = self._views.stats()
        elif do == "peek":
            answer = self._views.peek(asked.get("n", 1), asked.get("after", 0))
        elif do == "failed":
            answer = self._views.failed(asked.get("after", 0))
        elif do == "requeue_failed":
            answer = self._requeue_failed()
        elif do == "clear":
            self._draining.clear(peer, request.ticket, now)
        elif do == "join":
            self._draining.join(peer, request.ticket)
        elif do == "shutdown":
            self._shut_down(2 if asked.get("immediate") else 1)
            if asked.get("immediate"):
                self._draining.clear(peer, request.ticket, now)
            else:
                answer = pack_result({"count": 0})
        else:
            answer = pack_result({"error": f"unknown request {do!r}"})
        if answer is not None:
            self._effects.send(peer, m.Result(request.ticket, answer))

    def _requeue_failed(self) -> bytes:
        items = sorted(self._state.failed, reverse=True)
        self._recorder.retry(items)
        return pack_result({"count": len(items)})

    def _shut_down(self, shutdown: int) -> None:
        if shutdown > self._state.shutdown:
            self._recorder.shut_down(shutdown, self._generation)
        for peer in self._peers.values():
            self._effects.send(peer, m.Shutdown(self._state.shutdown))
