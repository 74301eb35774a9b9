"""What systemd is told, over the kinds of sockets that it has."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

import pytest

from groupqueue.system import notify as module
from groupqueue.system.notify import notify
from tests.helpers import Clock, linux_only


@pytest.fixture(params=["path", pytest.param("abstract", marks=linux_only)])
def told(request: pytest.FixtureRequest, directory: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The receiving end."""
    name = os.path.join(directory, "notify") if request.param == "path" else f"@groupqueue-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(name.replace("@", "\0"))
        sock.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield sock


def test_lines_arrive_as_one_datagram(told):
    notify("READY=1", "STATUS=leads group 'jobs'")
    assert told.recv(1000) == b"READY=1\nSTATUS=leads group 'jobs'"


def test_what_is_no_text_arrives_as_well(told):
    notify("STATUS=leads group 'jobs' in /tmp/\udcff")
    assert told.recv(1000) == b"STATUS=leads group 'jobs' in /tmp/\\udcff"


def test_a_service_manager_that_does_not_read_is_not_waited_for(told, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.05)
    with Clock() as clock:
        for _ in range(50):
            notify("STATUS=" + "x" * 10_000)
    assert clock.elapsed < 10


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "/no/such/socket", "@nobody"])
def test_where_nobody_listens_nothing_happens(monkeypatch, address):
    if address is None:
        monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    else:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    notify("READY=1")
