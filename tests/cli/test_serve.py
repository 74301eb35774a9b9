"""`serve` leads, and hands over when it is asked to stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.helpers import Clock, Script, linux_only, lock_holder, open_leader, open_member


def serve(name: str, *options: str) -> Script:
    return Script([sys.executable, "-u", "-m", "groupqueue", "serve", name, *options], label="serve")


def test_it_says_that_it_leads_and_serves(group, directory):
    server = serve(group)
    assert server.expect("process") == f"{server.pid} leads group {group!r} in {directory}"
    assert lock_holder(directory, group) == server.pid
    producer = open_member(group)
    consumer = open_member(group)
    producer.do("q.put_many(range(100)); q.flush()")
    assert consumer.do("[q.get(timeout=5) for _ in range(100)]") == list(range(100))
    assert [member.do("q.is_leader") for member in (producer, consumer)] == [False, False]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_hands_over_at_once(group, directory, number):
    server = serve(group)
    server.expect("process")
    other = open_member(group)
    other.do("q.put(1); q.flush()")
    server.signal(number)
    with Clock() as clock:
        assert other.do("q.put_many([2, 3]), q.flush(), [q.get(timeout=5) for _ in range(3)]")[2] == [1, 2, 3]
    assert clock.elapsed < 2
    assert server.wait() == 0
    assert server.stderr == ""
    assert lock_holder(directory, group) == other.pid


def test_it_stands_by_until_it_may_lead(group):
    leader = open_leader(group)
    server = serve(group)
    assert f"stands by to lead group {group!r}" in server.expect("process")
    leader.kill()
    assert server.expect("process").startswith(f"{server.pid} leads ")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_a_standby_ends_when_it_is_asked_to(group):
    open_leader(group)
    server = serve(group)
    server.expect("process")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0


def test_it_may_set_the_bound(group):
    server = serve(group, "--maxsize", "2")
    server.expect("process")
    assert open_member(group).do("q.maxsize") == 2
    other = serve(group, "--maxsize", "3")
    assert other.wait() == 1
    assert "maxsize=3" in other.stderr
    assert "maxsize=2" in other.stderr


def test_it_takes_no_items(group):
    member = open_member(group, mode="client")
    server = serve(group)
    server.expect("process")
    member.do("q.put_many(range(20)); q.flush()")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
    assert open_leader(group).do("q.qsize()") == 20


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="has no /dev/full")
def test_it_leads_though_what_it_says_cannot_be_written(group):
    command = [sys.executable, "-m", "groupqueue", "serve", group]
    with open("/dev/full", "w") as full, subprocess.Popen(command, stdout=full) as server:
        try:
            member = open_member(group, mode="client")
            assert member.do("q.wait_for_leader(20)") is True
            member.do("q.put(1); q.flush(20)")
            assert member.do("q.stats().leader_pid") == server.pid
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) in (0, 1)
        finally:
            server.kill()


# To systemd


@pytest.fixture(params=["path", pytest.param("abstract", marks=linux_only)])
def manager(request, directory, monkeypatch) -> Iterator[socket.socket]:
    """Where a service manager listens, as it tells what it starts."""
    name = os.path.join(directory, ".notify") if request.param == "path" else f"@groupqueue-serve-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0"))
        sock.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def hear(manager: socket.socket, wanted: str) -> None:
    """Waits for a datagram with this in it."""
    while wanted not in manager.recv(1000).decode():
        pass


def test_it_is_ready_once_it_leads_and_says_when_it_stops(group, manager):
    server = serve(group)
    hear(manager, "READY=1")
    assert open_member(group, mode="client").do("q.wait_for_leader(0.5)") is True
    hear(manager, f"STATUS=leads group {group!r}")
    server.signal(signal.SIGTERM)
    hear(manager, "STOPPING=1")
    assert server.wait() == 0


def test_it_is_ready_while_another_leads_and_tells_when_it_does(group, manager):
    leader = open_leader(group)
    server = serve(group)
    hear(manager, f"READY=1\nSTATUS=stands by to lead group {group!r}")
    leader.kill()
    hear(manager, f"STATUS=leads group {group!r}")
    server.signal(signal.SIGINT)
    hear(manager, "STOPPING=1")
    assert server.wait() == 0


def test_it_is_not_ready_behind_a_leader_that_is_stopped(group, manager):
    leader = open_leader(group)
    leader.do("q.put(1); q.flush()")
    leader.stop()
    server = serve(group)
    assert server.expect("process").endswith("; the leader does not answer")
    manager.settimeout(0.5)
    with pytest.raises(TimeoutError):
        manager.recv(1000)
    manager.settimeout(20)
    leader.cont()
    hear(manager, "READY=1")
    server.signal(signal.SIGTERM)
    assert server.wait() == 0
