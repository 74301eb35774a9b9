"""A member's half of the conversation: what is open is said once on each connection, and again on the next."""

from __future__ import annotations

import json
import struct
import sys
from typing import Any, TypeVar

import pytest

from groupqueue.core import messages as m
from groupqueue.core.calls import Call
from groupqueue.core.inbox import CREDITED, SETTLED, WAITING, Inbox
from groupqueue.core.outbox import Outbox, Verdict
from groupqueue.core.results import pack_result
from groupqueue.core.session import HEARD_LATE, MANY_HEARD, Session
from tests.core.fakes import Words

M = TypeVar("M")


class Talk:
    """A session, the words of its file, and a leader that is played by the test."""

    def __init__(self) -> None:
        self.file = Words()
        self.outbox = Outbox(max_attempts=3, durable=False)
        self.inbox = Inbox(self.file.words, self.file.ring)
        self.session = Session(11, 4242, "dual", self.outbox, self.inbox, self.file.words)
        self.now = 50.0
        self.epoch = 0

    def connect(self, last_seq: int = 0, position: int | None = None, shutdown: int = 0) -> m.Hello:
        """Finds a leader, which knows this much."""
        hello = self.session.hello()
        self.epoch += 1
        position = self.inbox.received if position is None else position
        self.hear(m.Welcome(m.VERSION, self.epoch, 9000 + self.epoch, last_seq, position, shutdown))
        return hello

    def hear(self, *messages: m.Message) -> None:
        for message in messages:
            self.session.receive(message, self.now)

    def collect(self) -> list[m.Message]:
        return self.session.collect(self.now)

    def confirmed(self) -> list[m.Message]:
        """What is said when the time for it has come."""
        self.now += HEARD_LATE
        return self.collect()

    def collected(self, kind: type[M]) -> list[M]:
        return [message for message in self.collect() if isinstance(message, kind)]

    def put(self, *payloads: bytes, call: Call | None = None) -> None:
        self.outbox.pending.extend((payload, call) for payload in payloads)

    def give_credit(self, count: int) -> None:
        """As the leader does: noted first, then sent."""
        self.file.words[CREDITED] += count
        self.hear(m.Credit(count))

    def use_credit(self, payload: bytes = b"x") -> None:
        assert self.session.credit > 0
        self.put(payload)

    @property
    def claimed(self) -> int:
        """The credit that the leader must take to be in use."""
        return int(self.file.words[CREDITED] - self.file.words[SETTLED])


@pytest.fixture
def talk() -> Talk:
    talk = Talk()
    talk.connect()
    return talk


def about(hello: m.Hello) -> Any:
    return json.loads(bytes(hello.body))


def grant(position: int, *payloads: bytes, returns: int = 0) -> m.Grant:
    sizes = struct.pack(f"<{len(payloads)}I", *map(len, payloads))
    return m.Grant(position, returns, [m.Entry(position + 1, len(payloads), 0, 1, 7, sizes, b"".join(payloads))])


# Connecting


def test_nothing_is_said_before_the_leader_has_answered() -> None:
    talk = Talk()
    talk.put(b"a")
    talk.session.getters = set(range(1))
    talk.session.ask({"do": "stats"})
    assert talk.collect() == []
    talk.session.hello()
    assert talk.collect() == []
    talk.hear(m.Welcome(m.VERSION, 1, 1, 0, 0, 0))
    assert [type(message) for message in talk.collect()] == [m.Items, m.Request, m.Want]


def test_who_has_met_no_leader_yet_knows_of_no_shutdown_and_no_trouble() -> None:
    session = Talk().session
    assert (session.shutdown, session.drained, session.dropped) == (0, False, False)
    assert (session.refusal, session.misplaced, session.was_granted) == ("", False, False)


def test_who_is_not_known_to_the_journal_says_nothing_before_it_has_begun_anew(talk: Talk) -> None:
    talk.hear(grant(0, b"a"))
    talk.inbox.take(bytes, False)
    talk.connect(position=0)
    talk.put(b"b")
    talk.session.getters = set(range(1))
    assert talk.session.misplaced
    assert talk.collect() == []
    talk.session.rename(12)
    talk.session.hello()
    talk.hear(m.Welcome(m.VERSION, 2, 2, 0, talk.inbox.received, 0))
    assert [type(message) for message in talk.collect()] == [m.Items, m.Want]


