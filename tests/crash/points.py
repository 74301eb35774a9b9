"""
Where a process can die, by name: every place at which it changes something that outlives it.

What a killed process had in its own memory is gone; all that can be half done is on disk, in a mapped file, or on the
wire. So a point stands at each write, rename, lock, store and frame, with up to four phases:

    before    nothing of it is done
    half      the first write of it has written half of its bytes
    after     it is done, and nothing that follows is
    received  (frames) it has been read from the socket, and nothing was made of it

`tests/crash/test_points.py` checks that nothing of that sort happens outside a point, and that docs/design.md explains
the same points. How they are armed is in `arms.py`.
"""

from __future__ import annotations

from typing import NamedTuple


class Point(NamedTuple):
    """`where`: the function. `home`: scenario and actor of its passage in the ordinary test run; `reader`: of "received"."""

    name: str
    where: str
    phases: tuple[str, ...]
    home: tuple[str, str]
    why: str
    reader: tuple[str, str] = ("", "")


BOTH = ("before", "after")
WRITE = ("before", "half", "after")
FRAME = ("before", "half", "after", "received")
AFTER = ("after",)

RECORD = "Segment.append"
SAID = "Connection.send, Guests._hear, Leader._hear_local, Session.receive, Loans.add"

# fmt: off
_RECORDS = [
    ("ITEMS", ("plain", "leader"), "not whole it is a torn tail and its producer, unacknowledged, sends it again; whole it is known by its last seq"),
    ("REPLY", ("put_wait", "leader"), "not whole the answer is unsettled and is said again; whole it says itself whether it finishes the item"),
    ("CHECKPOINT", ("rolling", "leader"), "it is written to the ledger that does not count until its header does; the one that counts is complete"),
    ("GRANT", ("plain", "leader"), "nobody has been told: the items are ready, or granted to a member whose Hello says that it did not get them"),
    ("RETURN", ("sharing", "leader"), "the member's cursor and its Hello say what it has; the rest is returned then"),
    ("TAKEN", ("messages", "leader"), "the cursor and the ring say the same and are read again"),
    ("FINISH", ("messages", "leader"), "the verdict is unsettled and is said again; a second one matches nothing"),
    ("FAILED", ("messages", "leader"), "the verdict is unsettled and is said again; of a dead holder's item the next burial decides"),
    ("REQUEUE", ("messages", "leader"), "the verdict is unsettled and is said again, for an attempt that is over it matches nothing"),
    ("GONE", ("heir", "leader"), "a dead member without grants is buried again: there is nothing left to give back"),
    ("HEARD", ("put_wait", "leader"), "the reply is sent again, finds no call, and is confirmed again"),
    ("PRODUCERS", ("rolling", "leader"), "the segment that it is to replace is still there, and a seq that is told twice is told once"),
    ("SHUTDOWN", ("plain", "leader"), "the question is unanswered and is asked again; a state is only ever raised"),
    ("RETRY", ("messages", "leader"), "the question is unanswered and is asked again of what is on the failed list then"),
    ("EPOCH", ("heir", "leader"), "the lock file and the records of each epoch tell it too, and the next is above all of them"),
    ("LOST", ("lost", "leader"), "the item is still held, or awaited: whoever recovers decides the same again, and a reply that is there is not made twice"),
    ("ANSWERED", ("joinable", "leader"), "it precedes HEARD, and the reply's own record says so until that one is whole"),
    ("BEGUN", ("plain", "leader"), "the segment is there and nothing is in it: unlisted it is not missed, listed it is found"),
]

