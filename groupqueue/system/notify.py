"""Telling systemd, or whoever started this process with a NOTIFY_SOCKET, how the service is doing: sd_notify(3)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

PATIENCE = 1.0


def notify(*lines: str) -> None:
    """Sends `READY=1`, `STATUS=...` or the like. Does nothing, and never fails, where nobody asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    if address[0] == "@":
        # Linux's abstract namespace: no file, and a zero byte where the path would begin.
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        # A directory's name may be no text.
        sock.sendto("\n".join(lines).encode(errors="backslashreplace"), address)
