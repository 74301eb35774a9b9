"""
A checkpoint as it was saved: read back from JSON, or found to be none.

It names every item once, with numbers that count, and everything is of its type. What it says is then taken as it is.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from groupqueue.core.messages import MOST, Buffer
from groupqueue.core.sense import MOST_EPOCHS

_MOST_WORD = 1 << 64


def read_saved(body: Buffer) -> dict[str, Any] | None:
    """What `to_json` made; None if it cannot have made that."""
    try:
        saved = json.loads(bytes(body))
        return saved if _is_possible(saved) else None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _is_possible(saved: dict[str, Any]) -> bool:
    shutdown, generation = saved["shutdown"]
    put, finished, lost = saved["totals"]
    next_id = saved["next_id"]
    return (
        _are_below(MOST_EPOCHS, [saved["epoch"]])
        and _are_below(MOST, [next_id, generation, put, lost])
        and next_id > 0
        # What is finished is what is left over, and may be less than nothing where much was lost.
        and type(finished) is int
        and -MOST <= finished < MOST
        and _are_below(3, [shutdown])
        and _are_pairs_by_one(saved["last_seq"], MOST)
        and _are_below(_MOST_WORD, saved.get("segments", ()))
        and _are_below(MOST, (*saved["answered"], *saved["replies"]))
        and _are_below(MOST, (number for counts in saved["attempts"] for number in _three(counts)))
        and _are_grants(saved["grants"])
        and _are_replies(saved["lost_replies"])
        and all(_is_text(reason) for _, reason in saved["failed"])
        and _are_below(_MOST_WORD, (member for _, member in saved["held"]))
        and _is_each_once(_named(saved), next_id)
    )


def _are_below(most: int, numbers: Iterable[Any]) -> bool:
    """Whether all are numbers, and of those that count. (True is an int, and is not one of them.)"""
    return all(type(number) is int and 0 <= number < most for number in numbers)


def _are_pairs_by_one(pairs: list[Any], most: int) -> bool:
    """Whether each is of another member."""
    members = [member for member, _ in pairs]
    return (
        _are_below(_MOST_WORD, members)
        and _are_below(most, (value for _, value in pairs))
        and len(set(members)) == len(members)
    )


def _are_grants(grants: list[Any]) -> bool:
    counts = (count for _, _, runs in grants for _, count in runs)
    # 0 is of what was lost.
    firsts = (first for _, _, runs in grants for first, _ in runs)
    return (
        _are_pairs_by_one([(member, taken) for member, taken, _ in grants], MOST)
        and _are_below(MOST, firsts)
        and all(type(count) is int and 0 < count < MOST for count in counts)
        and all(taken + sum(count for _, count in runs) < MOST for _, taken, runs in grants)
    )


def _are_replies(replies: list[Any]) -> bool:
    numbers = [number for number, _, _, _, _ in replies]
    return (
        all(item < number for number, item, _, _, _ in replies)
        and _are_below(MOST, numbers)
        and len(set(numbers)) == len(numbers)
        and _are_below(MOST, (count for _, item, _, seq, _ in replies for count in (item, seq)))
        and _are_below(_MOST_WORD, (producer for _, _, producer, _, _ in replies))
        and all(_is_text(text) for *_, text in replies)
    )


def _is_text(text: Any) -> bool:
    """Whether it is text. Raises ValueError for half of a surrogate pair, which could not be sent on."""
    if type(text) is not str:
        return False
    text.encode()
    return True


def _three(counts: list[Any]) -> list[Any]:
    item, attempt, deaths = counts
    return [item, attempt, deaths]


def _named(saved: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Every item that it says to be somewhere, as (first id, count)."""
    named = [(first, count) for first, count in saved["ready"]]
    # Of items that were lost only the positions are left.
    named += [(first, count) for _, _, runs in saved["grants"] for first, count in runs if first]
    named += [(item, 1) for item, _ in saved["held"]]
    named += [(item, 1) for item, _ in saved["failed"]]
    return named


def _is_each_once(runs: list[tuple[Any, Any]], next_id: int) -> bool:
    if not _are_below(MOST, (number for run in runs for number in run)):
        return False
    end = 1
    for first, count in sorted(runs):
        if first < end or not count:
            return False
        end = first + count
    return end <= next_id
