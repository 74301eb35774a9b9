"""
A journal under abuse: cut at every byte, flipped at every byte, its files stale, swapped, missing, foreign.

What is good is delivered, each payload as it was put and each lane in order; what is bad is set aside and named. The
journals are small and are read in this process, so that every byte gets its turn. (What else can be done to one is for
tests/fuzz to find.)
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groupqueue.core import messages as m
from groupqueue.core import records
from groupqueue.core.records import Record, SegmentHeader, SegmentKind
from groupqueue.exceptions import GroupVersionError
from groupqueue.system.journal import Journal
from tests.core.fakes import check, picture
from tests.core.lives import A, B, Life, P, Q, payload, payloads_of
from tests.system.homes import Home, drain, flip, roll

pytestmark = pytest.mark.usefixtures("small", "plain_numbers")

ITEMS = "items-0000000100000001"
LEDGER = "ledger-0"


def live(life: Life) -> None:
    """A little of everything, in one segment and one ledger."""
    life.put(P, 2)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.put(Q, 1, m.WANTS_REPLY)
    life.grant(B, (3, 1))
    life.taken(B, 1, 3)
    life.reply(3)
    life.failed(1)
    life.put(P, 3)
    life.put(Q, 1, size=60)


@pytest.fixture
def lived(home: Home) -> Life:
    life = home.lead()
    live(life)
    return life


class Shelf:
    """A journal's files as they were, to be put back after each deed."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self.files = {name: home.path(name).read_bytes() for name in home.names()}

    def restore(self) -> None:
        for name in set(self._home.names()) - set(self.files):
            self._home.path(name).unlink()
        for name, data in self.files.items():
            self._home.path(name).write_bytes(data)


def places(path: Path) -> list[Record]:
    """The records of a segment that is whole."""
    data = path.read_bytes()
    header = records.unpack_segment_header(data)
    assert header is not None
    found = list(records.read_records(memoryview(data), header.number))
    assert all(isinstance(record, Record) for record in found)
    return found  # type: ignore[return-value]


def end_of(record: Record) -> int:
    """Where its bytes end: the padding behind them is not needed to read it."""
    return record.offset + records.HEADER.size + 8 * len(record.words) + len(record.body)


def sound(journal: Journal) -> dict[str, Any]:
    """Every item is in one place, every lane in order, and every payload is the one that was put."""
    check(journal.state)
    for item, body in payloads_of(journal, journal.state).items():
        assert body.rstrip(b"-") == payload(item), f"item {item} is {body[:20]!r}"
    return picture(journal.state)


def looked_at(home: Home) -> tuple[dict[str, Any], list[str]]:
    journal = home.look()
    found = sound(journal)
    journal.close()
    return found, journal.notes


def led(home: Home) -> list[str]:
    """A leader takes over and goes on, and whoever looks then finds the same. Returns the leader's notes."""
    life = home.lead()
    notes = life.journal.notes
    sound(life.journal)
    life.put(P, 1)
    lived = picture(life.state)
    life.journal.close()
    journal = home.look()
    assert picture(journal.state) | {"totals": 0} == lived | {"totals": 0}
    journal.close()
    return notes


# Cut


@pytest.mark.parametrize("name", [ITEMS, LEDGER])
def test_a_file_cut_at_any_byte_of_its_last_records_has_what_was_written_before(home: Home, name: str) -> None:
    life = home.lead()
    pictures: list[tuple[int, dict[str, Any]]] = []

    def note() -> None:
        pictures.append((end_of(places(home.path(name))[-1]), picture(life.state)))

    live(life)
    note()
    life.after = note
    for step in range(3):
        if name == ITEMS:
            life.put(P, step + 1, size=20)
        else:
            life.grant(A, (5 + step, 1))
    shelf = Shelf(home)
    ends = [end for end, _ in pictures]
    cut = 0
    for at in range(ends[0], ends[-1] + 1):
        home.path(name).write_bytes(shelf.files[name][:at])
        expected = [found for end, found in pictures if end <= at][-1]
        assert looked_at(home) == (expected, []), f"cut at byte {at}"
        if at % 17 == 0:
            assert led(home) == []
            shelf.restore()
        cut += 1
    assert cut > 150


@pytest.mark.parametrize("name", [ITEMS, LEDGER])
def test_a_file_cut_anywhere_costs_what_was_behind_the_cut(lived: Life, home: Home, name: str) -> None:
    """Also what the other file tells of by then."""
    shelf = Shelf(home)
    end = places(home.path(name))[-1].end
    for at in range(0, end, 3):
        home.path(name).write_bytes(shelf.files[name][:at])
        looked_at(home)
        if at % 33 == 0:
            led(home)
            shelf.restore()


# Flipped


