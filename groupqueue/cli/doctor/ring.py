"""Whether a leader answers at its socket, found out without becoming a member."""

from __future__ import annotations

import enum
import os
import select

from groupqueue.core import messages as m
from groupqueue.core.wire import WireError
from groupqueue.system.deadline import Deadline
from groupqueue.system.transport import SCRATCH, Closed, Connection, connect

NOBODYS_VERSION = 0
"""No leader has it, so each must answer `Refused`, and does not count the one who rang as a member."""


class Contact(enum.Enum):
    ANSWERS = "answers"
    SILENT = "is silent"
    NOBODY_LISTENS = "nobody listens"
    NO_SOCKET = "there is no socket"
    FOREIGN = "it is another user's"


def ring(path: str, patience: float) -> Contact:
    """Tries once. Only an answer proves a leader: a stopped process takes connections, and what is sent to it."""
    if not os.path.lexists(path):
        return Contact.NO_SOCKET
    try:
        connection = connect(path)
    except PermissionError:
        return Contact.FOREIGN
    if connection is None:
        return Contact.NOBODY_LISTENS
    try:
        connection.send(m.Hello(NOBODYS_VERSION, 0, os.getpid(), 0, 0, b"{}"))
        return Contact.ANSWERS if _hears(connection, Deadline(patience)) else Contact.SILENT
    except (Closed, WireError):
        return Contact.SILENT
    finally:
        connection.close()


def _hears(connection: Connection, deadline: Deadline) -> bool:
    scratch = bytearray(SCRATCH)
    while not deadline.expired:
        if select.select([connection.sock], [], [], deadline.remaining())[0]:
            for _ in connection.receive(scratch, keep=True):
                return True
    return False
