"""
Whether a record makes sense. Its checks tell that it is as it was written, and not that it could be meant.

`is_possible` needs the record alone: a number of words and a body that its kind has, numbers in the range in which they
count. `contradicts` needs the state that the records before it amount to. A leader writes neither sort; who finds one
passes it over as damage, because what follows from it could be anything, an exception in every recovery included.
"""

from __future__ import annotations

from groupqueue.core.messages import MOST
from groupqueue.core.records import Kind, Record
from groupqueue.core.state import State
from groupqueue.core.wire import WireError, check_sizes

MOST_EPOCHS = 1 << 31

MOST_GRANTED = 1 << 20
"""In one run. Its positions are counted one by one, also where nothing else of it is left."""

# The least number of words, and by how many there may be more.
_WORDS = {
    Kind.ITEMS: (7, 0),
    Kind.REPLY: (6, 0),
    Kind.GRANT: (2, 2),
    Kind.RETURN: (2, 0),
    Kind.TAKEN: (2, 1),
    Kind.FINISH: (2, 2),
    Kind.FAILED: (1, 0),
    Kind.REQUEUE: (3, 0),
    Kind.GONE: (1, 0),
    Kind.HEARD: (1, 1),
    Kind.PRODUCERS: (2, 2),
    Kind.SHUTDOWN: (2, 0),
    Kind.RETRY: (1, 1),
    Kind.EPOCH: (2, 1),
    Kind.LOST: (4, 0),
    Kind.ANSWERED: (1, 1),
    Kind.BEGUN: (1, 0),
}
_WITH_BODY = {Kind.ITEMS, Kind.REPLY, Kind.FAILED, Kind.LOST, Kind.PRODUCERS}
_DATA = {Kind.ITEMS, Kind.REPLY}


def is_possible_data(record: Record) -> bool:
    """Whether an items segment may hold it."""
    return record.kind in _DATA and is_possible(record)


def is_possible_entry(record: Record) -> bool:
    """Whether a ledger may hold it, behind its checkpoint."""
    return record.kind not in _DATA and is_possible(record)


def is_possible(record: Record) -> bool:
    words = record.words
    shape = _WORDS.get(record.kind)  # type: ignore[call-overload]
    if shape is None or (record.body and record.kind not in _WITH_BODY):
        return False
    least, more = shape
    if len(words) < least or (len(words) - least) % (more or len(words) + 1):
        return False
    if record.kind == Kind.ITEMS:
        return _is_batch(record)
    return _are_counted(record.kind, words) and (record.kind != Kind.PRODUCERS or len(record.body) in (0, 8))


def _is_batch(record: Record) -> bool:
    _, first_id, first_seq, count, _, _, _ = record.words
    if not 0 < first_id < MOST or first_seq + count > MOST:
        return False
    try:
        check_sizes(count, record.body)
    except WireError:
        return False
    return True


def _are_counted(kind: int, words: tuple[int, ...]) -> bool:
    """Whether the numbers are in range. (Members and producers may be any.)"""
    if kind == Kind.REPLY:
        number, item, _, seq, _, finish = words
        return item < number < MOST and seq < MOST and finish < 2
    if kind == Kind.LOST:
        return words[1] < words[0] < MOST and words[3] < MOST
    if kind == Kind.GRANT:
        return words[1] < MOST and _are_runs(words[2:]) and max(words[3::2], default=0) <= MOST_GRANTED
    if kind == Kind.FINISH:
        return _are_runs(words)
    if kind == Kind.PRODUCERS:
        return max(words[0], words[1], *words[3::2]) < MOST
    if kind == Kind.SHUTDOWN:
        return words[0] <= 2
    if kind == Kind.EPOCH:
        return words[0] < MOST_EPOCHS
    if kind in (Kind.RETURN, Kind.TAKEN):
        return max(words[1:]) < MOST
    return kind in (Kind.GONE, Kind.BEGUN) or max(words) < MOST


def _are_runs(words: tuple[int, ...]) -> bool:
    return all(
        first > 0 and 0 < count < MOST and first + count <= MOST for first, count in zip(words[::2], words[1::2])
    )


def contradicts(state: State, record: Record) -> bool:
    """Whether the record cannot be true in this state. What became of items that are not there cannot be told."""
    kind = record.kind
    words = record.words
    if kind in (Kind.RETURN, Kind.TAKEN):
        grants = state.grants.get(words[0])
        return grants is None or not grants.taken <= words[1] <= grants.end
    if kind == Kind.GRANT:
        return not _may_be_granted(state, words)
    if kind in (Kind.FAILED, Kind.REQUEUE):
        return words[0] not in state.held and state.find(words[0]) is not None
    if kind == Kind.RETRY:
        return any(item not in state.failed and state.find(item) is not None for item in words)
    if kind == Kind.LOST:
        return words[0] in state.replies
    return False


def _may_be_granted(state: State, words: tuple[int, ...]) -> bool:
    """Whether what the record grants is ready, or is once the member's grants end where the record's begin.

    (A grant may be in the checkpoint already that makes room for its record.)
    """
    grants = state.grants.get(words[0])
    if grants is not None and words[1] < grants.taken:
        return False
    for first, count in zip(words[2::2], words[3::2]):
        batch = state.find(first)
        if batch is None:
            continue
        if first + count > batch.first_id + batch.count:
            return False
        if not state.lanes.is_ready(batch.producer, first):
            given_back = grants.positions(words[1], grants.end) if grants is not None else ()
            if first not in [item for _, item in given_back]:
                return False
    return True