@pytest.mark.parametrize("with_", [0xFF, 0x01])
@pytest.mark.parametrize("name", [ITEMS, LEDGER])
def test_a_flipped_byte_costs_one_record_and_is_named(lived: Life, home: Home, name: str, with_: int) -> None:
    before = picture(lived.state)
    shelf = Shelf(home)
    path = home.path(name)
    last = places(path)[-1]
    for at in range(last.end):
        flip(path, at, with_)
        found, notes = looked_at(home)
        if found != before and at < last.offset:
            assert notes, f"byte {at} is flipped, and nothing is said of what it cost"
        if at % 23 == 0:
            broken = path.read_bytes()
            named = led(home)
            if named and records.SEGMENT_HEADER_SIZE <= at < last.offset:
                assert broken in [home.path(left).read_bytes() for left in home.names()], "what is bad is kept"
            shelf.restore()
        else:
            flip(path, at, with_)


# Stale, swapped, missing, foreign


def test_files_that_changed_their_names_are_known_by_their_headers(home: Home) -> None:
    life = home.lead()
    for _ in range(3):
        life.put(P, 2, size=20_000)
    roll(life)
    before = picture(life.state)
    for first, second in [home.names("ledger-"), home.names("items-")[:2]]:
        path = home.path("between")
        home.path(first).rename(path)
        home.path(second).rename(home.path(first))
        path.rename(home.path(second))
        assert home.told() == before
    assert led(home) == []


def test_a_stale_copy_of_the_ledger_beside_the_newer_one_does_not_count(lived: Life, home: Home) -> None:
    stale = home.path(LEDGER).read_bytes()
    roll(lived)
    roll(lived)
    lived.put(P, 1)
    before = picture(lived.state)
    home.path("ledger-1").write_bytes(stale)
    assert home.told() == before


def test_a_stale_ledger_alone_delivers_again_and_alters_nothing(lived: Life, home: Home) -> None:
    stale = home.path(LEDGER).read_bytes()
    life = lived
    life.grant(A, (2, 1))
    life.taken(A, 2)
    home.path(LEDGER).write_bytes(stale)
    found, _ = looked_at(home)
    assert found["ready"] == {P: [2, 5, 6, 7], Q: [8]}
    led(home)


def test_a_stale_items_segment_has_what_it_had(home: Home) -> None:
    life = home.lead()
    life.put(P, 2)
    stale = home.path(ITEMS).read_bytes()
    life.put(P, 2)
    life.put(Q, 1)
    life.grant(A, (3, 2))
    home.path(ITEMS).write_bytes(stale)
    found, _ = looked_at(home)
    assert found["ready"] == {P: [1, 2]}
    assert found["granted"] == {A: (0, 2, [None, None])}
    assert found["next_id"] == 5, "the numbers of what is lost are not given to others"
    led(home)


def test_a_segment_that_was_drained_and_comes_back_delivers_nothing_again(home: Home) -> None:
    life = home.lead()
    life.put(P, 3, size=20_000)
    stale = home.path(ITEMS).read_bytes()
    drain(life)
    life.put(P, 1, size=60_000)
    before = picture(life.state)
    assert ITEMS not in home.names()
    home.path(ITEMS).write_bytes(stale)
    assert home.told()["ready"] == before["ready"]
    led(home)


@pytest.mark.parametrize("name", [ITEMS, LEDGER, "ledger-1"])
def test_whatever_file_is_missing_the_rest_is_delivered(lived: Life, home: Home, name: str) -> None:
    home.path(name).unlink()
    found, _ = looked_at(home)
    if name == ITEMS:
        assert found["ready"] == {}
    elif name == LEDGER:
        assert found["ready"] == {P: [1, 2, 5, 6, 7], Q: [8]}
        assert found["answered"] == [] or found["answered"] == [3]
    else:
        assert found == picture(lived.state)
    led(home)


def test_a_cut_copy_of_a_segment_does_not_stand_in_for_it(lived: Life, home: Home) -> None:
    """Whatever its name: it counts, and stays, which has the name of its number."""
    before = picture(lived.state)
    for name in ("items-0000000000000007", "items-00000002000000ff"):
        home.path(name).write_bytes(home.path(ITEMS).read_bytes()[:150])
    notes = ["items-0000000000000007 stands there twice", "items-00000002000000ff stands there twice"]
    found, named = looked_at(home)
    assert (found, sorted(named)) == (before, notes)
    assert sorted(led(home)) == notes
    assert home.names("damaged-") == [f"damaged-{note.split()[0]}" for note in notes]


@pytest.mark.parametrize("lost", [[LEDGER], [LEDGER, "ledger-1"]])
def test_a_number_is_not_used_again_though_only_a_name_or_a_spare_tells_of_it(home: Home, lost: list[str]) -> None:
    life = home.lead()
    life.put(P, 1, size=40_000)
    life.put(P, 1, size=40_000)
    drain(life)
    life.put(Q, 1, size=40_000)
    (used,) = home.names("items-")
    assert home.names("spare-")
    flip(home.path(used), 3)
    for name in lost:
        home.path(name).unlink()
    again = home.lead()
    assert again.state.epoch == 2
    assert picture(again.state)["ready"][Q]


