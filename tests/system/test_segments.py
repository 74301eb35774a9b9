"""One preallocated file."""

from __future__ import annotations

import os

import pytest

from groupqueue.system.segments import Segment
from tests.core.fakes import picture
from tests.core.lives import P, payloads_of
from tests.system.homes import SMALL, Home


def test_a_segment_is_allocated_and_not_sparse(folder: str) -> None:
    segment = Segment.create(os.path.join(folder, "s"), SMALL, 1)
    assert os.stat(segment.path).st_blocks * 512 >= SMALL
    assert os.stat(segment.path).st_mode & 0o7777 == 0o600
    segment.close()
    segment.close()
    assert segment.fd == -1


def test_what_the_system_writes_in_part_is_written_whole(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Segment.create(os.path.join(folder, "s"), SMALL, 1)
    monkeypatch.setattr(os, "pwritev", lambda fd, parts, offset: os.pwrite(fd, b"".join(parts)[:7], offset))
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, bytes(data)[:5], offset))
    segment.write([b"hello ", b"wide ", b"world"], 16, 100)
    assert bytes(segment.view()[100:116]) == b"hello wide world"
    segment.close()


def test_a_segment_is_not_a_symbolic_link(folder: str) -> None:
    os.symlink("/dev/null", os.path.join(folder, "link"))
    for act in (lambda p: Segment.create(p, SMALL, 1), lambda p: Segment.open(p, 1)):
        with pytest.raises(OSError, match="symbolic"):
            act(os.path.join(folder, "link"))


def test_a_batch_in_any_number_of_parts_is_one_body(home: Home) -> None:
    life = home.lead()
    life.put(P, 3000)
    assert len(payloads_of(life.journal, life.state)) == 3000
    assert home.told() == picture(life.state)
