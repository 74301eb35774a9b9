"""
What the leader decides.

A message comes in, records go to the journal, the state changes by them, and messages go to `outbox`; whoever runs the
broker sends them when the step is over. So nothing is acknowledged before it is in the journal.

Who is granted what:

* A member asks when one of its threads waits in get, and is granted what it is likely to take within `HOLD` seconds, by
  the pace of its last grant: one item at first, or if it is slow. With others waiting it gets its share.
* A lane is granted to one member at a time. So whatever comes back from a member is older than anything that others
have
  seen of that producer, and per-producer order survives every death. Who holds up others longer than `PATIENCE` is
  asked to return the rest; who does not answer within `GRACE` loses the lane: order yields to progress.
* Bounded groups: a put needs credit, which is room set aside. The sum of items and credit never exceeds the bound.

Time comes in as an argument; `deadline` says when the broker wants to be called again at the latest.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from groupqueue.core import messages as m
from groupqueue.core.ports import CursorsPort, JournalPort
from groupqueue.core.records import Kind
from groupqueue.core.state import Batch, Grants, Lane, Reply, Run, State

HOLD = 0.005
PATIENCE = 0.002
GRACE = 0.25
LOOK = 0.01
WINDOW = 2048
MAX_ENTRIES = 400
MAX_IDS = 1000
MAX_REASON = 400
MAX_GRANT_BYTES = 4 * 1024 * 1024


class Peer:
    """A connected member, and what it waits for."""

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
        self.settled = 0


class Pending:
    """An operator's question that must wait: for every granted item to be taken or returned, or for `join`."""

    def __init__(self, member: int, ticket: int, kind: str, until: float | None) -> None:
        self.member = member
        self.ticket = ticket
        self.kind = kind
        self.until = until


