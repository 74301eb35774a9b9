"""
A group's life by its records: each is appended and then applied, as the leader does it, and the law of the state is
checked after each. On a fake journal or on a real one.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

from groupqueue.core import messages as m
from groupqueue.core.items import Reply, Run
from groupqueue.core.records import Kind
from groupqueue.core.state import State
from tests.core.fakes import check, picture

P, Q = 11, 12
"""Producers."""
A, B = 21, 22
"""Consumers."""


class Life:
    """The state of a journal, and what is done to both. `after` is called after each record that was applied."""

    def __init__(self, journal: Any) -> None:
        self.journal = journal
        self.state = journal.state
        self.after: Callable[[], None] = lambda: None

    def put(
        self, producer: int = P, count: int = 1, flags: int = 0, max_attempts: int = 3, size: int | None = None
    ) -> range:
        """The ids of the new items, whose payloads take `size` bytes each, or as many as their number."""
        state = self.state
        first = state.next_id
        words = (producer, first, state.last_seq.get(producer, 0) + 1, count, flags, max_attempts, 4242)
        payloads = [payload(item, size) for item in range(first, first + count)]
        sizes = struct.pack(f"<{count}I", *map(len, payloads))
        parts = [sizes, *payloads]
        length = sum(map(len, parts))
        place = self.journal.append_data(Kind.ITEMS, words, parts, length, crc32(b"".join(parts)))
        state.apply_items(*words, length, place)
        self._applied()
        return range(first, first + count)

    def grant(self, member: int, *pairs: tuple[int, int], position: int | None = None) -> None:
        state = self.state
        if position is None:
            position = state.grants[member].end if member in state.grants else 0
        words = [member, position, *(word for pair in pairs for word in pair)]
        self.journal.append(Kind.GRANT, words)
        state.apply_grant(member, position, [Run(first, count, state.find(first)) for first, count in pairs])
        self._applied()

    def give_back(self, member: int, position: int) -> None:
        self.journal.append(Kind.RETURN, (member, position))
        self.state.apply_return(member, position)
        self._applied()

    def taken(self, member: int, position: int, *held: int) -> None:
        self.journal.append(Kind.TAKEN, (member, position, *held))
        self.state.apply_taken(member, position, held)
        self._applied()

    def finish(self, *pairs: tuple[int, int]) -> None:
        self.journal.append(Kind.FINISH, [word for pair in pairs for word in pair])
        self.state.apply_finish(pairs)
        self._applied()

    def failed(self, item: int, reason: str = "broken") -> None:
        self.journal.append(Kind.FAILED, (item,), reason.encode())
        self.state.apply_failed(item, reason)
        self._applied()

    def requeue(self, item: int, attempt: int = 2, deaths: int = 0) -> None:
        self.journal.append(Kind.REQUEUE, (item, attempt, deaths))
        self.state.apply_requeue(item, attempt, deaths)
        self._applied()

    def retry(self, *items: int) -> None:
        self.journal.append(Kind.RETRY, items)
        self.state.apply_retry(items)
        self._applied()

    def gone(self, member: int) -> None:
        self.journal.append(Kind.GONE, (member,))
        self.state.apply_gone(member)
        self._applied()

    def reply(self, item: int, finish: bool = True, body: bytes = b"yes") -> int:
        """The number of the reply."""
        number, words = self._reply_words(item)
        place = self.journal.append_data(
            Kind.REPLY, (*words, m.REPLY_VALUE, int(finish)), (body,), len(body), crc32(body)
        )
        self.state.apply_reply(number, Reply(*words[1:], m.REPLY_VALUE, len(body), place))
        if finish:
            self.finish((item, 1))
        else:
            self._applied()
        return number

    def reply_lost(self, item: int, reason: str = "gone") -> int:
        number, words = self._reply_words(item)
        self.journal.append(Kind.LOST, words, reason.encode())
        self.state.apply_reply(number, Reply(*words[1:], m.REPLY_LOST, 0, None, reason))
        self._applied()
        return number

    def _reply_words(self, item: int) -> tuple[int, tuple[int, int, int, int]]:
        batch = self.state.find(item)
        number = self.state.next_id
        return number, (number, item, batch.producer, batch.first_seq + item - batch.first_id)

    def heard(self, *numbers: int) -> None:
        self.journal.append(Kind.HEARD, numbers)
        self.state.apply_heard(numbers)
        self._applied()

    def shut_down(self, state: int, generation: int) -> None:
        self.journal.append(Kind.SHUTDOWN, (state, generation))
        self.state.apply_shutdown(state, generation)
        self._applied()

    def _applied(self) -> None:
        while self.state.released:
            self.journal.release(self.state.released.pop())
        check(self.state)
        self.after()

    # Looking

    def ready(self, producer: int = P) -> list[int]:
        return picture(self.state)["ready"].get(producer, [])  # type: ignore[no-any-return]

    def granted(self, member: int) -> list[int | None]:
        return picture(self.state)["granted"][member][2]  # type: ignore[no-any-return]

    @property
    def held(self) -> dict[int, int]:
        return {item: held.member for item, held in self.state.held.items()}


def payload(item: int, size: int | None = None) -> bytes:
    """What the item with this id carries."""
    text = b"%d." % item
    return text.ljust(size, b"-") if size is not None else text


def payloads_of(journal: Any, state: State) -> dict[int, bytes]:
    """The bytes of every item that the state still knows, as the journal has them."""
    found = {}
    for batch in state.batches.values():
        body = journal.read(batch.location)
        start = 4 * batch.count
        for index, size in enumerate(body[:start].cast("I")):
            found[batch.first_id + index] = bytes(body[start : start + size])
            start += size
    return found


def random_moves(life: Life, chosen: random.Random, moves: int, size: int | None = None) -> None:
    """Legal moves, as a broker makes them."""
    state = life.state
    heard: list[int] = []

    def some(items: Sequence[int]) -> int | None:
        return chosen.choice(sorted(items)) if items else None

    for _ in range(moves):
        move = chosen.randrange(12)
        member = chosen.choice((A, B))
        grants = state.grants.get(member)
        if move < 3:
            life.put(chosen.choice((P, Q)), chosen.randint(1, 4), chosen.choice((0, m.WANTS_REPLY)), size=size)
        elif move < 6 and state.lanes.ready:
            pairs = []
            for lane in state.lanes.by_producer.values():
                runs = [run for run in lane.ready if chosen.random() < 0.5]
                pairs += [(run.first, chosen.randint(1, run.count)) for run in runs]
            if pairs:
                life.grant(member, *pairs)
        elif move == 6 and grants is not None:
            life.give_back(member, chosen.randint(grants.taken, grants.end))
        elif move < 9 and grants is not None:
            position = chosen.randint(grants.taken, grants.end)
            items = [item for _, item in grants.positions(grants.taken, position)]
            life.taken(member, position, *(item for item in items if chosen.random() < 0.6))
        elif move == 9 and (item := some(list(state.held))) is not None:
            how = chosen.randrange(5)
            if how == 0:
                life.finish((item, 1))
            elif how == 1:
                life.requeue(item, state.attempt(item) + 1, state.deaths(item) + chosen.randint(0, 1))
            elif how == 2:
                life.failed(item)
            elif how == 3:
                heard.append(life.reply(item))
            else:
                heard.append(life.reply_lost(item))
                life.failed(item)
        elif move == 10:
            if heard and chosen.random() < 0.7:
                life.heard(heard.pop(chosen.randrange(len(heard))))
            elif (item := some(list(state.failed))) is not None:
                life.retry(item)
        elif move == 11 and grants is not None and grants.taken == grants.end and not state.held_by(member):
            life.gone(member)
