"""Loans, from both ends: what a producer writes, and what of it is there for whoever reads the journal next."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from groupqueue.core import messages as m
from groupqueue.core import records
from groupqueue.core.outbox import check_of
from groupqueue.core.records import NO_BOOT, Boot, SegmentKind
from groupqueue.core.wire import check_sizes
from groupqueue.system import boot, contents, disk, items, segments
from groupqueue.system.boot import this_boot
from groupqueue.system.loans import AHEAD, REFUSED, Loans
from tests.core.lives import Life, P, payload, payloads_of
from tests.system.homes import Disk, Home, drain, flip

SIZE = 100_000


def batch(seq: int, number: int, size: int = SIZE, pieces: int = 1) -> m.Items:
    """A batch of one item, as an outbox makes it; its body in pieces."""
    body = payload(number, size)
    step = -(-size // pieces)
    return m.Items(
        seq, 1, 0, 3, m.NO_CHECK, (size.to_bytes(4, "little"), *(body[at : at + step] for at in range(0, size, step)))
    )


class Borrower:
    """A producer that leaves what it says to the test."""

    def __init__(self, life: Life) -> None:
        self.life = life
        self.loans = Loans(life.journal._items._path)
        self.lent: dict[int, segments.Segment] = {}
        self.seq = 0

    def borrow(self) -> segments.Segment:
        size = next(message.size for message in self.loans.said if isinstance(message, m.Borrow))
        self.loans.said.clear()
        loan = self.life.journal.lend(size)
        assert loan is not None
        self.lent[loan.number] = loan
        self.loans.add(m.Loan(loan.number, loan.size))
        return loan

    def place(self, size: int = SIZE, pieces: int = 1) -> m.Placed | None:
        self.seq += 1
        return self.loans.place(batch(self.seq, self.life.state.next_id, size, pieces))

    def put(self, size: int = SIZE, pieces: int = 1) -> int:
        """The id of an item that was placed and accepted."""
        placed = self.place(size, pieces)
        assert placed is not None
        return self.accept(placed)

    def accept(self, placed: m.Placed) -> int:
        loan = self.lent[placed.number]
        body = self.life.journal.placed(loan, placed.offset, placed.length)
        assert body is not None
        check_sizes(placed.count, body)
        state = self.life.state
        words = (P, state.next_id, placed.first_seq, 1, placed.flags, placed.max_attempts, 4242)
        check = placed.check if placed.check < m.NO_CHECK else None
        state.apply_items(*words, placed.length, self.life.journal.append_placed(loan, words, placed.length, check))
        return words[1]


@pytest.fixture
def borrower(home: Home) -> Iterator[Borrower]:
    """One that has a loan."""
    found = Borrower(home.lead())
    assert found.place() is None
    found.seq = 0
    found.borrow()
    yield found
    found.loans.close()


LATER = Boot(99, 99)


def reboot(monkeypatch: pytest.MonkeyPatch, boot: Boot = LATER) -> None:
    for module in (contents, segments):
        monkeypatch.setattr(module, "this_boot", lambda: boot)


def all_payloads(journal: object, state: object) -> dict[int, bytes]:
    return {number: bytes(body) for number, body in payloads_of(journal, state).items()}  # type: ignore[arg-type]


@pytest.mark.parametrize("pieces", [1, 3, 600])
def test_what_was_placed_is_there_at_once_and_for_the_next_leader(home: Home, borrower: Borrower, pieces: int) -> None:
    numbers = [borrower.put(size, pieces) for size in (SIZE, 70_001, 300_007)]
    expected = {number: payload(number, size) for number, size in zip(numbers, (SIZE, 70_001, 300_007))}
    assert all_payloads(borrower.life.journal, borrower.life.state) == expected
    life = home.lead()
    assert life.journal.notes == []
    assert all_payloads(life.journal, life.state) == expected
    assert home.told()


def test_what_was_written_and_not_accepted_is_nobodys(home: Home, borrower: Borrower) -> None:
    first = borrower.put()
    assert borrower.place() is not None
    assert borrower.place() is not None
    life = home.lead()
    assert life.journal.notes == []
    assert list(all_payloads(life.journal, life.state)) == [first]


def test_the_next_leader_writes_nothing_there(home: Home, borrower: Borrower) -> None:
    """Its borrower may still be writing."""
    first = borrower.put()
    (lent,) = borrower.lent.values()
    late = borrower.place()
    assert late is not None
    life = home.lead()
    second = life.put(P, 1, size=50_000)
    assert borrower.place() is not None
    assert all_payloads(life.journal, life.state) == {
        first: payload(first, SIZE),
        second[0]: payload(second[0], 50_000),
    }
    drain(life)
    assert not os.path.exists(lent.path)
    assert home.names("spare-") == []


def test_with_its_connection_gone_it_is_removed_and_not_used_again(home: Home, borrower: Borrower) -> None:
    borrower.put()
    (lent,) = borrower.lent.values()
    borrower.life.journal.end_loan(lent, is_back=False)
    assert os.path.exists(lent.path)
    drain(borrower.life)
    assert not os.path.exists(lent.path)
    assert home.names("spare-") == []


def test_one_in_which_nothing_is_and_that_is_not_back_is_removed_at_once(borrower: Borrower) -> None:
    (lent,) = borrower.lent.values()
    borrower.life.journal.end_loan(lent, is_back=False)
    assert not os.path.exists(lent.path)


def test_one_that_is_back_is_used_again(home: Home, borrower: Borrower) -> None:
    (lent,) = borrower.lent.values()
    while lent.tail < lent.size // 2:
        borrower.put()
    borrower.loans.repay()
    assert borrower.loans.said[-1:] == [m.Repaid(lent.number)]
    borrower.life.journal.end_loan(lent, is_back=True)
    assert home.names("spare-") == []
    drain(borrower.life)
    assert len(home.names("spare-")) == 1
    inode = os.stat(home.path(home.names("spare-")[0])).st_ino
    borrower.loans.said.append(m.Borrow(SIZE))
    again = borrower.borrow()
    assert os.stat(again.path).st_ino == inode
    number = borrower.put()
    life = home.lead()
    assert all_payloads(life.journal, life.state) == {number: payload(number, SIZE)}


def test_one_that_is_lent_is_not_taken_away_because_it_is_empty(home: Home, borrower: Borrower) -> None:
    borrower.put()
    drain(borrower.life)
    borrower.life.journal.tidy()
    number = borrower.put()
    assert all_payloads(home.look(), borrower.life.state) == {number: payload(number, SIZE)}


# Checked late


def test_a_body_that_was_not_checked_is_lost_with_the_power(
    home: Home, borrower: Borrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, unchecked = borrower.put(), borrower.put()
    assert borrower.life.journal.check_late(1)
    reboot(monkeypatch)
    life = home.lead()
    assert list(all_payloads(life.journal, life.state)) == [checked]
    assert unchecked not in life.state.batches


def test_what_was_checked_late_is_checked(home: Home, borrower: Borrower) -> None:
    first, second = borrower.put(), borrower.put()
    assert len(borrower.life.journal.unchecked) == 2
    assert not borrower.life.journal.check_late(10 * SIZE)
    assert not borrower.life.journal.unchecked
    location = borrower.life.state.batches[first].location
    flip(Path(location.segment.path), location.start + SIZE // 2)
    life = home.lead()
    assert len(life.journal.notes) >= 1
    assert list(all_payloads(life.journal, life.state)) == [second]


def test_what_is_gone_by_then_is_not_checked(borrower: Borrower, monkeypatch: pytest.MonkeyPatch) -> None:
    borrower.put()
    drain(borrower.life)
    assert not borrower.life.journal.unchecked


def test_the_next_leader_checks_what_is_left(home: Home, borrower: Borrower, monkeypatch: pytest.MonkeyPatch) -> None:
    number = borrower.put()
    life = home.lead()
    assert life.journal.unchecked
    assert not life.journal.check_late(10 * SIZE)
    reboot(monkeypatch)
    last = home.lead()
    assert not last.journal.unchecked
    assert list(all_payloads(last.journal, last.state)) == [number]


def test_where_no_boot_can_be_told_it_is_checked_at_once(
    home: Home, borrower: Borrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    reboot(monkeypatch, NO_BOOT)
    number = borrower.put()
    (record,) = records.read_records(
        borrower.life.state.batches[number].location.segment.view(), next(iter(borrower.lent))
    )
    assert isinstance(record, records.Record)
    assert not record.is_unchecked
    life = home.lead()
    assert list(all_payloads(life.journal, life.state)) == [number]


def test_what_was_used_up_unchecked_is_no_damage_after_a_reboot(
    home: Home, borrower: Borrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    borrower.put()
    drain(borrower.life)
    number = borrower.put()
    assert not borrower.life.journal.check_late(10 * SIZE)
    reboot(monkeypatch)
    life = home.lead()
    assert life.journal.notes == []
    assert list(all_payloads(life.journal, life.state)) == [number]
    drain(life)
    assert home.names("damaged-") == []


def test_a_container_without_the_boots_name_believes_what_was_just_written(
    home: Home, borrower: Borrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = borrower.put()
    reboot(monkeypatch, this_boot()._replace(number=0))
    assert list(all_payloads(home.look(), home.look().state)) == [number]


def test_of_a_boots_name_that_could_not_be_read_another_try_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    if not boot._name():
        pytest.skip("boots have no name here")
    known = this_boot().number
    boot._name.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr("builtins.open", failing_open)
        with pytest.raises(OSError, match="Too many"):
            this_boot()
    assert this_boot().number == known


@pytest.mark.parametrize("path", ["/nowhere/boot_id", "/dev/null", "/proc/self/comm/boot_id"])
def test_one_that_is_not_there_or_not_the_systems_own_counts_as_none(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(boot, "_NAME", path)
    boot._name.cache_clear()
    assert boot._name() == 0
    boot._name.cache_clear()


def failing_open(*args: object, **how: object) -> None:
    raise OSError(errno.EMFILE, "Too many open files")


def test_so_much_may_be_unchecked_and_no_more(borrower: Borrower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "MOST_UNCHECKED", 3 * SIZE + 100)
    for _ in range(3):
        borrower.put()
    assert len(borrower.life.journal.unchecked) == 3
    borrower.put()
    borrower.put()
    assert len(borrower.life.journal.unchecked) == 3
    drain(borrower.life)
    for _ in range(3):
        borrower.put()
    assert len(borrower.life.journal.unchecked) == 3


# What is not lent


def test_nothing_is_lent_beyond_what_the_disk_can_spare(borrower: Borrower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "has_plenty", lambda path, size: False)
    assert borrower.life.journal.lend(SIZE) is None


def test_all_loans_together_are_bounded(borrower: Borrower, monkeypatch: pytest.MonkeyPatch) -> None:
    (lent,) = borrower.lent.values()
    monkeypatch.setattr(items, "MOST_LENT", 2 * lent.size)
    second = borrower.life.journal.lend(SIZE)
    assert second is not None
    assert borrower.life.journal.lend(SIZE) is None
    borrower.life.journal.end_loan(second, is_back=True)
    assert borrower.life.journal.lend(SIZE) is not None


def test_so_many_segments_are_in_use_and_no_more_are_lent(borrower: Borrower, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(items, "MOST_USED", 2)
    second = borrower.life.journal.lend(SIZE)
    assert second is not None
    assert borrower.life.journal.lend(SIZE) is None
    borrower.life.journal.end_loan(second, is_back=True)
    assert borrower.life.journal.lend(SIZE) is not None


def test_without_a_descriptor_nothing_is_lent(home: Home, borrower: Borrower, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*args: object, **how: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    for owner, name in ((segments, "open_private"), (segments.mmap, "mmap")):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, failing)
            assert borrower.life.journal.lend(SIZE) is None
    assert home.names("new-") == []
    number = borrower.put()
    assert list(all_payloads(home.look(), home.look().state)) == [number]


def test_with_a_backlog_loans_are_larger(borrower: Borrower) -> None:
    (first,) = borrower.lent.values()
    borrower.life.put(P, 1, size=40_000_000)
    second = borrower.life.journal.lend(SIZE)
    assert second is not None
    assert second.size >= 10_000_000 > first.size


def test_the_room_that_one_leaves_unused_is_given_back(home: Home, borrower: Borrower) -> None:
    number = borrower.put()
    (lent,) = borrower.lent.values()
    borrower.life.journal.end_loan(lent, is_back=False)
    assert os.stat(lent.path).st_size < SIZE + 1000
    assert all_payloads(borrower.life.journal, borrower.life.state) == {number: payload(number, SIZE)}
    life = home.lead()
    assert life.journal.notes == []
    assert all_payloads(life.journal, life.state) == {number: payload(number, SIZE)}
    drain(life)
    assert home.names("items-") == []


def test_a_full_disk_lends_nothing(home: Home, borrower: Borrower, monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch, free=0)
    assert borrower.life.journal.lend(SIZE) is None
    assert home.names("new-") == []


def test_a_body_that_cannot_be_there_is_not(borrower: Borrower) -> None:
    (lent,) = borrower.lent.values()
    head = records.HEADER.size + 8 * 7
    assert borrower.life.journal.placed(lent, lent.tail, lent.size - lent.tail - head) is not None
    for offset, length in ((lent.tail, lent.size - lent.tail - head + 1), (lent.tail, 1 << 63), (lent.tail + 8, 4)):
        assert borrower.life.journal.placed(lent, offset, length) is None


def test_one_that_has_a_check_is_not_checked_again(home: Home, borrower: Borrower) -> None:
    items = batch(1, 1)
    placed = borrower.loans.place(items._replace(check=check_of(items)))
    assert placed is not None
    borrower.accept(placed)
    assert not borrower.life.journal.unchecked
    flip(Path(next(iter(borrower.lent.values())).path), placed.offset + 500)
    assert home.look().notes == []
    assert all_payloads(home.look(), home.look().state) == {}


def test_where_the_leader_may_not_write_it_copies_what_was_placed(
    home: Home, borrower: Borrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the producer has it: a process may write less far than another (ulimit -f)."""
    numbers = [borrower.put()]
    borrower.life.journal.check_late(SIZE)

    def failing(*args: object) -> int:
        raise OSError(errno.EFBIG, "File too large")

    with monkeypatch.context() as patch:
        patch.setattr(segments.Segment, "append_head", failing)
        numbers += [borrower.put(), borrower.put()]
    assert borrower.life.journal.lend(SIZE) is None
    life = home.lead()
    assert life.journal.notes == []
    assert all_payloads(life.journal, life.state) == {number: payload(number, SIZE) for number in numbers}


