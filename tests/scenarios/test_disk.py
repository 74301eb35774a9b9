"""What a group takes of its disk, and what happens when there is no more."""

from __future__ import annotations

import contextlib
import os
import subprocess

import pytest

from groupqueue import GroupQueue
from tests.helpers import Raised, disk_usage, eventually, open_leader, open_member, root_only

MIB = 1 << 20


@pytest.fixture
def small_disk(directory):
    """A file system of 24 MiB."""
    path = os.path.join(directory, "small")
    os.mkdir(path, 0o700)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", path], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount a tmpfs here: {mounted.stderr.strip()}")
    yield path
    subprocess.run(["umount", "--lazy", path], check=True)


def test_an_idle_group_takes_less_than_two_mebibytes(directory, group):
    member = open_leader(group)
    assert disk_usage(directory) < 2 * MIB
    others = [open_member(group) for _ in range(5)]
    member.do("[q.put(n) for n in range(1000)]; [q.get() for _ in range(1000)]")
    assert disk_usage(directory) < 2 * MIB
    for other in others:
        other.kill()
    assert disk_usage(directory) < 2 * MIB


def test_what_a_backlog_took_is_given_back(directory, group):
    member = open_leader(group)
    member.do("[q.put(b'x' * 100_000) for _ in range(500)]; q.flush()")
    assert disk_usage(directory) > 45 * MIB
    member.do("[q.get(timeout=5) for _ in range(500)]; None")
    eventually(lambda: disk_usage(directory) < 2 * MIB, what="the backlog's room to be given back")


def test_one_item_that_nobody_takes_does_not_keep_the_room_of_all_that_came_after(directory, group):
    """A held message at the head of the journal, and much traffic behind it."""
    member = open_leader(group)
    member.do("q.put('held'); q.flush(); m = q.get_message(timeout=5)")
    member.do(
        """
        for _ in range(200):
            for _ in range(10):
                q.put(b"x" * 50_000)
            for _ in range(10):
                q.get(timeout=5)
        """,
        timeout=40,
    )
    eventually(lambda: disk_usage(directory) < 16 * MIB)
    member.kill()
    heir = open_member(group)
    assert heir.do("q.get(timeout=5)") == "held"


def fill(member):
    """Puts until the disk is full; tells how many puts returned."""
    member.do("""
        accepted = 0
        try:
            while accepted < 8000:
                q.put((accepted, b"x" * 65536), timeout=0.7)
                accepted += 1
        except Full:
            pass
    """)
    return member.do("accepted")


@root_only
def test_a_group_works_on_a_small_disk(small_disk, group):
    leader = open_leader(group, directory=small_disk)
    consumer = open_member(group, directory=small_disk, mode="client")
    consumer.begin("total = sum(len(q.get(timeout=20)) for _ in range(1000))")
    leader.do("[q.put(b'x' * 100_000) for _ in range(1000)]; q.flush()", timeout=40)
    consumer.result(timeout=40)
    assert consumer.do("total") == 100_000_000


@root_only
@pytest.mark.parametrize("killed", [False, True])
def test_a_full_disk_is_backpressure_and_everything_accepted_comes_out(small_disk, group, killed):
    leader = open_leader(group, directory=small_disk)
    producer = open_member(group, directory=small_disk)
    accepted = fill(producer)
    assert 100 < accepted < 8000
    if killed:
        leader.kill()
    consumer = open_member(group, directory=small_disk)
    consumer.do(f"got = [q.get(timeout=10)[0] for _ in range({accepted})]", timeout=40)
    assert consumer.do(f"got == list(range({accepted}))")
    with pytest.raises(Raised, match="Empty"):
        consumer.do("q.get(timeout=0.3)")
    producer.do("q.put('again', timeout=10); q.flush(timeout=10)")
    assert consumer.do("q.get(timeout=5)") == "again"


@root_only
def test_the_only_process_gets_what_is_in_front_of_its_own_puts_that_wait_for_room(small_disk, group):
    only = open_member(group, directory=small_disk)
    accepted = fill(only)
    assert 100 < accepted < 8000
    assert only.do("q.stats().ready") < accepted
    assert only.do(f"[q.get(timeout=5)[0] for _ in range({accepted})]", timeout=40) == list(range(accepted))
    assert only.do("q.stats().ready") == 0
    assert "the disk is full" in only.stderr


@root_only
def test_a_process_that_does_not_lead_gets_what_is_in_front_of_its_own_puts_that_wait_for_room(small_disk, group):
    leader = open_leader(group, directory=small_disk)
    other = open_member(group, directory=small_disk, mode="client")
    accepted = fill(other)
    assert 100 < leader.do("q.stats().ready") < accepted < 8000
    assert other.do(f"[q.get(timeout=5)[0] for _ in range({accepted})]", timeout=50) == list(range(accepted))
    assert leader.do("q.stats().ready") == 0


@root_only
def test_a_disk_that_somebody_else_fills_stops_no_get(small_disk, group):
    leader = open_leader(group, directory=small_disk)
    leader.do("q.put_many(range(1000)); q.flush()")
    with open(os.path.join(small_disk, "ballast"), "wb") as file:
        try:
            while True:
                file.write(b"\0" * 65536)
                file.flush()
        except OSError:
            pass
    assert leader.do("[q.get(timeout=5) for _ in range(1000)]") == list(range(1000))
    assert leader.is_alive
    os.unlink(os.path.join(small_disk, "ballast"))
    leader.do("q.put('again', timeout=10)")
    assert leader.do("q.get(timeout=5)") == "again"


@root_only
def test_who_opens_a_group_on_a_full_disk_is_told_so_and_leaves_nothing(small_disk, group):
    leader = open_leader(group, directory=small_disk)
    with open(os.path.join(small_disk, "ballast"), "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    members = os.path.join(small_disk, group, "members")
    before = os.listdir(members)
    with pytest.raises(OSError, match=f"cannot make a member's file in {members}: No space.*free some room"):
        GroupQueue(group, directory=small_disk)
    assert os.listdir(members) == before
    os.unlink(os.path.join(small_disk, "ballast"))
    open_member(group, directory=small_disk).do("q.put(1); q.flush(timeout=5)")
    assert leader.do("q.get(timeout=5)") == 1


def test_a_durable_group_keeps_its_promises_across_a_kill(group):
    leader = open_leader(group, durable=True)
    heir = open_member(group, durable=True)
    leader.do("q.put_many(range(100)); q.flush(); q.get()")
    leader.kill()
    assert heir.do("[q.get(timeout=5) for _ in range(99)]") == list(range(1, 100))
