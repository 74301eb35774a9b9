"""Reading back what is torn, damaged, of another version, or not ours."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from groupqueue.core import records
from groupqueue.core.records import Kind, SegmentHeader, SegmentKind
from groupqueue.exceptions import GroupVersionError
from tests.core.fakes import check, picture
from tests.core.lives import A, Life, P, Q, payload, payloads_of, random_moves
from tests.system.homes import SMALL, Home, drain, flip, last_record, roll


def test_looking_changes_nothing(home: Home) -> None:
    life = home.lead()
    random_moves(life, random.Random(3), 50)
    before = {name: (home.path(name).read_bytes(), home.path(name).stat().st_mtime_ns) for name in home.names()}
    home.told()
    after = {name: (home.path(name).read_bytes(), home.path(name).stat().st_mtime_ns) for name in home.names()}
    assert after == before


def test_a_file_that_is_not_ours_is_left_alone_and_named(home: Home) -> None:
    life = home.lead()
    life.put(P, 1)
    home.path("items-backup").write_bytes(b"what is this")
    home.path("items-00000000deadbeef").write_bytes(b"short")
    home.path("README").write_bytes(b"hello")
    again = home.lead()
    assert picture(again.state)["ready"] == {P: [1]}
    assert len(again.journal.notes) == 2
    assert home.path("items-backup").exists()
    assert home.path("README").exists()


def test_a_segment_that_stands_there_twice_counts_once(home: Home) -> None:
    life = home.lead()
    life.put(P, 2)
    (name,) = home.names("items-")
    shutil.copy(home.path(name), home.path("items-0000000000000001"))
    again = home.look()
    assert picture(again.state)["ready"] == {P: [1, 2]}
    assert len(again.notes) == 1


# Torn tails


@pytest.mark.parametrize("over", [b"\0", b"\xa5"])
def test_a_batch_that_was_torn_anywhere_was_never_put(home: Home, over: bytes) -> None:
    life = home.lead()
    life.put(P, 2)
    life.grant(A, (1, 1))
    before = picture(life.state)
    life.put(Q, 2)
    tear_anywhere(home, home.names("items-")[0], before, over)


@pytest.mark.parametrize("over", [b"\0", b"\xa5"])
def test_a_ledger_record_that_was_torn_anywhere_was_never_written(home: Home, over: bytes) -> None:
    life = home.lead()
    life.put(P, 4)
    life.grant(A, (1, 2))
    before = picture(life.state)
    life.taken(A, 2, 1)
    tear_anywhere(home, "ledger-0", before, over)


def tear_anywhere(home: Home, name: str, before: dict[str, Any], over: bytes) -> None:
    path = home.path(name)
    whole = path.read_bytes()
    start, end = last_record(path)
    for at in range(start, end):
        torn = whole[:at] + over * (end - at) + whole[end:]
        if torn != whole:
            path.write_bytes(torn)
            assert home.told() == before, f"torn at byte {at - start}"


@pytest.mark.parametrize("kept", [0, 10, 41, 60])
def test_the_next_leader_writes_over_what_was_torn(home: Home, kept: int) -> None:
    life = home.lead()
    life.put(P, 2, size=100)
    before = picture(life.state)
    life.put(P, 3, size=1000)
    path = home.path(home.names("items-")[0])
    start, end = last_record(path)
    data = path.read_bytes()
    path.write_bytes(data[: start + kept] + bytes(end - start - kept) + data[end:])
    again = home.lead()
    assert picture(again.state) == before | {"epoch": 2}
    again.put(P, 1)
    again.put(Q, 1)
    assert home.names("items-") == [path.name]
    assert home.told() == picture(again.state)


def test_stale_records_are_not_read_behind_a_torn_one(home: Home) -> None:
    life = home.lead()
    for _ in range(9):
        life.put(P, 50, size=1000)
    drain(life)
    life = home.lead()
    life.put(Q, 1, size=500)
    (name,) = home.names("items-")
    path = home.path(name)
    assert b"50." in path.read_bytes()
    start, end = last_record(path)
    for at in range(start, end, 7):
        flip(path, at)
        assert home.told()["ready"] == {}
        flip(path, at)


# Damage


def scarred(home: Home) -> tuple[Life, Path, list[tuple[int, int]]]:
    """A life with three batches in one segment, its path, and where its records are."""
    life = home.lead()
    for _ in range(3):
        life.put(P, 2, size=100)
    path = home.path(home.names("items-")[0])
    data = path.read_bytes()
    places = [(record.offset, record.end) for record in records.read_records(memoryview(data), int(path.name[6:], 16))]
    return life, path, places


def test_damage_in_a_segment_costs_what_it_hit_and_is_noted(home: Home) -> None:
    _, path, places = scarred(home)
    flip(path, places[1][0] + 100)
    again = home.lead()
    assert picture(again.state)["ready"] == {P: [1, 2, 5, 6]}
    assert again.journal.notes == [f"{path.name}: bytes {places[1][0]} to {places[1][1]} are damaged"]


def test_a_damaged_segment_is_not_written_to_and_set_aside_when_it_is_drained(home: Home) -> None:
    _, path, places = scarred(home)
    flip(path, places[1][0] + 100)
    broken = path.read_bytes()
    again = home.lead()
    again.put(Q, 1)
    assert path.read_bytes() == broken
    drain(again)
    again = home.lead()
    assert home.path("damaged-" + path.name).read_bytes() == broken
    assert not path.exists()
    assert home.told() == picture(again.state)


def test_a_segment_whose_header_is_damaged_is_still_read(home: Home) -> None:
    life, path, _ = scarred(home)
    flip(path, 3)
    again = home.lead()
    assert picture(again.state) == picture(life.state) | {"epoch": 2}
    assert again.journal.notes == [f"{path.name}: its header is damaged"]


@pytest.mark.parametrize("rest", [b"\xff", b"groupq"])
def test_a_segment_in_which_nothing_can_be_read_is_set_aside_and_named(home: Home, rest: bytes) -> None:
    _, path, _ = scarred(home)
    broken = rest.ljust(path.stat().st_size, b"x")
    path.write_bytes(broken)
    note = [f"{path.name}: nothing in it can be read"]
    assert home.look().notes == note
    again = home.lead()
    assert again.journal.notes == note
    assert home.path("damaged-" + path.name).read_bytes() == broken
    assert not path.exists()
    again.put(P, 1)
    assert home.told() == picture(again.state)


@pytest.mark.parametrize("kept", [0, 1, 8, 12, 16, 32, 63])
@pytest.mark.parametrize("over", [bytes(64), records.pack_segment_header(SegmentHeader(SegmentKind.ITEMS, 7, 7))])
def test_a_segment_whose_creation_was_cut_short_is_no_damage(home: Home, kept: int, over: bytes) -> None:
    home.lead()
    number = (1 << 32) + 5
    header = records.pack_segment_header(SegmentHeader(SegmentKind.ITEMS, number, 1))
    path = home.path(f"items-{number:016x}")
    path.write_bytes((header[:kept] + over[kept:]).ljust(SMALL, b"\0"))
    again = home.lead()
    assert again.journal.notes == []
    assert home.names("damaged-") == []
    again.put(P, 1)
    assert home.told() == picture(again.state)


@pytest.mark.usefixtures("plain_numbers")
def test_damage_in_the_ledger_costs_what_it_hit_and_the_ledger_is_set_aside(home: Home) -> None:
    life = home.lead()
    life.put(P, 6)
    for first in (1, 3, 5):
        life.grant(A, (first, 2))
    path = home.path("ledger-0")
    data = path.read_bytes()
    found = list(records.read_records(memoryview(data), (1 << 32) + 1))
    grants = [record for record in found if isinstance(record, records.Record) and record.kind == Kind.GRANT]
    flip(path, grants[1].offset + 50)
    broken = path.read_bytes()
    again = home.lead()
    assert len(again.journal.notes) == 1
    assert picture(again.state)["ready"] == {P: [3, 4]}
    assert picture(again.state)["granted"] == {A: (0, 6, [1, 2, None, None, 5, 6])}
    assert home.path("damaged-ledger-0").read_bytes() == broken
    following = home.lead()
    assert following.journal.notes == []
    assert picture(following.state) == picture(again.state) | {"epoch": 3}


def test_without_a_readable_ledger_all_items_are_delivered_and_it_is_noted(home: Home) -> None:
    life = home.lead()
    life.put(P, 3)
    life.grant(A, (1, 2))
    for name in home.names("ledger-"):
        flip(home.path(name), 70)
    again = home.lead()
    assert picture(again.state)["ready"] == {P: [1, 2, 3]}
    assert again.journal.notes == ["ledger-0 has no checkpoint that can be read"]
    assert again.state.last_seq == {P: 3}


def test_a_ledger_that_cannot_be_read_is_kept(home: Home) -> None:
    life = home.lead()
    life.put(P, 3)
    path = home.path("ledger-0")
    flip(path, 70)
    broken = path.read_bytes()
    life = home.lead()
    for _ in range(3):
        roll(life)
    assert broken in [home.path(name).read_bytes() for name in home.names()]


@pytest.mark.parametrize("kept", [1, 32, 63])
def test_a_first_ledger_whose_header_was_cut_short_is_no_damage(home: Home, kept: int) -> None:
    home.lead()
    for name in home.names():
        if name != "ledger-0":
            home.path(name).unlink()
    path = home.path("ledger-0")
    data = path.read_bytes()
    path.write_bytes(data[:kept] + bytes(64 - kept) + data[64:])
    again = home.lead()
    assert again.journal.notes == []
    assert home.names("damaged-") == []
    again.put(P, 1)
    assert home.told() == picture(again.state)


def test_the_older_ledger_serves_when_the_newer_cannot_be_read(home: Home) -> None:
    life = home.lead()
    life.put(P, 3)
    roll(life)
    life.put(P, 1)
    flip(home.path("ledger-1"), 70)
    again = home.lead()
    assert picture(again.state)["ready"] == {P: [1, 2, 3, 4]}
    assert again.journal.notes == ["ledger-1 has no checkpoint that can be read"]


def test_damage_is_noted_once(home: Home) -> None:
    life = home.lead()
    life.put(P, 3)
    roll(life)
    flip(home.path("ledger-1"), 70)
    assert len(home.lead().journal.notes) == 1
    assert home.lead().journal.notes == []


@pytest.mark.usefixtures("plain_numbers")
@pytest.mark.parametrize("name", ["ledger-0", "items-0000000100000001"])
def test_a_flipped_byte_anywhere_is_survived(home: Home, name: str) -> None:
    life = home.lead()
    life.put(P, 2)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.put(Q, 1)
    path = home.path(name)
    end = last_record(path)[1]
    for at in range(0, end, 3):
        flip(path, at)
        journal = home.look()
        check(journal.state)
        for item, body in payloads_of(journal, journal.state).items():
            assert body == payload(item)
        journal.close()
        flip(path, at)
    assert home.told() == picture(life.state)


# Versions


@pytest.mark.usefixtures("plain_numbers")
@pytest.mark.parametrize("name", ["ledger-0", "items-0000000100000001"])
def test_another_version_is_an_error_that_names_both(home: Home, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    life = home.lead()
    life.put(P, 1)
    kind = SegmentKind.LEDGER if name.startswith("ledger") else SegmentKind.ITEMS
    monkeypatch.setattr(records, "VERSION", 2)
    header = records.pack_segment_header(SegmentHeader(kind, (1 << 32) + 1, 1))
    monkeypatch.undo()
    with open(home.path(name), "r+b") as file:
        file.write(header)
    with pytest.raises(GroupVersionError, match=r"'jobs'.*version 2.*version 1"):
        home.look()
