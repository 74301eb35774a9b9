"""What callers and operators ask of the leader: withdraw, count, look, clear, join, shut down, retry."""

from __future__ import annotations

import pytest

from groupqueue.core import broker as b
from groupqueue.core import messages as m
from groupqueue.core.broker import GRACE, LOOK, PATIENCE, pack_result, unpack_result
from groupqueue.core.inbox import ATTENTION
from groupqueue.core.records import Kind
from tests.core.fakes import FakeMember, Group


def numbered(count: int, start: int = 0) -> list[bytes]:
    return [b"%d" % number for number in range(start, start + count)]


def looked_at(member: FakeMember) -> list[bytes]:
    """The payloads of the last Result."""
    value, payloads = unpack_result(member.last(m.Result).body)  # type: ignore[union-attr]
    found = []
    start = 0
    for about in value["items"]:
        found.append(bytes(payloads[start : start + about["size"]]))
        start += about["size"]
    assert start == len(payloads)
    return found


# Withdrawing


def test_a_ready_item_is_withdrawn(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", b"c", reply=True)
    p.say(m.Withdraw(2))
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 1)]
    assert [c.get().payload, c.get().payload] == [b"a", b"c"]
    c.want(0)
    assert group.state.unfinished == 2


def test_a_withdrawn_item_stays_withdrawn_for_the_next_leader(group: Group) -> None:
    p = group.member()
    p.put(b"a", b"b", reply=True)
    p.say(m.Withdraw(1))
    group.lead()
    c = group.member()
    assert c.get().payload == b"b"
    assert group.state.ready == 0


def test_a_granted_item_is_asked_for_at_once_and_withdrawn_when_it_returns(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", reply=True)
    c.want(2)
    p.say(m.Withdraw(2))
    assert c.all(m.Recall) == [m.Recall(m.RECALL_ITEMS)]
    assert p.all(m.Withdrawn) == []
    c.take()
    c.give_back()
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 1)]
    assert group.state.queued == 0