def test_whether_anything_was_ever_granted_is_known(talk: Talk) -> None:
    talk.hear(grant(0, b"a"))
    assert talk.session.was_granted is True


def test_hello_says_who_it_is_and_how_far_it_got() -> None:
    talk = Talk()
    talk.connect()
    talk.hear(grant(0, b"a", b"b", b"c"))
    talk.inbox.take(bytes, False)
    talk.put(b"x", b"y")
    talk.collect()
    talk.put(b"z")
    hello = talk.session.hello()
    assert hello[:5] == (m.VERSION, 11, 4242, 3, 1)
    assert about(hello) == {"mode": "dual", "credit": 0, "last_seq": 2}


def test_what_the_leader_has_already_is_not_sent_again() -> None:
    talk = Talk()
    talk.connect()
    talk.put(b"a")
    talk.collect()
    talk.put(b"b")
    talk.collect()
    talk.connect(last_seq=1)
    assert [items.first_seq for items in talk.collected(m.Items)] == [2]
    assert talk.outbox.waiting == 1


def test_after_a_change_of_leader_exactly_what_is_open_is_repeated(talk: Talk) -> None:
    session = talk.session
    finished, open_call, withdrawn = Call(), Call(), Call()
    talk.put(b"plain")
    for call in (finished, open_call, withdrawn):
        talk.put(b"asks", call=call)
    talk.outbox.verdicts.extend([Verdict(m.Requeue, 1, 1), Verdict(m.Fail, 2, 1)])
    answered, waits = session.ask({"do": "stats"}), session.ask({"do": "join"})
    session.getters = session.putters = set(range(1))
    session.ask_for_item()
    session.ask_for_credit()
    talk.collect()
    session.withdraw(withdrawn)
    talk.collect()
    talk.hear(m.Ack(1), m.Settled(1), m.Reply(2, m.REPLY_VALUE, b"yes"), m.Result(1, pack_result({}, [])))
    assert answered.answer is not None
    assert waits.answer is None

    talk.connect(last_seq=1)
    first = talk.collect()
    assert [type(message) for message in first] == [
        m.Withdraw, m.Fail, m.Items, m.Request, m.Want, m.WantCredit,
    ]  # fmt: skip
    assert first[0] == m.Withdraw(4)
    assert first[1].number == 2  # type: ignore[union-attr]
    assert (first[2].first_seq, first[2].count) == (2, 3)  # type: ignore[union-attr]
    assert json.loads(first[3].body) == {"do": "join"}  # type: ignore[union-attr]
    assert first[4].ticket  # type: ignore[union-attr]
    assert first[5].ticket  # type: ignore[union-attr]
    assert talk.collect() == []
    talk.connect(last_seq=4)
    assert [type(message) for message in talk.collect()] == [m.Withdraw, m.Fail, m.Request, m.Want, m.WantCredit]


def test_what_was_to_be_said_to_the_old_leader_is_not_said_to_the_new_one(talk: Talk) -> None:
    talk.hear(m.Reply(1, 0, b""), m.Recall(m.RECALL_ITEMS | m.RECALL_CREDIT))
    talk.connect()
    assert talk.collect() == []


def test_a_leader_whose_journal_does_not_know_us_is_noticed(talk: Talk) -> None:
    talk.hear(grant(0, b"a", b"b"))
    talk.connect(position=2)
    assert not talk.session.misplaced
    talk.connect(position=1)
    assert talk.session.misplaced
    talk.session.rename(12)
    assert not talk.session.misplaced


def test_under_another_id_the_session_begins_anew(talk: Talk) -> None:
    talk.give_credit(3)
    talk.put(b"a")
    talk.collect()
    talk.session.rename(12)
    assert talk.session.credit == 0
    hello = talk.connect()
    assert (hello.member, about(hello)["credit"]) == (12, 0)
    assert [items.first_seq for items in talk.collected(m.Items)] == [1]


def test_a_refusal_is_kept_for_who_logs_it(talk: Talk) -> None:
    talk.hear(m.Refused(b"zu alt"))
    assert talk.session.refusal == "zu alt"
    talk.hear(m.Refused(b"no text: \xff"))
    assert talk.session.refusal.startswith("no text: ")


# Putting


