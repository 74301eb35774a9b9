"""
What was granted, until get returns it: the cursor is stored last, and a decoder may do anything.

The cursor and the ring are what a leader reads after this process has died, so each test looks at them as it would.
"""

from __future__ import annotations

import struct
from typing import Any

import pytest

from groupqueue.core import messages as m
from groupqueue.core.inbox import ATTENTION, COPIED, OPENED, RING, TAKEN, Inbox
from tests.core.fakes import Words


def entry(first_id: int, *payloads: bytes, flags: int = 0, attempt: int = 1, pid: int = 7) -> m.Entry:
    sizes = struct.pack(f"<{len(payloads)}I", *map(len, payloads))
    return m.Entry(first_id, len(payloads), flags, attempt, pid, sizes, b"".join(payloads))


def grant(position: int, *entries: m.Entry) -> m.Grant:
    return m.Grant(position, 0, entries)


@pytest.fixture
def file() -> Words:
    return Words()


@pytest.fixture
def inbox(file: Words) -> Inbox:
    return Inbox(file.words, file.ring)


def marks(file: Words, count: int) -> list[int]:
    return list(file.ring[:count])


# Taking


def test_items_are_taken_in_the_order_they_were_granted(inbox: Inbox) -> None:
    inbox.add(grant(0, entry(1, b"a", b""), entry(9, b"ccc")))
    inbox.add(grant(3, entry(10, b"d")))
    assert (inbox.count, inbox.received) == (4, 4)
    items = [inbox.take(bytes, False) for _ in range(4)]
    assert [(item.obj, item.id) for item in items if item] == [(b"a", 1), (b"", 2), (b"ccc", 9), (b"d", 10)]
    assert inbox.take(bytes, False) is None
    assert inbox.count == 0


def test_an_item_tells_what_its_entry_told(inbox: Inbox) -> None:
    inbox.add(grant(0, entry(5, b"a", flags=m.WANTS_REPLY, attempt=4, pid=99)))
    item = inbox.take(bytes, False)
    assert item is not None
    assert item == (b"a", 5, 4, m.WANTS_REPLY, 99, True, None, b"")


def test_each_take_moves_the_cursor_by_one(inbox: Inbox, file: Words) -> None:
    inbox.add(grant(0, entry(1, b"a", b"b")))
    assert file.words[TAKEN] == 0
    inbox.take(bytes, False)
    assert file.words[TAKEN] == inbox.taken == 1
    inbox.take(bytes, True)
    assert file.words[TAKEN] == 2


def test_the_cursor_is_stored_after_the_item_is_decoded_and_the_ring_written(inbox: Inbox, file: Words) -> None:
    seen = []

    class Watched:
        """The words, as a witness to the moment of each store."""

        def __getitem__(self, index: int) -> int:
            return int(file.words[index])

        def __setitem__(self, index: int, value: int) -> None:
            seen.append(("words", index, value, file.ring[0]))
            file.words[index] = value

    def decode(payload: memoryview) -> bytes:
        seen.append(("decoded", 0, file.words[TAKEN], file.ring[0]))
        return bytes(payload)

    inbox.words = Watched()  # type: ignore[assignment]
    inbox.add(grant(0, entry(1, b"a")))
    assert inbox.take(decode, True) is not None
    assert seen == [("words", OPENED, 1, 0), ("decoded", 0, 0, 0), ("words", TAKEN, 1, 1)]


def test_a_grant_of_another_position_is_not_ours(inbox: Inbox) -> None:
    inbox.add(grant(0, entry(1, b"a")))
    inbox.add(grant(5, entry(2, b"b")))
    inbox.add(grant(0, entry(3, b"c")))
    assert inbox.count == 1


# The ring


def test_what_is_held_is_marked_in_the_ring(inbox: Inbox, file: Words) -> None:
    inbox.add(grant(0, entry(1, b"a", b"b", b"c", b"d"), entry(5, b"e", flags=m.WANTS_REPLY), entry(6, b"f")))
    held = [inbox.take(bytes, hold).held for hold in (False, True, False, True, False, False)]  # type: ignore[union-attr]
    assert held == [False, True, False, True, True, False]
    assert marks(file, 6) == [0, 1, 0, 1, 1, 0]