def test_what_may_not_be_checked_is_left_as_it_is(
    home: Home, borrower: Borrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = borrower.put()

    def failing(*args: object) -> int:
        raise OSError(errno.EFBIG, "File too large")

    with monkeypatch.context() as patch:
        patch.setattr(segments.Segment, "check_late", failing)
        assert not borrower.life.journal.check_late(SIZE)
    assert list(all_payloads(home.look(), home.look().state)) == [number]


# The borrower


def test_it_asks_before_the_last_one_is_full(borrower: Borrower) -> None:
    (lent,) = borrower.lent.values()
    assert lent.size < AHEAD
    assert borrower.place() is not None
    assert [type(message) for message in borrower.loans.said] == [m.Borrow]
    assert borrower.place() is not None
    assert len(borrower.loans.said) == 1


def test_a_full_one_is_paid_back_once_it_needs_the_next(borrower: Borrower) -> None:
    (first,) = borrower.lent.values()
    while first.size - first.tail > 2 * SIZE:
        borrower.put()
    second = borrower.borrow()
    borrower.put()
    assert m.Repaid(first.number) not in borrower.loans.said
    placed = [borrower.place() for _ in range(2)]
    assert placed[-1] is not None
    assert placed[-1].number == second.number
    assert m.Repaid(first.number) in borrower.loans.said


def test_what_does_not_fit_goes_otherwise(borrower: Borrower) -> None:
    (lent,) = borrower.lent.values()
    assert borrower.place(lent.size) is None


def test_after_a_refusal_it_does_not_ask_for_a_while(home: Home) -> None:
    loans = Loans(home.folder)
    item = batch(1, 1)
    assert loans.place(item) is None
    assert [type(message) for message in loans.said] == [m.Borrow]
    loans.said.clear()
    assert loans.is_awaited(item)
    loans.add(m.Loan(0, 0))
    assert not loans.is_awaited(item)
    for _ in range(REFUSED - 1):
        assert loans.place(item) is None
    assert loans.said == []
    assert loans.place(item) is None
    assert [type(message) for message in loans.said] == [m.Borrow]


def test_who_gives_up_waiting_for_an_answer_waits_for_the_next(home: Home) -> None:
    loans = Loans(home.folder)
    item = batch(1, 1)
    loans.place(item)
    loans.give_up()
    for _ in range(REFUSED):
        assert not loans.is_awaited(item)
        assert loans.place(item) is None
    assert len(loans.said) == 1
    loans.add(m.Loan(17, 4096))
    loans.place(item)
    assert not loans.is_awaited(item)


def test_one_that_cannot_be_opened_is_paid_back(home: Home) -> None:
    loans = Loans(home.folder)
    loans.add(m.Loan(17, 4096))
    assert loans.said == [m.Repaid(17)]
    assert loans.place(batch(1, 1)) is None


def test_a_link_in_its_place_is_not_followed(home: Home, tmp_path: object) -> None:
    os.symlink("/dev/null", home.path(f"items-{17:016x}"))
    loans = Loans(home.folder)
    loans.add(m.Loan(17, 4096))
    assert loans.said == [m.Repaid(17)]


def test_one_that_cannot_be_written_to_is_paid_back_and_nothing_is_placed(
    borrower: Borrower, monkeypatch: pytest.MonkeyPatch
) -> None:
    (lent,) = borrower.lent.values()

    def failing(*args: object) -> int:
        raise OSError(5, "it fails")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", failing)
        assert borrower.place() is None
    assert m.Repaid(lent.number) in borrower.loans.said


def test_of_one_that_was_written_in_part_nothing_is_placed(borrower: Borrower, monkeypatch: pytest.MonkeyPatch) -> None:
    (lent,) = borrower.lent.values()
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwritev", lambda fd, parts, at: os.pwrite(fd, b"".join(parts)[:1000], at))
        assert borrower.place() is None
    assert m.Repaid(lent.number) in borrower.loans.said


def test_no_descriptor_is_left_open(borrower: Borrower) -> None:
    def count() -> int:
        return len(os.listdir("/proc/self/fd" if os.path.exists("/proc/self/fd") else "/dev/fd"))

    borrower.place()
    borrower.borrow()
    before = count()
    borrower.loans.repay()
    borrower.loans.close()
    assert count() < before


def test_the_segment_says_that_it_is_lent(borrower: Borrower) -> None:
    (lent,) = borrower.lent.values()
    header = records.unpack_segment_header(lent.view()[: records.SEGMENT_HEADER_SIZE])
    assert header is not None
    assert header.kind == SegmentKind.LENT
