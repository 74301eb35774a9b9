"""What a leader finds that may not be on the disk: it is there before anybody hears of it, or it was never put."""

from __future__ import annotations

import os
import shutil

import pytest

from groupqueue.core import records
from groupqueue.core.items import Batch, Reply
from groupqueue.core.messages import DURABLE
from groupqueue.core.records import Kind, read_records
from groupqueue.system import disk, settling
from groupqueue.system.settling import PagesLost
from groupqueue.system.unsynced import SyncError
from tests.core.fakes import Killed, picture
from tests.core.lives import A, B, Life, P, Q, payloads_of
from tests.system.homes import Disk, Home, doomed, drain, wipe_last_record
from tests.system.platter import PAGE, Platter


def put_and_sync(life: Life, producer: int = P, size: int | None = None) -> None:
    life.put(producer, 1, DURABLE, size=size)
    life.journal.sync()


def fail_to_sync(life: Life, platter: Platter) -> None:
    """The last thing that a leader does."""
    platter.failing = 1
    with pytest.raises(SyncError):
        life.journal.sync()
    platter.failing = 0


def ready(home: Home) -> object:
    """What the next leader would find ready, whole."""
    journal = home.look()
    assert len(payloads_of(journal, journal.state)) == journal.state.unfinished
    return picture(journal.state)["ready"]


# What the fake disk is like


def test_a_leader_that_only_synced_would_lose_what_it_confirmed(home: Home, platter: Platter) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE)
    fail_to_sync(life, platter)
    with open(home.items_path(), "rb") as file:
        disk.sync_file(file.fileno())
    assert ready(home) == {P: [1]}
    platter.lose_power()
    assert ready(home) == {}


def test_one_that_wrote_it_again_would_lose_it_too(home: Home, platter: Platter) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE)
    fail_to_sync(life, platter)
    fd = os.open(home.items_path(), os.O_RDWR)
    platter.pwrite(fd, os.pread(fd, PAGE, 0), 0)
    disk.sync_file(fd)
    os.close(fd)
    assert ready(home) == {P: [1]}
    platter.lose_power()
    assert ready(home) == {}


# Copies


def test_what_is_in_doubt_is_copied_to_a_new_file(home: Home, platter: Platter) -> None:
    life = home.lead()
    put_and_sync(life)
    life.put(P, 2, DURABLE, size=3 * PAGE)
    life.put(Q, 1, DURABLE)
    fail_to_sync(life, platter)
    home.lead()
    assert len(home.names("items-")) == 2
    platter.lose_power()
    assert ready(home) == {P: [1, 2, 3], Q: [4]}


def test_a_leader_that_was_killed_before_the_sync_leaves_the_same_doubt(home: Home, platter: Platter) -> None:
    home.lead().put(P, 1, DURABLE)
    home.lead()
    platter.lose_power()
    assert ready(home) == {P: [1]}


def test_a_copy_that_cannot_be_synced_is_thrown_away_and_made_anew(home: Home, platter: Platter) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE)
    fail_to_sync(life, platter)
    journal = home.recover()
    before = home.names()
    platter.failing = 1
    for _ in range(3):
        with pytest.raises(SyncError, match="Input/output error"):
            journal.settle(2)
        assert home.names() == before
    platter.failing = 0
    journal.settle(2)
    journal.begin(2, 1)
    platter.lose_power()
    assert ready(home) == {P: [1]}


def test_a_reply_to_something_durable_is_in_doubt_too(home: Home, platter: Platter) -> None:
    life = home.lead()
    put_and_sync(life)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    number = life.reply(1)
    home.lead()
    platter.lose_power()
    assert list(home.look().state.replies) == [number]


def test_what_was_copied_is_the_same_to_the_ledger(home: Home, platter: Platter) -> None:
    life = home.lead()
    put_and_sync(life)
    life.put(P, 3, DURABLE)
    life.grant(A, (1, 1), (2, 2))
    life.taken(A, 2, 1)
    fail_to_sync(life, platter)
    before = picture(home.look().state)
    again = home.lead()
    assert picture(again.state) == before | {"epoch": 2}
    assert home.told() == picture(again.state)
    again.give_back(A, 2)
    drain(again)
    assert home.told() == picture(again.state)


def test_a_death_between_the_copy_and_all_that_follows_counts_everything_once(home: Home, platter: Platter) -> None:
    life = home.lead()
    life.put(P, 2, DURABLE)
    fail_to_sync(life, platter)
    for epoch in (2, 3, 4):
        home.recover().settle(epoch)
        assert ready(home) == {P: [1, 2]}
    life = home.lead()
    drain(life)
    assert home.told() == picture(life.state)