def test_what_is_put_is_sent_once(talk: Talk) -> None:
    talk.put(b"a", b"b")
    (items,) = talk.collected(m.Items)
    assert (items.first_seq, items.count) == (1, 2)
    assert talk.collect() == []
    talk.hear(m.Ack(2))
    assert talk.outbox.waiting == 0


# Getting


def test_who_waits_asks_once(talk: Talk) -> None:
    talk.session.getters = set(range(2))
    assert talk.collected(m.Want) == [m.Want(2, 0, 50_000_000)]
    talk.session.getters = set(range(3))
    assert talk.collect() == []


def test_nobody_asks_while_there_is_something_to_take(talk: Talk) -> None:
    talk.hear(grant(0, b"a"))
    talk.session.getters = set(range(1))
    assert talk.collect() == []
    talk.inbox.take(bytes, False)
    assert len(talk.collected(m.Want)) == 1


def test_after_a_grant_who_still_waits_asks_again_and_says_how_long_it_took(talk: Talk) -> None:
    talk.session.getters = set(range(1))
    talk.collect()
    talk.hear(grant(0, b"a"))
    talk.inbox.take(bytes, False)
    talk.now += 0.25
    assert talk.collected(m.Want) == [m.Want(1, 0, 250_000)]


def test_who_waits_no_longer_says_so_once(talk: Talk) -> None:
    talk.session.getters = set(range(1))
    talk.collect()
    talk.session.getters = set(range(0))
    assert talk.collect() == [m.Want(0, 0, 50_000_000)]
    assert talk.collect() == []
    talk.session.getters = set(range(1))
    assert [want.waiting for want in talk.collected(m.Want)] == [1]


def test_who_never_said_that_it_waits_need_not_take_it_back(talk: Talk) -> None:
    talk.session.getters = set(range(1))
    talk.session.getters = set(range(0))
    assert talk.collect() == []


def test_who_wants_many_asks_for_many(talk: Talk) -> None:
    talk.session.wanted = 10
    talk.session.getters = set(range(1))
    assert [want.waiting for want in talk.collected(m.Want)] == [10]


def test_who_wants_many_now_or_never_asks_for_the_one_of_the_ticket_and_the_rest(talk: Talk) -> None:
    talk.session.wanted = 10
    ticket = talk.session.ask_for_item()
    assert talk.collect() == [m.Want(9, ticket, 50_000_000)]


def test_now_or_never_is_asked_once_and_answered_by_a_grant(talk: Talk) -> None:
    ticket = talk.session.ask_for_item()
    assert [(want.waiting, want.ticket) for want in talk.collected(m.Want)] == [(0, ticket)]
    assert talk.collect() == []
    assert not talk.session.is_answered(ticket)
    talk.hear(grant(0, b"a"))
    assert talk.session.is_answered(ticket)


def test_the_file_tells_how_many_wait_for_an_item(talk: Talk) -> None:
    told = []
    for getters in (0, 1, 3):
        talk.session.getters = set(range(getters))
        talk.collect()
        told.append(talk.file.words[WAITING])
    talk.hear(grant(0, b"a"))
    talk.collect()
    assert [*told, talk.file.words[WAITING]] == [0, 1, 3, 0]


def test_the_file_tells_of_who_takes_one_now_or_never(talk: Talk) -> None:
    ticket = talk.session.ask_for_item()
    talk.collect()
    assert talk.file.words[WAITING] == 1
    talk.session.getters = set(range(3))
    talk.collect()
    assert talk.file.words[WAITING] == 3
    talk.session.getters = set()
    talk.hear(m.Nothing(ticket))
    talk.collect()
    assert talk.file.words[WAITING] == 0


def test_now_or_never_is_answered_by_nothing(talk: Talk) -> None:
    ticket = talk.session.ask_for_item()
    talk.collect()
    talk.hear(m.Nothing(ticket))
    assert talk.session.is_answered(ticket)
    assert not talk.session.drained


def test_nothing_for_one_does_not_end_the_wait_of_another(talk: Talk) -> None:
    talk.session.getters = set(range(1))
    ticket = talk.session.ask_for_item()
    talk.collect()
    talk.hear(m.Nothing(ticket))
    assert [(want.waiting, want.ticket) for want in talk.collected(m.Want)] == [(1, 0)]


