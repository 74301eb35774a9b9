"""What is in the journal, and what was."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from groupqueue.system.segments import Segment
from tests.cli.test_look import of_another_version
from tests.helpers import eventually, open_leader, open_member

FILL = "q.put_many([bytes([n]) * 1000 for n in range(100)]); q.flush()"


def segments(directory: str, group: str, prefix: str) -> list[Path]:
    return sorted(Path(directory, group, "journal").glob(f"{prefix}-*"))


def any_header(path: Path) -> bool:
    return any(path.read_bytes()[:64])


def break_the_middle(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(100)
        file.write(b"\xff" * 50)


def test_damage_is_told_before_any_leader_has_met_it_and_after(group, directory, diagnose):
    member = open_leader(group)
    for _ in range(3):
        member.do(FILL)
    member.kill()
    (path,) = segments(directory, group, "items")
    break_the_middle(path)
    found = diagnose()
    assert found["status"] == 1
    assert path.name in found["named"]["damage"]["text"]
    heir = open_leader(group)
    left = heir.do("q.qsize()")
    assert 0 < left < 300
    heir.do(f"[q.get(timeout=5) for _ in range({left})]; q.put(1); q.flush()")
    heir.kill()
    heir = open_leader(group)
    found = eventually(lambda: (found := diagnose())["named"].get("set-aside") and found)
    (aside,) = segments(directory, group, "damaged")
    assert str(aside) in found["named"]["set-aside"]["text"]
    assert found["status"] == 1
    aside.unlink()
    assert diagnose()["status"] == 0


def test_a_segment_that_is_gone_is_told_before_any_leader_has_met_it_and_after(group, directory, diagnose):
    member = open_leader(group)
    member.do(FILL)
    assert not diagnose()["named"].get("damage")
    member.kill()
    (path,) = segments(directory, group, "items")
    path.unlink()
    assert f"{path.name} is missing" in diagnose()["named"]["damage"]["text"]
    heir = open_leader(group)
    heir.do("q.put(1); q.flush()")
    found = diagnose()
    assert not found["named"].get("damage")
    (aside,) = segments(directory, group, "damaged")
    assert str(aside) in found["named"]["set-aside"]["text"]


def test_what_a_damaged_journal_is_known_to_have_lost_is_noted(group, directory, diagnose):
    member = open_leader(group)
    member.do("q.put_many(range(5)); q.flush(); held = [q.get_message() for _ in range(5)]")
    # Until the ledger is full, and a checkpoint names what is held.
    while len(segments(directory, group, "ledger")) < 2 or not any_header(segments(directory, group, "ledger")[1]):
        member.do("for n in range(500): q.put(n); q.get_message().done()")
    member.kill()
    break_the_middle(segments(directory, group, "items")[0])
    found = diagnose()
    assert "5 item(s) were lost" in found["named"]["lost"]["text"]
    assert found["named"]["lost"]["wrong"] is False


def test_a_busy_leader_is_never_taken_for_a_damaged_one(group, diagnose):
    """What is half-written at the moment of a look is no damage."""
    leader = open_leader(group)
    leader.begin(
        """
        until = time.monotonic() + 4
        while time.monotonic() < until:
            q.put_many([bytes(3000)] * 50)
            [q.get() for _ in range(50)]
        """
    )
    for _ in range(30):
        found = diagnose()
        assert [finding for finding in found["findings"] if finding["wrong"]] == []
    leader.result()


def test_a_journal_of_another_version(group, directory, diagnose):
    of_another_version(group)
    found = diagnose()
    assert found["status"] == 1
    finding = found["named"]["version"]
    assert "journal version 9, this groupqueue reads version 1" in finding["text"]
    assert os.path.join(directory, group, "journal") in finding["text"]
    assert "ready" not in found


def test_a_link_in_the_place_of_a_part_of_the_journal(group, directory, diagnose):
    member = open_leader(group)
    member.do("q.put(1); q.flush()")
    member.kill()
    (path,) = segments(directory, group, "items")
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")
    found = diagnose()
    assert found["status"] == 1
    assert path.name in found["named"]["damage"]["text"]


def test_a_journal_that_cannot_be_read(group, directory, diagnose, monkeypatch):
    member = open_leader(group)
    member.do("q.put(1); q.flush()")
    member.kill()

    def fail(path, number):
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(Segment, "open", fail)
    found = diagnose()
    assert found["status"] == 1
    assert "cannot be read: Input/output error" in found["named"]["journal"]["text"]


def test_the_failed_list_until_it_is_put_back(group, diagnose):
    leader = open_leader(group)
    leader.do("q.put(1); q.flush(); q.get_message().fail(ValueError('no')); q.flush()")
    found = diagnose()
    assert found["status"] == 1
    assert "1 item(s) are on the failed list" in found["named"]["failed"]["text"]
    assert f"groupqueue requeue {group}" in found["named"]["failed"]["remedy"]
    leader.do("q.requeue_failed()")
    assert diagnose()["status"] == 0


def test_a_group_that_is_shut_down(group, diagnose):
    leader = open_leader(group)
    open_member(group, mode="client").do("q.shutdown()")
    found = diagnose()
    assert (found["status"], found["answers"]) == (0, True)
    assert "shut-down" in found["named"]
    assert leader.is_alive