def test_a_leader_may_die_at_any_system_call_while_it_settles(home: Home, directory: str) -> None:
    life = home.lead()
    put_and_sync(life)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    for producer in (P, Q, P):
        life.put(producer, 2, DURABLE, size=2 * PAGE)
    life.reply(1, finish=False)
    lived = picture(life.state) | {"epoch": 0}
    calls = 0
    while True:
        calls += 1
        here = home.copy(os.path.join(directory, f"home-{calls}"))
        try:
            with doomed(calls):
                here.lead()
        except Killed:
            pass
        else:
            break
        assert here.told() | {"epoch": 0} == lived, f"killed at call {calls}"
        following = here.lead()
        assert here.told() == picture(following.state) == lived | {"epoch": following.state.epoch}
        assert settling.in_doubt(following.state) == []
        data = memoryview(here.items_path().read_bytes())
        seqs = [
            seq for record in read_records(data, int(here.items_path().name[6:], 16)) for seq in seqs_for(P, record)
        ]
        assert seqs == sorted(seqs)
        shutil.rmtree(here.folder)
    assert calls > 20


def seqs_for(producer: int, record: records.Record | records.Damage) -> list[int]:
    """The first seq of an ITEMS record, if it is this producer's."""
    assert isinstance(record, records.Record)
    return [record.words[2]] if record.kind == Kind.ITEMS and record.words[0] == producer else []


def test_what_is_on_the_disk_is_not_copied(home: Home, synced: list[str]) -> None:
    put_and_sync(home.lead())
    synced.clear()
    home.lead()
    assert synced == []
    assert len(home.names("items-")) == 1


def test_what_nobody_needs_any_more_is_not_copied(home: Home, synced: list[str]) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE)
    life.finish((1, 1))
    home.lead()
    assert "items" not in "".join(synced)


def test_what_was_copied_once_is_not_in_doubt_again(home: Home, synced: list[str]) -> None:
    life = home.lead()
    put_and_sync(life)
    life.put(P, 1, DURABLE)
    home.lead()
    synced.clear()
    home.lead()
    assert "items" not in "".join(synced)


# Files that are not trusted


def test_nothing_is_written_to_a_file_that_may_have_failed(home: Home, platter: Platter) -> None:
    life = home.lead()
    put_and_sync(life)
    life.put(P, 1, DURABLE)
    fail_to_sync(life, platter)
    suspect = home.items_path()
    before = suspect.read_bytes()
    ledgers = {home.path(name).stat().st_ino for name in home.names("ledger-")}
    again = home.lead()
    put_and_sync(again)
    assert suspect.read_bytes() == before
    assert ledgers.isdisjoint(home.path(name).stat().st_ino for name in home.names("ledger-"))
    platter.lose_power()
    assert ready(home) == {P: [1, 2, 3]}


def test_what_the_ledger_told_is_on_the_disk_before_it_is_replaced(home: Home, platter: Platter) -> None:
    life = home.lead()
    put_and_sync(life)
    life.grant(A, (1, 1))
    life.taken(A, 1)
    put_and_sync(life)
    life.put(P, 1, DURABLE)
    fail_to_sync(life, platter)
    home.lead()
    platter.lose_power()
    assert ready(home) == {P: [2, 3]}


def test_a_ledger_that_cannot_be_replaced_promises_nothing(home: Home, platter: Platter) -> None:
    life = home.lead()
    put_and_sync(life)
    life.put(P, 1)
    platter.failing = 1
    again = home.lead()
    again.put(P, 1)
    again.put(P, 1, DURABLE)
    platter.failing = 0
    with pytest.raises(SyncError):
        again.journal.sync()
    assert home.told() == picture(again.state)


@pytest.mark.parametrize("lost", [False, True])
def test_not_even_if_nothing_in_it_is_in_doubt(home: Home, platter: Platter, lost: bool) -> None:
    life = home.lead()
    put_and_sync(life)
    life.put(Q, 1)
    fail_to_sync(life, platter)
    suspect = home.items_path()
    if lost:
        wipe_last_record(suspect)
    before = suspect.read_bytes()
    put_and_sync(home.lead())
    assert suspect.read_bytes() == before


def test_nor_is_it_kept_for_later(home: Home, platter: Platter) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE)
    fail_to_sync(life, platter)
    suspect = home.items_path()
    drain(home.lead())
    assert not suspect.exists()
    assert home.names("spare-") == []


def test_a_segment_that_is_wholly_on_the_disk_is_gone_on_with(home: Home) -> None:
    put_and_sync(home.lead())
    put_and_sync(home.lead())
    assert len(home.names("items-")) == 1


# A full disk


def test_without_room_for_a_copy_what_is_in_doubt_is_synced_where_it_is(
    home: Home, platter: Platter, disk: Disk
) -> None:
    life = home.lead()
    put_and_sync(life)
    life.put(P, 1, DURABLE)
    disk.free = 0
    again = home.lead()
    assert len(home.names("items-")) == 1
    platter.lose_power()
    assert ready(home) == picture(again.state)["ready"] == {P: [1, 2]}


