"""
A failed sync is never taken for a success: brokers, one after the other, on a real journal and a disk that fails.

Every producer is durable and sends again what is not acknowledged, as a member does. What was acknowledged must come
out of a get, whatever the disk, the leaders and the power do.
"""

from __future__ import annotations

import random
from collections import Counter, deque

import pytest

from groupqueue.core import messages as m
from groupqueue.core.broker import Broker
from groupqueue.system.settling import PagesLost
from groupqueue.system.unsynced import SyncError
from tests.core.fakes import Group
from tests.helpers import scaled
from tests.system.homes import Home
from tests.system.platter import Platter


class Producer:
    """What a member with durable=True keeps until it is acknowledged."""

    def __init__(self, works: Works) -> None:
        self.member = works.member()
        self.accepted: list[bytes] = []
        self._works = works
        self._unacked: deque[tuple[m.Items, list[bytes]]] = deque()
        self._heard = 0

    def put(self, count: int, size: int) -> None:
        first = self.member.outbox.last_seq + 1
        payloads = [b"%d/%d " % (self.member.member, seq) + bytes(size) for seq in range(first, first + count)]
        batch = self.member.batch(*payloads, durable=True)
        self._unacked.append((batch, payloads))
        self._works.broker.receive(self.member.peer, batch, self._works.now)

    def send_again(self) -> None:
        for batch, _ in self._unacked:
            self._works.broker.receive(self.member.peer, batch, self._works.now)

    def listen(self) -> None:
        """What Ack and Welcome say is accepted."""
        for message in self.member.heard[self._heard :]:
            seq = message.seq if isinstance(message, m.Ack) else 0
            seq = message.last_seq if isinstance(message, m.Welcome) else seq
            while self._unacked and self._unacked[0][0].first_seq + self._unacked[0][0].count - 1 <= seq:
                self.accepted += self._unacked.popleft()[1]
        self._heard = len(self.member.heard)


class Works(Group):
    """A group whose leaders end when they cannot sync, and whose next ones serve once they can."""

    def __init__(self, home: Home, platter: Platter) -> None:
        self.home = home
        self.platter = platter
        self.is_led = False
        self.producers: list[Producer] = []
        self.got: list[bytes] = []
        self.accepted: list[bytes] = []
        super().__init__()

    def lead(self) -> None:
        """As `Leader` does it: read, settle, serve."""
        self.journal = self.home.open()  # type: ignore[assignment]
        self.journal.recover()
        self.epoch = self.journal.last_epoch + 1  # type: ignore[attr-defined]
        self.try_to_serve()

    def try_to_serve(self) -> None:
        try:
            self.journal.settle(self.epoch)  # type: ignore[attr-defined]
        except SyncError:
            return
        except PagesLost:
            self.journal.close()  # type: ignore[attr-defined]
            self.lead()
            return
        self.journal.begin(self.epoch, 1)  # type: ignore[attr-defined, call-arg]
        self.broker = Broker(self.journal.state, self.journal, self.cursors, 0, 1, 1)
        self.is_led = True
        try:
            here = {producer.member.member for producer in self.producers}
            for member in self.cursors.files.keys() - here:
                self.broker.dead(member)
                del self.cursors.files[member]
            for producer in self.producers:
                producer.member.hello()
                producer.listen()
                producer.send_again()
            self.step()
        except SyncError:
            self.crash()

    def step(self) -> None:
        super().step()
        for producer in self.producers:
            producer.listen()

    def crash(self) -> None:
        self.journal.close()  # type: ignore[attr-defined]
        self.is_led = False
        self.lead()

    def lose_power(self) -> None:
        """Nobody is left but the disk."""
        self.journal.close()  # type: ignore[attr-defined]
        self.is_led = False
        self.platter.lose_power()
        self.accepted += [payload for producer in self.producers for payload in producer.accepted]
        self.producers.clear()
        self.cursors.files.clear()
        self.lead()

    def consume(self, limit: int) -> None:
        """A consumer comes, gets, and goes."""
        consumer = self.member()
        for _ in range(limit):
            consumer.want(ticket=1)
            while consumer.granted:
                self.got.append(consumer.take().payload)
        consumer.bye()


def moves(works: Works, chosen: random.Random, count: int, power: bool) -> None:
    platter = works.platter
    platter.chosen = chosen
    for _ in range(count):
        if not works.producers and works.is_led:
            works.producers += [Producer(works) for _ in range(2)]
        move = chosen.randrange(12)
        if not works.is_led and chosen.random() < 0.2:
            platter.failing = 0
        try:
            if not works.is_led and move < 8:
                works.try_to_serve()
            elif move < 4:
                for _ in range(chosen.randint(1, 3)):
                    chosen.choice(works.producers).put(chosen.randint(1, 3), chosen.choice((10, 3000, 20_000)))
                works.step()
            elif move < 6:
                works.consume(chosen.randint(1, 3))
            elif move == 6:
                works.crash()
            elif move == 8:
                platter.failing = chosen.choice((0, 0, 0.3, 1))
            elif move == 9:
                platter.write_back_some()
            elif move == 10:
                platter.evict("" if power else "items-")
            elif move == 11 and power and chosen.random() < 0.3:
                works.lose_power()
        except SyncError:
            if chosen.random() < 0.5:
                # Some file systems drop at once what they failed to write.
                platter.evict("items-")
            works.crash()


def finish(works: Works) -> None:
    works.platter.failing = 0
    done = False
    while not done:
        try:
            if not works.is_led:
                works.try_to_serve()
            elif works.state.lanes.ready:
                works.consume(10)
            else:
                works.step()
                done = not works.state.lanes.ready
        except SyncError:
            works.crash()
    works.accepted += [payload for producer in works.producers for payload in producer.accepted]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(scaled(20)))
def test_what_was_acknowledged_comes_out_once_and_in_order_whatever_the_disk_does(
    home: Home, platter: Platter, seed: int
) -> None:
    works = Works(home, platter)
    moves(works, random.Random(seed), 150, power=False)
    finish(works)
    assert works.accepted
    assert Counter(works.got) == Counter(works.accepted)
    for producer in works.producers:
        mine = [payload for payload in works.got if payload.startswith(b"%d/" % producer.member.member)]
        assert mine == producer.accepted


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(scaled(20)))
def test_what_was_acknowledged_is_on_the_disk_when_the_power_goes(home: Home, platter: Platter, seed: int) -> None:
    works = Works(home, platter)
    moves(works, random.Random(seed), 150, power=True)
    works.lose_power()
    finish(works)
    assert works.accepted
    assert set(works.accepted) <= set(works.got)