@pytest.fixture
def foreign(directory: str, journals: list[Journal], monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """Another group's journal, with other payloads under the same ids."""
    folder = os.path.join(directory, "foreign")
    os.mkdir(folder)
    home = Home(folder, journals)
    with monkeypatch.context() as patch:
        patch.setattr("tests.core.lives.payload", lambda item, size=None: b"not yours %d" % item)
        life = home.lead()
        life.put(P, 4)
        life.put(Q, 4)
        roll(life)
    return home


def test_another_groups_segment_is_set_aside_and_named(lived: Life, home: Home, foreign: Home) -> None:
    before = picture(lived.state)
    for name in ("items-0000000000000007", "items-00000001000000ff"):
        shutil.copy(foreign.path(ITEMS), home.path(name))
    note = "belongs to another journal; nothing of it is taken"
    assert looked_at(home) == (before, [f"items-0000000000000007 {note}", f"items-00000001000000ff {note}"])
    assert len(led(home)) == 2
    assert home.path("damaged-items-0000000000000007").read_bytes() == foreign.path(ITEMS).read_bytes()
    assert home.look().notes == []


def test_another_groups_segment_in_the_place_of_ours_is_not_delivered(lived: Life, home: Home, foreign: Home) -> None:
    shutil.copy(foreign.path(ITEMS), home.path(ITEMS))
    found, notes = looked_at(home)
    assert found["ready"] == {}
    assert notes == [
        f"{ITEMS} belongs to another journal; nothing of it is taken",
        f"{ITEMS} is missing; what was left in it is lost",
    ]
    assert led(home) == notes


@pytest.mark.parametrize("name", ["ledger-0", "ledger-1"])
def test_another_groups_ledger_does_not_count_however_young_it_is(
    lived: Life, home: Home, foreign: Home, name: str
) -> None:
    """Here both of ours and two segments say whose journal this is."""
    roll(lived)
    before = picture(lived.state)
    for _ in range(3):
        shutil.copy(home.path(ITEMS), home.path("items-0000000000000001"))
        roll(Life(foreign.lead().journal))
    shutil.copy(foreign.path(name), home.path("ledger-0"))
    found, notes = looked_at(home)
    assert found["ready"] == before["ready"]
    assert notes[0] == "ledger-0 belongs to another journal; nothing of it is taken"
    led(home)


def test_damage_that_was_set_aside_before_is_not_written_over(home: Home) -> None:
    home.lead()
    for text in (b"one", b"two", b"three"):
        home.path("items-0000000000000009").write_bytes(text.ljust(100, b"x"))
        home.lead()
    kept = [home.path(name).read_bytes()[:3] for name in home.names("damaged-")]
    assert sorted(kept) == [b"one", b"thr", b"two"]


@pytest.mark.parametrize("size", [0, 10, 63, 64, 100])
def test_a_ledger_that_was_cut_to_nothing_is_made_anew(home: Home, size: int) -> None:
    """Also after a sync that may have failed, where a new one is made of the same size."""
    life = home.lead()
    life.put(P, 2, m.DURABLE)
    life.journal.sync()
    life.put(P, 1, m.DURABLE)
    os.truncate(home.path("ledger-1"), size)
    led(home)
    assert home.told()["ready"] == {P: [1, 2, 3, 4]}


# What is no file


@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.symlink("/nowhere", path), os.mkfifo])
@pytest.mark.parametrize(
    "name", ["items-0000000000000005", "spare-0000000000000001", "new-0000000000000001", "ledger-1"]
)
def test_what_is_no_file_is_set_aside_and_named(lived: Life, home: Home, name: str, make: Any) -> None:
    before = picture(lived.state)
    if home.path(name).exists():
        home.path(name).unlink()
    make(home.path(name))
    assert looked_at(home) == (before, [f"{name} is no file"])
    assert led(home) == [f"{name} is no file"]
    assert os.path.lexists(home.path("damaged-" + name))
    assert home.look().notes == []


# Versions


@pytest.mark.parametrize("name", [ITEMS, LEDGER])
@pytest.mark.parametrize("version", [0, 2, 2**32 - 1])
def test_another_version_is_named_and_nothing_is_written(
    lived: Life, home: Home, monkeypatch: pytest.MonkeyPatch, name: str, version: int
) -> None:
    kind = SegmentKind.LEDGER if name == LEDGER else SegmentKind.ITEMS
    with monkeypatch.context() as patch:
        patch.setattr(records, "VERSION", version)
        header = records.pack_segment_header(SegmentHeader(kind, (1 << 32) + 1, 1))
    home.path(name).write_bytes(header + home.path(name).read_bytes()[64:])
    shelf = Shelf(home)
    with pytest.raises(GroupVersionError, match=rf"'jobs'.*{name}.*version {version}.*version 1"):
        home.lead()
    assert Shelf(home).files == shelf.files
