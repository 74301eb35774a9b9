"""Two files that take turns."""

from __future__ import annotations

import random

import pytest

from groupqueue.core import records
from groupqueue.core.records import Kind, SegmentHeader
from groupqueue.system.ledger import LEDGER_SIZE
from tests.core.fakes import Killed, picture
from tests.core.lives import A, P, random_moves
from tests.helpers import disk_usage
from tests.system.homes import Home, roll


def test_a_roll_keeps_everything(home: Home) -> None:
    life = home.lead()
    random_moves(life, random.Random(5), 120)
    for _ in range(3):
        roll(life)
        assert home.told() == picture(life.state)
    random_moves(life, random.Random(6), 60)
    assert home.told() == picture(life.state)


def test_a_full_ledger_rolls_by_itself(home: Home) -> None:
    life = home.lead()
    life.put(P, 1)
    for number in range(3 * LEDGER_SIZE // 56):
        life.journal.append(Kind.SHUTDOWN, (0, number))
    life.state.apply_shutdown(0, number)
    told = home.told()
    assert told["shutdown"] == (0, number)
    assert told["ready"] == {P: [1]}
    assert disk_usage(home.folder) < 2 << 20


@pytest.mark.parametrize("rolls", [0, 1, 2])
def test_a_roll_that_was_killed_before_its_header_counts_for_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch, rolls: int
) -> None:
    life = home.lead()
    life.put(P, 3)
    for _ in range(rolls):
        roll(life)
    life.grant(A, (1, 2))

    def die(header: SegmentHeader) -> bytes:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(records, "pack_segment_header", die)
        with pytest.raises(Killed):
            roll(life)
    assert home.told() == picture(life.state)
    again = home.lead()
    assert again.journal.notes == []
    assert home.told() == picture(life.state) | {"epoch": 2}


def test_a_checkpoint_larger_than_a_ledger_is_kept(home: Home) -> None:
    life = home.lead()
    life.put(P, 2)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.failed(1, "because " * 50_000)
    roll(life)
    assert max(home.path(name).stat().st_size for name in home.names("ledger-")) > LEDGER_SIZE
    assert home.told() == picture(life.state)


def test_a_ledger_that_had_grown_shrinks(home: Home) -> None:
    life = home.lead()
    life.put(P, 1)
    life.grant(A, (1, 1))
    life.taken(A, 1, 1)
    life.failed(1, "because " * 200_000)
    for _ in range(2):
        roll(life)
    assert disk_usage(home.folder) > 3 << 20
    life.finish((1, 1))
    for _ in range(3):
        roll(life)
    assert disk_usage(home.folder) < 2 << 20
    assert home.told() == picture(life.state)
