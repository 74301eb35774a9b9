"""
What the actors of a run told, and what of it breaks the contract.

Actors tell each event before or after the call, through one pipe, so their order here is one in which they happened: a
call had begun no later than its first event, and was over no sooner than its second.

The contract leaves a killed process these liberties and no more: what it had put and not flushed comes out once or not
at all; of what its gets had taken, the one item (of `get_many`: the items of one call) that it had no time to tell of
is gone if it was plain (its cursor says whether there was one), and comes again, as the next attempt, if it was held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

Key = tuple[str, int]

REFUSED, UNCERTAIN, BEGUN, PUT, FLUSHED = "refused", "uncertain", "begun", "put", "flushed"


@dataclass
class Delivery:
    """One item, once out of a get."""

    actor: str
    attempt: int
    began: int
    at: int
    ending: str = ""
    """How its consumer began to end it, and, in `ended`, how it was done with that."""

    ended: str = ""
    settled: bool = False


@dataclass
class Item:
    """All that is known of one item."""

    state: str = BEGUN
    put_at: int = 0
    deliveries: list[Delivery] = field(default_factory=list)
    answer: Any = None
    answered: bool = False


@dataclass
class Story:
    """The rules of a scenario."""

    held: bool = False
    """Whether items are held until they are ended."""

    maxsize: int = 0
    one_consumer: bool = True
    """Whether one consumer gets at a time, so that order holds over all of them."""

    answers_finish: bool = True
    """Whether the answer of an item ends it."""

    may_be_lost: bool = False
    """Whether items go to the failed list because their holders died."""

    at_once: int = 1
    """How many items a call of the consumer returns at most."""


class History:
    """See the module."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.events: list[tuple[str, ...]] = []
        self.items: dict[Key, Item] = defaultdict(Item)
        self.findings: list[str] = []
        self.killed: dict[str, int] = {}
        """Who was killed, and how many items its cursor had passed of which it had not told."""

        self.interrupted: set[str] = set()
        """Whose plan is to raise, and how often that was seen: `raised`."""

        self.raised = 0
        self._getting: dict[str, int] = {}
        self._last: dict[str, int] = {}
        self._amnesty = False

    # What is told

    def add(self, actor: str, kind: str, *rest: Any) -> None:
        self.events.append((actor, kind, *rest))
        handler = getattr(self, f"_on_{kind}", None)
        if handler is not None:
            handler(actor, *rest)

    def find(self, text: str) -> None:
        self.findings.append(text)

    def _on_putting(self, actor: str, source: str, number: int) -> None:
        self.items[source, number].state = BEGUN

    def _on_put(self, actor: str, source: str, number: int) -> None:
        item = self.items[source, number]
        item.state = PUT
        item.put_at = len(self.events)

    def _on_refused(self, actor: str, source: str, number: int) -> None:
        item = self.items[source, number]
        item.state = REFUSED
        if item.deliveries:
            self.find(f"unexpected: {source} {number} was refused, withdrawn or cleared, and had come out")

    def _on_flushed(self, actor: str, source: str) -> None:
        for (of, _), item in self.items.items():
            if of == source and item.state == PUT:
                item.state = FLUSHED

    def _on_answered(self, actor: str, source: str, number: int, answer: Any) -> None:
        item = self.items[source, number]
        if item.answered:
            self.find(f"a second reply: {source} {number} was answered {item.answer} and {answer}")
        item.answered = True
        item.answer = answer
        item.state = FLUSHED

    def _on_getting(self, actor: str) -> None:
        self._getting[actor] = len(self.events)

    def _on_got(self, actor: str, source: str, number: int, attempt: int) -> None:
        item = self.items.get((source, number))
        if item is None:
            self.find(f"unexpected: {source} {number} was never put")
            item = self.items[source, number]
        if item.state == REFUSED:
            self.find(f"unexpected: {source} {number} came out, and had been refused, withdrawn or cleared")
        delivery = Delivery(actor, attempt, self._getting.get(actor, 0), len(self.events))
        self._check_again(f"{source} {number}", item, delivery)
        item.deliveries.append(delivery)
        if len(item.deliveries) == 1 and attempt == 1:
            whose = source if self.story.one_consumer else f"{source} {actor}"
            if number < self._last.get(whose, -1):
                self.find(f"order: {actor} got {source} {number} after {source} {self._last[whose]}")
            self._last[whose] = number

    def _check_again(self, label: str, item: Item, delivery: Delivery) -> None:
        """Whether this delivery may follow those before it."""
        if not item.deliveries:
            if delivery.attempt > 1 + len(self.killed) + self.raised and not self._amnesty:
                self.find(f"attempt: {label} came first as attempt {delivery.attempt}")
            return
        previous = item.deliveries[-1]
        if not self.story.held:
            self.find(f"duplicated: {label} by {previous.actor} and {delivery.actor}")
            return
        if previous.ending == "failed" and self._amnesty and delivery.attempt <= 1 + len(self.killed) + self.raised:
            return
        if delivery.attempt <= previous.attempt:
            self.find(f"attempt: {label} came as {delivery.attempt} after {previous.attempt}")
        if previous.ending == "requeued":
            return
        if previous.settled:
            self.find(f"duplicated: {label} was {previous.ended} by {previous.actor}, and came again")
        elif previous.actor not in self.killed:
            self.find(f"duplicated: {label} by {previous.actor}, which lives, and {delivery.actor}")

    def _on_ending(self, actor: str, source: str, number: int, how: str) -> None:
        self.items[source, number].deliveries[-1].ending = how

    def _on_ended(self, actor: str, source: str, number: int) -> None:
        delivery = self.items[source, number].deliveries[-1]
        delivery.ended = delivery.ending

    def _on_settled(self, actor: str) -> None:
        for item in self.items.values():
            if item.deliveries and item.deliveries[-1].actor == actor and item.deliveries[-1].ended:
                item.deliveries[-1].settled = True

    def _on_amnesty(self, actor: str) -> None:
        self._amnesty = True

    def _on_clearing(self, actor: str, source: str) -> None:
        for item in self.items.values():
            if item.state != REFUSED:
                item.state = UNCERTAIN

    def _on_cleared(self, actor: str, source: str) -> None:
        for (of, _), item in self.items.items():
            if of == source:
                item.state = REFUSED

    def _on_raised(self, actor: str, what: str, source: str, number: int) -> None:
        self.raised += 1
        if source:
            item = self.items[source, number]
            if item.state in (BEGUN, PUT):
                item.state = UNCERTAIN

    def _on_killed(self, actor: str, gap: int) -> None:
        self.killed[actor] = gap
        if not 0 <= gap <= self.story.at_once:
            self.find(f"cursor: {actor} was killed with a cursor {gap} items past what its gets had returned")

    def _on_joined(self, actor: str) -> None:
        for (source, number), item in self.items.items():
            if item.state == FLUSHED and not (item.deliveries and item.deliveries[-1].ending):
                self.find(f"join returned before {source} {number} was finished")

    def _on_error(self, actor: str, text: str) -> None:
        self.find(f"{actor} raised {text}")

    def _on_log(self, actor: str, level: str, text: str) -> None:
        if level != "WARNING" and not (actor in self.interrupted and "injected at" in text):
            self.find(f"{actor} logged {level}: {text}")

    # What must be so

    def missing(self) -> Iterator[Key]:
        """Items that must come out of some get, and come to an end where they are held, and have not yet."""
        for key, item in self.items.items():
            if item.state != FLUSHED:
                continue
            if not item.deliveries:
                if not (self.story.may_be_lost and item.answered):
                    yield key
            elif self.story.held and not (item.answered and self.story.answers_finish):
                last = item.deliveries[-1]
                ended = last.ending if last.actor in self.killed else last.ended
                if ended in ("", "requeued"):
                    yield key

    def doubtful(self) -> Iterator[Key]:
        """Items that were ended by somebody who was killed: that was recorded, or they come again."""
        for key, item in self.items.items():
            if self.story.held and item.deliveries:
                last = item.deliveries[-1]
                known = last.settled or (item.answered and self.story.answers_finish)
                if last.actor in self.killed and last.ending not in ("", "requeued") and not known:
                    yield key

    @property
    def allowed_to_miss(self) -> int:
        return 0 if self.story.held else sum(self.killed.values())

    def finish(self, failed: set[Key], rest: dict[str, int]) -> None:
        """The end: `failed` is what the failed list holds, `rest` what the group still says that it has."""
        missing = [key for key in self.missing() if not (self.story.may_be_lost and key in failed)]
        if len(missing) > self.allowed_to_miss:
            self.find(f"lost: {missing}")
        for key, item in self.items.items():
            ending = item.deliveries[-1].ending if item.deliveries else ""
            if ending == "failed" and key not in failed:
                self.find(f"lost: {key} was failed and is not on the failed list")
            if key in failed and ending != "failed" and not self.story.may_be_lost:
                self.find(f"failed: {key} is on the failed list, and was {ending or 'never delivered'}")
        for name, value in rest.items():
            if value:
                self.find(f"left in the end: {value} {name}")
        self._check_bound()

    def _check_bound(self) -> None:
        """At no event were more items surely in the queue than its bound: put, and the get of each not yet begun."""
        if not self.story.maxsize:
            return
        changes = []
        for item in self.items.values():
            if item.put_at and item.deliveries:
                changes += [(item.put_at, 1), (max(item.deliveries[0].began, item.put_at), -1)]
        inside = 0
        for at, change in sorted(changes):
            inside += change
            if inside > self.story.maxsize:
                self.find(f"bound: {inside} items in a queue of {self.story.maxsize} at event {at}")
                return

    def tell(self) -> str:
        return "\n".join(" ".join(map(str, event)) for event in self.events)
