"""An items segment that is gone: it is named, once, and no kill of a leader makes it seem so."""

from __future__ import annotations

import contextlib

import pytest

from groupqueue.core.records import Kind
from groupqueue.system.journal import Journal
from tests.core.fakes import Killed, check, picture
from tests.core.lives import A, B, Life, P, Q
from tests.system.homes import Home, doomed, drain, eventful, flip, roll

pytestmark = pytest.mark.usefixtures("small", "plain_numbers")


def missing(name: str) -> str:
    return f"{name} is missing; what was left in it is lost"


def looked(home: Home) -> Journal:
    journal = home.look()
    check(journal.state)
    return journal


@pytest.fixture
def three(home: Home) -> Life:
    """Two items in each of three segments."""
    life = home.lead()
    for _ in range(3):
        life.put(P, 2, size=30_000)
    assert len(home.names("items-")) == 3
    return life


@pytest.mark.parametrize("gone", range(3))
@pytest.mark.parametrize("rolled", [False, True])
def test_a_segment_that_is_gone_is_named_and_the_rest_is_delivered(
    three: Life, home: Home, gone: int, rolled: bool
) -> None:
    if rolled:
        roll(three)
    name = home.names("items-")[gone]
    home.path(name).unlink()
    left = [item for item in range(1, 7) if (item - 1) // 2 != gone]
    journal = looked(home)
    assert journal.notes == [missing(name)]
    assert picture(journal.state)["ready"] == {P: left}
    again = home.lead()
    assert again.journal.notes == [missing(name)]
    assert again.ready() == left


def test_it_is_named_once_and_the_ledger_that_knew_of_it_is_kept(three: Life, home: Home) -> None:
    roll(three)
    name = home.names("items-")[1]
    home.path(name).unlink()
    assert looked(home).state.lost == 2
    life = home.lead()
    assert [name for name in home.names("damaged-") if name.startswith("damaged-ledger-")]
    life.put(Q, 1)
    journal = looked(home)
    assert journal.notes == []
    assert journal.state.lost == 2
    assert home.lead().journal.notes == []


def test_a_leader_that_dies_before_it_has_told_leaves_it_to_the_next(three: Life, home: Home) -> None:
    name = home.names("items-")[0]
    home.path(name).unlink()
    expected = [missing(name)]
    for calls in range(1, 40):
        journal = home.recover()
        if journal.notes != expected:
            assert calls > 1, "nobody was told"
            expected = []
        assert journal.notes == expected
        try:
            with doomed(calls):
                journal.settle(journal.last_epoch + 1)
                journal.begin(journal.last_epoch + 1, 4242)
        except Killed:
            continue
        break
    else:
        pytest.fail("it never came to lead")
    assert looked(home).notes == []


def test_what_is_lost_of_it_is_counted_as_far_as_the_ledger_names_it(three: Life, home: Home) -> None:
    life = three
    life.grant(A, (1, 2), (3, 2))
    life.taken(A, 3, 2)
    for name in home.names("items-")[:2]:
        home.path(name).unlink()
    # 1 and 3 are finished, 2 is held and 4 granted.
    assert looked(home).state.lost == 2
    life = home.lead()
    assert life.granted(A) == [None]
    life.give_back(A, 3)
    assert looked(home).state.lost == 2


def test_a_segment_that_was_drained_is_not_missed(three: Life, home: Home) -> None:
    drain(three)
    three.put(P, 1, size=40_000)
    for name in home.names("spare-"):
        home.path(name).unlink()
    assert looked(home).notes == []
    home.lead()
    assert looked(home).notes == []


def test_no_kill_makes_a_segment_seem_to_be_missing(home: Home) -> None:
    """At every call that writes, of a leader that fills, empties and rolls."""
    for calls in range(1, 1000):
        with contextlib.suppress(Killed), doomed(calls):
            life = home.lead()
            eventful(life)
            drain(life)
            assert calls > 100
            return
        home.told()
        life = home.lead()
        assert life.journal.notes == []
        life.journal.close()
        for name in home.names():
            home.path(name).unlink()


def test_an_older_leader_tells_nothing_of_segments_and_none_is_missed(three: Life, home: Home) -> None:
    """Its EPOCH has no list, and what it recycles it does not say."""
    three.journal.append(Kind.EPOCH, (2, 4242))
    home.path(home.names("items-")[0]).unlink()
    assert looked(home).notes == []
    assert home.lead().ready() == [3, 4, 5, 6]


def test_a_ledger_that_lost_a_record_does_not_know_which_segments_there_are(three: Life, home: Home) -> None:
    three.grant(B, (1, 1))
    end = three.journal._ledger.segments[0].tail
    three.grant(B, (2, 1))
    flip(home.path("ledger-0"), end - 8)
    home.path(home.names("items-")[2]).unlink()
    (note,) = looked(home).notes
    assert note.startswith("ledger-0: bytes")


def test_who_looks_while_a_leader_writes_misses_nothing(
    three: Life, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here the leader gives out everything between the look at the ledger and the look at the items."""
    roll(three)
    journal = home.open()
    real = journal._found._read_items

    def read_items(contents: object) -> None:
        drain(three)
        three.put(Q, 1, size=60_000)
        real(contents)  # type: ignore[arg-type]

    monkeypatch.setattr(journal._found, "_read_items", read_items)
    journal.recover(read_only=True)
    assert journal.notes == []