def test_the_answer_to_an_older_ticket_does_not_answer_the_newer(talk: Talk) -> None:
    old = talk.session.ask_for_item()
    talk.collect()
    new = talk.session.ask_for_item()
    talk.collect()
    talk.hear(m.Nothing(old))
    assert not talk.session.is_answered(new)
    talk.hear(m.Nothing(new))
    assert talk.session.is_answered(new)


def test_now_or_never_is_asked_again_of_the_next_leader(talk: Talk) -> None:
    ticket = talk.session.ask_for_item()
    talk.collect()
    talk.connect()
    assert [want.ticket for want in talk.collected(m.Want)] == [ticket]


# Drained


def test_after_a_shutdown_nothing_means_drained(talk: Talk) -> None:
    talk.session.getters = set(range(1))
    talk.collect()
    talk.hear(m.Shutdown(1))
    assert (talk.session.shutdown, talk.session.drained) == (1, False)
    talk.hear(m.Nothing(0))
    assert talk.session.drained
    assert talk.collect() == [m.Sealed()]


def test_what_this_handle_has_put_and_nobody_has_accepted_is_not_drained(talk: Talk) -> None:
    talk.session.getters = set(range(1))
    talk.put(b"under way")
    talk.collect()
    talk.hear(m.Shutdown(1), m.Nothing(0))
    assert not talk.session.drained
    assert len(talk.collected(m.Want)) == 1
    talk.hear(m.Ack(1), m.Nothing(0))
    assert talk.session.drained


def test_a_shutdown_is_answered_behind_all_that_was_put_before(talk: Talk) -> None:
    talk.put(b"before")
    talk.hear(m.Shutdown(1))
    talk.put(b"just before")
    assert [type(message) for message in talk.collect()] == [m.Items, m.Sealed]
    assert talk.collect() == []
    talk.hear(m.Shutdown(2))
    assert talk.collect() == []


def test_what_is_put_after_the_answer_is_kept_for_the_put_that_takes_it_back(talk: Talk) -> None:
    talk.hear(m.Shutdown(1))
    talk.collect()
    talk.put(b"late")
    assert talk.collect() == []
    assert (talk.outbox.pending, talk.outbox.rejected, talk.outbox.waiting) == ([], [(b"late", None)], 0)


def test_each_leader_is_answered_anew_behind_what_none_has_confirmed(talk: Talk) -> None:
    talk.hear(m.Shutdown(1))
    talk.put(b"before")
    talk.collect()
    talk.connect(shutdown=1)
    assert [type(message) for message in talk.collect()] == [m.Items, m.Sealed]


def test_in_a_group_that_has_revived_puts_are_sent_again(talk: Talk) -> None:
    talk.hear(m.Shutdown(1))
    talk.collect()
    talk.connect(shutdown=0)
    talk.put(b"new")
    assert [type(message) for message in talk.collect()] == [m.Items]


def test_in_a_new_group_what_was_granted_is_put_again(talk: Talk) -> None:
    talk.hear(m.Shutdown(1))
    talk.collect()
    talk.session.rename(12)
    talk.put(b"rescued")
    assert talk.collect() == []
    talk.connect()
    assert [type(message) for message in talk.collect()] == [m.Items]


def test_drained_ends_when_the_shutdown_is_told_again(talk: Talk) -> None:
    talk.hear(m.Shutdown(1), m.Nothing(0))
    assert talk.session.drained
    talk.hear(m.Shutdown(1))
    assert not talk.session.drained


def test_before_a_shutdown_nothing_does_not_mean_drained(talk: Talk) -> None:
    ticket = talk.session.ask_for_item()
    talk.collect()
    talk.hear(m.Nothing(ticket))
    assert not talk.session.drained


def test_the_next_leader_says_for_itself_whether_all_is_drained(talk: Talk) -> None:
    talk.session.getters = set(range(1))
    talk.collect()
    talk.hear(m.Shutdown(1), m.Nothing(0))
    talk.session.disconnect()
    assert not talk.session.drained
    talk.connect(shutdown=1)
    assert (talk.session.shutdown, talk.session.drained) == (1, False)
    assert len(talk.collected(m.Want)) == 1


def test_a_group_that_has_revived_is_not_shut_down(talk: Talk) -> None:
    talk.hear(m.Shutdown(1))
    talk.connect(shutdown=0)
    assert talk.session.shutdown == 0