class Broker:
    """See the module. `maxsize` of 0 is unbounded; `generation` tells one life of the group from the next."""

    def __init__(
        self, state: State, journal: JournalPort, cursors: CursorsPort, maxsize: int, generation: int, pid: int
    ) -> None:
        self.state = state
        self.outbox: list[tuple[int, m.Message]] = []
        self.peers: dict[int, Peer] = {}
        self.deadline: float | None = None
        self._journal = journal
        self._cursors = cursors
        self._maxsize = maxsize
        self._generation = generation
        self._pid = pid
        self._absent: dict[int, float] = {}
        self._wanting: dict[int, Peer] = {}
        self._wanting_credit: dict[int, Peer] = {}
        self._claims: dict[int, int] = {}
        self._pending: list[Pending] = []
        self._withdrawing: dict[int, tuple[int, int]] = {}
        self._unsynced = False
        self._dirty: set[Peer] = set()
        self._handlers: dict[type[Any], Callable[[Peer, Any, float], None]] = {
            m.Items: self._on_items,
            m.Want: self._on_want,
            m.Return: self._on_return,
            m.Taken: self._on_taken,
            m.Done: self._on_done,
            m.Answer: self._on_answer,
            m.Fail: self._on_fail,
            m.Requeue: self._on_requeue,
            m.Withdraw: self._on_withdraw,
            m.Heard: self._on_heard,
            m.WantCredit: self._on_want_credit,
            m.ReturnCredit: self._on_return_credit,
            m.Request: self._on_request,
        }
        for start in range(0, len(state.unrecorded), MAX_IDS):
            part = state.unrecorded[start : start + MAX_IDS]
            self._journal.append(Kind.FINISH, [word for run in part for word in run])
        state.unrecorded.clear()
        if self.shutdown and state.shutdown_generation != generation:
            self._journal.append(Kind.SHUTDOWN, (0, generation))
            state.apply_shutdown(0, generation)

    @property
    def shutdown(self) -> int:
        return self.state.shutdown

    # Members

    def expect(self, member: int, now: float) -> None:
        """A living member that is not connected: the room that it may be using, and its lanes, stay set aside."""
        self._absent[member] = now
        claim = self._cursors.claimed(member)
        if claim:
            self._claims[member] = claim

    def hello(self, hello: m.Hello, role: str = "follower") -> Peer:
        """A member has connected, for the first time or again."""
        member = hello.member
        about = json.loads(bytes(hello.body))
        peer = Peer(member, hello.pid, str(about.get("mode", "")), role)
        self._forget_peer(member)
        self.peers[member] = peer
        self._claims.pop(member, None)
        self._absent.pop(member, None)
        state = self.state
        grants = state.grants.get(member)
        if grants is not None:
            self.advance(member)
            if grants.end > hello.received:
                self._record_return(member, max(hello.received, grants.taken))
        last_seq = state.last_seq.get(member, 0)
        peer.credit = int(about.get("credit", 0)) + max(int(about.get("last_seq", 0)) - last_seq, 0)
        position = grants.end if grants is not None else 0
        self._send(peer, m.Welcome(m.VERSION, state.epoch, self._pid, last_seq, position, state.shutdown))
        for reply in state.replies.values():
            if reply.producer == member:
                self._send_reply(peer, reply)
        return peer

    def lost(self, member: int, now: float) -> None:
        """The member's connection is gone. It may come back; what it was granted stays its own."""
        if member in self.peers:
            self._forget_peer(member)
            self.expect(member, now)

    def dead(self, member: int) -> None:
        """Nobody has the member's lock any more: what it had goes to others."""
        self._forget_peer(member)
        self._part(member, death=True)

    def bye(self, member: int) -> None:
        """The member has closed."""
        self._forget_peer(member)
        self._part(member, death=False)

    def _part(self, member: int, death: bool) -> None:
        self._absent.pop(member, None)
        self._claims.pop(member, None)
        state = self.state
        known = member in state.grants or member in state.last_seq
        grants = state.grants.get(member)
        if grants is not None:
            self.advance(member)
            if death:
                self._hold_opened(member, grants)
            if grants.end > grants.taken:
                self._record_return(member, grants.taken)
        # The youngest first: each then joins what came back before it.
        for item in reversed(state.held_by(member)):
            known = True
            self._bring_back(item, death)
        self._record_heard([number for number, reply in state.replies.items() if reply.producer == member])
        if known:
            self._journal.append(Kind.GONE, (member,))
            state.apply_gone(member)
        self._release()

    def _hold_opened(self, member: int, grants: Grants) -> None:
        """An item whose decoding its consumer did not survive was held: it may be what killed it."""
        position = grants.taken
        if grants.end > position and self._cursors.opened(member) == position + 1:
            held = [item for _, item in self.state.positions(member, position, position + 1)]
            self._journal.append(Kind.TAKEN, (member, position + 1, *held))
            self.state.apply_taken(member, position + 1, held)

    def _record_each(self, kind: Kind, ids: Sequence[int], apply: Callable[[Sequence[int]], None]) -> None:
        """A record that is a list of ids, or as many of it as they need."""
        for start in range(0, len(ids), MAX_IDS):
            part = ids[start : start + MAX_IDS]
            self._journal.append(kind, part)
            apply(part)

    def _bring_back(self, item: int, death: bool) -> None:
        state = self.state
        batch = state.held[item].batch
        attempt = state.attempt(item)
        deaths = state.deaths(item) + (1 if death else 0)
        if death and deaths >= batch.max_attempts:
            self._lose(item, batch, f"{deaths} consumers died holding it")
        else:
            self._journal.append(Kind.REQUEUE, (item, attempt + 1, deaths))
            state.apply_requeue(item, attempt + 1, deaths)

    def _lose(self, item: int, batch: Batch, reason: str) -> None:
        self._reply_lost(item, batch, reason)
        self._journal.append(Kind.FAILED, (item,), reason.encode())
        self.state.apply_failed(item, reason)

    def _forget_peer(self, member: int) -> None:
        peer = self.peers.pop(member, None)
        if peer is not None:
            self._wanting.pop(member, None)
            self._wanting_credit.pop(member, None)
            self._dirty.discard(peer)
            self._pending = [pending for pending in self._pending if pending.member != member]

    # Messages

    def understands(self, message: m.Message) -> bool:
        """Whether a member may say this."""
        return type(message) in self._handlers

    def receive(self, peer: Peer, message: m.Message, now: float) -> None:
        """One message of a connected member. NoRoom: nothing of it was done, and it can be tried again."""
        self._handlers[type(message)](peer, message, now)

    def _on_items(self, peer: Peer, items: m.Items, now: float) -> None:
        state = self.state
        last = items.first_seq + items.count - 1
        if last > state.last_seq.get(peer.member, 0) and state.shutdown < 2:
            first_id = state.next_id
            words = (
                peer.member, first_id, items.first_seq, items.count, items.flags, items.max_attempts, peer.pid,
            )  # fmt: skip
            length = sum(len(part) for part in items.body)
            location = self._journal.append_data(Kind.ITEMS, words, items.body, length, items.check)
            state.apply_items(*words, length, location)
            if items.flags & m.DURABLE:
                self._unsynced = True
            if peer.credit:
                peer.credit = max(peer.credit - items.count, 0)
        peer.ack = max(peer.ack, last)
        self._dirty.add(peer)

    def _on_want(self, peer: Peer, want: m.Want, now: float) -> None:
        member = peer.member
        grants = self.state.grants.get(member)
        if grants is not None:
            self.advance(member)
            if peer.granted and grants.taken == grants.end:
                self._set_allowance(peer, want.spent)
        peer.waiting = want.waiting
        if want.ticket:
            peer.ticket = want.ticket
        if peer.waiting or peer.ticket:
            self._wanting[member] = peer
        else:
            self._wanting.pop(member, None)

    def _set_allowance(self, peer: Peer, spent: int) -> None:
        pace = max(spent, 1) / 1e6 / peer.granted
        peer.allowance = max(1, min(int(HOLD / pace), 8 * peer.granted, WINDOW))
        peer.granted = 0

    def _on_return(self, peer: Peer, message: m.Return, now: float) -> None:
        self._unrecall(peer)
        peer.returns += 1
        grants = self.state.grants.get(peer.member)
        if grants is not None:
            self.advance(peer.member)
            if grants.end > message.position:
                peer.allowance = max(1, peer.granted - (grants.end - message.position))
                peer.granted = 0
                self._record_return(peer.member, max(message.position, grants.taken))

    def _unrecall(self, peer: Peer) -> None:
        peer.recalled_at = None
        peer.stuck = False
        self._cursors.attend(peer.member, 0)

    def _on_taken(self, peer: Peer, message: m.Taken, now: float) -> None:
        self.advance(peer.member)

    def _on_done(self, peer: Peer, done: m.Done, now: float) -> None:
        finished = []
        for item, attempt in struct.iter_unpack("<QQ", done.body):
            if self._holds(peer, item, attempt):
                finished.append(item)
        if finished:
            runs = _as_runs(finished)
            self._journal.append(Kind.FINISH, [word for run in runs for word in run])
            self.state.apply_finish(runs)
            self._release()
        self._settle(peer, done.number)

    def _on_answer(self, peer: Peer, answer: m.Answer, now: float) -> None:
        if self._holds(peer, answer.id, answer.attempt):
            batch = self.state.held[answer.id].batch
            finish = bool(answer.finish)
            self._reply_for(answer.id, batch, answer.status, answer.body, finish, answer.check)
            if finish:
                self._journal.append(Kind.FINISH, (answer.id, 1))
                self.state.apply_finish([(answer.id, 1)])
            self._release()
        self._settle(peer, answer.number)

    def _on_fail(self, peer: Peer, fail: m.Fail, now: float) -> None:
        if self._holds(peer, fail.id, fail.attempt):
            reason = bytes(fail.body[:MAX_REASON])
            self._journal.append(Kind.FAILED, (fail.id,), reason)
            self.state.apply_failed(fail.id, reason.decode("utf-8", "replace"))
        self._settle(peer, fail.number)

    def _on_requeue(self, peer: Peer, message: m.Requeue, now: float) -> None:
        if self._holds(peer, message.id, message.attempt):
            words = (message.id, message.attempt + 1, self.state.deaths(message.id))
            self._journal.append(Kind.REQUEUE, words)
            self.state.apply_requeue(*words)
        self._settle(peer, message.number)

    def _on_heard(self, peer: Peer, heard: m.Heard, now: float) -> None:
        reply_id = self.state.reply_to(peer.member, heard.seq)
        if reply_id is not None:
            self._record_heard([reply_id])
            self._release()

    def _record_heard(self, reply_ids: Sequence[int]) -> None:
        """Forgets replies; that an item is answered and not finished must not be forgotten with the record of one."""
        state = self.state
        items = [state.replies[reply_id].item for reply_id in reply_ids]
        self._record_each(Kind.ANSWERED, [item for item in items if item in state.answered], state.answered.update)
        self._record_each(Kind.HEARD, reply_ids, state.apply_heard)

    def _on_withdraw(self, peer: Peer, message: m.Withdraw, now: float) -> None:
        batch, item = self._find_seq(peer.member, message.seq)
        if batch is None:
            self._send(peer, m.Withdrawn(message.seq, 0))
        else:
            self._withdrawing[item] = (peer.member, message.seq)

    def _on_want_credit(self, peer: Peer, want: m.WantCredit, now: float) -> None:
        peer.credit_waiting = want.waiting
        if want.ticket:
            peer.credit_ticket = want.ticket
        if want.waiting or peer.credit_ticket:
            self._wanting_credit[peer.member] = peer
        else:
            self._wanting_credit.pop(peer.member, None)

    def _on_return_credit(self, peer: Peer, message: m.ReturnCredit, now: float) -> None:
        peer.credit_recalled_at = None
        peer.credit = max(peer.credit - message.count, 0)
        peer.credit_allowance = 1

    def _holds(self, peer: Peer, item: int, attempt: int) -> bool:
        held = self.state.held.get(item)
        if held is None:
            self.advance(peer.member)
            held = self.state.held.get(item)
        return held is not None and held.member == peer.member and self.state.attempt(item) == attempt

    def _settle(self, peer: Peer, number: int) -> None:
        peer.settled = max(peer.settled, number)
        self._dirty.add(peer)

    # Cursors

    def advance(self, member: int) -> None:
        """Takes over what the member's cursor tells."""
        grants = self.state.grants.get(member)
        if grants is None:
            return
        taken = self._cursors.taken(member)
        if taken is None or taken <= grants.taken:
            return
        start = grants.taken
        taken = min(taken, grants.end)
        marked = self._cursors.held(member, start, taken)
        held: list[int] = []
        if marked:
            wanted = set(marked)
            held = [item for position, item in self.state.positions(member, start, taken) if position in wanted]
        self._journal.append(Kind.TAKEN, (member, taken, *held))
        self.state.apply_taken(member, taken, held)
        self._release()

    def advance_all(self) -> None:
        """Takes over what every cursor tells, so that what was taken takes no more room."""
        for member, grants in list(self.state.grants.items()):
            if grants.end > grants.taken:
                self.advance(member)

    def _record_return(self, member: int, position: int) -> None:
        self._journal.append(Kind.RETURN, (member, position))
        self.state.apply_return(member, position)

    def _release(self) -> None:
        released = self.state.released
        while released:
            self._journal.release(released.pop())

    # Replies

    def _reply_for(self, item: int, batch: Batch, status: int, body: m.Buffer, finish: bool, check: int) -> None:
        """Journals and sends the reply of a held item, if somebody still wants one."""
        state = self.state
        if not self._is_awaited(item, batch):
            return
        seq = batch.first_seq + item - batch.first_id
        words = (state.next_id, item, batch.producer, seq, status, int(finish))
        location = self._journal.append_data(Kind.REPLY, words, [body], len(body), check)
        self._send_new_reply(batch, Reply(item, batch.producer, seq, status, len(body), location))

    def _reply_lost(self, item: int, batch: Batch, reason: str) -> None:
        """As `_reply_for`, but says that no reply will come. It needs no new room."""
        if not self._is_awaited(item, batch):
            return
        seq = batch.first_seq + item - batch.first_id
        self._journal.append(Kind.LOST, (self.state.next_id, item, batch.producer, seq), reason.encode())
        self._send_new_reply(batch, Reply(item, batch.producer, seq, m.REPLY_LOST, 0, None, reason))

    def _is_awaited(self, item: int, batch: Batch) -> bool:
        wanted = batch.flags & m.WANTS_REPLY and item not in self.state.answered
        return bool(wanted) and self._lives(batch.producer)

    def _send_new_reply(self, batch: Batch, reply: Reply) -> None:
        self.state.apply_reply(self.state.next_id, reply)
        if batch.flags & m.DURABLE:
            self._unsynced = True
        peer = self.peers.get(batch.producer)
        if peer is not None:
            self._send_reply(peer, reply)

    def _lives(self, producer: int) -> bool:
        return producer in self.peers or self._cursors.taken(producer) is not None

    def _send_reply(self, peer: Peer, reply: Reply) -> None:
        body = self._journal.read(reply.location) if reply.location is not None else reply.text.encode()
        self._send(peer, m.Reply(reply.seq, reply.status, body))

    # Decisions

    def pump(self, now: float) -> None:
        """Grants what can be granted, and asks for what is needed for the rest. Called when a step is over."""
        self.deadline = None
        if self._withdrawing:
            self._pump_withdrawals(now)
        if self._wanting:
            self._pump_wanting(now)
        if self._wanting_credit:
            self._pump_credit(now)
        if self._pending:
            self._pump_pending(now)

    def finish_step(self) -> list[tuple[int, m.Message]]:
        """What is to be sent now that the step is over. Everything in it is in the journal, synced where promised."""
        if self._unsynced:
            self._journal.sync()
            self._unsynced = False
        for peer in self._dirty:
            if peer.ack:
                self._send(peer, m.Ack(peer.ack))
                peer.ack = 0
            if peer.settled:
                self._send(peer, m.Settled(peer.settled))
                peer.settled = 0
        self._dirty.clear()
        outbox = self.outbox
        self.outbox = []
        return outbox

    def _send(self, peer: Peer, message: m.Message) -> None:
        self.outbox.append((peer.member, message))

    def _wake_at(self, when: float) -> None:
        if self.deadline is None or when < self.deadline:
            self.deadline = when

    def _pump_wanting(self, now: float) -> None:
        state = self.state
        for peer in list(self._wanting.values()):
            if state.ready and self._grant(peer, now):
                del self._wanting[peer.member]
                peer.ticket = 0
                continue
            blocked = False
            if state.untaken:
                blocked = self._recall_others(peer.member, now)
                if not blocked and state.ready and self._grant(peer, now):
                    del self._wanting[peer.member]
                    peer.ticket = 0
                    continue
            if blocked:
                continue
            if peer.ticket or (state.shutdown and not state.ready):
                self._send(peer, m.Nothing(peer.ticket))
                peer.ticket = 0
                if not peer.waiting or state.shutdown:
                    self._wanting.pop(peer.member, None)

    def _grant(self, peer: Peer, now: float) -> bool:
        """Grants the member what it may have now; False if that is nothing."""
        state = self.state
        member = peer.member
        wanting = len(self._wanting)
        grants = state.grants.get(member)
        window = WINDOW - (grants.end - grants.taken if grants is not None else 0)
        want = max(peer.waiting, 1, peer.allowance)
        if wanting > 1:
            want = min(want, max(peer.waiting, 1, -(-state.ready // wanting)))
        want = min(want, window)
        position = grants.end if grants is not None else 0
        runs: list[Run] = []
        entries: list[m.Entry] = []
        size = 0
        while want > 0 and state.ready and len(runs) < MAX_ENTRIES and size < MAX_GRANT_BYTES:
            lane = self._next_lane(member, now)
            if lane is None:
                break
            head = lane.ready[0]
            count, length = self._fit(head, want, MAX_GRANT_BYTES - size, bool(runs))
            if not count:
                break
            run = Run(head.first, count, head.batch)
            entries += self._entries(run)
            state.apply_grant(member, position, (run,))
            runs.append(run)
            position += count
            want -= count
            size += length
        if not runs:
            return False
        first = position - sum(run.count for run in runs)
        words = [member, first]
        for run in runs:
            words += (run.first, run.count)
        self._journal.append(Kind.GRANT, words)
        peer.granted = sum(run.count for run in runs)
        peer.granted_at = now
        self._unrecall(peer)
        self._send(peer, m.Grant(first, peer.returns, entries))
        return True

    def _next_lane(self, member: int, now: float) -> Lane | None:
        """The lane with the oldest item that this member may be granted."""
        best: Lane | None = None
        for lane in self.state.ready_lanes.values():
            untaken = lane.untaken
            if untaken and (len(untaken) > 1 or member not in untaken) and not self._is_waived(untaken, member, now):
                continue
            if best is None or lane.ready[0].first < best.ready[0].first:
                best = lane
        return best

    def _is_waived(self, untaken: Iterable[int], member: int, now: float) -> bool:
        return all(other == member or self._is_stuck(other, now) for other in untaken)

    def _is_stuck(self, member: int, now: float) -> bool:
        peer = self.peers.get(member)
        return peer.stuck if peer is not None else now >= self._absent.get(member, 0.0) + GRACE

    def _fit(self, head: Run, want: int, room: int, some: bool) -> tuple[int, int]:
        """How many items of the run to grant, and their bytes."""
        count = min(head.count, want)
        batch = head.batch
        assert batch is not None
        if batch.size > room:
            sizes = self._sizes(batch)
            index = head.first - batch.first_id
            total = 0
            for fit in range(count):
                total += sizes[index + fit]
                if total > room and (fit or some):
                    return fit, total
            return count, total
        return count, batch.size

    def _sizes(self, batch: Batch) -> memoryview:
        return self._journal.read(batch.location)[: 4 * batch.count].cast("I")

    def _entries(self, run: Run) -> list[m.Entry]:
        batch = run.batch
        assert batch is not None
        attempts = self.state.attempts
        if not attempts:
            return [self._entry(batch, run.first, run.count, 1)]
        entries = []
        start = run.first
        end = run.first + run.count
        while start < end:
            attempt = self.state.attempt(start)
            stop = start + 1
            while stop < end and self.state.attempt(stop) == attempt:
                stop += 1
            entries.append(self._entry(batch, start, stop - start, attempt))
            start = stop
        return entries

    def _entry(self, batch: Batch, first: int, count: int, attempt: int) -> m.Entry:
        body = self._journal.read(batch.location)
        index = first - batch.first_id
        table = 4 * batch.count
        if count == batch.count:
            return m.Entry(first, count, batch.flags, attempt, batch.pid, body[:table], body[table:])
        sizes = body[:table].cast("I")
        if index >= batch.cached_index:
            offset = batch.cached_offset + sum(sizes[batch.cached_index : index])
        else:
            offset = sum(sizes[:index])
        length = sum(sizes[index : index + count])
        batch.cached_index = index + count
        batch.cached_offset = offset + length
        start = table + offset
        return m.Entry(
            first, count, batch.flags, attempt, batch.pid, body[4 * index : 4 * (index + count)],
            body[start : start + length],
        )  # fmt: skip

    def _recall_others(self, member: int, now: float) -> bool:
        """Asks those who hold up this member; True if one of them may still answer."""
        blocked = False
        for other, grants in list(self.state.grants.items()):
            if other == member or grants.end == grants.taken:
                continue
            self.advance(other)
            if grants.end > grants.taken and self._recall(other, now):
                blocked = True
        return blocked

    def _recall(self, member: int, now: float, at_once: bool = False) -> bool:
        """Asks a member to return what it has not taken; False if it does not answer."""
        peer = self.peers.get(member)
        if peer is None:
            until = self._absent.get(member, 0.0) + GRACE
        else:
            if peer.recalled_at is None:
                due = peer.granted_at + PATIENCE
                if now < due and not at_once:
                    self._wake_at(due)
                    return True
                peer.recalled_at = now
                self._cursors.attend(member, 2)
                self._send(peer, m.Recall(m.RECALL_ITEMS))
            until = peer.recalled_at + GRACE
            peer.stuck = now >= until
        if now >= until:
            return False
        self._wake_at(min(until, now + LOOK))
        return True

    # Bounded groups

    def _room(self) -> int:
        out = sum(peer.credit for peer in self.peers.values()) + sum(self._claims.values())
        return self._maxsize - self.state.queued - out

    def _pump_credit(self, now: float) -> None:
        if self.state.shutdown:
            return
        room = self._room()
        if room < len(self._wanting_credit) and self.state.untaken:
            self.advance_all()
            room = self._room()
        for peer in list(self._wanting_credit.values()):
            if room > 0:
                room -= self._give_credit(peer, room)
            elif self._awaits_room(peer, now):
                continue
            elif peer.credit_ticket:
                self._send(peer, m.Nothing(peer.credit_ticket))
                peer.credit_ticket = 0
                if not peer.credit_waiting:
                    del self._wanting_credit[peer.member]
        if self._wanting_credit and self.state.untaken:
            self._tell(now)

    def _give_credit(self, peer: Peer, room: int) -> int:
        others = len(self._wanting_credit) - 1
        extra = 0 if others else min(peer.credit_allowance, room // 2)
        count = min(room, peer.credit_waiting + bool(peer.credit_ticket) + extra)
        peer.credit_allowance = min(2 * peer.credit_allowance, 1024)
        peer.credit += count
        self._cursors.credit(peer.member, count)
        peer.credit_waiting = 0
        peer.credit_ticket = 0
        del self._wanting_credit[peer.member]
        self._send(peer, m.Credit(count))
        return count

    def _awaits_room(self, peer: Peer, now: float) -> bool:
        """Asks others for the credit they do not use; True if some may come back."""
        if self._maxsize - self.state.queued <= 0:
            return False
        awaited = False
        for other in self.peers.values():
            if other is peer or not other.credit:
                continue
            if other.credit_recalled_at is None:
                other.credit_recalled_at = now
                self._send(other, m.Recall(m.RECALL_CREDIT))
            if now < other.credit_recalled_at + GRACE:
                awaited = True
                self._wake_at(other.credit_recalled_at + GRACE)
        return awaited

    def _tell(self, now: float) -> None:
        """Has everybody who holds untaken items tell when they take one."""
        for member, grants in list(self.state.grants.items()):
            if grants.end > grants.taken:
                peer = self.peers.get(member)
                if peer is not None and peer.recalled_at is None:
                    self._cursors.attend(member, 1)
                taken = self._cursors.taken(member)
                if taken is not None and taken > grants.taken:
                    self._wake_at(now)
        self._wake_at(now + LOOK)

    # Withdrawing

    def _find_seq(self, producer: int, seq: int) -> tuple[Batch | None, int]:
        """The batch and id of a ready or granted item of this producer."""
        lane = self.state.lanes.get(producer)
        if lane is None:
            return None, 0
        for run in lane.ready:
            batch = run.batch
            if batch is not None:
                item = batch.first_id + seq - batch.first_seq
                if run.first <= item < run.first + run.count:
                    return batch, item
        for member in lane.untaken:
            for run in self.state.grants[member].runs:
                batch = run.batch
                if batch is not None and batch.producer == producer:
                    item = batch.first_id + seq - batch.first_seq
                    if run.first <= item < run.first + run.count:
                        return batch, item
        return None, 0

    def _pump_withdrawals(self, now: float) -> None:
        state = self.state
        for item, (producer, seq) in list(self._withdrawing.items()):
            peer = self.peers.get(producer)
            batch = state.find(item)
            if batch is not None and state.is_ready(item, batch):
                self._journal.append(Kind.FINISH, (item, 1))
                state.apply_finish([(item, 1)])
                self._release()
                gone = 1
            else:
                holder = state.granted_to(item) if batch is not None else None
                if holder is not None:
                    self.advance(holder)
                    holder = state.granted_to(item)
                if holder is not None:
                    self._recall(holder, now, at_once=True)
                    continue
                gone = 0
            del self._withdrawing[item]
            if peer is not None:
                self._send(peer, m.Withdrawn(seq, gone))

    # Operators

    def _on_request(self, peer: Peer, request: m.Request, now: float) -> None:
        asked = json.loads(bytes(request.body))
        do = asked.get("do")
        if do == "count":
            self.advance_all()
            state = self.state
            self._result(peer, request.ticket, {"queued": state.queued, "unfinished": state.unfinished})
        elif do == "stats":
            self.advance_all()
            self._result(peer, request.ticket, self._stats())
        elif do == "peek":
            self.advance_all()
            self._result_items(peer, request.ticket, self._queued_items(int(asked.get("n", 1))))
        elif do == "failed":
            failed = [
                (item, found.batch, {"reason": found.reason}) for item, found in sorted(self.state.failed.items())
            ]
            self._result_items(peer, request.ticket, failed)
        elif do == "requeue_failed":
            items = sorted(self.state.failed, reverse=True)
            self._record_each(Kind.RETRY, items, self.state.apply_retry)
            self._result(peer, request.ticket, {"count": len(items)})
        elif do == "clear":
            self._pending.append(Pending(peer.member, request.ticket, "clear", now + GRACE))
        elif do == "join":
            self._pending.append(Pending(peer.member, request.ticket, "join", None))
        elif do == "shutdown":
            self._shut_down(2 if asked.get("immediate") else 1)
            if asked.get("immediate"):
                self._pending.append(Pending(peer.member, request.ticket, "clear", now + GRACE))
            else:
                self._result(peer, request.ticket, {"count": 0})
        else:
            self._result(peer, request.ticket, {"error": f"unknown request {do!r}"})

    def _shut_down(self, state: int) -> None:
        if state > self.state.shutdown:
            self._journal.append(Kind.SHUTDOWN, (state, self._generation))
            self.state.apply_shutdown(state, self._generation)
        for peer in self.peers.values():
            self._send(peer, m.Shutdown(self.state.shutdown))

    def _pump_pending(self, now: float) -> None:
        self.advance_all()
        for pending in list(self._pending):
            peer = self.peers[pending.member]
            if pending.kind == "join":
                if not self.state.unfinished:
                    self._pending.remove(pending)
                    self._result(peer, pending.ticket, {"count": 0})
                elif self.state.untaken:
                    self._tell(now)
            elif self._clear_done(pending, now):
                self._pending.remove(pending)
                self._result(peer, pending.ticket, {"count": self._clear()})

    def _clear_done(self, pending: Pending, now: float) -> bool:
        if pending.until is not None and now >= pending.until:
            return True
        waits = False
        for member, grants in list(self.state.grants.items()):
            if grants.end > grants.taken and self._recall(member, now, at_once=True):
                waits = True
        return not waits

    def _clear(self) -> int:
        """Drops every ready item, and tells those who wait for a reply to one."""
        state = self.state
        runs = [run for lane in state.lanes.values() for run in lane.ready]
        count = 0
        words: list[int] = []
        for run in runs:
            assert run.batch is not None
            if run.batch.flags & m.WANTS_REPLY:
                for item in range(run.first, run.first + run.count):
                    self._reply_lost(item, run.batch, "the queue was cleared")
            words += (run.first, run.count)
            count += run.count
        for start in range(0, len(words), 1000):
            part = words[start : start + 1000]
            self._journal.append(Kind.FINISH, part)
            state.apply_finish(zip(part[::2], part[1::2]))
        self._release()
        return count

    def _queued_items(self, limit: int) -> list[tuple[int, Batch, dict[str, Any]]]:
        state = self.state
        runs = [run for lane in state.lanes.values() for run in lane.ready]
        runs += [run for grants in state.grants.values() for run in grants.runs if run.batch is not None]
        runs.sort(key=lambda run: run.first)
        found: list[tuple[int, Batch, dict[str, Any]]] = []
        for run in runs:
            for item in range(run.first, run.first + run.count):
                if len(found) >= limit:
                    return found
                assert run.batch is not None
                found.append((item, run.batch, {}))
        return found

    def _stats(self) -> dict[str, Any]:
        state = self.state
        return {
            "epoch": state.epoch,
            "members": [[peer.pid, peer.mode, peer.role] for peer in self.peers.values()],
            "ready": state.queued,
            "in_flight": len(state.held),
            "waiting_getters": sum(peer.waiting for peer in self._wanting.values()),
            "waiting_putters": sum(peer.credit_waiting for peer in self._wanting_credit.values()),
            "failed": len(state.failed),
            "bytes": state.bytes,
            "total_put": state.total_put,
            "total_finished": state.total_finished,
            "lost": state.lost,
            "shutdown": state.shutdown,
        }

    def _result(self, peer: Peer, ticket: int, value: dict[str, Any]) -> None:
        self._send(peer, m.Result(ticket, pack_result(value, [])))

    def _result_items(self, peer: Peer, ticket: int, found: Sequence[tuple[int, Batch, dict[str, Any]]]) -> None:
        described = []
        payloads: list[m.Buffer] = []
        for item, batch, extra in found:
            entry = self._entry(batch, item, 1, self.state.attempt(item))
            described.append(
                {
                    "id": item,
                    "attempt": entry.attempt,
                    "pid": batch.pid,
                    "wants_reply": bool(batch.flags & m.WANTS_REPLY),
                    "size": len(entry.payload),
                    **extra,
                }
            )
            payloads.append(entry.payload)
        self._send(peer, m.Result(ticket, pack_result({"items": described}, payloads)))


def pack_result(value: dict[str, Any], payloads: Sequence[m.Buffer]) -> bytes:
    """JSON behind its length, then the payloads it describes."""
    text = json.dumps(value).encode()
    return b"".join([struct.pack("<Q", len(text)), text, *payloads])


def unpack_result(body: m.Buffer) -> tuple[dict[str, Any], memoryview]:
    """What `pack_result` packed: the value, and all payloads in one."""
    view = memoryview(body)
    (length,) = struct.unpack_from("<Q", view)
    return json.loads(bytes(view[8 : 8 + length])), view[8 + length :]


def _as_runs(items: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for item in sorted(items):
        if runs and runs[-1][0] + runs[-1][1] == item:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((item, 1))
    return runs
