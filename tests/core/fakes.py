"""
The broker's world, in memory: a journal, cursors, members, and a clock that stands still until it is told to go.

Fakes, not mocks: the journal keeps and replays through the package's own `Rebuild`, and writes over what was released
as the real one does; a cursor is the words and the ring that a real inbox writes.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from groupqueue.core import messages as m
from groupqueue.core import records
from groupqueue.core.broker import Broker
from groupqueue.core.checkpoint import Rebuild, to_json
from groupqueue.core.inbox import ATTENTION, CREDITED, OPENED, RING, SETTLED, TAKEN, WAITING
from groupqueue.core.outbox import Outbox, Verdict
from groupqueue.core.peer import Peer
from groupqueue.core.ports import NoRoom
from groupqueue.core.records import Kind
from groupqueue.core.replay import replay
from groupqueue.core.results import unpack_result
from groupqueue.core.state import State

M = TypeVar("M")

LEADER_PID = 1000


class Killed(BaseException):
    """The leader dies here."""


class Entry(NamedTuple):
    """A ledger record."""

    kind: int
    words: tuple[int, ...]
    body: bytes


class Place:
    """A data record, and the location that stands for it."""

    def __init__(self, kind: Kind, words: tuple[int, ...], body: bytes) -> None:
        self.kind = kind
        self.words = words
        self.body = body
        self.released = False

    def __repr__(self) -> str:
        return f"<{self.kind.name} {self.words} {len(self.body)} bytes{' released' if self.released else ''}>"


class FakeLoan:
    """A segment whose bodies its borrower writes: `bodies` by where their records begin."""

    def __init__(self, number: int, size: int) -> None:
        self.number = number
        self.size = size
        self.tail = records.SEGMENT_HEADER_SIZE
        self.bodies: dict[int, bytes] = {}
        self.is_back: bool | None = None

    def write(self, *payload: bytes) -> tuple[int, int]:
        """What a producer does; returns where the record begins, and how long its body is."""
        body = struct.pack(f"<{len(payload)}I", *map(len, payload)) + b"".join(payload)
        self.bodies[self.tail] = body
        return self.tail, len(body)


class FakeJournal:
    """
    Implements JournalPort. A segment is a list of `segment_records` data records at most; one in which all are released
    is gone, as soon as another is begun. A ledger of `ledger_records` is followed by one that begins with a checkpoint.

    `full`, `error`: what every append of data, every append at all raises from now on. `kill_in`: appends until the
    leader dies, in the midst of one: `kill_after` says on which side of the write.
    """

    def __init__(self, segment_records: int = 3, ledger_records: int | None = None) -> None:
        self.state = State()
        self.ledger: list[Entry] = []
        self.checkpoint: dict[str, Any] | None = None
        self.segments: list[list[Place]] = [[]]
        self.appended = 0
        self.synced = 0
        self.full = False
        self.damaged = False
        self.loans: list[FakeLoan] = []
        self.lends = True
        self.error: BaseException | None = None
        self.kill_in: int | None = None
        self.kill_after = False
        self._segment_records = segment_records
        self._ledger_records = ledger_records
        self._epoch = 0

    # JournalPort

    def append_data(
        self, kind: Kind, words: Sequence[int], parts: Sequence[m.Buffer], length: int, check: int
    ) -> Place:
        body = b"".join(parts)
        assert len(body) == length
        assert crc32(body) == check, "a body would be written with another's check, and thrown away by recovery"
        if self.full:
            raise NoRoom("the fake disk is full")
        place = Place(kind, tuple(words), body)
        if len(self.segments[-1]) >= self._segment_records:
            self._recycle()
            self.segments.append([])
        self._write(kind, words, lambda: self.keep(place))
        return place

    def lend(self, size: int) -> FakeLoan | None:
        if not self.lends:
            return None
        loan = FakeLoan(900 + len(self.loans), 4 * size)
        self.loans.append(loan)
        return loan

    def placed(self, loan: FakeLoan, offset: int, length: int) -> memoryview | None:
        body = loan.bodies.get(offset, b"")
        return memoryview(body) if offset == loan.tail and len(body) == length else None

    def append_placed(self, loan: FakeLoan, words: Sequence[int], length: int, check: int | None) -> Place:
        assert loan.is_back is None, "a record is begun in a loan that has ended"
        body = loan.bodies[loan.tail]
        place = self.append_data(Kind.ITEMS, words, [body], length, crc32(body) if check is None else check)
        loan.tail += records.record_size(len(words), length)
        return place

    def end_loan(self, loan: FakeLoan, *, is_back: bool) -> None:
        assert loan.is_back is None, "a loan ends twice"
        loan.is_back = is_back

    def keep(self, place: Place) -> None:
        self.segments[-1].append(place)

    def append(self, kind: Kind, words: Sequence[int], body: bytes = b"") -> None:
        if self._ledger_records is not None and len(self.ledger) >= self._ledger_records:
            self.roll()
        entry = Entry(kind, tuple(words), bytes(body))
        self._write(kind, words, lambda: self.ledger.append(entry))

    def read(self, location: Place) -> memoryview:
        assert not location.released, f"{location} is read"
        return memoryview(location.body)

    def release(self, location: Place) -> None:
        assert not location.released, f"{location} is released again"
        location.released = True

    def sync(self) -> None:
        self.synced = self.appended

    # What a real one does unasked

    def roll(self) -> None:
        self.checkpoint = json.loads(json.dumps(to_json(self.state)))
        self.ledger = []

    def _recycle(self) -> None:
        for segment in [found for found in self.segments if all(place.released for place in found)]:
            words = [self.state.next_id, self.state.total_put]
            for producer in {place.words[0] for place in segment if place.kind == Kind.ITEMS}:
                if producer in self.state.last_seq:
                    words += (producer, self.state.last_seq[producer])
            self.append(Kind.PRODUCERS, words)
            self.segments.remove(segment)

    def _write(self, kind: Kind, words: Sequence[int], write: Any) -> None:
        # What the format cannot take, the real journal cannot write.
        records.pack_head(kind, words, 0, 0, 1, 1, records.SEGMENT_HEADER_SIZE)
        if self.error is not None:
            raise self.error
        if self.kill_in is not None:
            self.kill_in -= 1
            if self.kill_in < 0:
                if self.kill_after:
                    write()
                raise Killed
        write()
        self.appended += 1

    # The next leader

    def recover(self) -> State:
        """What the next leader reads. From here on the state is this one."""
        self.kill_in = self.error = None
        self.state = self.replay()
        live = {id(batch.location) for batch in self.state.batches.values()}
        live |= {id(reply.location) for reply in self.state.replies.values()}
        for segment in self.segments:
            for place in segment:
                place.released = id(place) not in live
        self.state.released.clear()
        return self.state

    def replay(self) -> State:
        """The state that the records amount to."""
        rebuild = Rebuild(json.loads(json.dumps(self.checkpoint)))
        for segment in self.segments:
            for place in segment:
                add = rebuild.add_items if place.kind == Kind.ITEMS else rebuild.add_reply
                add(place.words, len(place.body), place)
        rebuild.settle()
        for kind, words, body in self.ledger:
            replay(rebuild, records.Record(kind, words, memoryview(body), 0, 0, 0))
        state = rebuild.finish()
        assert self.damaged or not rebuild.unseen.total, "an item counts as lost"
        return state

    def begin(self) -> None:
        self.append(Kind.EPOCH, (self.state.epoch + 1, LEADER_PID))
        self.state.epoch += 1
        self._recycle()
        self.segments.append([])

    def kinds(self) -> list[str]:
        """The names of the ledger's records, in order."""
        return [Kind(entry.kind).name for entry in self.ledger]


