"""A checkpoint is read back as it was saved, or not at all."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from groupqueue.core import messages as m
from groupqueue.core.checkpoint import to_json
from groupqueue.core.messages import MOST
from groupqueue.core.saved import read_saved
from groupqueue.core.sense import MOST_EPOCHS
from tests.core.fakes import FakeJournal
from tests.core.lives import A, B, Life, P, Q

ANY = 1 << 64


def lived() -> dict[str, Any]:
    """Something in every field."""
    life = Life(FakeJournal(segment_records=1000))
    life.put(P, 9)
    life.put(Q, 3, m.WANTS_REPLY)
    life.grant(A, (1, 3), (10, 3))
    life.taken(A, 2, 1, 2)
    life.failed(1)
    life.grant(B, (4, 1))
    life.taken(B, 1, 4)
    life.requeue(4)
    life.taken(A, 5, 10, 11)
    life.reply(10, finish=False)
    life.reply_lost(11)
    saved = json.loads(json.dumps(to_json(life.state)))
    saved["epoch"] = 3
    saved["segments"] = [5, 6]
    saved["shutdown"] = [1, 1]
    return saved  # type: ignore[no-any-return]


SAVED = lived()


def read(saved: Any) -> dict[str, Any] | None:
    return read_saved(json.dumps(saved).encode())


def changed(path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    saved = copy.deepcopy(SAVED)
    place: Any = saved
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return saved


def test_it_is_read_as_it_was() -> None:
    assert all(SAVED.values()), "a field without anything in it shows nothing"
    assert read(SAVED) == SAVED


def test_so_is_the_very_first() -> None:
    first = json.loads(json.dumps(to_json(Life(FakeJournal(segment_records=1000)).state)))
    assert read(first) == first


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b"1" * 5000], ids=len)
def test_what_is_no_checkpoint_is_none(body: bytes) -> None:
    assert read_saved(body) is None


@pytest.mark.parametrize("name", sorted(set(SAVED) - {"format", "segments"}))
def test_each_field_must_be_there_and_of_its_type(name: str) -> None:
    less = dict(SAVED)
    del less[name]
    assert read(less) is None
    for odd in (None, "x", [None], [[None]], {"x": 1}, 0.5):
        assert read({**SAVED, name: odd}) is None, odd


def test_an_older_one_does_not_name_its_segments() -> None:
    older = dict(SAVED)
    del older["segments"]
    assert read(older) == older


ODD = [-1, True, 0.5, "1", None]
ALLOWED = [
    (("epoch",), MOST_EPOCHS - 1),
    (("next_id",), MOST - 1),
    (("shutdown", 0), 2),
    (("shutdown", 1), MOST - 1),
    (("totals", 0), MOST - 1),
    (("totals", 1), MOST - 1),
    (("totals", 1), -MOST),
    (("totals", 2), MOST - 1),
    (("last_seq", 0, 0), ANY - 1),
    (("last_seq", 0, 1), MOST - 1),
    (("segments", 0), ANY - 1),
    (("answered", 0), MOST - 1),
    (("replies", 0), MOST - 1),
    (("attempts", 0, 0), MOST - 1),
    (("attempts", 0, 1), MOST - 1),
    (("attempts", 0, 2), MOST - 1),
    (("grants", 0, 0), ANY - 1),
    (("grants", 0, 1), MOST - 2),
    (("grants", 0, 2, 0, 0), 0),
    (("lost_replies", 0, 0), MOST - 1),
    (("lost_replies", 0, 2), ANY - 1),
    (("lost_replies", 0, 3), MOST - 1),
    (("lost_replies", 0, 4), ""),
    (("held", 0, 1), ANY - 1),
    (("failed", 0, 1), ""),
]


@pytest.mark.parametrize(("path", "value"), ALLOWED, ids=str)
def test_the_most_that_counts_is_allowed_and_no_more(path: tuple[Any, ...], value: Any) -> None:
    assert read(changed(path, value)) is not None
    if type(value) is int and value:
        assert read(changed(path, value + (1 if value > 0 else -1))) is None


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("path", [path for path, value in ALLOWED if type(value) is int and value > 0], ids=str)
def test_what_is_no_number_does_not_count(path: tuple[Any, ...], odd: Any) -> None:
    if path == ("totals", 1) and odd == -1:
        return
    assert read(changed(path, odd)) is None


@pytest.mark.parametrize("path", [("lost_replies", 0, 4), ("failed", 0, 1)], ids=str)
@pytest.mark.parametrize("odd", [None, 1, "\ud800", ["why"]], ids=repr)
def test_a_reason_is_text(path: tuple[Any, ...], odd: Any) -> None:
    assert read(changed(path, odd)) is None


@pytest.mark.parametrize(
    ("path", "more"),
    [
        (("last_seq",), [P, 1]),
        (("grants",), [A, 0, []]),
        (("lost_replies",), [SAVED["lost_replies"][0][0], 1, P, 1, ""]),
        (("ready",), [1, 1]),
        (("ready",), [12, 1]),
        (("ready",), [9, 1]),
        (("held",), [1, A]),
        (("failed",), [2, "twice"]),
        (("grants",), [77, 0, [[5, 1]]]),
        (("ready",), [SAVED["next_id"], 1]),
        (("ready",), [13, 0]),
        (("ready",), [0, 1]),
        (("ready",), [1]),
        (("ready",), [1, 1, 1]),
        (("held",), [13]),
        (("attempts",), [1, 1]),
        (("lost_replies",), [30, 30, P, 1, ""]),
        (("lost_replies",), [30, -1, P, 1, ""]),
        (("grants",), [77, 0, [[0, 0]]]),
        (("grants",), [77, 0, [[0, MOST]]]),
        (("grants",), [77, MOST - 1, [[0, 1]]]),
        (("grants",), [77, 0, [[0, True]]]),
        (("grants",), [77, 0, [[MOST, 1]]]),
    ],
    ids=str,
)
def test_nobody_and_nothing_is_named_twice_or_beyond_what_there_is(path: tuple[Any, ...], more: list[Any]) -> None:
    saved = copy.deepcopy(SAVED)
    saved[path[0]].append(more)
    assert read(saved) is None


def test_ids_begin_at_one() -> None:
    assert read(changed(("next_id",), 0)) is None


def test_the_last_item_that_there_is_may_be_named() -> None:
    saved = copy.deepcopy(SAVED)
    saved["ready"].append([SAVED["next_id"], 2])
    saved["next_id"] += 2
    assert read(saved) == saved
    saved["next_id"] -= 1
    assert read(saved) is None
