"""What a later record of the ledger does to the state that recovery builds: the same move that the leader made."""

from __future__ import annotations

from collections.abc import Sequence

from groupqueue.core.checkpoint import Rebuild
from groupqueue.core.items import Reply
from groupqueue.core.messages import REPLY_LOST
from groupqueue.core.records import Kind, Record
from groupqueue.core.state import State


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
        state.apply_taken(words[0], words[1], words[2:])
    elif kind == Kind.RETURN:
        state.apply_return(words[0], words[1])
    elif kind == Kind.FINISH:
        pairs = _pairs(words)
        _pass_over(state, pairs)
        state.apply_finish(pairs)
    elif kind == Kind.FAILED:
        state.apply_failed(words[0], _text(record))
    elif kind == Kind.REQUEUE:
        state.apply_requeue(words[0], words[1], words[2])
    elif kind == Kind.RETRY:
        state.apply_retry(words)
    elif kind == Kind.GONE:
        state.apply_gone(words[0])
    elif kind == Kind.HEARD:
        state.apply_heard(words)
    elif kind == Kind.PRODUCERS:
        rebuild.count(words[0], words[1])
        state.apply_producers(words[0], _pairs(words[2:]))
    elif kind == Kind.ANSWERED:
        state.answered.update(words)
    elif kind == Kind.LOST:
        state.apply_reply(words[0], Reply(words[1], words[2], words[3], REPLY_LOST, 0, None, _text(record)))
    elif kind == Kind.SHUTDOWN:
        state.apply_shutdown(words[0], words[1])
    elif kind == Kind.EPOCH:
        state.epoch = max(state.epoch, words[0])


def _pass_over(state: State, runs: Sequence[tuple[int, int]]) -> None:
    """Ids that a record names are used up, also where the batch itself is lost: a new item must not be taken for it."""
    for first, count in runs:
        state.next_id = max(state.next_id, first + count)


def _pairs(words: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(words[::2], words[1::2]))


def _text(record: Record) -> str:
    return bytes(record.body).decode("utf-8", "replace")