@pytest.mark.parametrize("state", [0, 1, 2])
def test_only_a_shutdown_at_once_drops_what_is_on_its_way(talk: Talk, state: int) -> None:
    talk.hear(m.Shutdown(state))
    assert not talk.session.dropped
    talk.put(b"under way")
    talk.hear(m.Shutdown(state))
    assert talk.session.dropped is (state == 2)


# Recalls


def test_what_is_recalled_is_given_back(talk: Talk) -> None:
    talk.hear(grant(0, b"a", b"b", b"c"))
    talk.inbox.take(bytes, False)
    talk.hear(m.Recall(m.RECALL_ITEMS))
    assert talk.inbox.count == 0
    assert talk.collect() == [m.Return(1)]
    assert talk.collect() == []


def test_what_is_granted_stays_when_only_credit_is_recalled(talk: Talk) -> None:
    talk.hear(grant(0, b"a"))
    talk.hear(m.Recall(m.RECALL_CREDIT))
    assert talk.collect() == [m.ReturnCredit(0)]
    assert talk.inbox.count == 1


def test_a_recall_of_nothing_is_answered_too(talk: Talk) -> None:
    talk.hear(m.Recall(m.RECALL_ITEMS | m.RECALL_CREDIT))
    assert talk.collect() == [m.Return(0), m.ReturnCredit(0)]


def test_what_is_recalled_is_answered_before_anything_is_asked(talk: Talk) -> None:
    talk.hear(grant(0, b"a", b"b"))
    talk.session.getters = set(range(1))
    talk.hear(m.Recall(m.RECALL_ITEMS))
    assert [type(message) for message in talk.collect()] == [m.Return, m.Want]


def test_a_grant_that_crossed_the_return_is_dropped_and_asked_for_again(talk: Talk) -> None:
    talk.session.getters = set(range(1))
    talk.hear(grant(0, b"a", b"b"))
    talk.hear(m.Recall(m.RECALL_ITEMS))
    talk.collect()
    talk.hear(grant(2, b"c"))
    assert talk.inbox.count == 0
    assert len(talk.collected(m.Want)) == 1


@pytest.mark.parametrize("by_word", [False, True])
def test_a_grant_that_crossed_a_return_of_nothing_is_dropped_too(talk: Talk, by_word: bool) -> None:
    talk.hear(grant(0, b"a"))
    talk.inbox.take(bytes, False)
    if by_word:
        assert talk.session.answer_attention(2) == m.Return(1)
    else:
        talk.hear(m.Recall(m.RECALL_ITEMS))
    talk.hear(grant(1, b"b"))
    assert talk.inbox.count == 0
    talk.hear(grant(1, b"b", returns=1))
    assert talk.inbox.count == 1


def test_each_return_counts(talk: Talk) -> None:
    for returns in range(3):
        talk.hear(grant(0, b"a", returns=returns))
        assert talk.inbox.count == 1
        talk.hear(m.Recall(m.RECALL_ITEMS))


def test_returns_are_counted_by_the_connection(talk: Talk) -> None:
    talk.hear(m.Recall(m.RECALL_ITEMS))
    talk.connect()
    talk.hear(grant(0, b"a", returns=0))
    assert talk.inbox.count == 1


def test_the_mapped_word_asks_for_the_cursor_or_the_rest(talk: Talk) -> None:
    talk.hear(grant(0, b"a", b"b"))
    talk.inbox.take(bytes, False)
    assert talk.session.answer_attention(1) == m.Taken(1)
    assert talk.inbox.count == 1
    assert talk.session.answer_attention(2) == m.Return(1)
    assert talk.inbox.count == 0


# Credit


def test_who_waits_for_room_asks_once(talk: Talk) -> None:
    talk.session.putters = set(range(2))
    assert talk.collect() == [m.WantCredit(2, 0)]
    assert talk.collect() == []
    talk.give_credit(2)
    assert talk.session.credit == 2


def test_who_waits_for_room_no_longer_says_so_once(talk: Talk) -> None:
    talk.session.putters = set(range(1))
    talk.collect()
    talk.session.putters = set(range(0))
    assert talk.collect() == [m.WantCredit(0, 0)]
    assert talk.collect() == []
    talk.session.putters = set(range(1))
    assert talk.collect() == [m.WantCredit(1, 0)]


def test_for_what_there_is_room_nobody_asks(talk: Talk) -> None:
    talk.give_credit(2)
    talk.session.putters = set(range(2))
    assert talk.collect() == []
    talk.session.putters = set(range(3))
    assert talk.collect() == [m.WantCredit(3, 0)]


