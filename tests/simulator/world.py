"""
Whole lives of a group, made up: everything in the core, and nothing else, on a clock of its own.

Members put, get, hold, answer, requeue, fail, withdraw, close and die; connections break with messages under way; the
leader dies between two steps, at any write, or in its recovery, and the next one begins with the journal, the cursors
and what members send again. A list of what was put and what came out is kept beside it, and complains.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable

from groupqueue.core import messages as m
from groupqueue.core.broker import Broker
from groupqueue.core.calls import Call
from groupqueue.core.inbox import ATTENTION, Inbox, Item
from groupqueue.core.items import Batch, Run
from groupqueue.core.outbox import Outbox, Verdict
from groupqueue.core.recalls import GRACE
from groupqueue.core.records import Kind
from groupqueue.core.session import Session
from groupqueue.core.wire import FrameReader, encode
from tests.core.fakes import LEADER_PID, FakeCursors, FakeJournal, Killed, Place, Words, check, picture

MAX_ATTEMPTS = 3


class Wrong(AssertionError):
    """The group did what it must not."""


class Deadly(BaseException):
    """Whoever decodes this dies of it."""


class Record:
    """What is known of an item from outside. `loose`: it was let go, and may come out again; `must`: it has to.
    `opened`: somebody died decoding it, which may count as an attempt.
    """

    def __init__(self, producer: int, number: int, call: Call | None) -> None:
        self.producer = producer
        self.number = number
        self.call = call
        self.payload = b"%d.%d" % (producer, number) + b"." * (number % 40)
        self.accepted = False
        self.attempt = 0
        self.loose = False
        self.must = False
        self.fails = False
        self.opened = False
        self.deaths = 0

    def __repr__(self) -> str:
        return f"<item {self.producer}.{self.number} attempt {self.attempt}>"


class Link:
    """A connection: what each end has sent and the other has not read, and which ends are open."""

    def __init__(self) -> None:
        self.up: deque[m.Message] = deque()
        self.down: deque[m.Message] = deque()
        self.member_is_there = True
        self.leader_is_there = True
        self.member = 0


class Member:
    """A process: its session, and what its threads are at."""

    def __init__(self, world: World, number: int) -> None:
        self.number = number
        self.file = world.cursors.files[number] = Words()
        self.outbox = Outbox(MAX_ATTEMPTS, durable=False)
        self.inbox = Inbox(self.file.words, self.file.ring)
        self.session = Session(number, 7000 + number, "dual", self.outbox, self.inbox, self.file.words)
        self.link: Link | None = None
        self.alive = True
        self.closing = False
        self.put = 0
        self.blocked: deque[Record] = deque()
        self.gets: deque[bool] = deque()
        self.holding: dict[int, tuple[Item, Record]] = {}
        self.said: dict[tuple[int, int], Record] = {}
        self.calls: list[Record] = []

    def open_verdicts(self) -> set[tuple[int, int]]:
        """(id, attempt) of what was said and is not confirmed."""
        found = {(verdict.id, verdict.attempt) for verdict in self.outbox.verdicts}
        for message in self.outbox.unsettled:
            if isinstance(message, m.Done):
                body = memoryview(message.body).cast("Q")
                found |= set(zip(body[::2], body[1::2]))
            else:
                found.add((message.id, message.attempt))
        return found


class Leader:
    """The role: gone with all it knows, but for the journal and the cursors."""

    def __init__(self, host: Member, broker: Broker) -> None:
        self.host = host
        self.broker = broker
        self.links: list[Link] = []
        self.departed: set[int] = set()


class WatchedJournal(FakeJournal):
    """Tells the world what is accepted."""

    accepted: Callable[[bytes], None]

    def keep(self, place: Place) -> None:
        super().keep(place)
        if place.kind == Kind.ITEMS:
            start = 4 * place.words[3]
            for size in memoryview(place.body)[:start].cast("I"):
                self.accepted(place.body[start : start + size])
                start += size


class World:
    """See the module. `ordered`: nobody is silent for longer than GRACE, so the order of each producer must hold.

    Each move has dice of its own, made of the seed and the move's number: one may be left out, and the others stay what
    they were.
    """

    def __init__(self, seed: int, kill_in: int | None = None, kill_after: bool = False) -> None:
        self.seed = seed
        self.chosen = chosen = random.Random(seed)
        self.now = 100.0
        self.ordered = chosen.random() < 0.6
        self.maxsize = chosen.choice((0, 0, 1, 3, 10))
        self.troubled = kill_in is None
        self.journal = WatchedJournal(chosen.randint(1, 4), chosen.choice((None, 3, 20, 60)))
        self.journal.accepted = self.on_accepted
        self.first_kill = (kill_in, kill_after)
        self.cursors = FakeCursors()
        self.members: dict[int, Member] = {}
        self.leader: Leader | None = None
        self.records: dict[bytes, Record] = {}
        self.last_of: dict[int, int] = {}
        self.met_at = self.now
        self.trace: list[str] = []
        for _ in range(chosen.randint(2, 4)):
            self.join()

    def note(self, text: str) -> None:
        self.trace.append(f"{self.now - 100:8.4f} {text}")

    def alive(self) -> list[Member]:
        return [member for member in self.members.values() if member.alive]

    # What must hold

    def on_accepted(self, payload: bytes) -> None:
        record = self.records[payload]
        if record.accepted:
            raise Wrong(f"{record} is accepted twice")
        record.accepted = True

    def check_bound(self, broker: Broker) -> None:
        """Items that never came out, and credit for more of them, together."""
        state = broker.state
        waiting = [item for lane in state.lanes.by_producer.values() for run in lane.ready for item in items_of(run)]
        for member, grants in state.grants.items():
            taken = self.cursors.taken(member) or 0
            waiting += [item for position, item in grants.positions(taken, grants.end) if state.find(item)]
        fresh = sum(state.attempt(item) == 1 for item in waiting)
        credit = sum(max(member.session.credit, 0) for member in self.alive())
        if fresh + credit > self.maxsize:
            raise Wrong(f"{fresh} items wait and {credit} more may be put in a group with maxsize={self.maxsize}")

    def on_delivered(self, member: Member, item: Item) -> None:
        record = self.records[item.obj]
        self.note(f"member {member.number} gets {record}, attempt {item.attempt}{', held' if item.held else ''}")
        if not record.accepted:
            raise Wrong(f"{record} comes out and was not accepted")
        if record.call is not None and record.call.gone:
            raise Wrong(f"{record} comes out and was withdrawn")
        if record.attempt == 0:
            if item.attempt != 1 and not record.opened:
                raise Wrong(f"{record} comes out for the first time as attempt {item.attempt}")
            if self.ordered and record.number < self.last_of.get(record.producer, 0):
                raise Wrong(f"{record} comes out behind number {self.last_of[record.producer]}")
            self.last_of[record.producer] = record.number
        elif not record.loose:
            raise Wrong(f"{record} comes out again, and nobody had let it go")
        elif item.attempt <= record.attempt:
            raise Wrong(f"{record} comes out again as attempt {item.attempt}")
        record.attempt = item.attempt
        record.loose = record.must = False
        if item.held:
            member.holding[item.id] = (item, record)

    # Members

    def join(self) -> None:
        member = self.members[len(self.members) + 1] = Member(self, len(self.members) + 1)
        self.note(f"member {member.number} joins")

    def put(self, member: Member) -> None:
        for _ in range(self.chosen.choice((1, 1, 2, 5))):
            member.put += 1
            call = Call() if self.chosen.random() < 0.3 else None
            record = Record(member.number, member.put, call)
            self.records[record.payload] = record
            if self.maxsize:
                member.blocked.append(record)
                member.session.putters = set(range(1))
            else:
                self.pend(member, record)
        self.unblock(member)

    def unblock(self, member: Member) -> None:
        """Threads that wait for room go on, where there is some."""
        while member.blocked and member.session.credit > 0:
            self.pend(member, member.blocked.popleft())
        member.session.putters = {0} if member.blocked else set()

    def pend(self, member: Member, record: Record) -> None:
        self.note(f"member {member.number} puts {record}")
        if record.call is not None:
            member.calls.append(record)
        member.outbox.pending.append((record.payload, record.call))

    def give_up(self, member: Member) -> None:
        """A put in a full group times out: it has put nothing, also later."""
        if member.blocked:
            record = member.blocked.pop()
            self.note(f"member {member.number} gives {record} up")
            member.session.putters = {0} if member.blocked else set()

    def get(self, member: Member) -> None:
        member.gets.append(self.chosen.random() < 0.4)
        member.session.getters = set(range(len(member.gets)))

    def ask(self, member: Member) -> None:
        """A question now or never."""
        if self.chosen.random() < 0.5 or not self.maxsize:
            member.session.ask_for_item()
        else:
            member.session.ask_for_credit()

    def take(self, member: Member) -> None:
        if not member.inbox.count:
            return
        hold = member.gets.popleft() if member.gets else False
        member.session.getters = set(range(len(member.gets)))
        if not hold and self.chosen.random() < 0.3 and self.take_together(member):
            return
        item = member.inbox.take(bytes, hold)
        assert item is not None
        self.on_delivered(member, item)
        self.attend(member)

    def take_together(self, member: Member) -> bool:
        """Plain items of one entry at once. Now and then one of them is the death of who decodes it."""
        chunk = member.inbox._current()
        assert chunk is not None
        first = chunk.index
        deadly = self.chosen.randrange(20) if self.troubled else -1
        decoded: list[bytes] = []
        found: list[bytes] = []

        def decode(payload: bytes) -> bytes:
            if len(decoded) == deadly:
                raise Deadly
            decoded.append(payload)
            return bytes(payload)

        try:
            member.inbox.take_together(decode, self.chosen.choice((2, 5, 32)), found)
        except Deadly:
            record = self.records[bytes(chunk.slices[first + len(decoded)])]
            record.opened = True
            record.deaths += 1
            self.note(f"{record} is the death of who decodes it")
            self.die(member)
            return True
        for at, payload in enumerate(found, chunk.first_id + first):
            self.on_delivered(member, Item(payload, at, chunk.attempt, chunk.flags, chunk.pid, False, None, b""))
        if found:
            self.attend(member)
        return bool(found)

    def attend(self, member: Member) -> None:
        state = member.file.words[ATTENTION]
        if state and member.session.welcome is not None:
            member.file.words[ATTENTION] = 0
            self.send(member, [member.session.answer_attention(state)])

    def end_item(self, member: Member, plainly: bool = False) -> None:
        if not member.holding:
            return
        number = self.chosen.choice(sorted(member.holding))
        item, record = member.holding[number]
        how = self.chosen.choice(("done", "done", "requeue", "fail", "half")) if not plainly else "done"
        if self.chosen.random() < 0.02 and not plainly:
            return
        self.note(f"member {member.number} ends {record}: {how}")
        if how in ("done", "half") and record.call is not None:
            finish = how == "done"
            body = b"re:" + record.payload
            member.outbox.verdicts.append(Verdict(m.Answer, number, item.attempt, m.REPLY_VALUE, finish, body))
            if not finish:
                return
        elif how == "requeue":
            member.outbox.verdicts.append(Verdict(m.Requeue, number, item.attempt))
            record.loose = record.must = True
        elif how == "fail":
            member.outbox.verdicts.append(Verdict(m.Fail, number, item.attempt, body=b"why"))
            record.fails = True
        else:
            member.outbox.verdicts.append(Verdict(m.Done, number, item.attempt))
        del member.holding[number]
        member.said[number, item.attempt] = record

    def withdraw(self, member: Member) -> None:
        open_calls = [record for record in member.calls if record.call and not record.call.withdrawn]
        if open_calls:
            record = self.chosen.choice(open_calls)
            self.note(f"member {member.number} withdraws {record}")
            assert record.call is not None
            if record.call.answer is None:
                member.session.withdraw(record.call)

    def let_go(self, member: Member, death: bool) -> None:
        """What the member held is anybody's now; what it had said and the leader not confirmed may be."""
        member.alive = False
        unsaid = member.open_verdicts()
        for item, record in member.holding.values():
            record.loose = record.must = True
            record.deaths += death
            del item
        for key, record in member.said.items():
            if key in unsaid and record.attempt == key[1]:
                record.loose = True
                record.deaths += death
        member.blocked.clear()
        if member.link is not None:
            member.link.member_is_there = False

    def die(self, member: Member) -> None:
        self.note(f"member {member.number} dies")
        if self.leader is not None and self.leader.host is member:
            self.drop_leader()
        self.let_go(member, death=True)

    def close(self, member: Member) -> None:
        """Says goodbye as soon as all is flushed."""
        outbox = member.outbox
        if outbox.pending or outbox.unacked or outbox.verdicts or outbox.unsettled or member.blocked:
            return
        if member.session.welcome is None:
            return
        self.note(f"member {member.number} closes")
        if self.leader is not None and self.leader.host is member:
            leader = self.leader
            self.lead(lambda: leader.broker.bye(member.number))
            if self.leader is leader:
                del self.cursors.files[member.number]
                self.drop_leader()
        else:
            self.send(member, [m.Bye()])
        self.let_go(member, death=True)

    # Connections

    def send(self, member: Member, messages: list[m.Message]) -> None:
        if self.leader is not None and self.leader.host is member:
            leader = self.leader
            for message in messages:
                self.lead(lambda message=message: self.hear(leader, member.number, message))  # type: ignore[misc]
        elif member.link is not None:
            link = member.link
            if not link.leader_is_there and self.chosen.random() < 0.3:
                self.hang_up(member)
                return
            link.up.extend(map(travel, messages))

    def say(self, member: Member) -> None:
        messages = member.session.collect(self.now)
        if messages:
            self.send(member, messages)

    def read(self, member: Member, count: int) -> None:
        """The member reads this many messages, or the end of the file."""
        link = member.link
        if link is None:
            return
        for _ in range(count):
            if not link.down:
                if not link.leader_is_there:
                    self.hang_up(member)
                return
            message = link.down.popleft()
            if isinstance(message, m.Ack):
                self.on_ack(member, message.seq)
            if isinstance(message, m.Welcome):
                self.on_ack(member, message.last_seq)
            member.session.receive(message, self.now)
            if member.session.misplaced:
                raise Wrong(f"the leader does not know what member {member.number} was granted")
            self.unblock(member)

    def on_ack(self, member: Member, seq: int) -> None:
        for items in member.outbox.unacked:
            if items.first_seq + items.count - 1 <= seq:
                body = b"".join(items.body)
                start = 4 * items.count
                for size in memoryview(body)[:start].cast("I"):
                    if not self.records[body[start : start + size]].accepted:
                        raise Wrong(f"acknowledged and not in the journal: {body[start : start + size]!r}")
                    start += size

    def hang_up(self, member: Member) -> None:
        """The member's end is closed; what was under way to it is lost."""
        self.note(f"member {member.number} has lost its leader")
        if member.link is not None:
            member.link.member_is_there = False
            member.link.down.clear()
        member.link = None
        member.session.disconnect()

    def connect(self, member: Member) -> None:
        leader = self.leader
        if leader is None or leader.host is member or member.link is not None:
            return
        member.link = Link()
        member.link.up.append(travel(member.session.hello()))
        leader.links.append(member.link)

    # The leader

    def elect(self) -> None:
        if self.leader is not None or not self.alive():
            return
        host = self.chosen.choice(self.alive())
        if host.link is not None:
            if host.link.leader_is_there:
                return
            self.hang_up(host)
        self.note(f"member {host.number} leads")
        state = self.journal.recover()
        try:
            self.maybe_kill()
            self.journal.begin()
            broker = Broker(state, self.journal, self.cursors, self.maxsize, 1, LEADER_PID)
            leader = Leader(host, broker)
            for number in set(self.cursors.files) | set(state.grants) | {held.member for held in state.held.values()}:
                if number == host.number:
                    continue
                if self.members[number].alive:
                    broker.expect(number, self.now)
                    leader.departed.add(number)
                else:
                    self.bury(broker, number)
            broker.hello(host.session.hello(), role="leader")
            self.leader = leader
            self.finish(leader)
        except Killed:
            self.note("... and dies of it")
            self.drop_leader(checked=False)
            host.session.disconnect()

    def bury(self, broker: Broker, number: int) -> None:
        broker.dead(number)
        self.cursors.files.pop(number, None)

    def maybe_kill(self) -> None:
        if self.first_kill[0] is not None:
            self.journal.kill_in, self.journal.kill_after = self.first_kill  # type: ignore[assignment]
            self.first_kill = (None, False)
        elif self.troubled and self.chosen.random() < 0.02:
            self.journal.kill_in = self.chosen.randrange(4)
            self.journal.kill_after = self.chosen.random() < 0.5

    def lead(self, act: Callable[[], None]) -> None:
        """A step of the leader, which may be its last."""
        leader = self.leader
        if leader is None:
            return
        try:
            self.maybe_kill()
            act()
            self.finish(leader)
        except Killed:
            self.note("the leader dies at a write")
            self.drop_leader(checked=False)

    def finish(self, leader: Leader) -> None:
        """As the leader ends a step: decides, and sends what was decided."""
        broker = leader.broker
        while True:
            broker.pump(self.now)
            answered = False
            for number, message in broker.finish_step():
                if number == leader.host.number:
                    if isinstance(message, m.Ack):
                        self.on_ack(leader.host, message.seq)
                    leader.host.session.receive(message, self.now)
                    answered = True
                else:
                    for link in leader.links:
                        if link.member == number:
                            link.down.append(travel(message))
            self.unblock(leader.host)
            if not answered:
                break
            for message in leader.host.session.collect(self.now):
                self.hear(leader, leader.host.number, message)
        check(broker.state)
        if self.maxsize:
            self.check_bound(broker)

    def hear(self, leader: Leader, number: int, message: m.Message) -> None:
        peer = leader.broker.peers.get(number)
        if peer is not None:
            leader.broker.receive(peer, message, self.now)

    def serve(self, leader: Leader, link: Link, count: int) -> None:
        """The leader reads this many messages of a connection, or the end of the file."""

        def act() -> None:
            for _ in range(count):
                if not link.up:
                    if not link.member_is_there:
                        lose()
                    return
                message = link.up.popleft()
                if isinstance(message, m.Hello):
                    greet(message)
                elif isinstance(message, m.Bye):
                    leader.broker.bye(link.member)
                    self.cursors.files.pop(link.member, None)
                    leader.links.remove(link)
                    link.leader_is_there = False
                    return
                else:
                    self.hear(leader, link.member, message)

        def greet(hello: m.Hello) -> None:
            for other in leader.links[:]:
                if other.member == hello.member:
                    other.leader_is_there = False
                    leader.links.remove(other)
            link.member = hello.member
            leader.departed.discard(hello.member)
            leader.broker.hello(hello)

        def lose() -> None:
            link.leader_is_there = False
            leader.links.remove(link)
            if link.member:
                leader.broker.lost(link.member, self.now)
                leader.departed.add(link.member)

        if not link.member_is_there and link.member and self.chosen.random() < 0.2:
            self.lead(lose)
        else:
            self.lead(act)

    def look_for_departed(self, leader: Leader) -> None:
        for number in sorted(leader.departed):
            if not self.members[number].alive:
                leader.departed.discard(number)
                self.lead(lambda number=number: self.bury(leader.broker, number))  # type: ignore[misc]

    def drop_leader(self, checked: bool = True) -> None:
        leader, self.leader = self.leader, None
        if leader is None:
            return
        if checked:
            lived, told = picture(leader.broker.state), picture(self.journal.replay())
            wrong = {what: (lived[what], told[what]) for what in lived if lived[what] != told[what]}
            if wrong:
                raise Wrong(f"the journal does not tell what was lived (lived, told): {wrong}")
        self.journal.kill_in = None
        for link in leader.links:
            link.leader_is_there = False
            link.up.clear()
        leader.host.session.disconnect()

    def lose_role(self) -> None:
        if self.leader is not None:
            self.note(f"member {self.leader.host.number} leads no more")
            self.drop_leader()

    # Time

    def meet(self) -> None:
        """Everybody hears and says what there is to hear and say."""
        troubled, self.troubled = self.troubled, False
        for _ in range(200):
            if self.leader is None:
                for member in self.alive():
                    if member.link is not None:
                        self.hang_up(member)
                self.elect()
            busy = False
            for member in self.alive():
                self.connect(member)
                self.say(member)
                if member.link is not None and (member.link.down or not member.link.leader_is_there):
                    busy = True
                    self.read(member, 1000)
            leader = self.leader
            if leader is not None:
                for link in leader.links[:]:
                    if link.up or not link.member_is_there:
                        busy = True
                        self.serve(leader, link, 1000)
                self.look_for_departed(leader)
            if not busy:
                break
        else:
            raise Wrong("they talk and talk")
        self.met_at = self.now
        self.troubled = troubled

    def wait(self, seconds: float) -> None:
        if self.ordered and self.now + seconds > self.met_at + GRACE / 3:
            self.meet()
            seconds = min(seconds, GRACE / 3)
        self.now += seconds
        self.lead(lambda: None)

    # A life

    def play(self, moves: Iterable[int]) -> None:
        """The moves with these numbers."""
        chosen = self.chosen
        for number in moves:
            chosen.seed(self.seed << 16 | number)
            dice = chosen.random()
            living = self.alive()
            if not living or (len(living) < 2 and dice < 0.2):
                self.join()
                continue
            member = chosen.choice(living)
            if dice < 0.12:
                self.put(member)
            elif dice < 0.24:
                self.get(member)
            elif dice < 0.42:
                self.take(member)
            elif dice < 0.50:
                self.end_item(member)
            elif dice < 0.62:
                self.say(member)
            elif dice < 0.72:
                self.read(member, chosen.choice((1, 2, 5)))
            elif dice < 0.82:
                if self.leader is not None and self.leader.links:
                    self.serve(self.leader, chosen.choice(self.leader.links), chosen.choice((1, 2, 5)))
            elif dice < 0.86:
                self.wait(chosen.choice((0.0005, 0.003, 0.01, 0.05)))
            elif dice < 0.88:
                self.elect()
            elif dice < 0.90:
                self.connect(member)
            elif dice < 0.91:
                self.meet()
            elif dice < 0.93:
                self.ask(member)
            elif dice < 0.94:
                chosen.choice((self.withdraw, self.give_up))(member)
            elif dice < 0.95 and self.leader is not None:
                self.look_for_departed(self.leader)
            elif not self.troubled:
                continue
            elif dice < 0.965:
                if member.link is not None:
                    self.hang_up(member)
            elif dice < 0.975:
                self.die(member)
            elif dice < 0.985:
                self.close(member)
            elif dice < 0.99:
                self.lose_role()
            elif len(self.members) < 9:
                self.join()

    def end(self) -> None:
        """No more trouble: everything comes out."""
        self.troubled = False
        self.note("no more trouble")
        consumer = self.members[len(self.members) + 1] = Member(self, len(self.members) + 1)
        for _ in range(300):
            self.meet()
            for member in self.alive():
                while member.gets and member.inbox.count:
                    self.take(member)
                while member.holding:
                    self.end_item(member, plainly=True)
                if member is not consumer:
                    member.gets.clear()
                    member.session.getters = set(range(0))
            if len(consumer.gets) < 5:
                self.get(consumer)
            self.wait(0.06)
            leader = self.leader
            open_puts = any(member.blocked or member.outbox.waiting for member in self.alive())
            if leader is not None and not leader.broker.state.unfinished and not open_puts:
                break
        else:
            raise Wrong(f"never drained: {picture(self.leader.broker.state) if self.leader else 'no leader'}")
        consumer.gets.clear()
        consumer.session.getters = set(range(0))
        self.meet()
        self.lose_role()
        self.elect()
        assert self.leader is not None
        self.judge(self.leader.broker)
        for member in self.alive():
            self.judge_service(member, self.leader.broker)

    def judge_service(self, member: Member, broker: Broker) -> None:
        """Whoever lives can still put, and get what it has put."""
        if member.session.shutdown or broker.state.unfinished:
            raise Wrong("not even empty")
        while member.blocked:
            self.give_up(member)
        self.put(member)
        for _ in range(20):
            while member.inbox.count:
                self.take(member)
            while member.holding:
                self.end_item(member, plainly=True)
            if not broker.state.unfinished and not member.blocked and not member.outbox.waiting:
                member.gets.clear()
                member.session.getters = set(range(0))
                self.meet()
                return
            if not member.gets:
                self.get(member)
            self.meet()
            self.wait(0.01)
        raise Wrong(f"member {member.number} is not served any more")

    def judge(self, broker: Broker) -> None:
        state = broker.state
        if state.unfinished:
            raise Wrong(f"{state.unfinished} items are back: {picture(state)}")
        failed = {self.payload(item, found.batch) for item, found in state.failed.items()}
        for record in self.records.values():
            is_failed = record.payload in failed
            gone = record.call is not None and record.call.withdrawn
            if is_failed and not record.fails and record.deaths < MAX_ATTEMPTS:
                raise Wrong(f"{record} is on the failed list, and nobody failed it")
            if record.accepted and not record.attempt and not gone and not is_failed:
                raise Wrong(f"{record} was accepted and never came out")
            if record.must and not is_failed and not gone:
                raise Wrong(f"{record} was let go and never came out again")
        for member in self.alive():
            if member.outbox.waiting or member.outbox.unsettled:
                raise Wrong(f"member {member.number} is never told that all is well")
            for record in member.calls:
                self.judge_call(record, record.payload in failed)
            if member.session._want_ticket or member.session._credit_ticket:
                raise Wrong(f"member {member.number} is never answered")

    def judge_call(self, record: Record, is_failed: bool) -> None:
        call = record.call
        assert call is not None
        if call.answer is None:
            if call.withdrawn and call.seq and call.gone is None:
                raise Wrong(f"{record} was withdrawn, and nobody says what became of it")
            if not call.withdrawn and not is_failed:
                raise Wrong(f"{record} is never answered")
        elif call.answer[0] == m.REPLY_VALUE:
            if call.answer[1] != b"re:" + record.payload:
                raise Wrong(f"{record} has the answer {call.answer[1]!r}")
            if call.gone:
                raise Wrong(f"{record} is both withdrawn and answered")
        elif not is_failed:
            raise Wrong(f"{record} is said to be lost: {call.answer[1]!r}")

    def payload(self, item: int, batch: Batch) -> bytes:
        body = self.journal.read(batch.location)
        sizes = body[: 4 * batch.count].cast("I")
        index = item - batch.first_id
        start = 4 * batch.count + sum(sizes[:index])
        return bytes(body[start : start + sizes[index]])


def items_of(run: Run) -> range:
    return range(run.first, run.first + run.count)


def travel(message: m.Message) -> m.Message:
    """The message as it arrives at the other end."""
    data = b"".join(encode(message))
    (arrived,) = FrameReader().feed(memoryview(data))
    return arrived
