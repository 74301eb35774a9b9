"""A queue that is opened on a damaged directory works, delivers what is good, and keeps and names what is bad."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path

import pytest

from groupqueue.core.records import Kind
from groupqueue.exceptions import GroupDirectoryError
from tests.helpers import eventually, open_leader, open_member
from tests.system.forgery import Entry, Forged
from tests.system.homes import flip

GRANT_OF_NOTHING = ("journal/ledger-0", Entry(Kind.GRANT, (77, 0, 1 << 40, 1)))
NO_KIND = ("journal/ledger-0", Entry(999, (1, 2), b"?"))
SHORT = ("journal/items-*", Entry(Kind.ITEMS, (77, 50, 1, 9, 0, 3, 1), b"\1\0\0\0x"))


@pytest.fixture
def filled(group, directory, open_queue):
    """A group of six items, with nobody there; its folder."""
    queue = open_queue(group)
    for number in range(6):
        queue.put(number)
        queue.flush(10)
    queue.close()
    queue.join_thread()
    return Path(directory, group)


def only(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


def goes_on(queue, left):
    """What is left comes out in order, and so does what is put then."""
    queue.put("behind")
    got = [queue.get(timeout=10) for _ in range(len(left) + 1)]
    assert got == [*left, "behind"]


def named(caplog, what):
    eventually(lambda: any(re.search(what, record.message) for record in caplog.records), what=f"a word of {what}")


def test_a_flipped_byte_costs_a_batch_and_is_logged(filled, group, open_queue, caplog):
    path = only(filled, "journal/items-*")
    at = path.read_bytes().index(b"GQQR", 64 + 40)
    flip(path, at + 60)
    broken = path.read_bytes()
    queue = open_queue(group)
    left = [0, 2, 3, 4, 5]
    goes_on(queue, left)
    named(caplog, rf"{path.name}: bytes \d+ to \d+ are damaged")
    queue.close()
    queue.join_thread()
    assert broken in [found.read_bytes() for found in (filled / "journal").iterdir()]


def test_a_file_that_was_cut_costs_its_end(filled, group, open_queue):
    path = only(filled, "journal/items-*")
    at = [match.start() for match in re.finditer(b"GQQR", path.read_bytes())]
    os.truncate(path, at[4] + 20)
    goes_on(open_queue(group), [0, 1, 2, 3])


def test_another_groups_segment_is_not_delivered_and_kept(filled, group, open_queue, caplog):
    other = open_queue("other")
    other.put("not yours")
    other.flush(10)
    theirs = only(filled.parent, "other/journal/items-*")
    stranger = filled / "journal" / theirs.name
    shutil.copy(theirs, stranger)
    goes_on(open_queue(group), range(6))
    named(caplog, f"{theirs.name} belongs to another journal")
    assert (filled / "journal" / f"damaged-{theirs.name}").read_bytes() == theirs.read_bytes()
    assert other.get(timeout=10) == "not yours"


def test_a_segment_that_is_gone_is_named(filled, group, open_queue, caplog):
    path = only(filled, "journal/items-*")
    path.unlink()
    goes_on(open_queue(group), [])
    named(caplog, f"the journal is damaged, the rest is delivered: {path.name} is missing")
    only(filled, "journal/damaged-ledger-*")


@pytest.mark.parametrize("which", [GRANT_OF_NOTHING, NO_KIND, SHORT], ids=str)
def test_nonsense_with_right_checks_keeps_nobody_from_leading(filled, group, open_queue, caplog, which):
    pattern, entry = which
    path = only(filled, pattern)
    forged = Forged(path)
    forged.save([*forged.entries, entry])
    broken = path.read_bytes()
    queue = open_queue(group)
    goes_on(queue, range(6))
    named(caplog, f"the journal is damaged, the rest is delivered: {path.name}")
    queue.close()
    queue.join_thread()
    assert broken in [found.read_bytes() for found in (filled / "journal").iterdir()]
    assert not any("crashed" in record.message for record in caplog.records)


@pytest.mark.parametrize("name", ["ledger-0", "ledger-1"])
def test_without_a_ledger_everything_is_delivered(filled, group, open_queue, name):
    (filled / "journal" / name).unlink()
    goes_on(open_queue(group), range(6))


@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.symlink("/nowhere", path)])
@pytest.mark.parametrize(
    "entry",
    [
        "journal/items-0000000000000005",
        "journal/spare-0000000000000001",
        "journal/new-0000000000000001",
        "journal/ledger-1",
        "members/0000000000000abc",
        "socket",
        "socket~",
    ],
)
def test_something_else_in_the_place_of_a_file_keeps_nobody_from_leading(
    filled, group, open_queue, entry, make, caplog
):
    path = filled / entry
    if os.path.lexists(path):
        path.unlink()
    make(path)
    caplog.set_level(logging.INFO)
    goes_on(open_queue(group), range(6))
    if entry.startswith("journal/"):
        named(caplog, f"{path.name} is no file")
        assert os.path.lexists(path.with_name(f"damaged-{path.name}"))
    assert not any("crashed" in record.message for record in caplog.records)


def test_a_folder_with_something_in_it_is_moved_away_for_the_socket(filled, group, open_queue):
    (filled / "socket").unlink()
    (filled / "socket").mkdir()
    (filled / "socket" / "mine").write_text("keep me")
    goes_on(open_queue(group), range(6))
    assert (filled / "damaged-socket" / "mine").read_text() == "keep me"


@pytest.mark.parametrize("make", [os.mkdir, lambda path: os.symlink("/nowhere", path), os.mkfifo])
@pytest.mark.parametrize("name", ["lock", "group"])
def test_what_is_locked_must_be_a_file(filled, group, open_queue, name, make):
    (filled / name).unlink()
    make(filled / name)
    with pytest.raises(GroupDirectoryError, match=rf"{name} is a .* and not a file"):
        open_queue(group)


def test_a_member_that_is_no_file_is_nobody_and_stays(filled, group, open_queue):
    """Also where its name is not quite one."""
    strangers = [filled / "members" / name for name in ("0000000000000abc", "0xabc", "a_b", "+1")]
    for path in strangers:
        path.mkdir()
    queue = open_queue(group)
    goes_on(queue, range(6))
    assert len(queue.stats().members) == 1
    assert all(path.is_dir() for path in strangers)


def test_who_leads_by_a_journal_that_does_not_know_it_takes_nothing_for_taken(filled, group):
    leader = open_leader(group)
    heir = open_member(group)
    assert heir.do("[q.get(timeout=10) for _ in range(6)]") == list(range(6))
    leader.do("q.put_many([10, 11, 12]); q.flush()")
    for path in filled.glob("journal/ledger-*"):
        flip(path, 64 + 60)
    leader.stop()
    heir.begin("say('gets')\nfound = [q.get(timeout=15) for _ in range(9)]")
    heir.expect("gets")
    leader.kill()
    heir.result()
    # What had been got is no longer known to have been, but nothing counts as got that was not.
    assert heir.do("found") == [*range(6), 10, 11, 12]