class Words:
    """A member's file: its words and its ring."""

    def __init__(self) -> None:
        self.words = memoryview(bytearray(8 * 6)).cast("Q")
        self.ring = memoryview(bytearray(RING))


class FakeCursors:
    """Implements CursorsPort on the words of `files`."""

    def __init__(self) -> None:
        self.files: dict[int, Words] = {}

    def taken(self, member: int) -> int | None:
        file = self.files.get(member)
        return None if file is None else file.words[TAKEN]

    def opened(self, member: int) -> int:
        file = self.files.get(member)
        return 0 if file is None else file.words[OPENED]

    def waiting(self, member: int) -> int:
        file = self.files.get(member)
        return 0 if file is None else file.words[WAITING]

    def claimed(self, member: int) -> int:
        file = self.files.get(member)
        return 0 if file is None else file.words[CREDITED] - file.words[SETTLED]

    def credit(self, member: int, count: int) -> None:
        file = self.files.get(member)
        if file is not None:
            file.words[CREDITED] += count

    def held(self, member: int, start: int, end: int) -> list[int]:
        file = self.files.get(member)
        return [] if file is None else [at for at in range(start, end) if file.ring[at % RING]]

    def attend(self, member: int, state: int) -> None:
        file = self.files.get(member)
        if file is not None:
            file.words[ATTENTION] = state