def test_no_room_for_one_does_not_end_the_wait_of_another(talk: Talk) -> None:
    talk.session.putters = set(range(1))
    ticket = talk.session.ask_for_credit()
    talk.collect()
    talk.hear(m.Nothing(ticket))
    assert talk.collect() == [m.WantCredit(1, 0)]


def test_credit_adds_up(talk: Talk) -> None:
    talk.give_credit(2)
    talk.give_credit(3)
    assert talk.session.credit == 5


def test_after_credit_who_still_waits_asks_again(talk: Talk) -> None:
    talk.session.putters = set(range(3))
    talk.collect()
    talk.give_credit(1)
    assert talk.collect() == [m.WantCredit(3, 0)]


def test_room_now_or_never(talk: Talk) -> None:
    ticket = talk.session.ask_for_credit()
    assert talk.collect() == [m.WantCredit(0, ticket)]
    assert not talk.session.is_answered(ticket)
    talk.hear(m.Nothing(ticket))
    assert talk.session.is_answered(ticket)
    ticket = talk.session.ask_for_credit()
    talk.give_credit(1)
    assert talk.session.is_answered(ticket)


def test_no_room_says_nothing_of_items(talk: Talk) -> None:
    item, room = talk.session.ask_for_item(), talk.session.ask_for_credit()
    talk.collect()
    talk.hear(m.Nothing(room))
    assert talk.session.is_answered(room)
    assert not talk.session.is_answered(item)


def test_credit_is_claimed_until_the_item_it_paid_for_is_in_the_journal(talk: Talk) -> None:
    talk.give_credit(3)
    assert talk.claimed == 3
    talk.use_credit()
    talk.use_credit()
    assert talk.claimed == 3
    talk.collect()
    talk.hear(m.Ack(2))
    assert talk.claimed == 1
    talk.connect(last_seq=2)
    assert talk.claimed == 1
    talk.use_credit()
    talk.collect()
    talk.hear(m.Ack(3))
    assert talk.claimed == 0
    talk.connect(last_seq=3)
    assert talk.claimed == 0


def test_what_was_put_without_credit_settles_no_more_than_was_given(talk: Talk) -> None:
    talk.put(b"a", b"b", b"c")
    talk.collect()
    talk.give_credit(1)
    talk.hear(m.Ack(3))
    assert talk.claimed == 0
    talk.put(b"d")
    talk.collect()
    talk.hear(m.Ack(4))
    assert talk.claimed == 0
    talk.give_credit(2)
    assert talk.claimed == 2


def test_unused_credit_is_given_back_when_it_is_recalled(talk: Talk) -> None:
    talk.give_credit(5)
    talk.use_credit()
    talk.hear(m.Recall(m.RECALL_CREDIT))
    assert (talk.session.credit, talk.claimed) == (0, 1)
    assert talk.collected(m.ReturnCredit) == [m.ReturnCredit(4)]
    talk.give_credit(2)
    talk.hear(m.Recall(m.RECALL_CREDIT))
    assert (talk.session.credit, talk.claimed) == (0, 1)


def test_credit_that_was_not_read_is_not_claimed_from_the_next_leader(talk: Talk) -> None:
    talk.give_credit(2)
    talk.file.words[CREDITED] += 7
    talk.use_credit()
    hello = talk.session.hello()
    assert about(hello)["credit"] == 2
    assert talk.claimed == 2


def test_what_the_next_leader_has_already_is_not_claimed(talk: Talk) -> None:
    talk.give_credit(3)
    talk.use_credit()
    talk.collect()
    talk.use_credit()
    hello = talk.connect(last_seq=1)
    assert about(hello) == {"mode": "dual", "credit": 2, "last_seq": 1}
    assert talk.claimed == 2


def test_what_was_withdrawn_before_it_was_sent_gives_its_room_back(talk: Talk) -> None:
    talk.give_credit(1)
    call = Call()
    assert talk.session.credit == 1
    talk.put(b"asks", call=call)
    talk.session.withdraw(call)
    assert talk.collect() == []
    assert talk.session.credit == 1
    assert talk.claimed == 1


def test_in_an_unbounded_group_nothing_is_claimed(talk: Talk) -> None:
    call = Call()
    talk.put(b"asks", call=call)
    talk.session.withdraw(call)
    talk.put(b"a")
    talk.collect()
    talk.hear(m.Ack(1))
    assert (max(talk.session.credit, 0), talk.claimed) == (0, 0)