_FRAMES = [
    ("Hello", ("plain", "consumer"), ("plain", "leader"), "it only tells what the member's memory and file tell at the next connection"),
    ("Items", ("plain", "producer"), ("plain", "leader"), "not whole it is dropped with its connection; unacknowledged it is sent again, and known by its last seq"),
    ("Want", ("plain", "consumer"), ("plain", "leader"), "a wish of this connection only; a living getter wishes again"),
    ("Return", ("sharing", "consumer"), ("sharing", "leader"), "what was given back is not in the inbox; Hello, or the cursor of the dead, says so"),
    ("Taken", ("bounded", "consumer"), ("bounded", "leader"), "it only points at the cursor, which is in the file"),
    ("Done", ("messages", "consumer"), ("messages", "leader"), "unsettled it is said again, and a dead holder's item is another attempt"),
    ("Answer", ("put_wait", "consumer"), ("put_wait", "leader"), "unsettled it is said again, and a dead holder's item is another attempt"),
    ("Fail", ("messages", "consumer"), ("messages", "leader"), "unsettled it is said again, and a dead holder's item is another attempt"),
    ("Requeue", ("messages", "consumer"), ("messages", "leader"), "unsettled it is said again, and a dead holder's item is another attempt"),
    ("Withdraw", ("withdraw", "producer"), ("withdraw", "leader"), "told again with the next connection; of a dead producer nobody waits for the answer"),
    ("Heard", ("put_wait", "producer"), ("put_wait", "leader"), "unheard the reply is sent again and finds no call; of a dead producer replies are dropped"),
    ("WantCredit", ("bounded", "producer"), ("bounded", "leader"), "a wish of this connection only; a living putter wishes again"),
    ("ReturnCredit", ("bounded", "producer"), ("bounded", "leader"), "the settled word has it already, and Hello says what is left"),
    ("Request", ("messages", "producer"), ("messages", "leader"), "unanswered it is asked again"),
    ("Bye", ("plain", "consumer"), ("plain", "leader"), "without it the end of the process says the same, once the lock on its file can be had"),
    ("Welcome", ("plain", "leader"), ("plain", "consumer"), "what it tells is in the journal, and is told again to the next Hello"),
    ("Refused", ("stranger", "leader"), ("", ""), "nothing was promised; whoever speaks another version is told so each time"),
    ("Ack", ("plain", "leader"), ("plain", "producer"), "the batch is in the journal; Welcome acknowledges it"),
    ("Settled", ("messages", "leader"), ("messages", "consumer"), "the verdict is in the journal; said again it matches nothing and is settled"),
    ("Grant", ("plain", "leader"), ("plain", "consumer"), "GRANT is in the journal; what did not arrive, Hello's count gives back"),
    ("Nothing", ("plain", "leader"), ("plain", "consumer"), "an answer to a wish of this connection, which is wished again"),
    ("Recall", ("sharing", "leader"), ("bounded", "producer"), "a wish of this leader; the next one recalls what it needs"),
    ("Reply", ("put_wait", "leader"), ("put_wait", "producer"), "REPLY is in the journal, and sent after every Hello until Heard"),
    ("Credit", ("bounded", "leader"), ("bounded", "producer"), "noted in the member's file before; Hello says what arrived, and the rest is free again"),
    ("Withdrawn", ("withdraw", "leader"), ("withdraw", "producer"), "FINISH is in the journal; asked again, an item that is nowhere is not withdrawn but cannot come out either"),
    ("Result", ("messages", "leader"), ("messages", "producer"), "the question is unanswered and is asked again"),
    ("Shutdown", ("plain", "leader"), ("plain", "consumer"), "the state is in the journal, and in every Welcome"),
    ("Borrow", ("large", "producer"), ("large", "leader"), "a wish of this connection only; without an answer the bodies go through the socket"),
    ("Loan", ("large", "leader"), ("large", "producer"), "nothing is in it, and the next leader removes it"),
    ("Placed", ("large", "producer"), ("large", "leader"), "the body is nobody's without it; unacknowledged the batch is sent again, whole, and known by its last seq"),
    ("Repaid", ("large", "producer"), ("large", "leader"), "without it the loan ends with the connection, and is removed and not used again"),
    ("Sealed", ("plain", "consumer"), ("plain", "leader"), "each Welcome of a group that is shut down is answered anew; of a dead producer nothing more comes"),
]

