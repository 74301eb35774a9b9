"""How a member comes to be, and comes to lead: nothing is left of one that did not, and none leads in a hurry."""

from __future__ import annotations

import errno
import os
import selectors
import subprocess
import sys

import pytest

from groupqueue import GroupQueue, interrupts, retry, standing
from groupqueue.retry import CRASHED, FIRST, LASTING, Retry
from groupqueue.system.grip import Grip
from groupqueue.watch import Watch
from tests.helpers import ROOT, eventually, open_leader

# Becoming a member


def descriptors() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return {path for path in found if "groupqueue" in path or "/gq-" in path or "eventfd" in path}


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system does not tell of descriptors")
@pytest.mark.parametrize("where", ["_leader_type", "DefaultSelector", "become_candidate"])
def test_nothing_is_left_of_an_opening_that_was_cut_short(directory, group, monkeypatch, where):
    """By a Ctrl-C, say, in the midst of the imports that the first opening makes."""

    def cut_short(*args):
        raise KeyboardInterrupt

    before = descriptors()
    with monkeypatch.context() as patch:
        if where == "DefaultSelector":
            patch.setattr(selectors, where, cut_short)
        else:
            patch.setattr(standing if where == "_leader_type" else standing.Standing, where, cut_short)
        with pytest.raises(KeyboardInterrupt):
            GroupQueue(group, directory=directory)
    assert os.listdir(os.path.join(directory, group, "members")) == []
    assert descriptors() == before


@pytest.mark.skipif(os.name != "posix", reason="no umask")
def test_whatever_the_umask_the_group_s_files_are_its_user_s(directory, group):
    code = f"""
import os
os.umask(0o777)
from groupqueue import GroupQueue
q = GroupQueue({group!r}, directory={directory!r})
q.put(1)
q.flush(10)
modes = {{oct(entry.stat(follow_symlinks=False).st_mode & 0o777) for folder in ("", "journal", "members")
          for entry in os.scandir(os.path.join({directory!r}, {group!r}, folder)) if entry.is_file()}}
print(*modes)
q.close()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=40)
    assert (done.stdout, done.stderr) == ("0o600\n", "")


# Leading


@pytest.fixture
def clock(monkeypatch):
    """Moves when it is told to."""
    time = [1000.0]
    monkeypatch.setattr(retry, "now", lambda: time[0])
    return time


def pauses(patient: Retry, clock, count: int, lasting: float = 0.0) -> list[float]:
    found = []
    for _ in range(count):
        patient.won()
        clock[0] += lasting
        patient.crashed()
        found.append(round(patient.at - clock[0], 6))
        clock[0] = patient.at
    return found


def test_a_lead_that_is_lost_as_soon_as_it_is_won_is_sought_more_and_more_slowly(clock):
    found = pauses(Retry(), clock, 12)
    assert found[0] == FIRST
    assert found == sorted(found)
    assert found[-1] == CRASHED


def test_one_that_had_lasted_is_sought_at_once(clock):
    patient = Retry()
    pauses(patient, clock, 12)
    assert pauses(patient, clock, 3, lasting=LASTING) == [FIRST] * 3


def test_so_is_one_that_was_never_won(clock):
    patient = Retry()
    pauses(patient, clock, 1, lasting=LASTING)
    clock[0] += 10 * LASTING
    found = []
    for _ in range(12):
        patient.crashed()
        found.append(patient.at - clock[0])
        clock[0] = patient.at
    assert found == sorted(found)
    assert found[-1] == pytest.approx(CRASHED)


def test_the_same_crash_is_told_in_full_once(group, open_queue, caplog, monkeypatch):
    queue = open_queue(group)
    assert queue.wait_for_leader(10)
    member = queue._member
    crashes = []

    def crash(self, *args):
        crashes.append(True)
        raise OSError(errno.EIO, "so it is")

    with monkeypatch.context() as patch:
        patch.setattr("groupqueue.leader.Leader.finish", crash)
        member.push()
        eventually(lambda: len(crashes) >= 4)
    told = [record for record in caplog.records if "crashed" in record.message]
    assert [bool(record.exc_info) for record in told[:3]] == [True, False, False]
    queue.put(1)
    assert queue.get(timeout=20) == 1


def test_what_cannot_be_classified_is_no_interrupt(monkeypatch):
    """Else the role would not be dropped, and be half of one from then on."""

    def fails():
        raise OSError(errno.EMFILE, "no descriptor to import with")

    monkeypatch.setattr(interrupts, "_handlers", fails)
    assert not interrupts.is_interrupt(ValueError())


# Telling who leads


@pytest.mark.parametrize(
    ("grip", "said"),
    [
        (None, ""),
        (Grip(7, "sleeping", []), ""),
        (Grip(7, "stopped", [], is_seen=False), ""),
        (Grip(7, "stopped", []), ": process 7, which leads, is stopped and does not answer"),
    ],
)
def test_a_number_of_another_container_is_not_taken_for_a_process_here(group, open_queue, monkeypatch, grip, said):
    open_leader(group)
    queue = open_queue(group)
    assert queue.wait_for_leader(10)
    monkeypatch.setattr("groupqueue.system.process.is_stopped", lambda pid: True)
    monkeypatch.setattr("groupqueue.watch.find_grip", lambda paths: grip)
    assert Watch(queue._member._standing, "dual").why() == said