def test_and_only_what_can_then_be_read_from_the_disk_counts(home: Home, platter: Platter, disk: Disk) -> None:
    life = home.lead()
    put_and_sync(life)
    life.put(P, 1, DURABLE, size=PAGE)
    fail_to_sync(life, platter)
    disk.free = 0
    assert ready(home) == {P: [1, 2]}
    with pytest.raises(PagesLost):
        home.lead()
    again = home.lead()
    assert again.state.last_seq == {P: 1}
    assert ready(home) == {P: [1]}


# Pages that are lost


def test_what_the_disk_has_lost_was_never_put(home: Home, platter: Platter) -> None:
    life = home.lead()
    put_and_sync(life, size=PAGE)
    life.put(P, 2, DURABLE, size=PAGE)
    fail_to_sync(life, platter)
    platter.evict("items-")
    again = home.lead()
    assert picture(again.state)["ready"] == {P: [1]}
    assert again.state.last_seq == {P: 1}


def test_pages_that_are_lost_before_they_are_copied_are_noticed(home: Home, platter: Platter) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE, size=PAGE)
    fail_to_sync(life, platter)
    journal = home.recover()
    platter.evict("items-")
    with pytest.raises(PagesLost):
        journal.settle(2)
    assert home.recover().state.last_seq == {}


def test_pages_that_are_lost_while_they_are_copied_are_noticed(
    home: Home, platter: Platter, monkeypatch: pytest.MonkeyPatch
) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE, size=PAGE)
    fail_to_sync(life, platter)
    journal = home.recover()
    real = settling._record_of

    def read_and_lose(body: Batch | Reply) -> tuple[records.Record, int]:
        found = real(body)
        platter.evict("items-")
        return found

    monkeypatch.setattr(settling, "_record_of", read_and_lose)
    with pytest.raises(PagesLost):
        journal.settle(2)
    assert len(home.names("items-")) == 1


def lose_the_first_of_three(home: Home) -> None:
    """Three batches are in doubt, and one is lost."""
    life = home.lead()
    put_and_sync(life)
    life.put(P, 1, DURABLE, size=PAGE)
    wipe_last_record(home.items_path())
    life.put(P, 1, DURABLE)
    life.put(Q, 1)


def test_what_is_durable_after_a_loss_is_put_again_by_its_producer(home: Home) -> None:
    lose_the_first_of_three(home)
    journal = home.recover()
    assert journal.state.last_seq == {P: 1, Q: 1}
    assert picture(journal.state)["ready"] == {P: [1], Q: [4]}
    assert len(journal.notes) == 1


def test_it_is_not_found_again_by_a_later_leader(home: Home) -> None:
    lose_the_first_of_three(home)
    life = home.lead()
    for _ in range(2):
        put_and_sync(life)
    assert picture(home.look().state)["ready"] == picture(life.state)["ready"]


def test_a_loss_among_what_was_acknowledged_is_damage_like_any_other(home: Home) -> None:
    life = home.lead()
    life.put(P, 1, DURABLE)
    life.put(P, 1, DURABLE, size=PAGE)
    start, end = wipe_last_record(home.items_path())
    life.put(P, 1, DURABLE)
    life.journal.sync()
    journal = home.recover()
    journal.settle(2)
    assert picture(journal.state)["ready"] == {P: [1, 3]}
    assert [note.partition(": ")[2] for note in journal.notes] == [f"bytes {start} to {(end + 7) & ~7} are damaged"]


def test_a_tail_that_was_on_the_disk_and_is_gone_is_damage(home: Home) -> None:
    life = home.lead()
    put_and_sync(life)
    put_and_sync(life)
    start, end = wipe_last_record(home.items_path())
    journal = home.recover()
    assert picture(journal.state)["ready"] == {P: [1]}
    assert [note.partition(": ")[2] for note in journal.notes] == [f"bytes {start} to {(end + 7) & ~7} are damaged"]


def test_an_id_that_the_ledger_names_is_not_given_to_another_item(home: Home) -> None:
    life = home.lead()
    life.put(P, 1)
    life.put(P, 2)
    life.grant(A, (1, 1), (2, 1))
    life.finish((3, 1))
    life.give_back(A, 0)
    wipe_last_record(home.items_path())
    again = home.lead()
    assert picture(again.state)["ready"] == {P: [1]}
    again.put(Q, 2)
    again.grant(B, (4, 1))
    assert home.told() == picture(again.state)


# Notes


def test_a_note_of_another_segment_is_none() -> None:
    header = bytearray(records.SEGMENT_HEADER_SIZE)
    header[records.SYNCED_AT : records.SYNCED_AT + 12] = records.pack_synced(4096, True, segment=7)
    assert records.unpack_synced(header, segment=7) == (4096, True)
    assert records.unpack_synced(header, segment=8) is None
    assert records.unpack_synced(bytes(records.SEGMENT_HEADER_SIZE), segment=7) is None
