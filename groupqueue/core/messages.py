"""
What members and the leader say to each other, as values.

A message is a tuple of numbers, some with a body of bytes at the end. Nothing here knows how it travels: over a socket
it is encoded by `wire`, within the leader's own process it is handed over as it is.

Numbers that recur: `seq` counts what one producer put, from 1; `position` counts what one member was granted, from 0;
`number` counts one member's verdicts, from 1; `ticket` names one question until it is answered; `id` is the item's
place in the order in which the leader accepted items.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

VERSION = 1

Buffer = bytes | bytearray | memoryview

WANTS_REPLY = 1
DURABLE = 2

RECALL_ITEMS = 1
RECALL_CREDIT = 2
RECALL_LOANS = 4

REPLY_VALUE = 0
REPLY_EXCEPTION = 1
REPLY_TEXT = 2
REPLY_LOST = 3

NO_CHECK = 1 << 32
"""In the place of a check: it is not made yet."""

LARGEST_PLACED = 8 * 1024 * 1024
"""Bytes of a record whose body its producer writes to the journal; a larger one goes through the socket."""

MOST = 1 << 62
"""Whatever is counted stays below: far more than anybody counts, and with room above for those who count on."""

WINDOW = 2048
"""Items that a member has at most, untaken."""


class Hello(NamedTuple):
    """First word of a member. `received`: positions it holds or has held; `taken`: of those, returned by get."""

    version: int
    member: int
    pid: int
    received: int
    taken: int
    body: Buffer


class Items(NamedTuple):
    """A batch: `count` items of this producer, `body` their sizes (4 bytes each) and then their bytes."""

    first_seq: int
    count: int  # type: ignore[assignment]
    flags: int
    max_attempts: int
    check: int
    body: Sequence[Buffer]


class Placed(NamedTuple):
    """As Items, but the body, `length` bytes, stands in the loan of this number: in the record at `offset`."""

    first_seq: int
    count: int  # type: ignore[assignment]
    flags: int
    max_attempts: int
    check: int
    number: int
    offset: int
    length: int


class Borrow(NamedTuple):
    """The member wants a segment to write large bodies to, the next of them in a record of `size` bytes."""

    size: int


class Repaid(NamedTuple):
    """The member will write no more to the loan of this number."""

    number: int


class Want(NamedTuple):
    """`waiting` items are waited for. With a ticket: answer `Nothing` at once if there is nothing.

    `spent`: microseconds since the last grant arrived here, which is how long its items lasted.
    """

    waiting: int
    ticket: int
    spent: int


class Return(NamedTuple):
    """The member will not take what it was granted from `position` on."""

    position: int


class Taken(NamedTuple):
    """The member's cursor, as the leader asked to be told."""

    position: int


class Done(NamedTuple):
    """Held items are finished; `body` holds (id, attempt) pairs."""

    number: int
    body: Buffer


class Answer(NamedTuple):
    """The reply to a held item; with `finish` the item is done too."""

    number: int
    id: int
    attempt: int
    status: int
    finish: int
    check: int
    body: Buffer


class Fail(NamedTuple):
    """A held item goes to the failed list; `body` says why."""

    number: int
    id: int
    attempt: int
    body: Buffer


class Requeue(NamedTuple):
    """A held item goes back to its place."""

    number: int
    id: int
    attempt: int


class Withdraw(NamedTuple):
    """The producer no longer wants item `seq` delivered."""

    seq: int


class Heard(NamedTuple):
    """The reply to item `seq` has arrived; the leader may forget it."""

    seq: int


class WantCredit(NamedTuple):
    """`waiting` puts wait for room. With a ticket: one more does, and is answered `Nothing` if there is none."""

    waiting: int
    ticket: int


class ReturnCredit(NamedTuple):
    """Unused room given back."""

    count: int  # type: ignore[assignment]


class Request(NamedTuple):
    """A question of an operator; `body` is JSON."""

    ticket: int
    body: Buffer


class Bye(NamedTuple):
    """The member closes: what it holds goes to others."""


class Sealed(NamedTuple):
    """Answer to Shutdown: all that this member put before it knew has been sent, and nothing more comes."""


class Welcome(NamedTuple):
    """Answer to Hello. `last_seq`: of this producer's, all accepted up to here; `position`: its grants end here."""

    version: int
    epoch: int
    pid: int
    last_seq: int
    position: int
    shutdown: int


class Refused(NamedTuple):
    """The leader cannot serve this member; `body` says why."""

    body: Buffer


class Ack(NamedTuple):
    """Everything up to `seq` is in the journal."""

    seq: int


class Settled(NamedTuple):
    """Every verdict up to `number` is in the journal."""

    number: int


class Entry(NamedTuple):
    """Part of a batch, as granted: consecutive items with the same producer, flags and attempt."""

    first_id: int
    count: int  # type: ignore[assignment]
    flags: int
    attempt: int
    pid: int
    sizes: Buffer
    payload: Buffer


class Grant(NamedTuple):
    """Items for this member, from `position` on.

    `returns`: how many Returns of this connection the leader had seen. If the member has sent more, this grant crossed
    one of them; the leader takes it back when it sees that one, and the member must not take it.
    """

    position: int
    returns: int
    entries: Sequence[Entry]


class Nothing(NamedTuple):
    """There is nothing (or no room) for the question with this ticket."""

    ticket: int


class Recall(NamedTuple):
    """Return the items that have not been taken (`what` & 1), the credit that is not in use (2), for others wait; the
    loans (4), for they have not been used lately."""

    what: int


class Reply(NamedTuple):
    """The reply to item `seq` of this producer."""

    seq: int
    status: int
    body: Buffer


class Credit(NamedTuple):
    """Room for `count` more items."""

    count: int  # type: ignore[assignment]


class Loan(NamedTuple):
    """The member may write to the segment of this number, which has `size` bytes; 0, 0: there is no room for one."""

    number: int
    size: int


class Withdrawn(NamedTuple):
    """Answer to Withdraw: 1, nobody will get it; 0, somebody has."""

    seq: int
    gone: int


class Result(NamedTuple):
    """Answer to Request."""

    ticket: int
    body: Buffer


class Shutdown(NamedTuple):
    """The group is shut down: 0 no, 1 getters drain, 2 at once."""

    state: int


Message = (
    Hello
    | Items
    | Want
    | Return
    | Taken
    | Done
    | Answer
    | Fail
    | Requeue
    | Withdraw
    | Heard
    | WantCredit
    | ReturnCredit
    | Request
    | Bye
    | Welcome
    | Refused
    | Ack
    | Settled
    | Grant
    | Nothing
    | Recall
    | Reply
    | Credit
    | Withdrawn
    | Result
    | Shutdown
    | Sealed
    | Borrow
    | Placed
    | Repaid
    | Loan
)
