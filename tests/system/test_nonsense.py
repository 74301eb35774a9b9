"""
A journal with records that pass every check and make no sense (forgery.py).

Whatever they are, somebody leads and goes on; what is bad is named and kept; what was put before comes out as it was.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from groupqueue.core import messages as m
from groupqueue.core import records
from groupqueue.core.broker import Broker
from groupqueue.core.records import Kind, SegmentHeader
from groupqueue.system.journal import Journal
from tests.core.fakes import FakeCursors, check, picture
from tests.core.lives import A, B, Life, P, Q, payload, payloads_of
from tests.system import homes
from tests.system.forgery import Entry, Forged, nonsense, of_every_kind, some_nonsense, strange_checkpoints
from tests.system.homes import Home, roll
from tests.system.test_abuse import Shelf

pytestmark = pytest.mark.usefixtures("small", "plain_numbers")

ITEMS = "items-0000000100000001"
LEDGER = "ledger-0"
NAMES = (ITEMS, LEDGER)
PUT = {1, 2, 3, 4, 5, 8, 9, 10, 11}
"""The ids of items. (6, 7 and 12 are replies.)"""


def live(life: Life) -> None:
    """Something of every kind of record, and of every place in which an item can be."""
    life.put(P, 3)
    life.put(Q, 2, m.WANTS_REPLY)
    life.grant(A, (1, 3))
    life.grant(B, (4, 2))
    life.taken(A, 2, 1, 2)
    life.taken(B, 2, 4, 5)
    life.failed(1)
    life.requeue(2)
    life.give_back(A, 2)
    life.heard(life.reply(4))
    life.reply_lost(5)
    life.failed(5)
    life.retry(1)
    life.finish((1, 1))
    life.gone(99)
    life.shut_down(1, 1)
    life.shut_down(0, 1)
    life.put(P, 2)
    life.put(Q, 1)
    life.grant(A, (2, 2))
    life.taken(A, 3, 2)
    life.reply(life.put(Q, 1, m.WANTS_REPLY)[0], finish=False)
    life.journal.append(Kind.ANSWERED, (5,))
    life.journal.append(Kind.PRODUCERS, (life.state.next_id, life.state.total_put, P, 5, Q, 4), bytes(8))


@pytest.fixture
def lived(home: Home) -> Life:
    life = home.lead()
    live(life)
    home.told()
    assert set(payloads_of(life.journal, life.state)) <= PUT
    return life


def places(found: dict[str, Any]) -> dict[str, Any]:
    """Where the items are, as far as positions do not matter."""
    granted = {member: [item for item in items if item] for member, (_, _, items) in found["granted"].items()}
    return {"ready": found["ready"], "granted": granted, "held": found["held"], "failed": found["failed"]}


def sound(journal: Journal, as_put: bool = True) -> dict[str, Any]:
    # A checkpoint may count attempts of an item that it puts nowhere. Nobody asks for them.
    journal.state.attempts.clear()
    check(journal.state)
    for item, body in payloads_of(journal, journal.state).items():
        if item in PUT and as_put:
            assert body.rstrip(b"-") == payload(item), f"item {item} is {body[:20]!r}"
    return picture(journal.state)


def looked_at(home: Home, as_put: bool = True) -> tuple[dict[str, Any], list[str]]:
    journal = home.look()
    found = sound(journal, as_put)
    journal.close()
    return found, journal.notes


def served(home: Home, as_put: bool = True) -> list[str]:
    """Somebody leads, gives everything to one consumer and accepts more, and who comes then finds nothing wrong."""
    life = home.lead()
    notes = life.journal.notes
    cursors = FakeCursors()
    broker = Broker(life.state, life.journal, cursors, 0, 1, 4242)
    for member in set(life.state.grants) | {held.member for held in life.state.held.values()}:
        broker.dead(member)
    broker.finish_step()
    life.state.attempts.clear()
    life.put(P, 1)
    life.journal.tidy()
    life.journal.close()
    journal = home.look()
    sound(journal, as_put)
    assert not [note for note in journal.notes if note.startswith("ledger-")]
    journal.close()
    return notes


def assert_borne(home: Home, shelf: Shelf, before: dict[str, Any], forged: Forged, what: str) -> int:
    """The journal as it is now is read and led; returns how many pieces of damage were named."""
    broken = forged.path.read_bytes()
    try:
        found, notes = looked_at(home)
        if notes:
            assert places(found) == places(before)
        assert served(home) == notes
        if notes:
            assert broken in [home.path(name).read_bytes() for name in home.names()], "what is bad is kept"
    except BaseException as error:
        error.args = (f"{what}: {error.args[0] if error.args else ''}", *error.args[1:])
        raise
    shelf.restore()
    return len(notes)


def forgeries(forged: Forged) -> Iterator[Entry]:
    for entry in of_every_kind(forged.entries):
        if entry.kind != Kind.CHECKPOINT:
            yield from nonsense(entry)


PARTS = 6
"""Of the forgeries, so that no test takes long."""


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", NAMES)
def test_any_record_of_any_kind_at_the_end_is_borne(lived: Life, home: Home, name: str, part: int) -> None:
    before = picture(lived.state)
    lived.journal.close()
    shelf = Shelf(home)
    forged = Forged(home.path(name))
    named = tried = 0
    for entry in islice(forgeries(forged), part, None, PARTS):
        forged.save([*forged.entries, entry])
        named += bool(assert_borne(home, shelf, before, forged, str(entry)[:200]))
        tried += 1
    assert tried > 800 / PARTS
    assert named > tried // 2


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(60))
def test_any_number_of_them_anywhere_is_borne(lived: Life, home: Home, name: str, seed: int) -> None:
    """What stands before the true ones is believed rather than they are: of two batches with the same ids the first."""
    as_put = name == LEDGER
    if seed % 2:
        roll(lived)
    lived.journal.close()
    shelf = Shelf(home)
    forged = Forged(home.path(name))
    chosen = random.Random(seed)
    for _ in range(12):
        entries = list(forged.entries)
        for _ in range(chosen.randint(1, 6)):
            entries.insert(chosen.randint(name == LEDGER, len(entries)), some_nonsense(chosen, forged.entries))
        if chosen.random() < 0.3:
            del entries[chosen.randint(name == LEDGER, len(entries) - 1)]
        forged.save(entries)
        looked_at(home, as_put)
        served(home, as_put)
        shelf.restore()


@pytest.mark.parametrize("part", range(PARTS))
def test_a_checkpoint_that_cannot_be_is_none(
    lived: Life, home: Home, monkeypatch: pytest.MonkeyPatch, part: int
) -> None:
    """The other ledger counts then, or everything that is there is delivered."""
    # Of what it counts as attempts: see `sound`.
    monkeypatch.setattr(homes, "check", lambda state: None)
    roll(lived)
    lived.journal.close()
    shelf = Shelf(home)
    forged = Forged(home.path("ledger-1"))
    named = tried = 0
    for body in islice(strange_checkpoints(forged.entries[0].body), part, None, PARTS):
        forged.save([Entry(Kind.CHECKPOINT, (), body)])
        broken = forged.path.read_bytes()
        _, notes = looked_at(home)
        assert served(home) == notes
        if "ledger-1 has no checkpoint that can be read" in notes:
            assert broken in [home.path(name).read_bytes() for name in home.names("damaged-")]
            named += 1
        shelf.restore()
        tried += 1
    assert tried > 1000 / PARTS
    assert named > tried * 0.7


def test_a_checkpoint_that_counts_less_than_nothing_is_none(lived: Life, home: Home) -> None:
    roll(lived)
    lived.journal.close()
    forged = Forged(home.path("ledger-1"))
    saved = json.loads(forged.entries[0].body)
    saved["totals"][0] = -100
    forged.save([Entry(Kind.CHECKPOINT, (), json.dumps(saved).encode())])
    notes = served(home)
    assert "ledger-1 has no checkpoint that can be read" in notes


# One by one


@pytest.mark.parametrize(
    "entry",
    [
        Entry(Kind.GRANT, (A, 4, 1 << 40, 1)),
        Entry(Kind.GRANT, (A, 3, 4)),
        Entry(Kind.GRANT, (A, 4, 3, 1)),
        Entry(Kind.GRANT, (B, 2, 8, 1 << 20)),
        Entry(Kind.GRANT, (B, 2, 1 << 30, 1 << 30)),
        Entry(Kind.RETURN, (77, 0)),
        Entry(Kind.RETURN, (A, 5)),
        Entry(Kind.TAKEN, (A, 5)),
        Entry(Kind.TAKEN, (77, 1)),
        Entry(Kind.FAILED, (8,), b"not held"),
        Entry(Kind.REQUEUE, (3, 2, 1)),
        Entry(Kind.RETRY, (2,)),
        Entry(Kind.LOST, (1, 2, P, 3)),
        Entry(Kind.SHUTDOWN, (3, 1)),
        Entry(Kind.EPOCH, (1 << 31, 1)),
        Entry(Kind.EPOCH),
        Entry(Kind.CHECKPOINT, (), b"{}"),
        Entry(Kind.PRODUCERS, (1 << 63, 1)),
        Entry(Kind.PRODUCERS, (9, 1), b"four"),
        Entry(Kind.ITEMS, (P, 50, 50, 1, 0, 3, 1), b"\1\0\0\0x"),
        Entry(0),
        Entry(500, (1,), b"?"),
    ],
    ids=str,
)
def test_nonsense_in_a_ledger_is_named_and_the_ledger_kept(lived: Life, home: Home, entry: Entry) -> None:
    before = picture(lived.state)
    lived.journal.close()
    forged = Forged(home.path(LEDGER))
    forged.save([*forged.entries, entry])
    broken = forged.path.read_bytes()
    life = home.lead()
    (note,) = life.journal.notes
    assert note.startswith(LEDGER)
    assert places(picture(life.state)) == places(before)
    assert home.path(f"damaged-{LEDGER}").read_bytes() == broken
    assert home.look().notes == []


@pytest.mark.parametrize(
    "entry",
    [
        Entry(Kind.ITEMS, (P, 50, 50, 2, 0, 3, 1), b"\1\0\0\0x"),
        Entry(Kind.ITEMS, (P, 50, 50, 1, 0, 3, 1), b"\2\0\0\0x"),
        Entry(Kind.ITEMS, (P, 50, 50, 0, 0, 3, 1)),
        Entry(Kind.ITEMS, (P, 1, 50, 1, 0, 3, 1), b"\1\0\0\0x"),
        Entry(Kind.ITEMS, (P, 50, 3, 1, 0, 3, 1), b"\1\0\0\0x"),
        Entry(Kind.ITEMS, (P, 1 << 62, 50, 1, 0, 3, 1), b"\1\0\0\0x"),
        Entry(Kind.ITEMS, (P, 0, 50, 1, 0, 3, 1), b"\1\0\0\0x"),
        Entry(Kind.ITEMS, (P, 50, 1 << 63, 1, 0, 3, 1), b"\1\0\0\0x"),
        Entry(Kind.ITEMS, (P, 50), b"\1\0\0\0x"),
        Entry(Kind.REPLY, (60, 8, P, 99, 0, 1), b"of another item"),
        Entry(Kind.REPLY, (5, 8, P, 4, 0, 1), b"before its item"),
        Entry(Kind.REPLY, (60, 8, P, 4, 0, 2), b"?"),
        Entry(Kind.GONE, (A,)),
        Entry(500, (1,), b"?"),
    ],
    ids=str,
)
def test_nonsense_among_items_is_named_and_the_segment_kept(lived: Life, home: Home, entry: Entry) -> None:
    before = picture(lived.state)
    lived.journal.close()
    forged = Forged(home.path(ITEMS))
    forged.save([*forged.entries, entry])
    life = home.lead()
    (note,) = life.journal.notes
    assert note.startswith(f"{ITEMS}: bytes")
    assert places(picture(life.state)) == places(before)
    life.put(P, 1)
    assert home.names("items-")[1:], "nothing is appended to it any more"


def test_of_two_segments_that_claim_the_same_items_the_younger_is_believed(home: Home) -> None:
    life = home.lead()
    life.put(P, 2, size=30_000)
    life.put(P, 2, size=30_000)
    life.journal.close()
    first = home.names("items-")[0]
    forged = Forged(home.path(first))
    forged.save([entry._replace(words=(Q, 3, 1, *entry.words[3:])) for entry in forged.entries])
    life = home.lead()
    assert life.journal.notes == [
        f"{first}: bytes 64 to {64 + records.record_size(7, len(forged.entries[0].body))} are damaged"
    ]
    assert picture(life.state)["ready"] == {P: [3, 4]}


@pytest.mark.parametrize("number", [1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("kind", [0, 1, 2, 3, 1 << 31])
@pytest.mark.parametrize("name", NAMES)
def test_a_header_that_cannot_be_is_none(lived: Life, home: Home, name: str, kind: int, number: int) -> None:
    lived.journal.close()
    header = records.pack_segment_header(SegmentHeader(kind, number, 1, lived.journal._number))  # type: ignore[arg-type]
    for changed in (header, records.pack_segment_header(SegmentHeader(kind, 5, 1 << 63, 0))):  # type: ignore[arg-type]
        data = home.path(name).read_bytes()
        home.path(name).write_bytes(changed + data[64:])
        looked_at(home)
        served(home)