class Delivery(NamedTuple):
    """An item as a member was granted it."""

    payload: bytes
    id: int
    attempt: int
    flags: int
    pid: int


class FakeMember:
    """A member as the broker knows it: it says what it is told to say, and its cursor moves when it takes."""

    def __init__(self, group: Group, member: int) -> None:
        self.group = group
        self.member = member
        self.file = group.cursors.files.setdefault(member, Words())
        self.heard: list[m.Message] = []
        self.granted: deque[Delivery] = deque()
        self.received = 0
        self.returns = 0
        self.outbox = Outbox(max_attempts=3, durable=False)
        self.seals = True
        self.peer: Peer

    def __repr__(self) -> str:
        return f"<member {self.member}: {len(self.granted)} granted>"

    # What it says

    def hello(self, mode: str = "dual", **about: Any) -> FakeMember:
        """Connects, for the first time or again. Answers a shutdown, if it `seals`."""
        self.returns = 0
        told = json.dumps({"mode": mode, "credit": 0, "last_seq": self.outbox.last_seq, **about}).encode()
        hello = m.Hello(m.VERSION, self.member, 7000 + self.member, self.received, self.file.words[TAKEN], told)
        self.peer = self.group.broker.hello(hello)
        self.group.step()
        return self

    def say(self, message: m.Message) -> None:
        self.group.broker.receive(self.peer, message, self.group.now)
        self.group.step()

    def batch(self, *payloads: bytes, reply: bool = False, max_attempts: int = 3, durable: bool = False) -> m.Items:
        """A batch of these items, as a member makes one, not yet sent."""
        seq = self.outbox.last_seq + 1
        self.outbox.last_seq += len(payloads)
        body = struct.pack(f"<{len(payloads)}I", *map(len, payloads)) + b"".join(payloads)
        flags = (m.WANTS_REPLY if reply else 0) | (m.DURABLE if durable else 0)
        return m.Items(seq, len(payloads), flags, max_attempts, crc32(body), (body,))

    def put(self, *payloads: bytes, **how: Any) -> None:
        self.say(self.batch(*payloads, **how))

    def want(self, waiting: int = 1, ticket: int = 0, spent: float = 0.0) -> None:
        self.say(m.Want(waiting, ticket, int(1e6 * spent)))

    def want_credit(self, waiting: int = 1, ticket: int = 0) -> None:
        self.say(m.WantCredit(waiting, ticket))

    def done(self, *items: Delivery, number: int = 1) -> None:
        self.say(m.Done(number, b"".join(struct.pack("<QQ", item.id, item.attempt) for item in items)))

    def answer(
        self,
        item: Delivery,
        value: bytes = b"yes",
        *,
        finish: bool = True,
        status: int = m.REPLY_VALUE,
        number: int = 1,
    ) -> None:
        self.say(m.Answer(number, item.id, item.attempt, status, int(finish), crc32(value), value))

    def fail(self, item: Delivery, reason: bytes = b"broken", number: int = 1) -> None:
        self.say(m.Fail(number, item.id, item.attempt, reason))

    def requeue(self, item: Delivery, number: int = 1) -> None:
        self.say(m.Requeue(number, item.id, item.attempt))

    def give_back(self) -> None:
        """Answers a recall: all that is not taken goes back."""
        self.granted.clear()
        self.received = self.file.words[TAKEN]
        self.returns += 1
        self.say(m.Return(self.received))

    def ask(self, do: str, **more: Any) -> Any:
        """The answer to a request, or None if there is none yet."""
        ticket = len(self.heard) + 1
        self.say(m.Request(ticket, json.dumps({"do": do, **more}).encode()))
        return self.answer_to(ticket)

    def answer_to(self, ticket: int) -> Any:
        for message in self.heard:
            if isinstance(message, m.Result) and message.ticket == ticket:
                return unpack_result(message.body)[0]
        return None

    # What it hears

    def hear(self, message: m.Message) -> None:
        self.heard.append(message)
        if isinstance(message, m.Grant):
            assert (message.position, message.returns) == (self.received, self.returns)
            for entry in message.entries:
                found = deliveries(entry)
                self.granted += found
                self.received += len(found)

    def last(self, kind: type[M]) -> M | None:
        """The last message of this kind."""
        return next((found for found in reversed(self.heard) if isinstance(found, kind)), None)

    def all(self, kind: type[M]) -> list[M]:
        return [found for found in self.heard if isinstance(found, kind)]

    @property
    def payloads(self) -> list[bytes]:
        """What it could take at once."""
        return [item.payload for item in self.granted]

    # What it does

    def take(self, hold: bool = False) -> Delivery:
        """As get does: the cursor moves, and nobody is told."""
        item = self.granted.popleft()
        position = self.file.words[TAKEN]
        self.file.ring[position % RING] = hold or bool(item.flags & m.WANTS_REPLY)
        self.file.words[TAKEN] = position + 1
        return item

    def get(self, hold: bool = False) -> Delivery:
        """Asks if it must, and takes."""
        if not self.granted:
            self.want()
        return self.take(hold)

    def use_credit(self, count: int) -> None:
        """What the member does once its items are acknowledged."""
        self.file.words[SETTLED] += count

    # How it goes

    def disconnect(self) -> None:
        self.group.broker.lost(self.member, self.group.now)
        self.group.step()

    def bye(self) -> None:
        self.group.broker.bye(self.member)
        del self.group.cursors.files[self.member]
        self.group.step()

    def die(self) -> None:
        self.group.broker.dead(self.member)
        del self.group.cursors.files[self.member]
        self.group.step()


