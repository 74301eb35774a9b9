"""What is cut out of a batch is what was put."""

from __future__ import annotations

from groupqueue.core import messages as m
from tests.core.fakes import Group, numbered


def test_the_parts_of_a_batch_are_the_right_bytes(group: Group) -> None:
    p, c = group.member(), group.member()
    items = [bytes([number]) * number for number in range(40)]
    p.put(*items)
    got = []
    for count in (1, 3, 7, 2, 13, 5, 9):
        c.want(count)
        while c.granted:
            got.append(c.take().payload)
    assert got == items


def test_the_parts_are_the_right_bytes_also_out_of_order(group: Group) -> None:
    p, c, d = group.member(), group.member(), group.member()
    items = [bytes([number]) * number for number in range(1, 21)]
    p.put(*items)
    c.want(20)
    held = [c.take(hold=True) for _ in range(20)]
    for index in (12, 3, 19, 0, 7):
        c.requeue(held[index])
    for index in (0, 3, 7, 12, 19):
        item = d.get()
        assert (item.payload, item.id) == (items[index], held[index].id)


def test_items_of_one_grant_tell_their_own_attempts(group: Group) -> None:
    p, c = group.member(), group.member()
    p.put(*numbered(6))
    c.want(6)
    held = [c.take(hold=True) for _ in range(6)]
    for item in held:
        c.requeue(item)
    c.want(2, spent=1.0)
    for _ in range(2):
        c.requeue(c.take(hold=True))
    c.want(6)
    assert [item.attempt for item in c.granted] == [3, 3, 2, 2, 2, 2]
    assert {item.pid for item in c.granted} == {7001}
    assert len(c.last(m.Grant).entries) == 2  # type: ignore[union-attr]
    assert c.payloads == numbered(6)