def test_an_item_that_is_taken_before_it_returns_is_not_withdrawn(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b", reply=True)
    c.want(2)
    p.say(m.Withdraw(2))
    c.take()
    item = c.take()
    c.give_back()
    assert p.all(m.Withdrawn) == [m.Withdrawn(2, 0)]
    c.answer(item)
    assert [reply.seq for reply in p.all(m.Reply)] == [2]


def test_a_taken_item_is_not_withdrawn(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    item = c.get()
    p.say(m.Withdraw(1))
    assert p.all(m.Withdrawn) == [m.Withdrawn(1, 0)]
    c.answer(item)
    p.say(m.Withdraw(1))
    assert p.all(m.Withdrawn)[1:] == [m.Withdrawn(1, 0)]


def test_what_was_never_put_is_not_withdrawn(group: Group) -> None:
    p, q = group.member(), group.member()
    q.put(b"a", reply=True)
    p.say(m.Withdraw(1))
    assert p.all(m.Withdrawn) == [m.Withdrawn(1, 0)]
    assert group.state.queued == 1


def test_an_item_that_waits_for_another_attempt_is_withdrawn(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    c.requeue(c.get())
    p.say(m.Withdraw(1))
    assert p.all(m.Withdrawn) == [m.Withdrawn(1, 1)]
    assert group.state.unfinished == 0


def test_an_item_is_withdrawn_when_its_holder_dies_with_it_untaken(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    c.want()
    p.say(m.Withdraw(1))
    c.die()
    assert p.all(m.Withdrawn) == [m.Withdrawn(1, 1)]


def test_an_item_is_withdrawn_also_when_its_producer_is_gone_by_then(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True)
    c.want()
    p.say(m.Withdraw(1))
    p.disconnect()
    c.give_back()
    assert group.state.queued == 0


# Counting and looking


def test_counts_are_of_this_moment(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(5))
    c.want(3)
    c.take()
    c.take(hold=True)
    assert p.ask("count") == {"queued": 3, "unfinished": 4}


def test_stats_tell_the_whole_group(group: Group) -> None:
    p, c, d = group.member(), group.member("client"), group.member("master")
    p.put(*numbered(6))
    c.want(3)
    c.fail(c.take(hold=True))
    c.take(hold=True)
    c.take()
    c.want(0)
    d.want(1)
    d.want(1)
    assert len(d.granted) == 2
    group.member().want(2)
    c.want(3)
    stats = p.ask("stats")
    modes = {pid: mode for pid, mode, _ in stats.pop("members")}
    assert modes == {7001: "dual", 7002: "client", 7003: "master", 7004: "dual"}
    assert stats == {
        "epoch": 1,
        "ready": 3,
        "in_flight": 1,
        "waiting_getters": 5,
        "waiting_putters": 0,
        "failed": 1,
        "bytes": 6 * 4 + 6,
        "total_put": 6,
        "total_finished": 1,
        "lost": 0,
        "shutdown": 0,
    }


def test_putters_that_wait_are_counted() -> None:
    group = Group(maxsize=1)
    p, q = group.member(), group.member()
    p.want_credit(1)
    p.put(b"a")
    p.use_credit(1)
    q.want_credit(3)
    assert p.ask("stats")["waiting_putters"] == 3


def test_peek_shows_what_comes_next_and_takes_nothing(group: Group) -> None:
    p, q, c = group.member(), group.member(), group.member()
    p.put(b"1", b"2")
    q.put(b"3", reply=True)
    p.put(b"4")
    c.want()
    told = q.ask("peek", n=3)
    assert looked_at(q) == [b"1", b"2", b"3"]
    assert [(about["id"], about["attempt"], about["pid"], about["wants_reply"]) for about in told["items"]] == [
        (1, 1, 7001, False),
        (2, 1, 7001, False),
        (3, 1, 7002, True),
    ]
    assert group.state.queued == 4


def test_peek_beyond_the_end_shows_what_there_is(group: Group) -> None:
    p = group.member()
    assert p.ask("peek", n=5) == {"items": []}
    p.put(b"1")
    p.ask("peek", n=5)
    assert looked_at(p) == [b"1"]


def test_the_failed_list_tells_why(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(3))
    for reason in (b"first", b"second"):
        c.fail(c.get(hold=True), reason)
    told = p.ask("failed")
    assert [(about["id"], about["reason"]) for about in told["items"]] == [(1, "first"), (2, "second")]
    assert looked_at(p) == [b"0", b"1"]


def test_the_failed_list_survives_the_leader(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.fail(c.get(hold=True), b"why")
    group.lead()
    p.hello()
    assert [about["reason"] for about in p.ask("failed")["items"]] == ["why"]
    assert looked_at(p) == [b"a"]


def test_what_failed_is_put_back_to_its_place(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(4), reply=True, max_attempts=1)
    c.want(2)
    c.fail(c.take(hold=True))
    c.take()
    c.die()
    assert p.ask("requeue_failed") == {"count": 2}
    d = group.member()
    got = [d.get() for _ in range(4)]
    assert [(item.payload, item.attempt) for item in got] == [(b"0", 1), (b"1", 1), (b"2", 1), (b"3", 1)]
    assert p.ask("requeue_failed") == {"count": 0}


def test_what_was_put_back_may_be_answered_anew(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", reply=True, max_attempts=1)
    c.get()
    c.die()
    p.ask("requeue_failed")
    d = group.member()
    d.answer(d.get(), b"at last")
    assert [reply.status for reply in p.all(m.Reply)] == [m.REPLY_LOST, m.REPLY_VALUE]


def test_any_number_of_failed_items_is_put_back(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(b, "MAX_IDS", 10)
    p, c = group.member(), group.member()
    p.put(*numbered(25))
    for _ in range(25):
        c.fail(c.get(hold=True))
    assert p.ask("requeue_failed") == {"count": 25}
    assert [len(entry.words) for entry in group.journal.ledger if entry.kind == Kind.RETRY] == [10, 10, 5]
    assert [c.get().payload for _ in range(25)] == numbered(25)


def test_an_unknown_question_is_answered(group: Group) -> None:
    assert group.member().ask("dance") == {"error": "unknown request 'dance'"}


def test_a_result_is_json_and_payloads() -> None:
    value, payloads = unpack_result(pack_result({"a": [1, "ü"]}, [b"12", b"", b"345"]))
    assert (value, bytes(payloads)) == ({"a": [1, "ü"]}, b"12345")


# Clear


def test_clear_drops_what_nobody_has_got(group: Group) -> None:
    p, q, c = group.member(), group.member(), group.member()
    p.put(*numbered(3))
    q.put(b"q")
    held = c.get(hold=True)
    assert p.ask("clear") == {"count": 3}
    assert (group.state.queued, list(group.state.held)) == (0, [held.id])
    group.lead()
    assert group.state.queued == 0


def test_clear_first_asks_back_what_is_granted(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(5))
    c.want(3)
    ticket = len(p.heard) + 1
    assert p.ask("clear") is None
    assert c.all(m.Recall) == [m.Recall(m.RECALL_ITEMS)]
    c.take()
    c.give_back()
    assert p.answer_to(ticket) == {"count": 4}


def test_clear_does_not_wait_for_who_does_not_answer(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(5))
    c.want(3)
    ticket = len(p.heard) + 1
    p.ask("clear")
    group.wait(GRACE)
    assert p.answer_to(ticket) == {"count": 2}
    assert c.payloads == numbered(3)


def test_who_waits_for_a_cleared_item_is_told_so(group: Group) -> None:
    p = group.member()
    p.put(b"a", b"b", reply=True)
    p.put(b"c")
    assert p.ask("clear") == {"count": 3}
    assert [(reply.seq, reply.status) for reply in p.all(m.Reply)] == [(1, m.REPLY_LOST), (2, m.REPLY_LOST)]


def test_clear_takes_any_number_of_batches(group: Group) -> None:
    p = group.member()
    for payload in numbered(600):
        group.broker.receive(p.peer, p.batch(payload), group.now)
    assert p.ask("clear") == {"count": 600}
    assert max(len(entry.words) for entry in group.journal.ledger) <= 1000


def test_the_failed_list_is_not_cleared(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.fail(c.get(hold=True))
    assert p.ask("clear") == {"count": 0}
    assert len(group.state.failed) == 1


def test_clear_makes_room_where_there_is_none(group: Group) -> None:
    p = group.member()
    p.put(b"a", reply=True)
    group.journal.full = True
    assert p.ask("clear") == {"count": 1}


# Join


def test_join_with_nothing_unfinished_is_answered_at_once(group: Group) -> None:
    assert group.member().ask("join") == {"count": 0}


def test_join_waits_until_all_is_got_and_finished(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a", b"b")
    assert p.ask("join") is None
    ticket = 2 + 1
    first = c.get(hold=True)
    second = c.get(hold=True)
    c.done(first)
    assert p.last(m.Result) is None
    c.done(second)
    assert p.answer_to(ticket) == {"count": 0}


def test_join_hears_of_a_plain_take(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.want()
    p.ask("join")
    assert c.file.words[ATTENTION] == 1
    c.take()
    c.say(m.Taken(1))
    assert p.last(m.Result) is not None


def test_join_sees_a_take_that_nobody_told(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    c.want()
    p.ask("join")
    c.take()
    group.wait(LOOK)
    assert p.last(m.Result) is not None


def test_join_does_not_wait_for_what_failed(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    p.ask("join")
    c.fail(c.get(hold=True))
    assert p.last(m.Result) is not None


def test_join_waits_for_what_comes_back_from_the_dead(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"a")
    p.ask("join")
    c.get(hold=True)
    c.die()
    assert p.last(m.Result) is None
    d.done(d.get(hold=True))
    assert p.last(m.Result) is not None


def test_who_joined_and_went_is_not_answered(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(b"a")
    p.ask("join")
    p.disconnect()
    c.get()
    c.want(0)
    p.hello()
    assert p.all(m.Result) == []


# Shutdown


def test_everybody_is_told_of_a_shutdown(group: Group) -> None:
    p, c = group.member(), group.member()
    p.ask("shutdown")
    assert p.all(m.Shutdown) == c.all(m.Shutdown) == [m.Shutdown(1)]


def test_after_a_shutdown_getters_drain_and_then_hear_that_there_is_nothing(group: Group) -> None:
    p, c, waiting = group.member(), group.member(), group.member()
    p.put(b"a", b"b")
    p.ask("shutdown")
    assert c.get().payload == b"a"
    assert c.get().payload == b"b"
    c.want()
    assert c.last(m.Nothing) == m.Nothing(0)
    waiting.want()
    assert waiting.last(m.Nothing) == m.Nothing(0)


def test_who_waits_already_hears_of_the_shutdown_and_that_there_is_nothing(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want()
    p.ask("shutdown")
    kinds = [type(message) for message in c.heard]
    assert kinds.index(m.Shutdown) < kinds.index(m.Nothing)


def test_after_a_shutdown_getters_wait_for_what_may_come_back(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    p.put(b"a", b"b")
    c.want(2)
    p.ask("shutdown")
    d.want()
    group.wait(PATIENCE)
    assert d.all(m.Nothing) == []
    c.give_back()
    assert d.payloads == [b"a"]


def test_what_was_on_its_way_at_a_shutdown_is_accepted(group: Group) -> None:
    p, c = group.member(), group.member()
    c.ask("shutdown")
    p.put(b"a")
    assert p.last(m.Ack) == m.Ack(1)
    assert c.get().payload == b"a"


def test_a_shutdown_at_once_drops_everything(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(3))
    p.put(b"asked", reply=True)
    assert c.ask("shutdown", immediate=True) == {"count": 4}
    assert p.all(m.Shutdown) == c.all(m.Shutdown) == [m.Shutdown(2)]
    assert [reply.status for reply in p.all(m.Reply)] == [m.REPLY_LOST]
    assert group.state.queued == 0


def test_what_was_on_its_way_at_a_shutdown_at_once_is_acknowledged_and_dropped(group: Group) -> None:
    p, c = group.member(), group.member()
    c.ask("shutdown", immediate=True)
    p.put(b"a")
    assert p.last(m.Ack) == m.Ack(1)
    assert group.state.queued == 0


def test_a_shutdown_becomes_one_at_once_and_not_the_other_way_round(group: Group) -> None:
    p = group.member()
    p.ask("shutdown")
    p.ask("shutdown", immediate=True)
    p.ask("shutdown")
    assert p.all(m.Shutdown) == [m.Shutdown(1), m.Shutdown(2), m.Shutdown(2)]


def test_a_shutdown_outlives_the_leader(group: Group) -> None:
    p = group.member()
    p.ask("shutdown")
    group.lead()
    p.hello()
    assert p.last(m.Welcome).shutdown == 1  # type: ignore[union-attr]


def test_the_group_revives_in_its_next_generation(group: Group) -> None:
    p = group.member()
    p.put(b"a")
    p.ask("shutdown")
    p.die()
    group.generation = 2
    group.lead()
    q = group.member()
    assert q.last(m.Welcome).shutdown == 0  # type: ignore[union-attr]
    assert q.get().payload == b"a"
    group.lead()
    assert group.state.shutdown == 0


# Greetings


def test_a_member_is_welcomed_with_what_it_must_know(group: Group) -> None:
    p = group.member()
    p.put(b"a", b"b")
    group.lead()
    p.hello()
    assert p.last(m.Welcome) == m.Welcome(m.VERSION, 2, 1000, 2, 0, 0)


def test_each_leader_has_an_epoch_of_its_own(group: Group) -> None:
    epochs = []
    for _ in range(3):
        group.lead()
        epochs.append(group.member().last(m.Welcome).epoch)  # type: ignore[union-attr]
    assert epochs == [2, 3, 4]


def test_a_member_that_connects_twice_is_one_member(group: Group) -> None:
    p, c = group.member(), group.member()
    c.want()
    c.hello()
    p.put(b"a")
    assert c.all(m.Grant) == []
    assert len(group.broker.peers) == 2


def test_who_leads_is_told_apart(group: Group) -> None:
    p = group.member()
    group.broker.hello(m.Hello(m.VERSION, 99, 7099, 0, 0, b'{"mode": "dual"}'), role="leader")
    group.members[99] = p
    assert [7099, "dual", "leader"] in p.ask("stats")["members"]