class Group:
    """A broker among fakes, and the time it is."""

    def __init__(self, maxsize: int = 0, journal: FakeJournal | None = None) -> None:
        self.now = 100.0
        self.maxsize = maxsize
        self.generation = 1
        self.journal = journal or FakeJournal()
        self.cursors = FakeCursors()
        self.members: dict[int, FakeMember] = {}
        self.broker: Broker
        self.lead()

    @property
    def state(self) -> State:
        return self.broker.state

    def lead(self) -> None:
        """The first leader, or the next: what the last one knew is gone but for the journal and the cursors."""
        state = self.journal.recover()
        self.journal.begin()
        self.broker = Broker(state, self.journal, self.cursors, self.maxsize, self.generation, LEADER_PID)
        for member in self.cursors.files:
            self.broker.expect(member, self.now)

    def member(self, mode: str = "dual") -> FakeMember:
        """A new member, connected."""
        number = len(self.members) + 1
        member = self.members[number] = FakeMember(self, number)
        return member.hello(mode)

    def step(self) -> None:
        """What the leader does when it has read what there was."""
        self.broker.pump(self.now)
        sealing: list[FakeMember] = []
        for number, message in self.broker.finish_step():
            member = self.members[number]
            member.hear(message)
            shutdown = message.state if type(message) is m.Shutdown else 0
            shutdown = message.shutdown if type(message) is m.Welcome else shutdown
            if shutdown and member.seals and not member.peer.sealed and member not in sealing:
                sealing.append(member)
        check(self.state)
        for member in sealing:
            member.say(m.Sealed())

    def wake(self) -> None:
        """It is the very moment that the broker asked to be called at."""
        assert self.broker.deadline is not None
        self.now = self.broker.deadline
        self.step()

    def wait(self, seconds: float) -> None:
        """Time passes, in steps as the broker asks for them."""
        end = self.now + seconds
        while self.broker.deadline is not None and self.broker.deadline < end:
            self.now = max(self.broker.deadline, self.now)
            before = self.broker.deadline
            self.step()
            if self.broker.deadline is not None and self.broker.deadline <= before:
                self.now = min(self.now + 0.001, end)
        self.now = end
        self.step()


def deliveries(entry: m.Entry) -> list[Delivery]:
    """The items of a granted entry."""
    sizes = struct.unpack(f"<{entry.count}I", entry.sizes)
    payload = bytes(entry.payload)
    assert sum(sizes) == len(payload)
    found = []
    start = 0
    for index, size in enumerate(sizes):
        found.append(
            Delivery(payload[start : start + size], entry.first_id + index, entry.attempt, entry.flags, entry.pid)
        )
        start += size
    return found


def numbered(count: int, start: int = 0) -> list[bytes]:
    """Payloads that tell which of them they are."""
    return [b"%d" % number for number in range(start, start + count)]


