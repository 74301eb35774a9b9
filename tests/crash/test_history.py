"""The reading of a history: that it sees each breach of the contract, and allows what the contract allows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.crash.history import History, Story

Event = tuple[Any, ...]


def put(number: int, source: str = "P") -> list[Event]:
    return [(source, "putting", source, number), (source, "put", source, number)]


def got(number: int, by: str = "C", attempt: int = 1, source: str = "P") -> list[Event]:
    return [(by, "getting"), (by, "got", source, number, attempt)]


def ended(number: int, how: str = "done", by: str = "C", source: str = "P") -> list[Event]:
    return [(by, "ending", source, number, how), (by, "ended", source, number)]


FLUSHED: list[Event] = [("P", "flushed", "P")]
SETTLED: list[Event] = [("C", "settled")]
KILLED: list[Event] = [("C", "killed", 0)]
KILLED_WITH_ONE: list[Event] = [("C", "killed", 1)]
HELD = Story(held=True)
PLAIN = Story()
TOGETHER = Story(at_once=2)


def findings(story: Story, *events: Sequence[Event], failed: set[tuple[str, int]] | None = None) -> list[str]:
    history = History(story)
    for part in events:
        for event in part:
            history.add(*event)
    history.finish(failed or set(), {})
    return history.findings


GOOD = {
    "what was put comes out": (PLAIN, put(0), FLUSHED, got(0)),
    "an unflushed tail need not come out": (PLAIN, put(0), [("P", "killed", 0)]),
    "an unflushed tail may come out": (PLAIN, put(0), [("P", "killed", 0)], got(0)),
    "one plain item may go with its consumer": (PLAIN, put(0), put(1), FLUSHED, KILLED_WITH_ONE, got(1, by="D")),
    "the plain items of one call may go with their consumer": (
        TOGETHER, put(0), put(1), put(2), FLUSHED, [("C", "killed", 2)], got(2, by="D"),
    ),
    "what a killed consumer held comes again": (
        HELD, put(0), FLUSHED, got(0), KILLED, got(0, "D", 2), ended(0, by="D"),
    ),
    "an ending that nobody confirmed may have been recorded": (HELD, put(0), FLUSHED, got(0), ended(0), KILLED),
    "what is requeued comes again": (
        HELD, put(0), FLUSHED, got(0), ended(0, "requeued"), got(0, attempt=2), ended(0),
    ),
}  # fmt: skip


BAD = {
    "lost": (PLAIN, put(0), FLUSHED),
    "lost: a second one with one consumer": (PLAIN, put(0), put(1), FLUSHED, KILLED_WITH_ONE),
    "lost: what a killed consumer held": (HELD, put(0), FLUSHED, got(0), KILLED),
    "lost: what was failed and is not there": (HELD, put(0), FLUSHED, got(0), ended(0, "failed"), SETTLED),
    "duplicated": (PLAIN, put(0), FLUSHED, got(0), got(0)),
    "duplicated: after a killed consumer told of it": (PLAIN, put(0), FLUSHED, got(0), KILLED, got(0, by="D")),
    "duplicated: held by one that lives": (HELD, put(0), FLUSHED, got(0), got(0, "D", 2), ended(0, by="D")),
    "duplicated: an ending that was confirmed": (
        HELD, put(0), FLUSHED, got(0), ended(0), SETTLED, KILLED, got(0, "D", 2), ended(0, by="D"),
    ),
    "attempt": (HELD, put(0), FLUSHED, got(0), KILLED, got(0, "D", 1), ended(0, by="D")),
    "unexpected": (PLAIN, got(0)),
    "unexpected: its put raised Full": (PLAIN, [("P", "putting", "P", 0), ("P", "refused", "P", 0)], got(0)),
    "order": (PLAIN, put(0), put(1), FLUSHED, got(1), got(0)),
    "bound": (Story(maxsize=1), put(0), put(1), FLUSHED, got(0), got(1)),
    "a second reply": (HELD, put(0), got(0), ended(0), [("P", "answered", "P", 0, [1])] * 2),
    "cursor": (PLAIN, put(0), put(1), [("C", "killed", 2)]),
    "cursor: more than one call of several": (TOGETHER, put(0), put(1), put(2), [("C", "killed", 3)]),
    "join returned before": (HELD, put(0), FLUSHED, got(0), [("P", "joined")], ended(0)),
    "C logged ERROR": (PLAIN, [("C", "log", "ERROR", "the role of leader crashed")]),
}  # fmt: skip


@pytest.mark.parametrize("case", GOOD)
def test_what_the_contract_allows_is_no_finding(case: str) -> None:
    story, *events = GOOD[case]
    assert findings(story, *events) == []


@pytest.mark.parametrize("case", BAD)
def test_a_breach_is_found_and_named(case: str) -> None:
    story, *events = BAD[case]
    found = findings(story, *events)
    assert [text for text in found if text.startswith(case.partition(":")[0])], found


def test_what_is_left_in_the_end_is_a_finding() -> None:
    history = History(HELD)
    history.finish(set(), {"ready": 0, "in flight": 1})
    assert history.findings == ["left in the end: 1 in flight"]
