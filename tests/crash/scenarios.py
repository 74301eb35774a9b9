"""The scenarios: who takes part, in which options, and by which rules the history is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from groupqueue import follower, leader
from groupqueue.core import outbox
from groupqueue.face import putting
from groupqueue.system import items, ledger, loans
from tests.crash import actors as a
from tests.crash.history import Story

Job = Callable[[a.Actor], None]


def nothing() -> None:
    """The product as it is."""


def shrink() -> None:
    """Segments and ledgers so small that a few items roll them, and housekeeping so often that it meets them."""
    vars(items).update(BASE_SIZE=65536, SPARE_BYTES=65536)
    vars(ledger).update(LEAST_FREE=640, _size_for=lambda needed: max(768, -(-(needed + 768) // 256) * 256))
    vars(leader).update(HOUSEKEEPING=0.02)


def borrow() -> None:
    """What is a little larger than the rest counts as large, and loans are so small that a few items take several; so
    often is the house kept that what is not used is asked back, and what is unchecked is checked. Loans are waited for.
    """
    vars(outbox).update(LARGE=1000)
    vars(loans).update(BESIDE=1000)
    vars(putting).update(BIG=1000)
    vars(items).update(LOAN_SIZE=4096, LARGEST_LOAN=4096, MOST_LENT=1 << 20)
    vars(loans).update(AHEAD=4096)
    vars(follower).update(AWAITED=5.0)
    vars(leader).update(HOUSEKEEPING=0.02, CHECK_LATE=0.0005, CHECK_BYTES=1000)


@dataclass(frozen=True)
class Scenario:
    """`producer` and `consumer` are armed in turn, as followers and as leaders; `others` are there as well."""

    name: str
    producer: Job
    consumer: Job
    story: Callable[[], Story] = Story
    options: dict[str, Any] = field(default_factory=dict)
    kind: str = "GroupQueue"
    prepare: Callable[[], None] = nothing
    others: tuple[tuple[str, Job], ...] = ()
    armed: tuple[str, ...] = ("leader", "producer", "consumer", "leading producer", "leading consumer")
    successor: Job | None = None
    """Who comes after a consumer that was killed, if it is not its like."""

    clients: bool = False
    """Whether nobody but leaders may lead; of these another comes for each that was killed."""

    ancestor: Job | None = None
    """Who led before, and is gone when the armed one comes to lead."""

    def cast(self, armed: str) -> list[tuple[str, Job]]:
        """Names and jobs in the order in which they start: the first leads."""
        consumer = [("consumer", self.consumer)]
        producer = [("producer", self.producer)]
        if armed == "child":
            return [*producer, *consumer, *self.others]
        if armed == "leading producer":
            return [*producer, *consumer, *self.others]
        if armed == "leading consumer":
            return [*consumer, *producer, *self.others]
        if self.ancestor is not None:
            return [("ancestor", self.ancestor), *consumer, ("leader", a.lead), *producer, *self.others]
        return [("leader", a.lead), *consumer, *producer, *self.others]


def _held(**how: Any) -> Callable[[], Story]:
    return lambda: Story(held=True, **how)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("plain", a.put_all, a.consume),
        Scenario("put_wait", a.ask_all, a.consume_and_answer, _held()),
        Scenario("messages", a.put_and_retry, a.consume_messages, _held()),
        Scenario(
            "joinable",
            a.put_and_join,
            a.consume_and_finish,
            _held(answers_finish=False),
            kind="JoinableGroupQueue",
        ),
        Scenario(
            "bounded",
            a.put_bounded,
            a.consume_steadily,
            lambda: Story(maxsize=4),
            options={"maxsize": 4},
            others=(("rival", a.put_bounded),),
        ),
        Scenario("durable", a.put_all, a.consume, options={"durable": True}),
        Scenario("rolling", a.put_large, a.consume_late, prepare=shrink),
        Scenario("large", a.put_beside, a.consume_late, prepare=borrow),
        Scenario("large messages", a.put_beside, a.consume_messages, _held(), prepare=borrow),
        Scenario("rolling messages", a.put_and_retry, a.consume_messages, _held(), prepare=shrink),
        Scenario(
            "sharing",
            a.put_plenty,
            a.consume_slowly,
            lambda: Story(one_consumer=False),
            others=(("other consumer", a.consume_late),),
        ),
        Scenario(
            "lost",
            a.ask_all,
            a.die_holding,
            _held(may_be_lost=True),
            options={"max_attempts": 1},
            armed=("leader", "producer", "leading producer"),
            successor=a.consume_and_answer,
        ),
        Scenario("together", a.put_in_batches, a.consume_together, lambda: Story(at_once=a.TOGETHER)),
        Scenario("withdraw", a.ask_in_vain, a.consume_late, _held()),
        Scenario("operators", a.operate, a.consume_late, armed=("leader", "producer", "leading producer")),
        Scenario(
            "heir",
            a.put_all,
            a.consume_messages,
            _held(one_consumer=False),
            clients=True,
            ancestor=a.lead_and_die,
            armed=("leader", "producer", "consumer"),
        ),
        Scenario(
            "durable heir",
            a.put_all,
            a.consume_messages,
            _held(one_consumer=False),
            options={"durable": True},
            clients=True,
            ancestor=a.lead_and_die_in_a_sync,
            armed=("leader", "producer", "consumer"),
        ),
        Scenario("stranger", a.meet_a_stranger, a.consume, armed=("leader", "leading consumer")),
        Scenario("forking", a.fork_and_go_on, a.consume_late, armed=("child",)),
    )
}