def test_an_old_mark_is_wiped_where_the_ring_comes_around(inbox: Inbox, file: Words) -> None:
    position = 0
    for hold in (True, False):
        for _ in range(RING // 1024):
            inbox.add(grant(position, entry(position + 1, *[b""] * 1024)))
            for _ in range(1024):
                inbox.take(bytes, hold)
            position += 1024
        assert set(file.ring) == {int(hold)}


def test_who_never_holds_never_writes_the_ring(inbox: Inbox, file: Words) -> None:
    file.ring[0] = 7
    inbox.add(grant(0, entry(1, b"a")))
    inbox.take(bytes, False)
    assert marks(file, 1) == [7]


# The short way


def test_a_plain_item_is_taken_the_short_way(inbox: Inbox, file: Words) -> None:
    inbox.add(grant(0, entry(1, b"a", b"b")))
    inbox.add(grant(2, entry(3, b"c")))
    assert [inbox.take_plain(bytes), inbox.take_plain(bytes)] == [b"a", b"b"]
    assert file.words[TAKEN] == 2
    with pytest.raises(LookupError):
        inbox.take_plain(bytes)
    assert inbox.take(bytes, False).obj == b"c"  # type: ignore[union-attr]


@pytest.mark.parametrize("flags", [0, m.WANTS_REPLY])
def test_the_short_way_takes_nothing_that_is_not_plain(inbox: Inbox, file: Words, flags: int) -> None:
    if not flags:
        inbox.add(grant(0, entry(1, b"held")))
        inbox.take(bytes, True)
    inbox.add(grant(inbox.received, entry(2, b"a", flags=flags)))
    before = file.words[TAKEN]
    with pytest.raises(LookupError):
        inbox.take_plain(bytes)
    assert file.words[TAKEN] == before
    assert inbox.count == 1


def test_the_short_way_takes_nothing_of_nothing(inbox: Inbox) -> None:
    with pytest.raises(LookupError):
        inbox.take_plain(bytes)


def test_the_short_way_leaves_what_cannot_be_decoded_to_the_long_one(inbox: Inbox, file: Words) -> None:
    inbox.add(grant(0, entry(1, b"a")))
    with pytest.raises(LookupError):
        inbox.take_plain(lambda payload: 1 / 0)
    assert (inbox.count, file.words[TAKEN]) == (1, 0)


def test_both_ways_take_each_item_once(inbox: Inbox) -> None:
    inbox.add(grant(0, entry(1, *[b"%d" % number for number in range(10)])))
    for number in range(10):
        obj = inbox.take_plain(bytes) if number % 3 else inbox.take(bytes, False).obj  # type: ignore[union-attr]
        assert obj == b"%d" % number


# Together


def together(inbox: Inbox, decode: Any = bytes, most: int = 100) -> list[Any]:
    found: list[Any] = []
    assert inbox.take_together(decode, most, found) is None
    return found


def test_plain_items_of_an_entry_are_taken_together(inbox: Inbox, file: Words) -> None:
    inbox.add(grant(0, entry(1, b"a", b"b", b"c"), entry(9, b"d")))
    assert together(inbox, most=2) == [b"a", b"b"]
    assert file.words[TAKEN] == 2
    assert [together(inbox) for _ in range(3)] == [[b"c"], [b"d"], []]
    assert (file.words[TAKEN], inbox.count) == (4, 0)


def test_the_cursor_is_stored_when_the_last_of_them_is_decoded(inbox: Inbox, file: Words) -> None:
    seen: list[Any] = []
    inbox.add(grant(0, entry(1, b"z", b"a", b"b", b"c")))
    inbox.take(bytes, False)
    together(inbox, lambda payload: seen.append((file.words[OPENED], file.words[TAKEN])))
    assert (seen, file.words[TAKEN]) == ([(2, 1), (3, 1), (4, 1)], 4)


def test_they_end_at_one_that_cannot_be_decoded(inbox: Inbox, file: Words) -> None:
    inbox.add(grant(0, entry(1, b"1", b"2", b"bad", b"4")))
    found: list[Any] = [0]
    assert isinstance(inbox.take_together(int, 100, found), ValueError)
    assert (found, file.words[TAKEN], file.words[OPENED]) == ([0, 1, 2], 2, 0)


def test_who_is_interrupted_has_taken_none_of_them(inbox: Inbox, file: Words) -> None:
    def interrupted(payload: bytes) -> bytes:
        if payload == b"b":
            raise KeyboardInterrupt
        return payload

    inbox.add(grant(0, entry(1, b"a", b"b")))
    found: list[Any] = []
    with pytest.raises(KeyboardInterrupt):
        inbox.take_together(interrupted, 100, found)
    assert (found, file.words[TAKEN], file.words[OPENED], inbox.is_decoding) == ([], 0, 2, False)
    assert together(inbox) == [b"a", b"b"]


def test_they_end_where_the_leader_asks_for_the_rest(inbox: Inbox, file: Words) -> None:
    inbox.add(grant(0, entry(1, b"a", b"b", b"c")))
    file.words[ATTENTION] = 2
    assert together(inbox) == [b"a"]


@pytest.mark.parametrize("flags", [0, m.WANTS_REPLY])
def test_nothing_that_is_not_plain_is_taken_together(inbox: Inbox, file: Words, flags: int) -> None:
    if not flags:
        inbox.add(grant(0, entry(1, b"held")))
        inbox.take(bytes, True)
    inbox.add(grant(inbox.received, entry(2, b"a", flags=flags)))
    before = file.words[TAKEN]
    assert together(inbox) == []
    assert file.words[TAKEN] == before


@pytest.mark.parametrize("way", ["takes", "gives back"])
def test_a_decoder_may_do_anything_on_top_of_it(inbox: Inbox, way: str) -> None:
    got: list[Any] = []

    def greedy(payload: bytes) -> bytes:
        if payload == b"b" and not got:
            got.append(b"")
            if way == "takes":
                got[0] = inbox.take_plain(bytes)
            else:
                inbox.give_back()
                inbox.add(grant(0, entry(1, b"a", b"b", b"c")))
        return payload

    inbox.add(grant(0, entry(1, b"a", b"b", b"c")))
    assert together(inbox, greedy) == []
    assert got + together(inbox) == ([b"a"] if way == "takes" else [b"", b"a"]) + [b"b", b"c"]


@pytest.mark.parametrize("size", [COPIED, COPIED + 1])
def test_short_items_are_copied_and_long_ones_are_not(inbox: Inbox, size: int) -> None:
    kinds: list[type] = []
    inbox.add(grant(0, entry(1, bytes(size))))
    inbox.take_plain(lambda payload: kinds.append(type(payload)))
    assert kinds == [bytes if size == COPIED else memoryview]


# Decoders


def broken(payload: memoryview) -> Any:
    raise ValueError("not mine")


def test_an_item_that_cannot_be_decoded_is_taken_and_held_with_its_bytes(inbox: Inbox, file: Words) -> None:
    inbox.add(grant(0, entry(1, b"bad", b"good")))
    item = inbox.take(broken, False)
    assert item is not None
    assert (item.id, item.held, item.payload) == (1, True, b"bad")
    assert isinstance(item.error, ValueError)
    assert item.obj is None
    assert (file.words[TAKEN], marks(file, 1)) == (1, [1])
    assert inbox.take(bytes, False).obj == b"good"  # type: ignore[union-attr]


@pytest.mark.parametrize("way", ["take", "take_plain"])
def test_an_interrupted_decoder_takes_nothing(inbox: Inbox, file: Words, way: str) -> None:
    def interrupted(payload: memoryview) -> Any:
        raise KeyboardInterrupt

    inbox.add(grant(0, entry(1, b"a")))
    with pytest.raises(KeyboardInterrupt):
        inbox.take(interrupted, True) if way == "take" else inbox.take_plain(interrupted)
    assert (file.words[TAKEN], inbox.count, marks(file, 1)) == (0, 1, [0])
    assert inbox.take(bytes, False).obj == b"a"  # type: ignore[union-attr]


@pytest.mark.parametrize("way", ["take", "take_plain"])
def test_whether_a_decoder_runs_is_known(inbox: Inbox, way: str) -> None:
    seen = []

    def decode(payload: memoryview) -> None:
        seen.append(inbox.is_decoding)
        raise KeyboardInterrupt

    inbox.add(grant(0, entry(1, b"a")))
    seen.append(inbox.is_decoding)
    with pytest.raises(KeyboardInterrupt):
        inbox.take(decode, False) if way == "take" else inbox.take_plain(decode)
    assert [*seen, inbox.is_decoding] == [False, True, False]


def test_what_is_held_is_in_the_hand_of_its_thread_until_its_owner_takes_it(inbox: Inbox) -> None:
    inbox.add(grant(0, entry(1, b"a", b"b", b"c")))
    first, _, third = inbox.take(bytes, True, 77), inbox.take(bytes, False, 77), inbox.take(bytes, True, 78)
    assert inbox.in_hand == {77: first, 78: third}


def test_a_decoder_may_take_from_the_same_inbox(inbox: Inbox, file: Words) -> None:
    got: list[Any] = []
    once = []

    def greedy(payload: memoryview) -> bytes:
        if not once:
            once.append(True)
            got.append(inbox.take(greedy, False))
        return bytes(payload)

    inbox.add(grant(0, entry(1, b"a", b"b", b"c")))
    while (item := inbox.take(greedy, False)) is not None:
        got.append(item)
    assert [item.obj for item in got] == [b"a", b"b", b"c"]
    assert file.words[TAKEN] == 3


def test_a_decoder_may_take_the_very_last_item(inbox: Inbox, file: Words) -> None:
    got = []

    def greedy(payload: memoryview) -> bytes:
        if len(got) == 0:
            got.append(b"")
            got[0] = inbox.take(bytes, False).obj  # type: ignore[union-attr]
        return bytes(payload)

    inbox.add(grant(0, entry(1, b"only")))
    assert inbox.take(greedy, False) is None
    assert (got, file.words[TAKEN]) == ([b"only"], 1)


def test_a_decoder_may_take_the_short_way_on_top_of_the_short_way(inbox: Inbox, file: Words) -> None:
    got = []

    def greedy(payload: memoryview) -> bytes:
        if not got:
            got.append(b"")
            got[0] = inbox.take_plain(bytes)
        return bytes(payload)

    inbox.add(grant(0, entry(1, b"a", b"b")))
    with pytest.raises(LookupError):
        inbox.take_plain(greedy)
    assert (got, file.words[TAKEN]) == ([b"a"], 1)
    assert inbox.take_plain(bytes) == b"b"


def test_a_decoder_may_see_everything_given_back(inbox: Inbox, file: Words) -> None:
    def meanwhile(payload: memoryview) -> bytes:
        inbox.give_back()
        return bytes(payload)

    inbox.add(grant(0, entry(1, b"a", b"b")))
    assert inbox.take(meanwhile, True) is None
    assert (file.words[TAKEN], inbox.received, marks(file, 2)) == (0, 0, [0, 0])


def test_a_decoder_may_see_everything_given_back_and_granted_again(inbox: Inbox, file: Words) -> None:
    once = []

    def meanwhile(payload: memoryview) -> bytes:
        if not once:
            once.append(True)
            inbox.give_back()
            inbox.add(grant(0, entry(8, b"other")))
        return bytes(payload)

    inbox.add(grant(0, entry(1, b"a", b"b")))
    item = inbox.take(meanwhile, False)
    assert item is not None
    assert (item.obj, item.id, file.words[TAKEN]) == (b"other", 8, 1)


# Giving back


def test_what_is_given_back_begins_at_the_cursor(inbox: Inbox) -> None:
    inbox.add(grant(0, entry(1, b"a", b"b", b"c")))
    inbox.take(bytes, False)
    assert inbox.give_back() == 1
    assert (inbox.count, inbox.received) == (0, 1)
    assert inbox.take(bytes, False) is None
    with pytest.raises(LookupError):
        inbox.take_plain(bytes)


def test_a_grant_after_giving_back_begins_where_that_ended(inbox: Inbox) -> None:
    inbox.add(grant(0, entry(1, b"a", b"b")))
    inbox.take(bytes, False)
    inbox.give_back()
    inbox.add(grant(2, entry(3, b"crossed")))
    assert inbox.count == 0
    inbox.add(grant(1, entry(2, b"b")))
    assert inbox.take(bytes, False).obj == b"b"  # type: ignore[union-attr]


def test_a_new_file_begins_anew_and_tells_what_was_left(inbox: Inbox, file: Words) -> None:
    inbox.add(grant(0, entry(1, b"a", b"b"), entry(3, b"c", flags=m.WANTS_REPLY)))
    inbox.take(bytes, True)
    new = Words()
    assert inbox.rebind(new.words, new.ring) == [(b"b", 0), (b"c", m.WANTS_REPLY)]
    assert (inbox.received, inbox.taken, inbox.count) == (0, 0, 0)
    inbox.add(grant(0, entry(9, b"z")))
    assert inbox.take_plain(bytes) == b"z"
    assert (new.words[TAKEN], file.words[TAKEN]) == (1, 1)
    inbox.add(grant(1, entry(10, b"held")))
    inbox.take(bytes, True)
    assert marks(new, 2) == [0, 1]