# Calls


def test_a_reply_answers_its_call_and_is_confirmed(talk: Talk) -> None:
    first, second = Call(), Call()
    talk.put(b"a", call=first)
    talk.put(b"b", call=second)
    talk.collect()
    talk.hear(m.Reply(2, m.REPLY_VALUE, memoryview(b"two")))
    assert (first.answer, second.answer) == (None, (m.REPLY_VALUE, b"two"))
    assert talk.confirmed() == [m.Heard(2)]


def test_a_reply_acknowledges_all_that_was_put_before(talk: Talk) -> None:
    talk.put(b"a")
    talk.put(b"b", call=Call())
    talk.put(b"c", call=Call())
    talk.collect()
    talk.hear(m.Reply(2, m.REPLY_VALUE, b"two"))
    assert [items.first_seq for items in talk.outbox.unacked] == [2]
    talk.hear(m.Reply(3, m.REPLY_VALUE, b"three"))
    assert talk.outbox.waiting == 0


def test_that_a_reply_was_heard_goes_with_the_next_thing_that_is_said(talk: Talk) -> None:
    talk.put(b"a", call=Call())
    talk.collect()
    talk.hear(m.Reply(1, m.REPLY_VALUE, b""))
    assert talk.session.due == talk.now + HEARD_LATE
    assert talk.collect() == []
    talk.put(b"b")
    assert [type(message) for message in talk.collect()] == [m.Items, m.Heard]
    assert talk.session.due is None


def test_many_heard_replies_are_confirmed_at_once(talk: Talk) -> None:
    for number in range(1, MANY_HEARD + 1):
        talk.hear(m.Reply(number, m.REPLY_VALUE, b""))
        assert (talk.collect() == []) == (number < MANY_HEARD)


def test_a_repeated_reply_is_confirmed_again_and_changes_nothing(talk: Talk) -> None:
    call = Call()
    talk.put(b"a", call=call)
    talk.collect()
    talk.hear(m.Reply(1, m.REPLY_VALUE, b"first"))
    talk.collect()
    talk.hear(m.Reply(1, m.REPLY_VALUE, b"second"))
    assert call.answer == (m.REPLY_VALUE, b"first")
    assert talk.confirmed() == [m.Heard(1), m.Heard(1)]


def test_what_was_heard_and_not_said_is_forgotten_with_the_leader_that_said_it(talk: Talk) -> None:
    talk.hear(m.Reply(1, m.REPLY_VALUE, b""))
    talk.connect()
    assert (talk.confirmed(), talk.session.due) == ([], None)


def test_who_has_a_callback_is_called_by_somebody_else(talk: Talk) -> None:
    called: list[Call] = []
    call = Call(called.append)
    talk.put(b"a", call=call)
    talk.collect()
    talk.hear(m.Reply(1, m.REPLY_VALUE, b""))
    assert called == []
    assert list(talk.session.completed) == [call]
    other = Call(called.append)
    talk.put(b"b", call=other)
    talk.collect()
    talk.hear(m.Reply(2, m.REPLY_VALUE, b""))
    assert list(talk.session.completed) == [call, other]


def test_a_call_is_withdrawn_until_the_leader_has_said_what_became_of_it(talk: Talk) -> None:
    call = Call()
    assert call.gone is None
    talk.put(b"a", call=call)
    talk.collect()
    talk.session.withdraw(call)
    assert talk.collect() == [m.Withdraw(1)]
    talk.session.withdraw(call)
    assert talk.collect() == []
    talk.connect(last_seq=1)
    assert talk.collect() == [m.Withdraw(1)]
    talk.hear(m.Withdrawn(1, 1))
    assert (call.gone, talk.outbox.calls) == (True, {})
    talk.connect(last_seq=1)
    assert talk.collect() == []


def test_a_withdrawal_is_said_before_its_item_so_that_nobody_gets_it_in_between(talk: Talk) -> None:
    call = Call()
    talk.put(b"a", call=call)
    talk.outbox.cut()
    talk.session.withdraw(call)
    assert [type(message) for message in talk.collect()] == [m.Withdraw, m.Items]