POINTS = [
    *(Point(f"record {kind}", RECORD, WRITE, home, why) for kind, home, why in _RECORDS),
    *(
        Point(f"frame {kind}", SAID, FRAME if reader[0] else WRITE, home, why, reader)
        for kind, home, reader, why in _FRAMES
    ),
    # Files of the journal
    Point("body placed", "_Loan.write", WRITE, ("large", "producer"), "it stands behind the tail of a segment to which nobody appends: whoever leads next reads no record there"),
    Point("record placed", "Segment.append_head", WRITE, ("large", "leader"), "the body is whole by then; not whole the head is a torn tail, and its producer, unacknowledged, sends the batch again"),
    Point("late check", "Segment.check_late", BOTH, ("large", "leader"), "one store of eight bytes: the body is believed for the sake of the boot, or of its check"),
    Point("items header", "Segment.write_header", WRITE, ("rolling", "leader"), "nothing in the segment is of use: an old, a new or a torn header only decide which of its bytes are no records"),
    Point("ledger header", "Segment.write_header", WRITE, ("rolling", "leader"), "an old or torn header does not match the checkpoint under it, so the other ledger counts; a whole one does"),
    Point("segment create", "Segment.create", BOTH, ("rolling", "leader"), "a `new-` file is nobody's and is removed; a ledger without a checkpoint is the other one"),
    Point("segment allocate", "disk.allocate", BOTH, ("rolling", "leader"), "an empty or a longer file; what is behind the tail means nothing"),
    Point("segment resize", "Segment.resize", BOTH, ("rolling", "leader"), "only the ledger that does not count is resized"),
    Point("rename to items", "Segment.rename", BOTH, ("rolling", "leader"), "the header counts, not the name"),
    Point("rename to spare", "Segment.rename", BOTH, ("rolling", "leader"), "the header counts, not the name, and nothing is in it"),
    Point("rename to ledger", "Segment.rename", BOTH, ("durable heir", "leader"), "it replaces the ledger that does not count, by one without a checkpoint"),
    Point("segment remove", "Segment.remove", BOTH, ("rolling", "leader"), "nothing in it is of use, and PRODUCERS has told what it alone knew, and that it ends"),
    Point("sync file", "disk.sync_file", BOTH, ("durable", "leader"), "nothing is acknowledged yet; a recovery brings to the disk what it finds before it calls it accepted"),
    Point("sync folder", "disk.sync_folder", BOTH, ("durable", "leader"), "nothing is acknowledged yet; a recovery brings to the disk what it finds before it calls it accepted"),
    Point("note of a sync", "Segment._note", WRITE, ("durable", "leader"), "without it, or with half of it, more is in doubt than need be, and is copied before anybody is told of it"),
    Point("tidy", "Journal.tidy", BOTH, ("rolling", "leader"), "only what is of no use is given back, each step of it a point of its own"),
    # Coming to lead
    Point("lock taken", "leadership.try_lock", AFTER, ("plain", "leader"), "the kernel lets go of both locks with the process; with one of them nobody leads"),
    Point("journal read", "Journal.recover", BOTH, ("plain", "leader"), "reading writes nothing"),
    Point("ledgers read", "Recovery._read_ledgers", AFTER, ("heir", "leader"), "reading writes nothing"),
    Point("segment read", "Recovery._read_items", AFTER, ("heir", "leader"), "reading writes nothing"),
    Point("segments adopted", "ItemSegments.adopt", BOTH, ("plain", "leader"), "spares that are too many and `new-` files go, and nothing is in either"),
    Point("doubts settled", "ItemSegments.settle", BOTH, ("durable heir", "leader"), "a copy counts where it is whole, and is the same; what was copied is still there"),
    Point("ledger begun", "Ledger.begin", BOTH, ("plain", "leader"), "a new ledger counts with its header, an old one goes on with EPOCH; an epoch without a leader is skipped"),
    Point("ledger renewed", "Ledger.renew", BOTH, ("durable heir", "leader"), "the old ledger counts until the new one has its header, and stays until that one is on the disk"),
    Point("items begun", "ItemSegments.begin", BOTH, ("plain", "leader"), "what is of no use is recycled, each step of it a point of its own"),
    Point("note written", "Leadership.note", WRITE, ("plain", "leader"), "it is for people, and one of several witnesses of the epoch"),
    Point("member expected", "Broker.expect", AFTER, ("heir", "leader"), "a claim in memory, made from the member's file again"),
    Point("member found dead", "Cursors.is_dead", AFTER, ("heir", "leader"), "the lock of the dead is let go again, and nobody but its owner ever makes that file"),
    Point("member buried", "Departed.bury", BOTH, ("heir", "leader"), "RETURN, REQUEUE, FAILED, GONE are in force one by one; the rest follows from the cursors again"),
    Point("member welcomed", "Broker.hello", BOTH, ("plain", "leader"), "RETURN at most, which the next Hello repeats"),
    Point("socket made", "Listener.__init__", BOTH, ("plain", "leader"), "an old socket refuses, and members try again"),
    Point("socket bind", "socket.bind", BOTH, ("plain", "leader"), "`socket~` is removed by whoever binds next"),
    Point("socket listen", "socket.listen", BOTH, ("plain", "leader"), "`socket~` is removed by whoever binds next"),
    Point("socket rename", "os.rename", BOTH, ("plain", "leader"), "either name leads to a socket that refuses once the process is gone"),
    Point("connect", "transport.connect", BOTH, ("plain", "consumer"), "a connection that says nothing is nobody's"),
    Point("accept", "Listener.accept", AFTER, ("plain", "leader"), "end of file at the other end, which tries again"),
    # Mapped words
    Point("store opened", "Inbox.take, take_plain, take_together", BOTH, ("plain", "consumer"), "the item is untaken; opened by a dead one, it counts as held: the next attempt"),
    Point("store ring", "Inbox.take", BOTH, ("messages", "consumer"), "a mark counts only below the cursor, and is written again before that"),
    Point("store taken", "Inbox.take, take_plain, take_together", BOTH, ("plain", "consumer"), "before: untaken. After: taken, the plain items of that one call that may go with their consumer, or held, and the next attempt"),
    Point("store settled", "Session", BOTH, ("bounded", "producer"), "corrected by the next Hello; of a dead member no room is set aside"),
    Point("store attention", "Cursors.attend, Member._answer_attention", BOTH, ("sharing", "leader"), "a wish of this leader; asked for nothing, a member answers too much and no harm is done"),
    Point("store credited", "Cursors.credit", BOTH, ("bounded", "leader"), "room is set aside that Hello does not claim: it is free again with the next Hello"),
    # Files of the members, and of the group
    Point("group joined", "Membership.join", BOTH, ("plain", "leader"), "folders and the group file may be there or not; who joins makes what is missing"),
    Point("group settle", "Membership._settle", BOTH, ("plain", "leader"), "the lock goes with the process"),
    Point("group terms", "membership._write_terms", WRITE, ("plain", "leader"), "whoever is alone writes them anew; without a bound asked for, what cannot be read is unbounded"),
    Point("group leave", "Membership.leave", BOTH, ("plain", "consumer"), "the lock goes with the process"),
    Point("member create", "MemberFile.__init__", BOTH, ("plain", "consumer"), "`~id` is no member; without connection or grants `id` is one that is buried"),
    Point("member allocate", "cursors.allocate", BOTH, ("plain", "consumer"), "`~id` is no member, and is swept after a minute"),
    Point("member rename", "os.rename", BOTH, ("plain", "consumer"), "`~id` is no member; `id` is locked by then, and free when its owner is dead"),
    Point("member remove", "Cursors.remove", BOTH, ("plain", "leader"), "GONE is written: a file without grants or claims is removed by whoever looks next"),
    # Parting and forking
    Point("goodbye", "Standing.goodbye", BOTH, ("plain", "consumer"), "as a death: the attempt counts, the blame does not if Bye was read"),
    Point("closed", "Standing.become_closed", BOTH, ("plain", "leader"), "everything is flushed by then, and what is let go the kernel lets go as well"),
    Point("fork hook", "Member.after_fork", BOTH, ("forking", "child"), "the copies of the parent's locks go with the child; it has nothing of its own before it joins"),
    Point("fork lets go", "Standing.abandon", BOTH, ("forking", "child"), "copies are closed and never unlocked, so the parent keeps everything"),
]
# fmt: on

NAMES = {point.name: point for point in POINTS}
