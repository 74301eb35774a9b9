"""A connected member as the leader sees it: who it is, what it waits for, what it has been given and asked for."""

from __future__ import annotations


class Peer:
    """See the module. It begins anew with each connection: whatever must outlive one is in the state or a cursor.

    `waiting`, `ticket`, `credit_waiting`, `credit_ticket`: as its last `Want` and `WantCredit` said. `allowance`: how
    many items it is likely to take within `HOLD`; `granted`: how many its last grant was. `ack`, `settled`: what it is
    to be told at the end of the step, 0 for nothing. `postponed`: what it is to be told soon, unless a reply says it.
    `sealed`, `sealing_since`, `drained`: how far it has come with a shutdown.
    """

    def __init__(self, member: int, pid: int, mode: str, role: str) -> None:
        self.member = member
        self.pid = pid
        self.mode = mode
        self.role = role
        self.waiting = 0
        self.ticket = 0
        self.allowance = 1
        self.granted = 0
        self.granted_at = 0.0
        self.recalled_at: float | None = None
        self.returns = 0
        self.stuck = False
        self.credit = 0
        self.credit_waiting = 0
        self.credit_ticket = 0
        self.credit_allowance = 1
        self.credit_recalled_at: float | None = None
        self.ack = 0
        self.postponed = 0
        self.settled = 0
        self.sealed = False
        self.sealing_since: float | None = None
        self.drained = False
