"""
What a later record of the ledger does to the state that recovery builds: the same move that the leader made.

And what it tells of segments: an EPOCH lists those that hold items, BEGUN adds one and PRODUCERS takes one away. An
EPOCH without a list is of a leader that tells nothing of them, so that nothing is known of any.
"""

from __future__ import annotations

from collections.abc import Sequence

from groupqueue.core.checkpoint import Rebuild
from groupqueue.core.items import Reply
from groupqueue.core.messages import REPLY_LOST
from groupqueue.core.records import Kind, Record
from groupqueue.core.state import State

MOST_AT_ONCE = 4096
"""Items in a run that are looked up one by one; a longer run is cut to the batches that are there."""


def replay(rebuild: Rebuild, record: Record) -> None:
    """Applies a ledger record; one of a kind that is not known changes nothing."""
    state = rebuild.state
    words = record.words
    kind = record.kind
    if kind == Kind.GRANT:
        pairs = _pairs(words[2:])
        _pass_over(state, pairs)
        state.apply_grant(words[0], words[1], rebuild.runs(pairs))
    elif kind == Kind.TAKEN:
        rebuild.see_taken(words[0], words[1], words[2:])
        state.apply_taken(words[0], words[1], words[2:])
    elif kind == Kind.RETURN:
        state.apply_return(words[0], words[1])
    elif kind == Kind.FINISH:
        pairs = _pairs(words)
        _pass_over(state, pairs)
        rebuild.see_finished(pairs)
        state.apply_finish(part for run in pairs for part in _known(state, *run))
    elif kind == Kind.FAILED:
        state.apply_failed(words[0], _text(record))
    elif kind == Kind.REQUEUE:
        state.apply_requeue(words[0], words[1], words[2])
    elif kind == Kind.RETRY:
        state.apply_retry(words)
    elif kind == Kind.GONE:
        # There is nothing to return, unless the records before this one are damaged.
        state.apply_return(words[0], 0)
        state.apply_gone(words[0])
    elif kind == Kind.HEARD:
        state.apply_heard(words)
    elif kind == Kind.PRODUCERS:
        rebuild.count(words[0], words[1])
        state.apply_producers(words[0], _pairs(words[2:]))
        state.segments.discard(int.from_bytes(record.body, "little"))
    elif kind == Kind.BEGUN:
        state.segments.add(words[0])
    elif kind == Kind.ANSWERED:
        state.answered.update(words)
    elif kind == Kind.LOST:
        state.apply_reply(words[0], Reply(words[1], words[2], words[3], REPLY_LOST, 0, None, _text(record)))
    elif kind == Kind.SHUTDOWN:
        state.apply_shutdown(words[0], words[1])
    elif kind == Kind.EPOCH:
        state.epoch = max(state.epoch, words[0])
        state.segments = set(words[2:])


def _pass_over(state: State, runs: Sequence[tuple[int, int]]) -> None:
    """Ids that a record names are used up, also where the batch itself is lost: a new item must not be taken for it."""
    for first, count in runs:
        state.next_id = max(state.next_id, first + count)


def _known(state: State, first: int, count: int) -> list[tuple[int, int]]:
    """What of a run is there. A run that is longer than any is one of nonsense, and must not take for ever."""
    if count <= MOST_AT_ONCE:
        return [(first, count)]
    ranges = [(batch.first_id, batch.first_id + batch.count) for batch in state.batches.values()]
    parts = [(max(first, start), min(first + count, end)) for start, end in ranges]
    return [(start, end - start) for start, end in parts if start < end]


def _pairs(words: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(words[::2], words[1::2]))


def _text(record: Record) -> str:
    return bytes(record.body).decode("utf-8", "replace")