def test_a_call_whose_item_was_got_is_answered_though_it_was_withdrawn(talk: Talk) -> None:
    call = Call()
    talk.put(b"a", call=call)
    talk.collect()
    talk.session.withdraw(call)
    talk.hear(m.Withdrawn(1, 0))
    assert (call.gone, call.answer) == (False, None)
    talk.hear(m.Reply(1, m.REPLY_VALUE, b"late"))
    assert call.answer == (m.REPLY_VALUE, b"late")


def test_an_answered_call_is_not_withdrawn(talk: Talk) -> None:
    call = Call()
    talk.put(b"a", call=call)
    talk.collect()
    talk.hear(m.Reply(1, m.REPLY_VALUE, b""))
    talk.session.withdraw(call)
    assert talk.collected(m.Withdraw) == []


def test_a_reply_ends_the_withdrawal(talk: Talk) -> None:
    call = Call()
    talk.put(b"a", call=call)
    talk.collect()
    talk.session.withdraw(call)
    talk.collect()
    talk.hear(m.Reply(1, m.REPLY_VALUE, b""))
    talk.connect(last_seq=1)
    assert talk.collected(m.Withdraw) == []


# Questions


@pytest.mark.parametrize("what", ["reply", "result", "withdrawn"])
def test_what_is_interrupted_while_it_is_heard_is_heard_when_it_is_told_again(what: str) -> None:
    """A signal handler may raise at any call; the connection is dropped then, and the leader repeats itself."""
    for interrupted_at in range(1000):
        talk = Talk()
        talk.connect()
        completed: list[Call] = []
        call = Call(completed.append)
        talk.put(b"a", call=call)
        question = talk.session.ask({"do": "count"})
        talk.collect()
        if what == "withdrawn":
            talk.session.withdraw(call)
            talk.collect()
        told: m.Message = {
            "reply": m.Reply(1, m.REPLY_VALUE, b"yes"),
            "result": m.Result(1, pack_result({"queued": 7})),
            "withdrawn": m.Withdrawn(1, 1),
        }[what]
        if hear_until_call(talk, told, interrupted_at):
            return
        talk.connect(last_seq=1)
        again = talk.collect()
        if what == "reply":
            talk.hear(told)
            assert call.answer == (m.REPLY_VALUE, b"yes")
            assert list(talk.session.completed) == [call]
        elif what == "result":
            assert question.answer is not None or [type(message) for message in again] == [m.Request]
        else:
            assert call.gone or m.Withdraw(1) in again
    pytest.fail("never heard to the end")


def hear_until_call(talk: Talk, message: m.Message, number: int) -> bool:
    """Hears the message, but for a signal handler that raises at the end of so many calls; True if there are fewer."""
    count = 0

    def interrupt(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        if event in {"return", "c_return"} and frame.f_code is not Talk.hear.__code__:
            count += 1
            if count > number:
                sys.setprofile(None)
                raise KeyboardInterrupt

    sys.setprofile(interrupt)
    try:
        talk.session.receive(message, talk.now)
    except KeyboardInterrupt:
        return False
    finally:
        sys.setprofile(None)
    return True


def test_a_question_is_asked_once_and_answered_once(talk: Talk) -> None:
    question = talk.session.ask({"do": "peek", "n": 2})
    (request,) = talk.collected(m.Request)
    assert json.loads(bytes(request.body)) == {"do": "peek", "n": 2}
    assert talk.collect() == []
    talk.hear(m.Result(request.ticket, pack_result({"items": []}, [b"payload"])))
    assert question.answer is not None
    value, payloads = question.answer
    assert (value, bytes(payloads)) == ({"items": []}, b"payload")
    talk.connect()
    assert talk.collect() == []


def test_answers_find_their_questions(talk: Talk) -> None:
    questions = [talk.session.ask({"do": "count", "n": number}) for number in range(3)]
    requests = talk.collected(m.Request)
    for number, request in reversed(list(enumerate(requests))):
        talk.hear(m.Result(request.ticket, pack_result({"n": number}, [])))
    assert [question.answer[0]["n"] for question in questions if question.answer] == [0, 1, 2]


def test_a_forgotten_question_is_not_asked_and_its_answer_not_awaited(talk: Talk) -> None:
    question = talk.session.ask({"do": "stats"})
    talk.session.forget(question)
    assert talk.collect() == []
    talk.hear(m.Result(1, pack_result({}, [])))
    assert question.answer is None
