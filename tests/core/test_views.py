"""What operators see: the group as it is at this moment, and unchanged."""

from __future__ import annotations

import pytest

from groupqueue.core import messages as m
from groupqueue.core import views
from groupqueue.core.results import unpack_result
from tests.core.fakes import FakeMember, Group, numbered


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
    assert p.ask("peek", n=5) == {"items": [], "more": False}
    p.put(b"1")
    p.ask("peek", n=5)
    assert looked_at(p) == [b"1"]


def test_a_view_of_many_items_comes_in_pages(group: Group, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views, "PAGE_BYTES", 25)
    p, c = group.member(), group.member()
    p.put(*(b"ten bytes." for _ in range(8)))
    for _ in range(4):
        c.fail(c.get(hold=True))
    for do, first in (("failed", 1), ("peek", 5)):
        page = p.ask(do, **({"n": 100} if do == "peek" else {}))
        assert ([about["id"] for about in page["items"]], page["more"]) == ([first, first + 1, first + 2], True)
        page = p.ask(do, after=first + 2, **({"n": 100} if do == "peek" else {}))
        assert ([about["id"] for about in page["items"]], page["more"]) == ([first + 3], False)


@pytest.mark.parametrize(("size", "shown"), [(4, 2), (7, 2), (8, 1), (9, 1)])
def test_a_page_ends_with_the_item_that_fills_it(
    group: Group, monkeypatch: pytest.MonkeyPatch, size: int, shown: int
) -> None:
    monkeypatch.setattr(views, "PAGE_BYTES", 8)
    p = group.member()
    p.put(*[bytes(size)] * 3)
    page = p.ask("peek", n=100)
    assert (len(page["items"]), page["more"]) == (shown, True)


def test_who_does_not_say_how_much_to_peek_at_sees_one(group: Group) -> None:
    p = group.member()
    p.put(*numbered(3))
    assert len(p.ask("peek")["items"]) == 1


def test_a_view_tells_an_items_own_attempt(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(2))
    c.requeue(c.get(hold=True))
    assert [about["attempt"] for about in p.ask("peek", n=2)["items"]] == [2, 1]
    c.fail(c.get(hold=True))
    assert [about["attempt"] for about in p.ask("failed")["items"]] == [2]


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