def done(item: Delivery) -> Verdict:
    return Verdict(m.Done, item.id, item.attempt)


# The law of the state


def check(state: State) -> None:
    """Every item is in exactly one place, every lane in order, and all counts agree."""
    where: dict[int, str] = {}
    alive: dict[int, int] = {}

    def found(first: int, count: int, place: str, batch: Any) -> None:
        items = range(first, first + count)
        twice = where.keys() & items
        assert not twice, f"items {twice} are {place} and elsewhere: {[where[item] for item in twice]}"
        where.update(dict.fromkeys(items, place))
        end = batch.first_id + batch.count
        assert batch.first_id <= first < first + count <= end, f"items {items} are not of their batch"
        assert state.batches.get(batch.first_id) is batch, f"items {items} ({place}) are of a batch that is finished"
        assert state.find(first) is state.find(items[-1]) is batch
        alive[batch.first_id] = alive.get(batch.first_id, 0) + count

    ready = 0
    untaken: dict[int, dict[int, int]] = {}
    for producer, lane in state.lanes.by_producer.items():
        last = 0
        for run in lane.ready:
            assert run.count > 0
            assert run.first > last, f"lane {producer} is out of order at {run.first}"
            assert run.batch.producer == producer
            last = run.first + run.count - 1
            ready += run.count
            found(run.first, run.count, "ready", run.batch)
    for member, grants in state.grants.items():
        positions = 0
        for run in grants.runs:
            assert run.count > 0
            positions += run.count
            if run.batch is not None:
                lane_of = untaken.setdefault(run.batch.producer, {})
                lane_of[member] = lane_of.get(member, 0) + run.count
                found(run.first, run.count, f"granted to {member}", run.batch)
        assert grants.end - grants.taken == positions
    for item, held in state.held.items():
        found(item, 1, f"held by {held.member}", held.batch)
    for item, failed in state.failed.items():
        found(item, 1, "failed", failed.batch)
    assert state.lanes.ready == ready
    assert state.lanes.untaken == sum(sum(lane.values()) for lane in untaken.values())
    assert {producer: lane.untaken for producer, lane in state.lanes.by_producer.items() if lane.untaken} == untaken
    assert {producer for producer, lane in state.lanes.by_producer.items() if lane.ready} == set(state.lanes.with_ready)
    assert all(lane.ready or lane.untaken for lane in state.lanes.by_producer.values())
    assert {first: batch.live for first, batch in state.batches.items()} == alive
    assert state.unfinished == len(where) - len(state.failed)
    payload = sum(batch.size for batch in state.batches.values()) + sum(reply.size for reply in state.replies.values())
    assert state.bytes == payload
    if not state.lost:
        assert state.total_put - state.total_finished == len(where)
    assert all(item < state.next_id for item in where)
    assert set(state.attempts) <= set(where) or state.lost


def picture(state: State) -> dict[str, Any]:
    """All that a state says, item by item, however its runs are cut."""

    def ids(runs: Iterable[Any]) -> list[int | None]:
        return [
            item if run.batch is not None else None for run in runs for item in range(run.first, run.first + run.count)
        ]

    return {
        "ready": {producer: ids(lane.ready) for producer, lane in sorted(state.lanes.with_ready.items())},
        "granted": {
            member: (grants.taken, grants.end, ids(grants.runs)) for member, grants in sorted(state.grants.items())
        },
        "held": {item: held.member for item, held in sorted(state.held.items())},
        "failed": {item: failed.reason for item, failed in sorted(state.failed.items())},
        "replies": {
            number: (reply.item, reply.producer, reply.seq, reply.status, reply.size, reply.text)
            for number, reply in sorted(state.replies.items())
        },
        "answered": sorted(state.answered),
        "attempts": dict(sorted(state.attempts.items())),
        "last_seq": dict(sorted(state.last_seq.items())),
        "batches": {
            first: (
                batch.producer,
                batch.first_seq,
                batch.count,
                batch.flags,
                batch.max_attempts,
                batch.pid,
                batch.live,
            )
            for first, batch in sorted(state.batches.items())
        },
        "next_id": state.next_id,
        "shutdown": (state.shutdown, state.shutdown_generation),
        "epoch": state.epoch,
        "bytes": state.bytes,
        "totals": (state.total_put, state.total_finished, state.lost),
    }
